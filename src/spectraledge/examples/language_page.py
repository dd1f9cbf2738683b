"""What was found on the language model: in sentences, figures and tables; what was not found is said."""

from collections.abc import Mapping, Sequence
from importlib.metadata import version
from itertools import cycle

import numpy as np
import pandas as pd

from spectraledge.analyses.analysis import Table as Declared
from spectraledge.examples.language_measures import (
    AGREEMENT,
    COMPONENTS,
    EDGE,
    FUNCTIONS,
    IN_ORDER,
    LINKS,
    SPECTRA,
    shared_p,
)
from spectraledge.examples.language_training import BLOCK, LanguageConfig
from spectraledge.files import digest
from spectraledge.pages.curve_plot import curve_plot
from spectraledge.pages.document import Column, Figure, Page, Panel, Rows, Section, Table, Terms
from spectraledge.pages.marks import DASHED, DOTTED, SHAPES, SOLID, Mark
from spectraledge.pages.style import BLUE, GREEN, INK, ORANGE, PURPLE, QUIET, VERMILLION
from spectraledge.report.words import listing
from spectraledge.statistics import false_discovery_rate

COMMAND = "spectraledge example language-model"

_ALPHA = 0.05
_COLOURS = (VERMILLION, BLUE, GREEN, ORANGE, PURPLE)
_LOSSES = {
    "training_loss": Mark("training loss", BLUE, dash=DASHED),
    "validation_loss": Mark("validation loss", VERMILLION, dash=SOLID),
}


