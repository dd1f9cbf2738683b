"""What else was measured at a step, as compact tables of words."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from spectraledge.analyses.comparisons import (
    MOVE_COLUMNS,
    agreement,
    best_probe,
    contrasts,
    keys_of_edge_only,
    moves,
)
from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.selection_tables import WHOLE
from spectraledge.claims.verdicts import ALPHA
from spectraledge.pages.document import Column, Rows, Table, number_columns
from spectraledge.report.run_names import OWN, function_label, selected_parts, titles
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
from spectraledge.tasks import basis_formula

_KEYS = 5
"""Key frequencies that are listed for a direction."""

_THEN = " then "
_SAME_DIGITS = 9
_SMALLEST = 0.001

_PROBED = {
    "additive": "waves of a + b",
    "multiplicative": "waves of dlog a + dlog b",
    "both": "both",
    "cross": "both and their products",
}
_HELD_OUT = {"rows": "Unseen rows and columns", "output": "Unseen answers", "none": "In sample (published)"}
_WEIGHTS = {"embedding": "token embedding", "neurons": "neurons of the last layer", "logits": "logits"}
_MOVING = {"edge": "Edge", "window": "Whole window", "random": "Random directions"}
_PLACES = {
    "residual": "residual stream",
    "normed": "behind the last normalisation",
    "logits": "logits",
    "train": "training pairs",
    "test": "held-out pairs",
}


def measurements(study: StudyResult) -> list[Table]:
    """Every table of what was measured at a step, without those that no run has."""
    tables = (
        Table(
            "selection-table",
            "Selection ratio of every kind of functions",
            number_columns(
                "Functions of",
                ("Dimension", "S", "95% interval", "p", "p, dealt anew", "Updates", "Edge", "Isotropic", "Noise"),
            ),
            run_groups(study, "selection", _selection_rows),
            "S with its 95% interval; p: one-sided, against isotropic updates (Student's t on log S); dealt anew: "
            "exact, by permuting directions, hardly below 0.05 where one eigenvalue dominates. Shares: of the "
            "response's energy, for the window's updates, along the edge alone, for isotropic updates, and for noise. "
            "“Beyond”: what functions add to others. Kinds that hold the same functions share a row.",
        ),
        Table(
            "keys",
            "Key frequencies",
            (Column("Direction"), Column("How many", "number"), Column(f"Largest {_KEYS}")),
            run_groups(study, "keys", _key_rows),
            f"Frequencies or representations of the own variable that stand out of noise (p ≤ {ALPHA} over all of a "
            "direction) with their shares of the response's energy, the largest first. A trained "
            "network responds with more than noise along any direction, so compare the edge with random directions.",
        ),
        Table(
            "probes",
            "Linear probes",
            (
                *number_columns("Features", ("Columns",)),
                *_under(_HELD_OUT.values(), ("Edge", "Random directions", "Random features")),
            ),
            run_groups(study, "probes", _probe_rows),
            "R² of ridge regressions from waves on the pairs to the response: smallest to largest of the directions "
            "probed. Cross-validated (of the leading read-out directions) on rows and columns, or on answers, that "
            "were not seen; in sample as published, for comparison only. Random features: as many columns of noise, "
            "for the edge's response; where they reach as much, the waves explain nothing. Waves of a − b are not "
            "among the published features.",
        ),
        Table(
            "moves",
            "What moves the weights",
            number_columns(
                "Direction",
                ("Eigenvalue (weight²)", "Optimizer", "Decay", "Cross", "Cosine, gradient", "Cosine, clipped"),
            ),
            run_groups(study, "moves", _move_rows),
            "Each update is the optimizer's steps plus decoupled weight decay: each eigenvalue splits into their own "
            "shares and a cross term, negative where they oppose each other. Cosines: between the optimizer's part "
            "along the direction and the summed gradients, as they came and as clipped; 1 would be plain descent.",
        ),
        Table(
            "agreement",
            "Do weights and movement use the same frequencies?",
            (Column("What the weights hold"), *_under(_MOVING.values(), ("ρ", "p"))),
            run_groups(study, "agreement", _agreement_rows),
            "Rank correlation ρ over the frequencies of the own variable between the energy that the weights hold and "
            "the energy that moving them gives. p: against an arbitrary pairing; a trained network agrees along random "
            "directions too, so compare the edge with those.",
        ),
        Table(
            "contrasts",
            "Other read-outs, either half, single heads",
            number_columns("Where", ("Edge, smallest to largest", "Random, median", "Random, 5–95%")),
            run_groups(study, "contrasts", _contrast_rows),
            "Energy share of the own functions, corrected for chance. On a half of the pairs functions of other "
            "variables leak into the own ones: compare halves with each other only.",
        ),
    )
    return [table for table in tables if table.groups]


def run_groups(
    study: StudyResult, table: str, rows: Callable[[RunResult], Rows], *, stepped: bool = True
) -> tuple[Rows, ...]:
    """Rows of every run that has a table."""
    named = titles(study)
    return tuple(
        replace(rows(run), heading=named[run.run_id] + (f", {step_word(run.modes_step)}" if stepped else ""))
        for run in study.runs
        if len(run.table(table))
    )


def _under(overs: Iterable[str], titles: tuple[str, ...]) -> tuple[Column, ...]:
    return tuple(Column(title, "number", over) for over in overs for title in titles)


def _selection_rows(run: RunResult) -> Rows:
    merged: dict[tuple[float, ...], tuple[list[str], pd.Series]] = {}
    for name, row in _selected(run):
        same = tuple(round(float(row[column]), _SAME_DIGITS) for column in ("dimension", "ratio", "window_share"))
        merged.setdefault(same, ([], row))[0].append(name)
    return Rows.of(
        "",
        (
            (
                ", ".join(dict.fromkeys(names)),
                whole(row["dimension"]),
                ratio(row["ratio"]),
                spread(row["low"], row["high"], ratio),
                probability(row["p"]),
                probability(row["p_exact"]),
                *(percent(row[share]) for share in ("window_share", "edge_share", "random_share", "chance")),
            )
            for names, row in merged.values()
        ),
    )


def _selected(run: RunResult) -> Iterator[tuple[str, pd.Series]]:
    for part in selected_parts(run):
        yield (f"{basis_formula(run.structure)} ({OWN})" if part.own else part.label), part.row
    wholes = run.selection[run.selection["part"]]
    for _, row in wholes[(wholes["subspace"] == WHOLE) & (wholes["basis"] != run.structure)].iterrows():
        yield basis_formula(str(row["basis"])), row
    for _, row in wholes[wholes["basis"].str.contains(_THEN)].iterrows():
        first, second = str(row["basis"]).split(_THEN)
        if row["subspace"] == second:
            yield f"{basis_formula(second)}, beyond {basis_formula(first)}", row


def _key_rows(run: RunResult) -> Rows:
    keys = run.keys[run.keys["key"].astype(bool)]
    rows = []
    for (kind, direction), _ in run.keys.groupby(["kind", "direction"]):
        mine = keys[(keys["kind"] == kind) & (keys["direction"] == direction)]
        largest = ", ".join(
            f"{function_label(name)} ({_share(share)})"
            for name, share in mine.nlargest(_KEYS, "share")[["subspace", "share"]].itertuples(index=False)
        )
        name = f"v{direction}" if kind == "edge" else f"random {direction}"
        rows.append((name, str(len(mine)), largest or "not found"))
    only = keys_of_edge_only(run)
    words = listing(list(map(function_label, only))) if only else "not found"
    return Rows.of("", rows, note=f"Key along the edge, along no random direction: {words}.")


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
    return Rows.of("", rows, note=f"{_best_words(run)} {whose}")


def _best_words(run: RunResult) -> str:
    best = best_probe(run)
    if not best.above_noise:
        return "Features that predict unseen rows and columns of the edge's response: not found."
    return (
        f"Unseen rows and columns are predicted best by {_PROBED[best.features]}: R² up to {hundredths(best.edge)} at "
        f"the edge, up to {hundredths(best.random)} along random directions."
    )


def _range(values: pd.Series) -> str:
    if values.empty:
        return NONE
    low, high = hundredths(float(values.min())), hundredths(float(values.max()))
    return low if low == high else f"{low} to {high}"


def _move_rows(run: RunResult) -> Rows:
    forms = (figures, percent, percent, percent, hundredths, hundredths)
    return Rows.of(
        "",
        (
            (name, *(form(row[column]) for form, column in zip(forms, MOVE_COLUMNS, strict=True)))
            for name, row in moves(run)
        ),
    )


def _agreement_rows(run: RunResult) -> Rows:
    found = agreement(run)
    missing = (np.nan, np.nan)
    rows = []
    for weights, words in _WEIGHTS.items():
        pairs = [found.get((weights, moving), missing) for moving in _MOVING]
        rows.append((words, *(cell for rho, p in pairs for cell in (hundredths(rho), probability(p)))))
    above = sum(
        found.get((weights, "edge"), missing)[0] > found.get((weights, "random"), missing)[0] for weights in _WEIGHTS
    )
    return Rows.of("", rows, note=f"The edge agrees better than random directions in {above} of {len(rows)}.")


def _contrast_rows(run: RunResult) -> Rows:
    rows = []
    for one in contrasts(run):
        layer, head = one.head
        where = f"head {head + 1} of layer {layer + 1}, the largest of {one.heads} heads" if one.heads else None
        random = (NONE, NONE)
        if one.random:
            random = percent(one.random.median), spread(one.random.low, one.random.high, percent)
        rows.append((where or _PLACES[one.where], spread(*one.edge, percent), *random))
    return Rows.of("", rows)
