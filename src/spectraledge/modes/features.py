"""Bases of any inputs: from labels, groups, features or parities of bits, where there is no grid of pairs."""

from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from spectraledge.algebra import parity, subsets
from spectraledge.arrays import Float
from spectraledge.devices import given_array
from spectraledge.errors import InputError
from spectraledge.modes.basis import Basis, added_functions


def feature_basis(name: str, features: Mapping[str, ArrayLike | Tensor], *, parts: Sequence[str] = ()) -> Basis:
    """Basis of named sets of functions of the input, in order: the mean, what each adds to those before it, the rest.

    A set is either labels, an integer, Boolean or string array (N,), which stands for all functions of the label, or
    features, a float array (N, F) or (N,), which stands for their linear combinations, whatever their units and means.
    The order matters wherever sets overlap: what both can hold goes to the one that comes first.
    Null: a subspace takes (its dimension)/(N − 1) of the energy of noise.

    Args:
        name: What it is a basis of.
        features: Sets by name, arrays or tensors; none may be called "mean" or "rest".
        parts: The part that each set belongs to. Default: each is a part of its own.

    Returns:
        The basis; it covers all N inputs.

    Raises:
        InputError: if there are no sets, lengths differ, a value is not finite, or names do not fit.

    Cost: O(N·R²) time and O(N·R) memory for R functions in all.
    """
    given = {key: _array(values) for key, values in features.items()}
    lengths = {len(values) if values.ndim else 0 for values in given.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise InputError(f"basis {name!r} needs sets of functions over the same inputs, got lengths {sorted(lengths)}")
    owners = list(parts or features)
    if len(owners) != len(features) or {"mean", "rest"} & {*features, *owners}:
        raise InputError(f"basis {name!r} needs one part per set, and neither may be called 'mean' or 'rest'")
    size = lengths.pop()
    columns = {key: _functions(name, key, values) for key, values in given.items()}
    functions_NR = np.zeros((size, min(size, 1 + sum(values.shape[1] for values, _ in columns.values()))))
    functions_NR[:, 0] = 1 / np.sqrt(size)
    subspace_R = [0]
    for place, (raw_NF, rounding) in enumerate(columns.values(), start=1):
        kept_NF = added_functions(raw_NF, functions_NR[:, : len(subspace_R)], rounding=rounding)
        functions_NR[:, len(subspace_R) : len(subspace_R) + kept_NF.shape[1]] = kept_NF
        subspace_R += [place] * kept_NF.shape[1]
    dimensions_S = np.bincount(subspace_R, minlength=len(features) + 2)
    dimensions_S[-1] = size - len(subspace_R)
    return Basis(
        name,
        "features",
        np.ones(size, dtype=np.bool_),
        ("mean", *features, "rest"),
        ("mean", *owners, "rest"),
        {},
        np.zeros(len(features) + 2, dtype=np.int64),
        dimensions_S.astype(np.int64),
        scipy.sparse.csr_array(scipy.sparse.eye_array(size)),
        functions_NR[:, 1 : len(subspace_R)],
        np.array(subspace_R[1:], dtype=np.int64),
    )


def _array(values: ArrayLike | Tensor) -> NDArray[np.generic]:
    array: NDArray[np.generic] = given_array(values)
    return array.astype(np.str_) if array.dtype.kind == "O" and all(isinstance(one, str) for one in array) else array


def _functions(name: str, key: str, values: NDArray[np.generic]) -> tuple[Float, float]:
    """Columns that span what a set stands for, shape (N, F), and how long what is rounding in them may be."""
    if values.dtype.kind in "biuU" and values.ndim == 1:
        return (values[:, None] == np.unique(values)).astype(np.float64), 0.0
    if values.dtype.kind != "f" or values.ndim not in (1, 2) or not np.isfinite(values).all():
        raise InputError(
            f"set {key!r} of basis {name!r} must be labels, integers or strings (N,), or finite features, floats "
            f"(N, F), got {values.dtype} of shape {values.shape}"
        )
    # In units of its own a column may be small beside another, or beside its mean.
    features_NF = values.reshape(len(values), -1).astype(np.float64)
    features_NF = features_NF / np.where(features_NF.any(axis=0), np.abs(features_NF).max(axis=0), 1)
    centred_NF = features_NF - features_NF.mean(axis=0)
    lengths_F = np.linalg.norm(centred_NF, axis=0)
    rounding_F = np.finfo(values.dtype.name).eps * np.linalg.norm(features_NF, axis=0)
    varies_F = lengths_F > 4 * rounding_F
    rounding = np.linalg.norm(rounding_F[varies_F] / lengths_F[varies_F])
    return centred_NF[:, varies_F] / lengths_F[varies_F], float(rounding)


def walsh_basis(bits_Nn: ArrayLike | Tensor, *, order: int) -> Basis:
    """Basis of functions of n bits: the parity of every subset of up to `order` bits, by part "order k"; the rest.

    Definition: `parity` of subset "0,3,7" of the bits. On the whole cube, or several copies of it, parities are
    orthogonal and energies are those of `walsh_transform`; on a sample each is what it adds to those before it.

    Args:
        bits_Nn: The bits of every input, 0 or 1, shape (N, n).
        order: Largest subsets that are subspaces of their own, in [1, n].

    Returns:
        The basis.

    Raises:
        InputError: if a value is neither 0 nor 1, or the order is out of range.
    """
    bits = _array(bits_Nn)
    if bits.ndim != 2 or not np.isin(bits, (0, 1)).all():
        raise InputError("bits must be 0 or 1, shape (N, n): map signs s to (1 - s) // 2 first")
    chosen = subsets(bits.shape[1], order)
    features = {",".join(map(str, s)): parity(bits.astype(np.int64), s) for s in chosen}
    return feature_basis("parities", features, parts=[f"order {len(subset)}" for subset in chosen])
