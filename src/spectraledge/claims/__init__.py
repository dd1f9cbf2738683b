"""Claims: what is said of analysed runs, by which rule, and what the published values are."""
