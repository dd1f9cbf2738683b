"""Measuring somebody else's training while it runs."""

from spectraledge.integrations.intervened import Intervened
from spectraledge.integrations.record import Reading
from spectraledge.integrations.tables import Overhead, TrackerResults
from spectraledge.integrations.tracker import SpectralEdgeTracker
from spectraledge.spectrum import window_rotation

__all__ = [
    "Intervened",
    "Overhead",
    "Reading",
    "SpectralEdgeTracker",
    "TrackerResults",
    "window_rotation",
]
