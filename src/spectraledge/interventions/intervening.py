"""Interventions carried out on the steps of one training, whoever takes them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.interventions.given_subspaces import frame_of_window, given_frame, vectors_of
from spectraledge.interventions.intervention import Intervention
from spectraledge.spectrum import Frame, TrailingWindow, orthonormal_rows, weigh
from spectraledge.streams import torch_generator
from spectraledge.trajectory import Layout, select_parameters

Tensors = Mapping[str, Tensor]


class Intervening:
    """Carries out interventions, in their order.

    Around every step of the optimizer call `before_step`, `change_gradients` where they are there (again, if they are
    evaluated again), and `after_step`, which may change the weights.

    Args:
        interventions: What is done.
        weights: The parameters that there are, by name, real numbers of one precision and device.
        usual: Patterns of the parameters of interventions that name none.
        step: Steps that were taken before.
        given: By place in the list, the vectors of those that are of given ones: (K, *shape) for each parameter by its
            name, or (K, P) in the order of the chosen parameters.

    Attributes:
        step: Steps that were taken.

    Raises:
        InputError: if parameters are not there, a subspace is of other parameters or has changed, or asks for more
            directions than there are parameters.
    """

    def __init__(
        self,
        interventions: Sequence[Intervention],
        weights: Tensors,
        usual: Sequence[str],
        *,
        step: int = 0,
        given: Mapping[int, Tensor | Tensors] | None = None,
    ) -> None:
        self.step = step
        self._acting = [
            _Acting(intervention, weights, usual, (given or {}).get(place))
            for place, intervention in enumerate(interventions)
        ]
        for acting in self._acting:
            acting.arrive(step, weights)

    def __bool__(self) -> bool:
        """Return whether there is anything to do."""
        return bool(self._acting)

    @property
    def moved(self) -> list[str]:
        """Names of all parameters whose updates are changed."""
        updating = [acting.layout.shapes for acting in self._acting if acting.what.on == "update"]
        return list(dict.fromkeys(name for shapes in updating for name in shapes))

    @property
    def needs_gradients(self) -> bool:
        """Whether gradients are changed or followed."""
        return any("gradient" in (acting.what.on, acting.what.subspace) for acting in self._acting)

    def before_step(self, weights: Tensors) -> None:
        """Note the weights that the next step starts from."""
        for acting in self._acting:
            acting.leave(weights)

    def change_gradients(self, gradients: Tensors) -> None:
        """Change the gradients of the next step in place."""
        for acting in self._acting:
            acting.turn(self.step + 1, gradients)

    def after_step(self, weights: Tensors, decay: dict[str, Tensor] | None = None) -> None:
        """Change the weights after a step in place.

        Args:
            weights: The parameters.
            decay: What weight decay alone has moved them by, where that is known: each is replaced by what the change
                has made of it.
        """
        self.step += 1
        for acting in self._acting:
            acting.move(self.step, weights, decay)
        for acting in self._acting:
            acting.arrive(self.step, weights)

    def account(self) -> list[dict[str, Any]]:
        """Return what was done, as JSON data: see `Manifest.interventions`."""
        return [acting.account() for acting in self._acting]

    def state(self) -> tuple[dict[str, Tensor], str]:
        """Return all that later steps depend on, as tensors and text."""
        tensors: dict[str, Tensor] = {}
        texts = []
        for place, acting in enumerate(self._acting):
            own, text = acting.state()
            tensors |= {f"{place}/{name}": tensor for name, tensor in own.items()}
            texts.append(text)
        return tensors, json.dumps({"step": self.step, "acting": texts})

    def restore(self, tensors: Tensors, text: str) -> None:
        """Go to a saved state.

        Raises:
            InputError: if it is of other parameters.
        """
        known = json.loads(text)
        self.step = known["step"]
        for place, (acting, own) in enumerate(zip(self._acting, known["acting"], strict=True)):
            prefix = f"{place}/"
            parts = {name.removeprefix(prefix): part for name, part in tensors.items() if name.startswith(prefix)}
            acting.restore(parts, own)


class _Acting:
    """One intervention, with what it remembers of steps."""

    def __init__(
        self, what: Intervention, weights: Tensors, usual: Sequence[str], given: Tensor | Tensors | None
    ) -> None:
        self.what = what
        vectors = _vectors(what, given)
        if isinstance(vectors, Mapping) and not what.params:
            names = tuple(name for name in weights if name in vectors)
        else:
            names = select_parameters(weights, what.params or tuple(usual)).matched
        self.layout = Layout({name: tuple(weights[name].shape) for name in names})
        like = weights[names[0]] if names else torch.empty(0, dtype=torch.float32, device="cpu")
        self._dtype, self._device = like.dtype, like.device
        if what.rank > self.layout.size and what.subspace not in ("bulk", "run"):
            raise InputError(f"{what} asks for more directions than its {self.layout.size} numbers have: choose fewer")
        self._window = TrailingWindow(what.window)
        self._fixed = self._constant(vectors)
        self._cached: Frame | None = None
        self._before_P = self._anchor_P = like.new_empty(0)
        self._anchor_step: int | None = None
        self._anchor_noise = 0.0
        self._turned = self._counted = self._acted = self._idle = self._rank = 0
        self._share = torch.zeros((), dtype=torch.float64, device=self._device)

    def _constant(self, vectors: Tensor | Tensors | None) -> Frame | None:
        """The subspace, where it is the same at every step."""
        what, shapes = self.what, self.layout.shapes
        if what.subspace == "all":
            return Frame(torch.empty(0, self.layout.size, dtype=self._dtype, device=self._device), everything=True)
        if what.subspace == "random" and not what.fresh:
            return self._drawn(0)
        if what.subspace == "run":
            found = frame_of_window(Path(what.source), shapes, what)
        elif vectors is not None:
            if isinstance(vectors, Tensor):
                if vectors.shape[1:] != (self.layout.size,):
                    raise InputError(
                        f"{what}: vectors have shape {tuple(vectors.shape)}, expected (K, {self.layout.size}): give "
                        "the numbers of all chosen parameters one after another"
                    )
                vectors = self.layout.split(vectors)
            found = given_frame(vectors, shapes, str(what))
        else:
            return None
        return Frame(found.rows_KP.to(self._device, self._dtype), found.everything)

    def leave(self, weights: Tensors) -> None:
        """Before a step: note the weights."""
        if self.what.on == "update" or self._follows_every:
            self._before_P = self.layout.join(weights)

    def turn(self, step: int, gradients: Tensors) -> None:
        """Before a step: change the gradients."""
        followed = self.what.subspace == "gradient" and self._begun(step)
        if followed and step != self._turned and (self.what.stop is None or step <= self.what.stop):
            self._window.append(self.layout.join(gradients))
            self._cached, self._turned = None, step
        if self.what.on == "gradient" and self.what.active(step):
            vectors_1P = self.layout.join(gradients)[None]
            changed_1P = self._weighed(step, vectors_1P)
            if changed_1P is not vectors_1P:
                self._put(changed_1P[0], gradients)

    def move(self, step: int, weights: Tensors, decay: dict[str, Tensor] | None) -> None:
        """After a step: change the weights."""
        if self.what.on != "update" or not self.what.active(step):
            return
        parts = [self.layout.join(weights) - self._before_P]
        if decay is not None:
            parts.append(self.layout.join(decay))
        vectors_NP = torch.stack(parts)
        changed_NP = self._weighed(step, vectors_NP)
        if changed_NP is vectors_NP:
            return
        self._put(self._before_P + changed_NP[0], weights)
        if decay is not None:
            decay.update(self.layout.split(changed_NP[1]))

    def arrive(self, step: int, weights: Tensors) -> None:
        """After all changes: note the update that ends here."""
        every, stop = self.what.every, self.what.stop
        over = stop is not None and step >= stop
        if not self.what.follows_updates or step % every or over or not self._begun(step + every):
            return
        here_P = self.layout.join(weights)
        noise = torch.finfo(here_P.dtype).eps ** 2 * float(here_P.norm()) ** 2
        # What moves the weights between steps is no update, as far as that can be told.
        begin_P = self._before_P if every == 1 else self._anchor_P
        if self._anchor_step == step - every:
            self._window.append(here_P - begin_P, noise=(noise + self._anchor_noise) / 2)
            # Now the window is in the cache; before the next step it would come from memory.
            self._cached = None if self.what.fresh or not self.what.active(step + 1) else self._leading(step + 1)
        self._anchor_P, self._anchor_step, self._anchor_noise = here_P, step, noise

    def account(self) -> dict[str, Any]:
        """What was done so far."""
        return {
            "what": str(self.what),
            "parameters": self.layout.size,
            "acted": self._acted,
            "idle": self._idle,
            "rank": self._rank,
            "share": float(self._share) / self._acted if self._acted else 0.0,
        }

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, count = self._window.state()
        text = {
            "count": count,
            "anchor_step": self._anchor_step,
            "anchor_noise": self._anchor_noise,
            "acted": self._acted,
            "idle": self._idle,
            "rank": self._rank,
            "share": float(self._share),
        }
        return {name: part for name, part in (*tensors.items(), ("anchor", self._anchor_P)) if part.numel()}, text

    def restore(self, tensors: Tensors, text: Mapping[str, Any]) -> None:
        for name in tensors.keys() & {"rows", "anchor"}:
            if (size := tensors[name].shape[-1]) != self.layout.size:
                raise InputError(
                    f"{self.what}: the state is of {size} numbers, expected one of {self.layout.size}: give that of a "
                    "training of the same parameters"
                )
        self._window.restore(
            {name: part.to(self._device) if name == "rows" else part for name, part in tensors.items()}, text["count"]
        )
        self._anchor_P = tensors["anchor"].to(self._device, copy=True) if "anchor" in tensors else self._anchor_P
        self._share = self._share.new_tensor(text["share"])
        self._anchor_step, self._anchor_noise = text["anchor_step"], text["anchor_noise"]
        self._acted, self._idle, self._rank = text["acted"], text["idle"], text["rank"]
        # What has gone beyond the state takes those steps anew.
        self._turned = self._counted = 0
        self._cached = None

    @property
    def _follows_every(self) -> bool:
        return self.what.follows_updates and self.what.every == 1

    def _begun(self, step: int) -> bool:
        """Whether a vector that ends at this step, or a later one, can be in the first window that is used."""
        return step > self.what.start - self.what.window * self.what.every

    def _weighed(self, step: int, vectors_NP: Tensor) -> Tensor:
        frame = self._frame(step)
        if not frame.rank:
            self._idle += step != self._counted
            self._counted = step
            return vectors_NP
        inside, outside = self.what.factors
        found = weigh(vectors_NP, frame, inside=inside, outside=outside, restore=self.what.norm == "restored")
        if step != self._counted:
            self._acted, self._rank, self._counted = self._acted + 1, frame.rank, step
            self._share += found.share.nan_to_num()
        return found.vectors_NP

    def _put(self, vector_P: Tensor, tensors: Tensors) -> None:
        for name, part in self.layout.split(vector_P).items():
            tensors[name].copy_(part)

    def _frame(self, step: int) -> Frame:
        if self._fixed is not None:
            return self._fixed
        if self.what.subspace == "random":
            return self._drawn(step)
        if self._cached is None or self.what.fresh:
            self._cached = self._leading(step)
        return self._cached

    def _leading(self, step: int) -> Frame:
        what, window = self.what, self._window
        if not window.full:
            return Frame(self._before_P.new_empty(0, self.layout.size))
        if what.subspace == "bulk":
            return window.leading(skip=what.rank, center=what.center)
        if what.subspace in ("window", "span"):
            whole = window.leading(center=what.center)
            return whole if what.subspace == "window" or whole.rank <= what.rank else self._mixed(whole, step)
        return window.leading(skip=what.skip, count=what.rank, center=what.center)

    def _mixed(self, whole: Frame, step: int) -> Frame:
        mixing = torch.randn(
            self.what.rank, self.what.window, dtype=torch.float64, device="cpu", generator=self._stream(step)
        )
        orthonormal_RK = torch.linalg.qr(mixing[:, : whole.rank].T)[0]
        return Frame.of(orthonormal_RK.T.to(whole.rows_KP) @ whole.rows_KP)

    def _drawn(self, step: int) -> Frame:
        shape = self.what.rank, self.layout.size
        drawn_KP = torch.randn(shape, dtype=self._dtype, device="cpu", generator=self._stream(step))
        return Frame.of(orthonormal_rows(drawn_KP.to(self._device)))

    def _stream(self, step: int) -> torch.Generator:
        names: list[str | int] = ["intervention", self.what.subspace, *([step] if self.what.fresh else [])]
        return torch_generator(self.what.seed, *names)


def _vectors(what: Intervention, given: Tensor | Tensors | None) -> Tensor | Tensors | None:
    """The vectors that span the subspace, where it is of such."""
    if (what.subspace == "given") != (given is not None):
        raise InputError(f"{what}: vectors are handed over for a given subspace, and for no other")
    return vectors_of(what) if what.subspace == "file" else given
