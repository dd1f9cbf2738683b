"""Three decompositions of one training run, when each of them changes, and whether they change together (§4.2)."""

from collections.abc import Iterator
from math import exp
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spectraledge.analyses.analysis import Analysis, Column, Table, without
from spectraledge.analyses.course import CHANGE_COLUMNS, change_table
from spectraledge.analyses.edge_decline import TABLE_WINDOW, recorded_gram, window_spectra
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.models import Attention, HasAttention, architecture_of
from spectraledge.spectrum import (
    block_windows,
    displacement_gram,
    gaussian_singular_values,
    orthogonal_gram,
    principal_components,
)
from spectraledge.statistics import empirical_p
from spectraledge.streams import numpy_generator, torch_generator
from spectraledge.training import RunConfig
from spectraledge.trajectory import Manifest, RecordedGram, Series, read_snapshot

CHIEF = {"updates": "g23", "displacement": "pc1_share", "weights": "ratio"}
"""The quantity of each decomposition whose change is compared with the others' (Xu 2026, §4.2)."""

_KEPT = 3
"""Singular values of the Gram that are followed (Xu 2026, §3: three directions count as edge)."""

_MATRICES, _DRAWS = 99, 9_999
"""Matrices of noise, and draws of three independent changes (ours: quantiles to 1 % and p down to 1e-4)."""

_NUMBERS = 1 << 22
"""Numbers of a block of updates: 32 MiB in double precision."""

_Row = tuple[str, str, int, int, int, float, float, float]


