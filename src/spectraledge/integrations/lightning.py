"""The tracker as a callback of Lightning (extra `lightning`)."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from spectraledge.errors import InputError
from spectraledge.integrations.optimizers import unwrapped
from spectraledge.integrations.record import Reading
from spectraledge.integrations.tracker import SpectralEdgeTracker


class SpectralEdgeCallback(Callback):
    """Follows the spectral edge of what a Lightning trainer fits.

    It attaches when training starts, after weights, optimisers and the global step are restored, and detaches when it
    ends, also by an exception. It counts the steps of the optimisers that it follows, and names each by Lightning's
    global step, which counts those of all optimisers. Every reading goes to the trainer's loggers. Its state is part of
    Lightning's checkpoints, unless parameters are spread over processes: Lightning keeps the state of one process only,
    so the series then begins anew when training is resumed. So it does where the weights are not those of the state,
    with a warning, and whenever `fit` is called again.

    Args:
        optimizer: Which of the trainer's optimisers to follow, by place; several as one series (see
            `SpectralEdgeTracker`), or one callback for each.
        folder: Where results are saved when training ends, if anywhere.
        settings: Those of `SpectralEdgeTracker`, but for `step` and `on_reading`.
    """

    def __init__(
        self, *, optimizer: int | Sequence[int] = 0, folder: Path | str | None = None, **settings: Any
    ) -> None:
        self._places = [optimizer] if isinstance(optimizer, int) else list(optimizer)
        self._folder, self._settings = folder, settings
        self._tracker: SpectralEdgeTracker | None = None
        self._optimizers: list[Optimizer] = []
        self._state: dict[str, Any] = {}
        self._saved = False

    @property
    def state_key(self) -> str:
        """What tells the callbacks of one trainer apart in its checkpoints."""
        return self._generate_state_key(optimizer=self._places, params=self._settings.get("params"))

    @property
    def tracker(self) -> SpectralEdgeTracker:
        """The tracker; an `InputError` before training has started."""
        if self._tracker is None:
            raise InputError("there is no tracker before training starts: ask after trainer.fit")
        return self._tracker

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget the state of a checkpoint that was read for something else; that of this one is read hereafter."""
        self._state = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make a tracker, give it the state of the checkpoint if there is one, and attach it."""

        def log(reading: Reading) -> None:
            for logger in trainer.loggers:
                logger.log_metrics(reading.scalars(), step=reading.step)

        if self._saved:
            warnings.warn(
                f"the results of this fit will replace those of the one before in {self._folder}: give the tracker's "
                "callback of each a folder of its own",
                RuntimeWarning,
                stacklevel=2,
            )
        there = len(trainer.optimizers)
        if not all(0 <= place < there for place in self._places):
            raise InputError(f"expected optimizer to be in 0..{there - 1} for {there} optimizers, got {self._places}")
        self._optimizers = unwrapped([trainer.optimizers[place] for place in self._places])
        step = trainer.global_step
        # The strategy's wrapper says which parameters are sharded.
        model = trainer.model or pl_module
        self._tracker = SpectralEdgeTracker(model, self._optimizers, step=step, on_reading=log, **self._settings)
        if self._state and not self._tracker.distributed:
            if self._tracker.fits(self._state):
                self._tracker.load_state_dict(self._state)
            else:
                warnings.warn(
                    "the tracker's state in the checkpoint is not of the weights that training starts with: its series "
                    f"begins anew at step {step}",
                    RuntimeWarning,
                    stacklevel=2,
                )
        self._tracker.attach()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Take over the global step, which also counts steps that a gradient scaler skips, and other optimisers."""
        if self._tracker is not None and any(optimizer is followed for followed in self._optimizers):
            self._tracker.step = trainer.global_step

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look from time to time whether the steps of the training are heard."""
        if (batch_idx + 1) % self.tracker.every == 0:
            self.tracker.check(so_far=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Detach, and save the results if a folder was given."""
        self._detach()
        if self._folder is not None and trainer.is_global_zero:
            self.tracker.save(self._folder)
            self._saved = True

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Detach."""
        self._detach()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Detach."""
        self._detach()

    def state_dict(self) -> dict[str, Any]:
        """Return the tracker's state for Lightning's checkpoint; empty if parameters are spread over processes."""
        if self._tracker is None or self._tracker.distributed:
            return {}
        return self._tracker.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the state of Lightning's checkpoint until training starts."""
        self._state = state_dict

    def _detach(self) -> None:
        if self._tracker is not None:
            # Other callbacks may have put averages or the best weights in place by now.
            self._tracker.detach(check=False)
