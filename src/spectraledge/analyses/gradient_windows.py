"""Windows of gradients beside those of updates: spectra, edges, which functions they select, and what they carry."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from spectraledge.analyses.analysis import BASIS, DIRECTION_SETTINGS, READOUT, STEP, Analysis, Column, Drawing, Table
from spectraledge.analyses.growth import FUNCTION
from spectraledge.analyses.move_table import recorded_moves
from spectraledge.analyses.selection_tables import WHOLE, selection_rows
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.spectra import EDGE, EIGENVALUES
from spectraledge.arrays import Float
from spectraledge.devices import host
from spectraledge.models import ReadoutName, architecture_of
from spectraledge.modes import Basis, carried_growth, grouping_basis, shares, span_cosines
from spectraledge.observed.gradient_batch import DRAWS, GradientBatch
from spectraledge.observed.network import Network, check_readout
from spectraledge.observed.recorded_run import RecordedRun, Window
from spectraledge.spectrum import Directions, Spectrum, window_directions
from spectraledge.spectrum.windows import check_window
from spectraledge.statistics import random_directions
from spectraledge.streams import numpy_generator, torch_generator
from spectraledge.tasks import grouping
from spectraledge.training.saved_state import read_state, state_path
from spectraledge.training.step_rules import ADAM_EPSILON
from spectraledge.trajectory import Layout, edge_table, spectrum_table, whole

SOURCES = {
    "update": "updates between snapshots",
    "optimizer": "the optimizer's part of them",
    "decay": "weight decay's part of them",
    "summed": "gradients of the steps in between, summed as they came",
    "gradient": "gradients on one batch of training pairs, at the snapshots where the updates end",
    "permuted": "the same for the answers dealt out to other pairs of the batch",
    "preconditioned": "the gradients on the batch as Adam scales them, ĝ/(√v̂ + ε), v̂ its mean of squares there",
    "preconditioned permuted": "the same for the answers dealt out",
    "momentum": "Adam's running mean of the gradients at these snapshots",
}
"""What a window is of. The second to fourth need recorded moves, the last three a state kept at each of its
snapshots."""

_DEAL = 19
_CHUNK = 16


class _Source(NamedTuple):
    """A window's rows, and what they are.

    Attributes:
        source: One of `SOURCES`.
        part: Of a joint task, whose loss the gradients are of; "" for all together.
        draw: Of permuted answers, else 0.
        rows_WP: One row per update of the window.
        noise: Largest squared length that rounding of the stored parameters can give them together.
    """

    source: str
    part: str
    draw: int
    rows_WP: Tensor
    noise: float = 0.0


def gradient_windows(folder: Path, settings: AnalysisConfig) -> dict[str, pd.DataFrame]:
    """Take the window at a step of updates, of what they are made of and of gradients, and read all of them alike.

    Definition: every `SOURCES` has a row per update of the window, and directions, eigenvalues, shares and selection
    ratio as the window of updates has them. A gradient on a fixed batch is a function of the weights: it is computed
    at the snapshots, in the precision asked for. Carried: of the own functions' first-order growth over an interval,
    the part along leading directions (see `carried_growth`), over what all watched parameters carry; of the interval
    behind the window, which it has not seen, and of its last.
    Null: permuted answers; of selection ratios isotropic directions; K directions of P at random carry K/P of a growth
    and have a mean squared cosine of K/P with others.

    Returns:
        `SPECTRA`, `EDGES` and `SELECTED` by name.

    Cost: per step of a single task about 160 responses and 80 gradients: three minutes at p = 97, half with
    single precision.
    """
    seen = RecordedRun.parts(folder, settings.params, device=settings.device)
    parts, run = {one.task.name: one for one in seen}, seen[-1]
    steps = [run.chosen_step(settings.step)]
    if settings.stride:
        check_window(settings.window, len(run.steps))
        steps = run.steps[settings.window :][::-1][:: settings.stride][::-1]
    batch = GradientBatch.draw(run, numpy_generator(settings.seed, "gradients"))
    generator = torch_generator(settings.seed, "gradients")
    isotropic_BP = random_directions(settings.nulls, run.series.layout.size, generator)
    tables: dict[str, list[pd.DataFrame]] = {table.name: [] for table in _TABLES}
    for step in steps:
        window = run.window(step, window=settings.window, center=settings.center_modes)
        place = _Place.of(parts, step, isotropic_BP, settings)
        for source in _sources(parts, window, batch, place.network.dtype):
            found = window_directions(source.rows_WP, center=window.center, storage_noise=source.noise)
            spectrum = Spectrum.of(found.eigenvalues_K, len(source.rows_WP), center=window.center)
            label = {"step": step, **source._asdict()}
            edge = edge_table([step], spectrum, torch.empty(0, 2, dtype=torch.float64, device="cpu"))
            edges = [one.vectors_KP[: settings.edge] for one in (window.directions, found)]
            edge["with_updates"] = np.square(span_cosines(*edges)).mean() if len(edges[1]) else np.nan
            for table, made in (
                (SPECTRA, spectrum_table([step], spectrum)),
                (EDGES, edge),
                (SELECTED, place.selected(found, settings)),
            ):
                tables[table.name].append(made.assign(**{name: label[name] for name in _LABEL})[list(table.columns)])
    return {name: pd.concat(found, ignore_index=True) for name, found in tables.items()}


class _Place(NamedTuple):
    """A network at a step, and what windows are held against there.

    Attributes:
        network: The network.
        readout: What responds.
        bases: The own basis of every part of the task.
        isotropic: Energies of isotropic directions in each.
        growths: By part, gradient of its own functions' energy and update, of the next interval and of the last one.
    """

    network: Network
    readout: ReadoutName
    bases: dict[str, Basis]
    isotropic: dict[str, Float]
    growths: dict[str, dict[str, tuple[Float, Float]]]

    @classmethod
    def of(cls, parts: dict[str, RecordedRun], step: int, isotropic_BP: Tensor, settings: AnalysisConfig) -> "_Place":
        dtype = torch.float64 if settings.precision == "double" else torch.float32
        network = Network.at(list(parts.values())[-1], step, dtype=dtype)
        bases = {name: grouping_basis(grouping(run.task, run.task.structure)) for name, run in parts.items()}
        growths = {name: dict(_growths(run, step, bases[name], dtype)) for name, run in parts.items()}
        blank = cls(network, check_readout(settings.readout), bases, {}, growths)
        return blank._replace(isotropic=blank.energies(isotropic_BP))

    def energies(self, vectors_KP: Tensor) -> dict[str, Float]:
        """Energies of the responses along directions, by part."""
        found: dict[str, list[Float]] = {name: [] for name in self.bases}
        for some in torch.split(vectors_KP, _CHUNK):
            response_KND = self.network.responses(some, self.readout)
            for name, basis in self.bases.items():
                found[name].append(basis.energies(response_KND))
        return {name: np.vstack(rows) for name, rows in found.items()}

    def selected(self, found: Directions, settings: AnalysisConfig) -> pd.DataFrame:
        """What a window selects and carries: a row for every part's own functions, none where it has no directions."""
        if not len(found.eigenvalues_K):
            return SELECTED.frame()
        rows = []
        eigenvalues_K, vectors_KP = found.eigenvalues_K.numpy(), found.vectors_KP.numpy()
        for (name, basis), energies_KS in zip(
            self.bases.items(), self.energies(found.vectors_KP).values(), strict=True
        ):
            selected = selection_rows(
                energies_KS, eigenvalues_K, self.isotropic[name], basis, seed=settings.seed, permutations=_DEAL
            )
            carried = {}
            for which in ("next", "last"):
                gradient_P, update_P = self.growths[name].get(which, (vectors_KP[0], 0 * vectors_KP[0]))
                total = float(gradient_P @ update_P)
                share_K = carried_growth(gradient_P, update_P, vectors_KP) / (total or np.nan)
                carried[f"{which}_edge"] = share_K[min(settings.edge, len(share_K)) - 1]
                carried[f"{which}_whole"] = share_K[-1]
            of_edge = shares(energies_KS[: settings.edge], basis).corrected(WHOLE).mean()
            own = selected[selected["subspace"] == WHOLE]
            rows.append(own.assign(functions=name, readout=self.readout, energy_share=of_edge, **carried))
        return pd.concat(rows, ignore_index=True)


