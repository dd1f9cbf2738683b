"""What is measured on the trained example: spectra by layer, moved functions, what layers share, links to the loss."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from spectraledge.analyses.analysis import Column, Table
from spectraledge.analyses.functional_modes import functional_modes
from spectraledge.analyses.reuse import inclusion_table
from spectraledge.analyses.spectra import analyze_folder
from spectraledge.arrays import Float, Ints
from spectraledge.examples.language_training import BLOCK, LanguageConfig, checkpoints_of, new_model
from spectraledge.examples.standard_library import Labels, SourceText, contexts
from spectraledge.files import read_table
from spectraledge.models import ModuleTensors
from spectraledge.modes import Basis, feature_basis, leading_functions, responses_of_module
from spectraledge.modes.module_snapshots import ModuleWindow
from spectraledge.spectrum import window_directions
from spectraledge.statistics import beyond_trend, empirical_p, false_discovery_rate, random_directions
from spectraledge.streams import numpy_generator, torch_generator
from spectraledge.trajectory import Snapshot, find_snapshots, read_snapshot

EDGE = 3
"""Directions whose functions are compared between layers (Xu 2026, §3)."""

IN_ORDER = "in order"

_STEP = Column("training step", "steps")
_GROUP = Column("which weights: a layer, the embeddings (tied to the head), or all")
COURSE = Table(
    "course",
    "checkpoint",
    {
        "step": _STEP,
        "training_loss": Column("mean over the steps since the checkpoint before; missing for the first", "nats/byte"),
        "validation_loss": Column("of the same held-out stretches each time", "nats/byte"),
    },
)
SPECTRA = Table(
    "layer_spectra",
    "group of weights and window, by the trackers",
    {
        "group": _GROUP,
        "step": _STEP,
        "k_star": Column("edge position k*, 1-based"),
        **{f"eigenvalue_{k}": Column(f"eigenvalue {k} of the window", "weight²") for k in (1, 2, 3)},
        "trace": Column("sum of all eigenvalues", "weight²"),
        "effective_dimension": Column("exp of the entropy of the eigenvalues' shares"),
        "last_update": Column("squared length of the window's last update", "weight²"),
    },
)
AGREEMENT = Table(
    "agreement",
    "group of weights",
    {
        "group": _GROUP,
        "parameters": Column("numbers that are watched"),
        "windows": Column("compared"),
        "difference": Column("largest |eigenvalue by the tracker − eigenvalue from the checkpoints|", "of the trace"),
        "k_star_differs": Column("windows with another k*"),
    },
)
FUNCTIONS = Table(
    "functions",
    "step, basis and set of functions",
    {
        "step": _STEP,
        "basis": Column("alone: the set by itself; in order: what it adds to the last byte and those above it"),
        "subspace": Column("what the functions depend on"),
        "dimension": Column("of the set"),
        "chance": Column("share that noise would have", "share"),
        "window_share": Column("of the response's energy along the window, mean left out", "share"),
        "random_share": Column("of the response's energy along isotropic directions, mean left out", "share"),
        "ratio": Column("selection ratio S; 1 is no selection", "ratio"),
        "low": Column("lower end of its 95 % interval", "ratio"),
        "high": Column("upper end of its 95 % interval", "ratio"),
        "p": Column("one-sided, S > 1"),
        "q": Column("the same for the number of rows of the table (Benjamini–Hochberg)"),
        "p_exact": Column("by dealing out directions anew"),
    },
)
COMPONENTS = Table(
    "components",
    "step and functional principal component",
    {
        "step": _STEP,
        "component": Column("1-based"),
        "window_share": Column("of the window's energy in so many components together", "share"),
        "random_share": Column("of the energy along isotropic directions in the same functions", "share"),
        "ratio": Column("of the two", "ratio"),
        "p_share": Column("that components of directions dealt out anew hold as much"),
        "p_ratio": Column("that they have as large a ratio"),
        "split_overlap": Column("overlap of functions found on half of the inputs with those of the other", "share"),
        "reads": Column("the set of functions that holds most of the component, by itself"),
        "reads_share": Column("of the component in it", "share"),
    },
)
SHARED = Table(
    "shared",
    "layer, kind and draw of directions",
    {
        "target": Column("the layer whose functions are sought in those of the others"),
        "kind": Column("edge (of the layer's own window) or random (isotropic in the layer)"),
        "draw": Column("1-based"),
        "inclusion": Column("how much of the layer's functions lies in those of the other layers together", "share"),
        "chance": Column("of random functions", "share"),
    },
)
LINKS = Table(
    "links",
    "group of weights and quantity of its windows",
    {
        "group": _GROUP,
        "quantity": Column("of the spectrum; eigenvalues, trace and last update as logarithms"),
        "plain": Column("Pearson's correlation with the validation loss over all windows, trends and all"),
        "within": Column("mean correlation within blocks, trends removed"),
        "p": Column("two-sided, alone"),
        "p_family": Column("two-sided, for all rows together"),
    },
)
TABLES = (COURSE, SPECTRA, AGREEMENT, FUNCTIONS, COMPONENTS, SHARED, LINKS)


def layer_spectra(config: LanguageConfig, folder: Path) -> pd.DataFrame:
    """Read the spectra that the trackers took; see `SPECTRA`."""
    tables = []
    for group in config.groups:
        spectrum, edge, gram = (
            read_table(folder / "tracked" / group / f"{name}.parquet") for name in ("spectrum", "edge", "gram")
        )
        values = spectrum.pivot(index="step", columns="k", values="eigenvalue")
        lengths = gram[gram["lag"] == 0].set_index("step")["product"]
        table = edge.set_index("step")[["k_star", "trace", "effective_dimension"]].assign(
            group=group, **{f"eigenvalue_{k}": values[k] for k in (1, 2, 3)}, last_update=lengths
        )
        tables.append(table.reset_index()[list(SPECTRA.columns)])
    return pd.concat(tables, ignore_index=True)


def agreement(config: LanguageConfig, folder: Path) -> pd.DataFrame:
    """Compare the trackers' spectra with those of the checkpoints, read back as any series; see `AGREEMENT`."""
    rows = []
    for group, pattern in config.groups.items():
        tracked = {name: read_table(folder / "tracked" / group / f"{name}.parquet") for name in ("spectrum", "edge")}
        stored = analyze_folder(checkpoints_of(folder), patterns=[pattern], window=config.window)
        both = tracked["spectrum"].merge(stored.spectrum, on=["step", "k"], how="outer", validate="one_to_one")
        traces = both["step"].map(stored.edge.set_index("step")["trace"])
        difference = float(((both["eigenvalue_x"] - both["eigenvalue_y"]).abs() / traces).max(skipna=False))
        edges = tracked["edge"].merge(stored.edge, on="step", validate="one_to_one")
        differs = int((edges["k_star_x"] != edges["k_star_y"]).sum())
        rows.append((group, stored.parameters, len(edges), difference, differs))
    return AGREEMENT.frame(rows)


