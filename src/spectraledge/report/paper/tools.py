"""§5 and §7: what representation-level tools see of the edge, and which directions examples and tasks use together."""

import pandas as pd

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.published import published_number
from spectraledge.report.paper.conditions import arm_label, joined, joint_runs, single_runs
from spectraledge.report.paper.drawing import (
    KIND_MARKS,
    TWO_COLUMNS,
    canvas,
    finish,
    handle,
    key,
    strips,
)
from spectraledge.report.paper.model import Drawing, Section, Table
from spectraledge.report.paper.over_seeds import Words, over_seeds, seeds_table
from spectraledge.studies.results import StudyResult

_GRAINS = {
    "head": "(layer, head) blocks",
    "head_matrix": "(layer, head, Q/K/V/O) blocks",
    "matrix": "Q/K/V/O",
}
_RANDOM = "null: random directions"
_KINDS = ("edge", "bulk", "random")


def _learned(study: StudyResult) -> list[RunResult]:
    return [run for run in single_runs(study) if run.config.weight_decay == 1.0]


def tools_section(study: StudyResult) -> Section:
    """§5: heads, ranks and sparse features, each beside random directions."""
    runs = _learned(study)
    tables = [table for table in (_purity_table(runs), _rank_table(runs), _overlap_table(runs)) if table is not None]
    drawing = _drawing(runs)
    return Section(
        key="section-5",
        title="§5. What representation-level tools see",
        lead="Do heads, ranks of activations or sparse features single out the edge, beyond what they make of random "
        "directions?",
        tables=tuple(tables),
        drawings=(drawing,) if drawing else (),
        notes=("A tool fails on the edge only if it gives no more for the edge than for its null.",) if tables else (),
        places=("§5", "§5.1", "§5.2", "§5.3"),
    )


def _purity_table(runs: list[RunResult]) -> Table | None:
    table = joined(runs, "purity")
    if table.empty:
        return None
    edge = table[table["kind"] == "edge"].assign(value=lambda rows: rows["purity"], null=lambda rows: rows["null_mean"])
    numbers = over_seeds(edge, ["formula", "grain", "blocks"]).assign(unit="share")
    numbers["where"] = numbers["grain"].map(_GRAINS)
    numbers["published"] = [
        published_number("§5", "head purity", "") if grain == "head" else "" for grain in numbers["grain"]
    ]
    return seeds_table(
        "section-5-heads",
        "Largest share of an edge direction in one block",
        numbers,
        Words({"formula": "task", "where": "blocks", "blocks": "number"}, "null: isotropic directions"),
        note="Mean over v1 to v3 within a seed. The largest of n shares is above 1/n for any direction.",
    )


def _rank_table(runs: list[RunResult]) -> Table | None:
    table = joined(runs, "ranks")
    if table.empty:
        return None
    parts = []
    for name, words, published in (
        ("effective_rank", "effective rank", published_number("§5", "effective rank of the response", "")),
        ("peakedness", "Fourier peakedness", published_number("§5", "Fourier peakedness", "")),
    ):
        rows = table[table["kind"].isin(["edge", "bulk", "random"])]
        random = rows[rows["kind"] == "random"].groupby(["run", "centered"])[name].mean().rename("null")
        edge = rows[rows["kind"] == "edge"].join(random, on=["run", "centered"])
        numbers = over_seeds(edge, ["formula", "centered"], value=name).assign(statistic=words, unit="number")
        shown = ~numbers["centered"].astype(bool)
        if name == "peakedness":
            shown &= numbers["formula"] == "a + b"
        numbers["published"] = [published if here else "" for here in shown]
        parts.append(numbers)
    numbers = pd.concat(parts, ignore_index=True)
    numbers["response"] = ["without its mean" if centered else "as it is" for centered in numbers["centered"]]
    return seeds_table(
        "section-5-ranks",
        "Ranks of the response along edge directions",
        numbers,
        Words({"statistic": "statistic", "formula": "task", "response": "response"}, _RANDOM),
        note="Mean over v1 to v3 within a seed. Peakedness: largest over mean power of the projection on the first "
        "right singular vector, in the task’s own basis.",
    )


def _overlap_table(runs: list[RunResult]) -> Table | None:
    table = joined(runs, "autoencoder")
    if table.empty:
        return None
    random = table[table["kind"] == "random"].groupby("run")["jaccard"].mean()
    tilted = table[table["kind"] == "tilted"].groupby("run")["jaccard"].mean()
    parts = []
    for kind, words in (("edge", "pairs of v1 to v3"), ("bulk", "pairs of the bulk")):
        rows = table[table["kind"] == kind]
        rows = rows.assign(value=rows["jaccard"], null=rows["run"].map(random), tilted=rows["run"].map(tilted))
        numbers = over_seeds(rows, ["task", "formula"]).assign(pairs=words, unit="F")
        at_45 = over_seeds(rows, ["task", "formula"], value="tilted")["value"]
        numbers["tilted"] = [f"{value:.3f}" for value in at_45]
        numbers["published"] = (
            [published_number("§5", "Jaccard of TopK features", str(task)) for task in numbers["task"]]
            if kind == "edge"
            else ""
        )
        parts.append(numbers)
    return seeds_table(
        "section-5-features",
        "Overlap of the sparse features that two directions move (Jaccard index)",
        pd.concat(parts, ignore_index=True),
        Words(
            {"formula": "task", "pairs": "directions", "tilted": "pairs at 45° (published null)"},
            "null: orthogonal random pairs",
        ),
        note="TopK autoencoder, 512 features, 32 active; the 20 features that a direction moves most.",
    )