def decompositions(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Follow the Gram of updates, the components of the path and the singular values of W_Q and W_K over a run.

    Definition: Xu 2026, §4.2. "updates": the spectrum of trailing windows, those of 10 updates (Xu 2026,
    Table 1) beside the window's own where the run has as many. "displacement": principal components of
    θ_0..θ_t of the watched parameters, so that the window grows. "weights": singular values of all heads' W_Q and W_K
    together, of each layer; left out where a network has none, and then nothing is said of agreement.
    Null: of updates, updates of the same lengths at right angles; of the path, a random walk with those steps, which
    has a first component of 61 % whatever it does not learn (see `principal_components`); of a weight matrix, normal
    noise of its shape and Frobenius norm, median and 95 % quantile.
    Changes are single changes of level (see `change_point`). Residuals are permuted in blocks of a window, and for the
    path, whose windows share their points, of half the series; a short course supports no change. A series that drifts
    from one end to the other changes best near its middle, so changes agree about as well where nothing happens:
    compare with `null_step`, with runs that never grok, and with `null_spread`, that of three changes anywhere.

    Returns:
        `COURSES`, `CHANGES` and `AGREEMENT` by name.

    Cost: O(T²·P + T⁴) time for T snapshots: about a second for 50 of 131,072 watched parameters.
    """
    config, grokked = RunConfig.of_run(folder), Manifest.read(folder).grokked_step
    recorded = recorded_gram(folder, settings.window)
    series = Series.open(folder, config.watched)
    windows = [settings.window] + [TABLE_WINDOW] * (settings.window != TABLE_WINDOW <= len(recorded.steps))
    rows: list[_Row] = []
    for window in windows:
        rows += _of_updates(recorded, window, settings.center_spectrum)
    rows += _of_displacement(series)
    architecture = architecture_of(config.model)
    if isinstance(architecture, HasAttention):
        rows += _of_weights(series, architecture.attention, settings.seed)
    table = COURSES.frame(rows)
    if not isinstance(architecture, HasAttention):
        table = without(table, "the network has no W_Q and W_K, so that nothing is said of its weights")
    changes = _changes(table, grokked, settings)
    agreement = AGREEMENT.frame(_agreement(table, changes, window, grokked, settings.seed) for window in windows)
    return {"decompositions": table, "decomposition_changes": changes, "decomposition_agreement": agreement}


def _of_updates(recorded: RecordedGram, window: int, center: bool) -> Iterator[_Row]:
    found, null, _ = window_spectra(recorded, window, center=center)
    pairs = {f"sigma_{k + 1}": tuple(part.singular_values_TW[:, k] for part in (found, null)) for k in range(_KEPT)}
    pairs["k_star"] = (found.k_star_T, null.k_star_T)
    pairs["g23"] = (found.gaps_TW[:, 1], null.gaps_TW[:, 1])
    pairs["trace"] = (found.trace_T, null.trace_T)
    for name, (values_N, null_N) in pairs.items():
        for step, value, expected in zip(recorded.steps[window - 1 :], values_N, null_N, strict=True):
            yield "updates", name, window, 0, step, float(value), float(expected), np.nan


def _of_displacement(series: Series) -> Iterator[_Row]:
    steps = [snapshot.step for snapshot in series.snapshots]
    count = len(steps) - 1
    blocks = series.blocks(max(1, _NUMBERS // max(1, count)))
    (gram_TT,) = block_windows(((update.update_P for update in block.updates()) for block in blocks), count)
    path_NN, walk_NN = displacement_gram(gram_TT), displacement_gram(orthogonal_gram(gram_TT))
    for points in range(3, len(steps) + 1):
        found, walk = (principal_components(part[:points, :points]) for part in (path_NN, walk_NN))
        cosine = float(found.courses_NK[:, 0] @ walk.courses_NK[:, 0]) ** 2
        for k in range(2):
            shares = float(found.shares_K[k]), float(walk.shares_K[k])
            yield "displacement", f"pc{k + 1}_share", 0, 0, steps[points - 1], *shares, np.nan
        yield "displacement", "pc1_cosine", 0, 0, steps[points - 1], cosine, 1.0, np.nan


def _of_weights(series: Series, attention: Attention, seed: int) -> Iterator[_Row]:
    width, names = attention.width, attention.qkv
    depth = len(names)
    drawn_BLD = gaussian_singular_values(
        width, width, _MATRICES * 2 * depth, torch_generator(seed, "matrices")
    ).reshape(_MATRICES, 2 * depth, width)
    ratio_BL, share_BL = _ratios(drawn_BLD)
    nulls = {"ratio": ratio_BL.flatten(), "share": share_BL.flatten(), "all": ratio_BL.log().mean(1).exp()}
    expected = {name: np.quantile(values.numpy(), [0.5, 0.95]).tolist() for name, values in nulls.items()}
    for snapshot in series.snapshots:
        tensors = read_snapshot(snapshot.path, names)
        queries_keys_LDD = torch.cat([tensors[name][: 2 * width].reshape(2, width, width) for name in names]).double()
        ratio_L, share_L = _ratios(torch.linalg.svdvals(queries_keys_LDD))
        for place in range(2 * depth):
            layer, kind = place // 2 + 1, ("query", "key")[place % 2]
            for name, values_L in (("ratio", ratio_L), ("share", share_L)):
                yield "weights", f"{kind}_{name}", 0, layer, snapshot.step, float(values_L[place]), *expected[name]
        yield "weights", "ratio", 0, 0, snapshot.step, exp(float(ratio_L.log().mean())), *expected["all"]


def _ratios(values_LD: Tensor) -> tuple[Tensor, Tensor]:
    """Return σ_1/σ_2 and σ_1² over the squared Frobenius norm of each matrix."""
    squares_LD = values_LD.square()
    return values_LD[..., 0] / values_LD[..., 1], squares_LD[..., 0] / squares_LD.sum(-1)


def _changes(table: pd.DataFrame, grokked: int | None, settings: AnalysisConfig) -> pd.DataFrame:
    scaled = table["quantity"].str.contains("sigma|ratio")
    found = []
    for _, part in table.groupby(["decomposition", "window"], sort=False):
        decomposition, window = str(part["decomposition"].iloc[0]), int(part["window"].iloc[0])
        block = len(part) if decomposition == "displacement" else window or settings.window
        both = []
        for column in ("value", "null"):
            levels = part[column].where(~scaled, np.log(part[column].where(part[column] > 0)))
            course = part.assign(value=levels, kind="window", direction=part["layer"])
            both.append(change_table(course, grokked, block=block, seed=settings.seed))
        changes, of_null = both
        null_step = of_null.set_index(["quantity", "direction"])["step"].astype(float).rename("null_step")
        changes = changes.join(null_step, on=["quantity", "direction"]).rename(columns={"direction": "layer"})
        changes.insert(0, "decomposition", decomposition)
        changes.insert(2, "window", window)
        found.append(changes)
    # A course too short for changes has none, and its columns no types.
    return pd.concat([changes for changes in found if len(changes)] or found, ignore_index=True)


def _agreement(
    table: pd.DataFrame, changes: pd.DataFrame, window: int, grokked: int | None, seed: int
) -> tuple[float, ...]:
    """A row of `AGREEMENT`."""

    def chief(part: pd.DataFrame, decomposition: str) -> pd.DataFrame:
        of_window = window if decomposition == "updates" else 0
        chosen = (part["decomposition"] == decomposition) & (part["quantity"] == CHIEF[decomposition])
        return part[chosen & (part["window"] == of_window)]

    found = {decomposition: chief(changes, decomposition) for decomposition in CHIEF}
    steps = {name: float(change["step"].iloc[0]) if len(change) else np.nan for name, change in found.items()}
    with_null = (found[name] for name in ("updates", "displacement"))
    nulls = [float(change["null_step"].iloc[0]) if len(change) else np.nan for change in with_null]
    spread, null_spread, p = float(np.ptp(list(steps.values()))), np.nan, np.nan
    if np.isfinite(spread):
        generator = numpy_generator(seed, "agreement", window)
        # Where a change of level with two points before it and two from it on can be.
        drawn = [generator.choice(chief(table, name)["step"].to_numpy()[2:-1], _DRAWS) for name in CHIEF]
        null_spreads = np.ptp(drawn, axis=0)
        null_spread, p = float(np.median(null_spreads)), empirical_p(-spread, -null_spreads)
    grokked_step = np.nan if grokked is None else float(grokked)
    return window, grokked_step, *steps.values(), *nulls, spread, null_spread, p


_WINDOW = Column("updates in it; 0 for all but updates")
_LAYER = Column("from 1; 0 for what is of no single layer")

COURSES = Table(
    "decompositions",
    "quantity and step",
    {
        "decomposition": Column("updates (their Gram), displacement (the path since the first weights), weights"),
        "quantity": Column(
            "of updates sigma_1, sigma_2, sigma_3 (singular values), k_star, g23, trace; of the displacement "
            "pc1_share, pc2_share, pc1_cosine (squared cosine between its first component's course and the walk's); "
            "of the weights query_ratio, key_ratio (σ_1/σ_2), query_share, key_share (σ_1² over the squared norm), "
            "ratio (geometric mean of all ratios)"
        ),
        "window": _WINDOW,
        "layer": _LAYER,
        "step": Column("the snapshot", "step"),
        "value": Column("of the quantity"),
        "null": Column("the same of orthogonal updates, of a random walk, or (median) of normal noise"),
        "null_high": Column("95 % quantile of the null; missing where that is exact"),
    },
)
CHANGES = Table(
    "decomposition_changes",
    "quantity that varies; levels of logarithms for sigma_k, g23, trace and ratios",
    {
        "decomposition": Column("as in decompositions"),
        "quantity": Column("as in decompositions"),
        "window": _WINDOW,
        "layer": _LAYER,
        **CHANGE_COLUMNS,
        "null_step": Column("where its null changes, if it does", "step"),
    },
)
AGREEMENT = Table(
    "decomposition_agreement",
    "window of the updates",
    {
        "window": Column("updates in it"),
        "grokked_step": Column("where test accuracy reached .95; missing where never", "step"),
        "updates": Column("where g23 changes", "step"),
        "displacement": Column("where pc1_share changes", "step"),
        "weights": Column("where ratio changes", "step"),
        "updates_null": Column("where the null of g23 changes", "step"),
        "displacement_null": Column("where the null of pc1_share changes", "step"),
        "spread": Column("last less first of the three", "steps"),
        "null_spread": Column("median for three independent changes, each anywhere in its series", "steps"),
        "p": Column("share of those that agree as well"),
    },
)

DECOMPOSITIONS = Analysis(
    "decompositions",
    decompositions,
    (COURSES, CHANGES, AGREEMENT),
    settings=("window", "center_spectrum", "seed"),
    joined=("decomposition_changes", "decomposition_agreement"),
)
