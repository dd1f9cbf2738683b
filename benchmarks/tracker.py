"""What the tracker costs a training of ten million parameters: `rows()` for run.py, or a table when run alone."""

import statistics
import warnings
from collections.abc import Callable, Iterator

import torch
from measuring import Row, read_rate, row, seconds, synchronize
from spectra import peak_mib
from torch import nn

from spectraledge.integrations import SpectralEdgeTracker
from spectraledge.integrations.functions import WatchedFunction
from spectraledge.modes import feature_basis
from spectraledge.spectrum import Sketch

TOKENS, LENGTH, BATCH, STEPS, INPUTS = 64, 128, 8, 3, 1000


class Causal(nn.ModuleDict):
    """Texts (N, L) to logits (N, L, TOKENS)."""

    def forward(self, texts: torch.Tensor) -> torch.Tensor:
        mask = nn.Transformer.generate_square_subsequent_mask(texts.shape[1], device=texts.device)
        return self["head"](self["layers"](self["embedding"](texts), mask=mask, is_causal=True))


class Loop:
    """Six causal transformer layers of width 384, AdamW, batches of 8 texts of 128 tokens: 10.7 million parameters."""

    def __init__(self, device: str = "cpu") -> None:
        layer = nn.TransformerEncoderLayer(384, 6, 1536, dropout=0.0, batch_first=True, norm_first=True)
        self.model = Causal(
            {
                "embedding": nn.Embedding(TOKENS, 384),
                "layers": nn.TransformerEncoder(layer, 6, enable_nested_tensor=False),
                "head": nn.Linear(384, TOKENS),
            }
        ).to(device)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self.texts = torch.randint(TOKENS, (BATCH, LENGTH + 1), device=device)
        self.device = device
        self.parameters = sum(part.numel() for part in self.model.parameters())

    def step(self) -> None:
        logits = self.model(self.texts[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), self.texts[:, 1:].flatten())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        synchronize(self.device)


def tracked(
    loop: Loop,
    bare_peak: float,
    every: int,
    limit: Callable[[SpectralEdgeTracker], float],
    name: str,
    **settings: object,
) -> Row:
    """Steps with and without a tracker that takes every one of them, in turn; scaled to one snapshot in `every`.

    The overhead is by the tracker's own clock, which the machine's drift does not reach; beside it, by the wall.
    A snapshot costs the same whether windows are full or not: the updates that are not there yet are zeros.
    """
    tracker = SpectralEdgeTracker(loop.model, loop.optimizer, every=1, **settings)

    def attached() -> None:
        # It rightly says that steps without it move the weights too.
        with warnings.catch_warnings(action="ignore"), tracker:
            loop.step()

    peak = peak_mib(attached) - bare_peak
    bare, more, shares = [], [], []
    for _ in range(STEPS):
        bare.append(seconds(loop.step))
        before = tracker.overhead
        more.append(seconds(attached) / bare[-1] - 1)
        after = tracker.overhead
        spent, training = after.seconds - before.seconds, after.training_seconds - before.training_seconds
        shares.append(spent / training / every)
    share, step = statistics.median(shares), statistics.median(bare)
    return row(
        f"tracker: {name}",
        every * step,
        every * step * (1 + share),
        1 / (1 + share),
        every * step + limit(tracker),
        "the steps alone, and reading once what a snapshot needs",
        overhead_share=share,
        overhead_share_by_the_wall=statistics.median(more) / every,
        snapshot_seconds=share * every * step,
        stated_memory_mib=tracker.overhead.memory_bytes / 2**20,
        peak_memory_mib=peak,
    )


def watched_function(loop: Loop, every: int = 100) -> Row:
    """A reading of the function on 1,000 pairs of tokens, scaled to one in `every` steps."""
    pairs = torch.cartesian_prod(torch.arange(TOKENS), torch.arange(TOKENS))[:INPUTS].to(loop.device)
    sums = feature_basis("sums", {"sum": (pairs.sum(1) % TOKENS).cpu().numpy()})
    watched = WatchedFunction(loop.model, pairs, lambda logits: logits[:, -1], [sums])
    bare = statistics.median(seconds(loop.step) for _ in range(STEPS))
    reading = statistics.median(seconds(lambda number=number: watched.read(number)) for number in range(STEPS))

    def forward() -> None:
        with torch.no_grad():
            loop.model.eval()(pairs)
            loop.model.train()

    share = reading / (every * bare)
    return row(
        f"tracker: the function on {INPUTS:,} pairs every {every} steps, {loop.parameters:,} parameters",
        every * bare,
        every * bare + reading,
        1 / (1 + share),
        every * bare + statistics.median(seconds(forward) for _ in range(STEPS)),
        "the steps alone, and one forward pass",
        overhead_share=share,
        overhead_share_by_the_wall=share,
        snapshot_seconds=reading,
        stated_memory_mib=0.0,
        peak_memory_mib=peak_mib(lambda: watched.read(STEPS)),
    )


def peak_of_step(loop: Loop) -> float:
    """MiB that a step takes beyond what the loop holds, once its buffers are there."""
    loop.step()
    return peak_mib(loop.step)


def rows() -> Iterator[Row]:
    loop, rate = Loop(), read_rate()
    size, bare = loop.parameters, peak_of_step(loop)

    def window(tracker: SpectralEdgeTracker) -> float:
        return (tracker.overhead.memory_bytes + 4 * size) / rate

    def weights(tracker: SpectralEdgeTracker) -> float:
        return 4 * size / rate

    of = f"of {size:,} parameters"
    cases = [
        (100, window, f"every 100 steps, all {of}, float32", {"params": "*"}),
        (100, window, f"every 100 steps, all {of}, bfloat16", {"params": "*", "store": "bfloat16"}),
        (100, window, f"every 100 steps, attention {of}, float32", {"params": "*attn*weight"}),
        (1, weights, f"every step, sketch of 4,096 of all {of}", {"params": "*", "sketch": Sketch(4096)}),
        (
            1,
            weights,
            "every step, the same, places drawn each time",
            {"params": "*", "sketch": Sketch(4096), "keep_places": False},
        ),
        (1, weights, f"every step, sketch of 4,096 of attention {of}", {"sketch": Sketch(4096)}),
    ]
    for every, limit, name, settings in cases:
        yield tracked(loop, bare, every, limit, name, **settings)
    yield watched_function(loop)


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for found in rows():
        print(
            f"{found['path']:<76} step {found['baseline_seconds']:8.3f} s  snapshot {found['snapshot_seconds']:6.3f} s"
            f"  overhead {found['overhead_share']:6.2%} (wall {found['overhead_share_by_the_wall']:6.2%})"
            f"  {found['stated_memory_mib']:6.1f} MiB stated, {found['peak_memory_mib']:6.1f} peak"
        )


if __name__ == "__main__":
    main()
