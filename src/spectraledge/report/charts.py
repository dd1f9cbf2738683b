"""Ticks of logarithmic axes."""

from spectraledge.report.plots import log_ticks

__all__ = ["log_ticks"]
