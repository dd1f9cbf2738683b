"""The tracker as a callback of the Transformers trainer (extra `transformers`)."""

import warnings
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
    what detaches then. Steps are the trainer's global steps. Into every checkpoint the trainer writes go
    spectral_edge_<process>.pt, which holds the tracker's state, and spectral_edge.json, which says in short where it
    stands. A training that is resumed goes on with the state beside the checkpoint of its step in `output_dir`, or in
    the folder of the argument `resume_from_checkpoint`, if that was taken of the weights it begins with; otherwise the
    series begins anew, with a warning where there is a state of other weights. In a hyperparameter search each trial
    is a training of its own, with results in `folder`/run-0, run-1 and so on.

    Args:
        folder: Where results are saved when training ends, if anywhere.
        settings: Those of `SpectralEdgeTracker`, but for `step`.
    """

    def __init__(self, *, folder: Path | str | None = None, **settings: Any) -> None:
        self._root = self._folder = Path(folder) if folder is not None else None
        self._settings = settings
        self._tracker: SpectralEdgeTracker | None = None
        self._trials, self._saved = 0, False

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
        """The tracker; an `InputError` before training has begun."""
        if self._tracker is None:
            raise InputError("there is no tracker before training begins: ask after trainer.train()")
        return self._tracker

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **objects: Any
    ) -> None:
        """Make a tracker, give it the state of the checkpoint if there is one that fits, and attach it."""
        if self._tracker is not None:
            self._tracker.detach(check=False)
        if state.is_hyper_param_search:
            self._folder = self._root / f"run-{self._trials}" if self._root else None
            self._trials += 1
        elif self._saved:
            warnings.warn(
                f"the results of this training will replace those of the one before in {self._folder}: give the "
                "tracker's callback of each a folder of its own",
                RuntimeWarning,
                stacklevel=2,
            )
        self._tracker = SpectralEdgeTracker(
            objects["model"], objects["optimizer"], step=state.global_step, **self._settings
        )
        folders = [str(args.resume_from_checkpoint or ""), f"{args.output_dir}/checkpoint-{state.global_step}"]
        found = [path for folder in folders if folder and (path := Path(folder) / self._file(args)).is_file()]
        if state.global_step and found and not any(self._takes_up(path) for path in found):
            warnings.warn(
                f"the tracker's state in {' and '.join(map(str, found))} is damaged, or is not of the weights that "
                f"training begins with: its series begins anew at step {state.global_step}",
                RuntimeWarning,
                stacklevel=2,
            )
        self._tracker.attach()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **objects: Any
    ) -> None:
        """Take over the global step, which also counts steps that a gradient scaler skips."""
        self.tracker.step = state.global_step

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **objects: Any
    ) -> None:
        """Look from time to time whether the steps of the training are heard."""
        if state.global_step % self.tracker.every == 0:
            self.tracker.check(so_far=False)

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **objects: Any) -> None:
        """Write the tracker's state into the checkpoint; all processes do if parameters are spread over them."""
        if not (self.tracker.distributed or state.is_world_process_zero):
            return
        folder = _checkpoint(args, state)
        if not folder.is_dir():
            warnings.warn(f"no checkpoint in {folder}: the tracker's state is not saved", RuntimeWarning, stacklevel=2)
            return
        with replacing(folder / self._file(args)) as temporary:
            torch.save(self.tracker.state_dict(), temporary)
        if state.is_world_process_zero:
            reading = self.tracker.latest.scalars() if self.tracker.ready else {}
            summary = {"step": self.tracker.step, "updates": self.tracker.overhead.snapshots, "latest": reading}
            write_json(folder / "spectral_edge.json", summary)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **objects: Any
    ) -> None:
        """Detach, and save the results if a folder was given."""
        # The trainer has put the best weights in place by now, if it was asked to.
        self.tracker.detach(check=False)
        if self._folder is not None and state.is_world_process_zero:
            self.tracker.save(self._folder)
            self._saved = True

    def _takes_up(self, path: Path) -> bool:
        """Give the tracker the state in a file, if it is whole and was taken of the weights that are there."""
        try:
            saved = torch.load(path, map_location="cpu", weights_only=True)
        except Exception:
            # The training must not end because of what only measures it.
            return False
        if fits := self.tracker.fits(saved):
            self.tracker.load_state_dict(saved)
        return fits

    def _file(self, args: TrainingArguments) -> str:
        """Return the name of the file of this process's state."""
        return f"spectral_edge_{args.process_index if self.tracker.distributed else 0}.pt"


def _checkpoint(args: TrainingArguments, state: TrainerState) -> Path:
    """Return the folder of the checkpoint of the present step, which the trainer has just written."""
    folder = Path(str(args.output_dir))
    name = f"checkpoint-{state.global_step}"
    # A trial of a search has a folder of its own, of which callbacks are not told.
    trials = folder.rglob(f"{name}/trainer_state.json") if state.is_hyper_param_search else ()
    return max(trials, key=lambda path: path.stat().st_mtime_ns, default=folder / name / "trainer_state.json").parent
