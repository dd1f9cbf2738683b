"""What else was measured at a step, as compact tables of words."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.of_runs import ALPHA
from spectraledge.report.data import OWN, basis_label, selected_parts, titles
from spectraledge.report.words import (
    NONE,
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
from spectraledge.studies.results import StudyResult

_KEYS = 5
"""Key frequencies that are listed for a direction."""

_SAME_DIGITS = 9
_SMALLEST = 0.001

_PROBED = {
    "additive": "waves of a + b",
    "multiplicative": "waves of dlog a + dlog b",
    "both": "both",
    "cross": "both and their products",
}
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
        columns: Headings; the first column names the row.
        groups: One for each run that has it.
        over: Headings above those, each with the number of columns that it spans.
        words_in: Columns that hold words rather than numbers.
    """

    key: str
    title: str
    words: str
    columns: tuple[str, ...]
    groups: tuple[Rows, ...]
    over: tuple[tuple[str, int], ...] = ()
    words_in: tuple[str, ...] = ()


def measurements(study: StudyResult) -> list[Measurement]:
    """Every table of what was measured at a step, without those that no run has."""
    tables = (
        Measurement(
            "selection-table",
            "Selection ratio of every kind of functions",
            "S with its 95% interval; p: one-sided, against isotropic updates (Student's t on log S); dealt anew: "
            "exact, by permuting directions, hardly below 0.05 where one eigenvalue dominates. Shares: of the "
            "response's energy, for the window's updates, along the edge alone, for isotropic updates, and for noise. "
            "“Beyond”: what functions add to others. Kinds that hold the same functions share a row.",
            (
                "Functions of",
                "Dimension",
                "S",
                "95% interval",
                "p",
                "p, dealt anew",
                "Updates",
                "Edge",
                "Isotropic",
                "Noise",
            ),
            run_groups(study, "selection", _selection_rows),
        ),
        Measurement(
            "keys",
            "Key frequencies",
            f"Frequencies of the own variable that stand out of noise (p ≤ {ALPHA} over all frequencies of a "
            "direction) with their shares of the response's energy, the largest first. A trained "
            "network responds with more than noise along any direction, so compare the edge with random directions.",
            ("Direction", "How many", f"Largest {_KEYS}"),
            run_groups(study, "keys", _key_rows),
            words_in=(f"Largest {_KEYS}",),
        ),
        Measurement(
            "probes",
            "Linear probes",
            "R² of ridge regressions from waves on the pairs to the response: smallest to largest of the directions "
            "probed. Cross-validated (of the leading read-out directions) on rows and columns, or on answers, that "
            "were not seen; in sample as published, for comparison only. Random features: as many columns of noise, "
            "for the edge's response; where they reach as much, the waves explain nothing. Waves of a − b are not "
            "among the published features.",
            ("Features", "Columns", *("Edge", "Random directions", "Random features") * 3),
            run_groups(study, "probes", _probe_rows),
            (("", 2), ("Unseen rows and columns", 3), ("Unseen answers", 3), ("In sample (published)", 3)),
        ),
        Measurement(
            "moves",
            "What moves the weights",
            "Each update is a step of Adam plus weight decay, so each eigenvalue splits into their own shares and a "
            "cross term, negative where they oppose each other. Cosines: between Adam's part along the direction and "
            "the summed gradients, as they came and as clipped; 1 would be plain gradient descent.",
            ("Direction", "Eigenvalue (weight²)", "Adam", "Decay", "Cross", "Cosine, gradient", "Cosine, clipped"),
            run_groups(study, "moves", _move_rows),
        ),
        Measurement(
            "agreement",
            "Do weights and movement use the same frequencies?",
            "Rank correlation ρ over the frequencies of the own variable between the energy that the weights hold and "
            "the energy that moving them gives. p: against an arbitrary pairing; a trained network agrees along random "
            "directions too, so compare the edge with those.",
            ("What the weights hold", *("ρ", "p") * 3),
            run_groups(study, "agreement", _agreement_rows),
            (("", 1), ("Edge", 2), ("Whole window", 2), ("Random directions", 2)),
        ),
        Measurement(
            "contrasts",
            "Other read-outs, either half, single heads",
            "Energy share of the own functions, corrected for chance. On a half of the pairs functions of other "
            "variables leak into the own ones: compare halves with each other only.",
            ("Where", "Edge, smallest to largest", "Random, median", "Random, 5–95%"),
            run_groups(study, "contrasts", _contrast_rows),
        ),
    )
    return [table for table in tables if table.groups]


