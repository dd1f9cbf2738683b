"""Networks. No training code lives here."""

from spectraledge.models.transformer import Readout, Transformer, TransformerConfig

__all__ = ["Readout", "Transformer", "TransformerConfig"]
