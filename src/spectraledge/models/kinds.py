"""Every kind of network: the union of their configurations, and from each to its architecture."""

from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Discriminator, Tag

from spectraledge.errors import InputError
from spectraledge.models.architecture import Architecture
from spectraledge.models.mlp import MLPConfig
from spectraledge.models.pair_mlp import MLPArchitecture
from spectraledge.models.pair_transformer import PairTransformer
from spectraledge.models.transformer import TransformerConfig
from spectraledge.models.user_modules import ModuleConfig, file_digest, user_architecture


def _kind(config: Any) -> str:
    # The transformer came first, and its configurations have no tag.
    found = config.get("kind") if isinstance(config, dict) else getattr(config, "kind", None)
    return str(found or "transformer")


ModelConfig = Annotated[
    Annotated[TransformerConfig, Tag("transformer")]
    | Annotated[MLPConfig, Tag("mlp")]
    | Annotated[ModuleConfig, Tag("module")],
    Discriminator(_kind),
]
"""Sizes of a network of any kind."""


def model_config(kind: str, *, tokens: int, answers: int, **sizes: Any) -> TransformerConfig | MLPConfig | ModuleConfig:
    """Make the configuration of a network.

    Args:
        kind: "transformer", "mlp", or the function that builds it, `module.py:function`.
        tokens: Vocabulary size and number of classes.
        answers: Answers per input.
        **sizes: Fields that differ from their defaults; of a user's function, its options.

    Returns:
        The configuration.

    Raises:
        InputError: if there is no such kind or file.
        ValidationError: if a size is unknown or out of range.
    """
    path, _, function = kind.rpartition(":")
    if path.endswith(".py"):
        file = Path(path).resolve()
        digest = file_digest(file)
        return ModuleConfig(
            tokens=tokens, answers=answers, path=str(file), function=function, digest=digest, options=sizes
        )
    if kind == "transformer":
        return TransformerConfig(tokens=tokens, answers=answers, **sizes)
    if kind == "mlp":
        return MLPConfig(tokens=tokens, answers=answers, **sizes)
    raise InputError(f"unknown model {kind!r}: give transformer, mlp or module.py:function")


def architecture_of(
    config: TransformerConfig | MLPConfig | ModuleConfig, *, device: torch.device | str = "cpu"
) -> Architecture:
    """Return what can be computed of the networks of a configuration.

    Args:
        config: The configuration.
        device: Where its networks compute; what they hold beside parameters is put there.

    Returns:
        The architecture.

    Raises:
        InputError: if it is a user's network that has changed, or that cannot be trained and analysed rightly.
    """
    if isinstance(config, ModuleConfig):
        return user_architecture(config).on(device)
    return MLPArchitecture.of(config) if isinstance(config, MLPConfig) else PairTransformer(config)