def run_groups(
    study: StudyResult, table: str, rows: Callable[[RunResult], Rows], *, stepped: bool = True
) -> tuple[Rows, ...]:
    """Rows of every run that has a table.

    Args:
        study: The study.
        table: The table's name.
        rows: Makes a run's rows; their heading is filled in here.
        stepped: Whether the heading says at which step modes were measured.

    Returns:
        The rows, run by run.
    """
    named = titles(study)
    found = []
    for run in study.runs:
        if len(getattr(run, table)):
            made = rows(run)
            heading = named[run.run_id] + (f", {step_word(run.modes_step)}" if stepped else "")
            found.append(Rows(heading, made.rows, made.note))
    return tuple(found)


def _selection_rows(run: RunResult) -> Rows:
    merged: dict[tuple[float, ...], tuple[list[str], pd.Series]] = {}
    for name, row in _selected(run):
        same = tuple(round(float(row[column]), _SAME_DIGITS) for column in ("dimension", "ratio", "window_share"))
        merged.setdefault(same, ([], row))[0].append(name)
    return Rows(
        "",
        tuple(
            (
                ", ".join(dict.fromkeys(names)),
                whole(row["dimension"]),
                ratio(row["ratio"]),
                spread(row["low"], row["high"], ratio),
                probability(row["p"]),
                probability(row["p_exact"]),
                percent(row["window_share"]),
                percent(row["edge_share"]),
                percent(row["random_share"]),
                percent(row["chance"]),
            )
            for names, row in merged.values()
        ),
    )


def _selected(run: RunResult) -> Iterator[tuple[str, pd.Series]]:
    for part in selected_parts(run):
        yield (f"{basis_label(run.structure)} ({OWN})" if part.own else part.label), part.row
    wholes = run.selection[run.selection["part"]]
    others = wholes[(wholes["family"] == "grouping") & wholes["grouping"].ne("") & (wholes["basis"] != run.structure)]
    beyond = wholes[(wholes["family"] == "joint") & wholes["grouping"].ne("")].groupby("basis").tail(-1)
    for _, row in pd.concat([others, beyond]).iterrows():
        yield str(row["functions"]), row


def _key_rows(run: RunResult) -> Rows:
    keys = run.keys[run.keys["key"].astype(bool)]
    rows = []
    for (kind, direction), _ in run.keys.groupby(["kind", "direction"]):
        mine = keys[(keys["kind"] == kind) & (keys["direction"] == direction)].nlargest(_KEYS, "share")
        count = int(((keys["kind"] == kind) & (keys["direction"] == direction)).sum())
        largest = ", ".join(
            f"ω {frequency} ({_share(share)})"
            for frequency, share in mine[["frequency", "share"]].itertuples(index=False)
        )
        rows.append((f"v{direction}" if kind == "edge" else f"random {direction}", str(count), largest or "not found"))
    only = sorted(
        set(keys.loc[keys["kind"] == "edge", "frequency"]) - set(keys.loc[keys["kind"] == "random", "frequency"])
    )
    words = f"ω {listing([str(frequency) for frequency in only])}" if only else "not found"
    return Rows("", tuple(rows), f"Key along the edge, along no random direction: {words}.")


def _share(share: float) -> str:
    return percent(share) if share >= _SMALLEST else f"< {percent(_SMALLEST)}"


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
    whose = f"The read-out directions probed hold {spread(kept.min(), kept.max(), percent)} of the edge's energy."
    return Rows("", tuple(rows), f"{_best_probe(run.probes)} {whose}")


def _best_probe(probes: pd.DataFrame) -> str:
    unseen = probes[probes["held_out"] == "rows"]
    waves, noise = unseen[~unseen["random"]], unseen[unseen["random"]]
    edge = waves[waves["kind"] == "edge"]
    top = edge.nlargest(1, "r2")
    features, best = str(top["features"].iloc[0]), float(top["r2"].iloc[0])
    along_random = waves[(waves["kind"] == "random") & (waves["features"] == features)]["r2"]
    if best <= max(0.0, float(noise.loc[noise["kind"] == "edge", "r2"].max())):
        return "Features that predict unseen rows and columns of the edge's response: not found."
    return (
        f"Unseen rows and columns are predicted best by {_PROBED[features]}: R² up to {hundredths(best)} at "
        f"the edge, up to {hundredths(float(along_random.max()))} along random directions."
    )


def _range(values: pd.Series) -> str:
    if values.empty:
        return NONE
    low, high = hundredths(float(values.min())), hundredths(float(values.max()))
    return low if low == high else f"{low} to {high}"


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
