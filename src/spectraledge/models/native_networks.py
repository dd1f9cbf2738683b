"""Networks on pairs whose answers and gradients are computed in C, each in one call (`native/`).

What `pairs.py`, `gradients.py` and `mlp_passes.py` do with PyTorch, up to rounding, and faster: what inputs leave
behind stays in the cache, and nothing is called in between. Where PyTorch may use several threads, networks are shared
out among them, and each network's inputs where there are more threads than networks.

Shapes: S networks, N inputs, O answers, V tokens.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from spectraledge.models.losses import LossName
from spectraledge.models.mlp import ActivationName, MLPConfig
from spectraledge.models.transformer import TransformerConfig
from spectraledge.native import LONG
from spectraledge.native.calls import Inputs, addresses, call, in_precision

_ACTIVATIONS: tuple[ActivationName, ...] = ("relu", "gelu", "square")
"""In the order of `native/perceptron_step.h`."""

_LEAST = 10_000_000
"""Weights times inputs that are worth a thread of their own: to start one takes a twentieth of their time."""


_MEMORY: dict[tuple[int, torch.dtype], list[Tensor]] = {}
"""What passes have used and others may, by size and precision."""


_THREADS: ContextVar[int] = ContextVar("threads")
"""How many threads share networks, where that is not PyTorch's number."""


@contextmanager
def threads_of_their_own() -> Iterator[None]:
    """Give PyTorch's threads to networks for a while: those that it keeps would wait by spinning, on the same cores."""
    threads = torch.get_num_threads()
    before = _THREADS.set(threads)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        _THREADS.reset(before)


def transformer_sizes(config: TransformerConfig, answers: int) -> tuple[int, ...]:
    """Return the sizes of a transformer as `struct network` of `native/pair_pass.h` has them; no answers, no logits."""
    assert config.length == 2
    return config.tokens, answers, config.width, config.depth, config.heads, config.hidden


def transformer_names(config: TransformerConfig) -> tuple[str, ...]:
    """Return the names of a transformer's parameters in the order in which they are passed."""
    parts = "norm1", "attention.qkv", "attention.output", "norm2", "up", "down"
    layers = [f"layers.{depth}.{part}" for depth in range(config.depth) for part in parts]
    names = (f"{layer}.{kind}" for layer in (*layers, "norm", "head") for kind in ("weight", "bias"))
    return "position_embedding", "token_embedding.weight", *names


@dataclass(frozen=True)
class _Share:
    """What one call works on: some of a network's inputs.

    Attributes:
        network: Whose.
        part: Which of its parts this is.
        inputs: Those.
    """

    network: int
    part: int
    inputs: slice


