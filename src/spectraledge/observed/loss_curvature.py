"""Curvature of a network's loss: steps that do not commute, exact second derivatives, leading directions."""

from typing import Literal, NamedTuple

import numpy as np
import scipy
import torch
from torch import Tensor

from spectraledge.arrays import Bools, Float, Ints
from spectraledge.devices import host
from spectraledge.errors import InputError
from spectraledge.models.losses import answer_losses
from spectraledge.observed.network import Network

MatrixName = Literal["hessian", "gauss-newton"]

MATRICES: dict[MatrixName, str] = {
    "hessian": "second derivatives of the loss",
    "gauss-newton": "the same without those of the logits in the weights, Jᵀ·(∂²loss/∂logits²)·J; never negative",
}
"""Matrices of a loss's curvature, and what they are."""

STEP_SIZE = 1e-3
"""Size of the two steps (Xu, arXiv 2602.16746, scripts); it cancels to first order."""

_LEAST = 1e-12
"""Added to a product of lengths of steps before it divides (same scripts)."""

_TOLERANCE = 1e-6
"""Relative error of eigenvalues (our choice)."""


class Commutator(NamedTuple):
    """How much the order of two plain gradient steps matters.

    Attributes:
        vector_P: (θ_AB − θ_BA)/η², H_B·g_A − H_A·g_B to first order, of all parameters.
        defect: ‖θ_AB − θ_BA‖ / (‖η g_A‖·‖η g_B‖ + 10⁻¹²), 1/weight.
        gradient: Geometric mean of ‖g_A‖ and ‖g_B‖, loss/weight; the defect is a curvature over it.
        cosine: Of g_A and g_B.
    """

    vector_P: Tensor
    defect: float
    gradient: float
    cosine: float


def commutator(network: Network, first_n: Ints, second_n: Ints) -> Commutator:
    """Return what two steps θ ← θ − η·gradient on two batches differ by between their two orders.

    Definition: Xu, arXiv 2602.16746, scripts: θ_AB is where a step on A and then one on B leads, with all parameters
    moving. The published single precision leaves the difference to rounding where gradients are small: compute in
    double precision.
    """
    network = network.whole
    first_P, second_P = network.gradient(first_n), network.gradient(second_n)
    after_P = network.moved(-STEP_SIZE * first_P).gradient(second_n)
    before_P = network.moved(-STEP_SIZE * second_P).gradient(first_n)
    vector_P = ((second_P - after_P) - (first_P - before_P)) / STEP_SIZE
    lengths = float(first_P.norm() * second_P.norm())
    return Commutator(
        vector_P,
        STEP_SIZE**2 * float(vector_P.norm()) / (STEP_SIZE**2 * lengths + _LEAST),
        lengths**0.5,
        float(first_P @ second_P) / (lengths or np.nan),
    )


class Leading(NamedTuple):
    """Leading eigenvectors of a matrix.

    Attributes:
        values_K: The largest eigenvalues, descending, loss/weight².
        vectors_KP: Unit rows.
        residuals_K: ‖M·u − λ·u‖ over the largest |λ|.
    """

    values_K: Float
    vectors_KP: Float
    residuals_K: Float


class LossCurvature:
    """Exact second derivatives of a network's mean loss on some pairs, in its watched parameters.

    With all heads of a joint task, the loss is the sum of theirs.
    """

    def __init__(self, network: Network, kept_N: Bools) -> None:
        kept = torch.from_numpy(kept_N).to(network.device)
        self._layout = network.layout
        self._watched = {name: network.parameters[name].detach().requires_grad_() for name in self._layout.shapes}
        with torch.enable_grad():
            labels_NO = network.labels_N.view(len(network.labels_N), -1)[kept]
            # Both losses are blind to the mean over classes that this read-out lacks.
            self._logits_NOC = torch.stack(
                [
                    head.read("logits")(parameters, network.inputs_N2[kept])
                    for head, parameters in network.heads({**network.parameters, **self._watched})
                ],
                1,
            )
            free_NOC = self._logits_NOC.detach().requires_grad_()

            def loss(logits_NOC: Tensor) -> Tensor:
                return answer_losses(logits_NOC, labels_NO, network.loss).sum(1).mean()

            self._gradient_P = self._back(loss(self._logits_NOC), keep=True)
            self._along_NOC = torch.zeros_like(self._logits_NOC, requires_grad=True)
            self._pulled_P = self._back(self._logits_NOC, self._along_NOC, keep=True)
            (self._slope_NOC,) = torch.autograd.grad(loss(free_NOC), free_NOC, create_graph=True)
            self._free_NOC = free_NOC

    def product(self, name: MatrixName, vector_P: Tensor) -> Tensor:
        """Return a matrix times a vector, exactly, shape (P,)."""
        if name == "hessian":
            return self._back(self._gradient_P, vector_P)
        # The derivative along v by the gradient of ⟨Jᵀ·a, v⟩ in a.
        (moved_NOC,) = torch.autograd.grad(self._pulled_P, self._along_NOC, vector_P, retain_graph=True)
        (bent_NOC,) = torch.autograd.grad(self._slope_NOC, self._free_NOC, moved_NOC, retain_graph=True)
        return self._back(self._logits_NOC, bent_NOC)

    def leading(self, name: MatrixName, count: int, generator: np.random.Generator) -> Leading:
        """Return a matrix' largest eigenvalues and their vectors, by Lanczos' method (ARPACK).

        Raises:
            InputError: if there are not more parameters than vectors asked for, or the matrix is zero.

        Cost: some tens of products.
        """
        size = self._layout.size
        if not 1 <= count < size:
            raise InputError(
                f"the number of leading directions must be in [1, {size - 1}] for {size} watched parameters, got "
                f"{count}: ask for fewer, or watch more"
            )
        like = self._logits_NOC

        def times(vector_P: Float) -> Float:
            vector = torch.from_numpy(vector_P.reshape(-1).copy()).to(like)
            found: Float = host(self.product(name, vector).double())
            return found

        matrix = scipy.sparse.linalg.LinearOperator((size, size), matvec=times, dtype=np.float64)
        first_P = generator.standard_normal(size)
        if not times(first_P).any():
            raise InputError(
                f"the {MATRICES[name]} are 0 here: the watched weights do not bend the loss of this network, so that "
                "no direction leads; choose another step, or watch other parameters"
            )
        values_K, vectors_PK = scipy.sparse.linalg.eigsh(matrix, count, which="LA", v0=first_P, tol=_TOLERANCE)
        order = np.argsort(values_K)[::-1]
        values_K, vectors_KP = values_K[order], vectors_PK.T[order]
        off = [np.linalg.norm(times(one_P) - value * one_P) for value, one_P in zip(values_K, vectors_KP, strict=True)]
        return Leading(values_K, vectors_KP, np.array(off) / (np.abs(values_K).max() or np.nan))

    def _back(self, value: Tensor, cotangent: Tensor | None = None, *, keep: bool = False) -> Tensor:
        """Gradient of ⟨cotangent, value⟩ in the watched parameters; differentiable again if it is to be kept."""
        found = torch.autograd.grad(
            value, list(self._watched.values()), cotangent, create_graph=keep, retain_graph=True, materialize_grads=True
        )
        return self._layout.join(dict(zip(self._watched, found, strict=True)))
