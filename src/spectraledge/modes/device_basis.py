"""The functions of a basis on a GPU, where responses lie: responses in its coefficients, and their products."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse
import torch
from torch import Tensor
from torch.nn import functional as F

from spectraledge.arrays import Bools, Float


class Taken(NamedTuple):
    """A response taken apart, float64.

    Attributes:
        mean_D: Its mean over the covered inputs.
        centred_nD: What varies about that.
        held_RD: The same in coefficients of the basis.
    """

    mean_D: Tensor
    centred_nD: Tensor
    held_RD: Tensor

    def inner(self, other: "Taken") -> Tensor:
        """Inner products with another: of means, of what varies, and of every coefficient; shape (2 + R,)."""
        whole = torch.stack([self.mean_D @ other.mean_D, torch.sum(self.centred_nD * other.centred_nD)])
        return torch.cat([whole, (self.held_RD * other.held_RD).sum(1)])


@dataclass(frozen=True)
class DeviceBasis:
    """What a `Basis` needs on a device.

    Attributes:
        covered_n: Places of the covered inputs in the domain; none where it covers all.
        members: Covered inputs of every group, one group after another.
        begins: Where each group's begin among them, and their number.
        coefficients_RG: See `Basis.coefficients_GR`.
    """

    covered_n: Tensor | None
    members: Tensor
    begins: Tensor
    coefficients_RG: Tensor

    @classmethod
    def of(
        cls, covered_N: Bools, groups_Gn: scipy.sparse.csr_array, coefficients_GR: Float, device: torch.device
    ) -> "DeviceBasis":
        """Put the parts of a basis on a device."""
        covered_n = None if covered_N.all() else torch.from_numpy(np.flatnonzero(covered_N)).to(device)
        members, begins = (
            torch.from_numpy(part.astype(np.int64)).to(device) for part in (groups_Gn.indices, groups_Gn.indptr)
        )
        return cls(covered_n, members, begins, torch.from_numpy(coefficients_GR).to(device).t())

    def centred(self, response_ND: Tensor) -> tuple[Tensor, Tensor]:
        """Mean of a response over the covered inputs, and what varies about it there."""
        kept_nD = (response_ND if self.covered_n is None else response_ND[self.covered_n]).double()
        mean_D = kept_nD.mean(0)
        return mean_D, kept_nD - mean_D

    def taken(self, mean_D: Tensor, centred_nD: Tensor) -> Taken:
        """Take a response apart whose mean is known."""
        sums_GD = F.embedding_bag(self.members, centred_nD, self.begins, mode="sum", include_last_offset=True)
        return Taken(mean_D, centred_nD, self.coefficients_RG @ sums_GD)
