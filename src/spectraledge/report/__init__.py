"""Report: the figures, tables and words of a study, in one page that opens without a network, or as Markdown."""

from spectraledge.report.html import write_report
from spectraledge.report.paper import write_results

__all__ = ["write_report", "write_results"]
