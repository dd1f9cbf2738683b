"""The tracker: the spectrum of a training that somebody else runs, taken at the optimiser's own steps."""

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import pandas as pd
from torch import Tensor, nn

from spectraledge.display import Displayed
from spectraledge.errors import InputError
from spectraledge.integrations.following import Following
from spectraledge.integrations.functions import WatchedFunction
from spectraledge.integrations.optimizers import Optimizers
from spectraledge.integrations.record import Reading
from spectraledge.integrations.tables import Overhead, TrackerResults
from spectraledge.integrations.tracker_settings import TrackerSettings
from spectraledge.integrations.watching import describe
from spectraledge.modes import Basis, Inputs
from spectraledge.spectrum import Detector, Sketch


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
        settings = TrackerSettings(
            window=window,
            every=every,
            sketch=sketch,
            keep_places=keep_places,
            store=store,
            device=device,
            center=center,
            top=top,
            alerts=alerts,
            surrogates=surrogates,
            seed=seed,
            step=step,
        )
        if not isinstance(model, nn.Module):
            raise InputError(
                f"expected a torch.nn.Module, got {type(model).__name__}: several models go in one ModuleDict"
            )
        self.window, self.every, self._model = settings.window, settings.every, model
        patterns = [params] if isinstance(params, str) else list(params)
        self._following = Following(model, optimizer, patterns, settings, on_reading=on_reading, live=live)

    @property
    def step(self) -> int:
        """Steps that were taken; a trainer that counts them otherwise sets it before each."""
        return self._following.step

    @step.setter
    def step(self, step: int) -> None:
        self._following.step = step

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
        if self._following.attached:
            raise InputError("this tracker is attached already: detach it first, or make another one")
        self._following.attach()

    def detach(self, *, check: bool = True) -> None:
        """Stop following the training, if attached; nothing is lost, and it may be attached again.

        Args:
            check: Whether to warn if weights have moved since the last step that was heard.
        """
        if self._following.attached:
            if check:
                self.check()
            self._following.detach()

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
        if self._following.function is not None:
            raise InputError("this tracker watches a function already: give it all bases at once")
        return self._following.watch(lambda: WatchedFunction(self._model, inputs_N, readout, bases))

    def record(self) -> None:
        """Count a step of a training whose steps cannot be heard; weights are taken as they are now.

        Raises:
            InputError: if the tracker hears an optimiser, or is not attached.
        """
        if self._following.rounds:
            raise InputError("this tracker hears its optimizer's steps: make it with optimizer=None to count them")
        if not self._following.attached:
            raise InputError("attach the tracker before the first step that is recorded")
        self._following.end()

    def check(self, *, so_far: bool = True) -> None:
        """Warn if weights have moved since the last step that was heard, or not at all since the first snapshot.

        Args:
            so_far: Whether to warn as well if nothing has moved yet, or not all optimisers have stepped. A loop that
                looks from time to time leaves that out: a warm-up may begin with a rate of 0, and one of several
                optimisers step once in many batches. Where it goes on, the tracker says so by itself.
        """
        self._following.check(so_far=so_far)

    @property
    def selection(self) -> pd.DataFrame:
        """One row per parameter name: name, parameters, watched, reason (if not), step (when that was found)."""
        return pd.DataFrame(self._following.rows)

    @property
    def distributed(self) -> bool:
        """Whether parameters are spread over processes, so that each process has a state of its own."""
        return self._following.distributed

    @property
    def ready(self) -> bool:
        """Whether a window is full."""
        return self._following.readings.ready

    @property
    def latest(self) -> Reading:
        """The window that ends at the last snapshot.

        Raises:
            InputError: if no window is full yet.
        """
        self.check()
        if not self.ready:
            count = len(self._following.readings.last)
            raise InputError(
                f"a window of {self.window} updates is not full after {count}: "
                f"train {self.every * (self.window - count)} more steps, or ask `ready` first"
            )
        return self._following.readings.last.reading()

    @property
    def overhead(self) -> Overhead:
        """What tracking has cost so far."""
        return self._following.overhead

    def results(self) -> TrackerResults:
        """Return tables of all windows so far; without a full window they are empty."""
        self.check()
        found, function = self._following.readings.results(self.selection, self.overhead), self._following.function
        return replace(found, score=function.score) if function else found

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
        return self._following.state_dict()

    def fits(self, state: Mapping[str, Any]) -> bool:
        """Tell whether a state was taken of these weights as they are now.

        Args:
            state: From `state_dict`.

        Returns:
            Whether the parameters have the same names and shapes, and the numbers kept of each are the same.
        """
        return self._following.fits(state)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another tracker of the same settings was when its state was taken.

        Args:
            state: From `state_dict`. The weights must be those of that moment.

        Raises:
            InputError: if the settings, the watched parameters or their numbers differ.
        """
        self._following.load_state_dict(state)
