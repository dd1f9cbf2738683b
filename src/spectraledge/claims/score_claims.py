"""Every claim of the `score` study, declared before any run is read, and their verdicts over its seeds."""

from spectraledge.analyses.run_result import Runs
from spectraledge.claims.design import learned
from spectraledge.claims.score_effects import EDGE, SCORE_EFFECTS, measure_score
from spectraledge.claims.verdicts import SeedClaim, Side, Verdicts, judge
from spectraledge.tasks import OPERATIONS

TASKS = ("add", "sub", "mul")
"""Tasks of the study."""

_ALL = "learned-runs"
_SAID = "the edge is functional"
_WINDOWS = {"before": "the window before an interval", "own": "an interval's own window"}


def _claim(
    section: str, id_: str, statement: str, effect: str, of: str = _ALL, side: Side = "above", known: str = ""
) -> SeedClaim:
    return SeedClaim(id_, section, "sound", statement, SCORE_EFFECTS[effect], of, side, published=known)


def _of_tasks(section: str, id_: str, statement: str, effect: str) -> tuple[SeedClaim, ...]:
    return tuple(
        _claim(section, f"{id_}-{task}", f"{OPERATIONS[task].formula}: {statement}", effect, learned(task))
        for task in TASKS
    )


# fmt: off
STATE_CLAIMS: tuple[SeedClaim, ...] = (
    *_of_tasks("State", "computes-own", "in the end the network computes functions of its own variable.", "own-share"),
    _claim("State", "few-lines", "Few frequencies hold most of them.", "lines", side="below"),
)
"""What the networks compute."""

ONSET_CLAIMS: tuple[SeedClaim, ...] = (
    *_of_tasks("Onset", "leads", "its functions leave the band of controls before test accuracy reaches .95.",
               "onset-own"),
    _claim("Onset", "leads-accuracy", "They leave it before test accuracy leaves its own.", "onset-own:accuracy"),
    _claim("Onset", "strongest-leads-accuracy", "The strongest of them leaves it before test accuracy leaves its own.",
           "onset-strongest:accuracy"),
    _claim("Onset", "leads-loss", "They leave it before test loss leaves its own.", "onset-own:loss"),
    _claim("Onset", "leads-weights", "They leave it before the weight norm leaves its own.", "onset-own:weights"),
)
"""When they appear."""

GROWTH_CLAIMS: tuple[SeedClaim, ...] = (
    _claim("Growth", "first-order", "Their growth is the first order's, taken half-way.", "explained", side="equal"),
    _claim("Growth", "mean-grows", "The mean of the window before, which centring removes, makes more of their growth "
           "than what updates differ from it by.", "grown:mean-fluctuation"),
    _claim("Growth", "optimizer-grows", "The optimizer's steps make them grow.", "grown:optimizer-none"),
    _claim("Growth", "decay-shrinks", "Weight decay makes them shrink.", "grown:decay-none", side="below"),
)
"""What makes them grow."""

CARRIER_CLAIMS: tuple[SeedClaim, ...] = tuple(
    claim
    for window, words in _WINDOWS.items()
    for claim in (
        *_of_tasks("Carriers", f"edge-carries-{window}", f"the {EDGE} leading directions of {words} carry more of its "
                   "functions' growth than random ones.", f"carried-{window}:edge-span"),
        _claim("Carriers", f"edge-carries-half-{window}",
               f"The {EDGE} leading directions of {words} carry more than half of their growth.",
               f"carried-{window}:edge-half", known=_SAID),
        _claim("Carriers", f"mean-carries-{window}",
               f"The mean update of {words} carries more of it than a random direction of its span.",
               f"carried-{window}:mean-span"),
        _claim("Carriers", f"gradients-carry-{window}", f"The {EDGE} leading directions of the gradients of {words} "
               "carry more of it than random directions of the updates.", f"carried-{window}:gradient-span"),
        _claim("Carriers", f"window-carries-{window}",
               f"All directions of {words} carry more of it than isotropic ones.", f"carried-{window}:whole-random"),
        _claim("Carriers", f"window-carries-half-{window}",
               f"All directions of {words} carry more than half of it.", f"carried-{window}:whole-half"),
    )
)
"""Which directions carry that."""
# fmt: on

SCORE_CLAIMS: tuple[SeedClaim, ...] = (*STATE_CLAIMS, *ONSET_CLAIMS, *GROWTH_CLAIMS, *CARRIER_CLAIMS)
"""Every claim of the study, in the order of its report."""


def evaluate_score(runs: Runs) -> Verdicts:
    """Evaluate every claim of the `score` study over its seeds."""
    return judge(SCORE_CLAIMS, measure_score(runs))