def _growths(run: RecordedRun, step: int, own: Basis, dtype: torch.dtype) -> Iterator[tuple[str, tuple[Float, Float]]]:
    place = run.steps.index(step)
    for which, last in (("last", place), ("next", place + 1)):
        if last < len(run.steps):
            before, after = (Network.at(run, run.steps[one], dtype=dtype) for one in (last - 1, last))
            middle = before.between(after)
            gradient_P = middle.pulled_back(2 * own.projection(host(middle.readout(FUNCTION)), WHOLE), FUNCTION)
            yield which, (gradient_P.double().numpy(), (after.weights_P.double() - before.weights_P.double()).numpy())


def _sources(
    parts: dict[str, RecordedRun], window: Window, batch: GradientBatch, dtype: torch.dtype
) -> Iterator[_Source]:
    run = list(parts.values())[-1]
    noise = sum(update.storage_noise for update in window.series.updates())
    yield _Source("update", "", 0, window.updates_WP, noise)
    if moves := recorded_moves(run, window.series):
        yield _Source("optimizer", "", 0, window.updates_WP - moves.decay_WP, noise)
        yield _Source("decay", "", 0, moves.decay_WP)
        yield _Source("summed", "", 0, moves.gradient_WP)
    steps = [snapshot.step for snapshot in window.series.snapshots[1:]]
    memories = [adam_memory(run, step) for step in steps]
    kept = [one for one in memories if one is not None]
    scale_WP = None
    if len(kept) == len(steps):
        yield _Source("momentum", "", 0, torch.stack([first_P for first_P, _ in kept]))
        scale_WP = torch.stack([second_P for _, second_P in kept]).sqrt() + ADAM_EPSILON
    networks = {name: [Network.at(part, step, dtype=dtype) for step in steps] for name, part in parts.items()}
    for draw in range(DRAWS + 1):
        suffix = "permuted" if draw else ""
        rows = {name: torch.stack([batch.gradient(one, draw) for one in each]) for name, each in networks.items()}
        # The loss of a joint task is the sum of its parts'.
        together = {"": torch.stack(list(rows.values())).sum(0)}
        for name, rows_WP in (together | (rows if len(parts) > 1 else {})).items():
            yield _Source(suffix or "gradient", name, draw, rows_WP)
            if scale_WP is not None:
                yield _Source(f"preconditioned {suffix}".strip(), name, draw, rows_WP / scale_WP)


