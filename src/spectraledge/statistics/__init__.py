"""What a claim rests on: nulls, p-values, intervals over seeds, and linear probes."""

from spectraledge.statistics.auc import Discrimination, discrimination
from spectraledge.statistics.beyond_trend import BeyondTrend, beyond_trend
from spectraledge.statistics.changepoints import ChangePoint, change_point
from spectraledge.statistics.equivalence import Comparison, compare, equivalence_p
from spectraledge.statistics.folds import Fold, blocked_folds, row_column_folds
from spectraledge.statistics.labels import Symmetry, label_permutation
from spectraledge.statistics.null_directions import block_matched_directions, random_directions, span_directions
from spectraledge.statistics.p_values import at_least, empirical_p, false_discovery_rate, two_sided_p
from spectraledge.statistics.permutation import PermutationTest, rank_agreement
from spectraledge.statistics.probes import Targets, cross_validated_r2, in_sample_r2, random_features
from spectraledge.statistics.seed_estimates import SeedEstimate, mean_estimate, rate_estimate

__all__ = [
    "BeyondTrend",
    "ChangePoint",
    "Comparison",
    "Discrimination",
    "Fold",
    "PermutationTest",
    "SeedEstimate",
    "Symmetry",
    "Targets",
    "at_least",
    "beyond_trend",
    "block_matched_directions",
    "blocked_folds",
    "change_point",
    "compare",
    "cross_validated_r2",
    "discrimination",
    "empirical_p",
    "equivalence_p",
    "false_discovery_rate",
    "in_sample_r2",
    "label_permutation",
    "mean_estimate",
    "random_directions",
    "random_features",
    "rank_agreement",
    "rate_estimate",
    "row_column_folds",
    "span_directions",
    "two_sided_p",
]
