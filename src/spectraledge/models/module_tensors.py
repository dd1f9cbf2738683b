"""The tensors of anybody's module: names without wrappers, which of them are one, and other values for a while."""

import copy
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from spectraledge.errors import InputError

_WRAPPERS = {"_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"}
"""Parts that torch.compile, activation checkpointing and FSDP1 put into names."""

_WRAPPED = ("_orig_mod", "_original_module")
"""Where torch.compile and Lightning's Fabric keep the module that they wrap."""

_SHOWN = 6
"""Names in an error message."""

_placing = threading.RLock()
"""Held while a module has other values: two threads that place the same one would put back each other's."""


@dataclass(frozen=True)
class ModuleTensors:
    """Parameters and buffers of a module, each once.

    Attributes:
        module: The module without what torch.compile, DataParallel, DistributedDataParallel and Fabric wrap around it.
        tensors: Parameters and buffers by plain name: the first of the names that tied ones have, without wrappers.
        own: The name that the module itself has for each.
        aliases: The plain name behind every name without wrappers, that of tied ones included.
        parameters: Which of them are parameters.
    """

    module: nn.Module
    tensors: Mapping[str, Tensor]
    own: Mapping[str, str]
    aliases: Mapping[str, str]
    parameters: frozenset[str]

    @classmethod
    def of(cls, module: nn.Module) -> "ModuleTensors":
        """List the tensors of a module.

        Args:
            module: The module, in evaluation mode.

        Returns:
            Its tensors.

        Raises:
            InputError: if it is no module, a part is in training mode, or a tensor is of a kind that has no derivative.
        """
        if not isinstance(module, nn.Module):
            raise InputError(f"expected a torch.nn.Module, got {type(module).__name__}")
        module = unwrapped(module)
        _check(module)
        tensors: dict[str, Tensor] = {}
        own: dict[str, str] = {}
        aliases: dict[str, str] = {}
        first: dict[int, str] = {}
        named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
        for name, tensor in named:
            known = first.setdefault(id(tensor), plain_name(name))
            aliases[plain_name(name)] = known
            if known not in tensors:
                tensors[known], own[known] = tensor, name
        parameters = frozenset(first[id(parameter)] for parameter in module.parameters())
        return cls(module, tensors, own, aliases, parameters)

    @property
    def device(self) -> torch.device:
        """Where the module lies: the device of its first tensor."""
        return next((tensor.device for tensor in self.tensors.values()), torch.device("cpu"))

    def plain(self, name: str) -> str:
        """Return a name, or a pattern of names, without the parts that wrappers put into it."""
        plain = plain_name(name)
        own = any(alias.startswith("module.") for alias in self.aliases)
        return plain if own else plain.removeprefix("module.")

    def in_memory(self, given: set[str]) -> "ModuleTensors":
        """Return the same of a copy where tensors hold no values to replace: on the meta device, or in inference mode.

        Args:
            given: Names of those for which there are values.

        Returns:
            Tensors that `placed` can take.

        Raises:
            InputError: if a tensor without values is given none.
        """
        if not any(tensor.is_meta or tensor.is_inference() for tensor in self.tensors.values()):
            return self
        empty = {name for name, tensor in self.tensors.items() if tensor.is_meta}
        if empty - given:
            raise InputError(
                f"{listed(sorted(empty - given))} of the module on the meta device: snapshots have no values for them; "
                "give the module with its buffers, or full snapshots"
            )
        with torch.inference_mode(False):
            module = copy.deepcopy(self.module)
            return ModuleTensors.of(module.to_empty(device="cpu") if empty else module)

    @contextmanager
    def placed(self, values: Mapping[str, Tensor], dtype: torch.dtype) -> Iterator[None]:
        """Give the module's tensors other values and another precision inside a `with` block.

        Parameters stay the same objects, so that whatever holds them sees the values. Afterwards every tensor and
        every attribute of every part is as it was, whatever was done or raised inside. One thread at a time; others
        must not use the module meanwhile.

        Args:
            values: By plain name; the others keep theirs.
            dtype: Precision of all floating-point tensors inside; complex ones have the matching one.

        Yields:
            Nothing.
        """
        with _placing, attributes_kept(self.module):
            data = [(tensor, tensor.data) for tensor in self.tensors.values()]
            try:
                for name, tensor in self.tensors.items():
                    value = values.get(name, tensor.data).detach()
                    tensor.data = in_precision(value, dtype, tensor.device).clone()
                yield
            finally:
                for tensor, value in data:
                    tensor.data = value


