"""Many runs at once in JAX, the strongest peer: `vmap` over runs, `lax.scan` over steps, one compiled program.

By hand, in an environment with `pip install jax` beside this package: `python benchmarks/jax_peer.py` for 8 runs,
`--runs 64` for more, `--threads 2` for two cores each. Both train the same networks on the same batches: that is
checked before anything is timed. Prints a line for each form of the peer, and writes
benchmarks/results/<date>-jax-peer-<runs>-runs-<threads>-threads.json.
"""

import argparse
import functools
import math
import os
import statistics
import sys
import time
from datetime import UTC, datetime

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from measuring import RESULTS, cores, gemm_rate, in_turn, processor, row, seconds

from spectraledge import RunConfig, named_task
from spectraledge.files import write_json
from spectraledge.training import Member, Stack
from training import STEP_FLOP

try:
    import jax
    import jax.numpy as jnp
    from jax import lax
except ModuleNotFoundError:
    jax = None

STEPS, CHECKED = 10, 10
"""Steps that are timed at a time, and compared before."""

EPSILON, NORM_EPSILON = 1e-8, 1e-5
"""Of AdamW and of LayerNorm."""


def norm(x, weight, bias):
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred**2).mean(-1, keepdims=True) + NORM_EPSILON) * weight + bias


