"""Claims about what tools that look at representations see (§5), and about which tasks share the edge (§7)."""

import pandas as pd

from spectraledge.analyses.run_result import Runs
from spectraledge.claims.paper_runs import GROKKING, chosen, joint_runs, kinds_compared, mean_of, over_tasks
from spectraledge.claims.published import published
from spectraledge.claims.verdicts import Declared, Method, SeedClaim

TOOL_MARGIN = 1.25
"""Largest ratio to random directions that does not matter (our choice: a quarter, as for F)."""

JACCARD_MARGIN = 0.1
"""Largest difference of Jaccard indices that does not matter (our choice: two features of twenty)."""

SHARED_MARGIN = 0.05
"""Largest difference of sharedness that does not matter (our choice: a tenth of its range for two tasks)."""

JOINT = {"dual": "add+mul", "tri": "add+mul+square_sum"}
"""The paper's joint tasks."""

_OVER = "mean over the four tasks that grok"


def _like_random(
    id_: str, method: Method, statement: str, statistic: str, quantity: str, name: str, column: str, **where: object
) -> Declared:
    claim = SeedClaim(
        id_,
        "§5",
        method,
        statement,
        f"{statistic}, mean over the edge, geometric {_OVER}",
        "isotropic directions",
        "ratio",
        "equal",
        margin=TOOL_MARGIN,
        published=published("§5", quantity),
    )
    return claim, over_tasks(GROKKING, kinds_compared(name, column, "random", **where), logarithms=True)


def _shared(joint: str, null: str) -> Declared:
    method: Method = "published" if null == "bulk" else "sound"
    nulls = {"bulk": "the window's other directions", "random": "isotropic directions of the same network"}
    claim = SeedClaim(
        f"sharedness-{joint}-{null}",
        "§7",
        method,
        f"Examples of all tasks of a {joint}-task network use the edge alike, more than {nulls[null]}.",
        "sharedness S_k over the tasks, mean over the edge; its floor is one over the number of tasks",
        nulls[null],
        "difference",
        "above",
        margin=SHARED_MARGIN,
        published=published("§7", "sharedness"),
    )

    def measure(runs: Runs) -> pd.DataFrame:
        rows = []
        for seed, run in joint_runs(runs, JOINT[joint]).items():
            table = chosen(run, "sharedness")
            if len(table):
                rows.append((seed, *(mean_of(table, "sharedness", kind=kind) for kind in ("edge", null))))
        return pd.DataFrame(rows, columns=["seed", "value", "null"])

    return claim, measure


TOOLS: tuple[Declared, ...] = (
    _like_random(
        "rank-without-mean",
        "sound",
        "The edge's responses have the effective rank of isotropic directions' responses.",
        "effective rank of the response without its mean",
        "effective rank of the response",
        "ranks",
        "effective_rank",
        centered=True,
    ),
    _like_random(
        "rank",
        "published",
        "The edge's responses have the effective rank of isotropic directions' responses, means included.",
        "effective rank of the response",
        "effective rank of the response",
        "ranks",
        "effective_rank",
        centered=False,
    ),
    _like_random(
        "purity-of-heads",
        "published",
        "No direction of the edge is purer in one head than isotropic directions.",
        "largest share of a direction in one of 8 heads",
        "head purity",
        "purity",
        "purity",
        grain="head",
    ),
    _like_random(
        "purity-of-matrices",
        "published",
        "No direction of the edge is purer in one matrix of a head than isotropic directions.",
        "largest share of a direction in one of 32 matrices of heads",
        "head purity",
        "purity",
        "purity",
        grain="head_matrix",
    ),
    (
        SeedClaim(
            "features-like-random",
            "§5",
            "published",
            "The edge's directions share as many features of a TopK autoencoder as directions at random do.",
            "Jaccard index of the 20 features that two directions of the edge move most, mean over their pairs, "
            f"{_OVER}",
            "pairs of orthogonal isotropic directions",
            "difference",
            "equal",
            margin=JACCARD_MARGIN,
            published=published("§5", "Jaccard of TopK features"),
        ),
        over_tasks(GROKKING, kinds_compared("autoencoder", "jaccard", "random")),
    ),
    *(_shared(runs, null) for runs in JOINT for null in ("random", "bulk")),
)
"""Claims of §5 and §7."""