@contextmanager
def attributes_kept(module: nn.Module) -> Iterator[None]:
    """Put every attribute of every part of a module back after a `with` block, whatever was done or raised inside."""
    attributes = [(held, dict(held)) for part in module.modules() for held in _holders(part)]
    try:
        yield
    finally:
        for held, before in attributes:
            if len(held) != len(before) or any(held.get(name) is not value for name, value in before.items()):
                held.clear()
                held.update(before)


@contextmanager
def substituted(module: nn.Module, values: Mapping[str, Tensor]) -> Iterator[None]:
    """Put other tensors in the place of parameters and buffers inside a `with` block, tied ones in all their uses.

    In place of `torch.func.functional_call`, which leaves the other tensors behind in a part that is registered twice.

    Yields:
        Nothing.

    Raises:
        InputError: if the module has no such tensor, or is TorchScript, which takes no others.
    """
    parts = list(module.modules())
    if any(isinstance(part, torch.jit.ScriptModule) for part in parts):
        raise InputError("a TorchScript module takes no other parameters: give the module it was made from")
    named = [*module.named_parameters(remove_duplicate=False), *module.named_buffers(remove_duplicate=False)]
    known = dict(named)
    if missing := [name for name in values if name not in known]:
        raise InputError(f"the module has no {listed(missing)}: it has {listed(list(known))}")
    others = {id(known[name]): value for name, value in values.items()}
    places = [
        (held, key, tensor)
        for part in parts
        for held in (part._parameters, part._buffers)
        for key, tensor in held.items()
        if id(tensor) in others
    ]
    try:
        for held, key, tensor in places:
            held[key] = others[id(tensor)]  # type: ignore[assignment]
        yield
    finally:
        for held, key, tensor in places:
            held[key] = tensor  # type: ignore[assignment]


def unwrapped(module: nn.Module) -> nn.Module:
    """Return a module without torch.compile, DistributedDataParallel, DataParallel and Fabric around it."""
    while True:
        wrapped = [part for name in _WRAPPED if isinstance(part := getattr(module, name, None), nn.Module)]
        if isinstance(module, nn.parallel.DistributedDataParallel | nn.DataParallel):
            module = module.module
        elif wrapped:
            module = wrapped[0]
        else:
            return module


def plain_name(name: str) -> str:
    """Return a name without the parts that torch.compile, activation checkpointing and FSDP1 put into it."""
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def in_precision(value: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Move a tensor to a device; floating-point and complex ones to a precision."""
    if value.is_floating_point():
        return value.to(device, dtype)
    return value.to(device, dtype.to_complex() if value.is_complex() else value.dtype)


def normal_table(rows: int, width: int, *, over: float = 1.0) -> Tensor:
    """Return a table (rows, width) of normal numbers over `over`; on the device "meta" only its shape.

    There is nothing to draw there, and PyTorch loads its compiler for it, which takes longer than most networks do.
    """
    table = torch.empty(rows, width)
    return table if table.is_meta else table.normal_().div_(over)


def normal_embedding(tokens: int, width: int) -> nn.Embedding:
    """Make an embedding with the weights of a `normal_table`, which are those that `nn.Embedding` draws."""
    return nn.Embedding(tokens, width, _weight=normal_table(tokens, width))


def _holders(part: nn.Module) -> Iterator[dict[str, object]]:
    """Return the dictionaries in which a part of a module keeps its attributes."""
    for held in (vars(part), *(vars(part).get(name) for name in ("_parameters", "_buffers", "_modules"))):
        if isinstance(held, dict):
            yield held


def _check(module: nn.Module) -> None:
    """Refuse modules whose responses would be random or have no meaning, by name."""
    quantised = [name or "the module itself" for name, part in module.named_modules() if _is_quantised(part)]
    if quantised:
        raise InputError(f"{listed(quantised)}: quantised weights move in jumps and have no derivative")
    training = [name or "the module itself" for name, part in module.named_modules() if part.training]
    if training:
        raise InputError(f"{listed(training)} in training mode, where answers may be random: call module.eval() first")
    for name, parameter in module.named_parameters():
        if is_lazy(parameter):
            raise InputError(f"parameter {name!r} has no shape yet: call the module once on its inputs first")
        if type(parameter).__name__ == "FlatParameter" or is_traceable_wrapper_subclass(parameter):
            raise InputError(
                f"parameter {name!r} is a {type(parameter).__name__}, sharded or packed: give a module with plain "
                "tensors"
            )
        if parameter.is_quantized or not (parameter.is_floating_point() or parameter.is_complex()):
            raise InputError(
                f"parameter {name!r} is {parameter.dtype}: quantised weights move in jumps and have no derivative"
            )


def _is_quantised(part: nn.Module) -> bool:
    return ".quantized" in type(part).__module__


def listed(names: Sequence[str]) -> str:
    """Name the first few of many, and how many more there are."""
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")
