"""The tracker as a callback of Lightning (extra `lightning`)."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from torch.optim import Optimizer

from spectraledge.errors import InputError
from spectraledge.integrations.record import Reading
from spectraledge.integrations.tracker import SpectralEdgeTracker


class SpectralEdgeCallback(Callback):
    """Follows the spectral edge of what a Lightning trainer fits.

    It attaches when training starts, after weights, optimisers and the global step are restored, and detaches when it
    ends, also by an exception. Steps are Lightning's global steps. Every reading goes to the trainer's loggers. Its
    state is part of Lightning's checkpoints, unless parameters are spread over processes: Lightning keeps the state of
    one process only, so the series then begins anew when training is resumed.

    Args:
        optimizer: Which of the trainer's optimisers to follow, by place.
        folder: Where results are saved when training ends, if anywhere.
        settings: Those of `SpectralEdgeTracker`, but for `step` and `on_reading`.
    """

    def __init__(self, *, optimizer: int = 0, folder: Path | str | None = None, **settings: Any) -> None:
        self._place, self._folder, self._settings = optimizer, folder, settings
        self._tracker: SpectralEdgeTracker | None = None
        self._optimizer: Optimizer | None = None
        self._state: dict[str, Any] = {}

    @property
    def tracker(self) -> SpectralEdgeTracker:
        """The tracker.

        Raises:
            InputError: before training has started.
        """
        if self._tracker is None:
            raise InputError("there is no tracker before training starts: ask after trainer.fit")
        return self._tracker

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Make a tracker, give it the state of the checkpoint if there is one, and attach it."""

        def log(reading: Reading) -> None:
            for logger in trainer.loggers:
                logger.log_metrics(reading.scalars(), step=reading.step)

        self._optimizer = trainer.optimizers[self._place]
        step = trainer.global_step
        self._tracker = SpectralEdgeTracker(pl_module, self._optimizer, step=step, on_reading=log, **self._settings)
        if self._state and not self._tracker.distributed:
            self._tracker.load_state_dict(self._state)
        self._state = {}
        self._tracker.attach()

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Take over the global step, which also counts steps that a gradient scaler skips, and other optimisers."""
        if self._tracker is not None and optimizer is self._optimizer:
            self._tracker.step = trainer.global_step

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the results, if a folder was given."""
        if self._folder is not None and trainer.is_global_zero:
            self.tracker.save(self._folder)

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
            self._tracker.detach()
