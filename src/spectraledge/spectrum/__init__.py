"""The spectrum of a training run: eigenvalues and directions of the Gram matrix of its last W updates."""

from spectraledge.spectrum.directions import Directions, window_directions
from spectraledge.spectrum.edge import Spectrum, edge_position
from spectraledge.spectrum.gram import BandedGram, block_windows
from spectraledge.spectrum.windows import window_eigenvalues, window_spectrum

__all__ = [
    "BandedGram",
    "Directions",
    "Spectrum",
    "block_windows",
    "edge_position",
    "window_directions",
    "window_eigenvalues",
    "window_spectrum",
]
