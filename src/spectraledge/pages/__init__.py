"""Pages: documents of sections, tables and figures, charts, and writers for the page, Markdown and print."""