def _drawing(runs: list[RunResult]) -> Drawing | None:
    purity, ranks, overlap = (joined(runs, name) for name in ("purity", "ranks", "autoencoder"))
    panels = []
    if len(purity):
        head = purity[purity["grain"] == "head"]
        panels.append(("largest share in one (layer, head)", head.assign(value=head["purity"])))
    if len(ranks):
        plain = ranks[~ranks["centered"].astype(bool)]
        panels.append(("effective rank of the response", plain.assign(value=plain["effective_rank"])))
    if len(overlap):
        panels.append(("Jaccard index of sparse features", overlap.assign(value=overlap["jaccard"])))
    if not panels:
        return None
    figure = canvas(TWO_COLUMNS, 2.1)
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    names = {"edge": "edge", "bulk": "bulk", "random": "random directions"}
    for place, (ax, (words, table)) in enumerate(zip(axes, panels, strict=True)):
        means = table.groupby(["kind", "run"])[["value"]].mean().reset_index()
        means["lane"] = means["kind"].map(names)
        strips(ax, means, list(names.values()), [KIND_MARKS[kind] for kind in _KINDS])
        finish(ax, "abc"[place], across=words)
    return Drawing(
        "representation-tools",
        "What representation-level tools make of edge, bulk and random directions",
        "One point per run with weight decay 1, mean over its directions, or pairs of them, of a kind.",
        "the three rows of a panel would lie one above the other.",
        figure,
    )


def cousage_section(study: StudyResult) -> Section:
    """§7: sharedness of directions between heads, and diagonal dominance of their co-usage."""
    joint = joint_runs(study)
    tables = [table for table in (_shared_table(joint, study), _dominance_table(_learned(study))) if table is not None]
    drawing = _shared_drawing(joint, study)
    return Section(
        key="section-7",
        title="§7. Co-usage: do tasks share the edge?",
        lead="Which directions change the losses of several tasks alike (sharedness S_k), and which are used apart "
        "from their neighbours (diagonal dominance)?",
        tables=tuple(tables),
        drawings=(drawing,) if drawing else (),
        places=("§7", "App. A", "Appendix A"),
    )


def _shared(joint: tuple[RunResult, ...], study: StudyResult) -> pd.DataFrame:
    table = joined(joint, "sharedness")
    if table.empty:
        return table
    table = table[table["heads"] > 1]
    return table.assign(arm=table["run"].map({run.run_id: arm_label(run.config, study) for run in joint}))


def _shared_table(joint: tuple[RunResult, ...], study: StudyResult) -> Table | None:
    table = _shared(joint, study)
    if table.empty:
        return None
    random = table[table["kind"] == "random"].groupby("run")["sharedness"].mean()
    rows = table[table["kind"].isin(["edge", "bulk"])]
    rows = rows.assign(value=rows["sharedness"], null=rows["run"].map(random))
    numbers = over_seeds(rows, ["arm", "kind", "floor"]).assign(unit="F")
    numbers["published"] = numbers["kind"].map(
        {kind: published_number("§7", "sharedness", of) for kind, of in (("edge", "above"), ("bulk", "below"))}
    )
    numbers["floor"] = [f"{floor:.2f}" for floor in numbers["floor"]]
    return seeds_table(
        "section-7-sharedness",
        "Sharedness of directions between the heads of one trunk",
        numbers,
        Words({"arm": "heads", "kind": "directions", "floor": "floor, 1/T"}, _RANDOM),
        note="1: a direction changes the losses of all T heads by the same energy; 1/T: those of one alone.",
    )


def _dominance_table(runs: list[RunResult]) -> Table | None:
    table = joined(runs, "usage")
    if table.empty:
        return None
    random = table[table["kind"] == "random"].groupby("run")["dominance"].mean()
    rows = table[table["kind"].isin(["edge", "bulk"])]
    rows = rows.assign(value=rows["dominance"], null=rows["run"].map(random))
    numbers = over_seeds(rows, ["formula", "kind"]).assign(unit="F", published="")
    return seeds_table(
        "section-7-dominance",
        "Diagonal dominance of the correlations between directions’ uses",
        numbers,
        Words({"formula": "task", "kind": "directions"}, _RANDOM, published=False),
        note="Xu 2026 names the quantity and gives no values.",
    )


def _shared_drawing(joint: tuple[RunResult, ...], study: StudyResult) -> Drawing | None:
    table = _shared(joint, study)
    if table.empty:
        return None
    arms = list(dict.fromkeys(table["arm"]))
    figure = canvas(TWO_COLUMNS, 1.9)
    axes = figure.subplots(1, len(arms), squeeze=False, sharey=True)[0]
    names = {"edge": "edge", "bulk": "bulk", "random": "random directions"}
    for place, (ax, arm) in enumerate(zip(axes, arms, strict=True)):
        part = table[table["arm"] == arm]
        rows = part.assign(lane=part["kind"].map(names), value=part["sharedness"])
        strips(ax, rows, list(names.values()), [KIND_MARKS[kind] for kind in _KINDS], null=float(part["floor"].iloc[0]))
        ax.set_xlim(0, 1.03)
        finish(ax, f"{'abcdefgh'[place]}  {arm}", across="sharedness S")
    key(figure, [(words, handle(KIND_MARKS[kind])) for kind, words in names.items()])
    return Drawing(
        "sharedness",
        "Sharedness of directions between heads",
        "One point per direction of every seed. Dotted: the floor, one over the number of heads.",
        "edge, bulk and random directions would have the same sharedness.",
        figure,
    )
