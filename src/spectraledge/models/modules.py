"""Any module on pairs of tokens as an architecture, by `torch.func`."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from spectraledge.errors import InputError
from spectraledge.models.architecture import Parameters, ReadOut, ReadoutName
from spectraledge.models.kernels import differentiable_kernels
from spectraledge.models.losses import LossName, answer_losses
from spectraledge.models.module_tensors import substituted
from spectraledge.models.readouts import centred_logit_response
from spectraledge.streams import seeded_torch


@dataclass(frozen=True)
class ModuleArchitecture:
    """Networks that one function builds; see `Architecture`.

    Attributes:
        label: What to call them in messages.
        build: Makes a network, its weights drawn from PyTorch's stream. It takes int64 pairs (N, 2) to logits
            (N, answers · tokens), answer by answer, and every pair for itself.
        network: One such network; of its tensors only buffers are used. It stays in training mode, which differs from
            the other by fast paths alone.
        tokens: Classes of every answer.
        answers: Answers per pair.
        head_module: Name of the linear layer that gives the logits, so that what it reads is the residual; "" if there
            is none, and then logits are the only read-out.
        stackable: Whether `torch.func.vmap` can run several networks as one; else they run one after another.
        chosen: Number of the only answer that is looked at; −1 for all of them.
    """

    label: str
    build: Callable[[], nn.Module]
    network: nn.Module
    tokens: int
    answers: int
    head_module: str = "head"
    stackable: bool = True
    chosen: int = -1

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every parameter by name."""
        return {name: tuple(parameter.shape) for name, parameter in self.network.named_parameters()}

    @property
    def head(self) -> frozenset[str]:
        """Names of the last linear layer's parameters."""
        if not self.head_module:
            return frozenset()
        own = {id(parameter) for parameter in self.network.get_submodule(self.head_module).parameters()}
        return frozenset(name for name, parameter in self.network.named_parameters() if id(parameter) in own)

    @property
    def hidden_matrices(self) -> frozenset[str]:
        """All matrices but the head's and those of `nn.Embedding`."""
        tables = {id(part.weight) for part in self.network.modules() if isinstance(part, nn.Embedding)}
        return frozenset(
            name
            for name, parameter in self.network.named_parameters()
            if parameter.dim() == 2 and name not in self.head and id(parameter) not in tables
        )

    @property
    def groups(self) -> dict[str, str]:
        """The submodule of every parameter; of the network's own parameters their names."""
        return {name: "head" if name in self.head else name.rpartition(".")[0] or name for name in self.shapes}

    @property
    def watched(self) -> tuple[str, ...]:
        """All matrices but the head's; all parameters of a network that has no other matrix."""
        names = tuple(name for name, shape in self.shapes.items() if len(shape) > 1 and name not in self.head)
        return names or ("*",)

    @property
    def readouts(self) -> tuple[ReadoutName, ...]:
        """The logits and, where it is known, what the head reads."""
        return ("residual", "logits") if self.head_module else ("logits",)

    def draw(self, seed: int, *, published: bool) -> dict[str, Tensor]:
        """Draw initial weights, in the one way there is."""
        return {name: parameter.detach() for name, parameter in seeded(self.build, seed).named_parameters()}

    def module(self) -> nn.Module:
        """Make a network whose weights are to be loaded."""
        return seeded(self.build, 0)

    def on(self, device: torch.device | str) -> "ModuleArchitecture":
        """Return the same with buffers on a device, where a recorded step must find them."""
        return replace(self, network=self.network.to(device))

    def encode(self, pairs_SN2: Tensor) -> Tensor:
        """Return the tokens by position."""
        return pairs_SN2.transpose(1, 2)

    def is_in_c(self, like: Tensor) -> bool:
        """Say no: any module is PyTorch's."""
        return False

    def logits(self, parameters: Parameters, inputs_S2N: Tensor) -> Tensor:
        """Answer pairs."""
        logits_SNOC: Tensor = self._each(self._answers, parameters, inputs_S2N)
        return logits_SNOC

    def loss_and_gradient(
        self, parameters: Parameters, inputs_S2N: Tensor, labels_SNO: Tensor, loss: LossName = "cross-entropy"
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return losses and gradients."""
        mean_loss = torch.func.grad_and_value(partial(self._loss, loss=loss))
        gradients, losses_S = self._each(mean_loss, parameters, inputs_S2N, labels_SNO)
        return losses_S, gradients

    def part(self, parameters: Parameters, number: int) -> tuple["ModuleArchitecture", dict[str, Tensor]]:
        """Return the networks with all but one answer left aside."""
        return replace(self, chosen=number), dict(parameters)

    def still(self, parameters: Parameters, pairs_N2: Tensor) -> dict[str, Tensor]:
        """Evaluate one network."""
        logits_NOC, residual = self._seen(parameters, pairs_N2)
        return {"logits": logits_NOC[:, 0]} | ({} if residual is None else {"residual": residual})

    def read(self, readout: ReadoutName) -> ReadOut:
        """Return a read-out."""
        self.check_readout(readout)

        def read(parameters: Parameters, pairs_N2: Tensor) -> Tensor:
            logits_NOC, residual = self._seen(parameters, pairs_N2)
            if readout == "residual" and residual is not None:
                return residual
            return (logits_NOC - logits_NOC.mean(-1, keepdim=True)).flatten(1)

        return read

    def check_readout(self, readout: ReadoutName) -> None:
        """Raise `InputError` for a read-out that it does not have."""
        if readout not in self.readouts:
            raise InputError(
                f"{self.label} has no read-out {readout!r}, only {', '.join(self.readouts)}"
                + ("" if self.head_module else ": return what an nn.Linear gives, and its input is the residual")
            )

    def follows(self, names: Iterable[str]) -> bool:
        """Tell whether the head stays where it is."""
        return bool(self.head_module) and self.head.isdisjoint(names)

    def follow(self, parameters: Parameters, residual_ND: Tensor, response_KND: Tensor, readout: ReadoutName) -> Tensor:
        """Return the logits' response, the only later read-out."""
        weight = self._head_weight(parameters).view(self.answers, self.tokens, -1)[max(self.chosen, 0)]
        return centred_logit_response(response_KND, weight)

    def _head_weight(self, parameters: Parameters) -> Tensor:
        own = self.network.get_submodule(self.head_module).get_parameter("weight")
        return parameters[next(name for name, parameter in self.network.named_parameters() if parameter is own)]

    def _each(self, function: Callable[..., Any], parameters: Parameters, *stacked: Tensor) -> Any:
        """Apply a function of one network's tensors to S stacked ones."""
        # The compiler chooses kernels itself.
        with nullcontext() if torch.compiler.is_compiling() else differentiable_kernels(stacked[0].device):
            return self._stacked(function, parameters, *stacked)

    def _stacked(self, function: Callable[..., Any], parameters: Parameters, *stacked: Tensor) -> Any:
        count = len(stacked[0])
        if count > 1 and self.stackable:
            return torch.func.vmap(function)(dict(parameters), *stacked)
        each = [
            function({name: value[place] for name, value in parameters.items()}, *(part[place] for part in stacked))
            for place in range(count)
        ]
        # Named tensors, tuples of them or tensors alike.
        leaves, structure = zip(*(torch.utils._pytree.tree_flatten(one) for one in each), strict=True)
        joined = [torch.stack(parts) for parts in zip(*leaves, strict=True)]
        return torch.utils._pytree.tree_unflatten(joined, structure[0])

    def _loss(self, parameters: Parameters, inputs_2N: Tensor, labels_NO: Tensor, loss: LossName) -> Tensor:
        return answer_losses(self._answers(parameters, inputs_2N), labels_NO, loss).sum(-1).mean()

    def _answers(self, parameters: Parameters, inputs_2N: Tensor) -> Tensor:
        return self._shaped(self._call(parameters, inputs_2N.t()))

    def _shaped(self, logits: Tensor) -> Tensor:
        logits_NOC = logits.reshape(len(logits), self.answers, self.tokens)
        return logits_NOC if self.chosen < 0 else logits_NOC[:, self.chosen : self.chosen + 1]

    def _seen(self, parameters: Parameters, pairs_N2: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return logits, and what the head reads."""
        with differentiable_kernels(pairs_N2.device):
            if not self.head_module:
                return self._shaped(self._call(parameters, pairs_N2)), None
            read: list[Tensor] = []
            head = self.network.get_submodule(self.head_module)
            hook = head.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0]))
            try:
                logits = self._call(parameters, pairs_N2)
            finally:
                hook.remove()
        return self._shaped(logits), read[-1]

    def _call(self, parameters: Parameters, pairs_N2: Tensor) -> Tensor:
        like = next(iter(parameters.values()))
        buffers = {
            name: value.to(like if value.is_floating_point() else like.device)
            for name, value in self.network.named_buffers()
        }
        with substituted(self.network, {**buffers, **parameters}):
            logits: Tensor = self.network(pairs_N2)
        return logits


def seeded(build: Callable[[], nn.Module], seed: int) -> nn.Module:
    """Build a module whose weights come from PyTorch's stream, which is as before afterwards."""
    with seeded_torch(seed):
        return build().train()
