"""Singular values of weight matrices, beside those of a matrix of noise of the same size."""

import torch
from torch import Tensor


def gaussian_singular_values(rows: int, columns: int, count: int, generator: torch.Generator) -> Tensor:
    """Singular values of matrices of independent normal numbers, scaled to Frobenius norm 1.

    Null: a weight matrix of the same shape and Frobenius norm whose numbers have nothing in common. Most singular
    values follow the law of Marchenko and Pastur 1967, which ends at (√rows + √columns)/√(rows·columns); the first few
    are as close to each other as its end allows, so that of 128 × 128 the first exceeds the second by about 2 %.

    Args:
        rows: Rows of each matrix.
        columns: Columns.
        count: How many matrices.
        generator: Source of randomness.

    Returns:
        float64 tensor (count, min(rows, columns)), descending.

    Cost: O(rows·columns·min(rows, columns)) time per matrix.
    """
    drawn = torch.randn(count, rows, columns, dtype=torch.float64, device="cpu", generator=generator)
    values: Tensor = torch.linalg.svdvals(drawn / drawn.flatten(1).norm(dim=1)[:, None, None])
    return values