class NativeNetworks:
    """S networks.

    Args:
        kind: Which functions are called.
        sizes: What they are told first: tokens and answers, and the rest.
        names: Of parameters in the order in which they are passed; empty where there is none.
        parameters: By name, float32 or float64 on the CPU, shapes (S, *parameter shape).
    """

    def __init__(
        self,
        kind: Literal["pair", "perceptron"],
        sizes: tuple[int, ...],
        names: tuple[str, ...],
        parameters: Mapping[str, Tensor],
    ) -> None:
        self._kind = kind
        self._numbers = sizes
        self._sizes = (LONG * len(sizes))(*sizes)
        self._names = names
        self._parameters = {name: _each_in_one_piece(parameters[name]) for name in names if name}
        (self._dtype,) = {value.dtype for value in self._parameters.values()}
        self._weights = sum(value.numel() for value in self._parameters.values())

    @classmethod
    def transformers(cls, config: TransformerConfig, parameters: Mapping[str, Tensor]) -> "NativeNetworks":
        """Take transformers on pairs, by stacked parameters."""
        return cls("pair", transformer_sizes(config, config.answers), transformer_names(config), parameters)

    @classmethod
    def perceptrons(cls, config: MLPConfig, parameters: Mapping[str, Tensor]) -> "NativeNetworks":
        """Take perceptrons, by stacked parameters."""
        embedded = config.inputs == "embedded"
        layers = [*(f"layers.{depth}" for depth in range(config.depth)), "head"]
        names = [name for layer in layers for name in (f"{layer}.weight", f"{layer}.bias" if config.bias else "")]
        width, activation = config.width if embedded else 0, _ACTIVATIONS.index(config.activation)
        sizes = config.tokens, config.answers, width, config.depth, config.hidden, activation
        return cls("perceptron", sizes, ("embedding.weight" if embedded else "", *names), parameters)

    def logits(self, inputs_S2N: Tensor) -> Tensor:
        """Answer pairs, given by the rows of tables that they read; shape (S, N, O, V)."""
        tokens, answers, *_ = self._numbers
        logits_SNX = self._empty(inputs_S2N, answers * tokens)
        if self._kind == "pair":
            self._read_out("pair_still", inputs_S2N, logits_SNX, None, None)
        else:
            self._read_out("perceptron_logits", inputs_S2N, logits_SNX)
        return logits_SNX.view(*logits_SNX.shape[:2], answers, tokens)

    def still(self, inputs_S2N: Tensor) -> dict[str, Tensor]:
        """Read transformers out at pairs: logits (S, N, O·V), the residual (S, N, D), the last layer's neurons."""
        assert self._kind == "pair"
        tokens, answers, width, _, _, hidden = self._numbers
        sizes = {"logits": answers * tokens, "residual": width, "neurons": hidden}
        found = {name: self._empty(inputs_S2N, size) for name, size in sizes.items()}
        self._read_out("pair_still", inputs_S2N, *found.values())
        return found

    def _empty(self, inputs_S2N: Tensor, size: int) -> Tensor:
        return torch.empty(len(inputs_S2N), inputs_S2N.shape[2], size, dtype=self._dtype, device="cpu")

    def _read_out(self, function: str, inputs_S2N: Tensor, *found_SNX: Tensor | None) -> None:
        networks, _, count = inputs_S2N.shape
        inputs_S2N = _each_in_one_piece(inputs_S2N, axes=1)

        def read(share: _Share) -> None:
            weights, size = self._addresses(self._parameters, share.network), share.inputs.stop - share.inputs.start
            places = (None if each is None else each[share.network, share.inputs] for each in found_SNX)
            with self._memory(back=False) as memory:
                self._call(function, memory, weights, self._read(inputs_S2N, share), size, *places)

        self._share_out(read, *self._shares(networks, count))

    def loss_and_gradient(
        self, inputs_S2N: Tensor, labels_SNO: Tensor, loss: LossName
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Mean loss of each network on its own pairs, summed over answers, and its gradient by parameter name."""
        networks, _, count = inputs_S2N.shape
        inputs_S2N, labels_SNO = _each_in_one_piece(inputs_S2N, axes=1), _each_in_one_piece(labels_SNO)
        threads, shares = self._shares(networks, count)
        parts = shares[-1].part + 1
        fresh = functools.partial(torch.zeros_like, memory_format=torch.contiguous_format)
        gradients = [{name: fresh(value) for name, value in self._parameters.items()} for _ in range(parts)]
        losses_PS = torch.zeros(parts, networks, dtype=torch.float64, device="cpu")

        def add(share: _Share) -> None:
            tensors = self._parameters, gradients[share.part]
            weights, of_weights = (self._addresses(each, share.network) for each in tensors)
            labels, size = labels_SNO[share.network, share.inputs], share.inputs.stop - share.inputs.start
            losses = losses_PS[share.part, share.network]
            with self._memory(back=True) as memory:
                given = memory, weights, of_weights, self._read(inputs_S2N, share), labels, size
                self._call(f"{self._kind}_gradient", *given, loss == "mse", 1 / count, losses)

        self._share_out(add, threads, shares)
        for other in gradients[1:]:
            for name, total in gradients[0].items():
                total.add_(other[name])
        return (losses_PS.sum(0) / count).to(self._dtype), gradients[0]

    def _shares(self, networks: int, count: int) -> tuple[int, list[_Share]]:
        """Return how many threads are worth it, and what they share: networks, or inputs where they are more."""
        threads = min(_THREADS.get(torch.get_num_threads()), max(1, count * self._weights // _LEAST))
        parts = min(-(-threads // networks), count)
        ends = [count * part // parts for part in range(parts + 1)]
        shares = [_Share(s, part, slice(*ends[part : part + 2])) for part in range(parts) for s in range(networks)]
        return threads, shares

    def _share_out(self, work: Callable[[_Share], None], threads: int, shares: Iterable[_Share]) -> None:
        if threads == 1:
            for share in shares:
                work(share)
            return
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(work, shares):
                pass

    @contextmanager
    def _memory(self, *, back: bool) -> Iterator[Tensor]:
        """Lend memory for a pass, which the next one finds in place: to fault it in anew takes a tenth of a step."""
        size = self._call(f"{self._kind}_room", back)
        kept = _MEMORY.setdefault((size, self._dtype), [])
        memory = kept.pop() if kept else torch.empty(size, dtype=self._dtype, device="cpu")
        yield memory
        kept.append(memory)

    def _call(self, function: str, *operands: object) -> int:
        return call(in_precision(function, self._dtype), self._sizes, *operands)

    def _addresses(self, tensors: Mapping[str, Tensor], network: int) -> object:
        """Where a network's tensors begin, in the order in which they are passed."""
        return addresses(tensors[name][network] if name else None for name in self._names)

    def _read(self, inputs_S2N: Tensor, share: _Share) -> Inputs:
        rows_2n = inputs_S2N[share.network, :, share.inputs]
        return Inputs(rows_2n.data_ptr(), rows_2n.stride(0), 2 * self._numbers[0] * share.network)


def _each_in_one_piece(stacked: Tensor, axes: int = 0) -> Tensor:
    """Return a stack whose members each, but for some more of their first axes, lie in one piece of memory."""
    return stacked if stacked[(0,) * (1 + axes)].is_contiguous() else stacked.contiguous()
