"""What else was measured at a step, and over training, as compact tables of words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import ceil, factorial

import numpy as np
import pandas as pd

from spectraledge.report.data import OWN, basis_label, selected_parts, titles
from spectraledge.report.words import (
    NONE,
    counted,
    figures,
    hundredths,
    listing,
    percent,
    probability,
    ratio,
    spread,
    step_word,
    whole,
)
from spectraledge.studies.claims import ALPHA
from spectraledge.studies.results import RunResult, StudyResult
from spectraledge.studies.selection import WHOLE

_KEYS = 5
"""Key frequencies that are listed for a direction."""

QUANTITIES = {
    "energy_share": "own share of v{}",
    "selection": "selection ratio S",
    "k_star": "k*",
    "signal_count": "eigenvalues above the noise floor",
    "signal_ratio": "largest eigenvalue over its floor (log)",
    "trace": "trace of the Gram (log)",
    "g23": "gap g23 (log)",
    "effective_dimension": "effective dimension",
    "span_cosine": "overlap of the edge with that of the window before",
    "test_accuracy": "test accuracy",
}
"""Quantities of the course in words, in the order of tables."""

_PROBED = {"additive": "a + b", "multiplicative": "dlog a + dlog b", "both": "both", "cross": "both and their products"}
_HELD_OUT = ("rows", "output", "none")
_WEIGHTS = {"embedding": "token embedding", "neurons": "neurons of the last layer", "logits": "logits"}
_MOVING = ("edge", "window", "random")
_READOUTS = {"residual": "residual stream", "normed": "behind the last normalisation", "logits": "logits"}


@dataclass(frozen=True)
class Rows:
    """Rows of one run.

    Attributes:
        heading: The run.
        rows: Cells of each row, as words.
        note: What they say, in a sentence; "" for nothing.
    """

    heading: str
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Measurement:
    """A table of the report.

    Attributes:
        key: Its place on the page.
        title: Its title.
        words: What it shows and how to read it.
        columns: Headings; all but the first hold numbers.
        groups: One for each run that has it.
        over: Headings above those, each with the number of columns that it spans.
    """

    key: str
    title: str
    words: str
    columns: tuple[str, ...]
    groups: tuple[Rows, ...]
    over: tuple[tuple[str, int], ...] = ()


def change_table(study: StudyResult) -> Measurement:
    """Change points over training, and by how much they precede generalisation."""
    return Measurement(
        "changes",
        "When each quantity changes",
        f"The one change of level that fits a quantity's course best, listed where p ≤ {ALPHA}; p is not adjusted for "
        "the number of quantities. Lead: steps by which it precedes the first test accuracy of 0.95; negative: it "
        "follows.",
        (
            "Quantity",
            "New level from step",
            "95% interval",
            "Change",
            "Variation explained",
            "p",
            "Lead (steps)",
            "95% interval",
        ),
        _groups(study, "changes", _change_rows, stepped=False),
    )


def measurements(study: StudyResult) -> list[Measurement]:
    """Every table of what was measured at a step, without those that no run has."""
    tables = (
        Measurement(
            "selection-table",
            "Selection ratio of every kind of functions",
            "S with its 95% interval; p: one-sided, against isotropic updates (Student's t on log S); dealt anew: "
            "exact, by permuting directions, hardly below 0.05 where one eigenvalue dominates. Shares: of the "
            "response's energy, for the window's updates, for isotropic ones, and for noise. “Beyond”: what functions "
            "add to those before them.",
            ("Functions of", "Dimension", "S", "95% interval", "p", "p, dealt anew", "Updates", "Isotropic", "Noise"),
            _groups(study, "selection", _selection_rows),
        ),
        Measurement(
            "keys",
            "Key frequencies",
            f"Frequencies of the own variable that stand out of noise (p ≤ {ALPHA} over all frequencies of a "
            "direction) with their shares of the response's energy, the largest first. A trained network responds no "
            "noise along any direction, so compare the edge with random directions.",
            ("Direction", "How many", f"Largest {_KEYS}"),
            _groups(study, "keys", _key_rows),
        ),
        Measurement(
            "probes",
            "Linear probes",
            "R² of ridge regressions from waves on the pairs to the response: smallest to largest of the directions "
            "probed. Cross-validated (of the leading read-out directions) on rows and columns, or on answers, that "
            "were not seen; in sample as published, for comparison only. Random features: as many columns of noise, "
            "for the edge's response; where they reach as much, the waves explain nothing.",
            ("Waves of", "Columns", *("Edge", "Random directions", "Random features") * 3),
            _groups(study, "probes", _probe_rows),
            (("", 2), ("Unseen rows and columns", 3), ("Unseen answers", 3), ("In sample (published)", 3)),
        ),
        Measurement(
            "moves",
            "What moves the weights",
            "Each update is a step of Adam plus weight decay, so each eigenvalue splits into their own shares and a "
            "cross term, negative where they oppose each other. Cosines: between Adam's part along the direction and "
            "the summed gradients, as they came and as clipped; 1 would be plain gradient descent.",
            ("Direction", "Eigenvalue (weight²)", "Adam", "Decay", "Cross", "Cosine, gradient", "Cosine, clipped"),
            _groups(study, "moves", _move_rows),
        ),
        Measurement(
            "agreement",
            "Do weights and movement use the same frequencies?",
            "Rank correlation ρ over the frequencies of the own variable between the energy that the weights hold and "
            "the energy that moving them gives. p: against an arbitrary pairing; a trained network agrees along random "
            "directions too, so compare the edge with those.",
            ("What the weights hold", *("ρ", "p") * 3),
            _groups(study, "agreement", _agreement_rows),
            (("", 1), ("Edge", 2), ("Whole window", 2), ("Random directions", 2)),
        ),
        Measurement(
            "contrasts",
            "Other read-outs, either half, single heads",
            "Energy share of the own functions, corrected for chance. On a half of the pairs functions of other "
            "variables leak into the own ones: compare halves with each other only.",
            ("Where", "Edge, smallest to largest", "Random, median", "Random, 5–95%"),
            _groups(study, "contrasts", _contrast_rows),
        ),
    )
    return [table for table in tables if table.groups]


def _groups(
    study: StudyResult, table: str, rows: Callable[[RunResult], Rows], *, stepped: bool = True
) -> tuple[Rows, ...]:
    named = titles(study)
    found = []
    for run in study.runs:
        if len(getattr(run, table)):
            made = rows(run)
            heading = named[run.run_id] + (f", {step_word(run.modes_step)}" if stepped else "")
            found.append(Rows(heading, made.rows, made.note))
    return tuple(found)


def _change_rows(run: RunResult) -> Rows:
    rows, absent = [], []
    order = {quantity: place for place, quantity in enumerate(QUANTITIES)}
    table = run.changes.sort_values("quantity", key=lambda names: names.map(order), kind="stable")
    for row in table.to_dict("records"):
        name = QUANTITIES.get(str(row["quantity"]), str(row["quantity"])).format(row["direction"])
        if row["p"] > ALPHA:
            absent.append(name)
            continue
        rows.append(
            (
                name,
                whole(row["step"]),
                spread(row["low"], row["high"], whole),
                figures(row["change"]),
                percent(row["share"]),
                probability(row["p"]),
                whole(row["lead"]),
                spread(row["lead_low"], row["lead_high"], whole),
            )
        )
    return Rows("", tuple(rows), f"Change not found{_too_few(run)}: {listing(absent)}." if absent else "")


def _too_few(run: RunResult) -> str:
    """Say so where no course of that many windows could show a change."""
    windows, block = int(run.changes["points"].max()), int(run.changes["block"].max())
    orders = factorial(ceil(windows / block))
    if 1 / orders <= ALPHA:
        return ""
    return f" (nor could it be: {counted(windows, 'window')} in blocks of {block} are too few for p ≤ {ALPHA})"


def _selection_rows(run: RunResult) -> Rows:
    rows = []
    for name, row in _selected(run):
        rows.append(
            (
                name,
                whole(row["dimension"]),
                ratio(row["ratio"]),
                spread(row["low"], row["high"], ratio),
                probability(row["p"]),
                probability(row["p_exact"]),
                percent(row["window_share"]),
                percent(row["random_share"]),
                percent(row["chance"]),
            )
        )
    return Rows("", tuple(rows))


def _selected(run: RunResult) -> Iterator[tuple[str, pd.Series]]:
    for part in selected_parts(run):
        yield (f"{basis_label(run.structure)} ({OWN})" if part.own else part.label), part.row
    wholes = run.selection[run.selection["part"]]
    for _, row in wholes[wholes["subspace"] == WHOLE].iterrows():
        if row["basis"] != run.structure:
            yield basis_label(str(row["basis"])), row
    joint = wholes[wholes["basis"].str.contains(" then ")]
    for _, row in joint.iterrows():
        first = basis_label(str(row["basis"]).split(" then ")[0])
        name = str(row["subspace"])
        if name == "rest":
            yield "what neither sum has", row
        else:
            yield (
                basis_label(name)
                + (f", beyond {first}" if basis_label(name) != first else " (where logarithms exist)"),
                row,
            )


def _key_rows(run: RunResult) -> Rows:
    keys = run.keys[run.keys["key"].astype(bool)]
    rows = []
    for (kind, direction), _ in run.keys.groupby(["kind", "direction"]):
        mine = keys[(keys["kind"] == kind) & (keys["direction"] == direction)].nlargest(_KEYS, "share")
        count = int(((keys["kind"] == kind) & (keys["direction"] == direction)).sum())
        largest = ", ".join(
            f"ω {frequency} ({percent(share)})"
            for frequency, share in mine[["frequency", "share"]].itertuples(index=False)
        )
        rows.append((f"v{direction}" if kind == "edge" else f"random {direction}", str(count), largest or "not found"))
    only = sorted(
        set(keys.loc[keys["kind"] == "edge", "frequency"]) - set(keys.loc[keys["kind"] == "random", "frequency"])
    )
    words = f"ω {listing([str(frequency) for frequency in only])}" if only else "not found"
    return Rows("", tuple(rows), f"Key along the edge, along no random direction: {words}.")


def _probe_rows(run: RunResult) -> Rows:
    rows = []
    for features, part in run.probes.groupby("features", sort=False):
        cells = []
        for held_out in _HELD_OUT:
            held = part[part["held_out"] == held_out]
            edge = held[held["kind"] == "edge"]
            cells += [
                _range(edge[~edge["random"]]["r2"]),
                _range(held[(held["kind"] == "random") & ~held["random"]]["r2"]),
                _range(edge[edge["random"]]["r2"]),
            ]
        rows.append((_PROBED[str(features)], whole(part["columns"].iloc[0]), *cells))
    kept = run.probes.loc[run.probes["kind"] == "edge", "energy_kept"]
    return Rows(
        "",
        tuple(rows),
        f"The read-out directions probed hold {spread(kept.min(), kept.max(), percent)} of the edge's energy.",
    )


def _range(values: pd.Series) -> str:
    return spread(values.min(), values.max(), hundredths) if len(values) else NONE


def _move_rows(run: RunResult) -> Rows:
    edge = int(run.modes.loc[run.modes["kind"] == "edge", "direction"].max())
    columns = ["eigenvalue", "adam", "decay", "cross", "gradient_cosine", "clipped_cosine"]
    named = [
        (f"v{row['direction']:.0f}" if row["direction"] else "whole window", row)
        for _, row in run.moves[run.moves["direction"] <= edge].iterrows()
    ]
    bulk = run.moves[run.moves["direction"] > edge]
    if len(bulk):
        named.append(("bulk, median", bulk[columns].median()))
    forms = (figures, percent, percent, percent, hundredths, hundredths)
    return Rows(
        "",
        tuple((name, *(form(row[column]) for form, column in zip(forms, columns, strict=True))) for name, row in named),
    )


def _agreement_rows(run: RunResult) -> Rows:
    found = {
        (str(row["weights"]), str(row["moving"])): (float(row["rho"]), float(row["p"]))
        for row in run.agreement.to_dict("records")
    }
    rows = []
    for weights, words in _WEIGHTS.items():
        pairs = [found.get((weights, moving), (np.nan, np.nan)) for moving in _MOVING]
        rows.append((words, *(cell for rho, p in pairs for cell in (hundredths(rho), probability(p)))))
    missing = (np.nan, np.nan)
    above = sum(found.get((weights, "edge"), missing) > found.get((weights, "random"), missing) for weights in _WEIGHTS)
    return Rows("", tuple(rows), f"The edge agrees better than random directions in {above} of {len(rows)}.")


def _contrast_rows(run: RunResult) -> Rows:
    table = run.contrasts
    whole_grid = table[table["inputs"] == "all"]
    parts = [(words, whole_grid[whole_grid["readout"] == readout]) for readout, words in _READOUTS.items()]
    halves = (("train", "training pairs"), ("test", "held-out pairs"))
    parts += [(words, table[table["inputs"] == inputs]) for inputs, words in halves]
    rows = [_contrast_row(words, part) for words, part in parts if len(part)]
    heads = {
        (int(part["layer"].iloc[0]), int(part["head"].iloc[0])): part
        for _, part in table[table["readout"] == "head"].groupby(["layer", "head"])
    }
    if heads:
        medians = {place: part.loc[part["kind"] == "edge", "energy_share"].median() for place, part in heads.items()}
        layer, head = max(medians, key=lambda place: medians[place])
        words = f"head {head + 1} of layer {layer + 1}, the largest of {len(heads)} heads"
        rows.append(_contrast_row(words, heads[layer, head]))
    return Rows("", tuple(rows))


def _contrast_row(words: str, part: pd.DataFrame) -> tuple[str, ...]:
    edge, random = (part.loc[part["kind"] == kind, "energy_share"] for kind in ("edge", "random"))
    low, median, high = np.quantile(random, [0.05, 0.5, 0.95]) if len(random) else (np.nan,) * 3
    return words, spread(edge.min(), edge.max(), percent), percent(median), spread(low, high, percent)
