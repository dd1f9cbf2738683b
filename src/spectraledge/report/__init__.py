"""Report: the figures, tables and words of a study, in one page that opens without a network, or as Markdown."""

from spectraledge.report.report_files import write_opening, write_report, write_results

__all__ = ["write_opening", "write_report", "write_results"]
