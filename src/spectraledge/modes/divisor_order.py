"""An order of residues in which a picture shows functions of a product: by divisor, then along a character."""

import numpy as np
from numpy.typing import NDArray

from spectraledge.algebra import unit_turns
from spectraledge.modes.coset_order import ElementOrder, Level, constant_share

Float = NDArray[np.float64]


def divisor_order(picture_MR: Float, frequency: int) -> ElementOrder:
    """Sort the residues along one axis of a picture by their divisor, within it along a character of the units.

    Definition (ours): by greatest common divisor with the modulus, ascending, so that 0 is the last; those of one
    divisor by `unit_turns`, then ascending.
    Law: of a function of a·b in the subspace of one character, the block of two divisors depends on the sum of both
    turns alone: a stripe for a character of high order, solid blocks for one of order 2, one block for the divisors'.

    Args:
        picture_MR: A row for every residue; NaN throughout for one that is not in the domain.
        frequency: Of the subspace, as in `unit_characters`.

    Returns:
        The order.
    """
    modulus = len(picture_MR)
    residues_M = np.arange(modulus)
    divisors_M = np.gcd(residues_M, modulus)
    kept_M = ~np.isnan(picture_MR).all(axis=1)
    rows_mR = np.nan_to_num(picture_MR[kept_M])
    share = constant_share(rows_mR - rows_mR.mean(axis=0), np.unique(divisors_M[kept_M], return_inverse=True)[1])
    order_M = np.lexsort((residues_M, unit_turns(modulus, frequency), divisors_M))
    return ElementOrder(np.argsort(order_M), (Level(f"greatest common divisors with {modulus}", share),))
