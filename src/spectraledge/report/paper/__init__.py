"""The report of a study of the whole paper: claims over seeds first, then a section per table with its figure."""

from spectraledge.report.paper.paper_files import write_paper_report, write_results

__all__ = ["write_paper_report", "write_results"]
