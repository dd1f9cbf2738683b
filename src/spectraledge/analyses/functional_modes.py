"""Functional modes of any network: a module, snapshots of its training, inputs and a read-out are enough."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from spectraledge.analyses.selection_tables import selection_rows
from spectraledge.arrays import Float
from spectraledge.display import Displayed
from spectraledge.errors import InputError
from spectraledge.models import ModuleTensors
from spectraledge.modes import (
    Basis,
    FunctionalComponents,
    Inputs,
    Method,
    ModuleWindow,
    component_test,
    functional_components,
    growth,
    held_shares,
    readouts_of_module,
    responses_of_module,
    shares,
    split_half,
)
from spectraledge.spectrum import window_directions
from spectraledge.statistics import random_directions
from spectraledge.streams import numpy_generator, torch_generator


@dataclass(frozen=True)
class FunctionalModes(Displayed):
    """What the last window of a training moves in the read-out, as tables.

    Attributes:
        components: One row per principal component: component (1-based), share (of the window's response energy, mean
            left out), then of the first so many together: window_share, random_share and span_share (of the energy of
            random directions, isotropic or in the window's span, in the same functions), random_components_share (of
            the window's energy in as many components of the isotropic ones), ratio, p_share and p_ratio (see
            `ComponentTest`), split_share, split_best and split_overlap (see `SplitHalf`).
        selection: One row per basis and subspace: basis, subspace, part, dimension, ratio, low, high, p, p_exact,
            window_share, random_share, chance (see `selection_table`). Empty without bases, as are the next four.
        shares: One row per direction, basis and part: kind (edge, bulk, random, span), direction (1-based),
            eigenvalue (missing for nulls), basis, part, share, chance.
        component_shares: One row per component, basis and subspace: component, basis, subspace, share.
        score: The function itself, one row per snapshot, basis and subspace: snapshot (first and last of the window),
            basis, subspace, share (of the read-out's energy without its mean), chance.
        growth: How it changed in between, one row per basis and subspace: basis, subspace, growth (energy gained, over
            all energy without mean before; signed, exact), share (of the change's own energy), chance.
        functions: The components themselves.
        response_KND: Responses along the window's directions, units of the read-out per unit of the parameters.
        eigenvalues_K: Their eigenvalues.
        watched: Names of the parameters that the updates are of.
        unmoved: Names of those that patterns match as well, left out because they do not change in the window.
        derivative: How responses were found: "forward", "double backward" (both exact) or "central difference".
        derivative_error: Relative error that central differences leave open, over the largest row (see
            `ModuleResponses`).
        remarks: Sentences on how the module was differentiated and on what snapshots lack, where there is need.
    """

    kind = "modes"

    components: pd.DataFrame
    selection: pd.DataFrame
    shares: pd.DataFrame
    component_shares: pd.DataFrame
    score: pd.DataFrame
    growth: pd.DataFrame
    functions: FunctionalComponents
    response_KND: Float
    eigenvalues_K: Float
    watched: tuple[str, ...]
    unmoved: tuple[str, ...]
    derivative: Method
    derivative_error: float
    remarks: tuple[str, ...]


def functional_modes(
    module: nn.Module,
    snapshots: Sequence[Mapping[str, Tensor]],
    inputs_N: Inputs,
    *,
    readout: Callable[[object], Tensor],
    bases: Sequence[Basis] = (),
    params: str | Sequence[str] = "*weight",
    window: int = 20,
    center: bool = False,
    edge: int = 3,
    components: int = 3,
    nulls: int = 20,
    permutations: int = 99,
    seed: int = 42,
    dtype: torch.dtype = torch.float64,
) -> FunctionalModes:
    """Measure which functions of the input the last updates of a network move.

    Definition: responses (Xu 2026, §2.4) of the read-out at the last snapshot along the directions of the window that
    ends there; their energies, weighted by eigenvalue, divided among the subspaces of candidate bases
    (`selection_ratio_of_energies`) and among principal components (`functional_components`).
    Nulls: isotropic random directions, and random ones in the window's span.
    Responses are exact where the module has a derivative, and confirmed by central differences (`ModuleResponses`);
    attention runs without its fused kernels meanwhile. The module is used in place, and put back as it was.

    Args:
        module: The network, in evaluation mode; it is called with a batch of inputs. Parameters that snapshots leave
            out, and buffers, are its own unless a snapshot has them; where it stands elsewhere than at the last
            snapshot, trained ones are refused. What torch.compile, DataParallel and
            DistributedDataParallel wrap around it is left out, and so are their parts of names.
        snapshots: Parameters by name at equal distances in the training, oldest first, at least window + 1.
        inputs_N: All inputs, or a sample of them, first axis N: one tensor, or arguments by name, as a tokenizer gives
            them; arguments that are no tensors are passed on. Moved to the module's device and to `dtype`.
        readout: Picks the (N, D) tensor out of what the module returns. It may give several rows per input, as for
            every position of a text; bases are then over the rows.
        bases: Candidate bases over the inputs, such as `feature_basis` and `walsh_basis` give.
        params: Name patterns of the watched parameters, one or several. Parameters that do not move in the window are
            left out. Tied ones count once, and move in all their uses.
        window: Updates in the window, W. Default 20 (Xu 2026, §2.3).
        center: Remove the window's mean update. Default no (Xu 2026, §2.3).
        edge: How many directions count as edge. Default 3 (Xu 2026, §3).
        components: How many principal components.
        nulls: Directions of each null.
        permutations: Of the tests of components, and ten times as many of those of subspaces.
        seed: Root seed of directions, permutations and the split of the inputs.
        dtype: Precision in which the module runs. Default float64; float32 for modules that make tensors of that
            precision themselves. Responses are then good to about 1e-6 where they are exact.

    Returns:
        The tables.

    Raises:
        InputError: if the module or a part of it is in training mode, quantised, sharded or without shapes, fails or
            does not answer alike each time; there are too few snapshots or nulls; snapshots do not fit the module or
            share their memory; names match nothing; the weights do not move; the read-out is not (N, D), real and
            finite, has no derivative that can be confirmed or does not move; a basis is over other inputs; or the
            responses span too few functions.

    Cost: (W + nulls) forward derivatives of all inputs, and the tests. Updates and directions take 8·(3W + 2·nulls)·P
    bytes, responses 8·(W + 2·nulls)·N·D.
    """
    if nulls < 2:
        raise InputError(f"expected at least 2 directions of each null, got {nulls}: 20 are usual")
    tensors = ModuleTensors.of(module)
    patterns = [params] if isinstance(params, str) else list(params)
    watched = ModuleWindow.of(snapshots, tensors, patterns=patterns, window=window)
    found = window_directions(watched.updates_WP, center=center)
    count = len(found.vectors_KP)
    if count == 0:
        raise InputError("the watched parameters do not move in the window: choose others, or an earlier window")
    moved = responses_of_module(
        tensors,
        watched.state,
        inputs_N,
        [found.vectors_KP, random_directions(nulls, watched.layout.size, torch_generator(seed, "random"))],
        layout=watched.layout,
        select=readout,
        signs_K=torch.from_numpy(numpy_generator(seed, "signs").choice([-1.0, 1.0], count + nulls)),
        dtype=dtype,
    )
    window_KND, random_BND = np.split(moved.response_KND.cpu().numpy(), [count])
    if not window_KND.any():
        raise InputError("the read-out does not move along the window's directions: it does not depend on the weights")
    # Responses are linear in the direction: those in the window's span need no further pass.
    mixing_BK = random_directions(nulls, count, torch_generator(seed, "span")).numpy()
    span_BND = np.einsum("bk,knd->bnd", mixing_BK, window_KND)
    all_KND = np.concatenate([window_KND, random_BND, span_BND])
    eigenvalues_K = found.eigenvalues_K.cpu().numpy()
    functions = functional_components(window_KND, eigenvalues_K, count=components)
    leading = min(edge, count)
    kinds = pd.DataFrame(
        {
            "kind": np.repeat(["edge", "bulk", "random", "span"], [leading, count - leading, nulls, nulls]),
            "direction": [*range(1, count + 1), *range(1, nulls + 1), *range(1, nulls + 1)],
            "eigenvalue": [*eigenvalues_K, *[np.nan] * (2 * nulls)],
        }
    )
    selection, parts, within = [], [], []
    for basis in bases:
        energies_KS = basis.energies(all_KND)
        selection.append(
            selection_rows(
                energies_KS[:count],
                eigenvalues_K,
                energies_KS[count : count + nulls],
                basis,
                seed=seed,
                permutations=10 * permutations,
            )
        )
        parts.append(_part_shares(energies_KS, basis, kinds))
        within.append(_component_shares(functions, basis))
    states, changes = [], []
    if bases:
        before_ND, after_ND = (
            values_ND.cpu().numpy()
            for values_ND in readouts_of_module(
                tensors, [watched.first, watched.state], inputs_N, select=readout, dtype=dtype
            )
        )
        states = [_state(before_ND, after_ND, basis) for basis in bases]
        changes = [_change(before_ND, after_ND, basis) for basis in bases]
    selected, divided, contained, score, grown = (
        pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()
        for tables in (selection, parts, within, states, changes)
    )
    return FunctionalModes(
        _components(window_KND, random_BND, span_BND, eigenvalues_K, functions, permutations, seed),
        selected,
        divided,
        contained,
        score,
        grown,
        functions,
        window_KND,
        eigenvalues_K,
        tuple(watched.layout.shapes),
        watched.unmoved,
        moved.method,
        moved.error,
        (*watched.remarks, *moved.remarks),
    )


def _state(before_ND: Float, after_ND: Float, basis: Basis) -> pd.DataFrame:
    """Shares of the read-out itself in the subspaces of a basis, at both ends of the window."""
    divided = shares(basis.energies(np.stack([before_ND, after_ND])), basis)
    count = len(basis.subspaces) - 1
    return pd.DataFrame(
        {
            "snapshot": np.repeat(["first", "last"], count),
            "basis": basis.name,
            "subspace": basis.subspaces[1:] * 2,
            "share": divided.share_KS[:, 1:].ravel(),
            "chance": np.tile(divided.chance_S[1:], 2),
        }
    )


def _change(before_ND: Float, after_ND: Float, basis: Basis) -> pd.DataFrame:
    """What the read-out gained over the window in the subspaces of a basis."""
    divided = shares(basis.energies((after_ND - before_ND)[None]), basis)
    had = float(basis.energies(before_ND[None])[0, 1:].sum())
    return pd.DataFrame(
        {
            "basis": basis.name,
            "subspace": basis.subspaces[1:],
            "growth": growth(before_ND, after_ND, basis).whole_S[1:] / (had or np.nan),
            "share": divided.share_KS[0, 1:],
            "chance": divided.chance_S[1:],
        }
    )


def _part_shares(energies_KS: Float, basis: Basis, kinds: pd.DataFrame) -> pd.DataFrame:
    """Shares of every direction in the parts of a basis, one row each."""
    divided = shares(energies_KS, basis)
    share_KS, chance_S = divided.share_KS, divided.chance_S
    tables = []
    for part in dict.fromkeys(basis.parts[1:]):
        places = basis.indices(part)
        tables.append(
            kinds.assign(basis=basis.name, part=part, share=share_KS[:, places].sum(1), chance=chance_S[places].sum())
        )
    return pd.concat(tables, ignore_index=True)


def _component_shares(functions: FunctionalComponents, basis: Basis) -> pd.DataFrame:
    """Shares of every component in the subspaces of a basis."""
    share_CS = shares(basis.energies(functions.functions_NC.T[:, :, None]), basis).share_KS[:, 1:]
    count, subspaces = share_CS.shape
    return pd.DataFrame(
        {
            "component": np.repeat(np.arange(1, count + 1), subspaces),
            "basis": basis.name,
            "subspace": np.tile(basis.subspaces[1:], count),
            "share": share_CS.ravel(),
        }
    )


def _components(
    window_KND: Float,
    random_BND: Float,
    span_BND: Float,
    eigenvalues_K: Float,
    functions: FunctionalComponents,
    permutations: int,
    seed: int,
) -> pd.DataFrame:
    """The table of components."""
    count, ones = len(functions.share_C), np.ones(len(random_BND))
    tested = component_test(
        window_KND,
        eigenvalues_K,
        random_BND,
        count=count,
        generator=numpy_generator(seed, "components"),
        permutations=permutations,
    )
    halves = split_half(window_KND, eigenvalues_K, count=count, generator=numpy_generator(seed, "halves"))
    random = functional_components(random_BND, ones, count=count)
    return pd.DataFrame(
        {
            "component": np.arange(1, count + 1),
            "share": functions.share_C,
            "window_share": tested.share_C,
            "random_share": tested.random_share_C,
            "span_share": np.cumsum(held_shares(functions.functions_NC, span_BND, ones)),
            "random_components_share": np.cumsum(held_shares(random.functions_NC, window_KND, eigenvalues_K)),
            "ratio": tested.ratio_C,
            "p_share": tested.p_share_C,
            "p_ratio": tested.p_ratio_C,
            "split_share": halves.held_C,
            "split_best": halves.best_C,
            "split_overlap": halves.overlap_C,
        }
    )
