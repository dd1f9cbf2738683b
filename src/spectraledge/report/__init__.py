"""Report: the figures, tables and words of a study, in one page that opens without a network."""

from spectraledge.report.html import write_report

__all__ = ["write_report"]
