"""Parameters that are spread over processes: the part that lies here, and who counts what several processes hold."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.distributed.fsdp._flat_param import FlatParamHandle
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

from spectraledge.errors import InputError

_Place = tuple[str, tuple[int, ...], tuple[int, ...]]
"""Name, shape and offset of a shard within its parameter."""


def local_part(parameter: Tensor) -> Tensor:
    """Return the part of a parameter that lies in this process, as a view without gradient; complex ones as pairs."""
    tensor = parameter.detach()
    tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def whole_sizes(model: nn.Module) -> dict[int, int]:
    """Return how many numbers there are in the parameters that FSDP1 has flattened, over all processes, by identity."""
    sizes: dict[int, int] = {}
    for handle in _handles(model):
        flat = handle.flat_param
        sizes[id(flat)] = sum(flat._numels)
        sizes |= {id(part): size for part, size in zip(flat._params or [], flat._numels, strict=False)}
    return sizes


@dataclass(frozen=True)
class Shards:
    """An agreement of processes on which of them counts which shard.

    Inner products of whole updates are sums over shards, so each process multiplies what it counts and one sum over the
    processes gives the whole. A shard that several processes hold is counted by the lowest of them.

    Attributes:
        counted: Names of the parameters whose local part is counted here.
        device: Where sums over processes are taken; None if there is but this process.
        process: Number of this process; 0 if there is but this one.
    """

    counted: frozenset[str]
    device: torch.device | None
    process: int

    @classmethod
    def agree(cls, watched: Mapping[str, Tensor], model: nn.Module) -> "Shards":
        """Agree with all other processes, each of which must call this too; without distributed parameters with none.

        Args:
            watched: The watched parameters by a name that is the same in all processes; distributed ones (DTensor:
                FSDP2, tensor parallelism; flat ones of FSDP1 or views of them) or whole ones, which are taken to be the
                same everywhere.
            model: The model. If none of its parameters is distributed, all watched ones are counted here.

        Returns:
            The agreement.

        Raises:
            InputError: if FSDP1 has flattened a parameter, but its wrapper is not part of the model.

        Cost: one exchange of names and places.
        """
        handles = _handles(model)
        flat = {id(parameter) for handle in handles for parameter in _flattened(handle)}
        astray = [name for name, part in watched.items() if hasattr(part, "_fsdp_flattened") and id(part) not in flat]
        if astray:
            raise InputError(
                f"{', '.join(astray)} may be one process's shard: give the tracker the FullyShardedDataParallel module"
            )
        cut = [handle for handle in handles if handle.uses_sharded_strategy]
        devices = [handle.device for handle in cut]
        devices += [
            torch.device(parameter.device_mesh.device_type)
            for parameter in model.parameters()
            if isinstance(parameter, DTensor)
        ]
        if not devices:
            return cls(frozenset(watched), None, 0)
        pieces = {id(parameter): handle.rank for handle in cut for parameter in _flattened(handle)}
        places = {name: _place(name, parameter, pieces.get(id(parameter))) for name, parameter in watched.items()}
        everyone: list[dict[str, _Place]] = [{} for _ in range(dist.get_world_size())]
        dist.all_gather_object(everyone, places)
        earlier = {place for others in everyone[: dist.get_rank()] for place in others.values()}
        counted = frozenset(name for name, place in places.items() if place not in earlier)
        return cls(counted, devices[0], dist.get_rank())

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of a CPU tensor over the processes: one all-reduce, or nothing for one process."""
        if self.device is None:
            return values
        summed = values.to(self.device, copy=True)
        dist.all_reduce(summed)
        return summed.cpu()


def _handles(model: nn.Module) -> list[FlatParamHandle]:
    modules = FullyShardedDataParallel.fsdp_modules(model)
    return [module._handle for module in modules if module._handle is not None]


def _flattened(handle: FlatParamHandle) -> list[Tensor]:
    """Return a flat parameter of FSDP1, and those that are in it."""
    return [handle.flat_param, *(handle.flat_param._params or [])]


def _place(name: str, parameter: Tensor, piece: int | None) -> _Place:
    if piece is not None:
        return name, (), (piece,)
    if not isinstance(parameter, DTensor):
        return name, tuple(parameter.shape), (0,) * parameter.dim()
    shape, offset = compute_local_shape_and_global_offset(parameter.shape, parameter.device_mesh, parameter.placements)
    return name, tuple(shape), tuple(offset)