def logits(p, pairs, *, config, shared):
    """Answer pairs (n, 2) by one network; with `shared`, the first layer's rows once per token and position."""
    count, width, heads = len(pairs), config.width, config.heads
    table = p["token_embedding.weight"][:, None] + p["position_embedding"]
    places = jnp.arange(2)
    stream = table[pairs, places]
    for depth in range(config.depth):
        name = f"layers.{depth}"
        read = 1 if depth == config.depth - 1 else 2
        scale, shift = p[f"{name}.norm1.weight"], p[f"{name}.norm1.bias"]
        weight, bias = p[f"{name}.attention.qkv.weight"], p[f"{name}.attention.qkv.bias"]
        if depth == 0 and shared:
            qkv = (norm(table, scale, shift) @ weight.T + bias)[pairs, places]
            query, key, value = jnp.split(qkv, 3, -1)
            query = query[:, :read]
        else:
            normed = norm(stream, scale, shift)
            query = normed[:, :read] @ weight[:width].T + bias[:width]
            key, value = jnp.split(normed @ weight[width:].T + bias[width:], 2, -1)
        query, key, value = (part.reshape(count, -1, heads, width // heads) for part in (query, key, value))
        # Sums over two keys, not products of matrices of two rows.
        scores = (query[:, :, None] * key[:, None]).sum(-1) / math.sqrt(width // heads)
        mixed = (jax.nn.softmax(scores, 2)[..., None] * value[:, None]).sum(2).reshape(count, read, width)
        stream = stream[:, :read] + mixed @ p[f"{name}.attention.output.weight"].T + p[f"{name}.attention.output.bias"]
        normed = norm(stream, p[f"{name}.norm2.weight"], p[f"{name}.norm2.bias"])
        hidden = jax.nn.gelu(normed @ p[f"{name}.up.weight"].T + p[f"{name}.up.bias"], approximate=False)
        stream = stream + hidden @ p[f"{name}.down.weight"].T + p[f"{name}.down.bias"]
    return norm(stream[:, 0], p["norm.weight"], p["norm.bias"]) @ p["head.weight"].T + p["head.bias"]


def loss(p, pairs, labels, *, config, shared):
    said = jax.nn.log_softmax(logits(p, pairs, config=config, shared=shared))
    return -jnp.take_along_axis(said, labels[:, None], 1).mean()


def step(p, first, second, number, pairs, labels, *, run, shared):
    """One step of one run: gradient, clipping, AdamW with decoupled weight decay."""
    found, gradient = jax.value_and_grad(loss)(p, pairs, labels, config=run.model, shared=shared)
    length = jnp.sqrt(sum((g**2).sum() for g in gradient.values()))
    clip = jnp.minimum(run.clip_norm / (length + 1e-6), 1.0)
    (one, two), rate, shrink = run.betas, run.learning_rate, run.shrink
    gradient = {name: g * clip for name, g in gradient.items()}
    first = {name: one * first[name] + (1 - one) * g for name, g in gradient.items()}
    second = {name: two * second[name] + (1 - two) * g**2 for name, g in gradient.items()}
    size, root = rate / (1 - one**number), jnp.sqrt(1 - two**number)
    p = {name: shrink * w - size * first[name] / (jnp.sqrt(second[name]) / root + EPSILON) for name, w in p.items()}
    return p, first, second, found


def program(run, *, shared):
    """Return the compiled training of stacked runs: state and batches (steps, runs, n) to state and losses."""
    every = jax.vmap(functools.partial(step, run=run, shared=shared), in_axes=(0, 0, 0, None, 0, 0))

    @functools.partial(jax.jit, donate_argnums=0)
    def train(state, pairs, labels):
        def take(state, batch):
            p, first, second, number = state
            p, first, second, losses = every(p, first, second, number + 1, *batch)
            return (p, first, second, number + 1), losses

        return lax.scan(take, state, (pairs, labels))

    return train


class Peer:
    """The same runs as a stack's, from its weights as they are now and from streams of batches of its own."""

    def __init__(self, configs, stack, *, shared):
        self.task = named_task("add")
        self.members = [Member(config, self.task) for config in configs]
        weights = {name: jnp.asarray(w.numpy().copy()) for name, w in stack.layout.split(stack.flat.weights).items()}
        zeros = functools.partial(jax.tree.map, jnp.zeros_like)
        self.state = weights, zeros(weights), zeros(weights), jnp.float32(0)
        self.train = program(configs[0], shared=shared)

    def batches(self, steps):
        drawn = np.stack([m.split.train_T[[m.batches.draw() for _ in range(steps)]] for m in self.members], 1)
        return self.task.pairs_N2[drawn].astype(np.int32), self.task.labels_N[drawn].astype(np.int32)

    def advance(self, steps):
        self.state, losses = self.train(self.state, *self.batches(steps))
        return np.asarray(losses)


def gradients_apart(stack, run):
    """Largest difference of one step's gradients in float64, over the largest gradient, in both forms of the peer."""
    inputs_S2N, labels_SNO = stack._inputs_S2N[:1, :, :512], stack._labels_SNO[:1, :512]
    weights = {n: w[:1].double() for n, w in stack.layout.split(stack.flat.weights).items()}
    _, ours = stack.architecture.loss_and_gradient(weights, inputs_S2N, labels_SNO)
    largest, apart = max(float(g.abs().max()) for g in ours.values()), 0.0
    task = named_task("add")
    with jax.enable_x64(True):
        p = {name: jnp.asarray(w[0].numpy()) for name, w in weights.items()}
        for shared in (True, False):
            theirs = jax.grad(functools.partial(loss, config=run.model, shared=shared))(
                p, task.pairs_N2[:512], task.labels_N[:512]
            )
            apart = max(apart, *(float(np.abs(np.asarray(theirs[n]) - g[0].numpy()).max()) for n, g in ours.items()))
    return apart / largest


def clocked(runs, spent):
    """Take the steps that are timed, and note their processor time, which other work on the machine lengthens less."""
    began = time.process_time()
    runs.advance(STEPS)
    spent.append(time.process_time() - began)


def measure(runs, threads, pairs, rate):
    task = named_task("add")
    configs = [
        RunConfig.for_task(task, protocol="paper", seed=seed, steps=1_000_000, engine="compiled")
        for seed in range(runs)
    ]
    stack = Stack([Member(config, task) for config in configs])
    apart = gradients_apart(stack, configs[0])
    print(f"gradients of one step in float64 differ by {apart:.1e} of the largest", flush=True)
    if not apart < 1e-10:
        sys.exit("both do not train the same networks: nothing was timed")
    peers = {name: Peer(configs, stack, shared=name == "shared rows") for name in ("shared rows", "every row")}
    ours_first = seconds(lambda: stack.advance(CHECKED))
    losses_TS = np.array([member.recent_losses for member in stack.members]).T
    first, worst = {}, {}
    for name, peer in peers.items():
        kept = []
        first[name] = seconds(lambda peer=peer, kept=kept: kept.append(peer.advance(CHECKED)))
        worst[name] = float(np.abs(kept[0] / losses_TS - 1).max())
        print(f"losses of the first {CHECKED} steps, {name}: they differ by {worst[name]:.1e} of a loss", flush=True)
        if not worst[name] < 1e-5:
            sys.exit("both do not train the same networks: nothing was timed")
    limit, found = runs * STEPS * STEP_FLOP / (threads * rate), []
    for name, peer in peers.items():
        theirs, own = list[float](), list[float]()
        before, after, ratio = in_turn(
            lambda peer=peer, spent=theirs: clocked(peer, spent), lambda spent=own: clocked(stack, spent), pairs, 60.0
        )
        found.append(
            row(
                f"{STEPS} steps of {runs} runs, {threads} thread(s), against JAX ({name})",
                before,
                after,
                ratio,
                limit,
                "GEMM rate",
                processor_ratio=statistics.median(b / o for b, o in zip(theirs, own, strict=True)),
                baseline_share_of_limit=limit / before,
                baseline_first_seconds=first[name],
                first_seconds=ours_first,
                losses_apart=worst[name],
                gradients_apart=apart,
            )
        )
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=8, help="8 by default: under a minute of pairs; 64 take minutes")
    parser.add_argument("--threads", type=int, default=1, choices=(1, 2))
    parser.add_argument("--pairs", type=int, default=5)
    asked = parser.parse_args()
    if jax is None:
        print("JAX is not installed here, and nothing else needs it: pip install jax", file=sys.stderr)
        sys.exit(2)
    if cores() < asked.threads:
        print(f"{asked.threads} threads need as many cores, this process may use {cores()}", file=sys.stderr)
        sys.exit(2)
    environment = {"processor": processor(), "cores": cores(), "torch": torch.__version__, "jax": jax.__version__}
    # JAX looks at the cores that the process may use when it is first called.
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.threads])
    if asked.threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    torch.set_num_threads(1)
    rate = gemm_rate(torch.float32)
    torch.set_num_threads(asked.threads)
    found = measure(asked.runs, asked.threads, asked.pairs, rate)
    for r in found:
        print(
            f"{r['path']:<60} JAX {r['baseline_seconds']:7.3f} s ({r['baseline_share_of_limit']:.0%} of the limit)"
            f"   ours {r['seconds']:7.3f} s ({r['share_of_limit']:.0%})   {r['ratio']:.2f}×"
            f" (of processor time {r['processor_ratio']:.2f}×)"
            f"   compiling and {CHECKED} steps: {r['baseline_first_seconds']:.0f} s, {r['first_seconds']:.0f} s"
        )
    name = f"{datetime.now(UTC):%Y-%m-%d}-jax-peer-{asked.runs}-runs-{asked.threads}-threads.json"
    RESULTS.mkdir(exist_ok=True)
    write_json(RESULTS / name, {"environment": environment, "gemm_float32": rate, "rows": found})
    print(f"written: {RESULTS / name}")


if __name__ == "__main__":
    main()
