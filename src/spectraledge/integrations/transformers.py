"""The tracker as a callback of the Transformers trainer (extra `transformers`)."""

from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from spectraledge.errors import InputError
from spectraledge.files import replacing, write_json
from spectraledge.integrations.tracker import SpectralEdgeTracker


class SpectralEdgeCallback(TrainerCallback):
    """Follows the spectral edge of what a Transformers trainer trains.

        callback = SpectralEdgeCallback(params="*attn*weight", folder="tracked")
        trainer.add_callback(callback)
        with callback:
            trainer.train()

    It attaches when training begins and detaches when it ends. The trainer tells nobody of exceptions, so the `with` is
    what detaches then. Steps are the trainer's global steps. Beside every checkpoint the trainer writes,
    spectral_edge_<process>.pt holds the tracker's state and spectral_edge.json says in short where it stands; a
    training that is resumed from a checkpoint in `output_dir` goes on with it, and one without such a file begins anew.

    Args:
        folder: Where results are saved when training ends, if anywhere.
        settings: Those of `SpectralEdgeTracker`, but for `step`.
    """

    def __init__(self, *, folder: Path | str | None = None, **settings: Any) -> None:
        self._folder, self._settings = folder, settings
        self._tracker: SpectralEdgeTracker | None = None

    def __enter__(self) -> Self:
        """Return this callback; the trainer attaches it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Detach, also after an exception."""
        if self._tracker is not None:
            self._tracker.detach()

    @property
    def tracker(self) -> SpectralEdgeTracker:
        """The tracker.

        Raises:
            InputError: before training has begun.
        """
        if self._tracker is None:
            raise InputError("there is no tracker before training begins: ask after trainer.train()")
        return self._tracker

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **objects: Any
    ) -> None:
        """Make a tracker, give it the state beside the checkpoint if there is one, and attach it."""
        # Accelerate wraps the optimiser; steps are those of the one within.
        optimizer = getattr(objects["optimizer"], "optimizer", objects["optimizer"])
        if self._tracker is not None:
            self._tracker.detach()
        self._tracker = SpectralEdgeTracker(objects["model"], optimizer, step=state.global_step, **self._settings)
        path = self._path(args, state)
        if state.global_step and path.is_file():
            self._tracker.load_state_dict(torch.load(path, weights_only=True))
        self._tracker.attach()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **objects: Any
    ) -> None:
        """Take over the global step, which also counts steps that a gradient scaler skips."""
        self.tracker.step = state.global_step

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **objects: Any) -> None:
        """Write the tracker's state beside the checkpoint; all processes do if parameters are spread over them."""
        path = self._path(args, state)
        if self.tracker.distributed or state.is_world_process_zero:
            with replacing(path) as temporary:
                torch.save(self.tracker.state_dict(), temporary)
        if state.is_world_process_zero:
            reading = self.tracker.latest.scalars() if self.tracker.ready else {}
            summary = {"step": self.tracker.step, "updates": self.tracker.overhead.snapshots, "latest": reading}
            write_json(path.with_name("spectral_edge.json"), summary)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **objects: Any
    ) -> None:
        """Detach, and save the results if a folder was given."""
        self.tracker.detach()
        if self._folder is not None and state.is_world_process_zero:
            self.tracker.save(self._folder)

    def _path(self, args: TrainingArguments, state: TrainerState) -> Path:
        """Return where this process's state lies beside the checkpoint of the present step."""
        process = args.process_index if self.tracker.distributed else 0
        return Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / f"spectral_edge_{process}.pt"
