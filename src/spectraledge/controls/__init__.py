"""What tools that look at representations see of a direction: heads, ranks, sparse features; and who uses it."""

from spectraledge.controls.autoencoder import Autoencoder, train_autoencoder
from spectraledge.controls.blocks import GRAINS, MATRICES, BlockShares, Grain, block_shares
from spectraledge.controls.cousage import diagonal_dominance, sharedness, usage, usage_correlations
from spectraledge.controls.overlap import MOVED, chance_jaccard, jaccard, moved_features, pair_p, tilted
from spectraledge.controls.ranks import Peakedness, ResponseRanks, peakedness, response_ranks
from spectraledge.statistics import two_sided_p

__all__ = [
    "GRAINS",
    "MATRICES",
    "MOVED",
    "Autoencoder",
    "BlockShares",
    "Grain",
    "Peakedness",
    "ResponseRanks",
    "block_shares",
    "chance_jaccard",
    "diagonal_dominance",
    "jaccard",
    "moved_features",
    "pair_p",
    "peakedness",
    "response_ranks",
    "sharedness",
    "tilted",
    "train_autoencoder",
    "two_sided_p",
    "usage",
    "usage_correlations",
]
