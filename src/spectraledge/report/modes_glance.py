"""Functional modes at a glance: which functions the updates select, or how much a few components of them hold."""

import pandas as pd

from spectraledge.analyses.functional_modes import FunctionalModes
from spectraledge.analyses.selection_findings import leading, selection_sentence
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.pages.document import ROWS, Figure, Glance, Panel, Rows, Table, number_columns
from spectraledge.pages.lane_plot import lane_plot
from spectraledge.pages.marks import CIRCLE, DIAMOND, SQUARE, Mark
from spectraledge.pages.style import BLUE, QUIET, VERMILLION
from spectraledge.report.selected import RATIO_AXIS, ratio_limits
from spectraledge.report.words import percent, probability, ratio, spread
from spectraledge.tasks import basis_formula

_SELECTION = {
    "selected": Mark("selected: interval above 1, share above that of noise, q ≤ 0.05", VERMILLION, CIRCLE),
    "other": Mark("not found to be selected", QUIET, CIRCLE, hollow=True),
}
_COMPONENTS = {
    "window_share": Mark("the window's updates", VERMILLION, CIRCLE),
    "span_share": Mark("random directions in the window's span", BLUE, DIAMOND, hollow=True),
    "random_share": Mark("isotropic random directions", QUIET, SQUARE, hollow=True),
}

_ALL_OF_THEM = "shares of the response's energy; all of them in .components"


def modes_glance(modes: FunctionalModes) -> Glance:
    """Take functional modes at a glance."""
    if modes.selection.empty:
        components = modes.components
        return Glance(
            (_components_sentence(components),), _components(components), _components_table(components), _ALL_OF_THEM
        )
    rows, found = leading(modes.selection), selection_sentence(modes.selection)
    return Glance((found,), _selection(rows), selection_rows_table(rows), "all of them in .selection")


def _components_sentence(components: pd.DataFrame) -> str:
    last = components.iloc[-1]
    held = "the first principal component holds" if len(components) == 1 else f"{len(components)} components hold"
    return (
        f"Of the response to the updates, {held} {percent(last['window_share'])}; of that to isotropic random "
        f"directions the same functions hold {percent(last['random_share'])} (a ratio of {ratio(last['ratio'])}, p = "
        f"{probability(last['p_ratio'])} by dealing directions out anew), of that to random directions in the window's "
        f"span {percent(last['span_share'])}. Which functions these are was not asked: give bases."
    )


def _components_table(components: pd.DataFrame) -> Table:
    numbers = {"Updates": "window_share", "Span": "span_share", "Isotropic": "random_share"}
    cells = (
        (
            str(row["component"]),
            *(percent(row[name]) for name in numbers.values()),
            probability(row["p_ratio"]),
            percent(row["split_share"]),
        )
        for row in components.to_dict("records")
    )
    titles = (*numbers, "p of the ratio", "Held by the other half's")
    columns = number_columns("The first", titles)
    return Table("components", "Principal components", columns, (Rows.of("", cells),))


def _components(components: pd.DataFrame) -> Figure:
    rows = [
        {
            "lane": f"the first {count}" if count > 1 else "the first",
            "mark": name,
            "value": share,
            "name": mark.label,
        }
        for name, mark in _COMPONENTS.items()
        for count, share in zip(components["component"], components[name], strict=True)
    ]
    chart = lane_plot(
        pd.DataFrame(rows),
        _COMPONENTS,
        axis="share of the response's energy",
        words="Share of principal components in the response to the window's updates and to random directions",
        limits=(-0.02, 1.02),
        percent=True,
    )
    return Figure(
        "components",
        "What principal components of the response hold",
        "Share of the energy of the response that the first components hold together.",
        "the window's marks would lie where those of random directions do.",
        (Panel((chart,)),),
        tuple(_COMPONENTS.values()),
    )


def _selection(rows: pd.DataFrame) -> Figure:
    top = rows.head(ROWS)
    drawn = top[["low", "high"]].assign(
        lane=_names(top), mark=top["selected"].map({True: "selected", False: "other"}), value=top["ratio"]
    )
    chart = lane_plot(
        drawn,
        _SELECTION,
        axis=RATIO_AXIS,
        words="Selection ratio of the functions that the updates select most clearly",
        limits=ratio_limits(drawn[["value", "low", "high"]].to_numpy().ravel()),
        log=True,
        reference=1.0,
    )
    return Figure(
        "selection",
        "Which functions the updates select",
        "Selection ratio S: the share that functions have in the response to the window's updates, over their share in "
        "the response to isotropic updates of the same network; bars: 95% intervals, each for itself. Those with the "
        "highest lower ends are shown.",
        "marks would lie on either side of 1.",
        (Panel((chart,)),),
        tuple(_SELECTION.values()),
    )


def selection_rows_table(rows: pd.DataFrame) -> Table:
    """Make the table of kinds of functions."""
    cells = (
        (
            name,
            ratio(row["ratio"]),
            spread(row["low"], row["high"], ratio),
            probability(row["p"]),
            probability(row["q"]),
            *(percent(row[share]) for share in ("window_share", "random_share", "chance")),
        )
        for name, row in zip(_names(rows), rows.to_dict("records"), strict=True)
    )
    titles = ("S", "95% interval", "p", "q", "Updates", "Isotropic", "Noise")
    columns = number_columns("Functions", titles)
    return Table("selection", "Selection ratios", columns, (Rows.of("", cells),))


def _names(rows: pd.DataFrame) -> list[str]:
    """Names of kinds of functions: their subspaces, of which basis where there are several, or bases as a whole."""
    if (rows["subspace"] == WHOLE).all():
        return [basis_formula(str(basis)) for basis in rows["basis"]]
    if rows["basis"].nunique() == 1:
        return [str(subspace) for subspace in rows["subspace"]]
    return [f"{subspace} of {basis}" for basis, subspace in zip(rows["basis"], rows["subspace"], strict=True)]
