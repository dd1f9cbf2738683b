"""What reports of claims over seeds have in common: their table, their tables and figures of effects, their files."""
