"""What a tracker does from attaching to detaching: it counts steps and takes updates of the weights."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from spectraledge.errors import InputError
from spectraledge.integrations.functions import WatchedFunction
from spectraledge.integrations.live import LiveDisplay, live_lines
from spectraledge.integrations.optimizers import Optimizers, in_optimizers, unwrapped, with_inner
from spectraledge.integrations.record import Reading
from spectraledge.integrations.rounds import Rounds
from spectraledge.integrations.shards import Shards, local_part
from spectraledge.integrations.tables import Overhead
from spectraledge.integrations.tracker_settings import TrackerSettings
from spectraledge.integrations.updates import Updates
from spectraledge.integrations.watched_weights import UNMOVED, WatchedWeights
from spectraledge.integrations.watching import TRAINED_LATER, Changes, watch
from spectraledge.integrations.window_readings import MANUALLY, Readings


class Following:
    """Follows the watched weights of a training; see `SpectralEdgeTracker`."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizers | None,
        patterns: Sequence[str],
        settings: TrackerSettings,
        *,
        on_reading: Callable[[Reading], None] | None,
        live: bool,
    ) -> None:
        self.step, self._model, self._settings, self._every = settings.step, model, settings, settings.every
        self._optimizers = with_inner(unwrapped(optimizer))
        moved = in_optimizers(self._optimizers)
        watched = watch(model, moved if self._optimizers else None, patterns, self.step)
        self.rows = watched.rows
        self._changes = Changes(model, patterns, watched.parameters, moved)
        self._shards = Shards.agree(watched.parameters, model)
        counted = {name: part for name, part in watched.parameters.items() if name in self._shards.counted}
        self._shapes = {name: list(local_part(part).shape) for name, part in counted.items()}
        if settings.surrogates and self.distributed:
            raise InputError("a noise floor needs whole updates in one process: leave out the surrogates")
        self._weights = WatchedWeights(counted)
        self.rounds = Rounds(
            self._optimizers, watched.parameters, begin=self._begin, end=self.end, stalled=self._stalled
        )
        self._updates = Updates(self._weights, self._shards, settings)
        self.readings = Readings(settings, on_reading=on_reading, warn=self._warn)
        self.function: WatchedFunction | None = None
        self._live = LiveDisplay() if live and self._shards.process == 0 else None
        self._moved = UNMOVED
        self._since_snapshot = self._heard = 0
        self.attached = self._stopped = self._told = False
        self._seconds = self._attached_seconds = self._since = 0.0

    @property
    def distributed(self) -> bool:
        """Whether parameters are spread over processes."""
        return self._shards.device is not None

    @property
    def overhead(self) -> Overhead:
        """What it has cost so far."""
        training = self._seconds_attached() - self._seconds
        share = self._seconds / training if training > 0 else 0.0
        return Overhead(self._seconds, training, share, len(self.readings), self._updates.nbytes)

    def attach(self) -> None:
        """Start; the first time, the weights as they are now become the first snapshot."""
        self._since = time.perf_counter()
        with torch.inference_mode(False), torch.no_grad():
            if not self._updates.begun:
                self._updates.begin()
                self._weights.settle()
        self._seconds += time.perf_counter() - self._since
        self.rounds.attach()
        self.attached = True

    def detach(self) -> None:
        """Stop."""
        self.rounds.detach()
        self.attached = False
        if self._live:
            self._live.end()
        self._attached_seconds += time.perf_counter() - self._since

    def watch(self, function: Callable[[], WatchedFunction]) -> WatchedFunction:
        """Make a function and read it, now and with every snapshot."""
        began = time.perf_counter()
        self.function = function()
        self.function.read(self.step)
        self._seconds += time.perf_counter() - began if self.attached else 0.0
        return self.function

    def check(self, *, so_far: bool = True) -> None:
        """Warn of what has gone wrong; see `SpectralEdgeTracker.check`."""
        readings, still = self.readings, self.readings.still
        if not self.attached or self._stopped or readings.habit or self._told or self.rounds.resting:
            return
        names = " or ".join(dict.fromkeys(type(one).__name__ for one in self._optimizers))
        if so_far and 0 < still < self._settings.window and still == len(readings):
            self._warn("the watched weights have not moved in any step so far: are they trained by this loop?")
        elif self.rounds.open:
            if so_far and not self._heard:
                self._stalled(self.rounds.unstepped)
        elif bool(self._weights.moved()):
            what = f"a step() of {names}" if self.rounds else "what tracker.record() has counted"
            self._warn(
                f"the watched weights were moved by something else than {what} since step {self.step} (the tracker "
                f"heard {self._heard} steps): pass the optimizer whose step() moves them, or {MANUALLY} after each"
            )

    def end(self) -> None:
        """After a step: remember where it left the weights, and take an update when it is time."""
        if self._stopped:
            return
        began = time.perf_counter()
        self.step += 1
        self._heard += 1
        self._since_snapshot += 1
        self._told = False
        self._weights.settle()
        if self._since_snapshot >= self._every:
            if self._weights.device.type == "cuda":
                torch.cuda.synchronize(self._weights.device)
                began = time.perf_counter()
            with torch.inference_mode(False), torch.no_grad():
                self._take()
            if self.function and not self._stopped:
                self.function.read(self.step)
            if self._live:
                self._live.update(self._lines)
        self._seconds += time.perf_counter() - began

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed training needs; see `SpectralEdgeTracker.state_dict`."""
        return {
            "settings": self._shared(),
            "weights": self._weights.sample(),
            "left": list(self._weights.left),
            "step": self.step,
            "counts": [self._since_snapshot, self._heard, self.readings.still],
            "flags": [self._stopped, self.readings.habit, bool(self._moved)],
            "seconds": self._seconds,
            "attached_seconds": self._seconds_attached(),
            "rows": [dict(entry) for entry in self.rows],
            "updates": self._updates.state_dict(),
            "records": self.readings.state_dict(),
            **({"function": self.function.state_dict()} if self.function else {}),
        }

    def fits(self, state: Mapping[str, Any]) -> bool:
        """Tell whether a state was taken of these weights as they are now."""
        if "weights" not in state or state["settings"]["parameters"] != self._shapes:
            return False
        return not bool(self._weights.differ_from(state["weights"]))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned; of other settings, parameters or numbers it is an `InputError`."""
        if "weights" not in state:
            raise InputError("this is no state of a tracker of this version: begin a series anew")
        mine, theirs = self._shared(), state["settings"]
        for name in mine:
            if mine[name] != theirs[name]:
                raise InputError(
                    f"this tracker has {name} = {mine[name]}, the state has {theirs[name]}: "
                    "make the tracker with the settings of the run that is resumed"
                )
        if not self.fits(state):
            raise InputError(
                "the weights are not those of which the tracker's state was taken: load the weights first, and the "
                "state of the same checkpoint"
            )
        self.step = state["step"]
        self._since_snapshot, self._heard, self.readings.still = state["counts"]
        self._stopped, self.readings.habit, moved = state["flags"]
        self._moved = torch.full((), moved, dtype=torch.bool, device="cpu")
        self._seconds, self._attached_seconds = state["seconds"], state["attached_seconds"]
        self._since = time.perf_counter()
        self.rows = [dict(entry) for entry in state["rows"]]
        self._weights.left = state["left"]
        with torch.inference_mode(False):
            self._updates.load_state_dict(state["updates"])
        self.readings.load_state_dict(state["records"])
        if self.function and "function" in state:
            self.function.load_state_dict(state["function"])

    def _shared(self) -> dict[str, Any]:
        return {**self._settings.shared(), "process": self._shards.process, "parameters": self._shapes}

    def _seconds_attached(self) -> float:
        return self._attached_seconds + (time.perf_counter() - self._since if self.attached else 0.0)

    def _begin(self) -> None:
        """Before a step: find out whether the weights are where the last one left them."""
        if self._stopped or self.readings.habit:
            return
        began = time.perf_counter()
        moved = self._weights.moved()
        if not self._since_snapshot:
            with torch.inference_mode(False), torch.no_grad():
                moved = moved | self._updates.moved()
                if not self._heard and bool(moved):
                    # Loaded after attaching, most likely; nothing has been counted yet.
                    self._updates.begin()
                    moved = UNMOVED
        if moved is not UNMOVED:
            self._moved = self._moved | moved
        self._seconds += time.perf_counter() - began

    def _take(self) -> None:
        """Take the update since the last snapshot."""
        if self.rounds:
            changed = self._changes.since(in_optimizers(self._optimizers), self.step)
            self.rows += changed
            unwatched = [str(entry["name"]) for entry in changed if entry["reason"] in TRAINED_LATER]
            if unwatched:
                self._warn(
                    f"{', '.join(unwatched)} is trained since step {self.step} and not watched: the series goes on "
                    "with the parameters that it began with; for all of them make a new tracker"
                )
            self.rounds.refresh()
        lost = self._weights.lost(None if self.distributed else self._model)
        taken = self._updates.take(lost=bool(lost), moved=self._moved)
        self._moved = UNMOVED
        if not taken.finite:
            self._stopped = True
            self._warn(f"{lost or 'weights are not finite'} at step {self.step}: the tracker records no more")
            return
        since, self._since_snapshot = self.step - self._since_snapshot, 0
        if taken.moved and self.readings.begins_anew(since, self.step):
            self._updates.forget()
        else:
            self.readings.append(self.step, taken, self._updates.held)

    def _lines(self) -> list[str]:
        """Say what is measured so far."""
        reading = self.readings.last.reading() if self.readings.ready else None
        return live_lines(self.step, reading, self.function.course if self.function else None)

    def _stalled(self, names: Sequence[str]) -> None:
        self._warn(
            f"no optimizer has stepped {', '.join(names)} since step {self.step}, so the tracker counts no step of the "
            "others: leave these parameters out, or pass all optimizers"
        )

    def _warn(self, message: str) -> None:
        self._told = True
        warnings.warn(message, RuntimeWarning, stacklevel=2)
