"""A network that a user brings: a Python function that builds a module."""

import copy
import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from spectraledge.errors import InputError
from spectraledge.files import load_function
from spectraledge.models.modules import ModuleArchitecture, seeded
from spectraledge.streams import seeded_torch, torch_generator

_TRIED = 8
"""Pairs on which a network is tried."""

_SMALL = 1e-5
"""Step of the central differences that confirm derivatives."""


class ModelTask(NamedTuple):
    """What a network must fit.

    Attributes:
        modulus: Residues: a pair's tokens, and every answer's classes, are 0..modulus − 1.
        answers: Answers per pair; more than one for a joint task.
    """

    modulus: int
    answers: int


class ModuleConfig(BaseModel):
    """A function that builds a network, in a Python file.

    Attributes:
        tokens: Vocabulary size and number of classes (the modulus).
        answers: Answers per input, each over `tokens` classes.
        path: The file. It is where the function was found, and no part of what a run is: the digest is.
        function: Its name. It takes a `ModelTask`, and the options by name, and returns the module: int64 pairs (N, 2)
            to logits (N, answers · tokens), answer by answer.
        digest: Hex SHA-256 of the file; what the file imports is not in it.
        options: Sizes that were chosen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["module"] = "module"
    tokens: int = Field(gt=1)
    answers: int = Field(default=1, gt=0)
    path: str
    function: str
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    options: dict[str, int | str] = {}

    @property
    def label(self) -> str:
        """Name of the function, also in run ids."""
        return self.function

    @property
    def work(self) -> int:
        """Multiplications for an input; 0, as nobody knows."""
        return 0


def _source(config: ModuleConfig) -> str:
    """Return the function as a person types it."""
    return f"{Path(config.path).name}:{config.function}"


def file_digest(path: Path) -> str:
    """Return the hex SHA-256 of a file with a function."""
    if not path.is_file():
        raise InputError(f"no Python file at {path}: give module.py:function")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def user_architecture(config: ModuleConfig) -> ModuleArchitecture:
    """Return the architecture of a user's function, its network tried on a few pairs.

    Raises:
        InputError: if the file has changed, the function fails, or its network cannot be trained and analysed rightly.
    """
    path = Path(config.path)
    if file_digest(path) != config.digest:
        raise InputError(
            f"{path} has changed since the run was configured: put back the file with SHA-256 "
            f"{config.digest[:12]}…, or train a new run"
        )
    make = partial(load_function(path, config.function), ModelTask(config.tokens, config.answers), **config.options)
    build = partial(_build, _source(config), make)
    network = seeded(build, 0)
    with seeded_torch(0):
        _check_weights(_source(config), build, network)
        first_N = torch.arange(_TRIED, device="cpu") % config.tokens
        pairs_N2 = torch.stack([first_N, (3 * first_N + 1) % config.tokens], 1)
        head = _check_answers(config, network, pairs_N2)
        found = ModuleArchitecture(_source(config), build, network, config.tokens, config.answers, head)
        _check_derivatives(found, pairs_N2)
        return replace(found, stackable=_is_stackable(found, pairs_N2))


def _build(label: str, make: Callable[[], object]) -> nn.Module:
    try:
        network = make()
    except Exception as error:
        raise InputError(f"{label} failed: {type(error).__name__}: {error}") from error
    if not isinstance(network, nn.Module):
        raise InputError(f"{label} must return a torch.nn.Module, got {type(network).__name__}")
    return network


def _check_weights(label: str, build: Callable[[], nn.Module], network: nn.Module) -> None:
    parameters = dict(network.named_parameters())
    if not parameters:
        raise InputError(f"{label} has no parameters: there is nothing to train")
    for name, value in parameters.items():
        if is_lazy(value):
            raise InputError(
                f"{name!r} of {label} has no size before the first pairs: give its layer sizes, not nn.Lazy..."
            )
        if value.dtype != torch.float32 or not value.requires_grad:
            raise InputError(
                f"parameters are trained, all in single precision, got {name!r} of {label} in {value.dtype}"
                f"{'' if value.requires_grad else ', frozen'}: make constants buffers, and the rest float32"
            )
    again = dict(seeded(build, 0).named_parameters())
    for name, drawn in parameters.items():
        if name not in again or not drawn.equal(again[name]):
            raise InputError(f"{label} draws {name!r} from another stream than PyTorch's, so that no seed repeats it")
    other = dict(seeded(build, 1).named_buffers())
    for name, constant in network.named_buffers():
        if not constant.equal(other[name]):
            raise InputError(f"buffer {name!r} of {label} is random, and no snapshot holds it: make it a parameter")


@torch.no_grad()
def _check_answers(config: ModuleConfig, network: nn.Module, pairs_N2: Tensor) -> str:
    """Check that every pair has an answer of its own; return the name of the linear layer that gives it, if any."""
    label, shape = _source(config), (len(pairs_N2), config.answers * config.tokens)
    buffers = {name: value.clone() for name, value in network.named_buffers()}
    (head, logits), (_, again), (_, evaluated) = (
        _answered(label, part, pairs_N2) for part in (network, network, copy.deepcopy(network).eval())
    )
    if logits.shape != shape:
        raise InputError(f"{label} must give logits of shape {shape} for {shape[0]} pairs, got {tuple(logits.shape)}")
    same = logits.equal(again) and torch.allclose(logits, evaluated, rtol=1e-4, atol=1e-5)
    if not same or not all(value.equal(buffers[name]) for name, value in network.named_buffers()):
        raise InputError(
            f"{label} answers differently in training, or at random (dropout, batch normalisation): leave that out, as "
            "responses are of the network that is trained"
        )
    double = copy.deepcopy(network).double()
    try:
        whole, part = (_answered(label, double, pairs)[1] for pairs in (pairs_N2, pairs_N2[:3]))
    except InputError as error:
        raise InputError(f"{error}, in double precision: make tensors of the weights' type, not float32") from error
    if whole.dtype != torch.float64 or not torch.allclose(whole[:3], part, rtol=1e-8, atol=1e-10):
        raise InputError(
            f"{label} must answer every pair for itself, in the precision of its weights: its answers depend on the "
            "batch, or stay in single precision when the weights are double"
        )
    return head


def _answered(label: str, network: nn.Module, pairs_N2: Tensor) -> tuple[str, Tensor]:
    """Return the name of the linear layer whose output the logits are, "" if there is none, and the logits."""
    seen: list[tuple[str, tuple[Tensor, ...], Tensor]] = []
    hooks = [
        module.register_forward_hook(lambda _, given, out, name=name: seen.append((name, given, out)))
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        logits = network(pairs_N2)
    except Exception as error:
        raise InputError(f"{label} failed on pairs (N, 2): {type(error).__name__}: {error}") from error
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(logits, Tensor):
        raise InputError(f"{label} must return a network that gives a tensor of logits, got {type(logits).__name__}")
    name, given, out = seen[-1] if seen else ("", (), logits)
    is_head = bool(name) and given[0].dim() == 2 and out.data_ptr() == logits.data_ptr() and out.shape == logits.shape
    return name if is_head else "", logits


def _check_derivatives(architecture: ModuleArchitecture, pairs_N2: Tensor) -> None:
    """Refuse what has no derivative, or another one than its values have, as where a part is detached."""
    generator = torch_generator(0, "derivatives")
    drawn = architecture.draw(0, published=False)
    near, along = (
        {name: torch.empty_like(v, dtype=torch.float64).normal_(generator=generator) for name, v in drawn.items()}
        for _ in range(2)
    )
    # Beside the initial weights, which may lie where a slope jumps.
    weights = {name: value + 0.1 * near[name] for name, value in drawn.items()}
    read = architecture.read(architecture.readouts[0])
    try:
        found = torch.func.jvp(lambda moved: read(moved, pairs_N2), (weights,), (along,))[1]
        gradient = torch.func.grad(lambda moved: read(moved, pairs_N2).square().sum())(weights)
    except Exception as error:
        raise InputError(f"{architecture.label} has no derivative: {type(error).__name__}: {error}") from error
    if sparse := [name for name, value in gradient.items() if value.layout != torch.strided]:
        raise InputError(f"the gradient of {sparse[0]!r} of {architecture.label} is sparse: leave out sparse=True")
    ahead, behind = (
        read({name: value + size * along[name] for name, value in weights.items()}, pairs_N2)
        for size in (_SMALL, -_SMALL)
    )
    slope = torch.stack([(gradient[name] * along[name]).sum() for name in gradient]).sum()
    squares = ahead.square().sum() - behind.square().sum()
    pairs = ((found, (ahead - behind) / (2 * _SMALL)), (slope, squares / (2 * _SMALL)))
    for derivative, difference in pairs:
        if not torch.allclose(derivative, difference, rtol=1e-3, atol=1e-4 * float(difference.abs().max())):
            raise InputError(
                f"{architecture.label} has another derivative than its answers have (detached parts, custom backward): "
                "responses would be of another network"
            )


def _is_stackable(architecture: ModuleArchitecture, pairs_N2: Tensor) -> bool:
    """Tell whether gradients of two stacked networks can be taken at once; refuse where not even one can be."""
    weights = architecture.draw(0, published=False)
    inputs = architecture.encode(pairs_N2[None])
    labels = torch.zeros(1, len(pairs_N2), architecture.answers, dtype=torch.int64, device="cpu")
    try:
        architecture.loss_and_gradient({name: value[None] for name, value in weights.items()}, inputs, labels)
    except Exception as error:
        raise InputError(
            f"{architecture.label} cannot be differentiated by torch.func: {type(error).__name__}: {error}"
        ) from error
    twice = {name: torch.stack([value, value]) for name, value in weights.items()}
    try:
        architecture.loss_and_gradient(twice, inputs.expand(2, -1, -1), labels.expand(2, -1, -1))
    except RuntimeError:
        return False
    return True
