"""What the same statistic gives where there is no effect: null directions and p-values from them."""

from spectraledge.statistics.nulls import empirical_p, random_directions, span_directions

__all__ = ["empirical_p", "random_directions", "span_directions"]
