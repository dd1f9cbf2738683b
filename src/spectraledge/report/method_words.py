"""What the words of a report by runs mean."""

from spectraledge.report.words import modes_window, spectrum_window
from spectraledge.studies.results import StudyResult


def definitions(study: StudyResult) -> tuple[tuple[str, str], ...]:
    """Terms and their meaning, with the study's windows."""
    analysis = study.config.analysis
    return (
        (
            "Direction",
            f"A unit vector in the space of the watched parameters. v1, v2, … are the right singular vectors of the "
            f"last {analysis.window} updates between consecutive snapshots, largest first. v1 to v{analysis.edge} are "
            f"the edge, the rest of the window is the bulk.",
        ),
        (
            "Windows",
            f"Directions and modes: {modes_window(study)} (the window’s mean update "
            f"{'is' if analysis.center_modes else 'is not'} removed first). Eigenvalues over time and k*: "
            f"{spectrum_window(study)}.",
        ),
        (
            "Response",
            "The derivative, along a direction, of the residual stream at the first position before the last "
            "normalisation: one vector per input pair. “jvp” is the exact derivative over all pairs; “difference” is "
            "the published one-sided finite difference on the test pairs.",
        ),
        (
            "Selection ratio S",
            "For functions of one kind: their share of the energy of the response to the window’s updates, over their "
            "share for isotropic updates (random directions of parameter space), the mean response left out. It needs "
            "no k* and no choice of directions. The interval is about this network’s window: it says how well the "
            "isotropic share is known, not how seeds differ.",
        ),
        (
            "Noise floor",
            "Eigenvalues of surrogate windows, rank by rank, in which every parameter keeps its own course and its "
            "memory, but parameters share nothing. Eigenvalues above it are movement that parameters make together.",
        ),
        (
            "Probes",
            "Ridge regressions from waves on the pairs to a response. R² on pairs whose rows and columns, or answers, "
            "were not seen is the one to trust; in sample, random features reach R² above 0 as well.",
        ),
        (
            "Moves",
            "What moved the weights in each interval: decoupled weight decay, and the optimizer's steps. They sum to "
            "the update exactly.",
        ),
        (
            "Change point",
            "The step at which one change of level explains a course best; its interval and p resample blocks of "
            "residuals as long as a window.",
        ),
        (
            "Energy share",
            "The between-group part of the response’s variance, grouped by a basis’s variable, corrected so that noise "
            "gives 0 on average and a function of the variable alone gives 100%. This is the statistic to trust.",
        ),
        (
            "Concentration F",
            "The share of the largest non-zero Fourier frequency in the group means of the squared length of the "
            "response. It is shown for comparison with the paper: noise does not give one over the number of "
            "frequencies but more (0.093 on average over 48), and random directions of a trained network can give as "
            "much as the edge.",
        ),
        (
            "Null directions",
            "“span”: random mixtures of the window’s own directions. “random”: random directions of parameter space. "
            "“bulk”: the window’s other directions. “block norms”: random, with the edge’s length in every tensor. "
            "“run span”: random mixtures of all updates of the run so far. With B of them, no p-value below 1/(1 + B) "
            "can be claimed for one direction; the claims ask for two edge directions at once.",
        ),
        (
            "2-D character",
            "The plane wave over (a, b), with one frequency ω for a and one for b, counted modulo the order of the "
            "group, that holds most of the energy of a direction’s picture.",
        ),
        ("k*", "The position k ≤ 10 with the largest (sₖ / Σ s)·(sₖ / sₖ₊₁) over the singular values s."),
        ("q", "The p-value adjusted for the number of runs (Benjamini–Hochberg, within one claim)."),
    )
