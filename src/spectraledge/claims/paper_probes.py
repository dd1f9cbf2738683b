"""Claims about what predicts the edge's response: Table 3."""

from spectraledge.analyses.run_result import RunResult
from spectraledge.claims.paper_modes import NULLS
from spectraledge.claims.paper_runs import chosen, mean_of, of_task
from spectraledge.claims.published import published
from spectraledge.claims.verdicts import Declared, SeedClaim
from spectraledge.tasks import OPERATIONS

R2_MARGIN = 0.02
"""Largest difference of R² that does not matter (our choice, as for energy shares)."""


def _r2(run: RunResult, kind: str, features: str, held_out: str, *, random: bool = False) -> float:
    table = chosen(run, "probes", kind=kind, features=features, held_out=held_out, random=random)
    return mean_of(table, "r2")


def _added(run: RunResult, kind: str, held_out: str, *, random: bool = False) -> float:
    """What cross terms add to the R² of both kinds of waves."""
    most, less = (_r2(run, kind, features, held_out, random=random) for features in ("cross", "both"))
    return most - less


def _explains(task: str, features: str) -> Declared:
    claim = SeedClaim(
        f"{features}-waves-explain-{task}",
        "Table 3",
        "sound",
        f"{features.capitalize()} waves predict the edge's response of {OPERATIONS[task].formula} on pairs not seen, "
        "more than that of isotropic directions.",
        f"R² of {features} waves, cross-validated over rows and columns, mean over the edge",
        NULLS["random"],
        "difference",
        "above",
        margin=R2_MARGIN,
        published=f"in sample, {published('Table 3', f'R² of {features}')}",
    )

    def effect(run: RunResult) -> tuple[float, float]:
        return _r2(run, "edge", features, "rows"), _r2(run, "random", features, "rows")

    return claim, of_task(task, effect)


_CROSS = "R² of additive and multiplicative waves with their products, less that without, mean over the edge"
_CROSS_PUBLISHED = (
    published("Table 3", "R² of both") + "; with cross terms " + published("Table 3", "R² of both and cross")
)


def _crossed(id_: str, held_out: str, against: str) -> Declared:
    in_sample = held_out == "none"
    claim = SeedClaim(
        id_,
        "Table 3",
        "published" if in_sample else "sound",
        "Products of additive and multiplicative waves predict the edge's response of a² + b² beyond their sums, "
        + (
            "more than as many random features do."
            if against == "features"
            else "more than that of isotropic directions."
        ),
        f"{_CROSS}, " + ("in sample" if in_sample else "cross-validated over rows and columns"),
        "as many random features" if against == "features" else NULLS["random"],
        "difference",
        "above",
        margin=R2_MARGIN,
        published=_CROSS_PUBLISHED,
    )

    def effect(run: RunResult) -> tuple[float, float]:
        if against == "features":
            return _added(run, "edge", held_out), _added(run, "edge", held_out, random=True)
        return _added(run, "edge", held_out), _added(run, "random", held_out)

    return claim, of_task("square_sum", effect)


PROBES: tuple[Declared, ...] = (
    _explains("add", "additive"),
    _explains("mul", "multiplicative"),
    _crossed("cross-terms-features", "rows", "features"),
    _crossed("cross-terms-random", "rows", "random"),
    _crossed("cross-terms-in-sample", "none", "features"),
)
"""Claims of Table 3."""
