"""What each of the processes of the sharded tests does; they import it by name."""

import os
import sys
import warnings

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.fsdp.wrap import ModuleWrapPolicy
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from tracking_support import Network, Training

from spectraledge.errors import InputError
from spectraledge.spectrum import Sketch

STEPS = 24
SKETCH = Sketch(64)


def whole(training):
    """Train in one process."""


def replicated(training):
    training.model = torch.nn.parallel.DistributedDataParallel(training.model)


def sharded(training):
    fully_shard(training.model, mesh=init_device_mesh("cpu", (2,)))


def replicas_of_shards(training):
    fully_shard(training.model, mesh=init_device_mesh("cpu", (2, 1), mesh_dim_names=("replica", "shard")))


def tensor_parallel(training):
    """The first layer and the second's weight are cut, the second's bias is replicated, the scale is no DTensor."""
    mesh = init_device_mesh("cpu", (2,))
    parallelize_module(training.model, mesh, {"attn": ColwiseParallel(), "mlp": RowwiseParallel()})


def flat_shards(training):
    """Half of the numbers of all parameters in each process, wherever that cuts them."""
    policy = ModuleWrapPolicy({torch.nn.Linear})
    training.model = FullyShardedDataParallel(
        training.model, use_orig_params=True, auto_wrap_policy=policy, device_id=torch.device("cpu")
    )


PARALLEL = {
    "replicated": replicated,
    "sharded": sharded,
    "replicas of shards": replicas_of_shards,
    "tensor parallel": tensor_parallel,
    "flat shards": flat_shards,
}


class Scaled(Network):
    """A network with one more parameter, which belongs to no layer."""

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(3))

    def forward(self, inputs):
        return super().forward(inputs) * self.scale


def start(wrap):
    training = Training(network=Scaled)
    wrap(training)
    training.optimizer = torch.optim.AdamW(training.model.parameters(), lr=0.01, foreach=False)
    return training


def follow(wrap, **settings):
    """Train and track all parameters."""
    training = start(wrap)
    with training.tracker(params="*", **settings) as tracker:
        training.steps(STEPS)
    return tracker


def work(rank, store, folder):
    """Follow every kind of training, and write what each gave."""
    torch.set_num_threads(1)
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    summed = []
    original = dist.all_reduce

    def all_reduce(values, *arguments, **named):
        summed.append(values.numel())
        return original(values, *arguments, **named)

    dist.all_reduce = all_reduce
    for name, wrap in PARALLEL.items():
        summed.clear()
        tracker = follow(wrap)
        tracker.save(folder / name / str(rank))
        (folder / name / str(rank) / "sums").write_text(" ".join(map(str, summed)))
        (folder / name / str(rank) / "bytes").write_text(str(tracker.overhead.memory_bytes))
    follow(sharded, sketch=SKETCH).save(folder / "sketched" / str(rank))
    stopped_and_resumed(folder / "resumed" / str(rank))
    moved_by_hand(folder / "moved" / str(rank))
    refused(folder / f"refused {rank}")
    dist.barrier()
    dist.destroy_process_group()


def stopped_and_resumed(folder):
    training = start(sharded)
    first, second = (training.tracker(params="*") for _ in range(2))
    with first:
        training.steps(STEPS - 7)
    second.load_state_dict(first.state_dict())
    with second:
        training.steps(7)
    second.save(folder)
    states = [None, None]
    dist.all_gather_object(states, second.state_dict())
    try:
        start(sharded).tracker(params="*").load_state_dict(states[1 - dist.get_rank()])
    except InputError as error:
        (folder / "refused").write_text(str(error))


def moved_by_hand(folder):
    """Halve the weights on the way; the sample of the second process alone may tell."""
    training = start(sharded)
    with warnings.catch_warnings(record=True) as told, training.tracker(params="*", every=1) as tracker:
        warnings.simplefilter("always")
        training.steps(4)
        if dist.get_rank() == 1:
            with torch.no_grad():
                training.model.mlp.weight.to_local().mul_(0.5)
        training.steps(8)
    tracker.save(folder)
    (folder / "told").write_text("\n".join(str(warning.message) for warning in told))


def refused(path):
    try:
        start(sharded).tracker(params="*", surrogates=19)
    except InputError as error:
        path.write_text(str(error))
    inner = Training(network=Scaled)
    whole = inner.model
    flat_shards(inner)
    inner.optimizer, inner.model = torch.optim.SGD(inner.model.parameters(), lr=0.1), whole
    try:
        inner.tracker(params="*")
    except InputError as error:
        path.with_name(f"{path.name} inner").write_text(str(error))
