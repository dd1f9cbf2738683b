"""The tracker: the spectrum of a training that somebody else runs, taken at the optimiser's own steps."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import pandas as pd
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from spectraledge.errors import InputError
from spectraledge.integrations.differences import Difference, ExactDifference, HeldUpdates, SketchedDifference
from spectraledge.integrations.record import Reading, Record
from spectraledge.integrations.shards import Shards, local_part
from spectraledge.integrations.tables import Overhead, TrackerResults
from spectraledge.integrations.watching import describe, in_optimizer, plain_names, row, watch
from spectraledge.spectrum import Detector, Sketch, noise_floor
from spectraledge.streams import torch_generator
from spectraledge.trajectory import select_parameters

_STORED = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class SpectralEdgeTracker:
    """Follows the spectral edge of any PyTorch training from inside its loop; the weights are only read.

        tracker = SpectralEdgeTracker(model, optimizer, params="*attn*weight")
        with tracker:
            train()
        tracker.results().edge

    Definition: Xu 2026, §2.3. It hooks the optimiser, so accumulated gradients count as one step, and steps that a
    gradient scaler skips as none. Every `every` steps it takes the update of the watched parameters since the last
    snapshot and multiplies it with the W before it.
    Names are those of the model without `torch.compile`, DistributedDataParallel or checkpoint wrappers. Tied
    parameters count once; frozen ones and those of other optimisers are skipped. Parameters that come to the optimiser
    later are not watched, because all updates of a window must cover the same numbers; they are added to the table of
    choices with the step, as are watched ones that leave. Once weights are not finite, recording stops with a warning.
    Distributed parameters (DTensor: FSDP2, tensor parallelism): every process makes and attaches a tracker, multiplies
    its own shards, and one all-reduce of W + 2 numbers per snapshot gives all of them the whole Gram. Shards that
    several processes hold count once. Whole replicas, as under DistributedDataParallel, need one tracker in any process
    and no communication.

    Args:
        model: The model, wrapped or not. Shard and wrap it first.
        optimizer: Its optimiser; the one within, where a library wraps it.
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

    Raises:
        InputError: if nothing trainable is matched, or a number is out of range.

    Cost: O(W·P) time per snapshot, O(P) with a sketch; memory as `Overhead` says.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer,
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
    ) -> None:
        if every < 1 or window < 2 or top < 1:
            raise InputError(
                f"expected every ≥ 1, window ≥ 2 and top ≥ 1, got every={every}, window={window}, top={top}"
            )
        if store not in _STORED:
            raise InputError(f"store must be one of {', '.join(_STORED)}, got {store!r}")
        self.window, self.every, self.step = window, every, step
        self._model, self._optimizer = model, optimizer
        self._patterns = [params] if isinstance(params, str) else list(params)
        self._surrogates, self._seed = surrogates, seed
        self._sketch, self._store, self._device, self._on_reading = sketch, store, device, on_reading
        watched = watch(model, optimizer, self._patterns, step)
        self._rows = watched.rows
        self._seen = set(in_optimizer(optimizer))
        self._shards = Shards.agree(watched.parameters, model.parameters())
        self._watched = watched.parameters
        self._counted = {name: part for name, part in watched.parameters.items() if name in self._shards.counted}
        if surrogates:
            if self.distributed:
                raise InputError("a noise floor needs whole updates in one process: leave out the surrogates")
            # A mistake in these numbers is better found now than in the first full window.
            noise_floor(torch.eye(window), surrogates=surrogates, generator=torch_generator(seed))
        places = {part.device for part in self._parts()}
        if len(places) > 1:
            raise InputError(f"watched parameters lie on {len(places)} devices: choose those of one by their names")
        self._difference: Difference = (
            SketchedDifference(sketch, _STORED[store], keep_places=keep_places)
            if sketch
            else ExactDifference(_STORED[store])
        )
        self._held = HeldUpdates(window)
        self._record = Record(window, center=center, top=top, alerts=alerts)
        self._last = step
        self._stopped = False
        self._handle: RemovableHandle | None = None
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
        self.detach()

    def attach(self) -> None:
        """Start following the optimiser; the first time, the weights as they are now become the first snapshot.

        Raises:
            InputError: if it is attached already.
        """
        if self._handle is not None:
            raise InputError("this tracker is attached already: detach it first, or make another one")
        self._since = time.perf_counter()
        if not self._difference.before:
            self._difference.restart(self._parts())
            self._seconds += time.perf_counter() - self._since
        self._handle = self._optimizer.register_step_post_hook(self._after_step)

    def detach(self) -> None:
        """Stop following the optimiser, if attached; nothing is lost, and it may be attached again."""
        if self._handle is not None:
            self._handle.remove()
            self._handle = None
            self._attached_seconds += time.perf_counter() - self._since

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
        return len(self._record) >= self.window

    @property
    def latest(self) -> Reading:
        """The window that ends at the last snapshot.

        Raises:
            InputError: if no window is full yet.
        """
        if not self.ready:
            raise InputError(
                f"a window of {self.window} updates is not full after {len(self._record)}: "
                f"train {self.every * (self.window - len(self._record))} more steps, or ask `ready` first"
            )
        return self._record.reading()

    @property
    def overhead(self) -> Overhead:
        """What tracking has cost so far."""
        training = self._attached() - self._seconds
        return Overhead(
            self._seconds,
            training,
            self._seconds / training if training > 0 else 0.0,
            len(self._record),
            self._held.nbytes + self._difference.nbytes,
        )

    def results(self) -> TrackerResults:
        """Return tables of all windows so far; without a full window they are empty."""
        return self._record.results(self.selection, self.overhead)

    def save(self, folder: Path | str) -> None:
        """Write the results into a folder: spectrum.parquet and edge.parquet, as `spectraledge analyze` does, and more.

        Args:
            folder: Made if need be. See `TrackerResults.save`; of distributed processes only one should write.
        """
        self.results().save(Path(folder))

    def state_dict(self) -> dict[str, Any]:
        """Return all that a resumed training needs to give the results of one that was never stopped.

        Returns:
            Plain values and tensors: `torch.save` keeps them, `torch.load(weights_only=True)` reads them. Of
            distributed processes each has its own.
        """
        return {
            "settings": self._settings(),
            "step": self.step,
            "last": self._last,
            "stopped": self._stopped,
            "seconds": self._seconds,
            "attached_seconds": self._attached(),
            "rows": [dict(entry) for entry in self._rows],
            "before": [part.clone() for part in self._difference.before],
            "rounding": self._difference.rounding,
            "updates": self._held.updates(),
            "record": self._record.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another tracker of the same settings was when its state was taken.

        Args:
            state: From `state_dict`. The weights must be those of that moment.

        Raises:
            InputError: if the settings or the watched parameters differ.
        """
        mine, theirs = self._settings(), state["settings"]
        for name in mine:
            if mine[name] != theirs[name]:
                raise InputError(
                    f"this tracker has {name} = {mine[name]}, the state has {theirs[name]}: "
                    "make the tracker with the settings of the run that is resumed"
                )
        self.step, self._last, self._stopped = state["step"], state["last"], state["stopped"]
        self._seconds, self._attached_seconds = state["seconds"], state["attached_seconds"]
        self._since = time.perf_counter()
        self._rows = [dict(entry) for entry in state["rows"]]
        parts = self._parts()
        here = parts[0].device if parts else torch.device("cpu")
        self._difference.before = [part.to(here, copy=True) for part in state["before"]]
        self._difference.rounding = state["rounding"]
        self._held = HeldUpdates(self.window)
        if len(state["updates"]):
            self._held.extend(state["updates"].to(self._device or here))
        self._record.load_state_dict(state["record"])

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
            "parameters": {name: list(local_part(parameter).shape) for name, parameter in self._counted.items()},
        }

    def _attached(self) -> float:
        """Return the seconds for which it has been attached."""
        return self._attached_seconds + (time.perf_counter() - self._since if self._handle else 0.0)

    def _parts(self) -> list[Tensor]:
        return [local_part(parameter) for parameter in self._counted.values()]

    def _after_step(self, optimizer: Optimizer, arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
        # Fused optimisers are called by a gradient scaler even for steps that they then skip.
        skipped = getattr(optimizer, "found_inf", None)
        if self._stopped or (skipped is not None and bool(skipped)):
            return
        self.step += 1
        if self.step < self._last + self.every:
            return
        parts = self._parts()
        if parts and parts[0].is_cuda:
            torch.cuda.synchronize(parts[0].device)
        began = time.perf_counter()
        self._note_changes()
        self._take(parts)
        self._seconds += time.perf_counter() - began

    def _take(self, parts: Sequence[Tensor]) -> None:
        """Take the update since the last snapshot."""
        noise = self._difference.rounding
        update_P = self._difference.update(parts)
        noise = (noise + self._difference.rounding) / 2
        try:
            self._held.append(update_P.to(self._device or update_P.device))
            band = self._held.latest.cpu()
        except InputError:
            # Every process has to come to the sum, or the others wait for it for ever.
            band = torch.full((self.window + 1,), torch.nan, dtype=torch.float64)
        summed = self._shards.total(torch.cat([band, torch.tensor([noise], dtype=torch.float64)]))
        if not torch.isfinite(summed).all():
            self._stopped = True
            warnings.warn(
                f"weights are not finite at step {self.step}: the tracker records no more", RuntimeWarning, stacklevel=2
            )
            return
        kept = torch.finfo(_STORED[self._store]).eps / 2
        self._last = self.step
        self._record.append(self.step, summed[:-1], float(summed[-1] + kept**2 * summed[0]))
        if self._surrogates and self.ready:
            floor = noise_floor(
                self._held.updates(),
                surrogates=self._surrogates,
                generator=torch_generator(self._seed, "surrogates", self.step),
                storage_noise=self._record.window_noise,
            )
            self._record.append_floor(floor.count, float(floor.ratio_W[0]))
        if self._on_reading and self.ready:
            self._on_reading(self.latest)

    def _note_changes(self) -> None:
        """Record matching parameters that came to the optimiser, and watched ones that left it."""
        moved = set(in_optimizer(self._optimizer))
        if moved == self._seen:
            return
        names = plain_names(self._model)
        matched = set(select_parameters([name for name, _ in names], self._patterns).matched)
        for name, parameter in names:
            if name in matched and id(parameter) in moved - self._seen:
                self._rows.append(row(name, parameter, "came to the optimizer later", self.step))
        for name, parameter in self._watched.items():
            if id(parameter) in self._seen - moved:
                self._rows.append(row(name, parameter, "left the optimizer", self.step))
        self._seen = moved