def sentences(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Say what was found, and what was not, by table; alarms at 5 %, corrected for the number of rows."""
    course, agreed = tables["course"], tables["agreement"]
    first, last = course["validation_loss"].iloc[0], course["validation_loss"].iloc[-1]
    differing = int(agreed["k_star_differs"].sum())
    return {
        "course": f"Validation loss fell from {first:.2f} to {last:.2f} nats per byte (uniform guessing: 5.55).",
        "agreement": "Between tracker and checkpoints, eigenvalues differ by at most "
        f"{agreed['difference'].max():.1g} of the trace, and k* in {differing} of {agreed['windows'].sum():,} windows.",
        "layer_spectra": _on_spectra(tables["layer_spectra"]),
        "functions": _on_functions(tables["functions"]),
        "components": _on_components(tables["components"]),
        "shared": _on_shared(tables["shared"]),
        "links": _on_links(tables["links"]),
    }


def language_page(
    config: LanguageConfig, described: Mapping[str, int | str], tables: Mapping[str, pd.DataFrame]
) -> Page:
    """Compose the report of the example."""
    said = sentences(tables)
    spectra, functions = tables["layer_spectra"], tables["functions"]
    at_steps = spectra[spectra["step"].isin(functions["step"].unique())]
    settings = {**described, **config.model_dump()}
    return Page(
        study="language-model",
        hash=digest(config.model_dump()),
        title="Which functions of its context do the updates of a language model move?",
        headline=said["functions"],
        question="A GPT of Transformers’ default classes, trained on the source of Python’s standard library.",
        sections=(
            Section(
                "spectra",
                "Spectra by layer",
                (said["course"], said["agreement"], said["layer_spectra"]),
                (
                    _course_figure(tables["course"], spectra),
                    _table("spectra-at-steps", "Spectra where functions were measured", SPECTRA, at_steps),
                    _table("agreement", "Tracker beside checkpoints", AGREEMENT, tables["agreement"]),
                ),
                short="Spectra",
            ),
            Section(
                "functions",
                "Functions of the context",
                (said["functions"], said["components"]),
                (
                    _ratio_figure(functions),
                    _table("functions", "Sets of functions", FUNCTIONS, functions),
                    _table("components", "Without a basis", COMPONENTS, tables["components"]),
                ),
                short="Functions",
            ),
            Section(
                "shared", "What layers share", (said["shared"],), (_shared_table(tables["shared"]),), short="Sharing"
            ),
            Section(
                "links",
                "What follows the validation loss",
                (
                    said["links"],
                    f"Loss and windows are cut into blocks of {BLOCK}, a parabola is removed from every block, and "
                    "what remains is correlated; signs of blocks are flipped for the null. The steps are the same for "
                    "both: a spectrum that is ahead of the loss, or behind it, is not looked for.",
                ),
                (_table("links", "Links beyond trends", LINKS, tables["links"]),),
                short="Links",
            ),
            Section(
                "settings",
                "How it was made",
                blocks=(Terms("", tuple((name.replace("_", " "), _cell(value)) for name, value in settings.items())),),
            ),
        ),
        version=version("spectraledge"),
        command=COMMAND,
    )


def _on_spectra(spectra: pd.DataFrame) -> str:
    later = spectra[spectra["step"] > spectra["step"].median()]
    gaps = (later["eigenvalue_1"] / later["eigenvalue_2"]).groupby(later["group"])
    ones = (spectra["k_star"] == 1).groupby(spectra["group"]).mean()
    return (
        f"In the later half of the windows the largest eigenvalue of a group is {gaps.mean().min():.2f} to "
        f"{gaps.mean().max():.2f} times the second on average, at most {gaps.max().max():.2f} times. The edge position "
        f"k* is 1 in {ones.min():.0%} to {ones.max():.0%} of all windows."
    )


def _on_functions(functions: pd.DataFrame) -> str:
    found = functions[(functions["low"] > 1) & (functions[["q", "p_exact"]].max(axis=1) <= _ALPHA)]
    words = _named(found)
    never = [name for name in functions["subspace"].unique() if name not in set(found["subspace"])]
    said = (
        "More than random directions of the same weights do (interval above 1, both tests at 5 %), updates move "
        f"functions of {listing(words)}."
        if words
        else "No set of functions is moved more by the updates than by random directions of the same weights."
    )
    if words and never:
        said += f" Not found for {listing(never)}, at any of the steps, alone or in order."
    less = _named(functions[functions["high"] < 1])
    return f"{said} Moved less (95% interval below 1): {listing(less)}." if less else said


def _named(rows: pd.DataFrame) -> list[str]:
    """Sets of functions with their ratios and steps."""
    words = []
    for subspace in rows["subspace"].unique():
        for basis, where in (("alone", "alone"), (IN_ORDER, "beyond those before it")):
            part = rows[(rows["subspace"] == subspace) & (rows["basis"] == basis)]
            if len(part):
                ratios = dict.fromkeys(f"{value:.2f}" for value in (part["ratio"].min(), part["ratio"].max()))
                steps = listing([f"{step:,}" for step in part["step"]])
                words.append(f"{subspace} ({where}; S {' to '.join(ratios)} at {steps})")
    return words


def _on_components(components: pd.DataFrame) -> str:
    p = components[["p_share", "p_ratio"]].to_numpy(np.float64).ravel()
    count = int((false_discovery_rate(p) <= _ALPHA).sum())
    found = (
        f"{count} of {len(p)} tests of functional principal components stand out of directions dealt out anew"
        if count
        else "No functional principal component stands out of directions dealt out anew (smallest p of "
        f"{len(p)}: {p.min():.2g})"
    )
    held = components["reads"].value_counts()
    leading = listing([f"of {number} in {name}" for name, number in held.items()])
    low, high = components["reads_share"].min(), components["reads_share"].max()
    return (
        f"{found}. Of the {len(components)} components, the largest part lies in one set alone, {leading}: {low:.0%} "
        f"to {high:.0%}."
    )


def _on_shared(shared: pd.DataFrame) -> str:
    edge, random = (shared[shared["kind"] == kind] for kind in ("edge", "random"))
    means, p = random.groupby("draw")["inclusion"].mean(), shared_p(shared)
    verdict = "more than" if p <= _ALPHA else "not more than"
    return (
        f"Of the {EDGE} leading functions that the edge of one layer moves, {edge['inclusion'].mean():.0%} lie in "
        f"those of the other layers, {verdict} for random directions of each layer ({means.min():.0%} to "
        f"{means.max():.0%} in {len(means)} draws; p = {p:.2g}, where no less than {1 / (1 + len(means)):.2g} is "
        f"possible). By chance it were {edge['chance'].mean():.1%}."
    )


def _on_links(links: pd.DataFrame) -> str:
    found = links[links["p_family"] <= _ALPHA]
    rows = found if len(found) else links.nsmallest(1, ["p_family", "p"])
    words = listing(
        [
            f"{row['quantity'].replace('_', ' ')} of {row['group']} ({row['within']:+.2f}, p = {row['p_family']:.2g})"
            for row in rows.to_dict("records")
        ]
    )
    return (
        f"With trends and all, {int((links['plain'].abs() > 0.5).sum())} of {len(links)} series of the spectra "
        "correlate with the validation loss by more than .5 either way; beyond a trend "
        + (f"{len(found)} do: {words}." if len(found) else f"none follows it: the nearest is {words}.")
    )


def _group_marks(groups: Sequence[str]) -> dict[str, Mark]:
    others = {"all": Mark("all", INK, dash=DOTTED), "embeddings": Mark("embeddings", QUIET, dash=DASHED)}
    layers = [group for group in groups if group not in others]
    colours = zip(layers, cycle(_COLOURS), strict=False)
    return {group: Mark(group, colour, dash=SOLID) for group, colour in colours} | others


def _course_figure(course: pd.DataFrame, spectra: pd.DataFrame) -> Figure:
    marks = _group_marks(list(spectra["group"].unique()))
    losses = pd.concat(
        pd.DataFrame({"name": mark.label, "mark": name, "place": course["step"], "value": course[name]})
        for name, mark in _LOSSES.items()
    )
    charts = [curve_plot(losses, _LOSSES, axis="loss (nats per byte)", words="Loss", height=130, title="Loss")]
    drawn = {"eigenvalue_1": ("Largest eigenvalue", "weight² (log)", True), "k_star": ("Edge position k*", "k*", False)}
    for name, (title, axis, log) in drawn.items():
        values = spectra[name].astype("float64")
        table = pd.DataFrame({"name": spectra["group"], "place": spectra["step"], "value": values})
        charts.append(
            curve_plot(
                table.assign(mark=table["name"]),
                marks,
                axis=axis,
                words=f"{title} by layer",
                height=170,
                title=title,
                log=log,
                whole=not log,
            )
        )
    return Figure(
        key="spectra-by-layer",
        title="Loss, and the spectrum of each layer’s window of updates",
        caption="Windows are plotted at their last step; the first one is full after as many updates as it has.",
        nothing="eigenvalues would follow the square of the learning rate alone, alike in all layers.",
        panels=(Panel(tuple(charts)),),
        entries=(*_LOSSES.values(), *marks.values()),
    )


def _ratio_figure(functions: pd.DataFrame) -> Figure:
    names = list(functions["subspace"].unique())
    marks = {
        name: Mark(name, colour, shape=shape)
        for name, colour, shape in zip(names, cycle(_COLOURS), cycle(SHAPES), strict=False)
    }
    steps = sorted(functions["step"].unique())
    aside = 0.02 * max(steps)
    charts = []
    for basis, rows in functions.groupby("basis", sort=False):
        table = pd.DataFrame(
            {
                "name": rows["subspace"],
                "mark": rows["subspace"],
                "place": rows["step"] + aside * (rows["subspace"].map(names.index) - (len(names) - 1) / 2),
                "value": rows["ratio"],
                "low": rows["low"],
                "high": rows["high"],
            }
        )
        title = "Each alone" if basis != IN_ORDER else "What each adds to those before it"
        charts.append(
            curve_plot(
                table,
                marks,
                axis="selection ratio S (log)",
                words=f"Selection ratios, {basis}",
                height=190,
                title=title,
                across="training step (sets side by side)",
                log=True,
                reference=1.0,
            )
        )
    return Figure(
        key="selection-ratios",
        title="How much more the updates move functions of the context than random directions do",
        caption="Selection ratio of every set of functions with its 95% interval, for all weights, at the steps "
        f"{listing([f'{step:,}' for step in steps])}.",
        nothing="intervals would lie around the dotted line at 1.",
        panels=(Panel(tuple(charts), across=2),),
        entries=tuple(marks.values()),
    )


def _table(key: str, title: str, declared: Declared, numbers: pd.DataFrame) -> Table:
    units = {name: f", {column.unit}" if column.unit else "" for name, column in declared.columns.items()}
    words = {"str", "object", "string"}
    columns = tuple(
        Column(f"{name.replace('_', ' ')}{units[name]}", "words" if str(numbers[name].dtype) in words else "number")
        for name in declared.columns
    )
    rows = ([_cell(value) for value in row] for row in numbers.itertuples(index=False))
    caption = "; ".join(
        f"{name.replace('_', ' ')}: {column.meaning}" for name, column in declared.columns.items() if column.meaning
    )
    return Table(key, title, columns, (Rows.of("", rows),), f"{caption}.", numbers=numbers)


def _shared_table(shared: pd.DataFrame) -> Table:
    rows = []
    for target, part in shared.groupby("target", sort=False):
        edge, random = (part.loc[part["kind"] == kind, "inclusion"] for kind in ("edge", "random"))
        rows.append((str(target), *map(_cell, (edge.iloc[0], random.median(), random.min(), random.max()))))
    titles = ("edge", "random, median", "smallest", "largest")
    return Table(
        "shared",
        "Functions of one layer in those of the others",
        (Column("layer"), *(Column(title, "number") for title in titles)),
        (Rows.of("", rows),),
        f"How much of the {EDGE} leading functions that directions of a layer move lies in those of all other layers.",
        numbers=shared,
    )


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
