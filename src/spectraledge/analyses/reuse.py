"""Reuse: what a run's edge does in the bases of every part of the composite task, read at the trunk and at each head.

All runs are read on the pairs without a zero, the domain of joint tasks, so that a task alone and the same task beside
others compare.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from spectraledge.analyses.analysis import BASIS, DIRECTION, DIRECTION_SETTINGS, KIND, STEP, Analysis, Column, Table
from spectraledge.analyses.probe_table import FEATURES, PROBED, probe_responses
from spectraledge.analyses.selection_tables import selection_rows
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.arrays import Float
from spectraledge.devices import host
from spectraledge.modes import (
    Basis,
    field,
    functions_holding,
    grouping_basis,
    inclusion,
    leading_functions,
    peak,
    shares,
)
from spectraledge.observed.labelled_directions import LabelledDirections, collect_directions
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.tasks import Task, grouping, joint_task, named_task, why_not

COMPOSITE = "square_sum"
"""The task whose structure is in question (Xu 2026, §6.5); its answers are the output."""

COMPARED = ("edge", "bulk", "span", "random")
"""Kinds of directions that are measured (see `labelled_directions.KINDS`)."""

HELD = 0.5
"""Share of the energy that a functional subspace holds (our choice: on trained runs 13 functions hold half of the
energy of three directions and 45 hold nine tenths, which are nearly all that three directions can move)."""

MOST = 20
"""Largest rank of a functional subspace (our choice: so that subspaces of a study stay small on disk)."""

BASES = ("output", "sum", "output_dlog", "dlog_sum", "gaussian_angle")
"""Bases in which reuse is measured: those of Xu 2026, §6.5, and those of addition and multiplication. The paper's other
Gaussian basis, dlog(a + ib) + dlog(a − ib), is output_dlog, because (a + ib)(a − ib) = a² + b²."""

RESIDUAL = "residual"
"""Read-out before the heads, which all of them share (Xu 2026, §2.4)."""


def reuse(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Measure in which bases a run's edge moves the trunk and every head, and what the heads' functions share.

    Definition: Xu 2026, §6.5 and §6.6, at the step that `RecordedRun.chosen_step` gives for the run's last part, with
    exact responses in single precision (they differ from those in double by less than 10⁻⁶ of their norm). A run that
    starts from a trunk may end before there are enough updates for a window; it is then measured over all it has (our
    choice over leaving it out; `window` says so, and directions of shorter windows are noisier).
    Null: random directions, in the window's span and isotropic, of the same network; for probes also random features of
    the same number.

    Returns:
        `REUSE_TABLES` by name. a + b's own functions are those of "sum", a·b's of "dlog_sum", a² + b²'s of "output"
        (and "output_dlog", which lacks only the answer 0). Probes have no rows where one of their two bases does not
        apply. Where the two kinds of waves are orthogonal, as nearly on this domain, R² of both is the sum, so that the
        published synergy is the smaller R² of the two, and it is not 0 for a response that only adds them: interaction
        is. Inclusion is of runs of several parts: subspaces are the leading functions of the logits' responses along
        the draw's directions, each counted alike, as many as hold half of the energy of the edge's (see `HELD`), at
        most `MOST`.

    Raises:
        InputError: if the folder is no run, has fewer than three snapshots, or is of no named task.

    Cost: about ten seconds on one core for 59 directions at p = 97, and three for each part beyond the first.
    """
    run = RecordedRun.open(folder, settings.params, device=settings.device)
    step = run.chosen_step(settings.step)
    updates = min(settings.window, len(run.series.until(step).snapshots) - 1)
    window = run.window(step, window=updates, center=settings.center_modes)
    composite = joint_task([named_task(COMPOSITE, modulus=run.config.model.tokens)]).parts[0]
    heads = _heads(run, step, composite, settings)
    trunk = next(iter(heads.values()))
    directions = collect_directions(run, window, trunk, settings.residual_view, kinds=COMPARED)
    seen = _see(heads, directions, composite)
    eigenvalues_K = window.directions.eigenvalues_K.numpy()
    tables = {
        "reuse": seen.table,
        "reuse_selection": _selection(seen, directions, eigenvalues_K, seed=settings.seed),
        "reuse_probes": _probes(seen.probed, composite, seed=settings.seed),
        "inclusion": inclusion_table(seen.spans),
    }
    for table in tables.values():
        table.insert(0, "step", step)
        table.insert(1, "window", updates)
    return {**tables, "functions": _functions(composite, seen.spans["edge"][0])}