def moved_functions(config: LanguageConfig, text: SourceText, folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """`FUNCTIONS` and `COMPONENTS`: what updates move at a few steps, of the next byte's logits without their mean."""
    inputs_NL, labels = _contexts(config, text)
    bases = candidate_bases(labels)
    functions, components = [], []
    for step in config.measured_steps:
        modes = functional_modes(
            new_model(config),
            _window(config, folder, step),
            torch.from_numpy(inputs_NL),
            readout=lambda output: _logits(output, config.stride),
            bases=bases,
            window=config.window,
            nulls=config.nulls,
            seed=config.seed,
        )
        rows = modes.selection[modes.selection["subspace"] != "rest"].assign(step=step)
        # The first set adds to nothing: it has its row alone.
        functions.append(rows[(rows["basis"] != IN_ORDER) | (rows["subspace"] != next(iter(labels)))])
        within = modes.component_shares
        alone = within[(within["basis"] != IN_ORDER) & (within["subspace"] != "rest")]
        best = alone.loc[alone.groupby("component")["share"].idxmax()].set_index("component")
        held = best[["subspace", "share"]].rename(columns={"subspace": "reads", "share": "reads_share"})
        components.append(modes.components.join(held, "component").assign(step=step))
    selection = pd.concat(functions, ignore_index=True)
    selection["basis"] = selection["basis"].where(selection["basis"] == IN_ORDER, "alone")
    selection["q"] = false_discovery_rate(selection["p"])
    leading = pd.concat(components, ignore_index=True)
    return selection[list(FUNCTIONS.columns)], leading[list(COMPONENTS.columns)]


def candidate_bases(labels: Labels) -> list[Basis]:
    """One basis for every label alone, and one of all in their order."""
    return [*(feature_basis(name, {name: values}) for name, values in labels.items()), feature_basis(IN_ORDER, labels)]


def shared_functions(config: LanguageConfig, text: SourceText, folder: Path) -> pd.DataFrame:
    """Measure how much of what one layer's edge moves the edges of the others move as well, at the last step.

    All layers act through those above them, so that any weights of theirs move similar functions: the null is what
    as many isotropic directions of every layer share.

    Returns:
        See `SHARED`.
    """
    inputs_NL, _ = _contexts(config, text)
    model = new_model(config)
    snapshots = _window(config, folder, config.measured_steps[-1])
    spans: dict[str, list[dict[str, Float]]] = {"edge": [{}], "random": [{} for _ in range(config.draws)]}
    for group in list(config.groups)[: config.layers]:
        for place, span_Nr in enumerate(_layer_spans(config, model, snapshots, inputs_NL, group)):
            (spans["random"][place - 1] if place else spans["edge"][0])[group] = span_Nr
    return inclusion_table(spans)[list(SHARED.columns)]


def shared_p(shared: pd.DataFrame) -> float:
    """p-value of the mean inclusion over layers at the edge, among random draws."""
    means = shared.groupby(["kind", "draw"])["inclusion"].mean()
    return empirical_p(float(means["edge", 1]), means["random"])


def loss_links(config: LanguageConfig, spectra: pd.DataFrame, course: pd.DataFrame) -> pd.DataFrame:
    """`LINKS`: quantities of spectra that move with the loss at the same step beyond the trends of both."""
    logs = [*(f"eigenvalue_{k}" for k in (1, 2, 3)), "trace", "last_update"]
    loss = course.set_index("step")["validation_loss"]
    names, series = [], []
    for group, table in spectra.groupby("group", sort=False):
        values = table[logs].where(table[logs] > 0).apply(np.log)
        values["effective_dimension"] = table["effective_dimension"]
        for name, column in values.items():
            names.append((group, name))
            series.append(column.to_numpy(np.float64))
    target = loss.loc[spectra["step"].unique()].to_numpy()
    found = beyond_trend(target, np.stack(series), block=BLOCK, generator=numpy_generator(config.seed, "links"))
    plain = [float(np.corrcoef(target, one)[0, 1]) for one in series]
    measured = zip(names, plain, found.correlation_S, found.p_S, found.p_family_S, strict=True)
    return LINKS.frame((*name, *numbers) for name, *numbers in measured)


def _contexts(config: LanguageConfig, text: SourceText) -> tuple[Ints, Labels]:
    generator = numpy_generator(config.seed, "contexts")
    return contexts(text.validation, config.measured, config.context, config.stride, generator)


def _window(config: LanguageConfig, folder: Path, step: int) -> list[dict[str, Tensor]]:
    """Snapshots of the window that ends at a step."""
    found: list[Snapshot] = [one for one in find_snapshots(checkpoints_of(folder)) if one.step <= step]
    return [read_snapshot(snapshot.path) for snapshot in found[-config.window - 1 :]]


def _logits(output: object, stride: int) -> Tensor:
    """Logits behind every `stride`-th byte without their mean over bytes, one row each."""
    logits: Tensor = output.logits[:, stride - 1 :: stride].flatten(0, 1)  # type: ignore[attr-defined]
    return logits - logits.mean(-1, keepdim=True)


def _layer_spans(
    config: LanguageConfig,
    model: nn.Module,
    snapshots: list[dict[str, Tensor]],
    inputs_NL: Ints,
    group: str,
) -> list[Float]:
    """Leading functions of the edge of one layer, and of draws of as many random directions."""
    tensors = ModuleTensors.of(model)
    window = ModuleWindow.of(snapshots, tensors, patterns=[config.groups[group]], window=config.window)
    edge_KP = window_directions(window.updates_WP).vectors_KP[:EDGE]
    random_KP = random_directions(
        EDGE * config.draws, window.layout.size, torch_generator(config.seed, "shared", group)
    )
    signs = numpy_generator(config.seed, "signs", group).choice([-1.0, 1.0], len(edge_KP) + len(random_KP))
    response_KND = responses_of_module(
        tensors,
        window.state,
        torch.from_numpy(inputs_NL),
        [edge_KP, random_KP],
        layout=window.layout,
        select=lambda output: _logits(output, config.stride),
        signs_K=torch.from_numpy(signs),
    ).response_KND.numpy()
    return [leading_functions(response_KND[start : start + EDGE], EDGE) for start in range(0, len(signs), EDGE)]


@dataclass(frozen=True)
class Measure:
    """Tables that are made together, once training is done, from what comes before in the folder."""

    tables: tuple[Table, ...]
    make: Callable[[LanguageConfig, SourceText, Path], tuple[pd.DataFrame, ...]]


MEASURES = (
    Measure((SPECTRA,), lambda config, text, folder: (layer_spectra(config, folder),)),
    Measure((AGREEMENT,), lambda config, text, folder: (agreement(config, folder),)),
    Measure(
        (LINKS,),
        lambda config, text, folder: (
            loss_links(config, *(read_table(folder / f"{one.name}.parquet") for one in (SPECTRA, COURSE))),
        ),
    ),
    Measure((FUNCTIONS, COMPONENTS), moved_functions),
    Measure((SHARED,), lambda config, text, folder: (shared_functions(config, text, folder),)),
)
