"""What a report opens with: a run that generalised beside its control, as `Stage`, and what is to be said of them."""

import numpy as np

from spectraledge.analyses.readings import OwnScore, own_score
from spectraledge.analyses.run_result import RunResult
from spectraledge.pages.stage import BRIGHT, LIMIT, NAMED, Act, Stage
from spectraledge.report.pictures import ordered_words
from spectraledge.report.run_names import function_label, titles
from spectraledge.report.words import counted, listing, percent, step_word
from spectraledge.studies.results import StudyResult
from spectraledge.tasks import basis_formula

_CAPTION = (
    "Top: every row is one function of {own}, every column a snapshot; the brighter, the more of what the network "
    "answers is this function (share of the energy of its centred logits, on pairs that it never saw). Below: test "
    "accuracy. Beside: the answers as a picture over all pairs (a, b), projected on the direction of answers along "
    "which they vary most in the end, in the order of that wave; blue and red are below and above its mean (colours "
    f"end at ±{LIMIT:g} of its size in the end). Sound: each function is a tone, the first at 110 Hz and the last four "
    "octaves above, as loud as the root of its share. In figures over training steps a line stands where the slider is."
)


def opening(study: StudyResult) -> Stage | None:
    """The first run that generalised, and its control: of the same task if there is one; None without a score."""
    scores = {run.run_id: score for run in study.runs if (score := own_score(run)) is not None}
    measured = [run for run in study.runs if run.run_id in scores]
    learned = next((run for run in measured if run.grokked), None)
    if learned is None:
        return None
    others = sorted(
        (run for run in measured if not run.grokked), key=lambda run: run.config.task != learned.config.task
    )
    runs = [learned, *others[:1]]
    steps_T = np.unique(np.concatenate([scores[run.run_id].steps_T for run in runs]))
    named = titles(study)
    acts = tuple(_act(run, scores[run.run_id], steps_T, named[run.run_id]) for run in runs)
    grokked = learned.manifest.grokked_step
    assert grokked is not None
    return Stage(
        sentences=_sentences(runs, scores, grokked),
        steps=tuple(map(int, steps_T)),
        acts=acts,
        rest=int(np.abs(steps_T - grokked).argmin()),
        caption=" ".join([_CAPTION.format(own=basis_formula(learned.structure)), *_orders(named, runs, scores)]),
        nothing="no row would brighten, the picture would stay speckled, and the run would sound like its control.",
    )


def _orders(named: dict[str, str], runs: list[RunResult], scores: dict[str, OwnScore]) -> list[str]:
    """How a and b are ordered in the pictures of answers, where it is not by a wave."""
    return [f"{named[run.run_id]}: {ordered_words(orders)}" for run in runs if (orders := scores[run.run_id].orders)]


def _act(run: RunResult, score: OwnScore, steps_T: np.ndarray, title: str) -> Act:
    """Lay a run on the time axis of the stage: at each step its last snapshot up to there."""
    kept_T = steps_T[steps_T <= score.steps_T[-1]]
    places_T = np.maximum(np.searchsorted(score.steps_T, kept_T, side="right") - 1, 0)
    evaluated = run.metrics.sort_values("step")
    at_T = np.maximum(np.searchsorted(evaluated["step"], kept_T, side="right") - 1, 0)
    return Act(
        title=title,
        words=_became(run),
        labels=_labels(score),
        share_ST=score.share_ST[:, places_T],
        own_T=score.own_T[places_T],
        test_T=evaluated["test_accuracy"].to_numpy(np.float64)[at_T],
        waves_TMM=None if score.waves_TMM is None else score.waves_TMM[places_T],
        parts=score.parts,
        own=basis_formula(run.structure),
    )


def _labels(score: OwnScore) -> tuple[str, ...]:
    return tuple(function_label(name, by=" = ") for name in score.labels)


def _became(run: RunResult) -> str:
    if run.grokked:
        return f"Generalised: test accuracy reached 95% at {step_word(run.manifest.grokked_step or 0)}."
    return f"Did not generalise in {counted(run.manifest.step, 'step')}."


def _sentences(runs: list[RunResult], scores: dict[str, OwnScore], grokked: int) -> tuple[tuple[str, int | None], ...]:
    learned, score = runs[0], scores[runs[0].run_id]
    own = basis_formula(learned.structure)
    end_S = score.share_ST[:, -1]
    bright = [_labels(score)[i] for i in np.argsort(-end_S) if end_S[i] >= BRIGHT]
    first = learned.metrics.loc[learned.metrics["train_accuracy"] >= 0.99, "step"]
    found: list[tuple[str, int | None]] = []
    if len(first) and first.iloc[0] < grokked:
        known = int(first.iloc[0])
        at = learned.metrics.loc[first.index[0]]
        words = (
            f"At {step_word(known)} the network answers {percent(at['train_accuracy'])} of its training pairs and "
            f"{percent(at['test_accuracy'])} of all others: it has learned by heart."
        )
        found.append((words, known))
    which = listing(bright[:NAMED]) + (" and others" if len(bright) > NAMED else "")
    few = f"a few functions of {own}, {which}, have" if bright else f"functions of {own} have"
    right = float(learned.metrics.loc[learned.metrics["step"] == grokked, "test_accuracy"].max())
    place = int(np.abs(score.steps_T - grokked).argmin())
    found.append(
        (
            f"At {step_word(grokked)} it answers {percent(right)} of pairs that it never saw; by then {few} come to "
            f"hold {percent(score.own_T[place])} of what it says there ({percent(score.own_T[-1])} in the end; chance: "
            f"{percent(score.chance)}).",
            grokked,
        )
    )
    for run in runs[1:]:
        other = scores[run.run_id]
        found.append(
            (
                f"How one knows: the control, {run.title}, never answers more than "
                f"{percent(float(run.metrics['test_accuracy'].max()))} of unseen pairs, and functions "
                f"of {basis_formula(run.structure)} never hold more than {percent(float(other.own_T.max()))} of what "
                "it says there.",
                None,
            )
        )
    return tuple(found)
