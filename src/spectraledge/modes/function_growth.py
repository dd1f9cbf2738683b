"""The function itself in a basis: how its energy divides, how that changes, and which directions carry the change.

The *score* of a training is the table of shares by subspace and step (`shares` of `Basis.energies` of the read-out).
Here is what its changes are made of. Our own definitions; the windows that are asked are those of Xu 2026, §2.3.
"""

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from spectraledge.arrays import Float
from spectraledge.modes.basis import Basis, Response


@dataclass(frozen=True)
class Growth:
    """What the energy of a function gained in every subspace, E_ρ(t) − E_ρ(t−1), exactly.

    Attributes:
        cross_S: 2⟨P_ρ h, P_ρ d⟩ with the function h before and its change d.
        square_S: ‖P_ρ d‖².
    """

    cross_S: Float
    square_S: Float

    @property
    def whole_S(self) -> Float:
        """The sum of both: the energy after less that before."""
        whole_S: Float = self.cross_S + self.square_S
        return whole_S


def growth(before_ND: Response, after_ND: Response, basis: Basis) -> Growth:
    """Split what a function gained in energy by subspace.

    Law: E_ρ(after) − E_ρ(before) = 2⟨P_ρ h, P_ρ d⟩ + ‖P_ρ d‖² with d = after − before.

    Args:
        before_ND: The read-out of every input before, shape (N, D).
        after_ND: The same after.
        basis: The basis.

    Returns:
        Both terms, squared units of the read-out.
    """
    after_ND = after_ND.double() if isinstance(after_ND, Tensor) else after_ND.astype(np.float64)
    change_ND: Response = after_ND - before_ND
    cross_1S, square_1S = basis.products_and_energies(before_ND, change_ND[None])
    return Growth(2 * cross_1S[0], square_1S[0])


def carried_growth(gradient_P: Float, update_P: Float, vectors_KP: Float) -> Float:
    """How much of a first-order growth ⟨∇E, δθ⟩ lies in the span of the first k of some directions, for every k.

    Definition: ⟨∇E, Π_k δθ⟩ = Σ_(j ≤ k) ⟨∇E, v_j⟩⟨v_j, δθ⟩; signed. It is no share of a squared length: what one
    direction carries another may take away, so that a part can exceed the whole.
    Null: on average k isotropic directions carry k/P of the whole, and k random ones of a span of K carry k/K of what
    the span carries.

    Args:
        gradient_P: ∇E, the gradient of the energy.
        update_P: δθ.
        vectors_KP: Orthonormal rows v_j in order; or a stack of such, shape (B, K, P).

    Returns:
        Shape (K,) or (B, K), units of the energy.
    """
    carried_K: Float = np.cumsum((vectors_KP @ gradient_P) * (vectors_KP @ update_P), axis=-1)
    return carried_K


def needed(carried_K: Float, whole: float, share: float) -> int | None:
    """Smallest number of directions from which on at least a share of the whole is carried, however many more join.

    Args:
        carried_K: From `carried_growth`.
        whole: What all directions of the parameter space carry, ⟨∇E, δθ⟩.
        share: The share of it.

    Returns:
        The number; None where the directions at hand never do.
    """
    short = np.flatnonzero(carried_K / whole < share) if whole else np.arange(len(carried_K))
    first = int(short[-1]) + 2 if len(short) else 1
    return first if first <= len(carried_K) else None


def random_frames(dimension: int, count: int, draws: int, generator: np.random.Generator) -> Float:
    """Random orthonormal frames of a space, isotropic.

    Args:
        dimension: Of the space.
        count: Vectors of a frame, at most the dimension.
        draws: Frames, B.
        generator: Source of randomness.

    Returns:
        Shape (B, count, dimension), orthonormal rows.
    """
    return np.linalg.qr(generator.standard_normal((draws, dimension, count)))[0].transpose(0, 2, 1)


def random_frames_in_plane(size: int, count: int, draws: int, generator: np.random.Generator) -> Float:
    """What isotropic frames of a large space look like in a plane of it: their coordinates there, by the exact law.

    Definition: rows of a Gaussian matrix are Gaussian in the plane, and the Gram matrix of the rest of them is
    Wishart with size − 2 degrees of freedom, drawn by its Bartlett decomposition; orthonormalised, the first k rows
    span what k isotropic directions do. Nothing of the size of the space is drawn.

    Args:
        size: Dimension of the space, P.
        count: Vectors of a frame, W.
        draws: Frames, B.
        generator: Source of randomness.

    Returns:
        Shape (B, count, 2).
    """
    rest_BWW = np.tril(generator.standard_normal((draws, count, count)), -1)
    place = np.arange(count)
    rest_BWW[:, place, place] = np.sqrt(generator.chisquare(np.maximum(size - 2 - place, 1), (draws, count)))
    rows_BWX = np.concatenate([generator.standard_normal((draws, count, 2)), rest_BWW], axis=2)
    return np.linalg.qr(rows_BWX.transpose(0, 2, 1))[0].transpose(0, 2, 1)[:, :, :2]


def in_their_plane(first_P: Float, second_P: Float) -> tuple[Float, Float]:
    """Coordinates of two vectors in the plane that they span, for `random_frames_in_plane`.

    Args:
        first_P: A vector.
        second_P: Another.

    Returns:
        Their two coordinates each.
    """
    length = float(np.linalg.norm(first_P))
    along = float(first_P @ second_P) / length if length else 0.0
    across = float(np.sqrt(max(float(second_P @ second_P) - along**2, 0.0)))
    return np.array([length, 0.0]), np.array([along, across])
