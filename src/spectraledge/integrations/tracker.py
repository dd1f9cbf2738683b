"""The tracker: the spectrum of a training that somebody else runs, taken at the optimiser's own steps."""

import shlex
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import pandas as pd
import torch
from torch import Tensor, nn

from spectraledge.display import Displayed
from spectraledge.errors import InputError
from spectraledge.integrations.changes import TRAINED_LATER, Changes
from spectraledge.integrations.functions import WatchedFunction
from spectraledge.integrations.live import LiveDisplay, live_lines
from spectraledge.integrations.optimizers import Optimizers, in_optimizers, unwrapped, with_inner
from spectraledge.integrations.record import Reading, Record
from spectraledge.integrations.rounds import Rounds
from spectraledge.integrations.shards import Shards, local_part
from spectraledge.integrations.tables import Overhead, TrackerResults
from spectraledge.integrations.updates import STORED, Taken, Updates
from spectraledge.integrations.watched_weights import UNMOVED, WatchedWeights
from spectraledge.integrations.watching import describe, watch
from spectraledge.modes import Basis, Inputs
from spectraledge.spectrum import Detector, Sketch, noise_floor
from spectraledge.streams import torch_generator

_MANUALLY = "make the tracker with optimizer=None and call tracker.record()"


class SpectralEdgeTracker(Displayed):
    """Follows the spectral edge of any PyTorch training from inside its loop; the weights are only read.

        tracker = SpectralEdgeTracker(model, optimizer, params="*attn*weight")
        with tracker:
            train()
        tracker.results().edge

    Definition: Xu 2026, §2.3. It hooks the optimiser, so accumulated gradients count as one step, and steps that a
    gradient scaler skips as none. Every `every` steps it takes the update of the watched parameters since the last
    snapshot, right after the step, and multiplies it with the W before it. Of several optimisers a step is a step of
    each (see `Rounds`). Without one, a step is a call of `record`.
    Names are those of the model without `torch.compile`, DistributedDataParallel, FSDP or checkpoint wrappers. Tied
    parameters count once, complex ones as pairs of real numbers; frozen ones and those of other optimisers are skipped.
    Parameters that come to the optimiser later are not watched, because all updates of a window must cover the same
    numbers; they are added to the table of choices with the step, as are watched ones that leave. Once weights are not
    finite, replaced or of another shape, recording stops with a warning.
    What moves weights outside of the steps is found by comparing them, up to 16 numbers of each parameter at every step
    and all of them after every snapshot (but not with a sketch); a warning says so. An update that holds such a move is
    dropped, and the series begins anew; a loop that does it again before a window is full does it by habit, and its
    moves count. At every call for results weights are compared as well, and a warning says if no step was heard.
    Distributed parameters (DTensor: FSDP2, tensor parallelism; FSDP1): every process makes and attaches a tracker,
    multiplies its own shards, and one all-reduce of W + 3 numbers per snapshot gives all of them the whole Gram. Shards
    that several processes hold count once. Whole replicas, as under DistributedDataParallel, need one tracker in any
    process and no communication.

    Args:
        model: The model, wrapped or not. Shard and wrap it first.
        optimizer: Its optimiser, wrapped by Accelerate or Lightning or not; several in a list or dictionary; or None,
            and `record` is called after each step.
        params: Name patterns, one or several.
        window: Updates per window, W. Default 20 (Xu 2026, §2.3).
        every: Steps per update. Default 100 (Xu 2026, scripts).
        sketch: Keep sketches of the updates instead of them; eigenvalues are off by what `Sketch` says. Shards are
            sketched one by one, and their errors add up in quadrature.
        keep_places: Keep where the sketch sends each parameter, 4 bytes each, instead of drawing it at every snapshot,
            which takes four times as long but no memory that grows with the parameters.
        store: Type in which updates are kept. What bfloat16 rounds away, eigenvalues up to 2⁻¹⁶ of the trace, is set to
            0.
        device: Where updates are kept; default where the parameters are. "cpu" also multiplies there.
        center: Remove each window's mean update. Default no (Xu 2026, §2.3; the functional scripts do).
        top: Directions whose rotation is followed, at most W. Default 3 (the edge of Xu 2026, §2.3).
        alerts: Detectors of `gram_series`, each with a threshold that was calibrated with the same window, `every`,
            `store` and sketch. Default none. Together they take about a millisecond per snapshot (W = 20).
        surrogates: Surrogates of each window for its noise floor (39 are usual); they cost far more than all else
            here, so the default 0 leaves it out. Not for distributed parameters.
        seed: Root seed of the surrogates.
        step: Steps that were taken before.
        on_reading: Called with every full window as soon as it is measured.
        live: Show what is measured while it is, see `LiveDisplay`: a line for each watched function with its share, or
            for each leading eigenvalue. Default no: it is for a person who looks on. Of processes that share parameters
            the first shows it.

    Raises:
        InputError: if nothing trainable is matched, a parameter or optimiser cannot be followed, or a number is out of
            range.

    Cost: O(W·P) time per snapshot, O(P) with a sketch; memory as `Overhead` says. A step without a snapshot reads 32
    numbers of each parameter.
    """

    kind = "tracker"

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizers | None,
        *,
        params: str | Sequence[str] = "*attn*weight",
        window: int = 20,
        every: int = 100,
        sketch: Sketch | None = None,
        keep_places: bool = True,
        store: Literal["float32", "bfloat16"] = "float32",
        device: Literal["cpu"] | None = None,
        center: bool = False,
        top: int = 3,
        alerts: Sequence[Detector] = (),
        surrogates: int = 0,
        seed: int = 42,
        step: int = 0,
        on_reading: Callable[[Reading], None] | None = None,
        live: bool = False,
    ) -> None:
        for name, value, least in (("every", every, 1), ("window", window, 2), ("top", top, 1), ("step", step, 0)):
            if not isinstance(value, Integral) or value < least:
                raise InputError(f"expected {name} ≥ {least}, a whole number, got {name}={value!r}")
        if device is not None and str(device) != "cpu":
            raise InputError(f"updates are kept where the weights are (device=None) or on 'cpu', got device={device!r}")
        if store not in STORED:
            raise InputError(f"store must be one of {', '.join(STORED)}, got {store!r}")
        if not isinstance(model, nn.Module):
            raise InputError(
                f"expected a torch.nn.Module, got {type(model).__name__}: several models go in one ModuleDict"
            )
        if sketch is not None and not isinstance(sketch, Sketch):
            raise InputError(f"sketch must be a Sketch, such as Sketch(256), got {sketch!r}")
        # Compiled products take no integers of NumPy.
        self.window, self.every, self.step, window = int(window), int(every), int(step), int(window)
        self._model = model
        self._patterns = [params] if isinstance(params, str) else list(params)
        self._surrogates, self._seed = surrogates, seed
        self._sketch, self._store, self._on_reading = sketch, store, on_reading
        self._optimizers = with_inner(unwrapped(optimizer))
        moved = in_optimizers(self._optimizers)
        watched = watch(model, moved if self._optimizers else None, self._patterns, step)
        self._rows = watched.rows
        self._changes = Changes(model, self._patterns, watched.parameters, moved)
        self._shards = Shards.agree(watched.parameters, model)
        counted = {name: part for name, part in watched.parameters.items() if name in self._shards.counted}
        self._shapes = {name: list(local_part(part).shape) for name, part in counted.items()}
        if surrogates:
            if self.distributed:
                raise InputError("a noise floor needs whole updates in one process: leave out the surrogates")
            # A mistake in these numbers is better found now than in the first full window.
            noise_floor(
                torch.eye(window, dtype=torch.float64, device="cpu"),
                surrogates=surrogates,
                generator=torch_generator(seed),
            )
        self._weights = WatchedWeights(counted)
        self._rounds = Rounds(
            self._optimizers, watched.parameters, begin=self._begin, end=self._end, stalled=self._stalled
        )
        self._updates = Updates(
            self._weights,
            self._shards,
            window=window,
            sketch=sketch,
            keep_places=keep_places,
            store=store,
            device=device,
        )
        self._new_record = partial(Record, window, center=center, top=top, alerts=alerts)
        self._records = [self._new_record()]
        self._function: WatchedFunction | None = None
        self._live = LiveDisplay() if live and self._shards.process == 0 else None
        self._moved = UNMOVED
        self._since_snapshot = self._heard = self._still = 0
        self._attached = self._stopped = self._habit = self._told = self._coarse = False
        self._seconds = self._attached_seconds = self._since = 0.0

    def __str__(self) -> str:
        """Say what is watched and what is not."""
        return describe(self.selection)

    def __enter__(self) -> Self:
        """Attach."""
        self.attach()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Detach, also after an exception."""
        self.detach(check=error is None)

    def attach(self) -> None:
        """Start following the training; the first time, the weights as they are now become the first snapshot.

        Raises:
            InputError: if it is attached already.
        """
        if self._attached:
            raise InputError("this tracker is attached already: detach it first, or make another one")
        self._since = time.perf_counter()
        with torch.inference_mode(False), torch.no_grad():
            if not self._updates.begun:
                self._updates.begin()
                self._weights.settle()
        self._seconds += time.perf_counter() - self._since
        self._rounds.attach()
        self._attached = True

    def detach(self, *, check: bool = True) -> None:
        """Stop following the training, if attached; nothing is lost, and it may be attached again.

        Args:
            check: Whether to warn if weights have moved since the last step that was heard.
        """
        if self._attached:
            if check:
                self.check()
            self._rounds.detach()
            self._attached = False
            if self._live:
                self._live.end()
            self._attached_seconds += time.perf_counter() - self._since

    def watch_function(
        self, inputs_N: Inputs, readout: Callable[[object], Tensor], bases: Sequence[Basis]
    ) -> WatchedFunction:
        """Also read the function that the model computes, now and with every snapshot: `results().score`.

        One forward pass of the inputs each time, in evaluation mode; weights, buffers, modes and random streams stay as
        they are. Of distributed processes each calls the model, at the same snapshots.

        Args:
            inputs_N: Inputs on the model's device, first axis N: one tensor, or arguments by name.
            readout: Picks the (N, D) tensor out of what the model returns.
            bases: Bases over the inputs, such as `feature_basis` and `walsh_basis` give.

        Returns:
            What is watched; a notebook shows its score so far.

        Raises:
            InputError: as `WatchedFunction`, or if one is watched already.
        """
        if self._function is not None:
            raise InputError("this tracker watches a function already: give it all bases at once")
        began = time.perf_counter()
        self._function = WatchedFunction(self._model, inputs_N, readout, bases)
        self._function.read(self.step)
        self._seconds += time.perf_counter() - began if self._attached else 0.0
        return self._function

    def record(self) -> None:
        """Count a step of a training whose steps cannot be heard; weights are taken as they are now.

        Raises:
            InputError: if the tracker hears an optimiser, or is not attached.
        """
        if self._rounds:
            raise InputError("this tracker hears its optimizer's steps: make it with optimizer=None to count them")
        if not self._attached:
            raise InputError("attach the tracker before the first step that is recorded")
        self._end()

    def check(self) -> None:
        """Warn if weights have moved since the last step that was heard, or not at all since the first snapshot."""
        if not self._attached or self._stopped or self._habit or self._told or self._rounds.resting:
            return
        names = " or ".join(dict.fromkeys(type(one).__name__ for one in self._optimizers))
        if 0 < self._still < self.window and self._still == sum(map(len, self._records)):
            self._warn("the watched weights have not moved in any step so far: are they trained by this loop?")
        elif self._rounds.open:
            if not self._heard:
                self._stalled(self._rounds.unstepped)
        elif bool(self._weights.moved()):
            what = f"a step() of {names}" if self._rounds else "what tracker.record() has counted"
            self._warn(
                f"the watched weights were moved by something else than {what} since step {self.step} (the tracker "
                f"heard {self._heard} steps): pass the optimizer whose step() moves them, or {_MANUALLY} after each"
            )

    @property
    def selection(self) -> pd.DataFrame:
        """One row per parameter name: name, parameters, watched, reason (if not), step (when that was found)."""
        return pd.DataFrame(self._rows)

    @property
    def distributed(self) -> bool:
        """Whether parameters are spread over processes, so that each process has a state of its own."""
        return self._shards.device is not None

    @property
    def ready(self) -> bool:
        """Whether a window is full."""
        return len(self._records[-1]) >= self.window

    @property
    def latest(self) -> Reading:
        """The window that ends at the last snapshot.

        Raises:
            InputError: if no window is full yet.
        """
        self.check()
        if not self.ready:
            count = len(self._records[-1])
            raise InputError(
                f"a window of {self.window} updates is not full after {count}: "
                f"train {self.every * (self.window - count)} more steps, or ask `ready` first"
            )
        return self._records[-1].reading()

    @property
    def overhead(self) -> Overhead:
        """What tracking has cost so far."""
        training = self._seconds_attached() - self._seconds
        return Overhead(
            self._seconds,
            training,
            self._seconds / training if training > 0 else 0.0,
            sum(map(len, self._records)),
            self._updates.nbytes,
        )

    def results(self) -> TrackerResults:
        """Return tables of all windows so far; without a full window they are empty."""
        self.check()
        found = TrackerResults.joined([record.results(self.selection, self.overhead) for record in self._records])
        return replace(found, score=self._function.score) if self._function else found

    def save(self, folder: Path | str) -> None:
        """Write the results into a folder: spectrum.parquet and edge.parquet, as `spectraledge analyze` does, and more.

        Args:
            folder: Made if need be. See `TrackerResults.save`; of distributed processes only one should write.
        """
        results = self.results()
        results.save(Path(folder))
        if len(results.edge):
            print(f"its page: spectraledge report {shlex.quote(str(folder))}", file=sys.stderr)

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed training needs to give the results of one that was never stopped.

        Returns:
            Plain values and tensors: `torch.save` keeps them, `torch.load(weights_only=True)` reads them. Of
            distributed processes each has its own.
        """
        return {
            "settings": self._settings(),
            "weights": self._weights.sample(),
            "left": list(self._weights.left),
            "step": self.step,
            "counts": [self._since_snapshot, self._heard, self._still],
            "flags": [self._stopped, self._habit, bool(self._moved)],
            "seconds": self._seconds,
            "attached_seconds": self._seconds_attached(),
            "rows": [dict(entry) for entry in self._rows],
            "updates": self._updates.state_dict(),
            "records": [record.state_dict() for record in self._records],
            **({"function": self._function.state_dict()} if self._function else {}),
        }

    def fits(self, state: Mapping[str, Any]) -> bool:
        """Tell whether a state was taken of these weights as they are now.

        Args:
            state: From `state_dict`.

        Returns:
            Whether the parameters have the same names and shapes, and the numbers kept of each are the same.
        """
        if "weights" not in state or state["settings"]["parameters"] != self._shapes:
            return False
        return not bool(self._weights.differ_from(state["weights"]))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another tracker of the same settings was when its state was taken.

        Args:
            state: From `state_dict`. The weights must be those of that moment.

        Raises:
            InputError: if the settings, the watched parameters or their numbers differ.
        """
        if "weights" not in state:
            raise InputError("this is no state of a tracker of this version: begin a series anew")
        mine, theirs = self._settings(), state["settings"]
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
        self._since_snapshot, self._heard, self._still = state["counts"]
        self._stopped, self._habit, moved = state["flags"]
        self._moved = torch.full((), moved, dtype=torch.bool, device="cpu")
        self._seconds, self._attached_seconds = state["seconds"], state["attached_seconds"]
        self._since = time.perf_counter()
        self._rows = [dict(entry) for entry in state["rows"]]
        self._weights.left = state["left"]
        with torch.inference_mode(False):
            self._updates.load_state_dict(state["updates"])
        self._records = [self._new_record() for _ in state["records"]]
        for record, theirs in zip(self._records, state["records"], strict=True):
            record.load_state_dict(theirs)
        if self._function and "function" in state:
            self._function.load_state_dict(state["function"])

    def _settings(self) -> dict[str, Any]:
        """Return what a state must share with the tracker that loads it."""
        return {
            "window": self.window,
            "every": self.every,
            "sketch": [self._sketch.size, self._sketch.seed] if self._sketch else None,
            "store": self._store,
            "surrogates": self._surrogates,
            "seed": self._seed,
            "process": self._shards.process,
            "parameters": self._shapes,
        }

    def _seconds_attached(self) -> float:
        """Return the seconds for which it has been attached."""
        return self._attached_seconds + (time.perf_counter() - self._since if self._attached else 0.0)

    def _begin(self) -> None:
        """Before a step: find out whether the weights are where the last one left them."""
        if self._stopped or self._habit:
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

    def _end(self) -> None:
        """After a step: remember where it left the weights, and take an update when it is time."""
        if self._stopped:
            return
        began = time.perf_counter()
        self.step += 1
        self._heard += 1
        self._since_snapshot += 1
        self._told = False
        self._weights.settle()
        if self._since_snapshot >= self.every:
            if self._weights.device.type == "cuda":
                torch.cuda.synchronize(self._weights.device)
                began = time.perf_counter()
            with torch.inference_mode(False), torch.no_grad():
                self._take()
            if self._function and not self._stopped:
                self._function.read(self.step)
            if self._live:
                self._live.update(self._lines)
        self._seconds += time.perf_counter() - began

    def _lines(self) -> list[str]:
        """Say what is measured so far."""
        reading = self._records[-1].reading() if self.ready else None
        return live_lines(self.step, reading, self._function.course if self._function else None)

    def _take(self) -> None:
        """Take the update since the last snapshot."""
        if self._rounds:
            changed = self._changes.since(in_optimizers(self._optimizers), self.step)
            self._rows += changed
            unwatched = [str(entry["name"]) for entry in changed if entry["reason"] in TRAINED_LATER]
            if unwatched:
                self._warn(
                    f"{', '.join(unwatched)} is trained since step {self.step} and not watched: the series goes on "
                    "with the parameters that it began with; for all of them make a new tracker"
                )
            self._rounds.refresh()
        lost = self._weights.lost(None if self.distributed else self._model)
        taken = self._updates.take(lost=bool(lost), moved=self._moved)
        self._moved = UNMOVED
        if not taken.finite:
            self._stopped = True
            self._warn(f"{lost or 'weights are not finite'} at step {self.step}: the tracker records no more")
            return
        since, self._since_snapshot = self.step - self._since_snapshot, 0
        if taken.moved and self._begins_anew(since):
            return
        self._append(taken)

    def _begins_anew(self, since: int) -> bool:
        """Tell whether an update that something else than steps had a part in is where the series begins anew."""
        what = f"between steps {since} and {self.step} something else than the optimizer moved the watched weights"
        if len(self._records) > 1 and not self.ready:
            self._habit = True
            self._warn(
                f"{what}, again: from here the tracker counts such moves into its updates, which end right after an "
                f"optimizer's step; for another moment {_MANUALLY} there"
            )
            return False
        self._warn(
            f"{what} (a checkpoint loaded, weights clipped or averaged?): the tracker drops this update and begins its "
            "series anew"
        )
        self._updates.forget()
        self._records.append(self._new_record())
        return True

    def _append(self, taken: Taken) -> None:
        """Count an update."""
        record = self._records[-1]
        record.append(self.step, taken.band_V, taken.noise)
        self._still = 0 if taken.band_V[0] else self._still + 1
        if self._still == self.window:
            self._warn(f"the watched weights have not moved in {self.window} updates, the last at step {self.step}")
        if self.ready and not self._coarse and record.explained_by_rounding:
            self._coarse = True
            self._warn(
                f"in the {self.window} updates up to step {self.step} the watched weights moved by no more than their "
                "rounding can explain, so all eigenvalues are 0: watch weights of more digits, or take snapshots less "
                "often (every=)"
            )
        if self._surrogates and self.ready:
            floor = noise_floor(
                self._updates.held(),
                surrogates=self._surrogates,
                generator=torch_generator(self._seed, "surrogates", self.step),
                storage_noise=record.window_noise,
            )
            record.append_floor(floor.count, float(floor.ratio_W[0]))
        if self._on_reading and self.ready:
            self._on_reading(record.reading())

    def _stalled(self, names: Sequence[str]) -> None:
        self._warn(
            f"no optimizer has stepped {', '.join(names)} since step {self.step}, so the tracker counts no step of the "
            "others: leave these parameters out, or pass all optimizers"
        )

    def _warn(self, message: str) -> None:
        self._told = True
        warnings.warn(message, RuntimeWarning, stacklevel=2)
