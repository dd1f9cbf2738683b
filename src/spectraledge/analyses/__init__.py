"""Analyses: from recorded runs to tables. `registry` lists those that studies carry out."""