@dataclass(frozen=True)
class _Seen:
    """What is kept of the responses.

    Attributes:
        bases: Bases by name, whole parts only.
        table: See `reuse`.
        energies: Energies by read-out and basis, shape (K, S).
        spans: Orthonormal functions by kind, draw and part, shape (N, r).
        probed: Responses of the residual along the directions that are probed, by kind and number.
    """

    bases: Mapping[str, Basis]
    table: pd.DataFrame
    energies: Mapping[tuple[str, str], Float]
    spans: Mapping[str, list[dict[str, Float]]]
    probed: Mapping[tuple[str, int], NDArray[np.floating]]


def _heads(run: RecordedRun, step: int, composite: Task, settings: AnalysisConfig) -> dict[str, Network]:
    """The network behind each part's head, over the common domain."""
    pairs_N2 = torch.from_numpy(composite.pairs_N2).to(run.device)
    heads = {}
    for of_part in RecordedRun.parts(run.folder, settings.params, device=settings.device):
        name = of_part.task.name
        known = joint_task([named_task(name, modulus=composite.modulus)]).parts[0]
        network = Network.at(of_part, step, dtype=torch.float32)
        labels_N = torch.from_numpy(known.labels_N).to(run.device)
        heads[name] = replace(network, inputs_N2=pairs_N2, labels_N=labels_N)
    return heads


def _see(heads: Mapping[str, Network], directions: LabelledDirections, composite: Task) -> _Seen:
    groupings = {name: grouping(composite, name) for name in BASES if not why_not(composite, name)}
    bases = {name: grouping_basis(group).coarse for name, group in groupings.items()}
    trunk, draw = next(iter(heads.values())), len(directions.places("edge"))
    rows: list[pd.DataFrame] = []
    energies: dict[tuple[str, str], list[Float]] = {}
    spans: dict[str, list[dict[str, Float]]] = {kind: [] for kind in COMPARED}
    probed: dict[tuple[str, int], NDArray[np.floating]] = {}
    for kind in COMPARED:
        places = directions.places(kind)
        every_KND = trunk.responses(directions.vectors_KP[places]) if places else directions.vectors_KP[:0]
        for start in range(0, len(places), draw):
            drawn = places[start : start + draw]
            residual_KND = every_KND[start : start + draw]
            read = {RESIDUAL: residual_KND, **_logits(heads, residual_KND, directions.vectors_KP[drawn])}
            numbers = [directions.numbers[place] for place in drawn]
            for readout, single_KND in read.items():
                response_KND = single_KND.double()
                field_KN = field(response_KND)
                for name, basis in bases.items():
                    energy_KS, peaks = basis.energies(response_KND), peak(field_KN, groupings[name])
                    energies.setdefault((readout, name), []).append(energy_KS)
                    columns = {
                        "readout": readout,
                        "kind": kind,
                        "direction": numbers,
                        "basis": name,
                        "frequency": peaks.frequency_K,
                        "concentration": peaks.concentration_K,
                        "energy_share": shares(energy_KS, basis).corrected("frequency"),
                    }
                    rows.append(pd.DataFrame(columns))
            if len(drawn) == draw:
                ranks = {part: span.shape[1] for part, span in spans["edge"][0].items()} if spans["edge"] else {}
                spans[kind].append({part: _span(host(read[part]), ranks.get(part)) for part in heads})
            if kind in ("edge", "random"):
                pairs = zip(numbers, host(residual_KND), strict=True)
                probed |= {(kind, number): response for number, response in pairs if number <= PROBED}
    joined = {key: np.vstack(parts) for key, parts in energies.items()}
    return _Seen(bases, pd.concat(rows, ignore_index=True), joined, spans, probed)


