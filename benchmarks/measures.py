"""The function over training: its score, what it grows by, windows of gradients; against a careful person's way."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from baselines import PlainLoop, perturbed_responses
from measuring import LEAST_PAIRS, Row, gemm_rate, in_turn, row
from responses import TANGENT_FLOP

from spectraledge import RunConfig, named_task
from spectraledge.analyses.gradient_windows import gradient_windows
from spectraledge.analyses.score import growth_run, score_run
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.observed.network import Network
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.tasks import default_groupings, grouping
from spectraledge.training import train_in_folder
from training import STEP_FLOP

SNAPSHOTS, EVERY, STRIDE = 24, 10, 23
READ = 4
"""Snapshots of which the plain way is timed; it is scaled to all."""

DERIVATIVES = 9
"""Of each measured interval: six groups of parameters, the mean update, the optimizer's step and weight decay."""


def score(folder: Path, plain: PlainLoop, rate: float) -> Row:
    """A forward pass per snapshot; the plain way takes group means and their power for the same groupings."""
    task = RecordedRun.open(folder).task
    groups = [grouping(task, name) for name in default_groupings(task)]
    pairs = torch.from_numpy(task.pairs_N2)

    def by_hand() -> None:
        for _ in range(READ):
            with torch.no_grad():
                logits = plain.model(pairs).numpy()
            centred = logits - logits.mean(1, keepdims=True)
            for half in (slice(None), slice(0, len(pairs) // 2), slice(len(pairs) // 2, None)):
                for group in groups:
                    kept = group.groups_N[half] >= 0
                    sums = np.zeros((group.order, centred.shape[1]))
                    np.add.at(sums, group.groups_N[half][kept], centred[half][kept])
                    np.abs(np.fft.rfft(sums, axis=0)) ** 2

    before, after, ratio = in_turn(by_hand, lambda: score_run(folder, AnalysisConfig()), LEAST_PAIRS)
    limit, scale = SNAPSHOTS * STEP_FLOP / 3 * len(pairs) / 512 / rate, SNAPSHOTS / READ
    return row(
        f"score: {SNAPSHOTS} snapshots × {len(pairs):,} pairs",
        before * scale,
        after,
        ratio * scale,
        limit,
        "a forward pass each",
        baseline=f"group means of {READ} snapshots and their power, scaled",
    )


def growth(folder: Path, plain: PlainLoop, rate: float) -> Row:
    """Derivatives by hand against central differences, and one gradient; each of measured intervals."""
    task = RecordedRun.open(folder).task
    pairs, intervals = torch.from_numpy(task.pairs_N2), len(range(1, SNAPSHOTS)[::-1][::STRIDE])
    moves = [{name: torch.randn_like(p) for name, p in plain.model.named_parameters()} for _ in range(DERIVATIVES)]

    def by_hand() -> None:
        for _ in range(intervals):
            perturbed_responses(plain.model, moves, pairs, 1e-4)
            plain.model(pairs).square().sum().backward()

    before, after, ratio = in_turn(by_hand, lambda: growth_run(folder, AnalysisConfig(stride=STRIDE)), LEAST_PAIRS)
    limit = intervals * DERIVATIVES * len(pairs) / 512 * TANGENT_FLOP / rate
    name = f"growth and carriers: {intervals} intervals, {DERIVATIVES} derivatives each"
    return row(name, before, after, ratio, limit, "products of the derivatives")


def windows_of_gradients(folder: Path, plain: PlainLoop, rate: float) -> Row:
    """Responses along all that windows of gradients span, and the gradients, as often as ours takes them."""
    settings = AnalysisConfig(window=READ, nulls=READ, precision="single")
    pairs = torch.from_numpy(RecordedRun.open(folder).task.pairs_N2)
    with patch.object(Network, "responses", autospec=True, side_effect=Network.responses) as responses:
        gradient_windows(folder, settings)
    directions = sum(len(call.args[1]) for call in responses.call_args_list)
    moves = [{name: torch.randn_like(p) for name, p in plain.model.named_parameters()} for _ in range(READ)]

    def by_hand() -> None:
        perturbed_responses(plain.model, moves, pairs, 1e-4)

    before, after, ratio = in_turn(by_hand, lambda: gradient_windows(folder, settings), LEAST_PAIRS)
    scale, limit = directions / READ, directions * len(pairs) / 512 * TANGENT_FLOP / rate
    return row(
        f"windows of gradients: {directions} directions of windows of {READ}",
        before * scale,
        after,
        ratio * scale,
        limit,
        "products of the derivatives",
        baseline=f"central differences of {READ} directions, scaled; without the gradients",
    )


def rows() -> Iterator[Row]:
    task = named_task("add")
    config = RunConfig.for_task(task, protocol="paper", steps=(SNAPSHOTS - 1) * EVERY, every=EVERY)
    plain, rate = PlainLoop(), gemm_rate(torch.float32)
    plain.model.eval()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        train_in_folder(folder, config, task)
        yield score(folder, plain, rate)
        yield growth(folder, plain, rate)
        yield windows_of_gradients(folder, plain, rate)
