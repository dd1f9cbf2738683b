"""Networks. No training code lives here."""

from spectraledge.models.gradients import loss_and_gradient
from spectraledge.models.heads import HeadOutputs
from spectraledge.models.pairs import Weights, forward_pairs, rows_of
from spectraledge.models.tangents import has_tangents, residual_tangents
from spectraledge.models.transformer import Readout, Transformer, TransformerConfig, empty_transformer

__all__ = [
    "HeadOutputs",
    "Readout",
    "Transformer",
    "TransformerConfig",
    "Weights",
    "empty_transformer",
    "forward_pairs",
    "has_tangents",
    "loss_and_gradient",
    "residual_tangents",
    "rows_of",
]
