"""Responses of many directions over the whole domain, against perturbing the weights."""

from collections.abc import Iterator

import torch
from baselines import PlainLoop, perturbed_responses
from measuring import Row, gemm_rate, in_turn, row, synchronize

from spectraledge import RunConfig, Trainer, named_task
from spectraledge.models.tangents import residual_tangents
from spectraledge.trajectory import Layout

PERTURBED = 4
"""Directions of the baseline, which takes each alone; scaled to all."""

TANGENT_FLOP = 0.302e9
"""Multiply-adds times two of one direction over 512 inputs (97 residues), nothing computed twice; see README.md."""


def responses(dtype: torch.dtype, device: str = "cpu", repeats: int = 5) -> Row:
    task, count = named_task("add"), 20
    chosen = RunConfig.for_task(task, protocol="paper")
    trainer, plain = Trainer(chosen, task, device=device), PlainLoop(device=device)
    parameters = {name: value.to(dtype) for name, value in trainer.weights().items()}
    watched = {n: tuple(v.shape) for n, v in parameters.items() if ".attention." in n and n.endswith("weight")}
    layout = Layout(watched)
    directions = torch.nn.functional.normalize(torch.randn(count, layout.size, dtype=dtype, device=device), dim=1)
    pairs = torch.from_numpy(task.pairs_N2).to(device)
    model = plain.model.to(dtype)
    names = {n: p for n, p in model.named_parameters() if "self_attn" in n and n.endswith("weight")}
    theirs = [{n: torch.randn_like(p) for n, p in names.items()} for _ in range(PERTURBED)]

    def perturbed() -> None:
        perturbed_responses(model, theirs, pairs, 1e-4)
        synchronize(device)

    def exact() -> None:
        residual_tangents(chosen.model, parameters, layout.split(directions), pairs)
        synchronize(device)

    for warm_up in (perturbed, exact) if device == "cuda" else ():
        warm_up()
    before, after, ratio = in_turn(perturbed, exact, repeats, budget=20.0)
    limit = count * len(pairs) / 512 * TANGENT_FLOP / gemm_rate(dtype, device, 1 if device == "cpu" else 64)
    where = "" if device == "cpu" else ", on the GPU"
    name = f"responses: {count} directions × 9,409 inputs ({str(dtype).removeprefix('torch.')}{where})"
    scale, how = count / PERTURBED, f"central differences of {PERTURBED} directions, scaled"
    return row(name, before * scale, after, ratio * scale, limit, "GEMM rate", baseline=how)


def rows() -> Iterator[Row]:
    yield responses(torch.float64)
    yield responses(torch.float32)