def _logits(
    heads: Mapping[str, Network], residual_KND: torch.Tensor, vectors_KP: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Responses of each head's centred logits where those of the residual are known."""
    pairs = list(zip(residual_KND, vectors_KP, strict=True))
    return {
        part: torch.stack([network.later(response_ND, vector_P[None], "logits") for response_ND, vector_P in pairs])
        for part, network in heads.items()
    }


def _span(response_KND: NDArray[np.floating], rank: int | None) -> Float:
    """Leading functions of a rank; by default as many as hold `HELD` of the energy, at most `MOST`."""
    held = min(functions_holding(response_KND, share=HELD), MOST) if rank is None else rank
    return leading_functions(response_KND, held)


def _selection(seen: _Seen, directions: LabelledDirections, eigenvalues_K: Float, *, seed: int) -> pd.DataFrame:
    window, random = directions.places("edge", "bulk"), directions.places("random")
    tables = []
    for (readout, name), energies_KS in seen.energies.items():
        rows = selection_rows(
            energies_KS[window], eigenvalues_K, energies_KS[random], seen.bases[name], seed=seed, permutations=1
        )
        tables.append(rows[rows["subspace"] == "frequency"].assign(readout=readout))
    columns = ["readout", "basis", "dimension", "ratio", "low", "high", "p", "window_share", "random_share"]
    return pd.concat(tables, ignore_index=True)[columns]


def _probes(probed: Mapping[tuple[str, int], NDArray[np.floating]], composite: Task, *, seed: int) -> pd.DataFrame:
    names = ["additive", "multiplicative", "both", "cross", "synergy", "interaction"]
    columns = ["kind", "direction", "held_out", *names, *(f"random_{name}" for name in names)]
    if any(why_not(composite, name) for name in FEATURES.values()):
        return pd.DataFrame(columns=columns)
    labels = list(probed)
    found = probe_responses(composite, np.stack(list(probed.values())), seed=seed, held_out=["rows"])
    r2 = found.pivot(index=["response", "held_out"], columns=["random", "features"], values="r2")
    table = pd.DataFrame(index=r2.index)
    for random, prefix in ((False, ""), (True, "random_")):
        for name in names[:4]:
            table[prefix + name] = r2[random, name]
        additive, multiplicative, both = (table[prefix + name] for name in names[:3])
        table[f"{prefix}synergy"] = both - np.maximum(additive, multiplicative)
        table[f"{prefix}interaction"] = both - additive - multiplicative
    table = table.reset_index()
    table["kind"] = [labels[place][0] for place in table["response"]]
    table["direction"] = [labels[place][1] for place in table["response"]]
    return table[columns]


def inclusion_table(spans: Mapping[str, Sequence[Mapping[str, Float]]]) -> pd.DataFrame:
    """Inclusion of every part's functions in those of all others together; no rows where there is only one part."""
    rows = []
    for kind, draws in spans.items():
        for number, parts in enumerate(draws, start=1):
            for target, target_Nr in parts.items() if len(parts) > 1 else ():
                others = {name: span for name, span in parts.items() if name != target}
                rank = int(np.linalg.matrix_rank(np.hstack(list(others.values()))))
                held, chance = inclusion(target_Nr, *others.values()), rank / (len(target_Nr) - 1)
                rows.append((target, "+".join(others), kind, number, target_Nr.shape[1], rank, held, chance))
    return pd.DataFrame(rows, columns=list(INCLUSION.columns)[2:])


def _functions(composite: Task, spans: Mapping[str, Float]) -> pd.DataFrame:
    """Subspaces as a table; half precision moves an inclusion by less than 10⁻⁶ and halves the file."""
    columns = {"a": composite.pairs_N2[:, 0], "b": composite.pairs_N2[:, 1]}
    for part, span_Nr in spans.items():
        halves_rN = (span_Nr.T * np.sqrt(len(span_Nr))).astype(np.float16)
        columns |= {f"{part} {place + 1}": half_N for place, half_N in enumerate(halves_rN)}
    return pd.DataFrame(columns)


_WINDOW = Column("updates in the window, fewer than asked for where the run has no more")
_READOUT = Column("residual, or a part for the centred logits of that part's head")
_FEATURES = {
    "additive": "waves of a + b",
    "multiplicative": "waves of dlog a + dlog b",
    "both": "both",
    "cross": "both and their products",
}
_DERIVED = {"synergy": "both − max(additive, multiplicative)", "interaction": "both − additive − multiplicative"}
_OF = {name: f"of {words}" for name, words in _FEATURES.items()} | _DERIVED

READINGS = Table(
    "reuse",
    "read-out, direction (edge, bulk, span, random) and basis",
    {
        "step": STEP,
        "window": _WINDOW,
        "readout": _READOUT,
        "kind": KIND,
        "direction": DIRECTION,
        "basis": BASIS,
        "frequency": Column("ω of the largest power of ‖R‖²"),
        "concentration": Column("F: its share of the power (published)", "share"),
        "energy_share": Column("of the vector response, in functions of the basis, corrected for chance", "share"),
    },
)
SELECTED = Table(
    "reuse_selection",
    "read-out and basis",
    {
        "step": STEP,
        "window": _WINDOW,
        "readout": _READOUT,
        "basis": BASIS,
        "dimension": Column("of all functions of the basis"),
        "ratio": Column("selection ratio S of all functions of the basis; 1 is no selection", "ratio"),
        "low": Column("lower end of its 95 % interval", "ratio"),
        "high": Column("upper end of its 95 % interval", "ratio"),
        "p": Column("one-sided, not adjusted"),
        "window_share": Column("of the response's energy along the window, mean left out", "share"),
        "random_share": Column("of the response's energy along isotropic directions, mean left out", "share"),
    },
)
PREDICTED = Table(
    "reuse_probes",
    "probed direction of the residual (edge, random) and way to hold out",
    {
        "step": STEP,
        "window": _WINDOW,
        "kind": KIND,
        "direction": DIRECTION,
        "held_out": Column("none (in sample, as published) or rows"),
        **{name: Column(words, "R²") for name, words in _OF.items()},
        **{f"random_{name}": Column(f"{words}, of as many random features", "R²") for name, words in _OF.items()},
    },
)
INCLUSION = Table(
    "inclusion",
    "part, kind and draw of directions",
    {
        "step": STEP,
        "window": _WINDOW,
        "target": Column("the part whose functions are compared"),
        "others": Column("the other parts, joined by +"),
        "kind": KIND,
        "draw": Column("1-based; the edge is one, of other kinds as many directions at a time are drawn"),
        "target_rank": Column("functions of the target"),
        "others_rank": Column("functions of the others together"),
        "inclusion": Column("I, how much of the target's functions lies in those of the others", "share"),
        "chance": Column("of random functions of these ranks", "share"),
    },
)
FUNCTIONS = Table(
    "functions",
    "input pair",
    {"a": Column("first input"), "b": Column("second input")},
    more='"PART 1", "PART 2", …: the functions that the edge moves at each head, orthogonal, of mean square 1',
)
REUSE_TABLES = (READINGS, SELECTED, PREDICTED, INCLUSION, FUNCTIONS)

REUSE = Analysis(
    "reuse",
    reuse,
    REUSE_TABLES,
    settings=DIRECTION_SETTINGS,
    joined=("reuse", "reuse_selection", "reuse_probes", "inclusion"),
)
