"""Table 2, Figure 1 and §6.3 to §6.5: which functions the edge's directions move, in the task's basis and in others."""

from collections.abc import Sequence

from spectraledge.analyses.readings import white_noise_concentration
from spectraledge.claims.design import GROKKING, learned
from spectraledge.claims.joint_effects import READ_BASES
from spectraledge.claims.published import MODES, published_number
from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.document import Section
from spectraledge.report.names import basis_label
from spectraledge.report.paper.effect_strips import KINDS, Points, Strip, kind_points, strip_figure
from spectraledge.report.paper.effect_tables import EffectRow, effect_table
from spectraledge.report.paper.paper_section import paper_section
from spectraledge.report.paper.wave_figure import wave_of_each_task
from spectraledge.report.words import decimal, modes_window
from spectraledge.studies.results import StudyResult
from spectraledge.tasks import OPERATIONS

RANDOM_NULL = "null: random directions"

_DIRECTIONS = {
    "v1": "v1",
    "v2": "v2",
    "v3": "v3",
    "edge": "v1 to v3, mean",
    "bulk": "bulk, mean",
    "span": "mixtures in the window, mean",
}
_SHARE, _F = "energy share, whole domain", "F of ‖R‖², test pairs (published)"


def _published_mode(task: str, basis: str, directions: str) -> str:
    edge = directions in ("v1", "v2", "v3")
    kind, number = ("edge", int(directions[1:])) if edge else (directions, 0)
    for mode in MODES:
        if (mode.task, mode.basis, mode.kind, mode.direction) == (task, basis, kind, number):
            words = [] if mode.concentration is None else [f"{mode.concentration:.3g}"]
            return ", ".join([*words, *([f"ω {mode.frequency}"] if mode.frequency is not None else [])])
    return ""


def _directions(task: str, effect: str, labels: Sequence[str], basis: str) -> list[EffectRow]:
    """Rows of an effect's directions one by one; published values stand beside F alone."""
    return [
        EffectRow(
            (*labels, words),
            f"{effect}:{directions}-random",
            learned(task),
            "" if effect == "share" else _published_mode(task, basis, directions),
        )
        for directions, words in _DIRECTIONS.items()
    ]


def basis_section(study: StudyResult, verdicts: Verdicts) -> Section:
    """Table 2 with its figure, and Figure 1."""
    effects = verdicts.effects
    noise = white_noise_concentration(study.runs[0]) if study.runs else float("nan")
    rows = []
    for task in GROKKING:
        operation = OPERATIONS[task]
        what = f"{operation.formula}, basis {basis_label(operation.structure)}"
        for effect, statistic in (("share", _SHARE), ("f", _F)):
            rows += _directions(task, effect, (what, statistic), operation.structure)
    directions = effect_table(
        effects,
        "table-2",
        "Directions in the task’s own basis, weight decay 1",
        ("task", "statistic", "directions"),
        rows,
        null=RANDOM_NULL,
        note=f"Of runs that generalised, at the last step with test accuracy above 0.95, {modes_window(study)}. Energy "
        "share: the between-group part of the vector response’s variance, corrected so that noise gives 0, exact "
        "derivative; arithmetic means. F: as published, by a finite difference; geometric means, as all that is compared "
        f"by ratios; white noise gives {decimal(noise)} on average. Bulk and mixtures are averaged within a seed.",
    )
    known = {
        "add": f"F of the first component: {published_number('§6.3', 'F', 'first principal component of R_1, add')}, "
        "ω 26",
        "square_sum": f"{published_number('§6.5', 'power off the diagonal', 'a² + b²')} of the power off the diagonal",
    }
    waves = effect_table(
        effects,
        "figure-1",
        "How much of the response is one plane wave over (a, b)",
        ("task", "directions"),
        [
            EffectRow(
                (OPERATIONS[task].formula, _DIRECTIONS[of]),
                f"plane-wave:{of}-random",
                learned(task),
                known.get(task, "") if of == "v1" else "",
            )
            for of in ("v1", "edge")
            for task in GROKKING
        ],
        null=RANDOM_NULL,
        note="The largest share of one 2-D character in the response on the residual direction along which its group "
        "means vary most; geometric means. The published numbers are of other quantities on the same pictures.",
    )
    lanes = {"v1": "v1", "v2": "v2", "v3": "v3", "bulk": "bulk", "span": "span"}
    drawing = strip_figure(
        effects,
        "directions-in-own-basis",
        "Directions of every kind in the task’s own basis",
        [
            Strip(
                OPERATIONS[task].formula,
                axis,
                (
                    *(
                        Points(
                            lane, of if of in KINDS or of == "span" else "edge", f"{effect}:{of}-random", learned(task)
                        )
                        for of, lane in lanes.items()
                    ),
                    Points("random", "random", f"{effect}:edge-random", learned(task), null=True),
                ),
                percent=effect == "share",
                reference=0.0 if effect == "share" else noise,
            )
            for effect, axis in (("share", "energy share"), ("f", "F (published)"))
            for task in GROKKING
        ],
        caption="One point per seed; bulk, mixtures of the window and random directions averaged within it. Upper row: "
        "energy share of functions of the own variable; dotted: noise. Lower row: F of ‖R‖² as published; dotted: the "
        "mean of white noise.",
        nothing="red points would lie among the hollow ones.",
        entries={
            "edge": "edge, one by one",
            "bulk": "bulk",
            "span": "mixtures in the window",
            "random": "random directions",
        },
        across=4,
    )
    return paper_section(
        "table-2",
        "Table 2 and Figure 1. Directions in the task’s basis",
        "Do the edge’s directions move simple functions in the task’s own basis, more than the bulk of the same "
        "window and than random directions of the same network do?",
        (drawing, wave_of_each_task(study), directions, waves),
        note="Directions of nearly equal eigenvalue rotate into each other from seed to seed: a row of v1 is an average "
        "over whatever came first.",
    )


