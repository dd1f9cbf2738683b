"""The spectrum of a training run: eigenvalues and directions of the Gram matrix of its last W updates."""

from spectraledge.spectrum.directions import Directions, window_directions
from spectraledge.spectrum.edge import Spectrum, edge_position
from spectraledge.spectrum.gram import BandedGram, block_windows
from spectraledge.spectrum.noise import NoiseFloor, effective_dimension, noise_floor, surrogate_updates
from spectraledge.spectrum.sketch import Sketch
from spectraledge.spectrum.windows import window_eigenvalues, window_spectrum

__all__ = [
    "BandedGram",
    "Directions",
    "NoiseFloor",
    "Sketch",
    "Spectrum",
    "block_windows",
    "edge_position",
    "effective_dimension",
    "noise_floor",
    "surrogate_updates",
    "window_directions",
    "window_eigenvalues",
    "window_spectrum",
]