def adam_memory(run: RecordedRun, step: int) -> tuple[Tensor, Tensor] | None:
    """Read what Adam remembers of the watched parameters' gradients at a snapshot.

    Returns:
        Running means of the gradients and of their squares, both without the bias of having begun with 0, float64,
        shape (P,) each; None where the run kept no state there, its optimizer is not Adam, or has taken no step.
    """
    config, path = run.config, state_path(run.folder, step)
    if config.optimizer not in ("adam", "adamw") or not path.is_file():
        return None
    state = read_state(whole(path))
    taken = step - int(state.text.get("remembers_since", 0))
    if not taken:
        return None
    layout = Layout(architecture_of(config.model).shapes)
    first_P, second_P = (
        run.series.layout.join(layout.split(state.tensors[name])).double() / (1 - beta**taken)
        for name, beta in zip(("first", "second"), config.betas, strict=True)
    )
    return first_P, second_P


def gradient_sentence(selected: pd.DataFrame) -> str:
    """Say which windows select the task's own functions at the last step, beside gradients for permuted answers."""
    last = selected[(selected["step"] == selected["step"].max()) & (selected["part"] == "")]
    last = last[last["functions"] == last["functions"].iloc[-1]]

    def ratios(source: str) -> str:
        ends = last.loc[last["source"] == source, "ratio"].agg(["min", "max"])
        return f"{ends['min']:.3g}" + (f" to {ends['max']:.3g}" if ends["min"] != ends["max"] else "")

    named = ", ".join(f"{source} {ratios(source)}" for source in last["source"].unique() if source != "permuted")
    return (
        f"At step {int(last['step'].iloc[0]):,} windows move the task's own functions so many times as much as "
        f"isotropic directions do: {named}; gradients for permuted answers {ratios('permuted')}. Only what gradients "
        "have more than these is about the task's answers."
    )


