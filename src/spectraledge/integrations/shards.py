"""Parameters that are spread over processes: the part that lies here, and who counts what several processes hold."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

_Place = tuple[str, tuple[int, ...], tuple[int, ...]]
"""Name, shape and offset of a shard within its parameter."""


def local_part(parameter: Tensor) -> Tensor:
    """Return the part of a parameter that lies in this process, as a view without gradient."""
    tensor = parameter.detach()
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


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
    def agree(cls, watched: Mapping[str, Tensor], everything: Iterable[Tensor]) -> "Shards":
        """Agree with all other processes, each of which must call this too; without distributed parameters with none.

        Args:
            watched: The watched parameters by a name that is the same in all processes; distributed ones (DTensor:
                FSDP2, tensor parallelism) or whole ones, which are taken to be the same everywhere.
            everything: All parameters of the model. If none is distributed, all watched ones are counted here.

        Returns:
            The agreement.

        Cost: one exchange of names and places.
        """
        devices = [parameter.device_mesh.device_type for parameter in everything if isinstance(parameter, DTensor)]
        if not devices:
            return cls(frozenset(watched), None, 0)
        places = {name: _place(name, parameter) for name, parameter in watched.items()}
        everyone: list[dict[str, _Place]] = [{} for _ in range(dist.get_world_size())]
        dist.all_gather_object(everyone, places)
        earlier = {place for others in everyone[: dist.get_rank()] for place in others.values()}
        counted = frozenset(name for name, place in places.items() if place not in earlier)
        return cls(counted, torch.device(devices[0]), dist.get_rank())

    def total(self, values: Tensor) -> Tensor:
        """Return the sum of a CPU tensor over the processes: one all-reduce, or nothing for one process."""
        if self.device is None:
            return values
        summed = values.to(self.device, copy=True)
        dist.all_reduce(summed)
        return summed.cpu()


def _place(name: str, parameter: Tensor) -> _Place:
    if not isinstance(parameter, DTensor):
        return name, tuple(parameter.shape), (0,) * parameter.dim()
    shape, offset = compute_local_shape_and_global_offset(parameter.shape, parameter.device_mesh, parameter.placements)
    return name, tuple(shape), tuple(offset)
