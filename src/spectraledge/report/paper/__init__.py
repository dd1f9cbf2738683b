"""The report of a study of the whole paper: claims over seeds first, then a section per table with its figure."""
