"""Training a GPT of Transformers' default classes on Python source, followed by trackers, with checkpoints as usual."""

import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from spectraledge.errors import InputError
from spectraledge.examples.standard_library import SourceText, windows
from spectraledge.files import read_json, read_table, replacing, write_json, write_table
from spectraledge.integrations import SpectralEdgeTracker
from spectraledge.streams import derived_seed, numpy_generator, seeded_torch

BYTES = 256
BLOCK, FEWEST_BLOCKS = 16, 8
"""Points per block of the test for links, and the blocks that it needs."""

_CONFIG, _STATE, _COURSE = "example.json", "training.pt", "course.parquet"
_WARM_UP, _LAST_RATE = 0.05, 0.1
_WEIGHT_DECAY, _CLIPPED = 0.1, 1.0
_KEPT = 40


class LanguageConfig(BaseModel):
    """How the example is trained and measured.

    Attributes:
        steps: Steps of the optimiser.
        every: Steps from one checkpoint, and one validation, to the next.
        layers: Layers of the network.
        width: Width of its residual stream.
        heads: Attention heads.
        context: Bytes that it reads.
        batch: Stretches of text per step.
        learning_rate: Of AdamW, at its highest.
        window: Updates per window.
        validated: Stretches of held-out text whose loss is measured at every checkpoint.
        measured: Stretches whose responses are measured.
        stride: Bytes from one measured response to the next.
        nulls: Random directions for the selection ratio.
        draws: Random triples of directions per layer for what layers share.
        seed: Root seed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int = Field(default=1600, ge=1)
    every: int = Field(default=5, ge=1)
    layers: int = Field(default=4, ge=2)
    width: int = Field(default=160, ge=4)
    heads: int = Field(default=4, ge=1)
    context: int = Field(default=128, ge=8)
    batch: int = Field(default=16, ge=1)
    learning_rate: float = Field(default=2e-3, gt=0)
    window: int = Field(default=20, ge=3)
    validated: int = Field(default=32, ge=1)
    measured: int = Field(default=32, ge=2)
    stride: int = Field(default=4, ge=1)
    nulls: int = Field(default=20, ge=2)
    draws: int = Field(default=19, ge=1)
    seed: int = Field(default=42, ge=0)

    @classmethod
    def small(cls, **changes: Any) -> "LanguageConfig":
        """Return a size that takes seconds: it shows that everything runs, not what a network learns."""
        reduced = {"steps": 160, "every": 1, "layers": 2, "width": 32, "context": 32, "batch": 8, "validated": 8}
        chosen = {name: value for name, value in changes.items() if value is not None}
        return cls.checked(**{**reduced, "measured": 8, "nulls": 8, "draws": 5, **chosen})

    @classmethod
    def checked(cls, **settings: Any) -> "LanguageConfig":
        """Make a configuration of settings that may come from a user; those that are None keep their default.

        Args:
            **settings: Attributes.

        Returns:
            The configuration.

        Raises:
            InputError: if heads do not divide the width, the stride does not divide the context, or checkpoints are too
                few for the test.
        """
        config = cls(**{name: value for name, value in settings.items() if value is not None})
        if config.width % config.heads or config.context % config.stride:
            raise InputError(
                f"expected heads that divide the width and a stride that divides the context, got {config.heads} and "
                f"{config.width}, {config.stride} and {config.context}"
            )
        least = config.window + FEWEST_BLOCKS * BLOCK
        if config.steps // config.every < least:
            raise InputError(
                f"{config.steps} steps are {config.steps // config.every} checkpoints at every {config.every}, but "
                f"{least} are needed: train {least * config.every} steps, or take checkpoints more often"
            )
        return config

    @property
    def groups(self) -> dict[str, str]:
        """Patterns of the watched parameters: of each layer, of the embeddings and of all."""
        layers = {f"layer {layer + 1}": f"transformer.h.{layer}.*weight" for layer in range(self.layers)}
        return layers | {"embeddings": "transformer.w*.weight", "all": "*weight"}

    @property
    def measured_steps(self) -> list[int]:
        """Steps at which functions are measured: about a quarter, a half and all of the training."""
        last = self.steps // self.every
        return sorted({max(self.window, round(last * part)) * self.every for part in (0.25, 0.5, 1.0)})


def checkpoints_of(folder: Path) -> Path:
    """Return where the checkpoints of an example lie."""
    return folder / "checkpoints"


def new_model(config: LanguageConfig) -> nn.Module:
    """Make Transformers' GPT2LMHeadModel as it comes, but for sizes and without dropout, in evaluation mode."""
    try:
        from transformers import GPT2Config, GPT2LMHeadModel
    except ImportError as error:
        raise InputError(
            "this example trains a network of Transformers, which is missing: pip install spectraledge[transformers]"
        ) from error
    with seeded_torch(derived_seed(config.seed, "weights")):
        made = GPT2LMHeadModel(
            GPT2Config(
                vocab_size=BYTES,
                n_positions=config.context,
                n_embd=config.width,
                n_layer=config.layers,
                n_head=config.heads,
                resid_pdrop=0.0,
                embd_pdrop=0.0,
                attn_pdrop=0.0,
                use_cache=False,
                bos_token_id=None,
                eos_token_id=None,
            )
        )
    return cast(nn.Module, made).eval()


