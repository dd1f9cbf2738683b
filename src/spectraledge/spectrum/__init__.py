"""The spectrum of a training run: eigenvalues and directions of the Gram matrix of its last W updates."""

from spectraledge.spectrum.alerts import (
    Change,
    Detector,
    calibrated_threshold,
    change_score,
    gram_quantities,
    gram_series,
    persistent_score,
    subspace_overlap,
)
from spectraledge.spectrum.declines import Since, decline
from spectraledge.spectrum.directions import Directions, window_directions
from spectraledge.spectrum.edge import Spectrum, edge_position
from spectraledge.spectrum.frames import Frame, TrailingWindow, orthonormal_rows, spanned, weigh
from spectraledge.spectrum.gram import BandedGram, band_windows, block_windows
from spectraledge.spectrum.noise import NoiseFloor, effective_dimension, noise_floor, surrogate_updates
from spectraledge.spectrum.rotation import window_rotation
from spectraledge.spectrum.sketch import Sketch
from spectraledge.spectrum.walks import PrincipalComponents, displacement_gram, orthogonal_gram, principal_components
from spectraledge.spectrum.weights import gaussian_singular_values
from spectraledge.spectrum.windows import window_eigenvalues, window_spectrum

__all__ = [
    "BandedGram",
    "Change",
    "Detector",
    "Directions",
    "Frame",
    "NoiseFloor",
    "PrincipalComponents",
    "Since",
    "Sketch",
    "Spectrum",
    "TrailingWindow",
    "band_windows",
    "block_windows",
    "calibrated_threshold",
    "change_score",
    "decline",
    "displacement_gram",
    "edge_position",
    "effective_dimension",
    "gaussian_singular_values",
    "gram_quantities",
    "gram_series",
    "noise_floor",
    "orthogonal_gram",
    "orthonormal_rows",
    "persistent_score",
    "principal_components",
    "spanned",
    "subspace_overlap",
    "surrogate_updates",
    "weigh",
    "window_directions",
    "window_eigenvalues",
    "window_rotation",
    "window_spectrum",
]
