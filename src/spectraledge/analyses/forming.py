"""The function that a run computes as a picture over (a, b) at every snapshot: the wave as it forms."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from spectraledge.analyses.analysis import Column, Table
from spectraledge.arrays import Float, Ints
from spectraledge.modes import grouping_basis
from spectraledge.modes.waves import wave, widest_axis
from spectraledge.tasks import Grouping

ORDERS = {
    f"order_{axis}": Column(
        f"how {axis} is ordered where it is not by a wave, with shares of the picture", optional=True
    )
    for axis in "ab"
}
"""Columns on the order of elements, of a group by its representations or of residues by divisor."""


@dataclass(frozen=True)
class LastWave:
    """How all snapshots of a run are pictured: as what they come to in the end.

    Attributes:
        axis_D: Direction of the read-out along which group means vary most in the end.
        size: Root mean square of the function along it in the end.
        elements_N: The element of the task's own group that every pair belongs to; −1 for none.
        places_N2: Rank of a and of b among all by their position on that wave; −1 for a pair outside the basis.
        orders: How a and b are ordered, by cosets or by divisor; else none.
    """

    axis_D: Float
    size: float
    elements_N: Ints
    places_N2: Ints
    orders: tuple[str, ...]

    @classmethod
    def of(cls, values_ND: Float, grouping: Grouping, own: Grouping) -> "LastWave":
        """Choose the view by the function at the last snapshot, (N, D), and the grouping that orders inputs."""
        centred_ND = values_ND - values_ND[grouping.groups_N >= 0].mean(axis=0)
        axis_D = widest_axis(centred_ND, grouping)
        size = float(np.sqrt(np.mean(np.square(centred_ND @ axis_D))))
        pictured = wave(values_ND, grouping)
        orders = tuple(order.words for order in pictured.orders)
        return cls(axis_D, size or 1.0, own.groups_N, pictured.places_N2, orders)

    def picture(self, step: int, values_ND: Float) -> pd.DataFrame:
        """Return the rows of one snapshot, see `FORMING`, from the function there, shape (N, D)."""
        kept_N = self.places_N2[:, 0] >= 0
        centred_nD = values_ND[kept_N] - values_ND[kept_N].mean(axis=0)
        columns = {
            "step": np.int64(step),
            "place_a": self.places_N2[kept_N, 0].astype(np.int32),
            "place_b": self.places_N2[kept_N, 1].astype(np.int32),
            "element": self.elements_N[kept_N].astype(np.int32),
            "value": (centred_nD @ self.axis_D / self.size).astype(np.float32),
        }
        words = dict(zip(ORDERS, self.orders, strict=False))
        return pd.DataFrame({**columns, **words})


FORMING = Table(
    "forming",
    "snapshot and pair that the basis of waves covers",
    {
        "step": Column("the snapshot", "step"),
        "place_a": Column("rank of a by its position on the wave that dominates in the end, from 0"),
        "place_b": Column("rank of b"),
        "element": Column("the element of the task's own group that the pair belongs to; −1 for none"),
        "value": Column(
            "centred logits projected on the direction of answers along which their group means vary most in the end",
            "its root mean square in the end",
        ),
        **ORDERS,
    },
)


def own_functions(own: Grouping) -> pd.DataFrame:
    """Write down the functions of a task's own group, see `FUNCTIONS`: with them a picture divides into theirs."""
    basis = grouping_basis(own)
    elements, columns = basis.coefficients_GR.shape
    return FUNCTIONS.frame(
        (basis.subspaces[basis.subspace_R[column]], column, element, basis.coefficients_GR[element, column])
        for column in range(columns)
        for element in range(elements)
    )


FUNCTIONS = Table(
    "own_functions",
    "function of the task's own group, and element",
    {
        "subspace": Column("the subspace that it belongs to"),
        "column": Column("which function, from 0"),
        "element": Column("the element, as in `forming`"),
        "value": Column("what it is there; functions are orthonormal over all pairs that have an element"),
    },
)