def train_language_model(
    config: LanguageConfig, text: SourceText, folder: Path, *, on_progress: Callable[[int], None] = lambda step: None
) -> pd.DataFrame:
    """Train, unless that is done: checkpoints, the trackers' results and the course of the loss lie in the folder.

    A training that was stopped goes on from its last state, one in 40 checkpoints, and ends with the same numbers.

    Returns:
        See `COURSE`: step, training_loss, validation_loss.

    Raises:
        InputError: if the folder has another training or anything else in it, or Transformers is missing.
    """
    made = {"config": config.model_dump(), "text": {**text.described(), "digest": text.digest}}
    place = folder / _CONFIG
    if place.exists() and read_json(place) != made:
        raise InputError(f"{folder} holds a training with other settings or another text: choose another --out")
    if not place.exists() and folder.is_dir() and any(folder.iterdir()):
        # What lies there is somebody else's, and checkpoints that no training knows are cleared away.
        raise InputError(f"{folder} holds something else: choose an empty folder with --out")
    if (folder / _COURSE).exists():
        return read_table(folder / _COURSE)
    model = new_model(config)
    write_json(place, made)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, weight_decay=_WEIGHT_DECAY)
    trackers = {
        name: SpectralEdgeTracker(model, optimizer, params=pattern, window=config.window, every=config.every)
        for name, pattern in config.groups.items()
    }
    held_out = torch.from_numpy(
        windows(text.validation, config.validated, config.context + 1, numpy_generator(config.seed, "validation"))
    ).long()
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, **trackers}
    state = folder / _STATE
    begin, course = _resumed(parts, state)
    for partial in checkpoints_of(folder).glob(".checkpoint-*.partial"):
        shutil.rmtree(partial)
    if not course:
        shutil.rmtree(checkpoints_of(folder), ignore_errors=True)
        _save(model, folder, 0)
        course.append((0, math.nan, _validated(model, held_out)))
    for tracker in trackers.values():
        tracker.attach()
    losses: list[float] = []
    for step in range(begin + 1, config.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _rate(step, config.steps)
        batch = windows(text.training, config.batch, config.context + 1, numpy_generator(config.seed, "batch", step))
        optimizer.zero_grad()
        loss = _loss(model, torch.from_numpy(batch).long())
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), _CLIPPED)
        optimizer.step()
        losses.append(loss.item())
        if step % config.every == 0:
            _save(model, folder, step)
            course.append((step, float(np.mean(losses)), _validated(model, held_out)))
            losses = []
            on_progress(step)
            if step % (_KEPT * config.every) == 0:
                with replacing(state) as temporary:
                    kept = {name: part.state_dict() for name, part in parts.items()}
                    torch.save({"parts": kept, "step": step, "course": course}, temporary)
    for name, tracker in trackers.items():
        tracker.detach()
        tracker.save(folder / "tracked" / name)
    table = pd.DataFrame(course, columns=["step", "training_loss", "validation_loss"])
    write_table(folder / _COURSE, table)
    state.unlink(missing_ok=True)
    return table


def _resumed(parts: Mapping[str, Any], state: Path) -> tuple[int, list[tuple[int, float, float]]]:
    """Give every part its state, if there is one; the weights come first, because trackers look at them."""
    if not state.exists():
        return 0, []
    kept = torch.load(state, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(kept["parts"][name])
    return int(kept["step"]), list(kept["course"])


@contextmanager
def _without_bars() -> Iterator[None]:
    """Let Transformers write checkpoints without a progress bar for each."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _save(model: nn.Module, folder: Path, step: int) -> None:
    """Write a checkpoint as the trainer of Transformers does, under a temporary name first."""
    place = checkpoints_of(folder) / f"checkpoint-{step}"
    partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
    with _without_bars():
        model.save_pretrained(partial)  # type: ignore[operator]
    shutil.rmtree(place, ignore_errors=True)  # Of a training that was stopped after its last state.
    partial.rename(place)


def _rate(step: int, steps: int) -> float:
    """Share of the highest learning rate: a line up, half a cosine down to a tenth."""
    warm = max(1, round(_WARM_UP * steps))
    along = max(0.0, (step - warm) / max(1, steps - warm))
    return min(step / warm, _LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * along)) / 2)


def _loss(model: nn.Module, text: Tensor) -> Tensor:
    logits: Tensor = model(text[:, :-1]).logits
    return nn.functional.cross_entropy(logits.flatten(0, 1), text[:, 1:].flatten())


def _validated(model: nn.Module, held_out: Tensor) -> float:
    with torch.no_grad():
        return _loss(model, held_out).item()
