"""What is done to the steps of a training, as data: which subspace is kept, removed or scaled, in what, and when."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from spectraledge.errors import InputError
from spectraledge.interventions.sources import file_digest_of, window_digest

Action = Literal["keep", "remove", "scale"]
Subspace = Literal["edge", "bulk", "window", "span", "gradient", "random", "all", "file", "run", "given"]

SUBSPACES = {
    "edge": "edge:K, the K leading directions of the trailing window of updates",
    "bulk": "bulk:K, the directions of that window behind its K leading ones",
    "window": "window, all its directions",
    "span": "span:K, K directions at random in the span of that window",
    "gradient": "gradient:K, the K leading directions of the trailing window of gradients",
    "random": "random:K, K directions at random",
    "all": "all, everything",
    "file": "file:PATH, the span of the vectors in a safetensors file: (K, *shape) for each parameter by its name",
    "given": "given, the span of vectors that a program hands over",
    "run": "run:FOLDER@STEP:K, the K leading directions of another run's window at a step",
}
"""Every subspace, as it is written."""

SETTINGS = {
    "on": "update (what a step moves the weights by, weight decay included), or gradient (as the optimizer would see "
    "it); by default update, and gradient for gradient:K",
    "by": "the factor of scale",
    "norm": "free, or restored: what is left gets the length of what there was; by default free",
    "params": "name pattern of the parameters, may be repeated; by default those that are watched, of file those in it",
    "from": "after this many steps; by default 0",
    "until": "up to this step; by default to the end",
    "window": "vectors in a window; by default 20",
    "every": "steps per update of a window; by default 1",
    "center": "yes: remove a window's mean before its directions; by default no",
    "skip": "leave out so many leading directions before the K; by default 0",
    "fresh": "yes: draw directions at random anew at every step; by default no, once",
    "seed": "root seed of directions at random; by default 42",
}
"""Every setting of an intervention, as it is written behind the subspace."""

_FIELDS = {"from": "start", "until": "stop"}
_DRAWN = ("span", "random")
_RANKED = ("edge", "bulk", "span", "gradient", "random", "run")
_WINDOWED = ("edge", "bulk", "window", "span", "gradient", "run")
_OWN_UPDATES = ("edge", "bulk", "window", "span")


class Intervention(BaseModel):
    """One thing that is done to every step of a training while it is active.

    Definition: x is the gradient as the optimizer would see it (in a run: clipped), or the update θ_t − θ_(t−1), of the
    chosen parameters as one vector (a complex number is two); Π projects on the subspace. Keep: x → Πx; remove:
    x → x − Πx; scale: x → x + (by − 1)·Πx; with the norm restored, times ‖x‖ over the length of that, unless it is
    zero. A window ends at the weights that the step starts from: the last `window` updates up to θ_(t−1), each over
    `every` steps and as they were made, interventions included; or the gradients as they came to it, of this step
    included. As long as it is not full, or has no directions, steps are left as they are.
    Laws: see `weigh`. Removing a fixed subspace from the updates holds the weights' part in it still; removing it from
    the gradients does not, where the optimizer scales parameters one by one, remembers, or decays them.

    Attributes:
        action: What is done.
        subspace: With what, a key of `SUBSPACES`.
        rank: How many directions, K; of bulk how many are not in it; 0 where it has none.
        on: What it is done to.
        by: Factor of "scale".
        norm: Whether the vector keeps its length.
        params: Patterns of the parameters. Default: those that are watched, or that the given subspace is of.
        start: Steps before the first one that is changed.
        stop: The last step that may be changed; None for no end.
        window: Vectors per window, W. Default 20 (Xu 2026, §2.3).
        every: Steps per update of the window. Default 1 (our choice, so that it does not depend on what is recorded;
            reports read windows of updates between snapshots, 100 steps apart by default).
        center: Whether the window's mean is removed. Default no (the mean update is what learns).
        skip: Leading directions left out before the K.
        fresh: Whether directions at random are drawn anew at every step; else the draw is one (of span: its numbers).
        seed: Root seed of what is drawn; equal draws are equal, whatever they are used for.
        source: The file, or the run's folder. It is where the subspace was found; the digest is what counts.
        step: The step of that run.
        digest: Hex SHA-256 of what was found there.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    action: Action
    subspace: Subspace
    rank: int = Field(default=0, ge=0)
    on: Literal["gradient", "update"] = "update"
    by: float | None = None
    norm: Literal["free", "restored"] = "free"
    params: tuple[str, ...] = ()
    start: int = Field(default=0, ge=0)
    stop: int | None = Field(default=None, gt=0)
    window: int = Field(default=20, ge=1)
    every: int = Field(default=1, ge=1)
    center: bool = False
    skip: int = Field(default=0, ge=0)
    fresh: bool = False
    seed: int = Field(default=42, ge=0)
    source: str = ""
    step: int = Field(default=0, ge=0)
    digest: str = Field(default="", pattern="^([0-9a-f]{64})?$")

    @model_validator(mode="before")
    @classmethod
    def _usual_place(cls, given: Any) -> Any:
        return {"on": "gradient", **given} if isinstance(given, dict) and given.get("subspace") == "gradient" else given

    @model_validator(mode="after")
    def _means_something(self) -> "Intervention":
        name = self.subspace
        if (name in _RANKED) != bool(self.rank):
            raise ValueError(f"a number of directions, at least 1, belongs to {', '.join(_RANKED)}: {SUBSPACES[name]}")
        most = self.window - self.center - self.skip
        if name in _WINDOWED and (self.rank > most or (name == "bulk" and self.rank == most)):
            raise ValueError(
                f"{name}:{self.rank}{f' behind {self.skip}' * bool(self.skip)} asks for more directions than a "
                f"{'centred ' * self.center}window of {self.window} has: choose a larger window or fewer directions"
            )
        if self.center and (self.window < 2 or name not in _WINDOWED):
            raise ValueError("only windows of at least 2 vectors are centred")
        if self.skip and name not in ("edge", "gradient", "run"):
            raise ValueError("skip belongs to edge, gradient and run")
        if self.fresh and name not in _DRAWN:
            raise ValueError(f"fresh belongs to what is drawn: {', '.join(_DRAWN)}")
        if self.every > 1 and name not in _OWN_UPDATES:
            raise ValueError(f"every belongs to windows of updates: {', '.join(_OWN_UPDATES)}")
        if (self.action == "scale") != (self.by is not None):
            raise ValueError("scale needs by=NUMBER, and nothing else has it")
        if self.stop is not None and self.stop <= self.start:
            raise ValueError(f"until must come after from, got {self.start} and {self.stop}")
        if (name in ("file", "run")) != bool(self.source) or bool(self.source) != bool(self.digest):
            raise ValueError("a source with its digest belongs to file and run, and to nothing else")
        if self.step and name != "run":
            raise ValueError("step belongs to run")
        return self

    @classmethod
    def of(cls, text: str, *, params: Iterable[str] = ()) -> Self:
        """Read an intervention as a person writes it: ACTION:SUBSPACE, and settings behind commas.

            remove:edge:3
            keep:gradient:3,norm=restored,from=1000,until=5000
            scale:random:3,by=0.5,on=gradient,fresh=yes
            remove:run:runs/add@2600:3,window=20

        Args:
            text: The text.
            params: Patterns of the parameters where the text has none.

        Returns:
            The intervention.

        Raises:
            InputError: if it cannot be read or means nothing, or its file or run cannot be used.
        """
        head, *settings = text.split(",")
        action, _, rest = head.partition(":")
        subspace, _, which = rest.partition(":")
        if subspace not in SUBSPACES:
            known = "; ".join(SUBSPACES.values())
            raise InputError(f"expected ACTION:SUBSPACE such as remove:edge:3, got {text!r}: subspaces are {known}")
        values: dict[str, Any] = {"action": action, "subspace": subspace, "params": tuple(params)}
        found = []
        for setting in settings:
            name, _, value = setting.partition("=")
            if name not in SETTINGS or not value:
                raise InputError(f"expected NAME=VALUE with one of {', '.join(SETTINGS)}, got {setting!r} in {text!r}")
            if _FIELDS.get(name, name) in values and name != "params":
                raise InputError(f"{name} is said twice in {text!r}: say it once")
            if name == "params":
                found.append(value)
            else:
                values[_FIELDS.get(name, name)] = value
        if found:
            values["params"] = tuple(found)
        if subspace == "file":
            values |= {"source": which, "digest": file_digest_of(Path(which))}
        elif subspace == "run":
            folder, _, place = which.rpartition("@")
            step, _, rank = place.partition(":")
            if not (folder and step and rank):
                raise InputError(f"expected ACTION:run:FOLDER@STEP:K, such as remove:run:runs/add@2600:3, got {text!r}")
            values |= {"source": folder, "step": step, "rank": rank, "digest": "0" * 64}
        elif which:
            values["rank"] = which
        try:
            made = cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            reason = first["msg"].removeprefix("Value error, ")
            raise InputError(f"{text!r}: {where + ': ' if where else ''}{reason}") from error
        if made.subspace != "run":
            return made
        return made.model_copy(update={"digest": window_digest(Path(made.source), made.step, made.window)})

    def __str__(self) -> str:
        """Write it as `of` reads it, but for what is as usual."""
        which = {"file": self.source, "run": f"{self.source}@{self.step}:{self.rank}"}.get(
            self.subspace, str(self.rank or "")
        )
        names = {field: name for name, field in _FIELDS.items()}
        on = "gradient" if self.subspace == "gradient" else "update"
        usual = type(self).model_construct(action=self.action, subspace=self.subspace, on=on)
        parts = [f"{self.action}:{self.subspace}{':' * bool(which)}{which}"]
        for field in ("on", "by", "norm", "start", "stop", "window", "every", "center", "skip", "fresh", "seed"):
            value = getattr(self, field)
            if value != getattr(usual, field):
                parts.append(f"{names.get(field, field)}={'yes' if value is True else value}")
        return ",".join([*parts, *(f"params={pattern}" for pattern in self.params)])

    @property
    def factors(self) -> tuple[float, float]:
        """What it multiplies the vector by inside the subspace, and outside."""
        return {"keep": (1.0, 0.0), "remove": (0.0, 1.0), "scale": (self.by or 0.0, 1.0)}[self.action]

    @property
    def follows_updates(self) -> bool:
        """Whether its subspace is of a window of updates."""
        return self.subspace in _OWN_UPDATES

    def active(self, step: int) -> bool:
        """Tell whether it changes the step that leads to θ_step."""
        return self.start < step and (self.stop is None or step <= self.stop)
