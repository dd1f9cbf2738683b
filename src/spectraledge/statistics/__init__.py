"""What the same statistic gives where there is no effect: null directions and p-values from them."""

from spectraledge.statistics.nulls import (
    at_least,
    empirical_p,
    false_discovery_rate,
    random_directions,
    span_directions,
)

__all__ = ["at_least", "empirical_p", "false_discovery_rate", "random_directions", "span_directions"]