_GAIN, _LOSS = "F under dlog over F raw", "F under dlog over F in its own basis"
_GAINS = {
    ("mul", "product", "v1"): published_number("§6.3", _GAIN, "mul, v1"),
    ("mul", "product", "edge"): published_number("§6.3", _GAIN, "mul, mean"),
    ("add", "sum", "v1"): published_number("§6.3", _LOSS, "add"),
    ("add", "sum", "edge"): "",
}
"""What is published of F under discrete logarithms over F in another basis, by task, basis and directions."""

_GAIN_WORDS = {
    "mul": "a·b: discrete logarithms over raw products",
    "add": "control, a + b: discrete logarithms over sums",
}


def multiplication_section(study: StudyResult, verdicts: Verdicts) -> Section:
    """§6.3: F and the energy share of multiplication in both bases, with random directions and addition as controls."""
    effects = verdicts.effects
    gains = effect_table(
        effects,
        "section-6-3-gains",
        "How much a basis gains over another",
        ("bases", "statistic", "directions"),
        [
            EffectRow((_GAIN_WORDS[task], _F, _DIRECTIONS[of]), f"dlog-gain-{wrong}:{of}-random", learned(task), known)
            for (task, wrong, of), known in _GAINS.items()
        ],
        null=RANDOM_NULL,
        note="Ratios of F in the first basis to F in the second, direction by direction; geometric means. 1 is no gain. "
        "The group of products that no pair has is masked, not filled with 0.",
    )
    lost = effect_table(
        effects,
        "section-6-3-shares",
        "Addition’s edge under discrete logarithms",
        ("statistic", "directions"),
        [
            EffectRow(
                ("energy share of functions of dlog a + dlog b", _DIRECTIONS["edge"]),
                "share-dlog:edge-own",
                learned("add"),
            )
        ],
        null="null: of functions of a + b",
        note="Exact derivative, whole domain.",
    )
    labels = {basis: f"basis {basis_label(basis)}" for basis in ("dlog_sum", "product")}
    levels = effect_table(
        effects,
        "section-6-3",
        "Multiplication in both bases",
        ("basis", "statistic", "directions"),
        [
            *_directions("mul", "share", (labels["dlog_sum"], _SHARE), "dlog_sum"),
            *_directions("mul", "f", (labels["dlog_sum"], _F), "dlog_sum"),
            *_directions("mul", "f-product", (labels["product"], _F), "product"),
        ],
        null=RANDOM_NULL,
        note="As in Table 2. Raw products and discrete logarithms make the same groups in another order, which the "
        "energy share does not depend on: what multiplication gains by logarithms, only F can tell.",
    )
    noise = white_noise_concentration(study.runs[0]) if study.runs else float("nan")
    drawing = strip_figure(
        effects,
        "logarithms",
        "F in discrete logarithms and in the other basis",
        [
            Strip(
                OPERATIONS[task].formula,
                "F of ‖R‖² (published)",
                tuple(
                    point for basis in bases for point in kind_points(f"f-{basis}", learned(task), basis_label(basis))
                ),
                reference=noise,
            )
            for task, bases in (("mul", ("dlog_sum", "product")), ("add", ("sum", "dlog_sum")))
        ],
        caption="One point per seed, directions of a kind averaged within it; finite difference, test pairs. Dotted: the "
        "mean of white noise.",
        nothing="the edge would gain no more than random directions do.",
        entries=KINDS,
        across=2,
    )
    return paper_section(
        "section-6-3",
        "§6.3. Multiplication in discrete logarithms",
        "Multiplication is addition of discrete logarithms. How much more concentrated is the edge under them than "
        "under raw products; do random directions gain as much; and does addition lose?",
        (drawing, gains, lost, levels),
    )


