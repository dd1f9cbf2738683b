"""Networks behind one door: see `Architecture`. No training code lives here."""

from spectraledge.models.architecture import (
    READOUTS,
    Architecture,
    Attention,
    HasAttention,
    HasTangents,
    HasTokenTable,
    Parameters,
    ReadoutName,
)
from spectraledge.models.kernels import differentiable_kernels
from spectraledge.models.kinds import ModelConfig, architecture_of, model_config
from spectraledge.models.losses import ANY_LOSS, LOSS_UNITS, LOSSES, LossName, answer_losses, losses_and_slopes
from spectraledge.models.module_tensors import ModuleTensors
from spectraledge.models.transformer import Transformer, TransformerConfig
from spectraledge.models.user_modules import ModuleConfig

__all__ = [
    "ANY_LOSS",
    "LOSSES",
    "LOSS_UNITS",
    "READOUTS",
    "Architecture",
    "Attention",
    "HasAttention",
    "HasTangents",
    "HasTokenTable",
    "LossName",
    "ModelConfig",
    "ModuleConfig",
    "ModuleTensors",
    "Parameters",
    "ReadoutName",
    "Transformer",
    "TransformerConfig",
    "answer_losses",
    "architecture_of",
    "differentiable_kernels",
    "losses_and_slopes",
    "model_config",
]
