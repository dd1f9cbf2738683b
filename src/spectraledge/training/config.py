"""The whole configuration of a run, as data: what it says is all that its weights depend on."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    field_validator,
    model_serializer,
    model_validator,
)

from spectraledge.errors import InputError
from spectraledge.files import digest
from spectraledge.interventions.intervention import Intervention
from spectraledge.models import LossName, ModelConfig, TransformerConfig, architecture_of, model_config
from spectraledge.tasks import JointTask, Task
from spectraledge.training.step_rules import COUPLED, WITH_MOMENTUM, OptimizerName
from spectraledge.trajectory import Manifest

Engine = Literal["eager", "compiled"]
"""How steps are computed: by PyTorch's kernels one by one, or by one compiled program (see `RunConfig`)."""

_LONGEST = 128


class Fork(BaseModel):
    """Where a run parts from another one, whose whole state it takes over.

    Attributes:
        run: Hash of that run.
        step: The step of that run after which it goes on by itself.
        warm_up: 0, where that run kept its state there; else the steps over which the optimizer's memory is filled, at
            the weights of that step and for that run's own answers, before the first step is taken.
        batch_seed: Seed of the batches from there on; None for the batches that the run would have seen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: str = Field(pattern="^[0-9a-f]{64}$")
    step: int = Field(ge=0)
    warm_up: int = Field(default=0, ge=0)
    batch_seed: int | None = Field(default=None, ge=0, lt=2**32)


_LATER = ("optimizer", "momentum", "loss", "interventions", "fork")
"""Settings that earlier versions had not: left out where they are as usual, so that their runs keep their hashes."""

_Decay = Annotated[float, Field(ge=0, lt=1)]


class RunConfig(BaseModel):
    """Configuration of one training run. Defaults: Xu 2026, §2 and scripts, where it says nothing else.

    Attributes:
        task: Name of the task; of a joint one, the names of its parts (see `any_task`).
        task_digest: Digest of its table, so that a task of the same name and another table is another run.
        model: Kind and sizes of the network.
        protocol: Where random numbers come from: "paper" draws the author's streams, "default" named ones.
        seed: Root seed.
        train_fraction: Share of the pairs that trains.
        batch_size: Pairs per step, drawn with replacement; 0 for all training pairs at every step.
        optimizer: What makes steps of gradients; see `StepRule`.
        learning_rate: Of the optimizer.
        betas: Of AdamW and Adam, and of what Muon leaves to AdamW.
        momentum: Of SGD and Muon. Default PyTorch's of Muon.
        weight_decay: Of the optimizer, on every parameter: decoupled, but coupled (a part of the gradient) of Adam and
            SGD.
        clip_norm: The gradient's norm is clipped to this; 0 for no clipping.
        loss: What is minimised, and measured; see `answer_losses`.
        steps: Step budget.
        every: Steps between evaluations, and between snapshots.
        stop_accuracy: Test accuracy at which training may stop ...
        stop_patience: ... after this many evaluations in a row.
        required: Parts of a joint task whose test accuracy counts for that: the lowest of them. Default: all.
        start: Hash of the run whose trunk (all but the heads) it starts from, as that run ended; "" for none. That run
            lies in a folder beside.
        fork: The run that it forks, and where; None for a run of its own. Its steps are counted on from there.
        engine: "eager" starts at once; "compiled" builds the step with `torch.compile` first (20 to 60 seconds, kept on
            disk for later processes; needs a C++ compiler), and rounds differently, so that it is part of what a run
            is. Where transformers and perceptrons on pairs are computed in C, on a CPU, steps of both are the same.
        interventions: What is done to its steps, in this order. Default nothing.
        watched: Name patterns of the parameters whose updates are studied; see `Architecture.watched` for the default.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, revalidate_instances="always")

    task: str
    task_digest: str
    model: ModelConfig
    protocol: Literal["paper", "default"] = "default"
    seed: int = Field(default=42, ge=0, lt=2**32)
    train_fraction: float = Field(default=0.5, gt=0, lt=1)
    batch_size: int = Field(default=512, ge=0)
    optimizer: OptimizerName = "adamw"
    learning_rate: float = Field(default=1e-3, gt=0)
    betas: tuple[_Decay, _Decay] = (0.9, 0.98)
    momentum: _Decay = 0.95
    weight_decay: float = Field(default=1.0, ge=0)
    clip_norm: float = Field(default=1.0, ge=0)
    loss: LossName = "cross-entropy"
    steps: int = Field(default=20_000, gt=0)
    every: int = Field(default=100, gt=0)
    stop_accuracy: float = Field(default=0.98, ge=0)
    stop_patience: int = Field(default=3, gt=0)
    required: tuple[str, ...] = ()
    start: str = Field(default="", pattern="^([0-9a-f]{64})?$")
    fork: Fork | None = None
    engine: Engine = "eager"
    interventions: tuple[Intervention, ...] = ()
    watched: tuple[str, ...] = Field(min_length=1)

    @field_validator("task")
    @classmethod
    def _names_a_file(cls, task: str) -> str:
        # Folders are named after it, and it comes from files.
        elsewhere = Path(task).name != task or "\\" in task or task.startswith(".")
        if elsewhere or not task.isprintable() or len(task.encode()) > _LONGEST:
            raise ValueError(f"the name of a task begins file names: at most {_LONGEST} bytes, no slash, no dot first")
        return task

    @model_serializer(mode="wrap")
    def _as_data(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        usual = {name for name in _LATER if getattr(self, name) == type(self).model_fields[name].default}
        return {name: value for name, value in dump(self).items() if name not in usual}

    @model_validator(mode="after")
    def _whole_intervals(self) -> "RunConfig":
        if self.steps % self.every:
            raise ValueError(
                f"steps must be a multiple of every, got {self.steps} steps and a snapshot every {self.every}"
            )
        if self.fork and (self.start or self.fork.step % self.every or self.fork.step >= self.steps):
            raise ValueError(
                f"a fork starts from no other run, at a multiple of every ({self.every}) below its budget of "
                f"{self.steps} steps, got step {self.fork.step}"
            )
        return self

    @model_validator(mode="after")
    def _no_setting_is_idle(self) -> "RunConfig":
        if self.optimizer not in WITH_MOMENTUM and self.momentum != type(self).model_fields["momentum"].default:
            raise ValueError(
                f"momentum belongs to {' and '.join(WITH_MOMENTUM)}, got {self.momentum:g} of {self.optimizer}"
            )
        if self.fork and self.fork.batch_seed is not None and not self.batch_size:
            raise ValueError("where every step takes all training pairs, no order of batches changes anything")
        return self

    @model_validator(mode="after")
    def _reach_steps(self) -> "RunConfig":
        for one in self.interventions:
            if one.subspace == "given":
                raise ValueError("a run is of its configuration alone: write the vectors to a file, give file:PATH")
            if one.start >= self.steps or (one.stop or 0) > self.steps:
                raise ValueError(f"{one} lies beyond the budget of {self.steps} steps")
        return self

    @classmethod
    def for_task(cls, task: Task | JointTask, model: dict[str, Any] | None = None, **settings: Any) -> "RunConfig":
        """Make the configuration of a run on a task.

        Args:
            task: The task.
            model: The kind of network, "transformer" by default, and sizes that differ from its defaults; see
                `model_config`.
            **settings: Fields that differ from their defaults.

        Returns:
            The configuration.

        Raises:
            InputError: if a value is out of range or a field is unknown, or a user's network is refused.
        """
        if model and "tokens" in model:
            raise InputError(f"tokens is the task's modulus, {task.modulus}: leave it out of the model's sizes")
        if model and "answers" in model:
            raise InputError(f"answers are the task's parts, {len(task.parts)}: leave it out of the model's sizes")
        if model and model.get("length", 2) != 2:
            raise InputError(f"a task's inputs are pairs, so length is 2, got {model['length']}: leave it out")
        if unknown := set(settings.get("required", ())) - {part.name for part in task.parts}:
            raise InputError(f"required parts are parts of task {task.name!r}, got {', '.join(sorted(unknown))}")
        try:
            chosen = {"kind": "transformer", **(model or {})}
            sizes = model_config(**chosen, tokens=task.modulus, answers=len(task.parts))
            watched = {"watched": architecture_of(sizes).watched}
            return cls(task=task.name, task_digest=task.digest, model=sizes, **watched | settings)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            # Of settings that do not go together the message says which, and the input is all of them.
            found = f"{where}: {first['msg']}, got {first['input']!r}" if where else first["msg"]
            raise InputError(found.removeprefix("Value error, ")) from error

    @classmethod
    def of_run(cls, folder: Path) -> "RunConfig":
        """Read the configuration of a recorded run from its manifest.

        Args:
            folder: The run folder.

        Returns:
            The configuration.

        Raises:
            InputError: if the folder has no manifest, or one with settings that this version does not know.
        """
        try:
            return cls.model_validate(Manifest.read(folder).config)
        except ValidationError as error:
            first = error.errors()[0]
            raise InputError(
                f"{folder} was recorded with settings that this version does not know "
                f"({'.'.join(map(str, first['loc']))}: {first['msg']}): use the version named in its run.json"
            ) from error

    @property
    def hash(self) -> str:
        """Hex SHA-256 of the configuration."""
        # Where a user's file lies is no part of it: its content is.
        left_out: dict[str, Any] = {"model": {"path"}, "interventions": {"__all__": {"source"}}}
        return digest(self.model_dump(mode="json", exclude=left_out))

    @property
    def parent(self) -> str:
        """Hash of the run that it starts from or forks; "" for none."""
        return self.fork.run if self.fork else self.start

    @property
    def begins(self) -> int:
        """The step from which its own steps are counted: where it forks, or 0."""
        return self.fork.step if self.fork else 0

    @property
    def shrink(self) -> float:
        """What weight decay alone multiplies the weights by at every step: 1 where it is a part of the gradient."""
        return 1.0 if self.optimizer in COUPLED else 1 - self.learning_rate * self.weight_decay

    @property
    def run_id(self) -> str:
        """Folder name: readable, and unique to the configuration."""
        kind = "" if isinstance(self.model, TransformerConfig) else f"-{self.model.label}"
        return f"{self.task}{kind}-mod{self.model.tokens}-wd{self.weight_decay:g}-seed{self.seed}-{self.hash[:8]}"