def subtraction_section(study: StudyResult, verdicts: Verdicts) -> Section:
    """§6.4: subtraction in differences, where the published statistic does not tell edge from bulk."""
    known = ", ".join(f"{m.kind} {m.concentration}" for m in MODES if m.section == "§6.4" and not m.direction)
    table = effect_table(
        verdicts.effects,
        "section-6-4",
        "Subtraction in differences, edge against bulk",
        ("statistic", "directions"),
        [
            EffectRow(
                (words, directions),
                f"{effect}:{of}-bulk",
                learned("sub"),
                known if (effect, of) == ("f", "edge") else "",
            )
            for effect, words in (("share", _SHARE), ("f", _F))
            for of, directions in (("edge", _DIRECTIONS["edge"]), ("random", "random directions, mean"))
        ],
        null="null: bulk of the same window",
        note="Means within a seed first. Single directions stand in Table 2.",
    )
    return paper_section(
        "section-6-4",
        "§6.4. Subtraction: is there an edge at all?",
        "The published F does not tell edge from bulk for a − b, an honest negative. Does the energy of the vector "
        "response?",
        (table,),
    )


def squares_section(study: StudyResult, verdicts: Verdicts) -> Section:
    """§6.5: a² + b² in every basis, edge beside bulk and random directions."""
    known = published_number("§6.5", "F in any of five bases", "a² + b²")
    of = learned("square_sum")
    table = effect_table(
        verdicts.effects,
        "section-6-5",
        "a² + b² alone, in every basis",
        ("statistic", "basis", "directions"),
        [
            *(
                EffectRow(
                    (words, basis_label(basis), _DIRECTIONS[kind]),
                    f"{effect}-residual-{basis}:{kind}-random",
                    of,
                    known if (effect, kind) == ("f", "edge") else "",
                )
                for effect, words in (("share", "energy share"), ("f", "F of ‖R‖²"))
                for kind in ("edge", "bulk")
                for basis in READ_BASES
            ),
            *(
                EffectRow(("selection ratio S", basis_label(basis), "whole window"), f"selection-residual-{basis}", of)
                for basis in READ_BASES
            ),
        ],
        null=RANDOM_NULL,
        note="On the pairs without a zero. As (a + ib)(a − ib) = a² + b², the sum of the Gaussian logarithms is the "
        "logarithm of the output. Means of F and S are geometric. Null of S: 1, no selection.",
    )
    noise = white_noise_concentration(study.runs[0]) if study.runs else float("nan")
    drawing = strip_figure(
        verdicts.effects,
        "squares-in-bases",
        "a² + b² in every basis",
        [
            Strip(
                axis,
                axis,
                tuple(
                    point
                    for basis in READ_BASES
                    for point in kind_points(f"{effect}-residual-{basis}", of, basis_label(basis))
                ),
                percent=effect == "share",
                reference=reference,
            )
            for effect, axis, reference in (("share", "energy share", 0.0), ("f", "F of ‖R‖² (published)", noise))
        ],
        caption="One point per seed, directions of a kind averaged within it. Dotted: what noise has.",
        nothing="in every basis the three kinds of points would lie one above the other.",
        entries=KINDS,
        across=2,
    )
    return paper_section(
        "section-6-5",
        "§6.5. a² + b²: is there a basis in which the edge is simple?",
        "Outputs, sums, discrete logarithms, and the two Gaussian coordinates of a² + b² = (a + ib)(a − ib).",
        (drawing, table),
    )
