"""Networks. No training code lives here."""

from spectraledge.models.tangents import has_tangents, residual_tangents
from spectraledge.models.transformer import Readout, Transformer, TransformerConfig

__all__ = ["Readout", "Transformer", "TransformerConfig", "has_tangents", "residual_tangents"]