_LABEL = {
    "step": STEP,
    "source": Column("what the window is of. " + "; ".join(f"{name}: {what}" for name, what in SOURCES.items())),
    "part": Column("of a joint task, whose loss the gradients are of; empty: of all together"),
    "draw": Column("of permuted answers, from 1; else 0"),
}
_SQUARED = "squared unit of the source"


def _of_source(table: Table, *names: str) -> dict[str, Column]:
    units = {"weight": "unit of the source", "weight²": _SQUARED}
    found = {name: table.columns[name] for name in names}
    return {name: one._replace(unit=units.get(one.unit, one.unit)) for name, one in found.items()}


SPECTRA = Table(
    "gradient_spectra",
    "window and eigenvalue",
    {**_LABEL, **_of_source(EIGENVALUES, "k", "eigenvalue", "singular_value", "share")},
    drawing=Drawing(
        "share",
        "k",
        "source",
        "Spectra of windows of updates, of their parts and of gradients",
        "shares would fall alike from every first eigenvalue to its last.",
    ),
)
EDGES = Table(
    "gradient_edges",
    "window",
    {
        **_LABEL,
        **_of_source(EDGE, "k_star", "g12", "g23", "trace", "effective_dimension"),
        "with_updates": Column("mean squared cosine between its edge and that of the updates; at random K/P"),
    },
)
_CARRIED = "of the own functions' first-order growth over the interval"
SELECTED = Table(
    "gradient_selection",
    "window, and task whose own functions are looked for",
    {
        **_LABEL,
        "functions": Column("the task; of a joint one each part in turn"),
        "basis": BASIS,
        "readout": READOUT,
        "ratio": Column("selection ratio S of the own functions; 1 is no selection", "ratio"),
        "low": Column("lower end of its 95 % interval", "ratio"),
        "high": Column("upper end of its 95 % interval", "ratio"),
        "p": Column("one-sided, against isotropic directions"),
        "window_share": Column("of the response's energy along the window, mean left out", "share"),
        "random_share": Column("of the response's energy along isotropic directions, mean left out", "share"),
        "chance": Column("what noise would have", "share"),
        "energy_share": Column("of the edge's directions, mean, corrected for chance", "share"),
        "next_edge": Column(f"{_CARRIED} behind the window, what its edge carries; signed, as in carriers", "share"),
        "next_whole": Column("the same of all its directions; missing at the last snapshot", "share"),
        "last_edge": Column(f"{_CARRIED} that ends with the window, what its edge carries", "share"),
        "last_whole": Column("the same of all its directions", "share"),
    },
)
_TABLES = (SPECTRA, EDGES, SELECTED)
COMPARING_GRADIENTS = Analysis(
    "gradients", gradient_windows, _TABLES, settings=(*DIRECTION_SETTINGS, "readout", "precision", "stride")
)
