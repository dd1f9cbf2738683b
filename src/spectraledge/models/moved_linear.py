"""A linear layer along a direction of the weights: its part in the chain rule."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from spectraledge.products import multiply, multiply_into


@dataclass(frozen=True)
class MovedLinear:
    """How a linear layer moves along a direction, the LayerNorm before it folded in.

    Attributes:
        weight: Shape (out, in); None where it does not move.
        bias: Shape (out,), or None.
    """

    weight: Tensor | None = None
    bias: Tensor | None = None

    @classmethod
    def of(
        cls, parameters: Mapping[str, Tensor], direction: Mapping[str, Tensor], linear: str, norm: str = ""
    ) -> "MovedLinear":
        """Take what a direction holds of the layer called `linear`, behind the LayerNorm called `norm`, if any."""
        weight, bias = direction.get(f"{linear}.weight"), direction.get(f"{linear}.bias")
        if not norm:
            return cls(weight, bias)
        matrix, scale, shift = (parameters[name] for name in (f"{linear}.weight", f"{norm}.weight", f"{norm}.bias"))
        moved_scale, moved_shift = direction.get(f"{norm}.weight"), direction.get(f"{norm}.bias")
        return cls(
            sum_of(None if weight is None else weight * scale, None if moved_scale is None else matrix * moved_scale),
            sum_of(
                bias, None if weight is None else weight @ shift, None if moved_shift is None else matrix @ moved_shift
            ),
        )

    @property
    def moves(self) -> bool:
        """Whether it moves at all."""
        return self.weight is not None or self.bias is not None

    def rows(self, start: int, stop: int | None = None) -> "MovedLinear":
        """Return the part that computes some of the outputs."""
        weight, bias = (None if part is None else part[start:stop] for part in (self.weight, self.bias))
        return MovedLinear(weight, bias)

    def through(self, still: Tensor, matrix: Tensor, moved: Tensor | None) -> Tensor | None:
        """Return the tangent of its output, if there is any: its input's, by its matrix, and its own at that input."""
        total = None if moved is None else multiply(moved, matrix)
        if self.weight is not None:
            total = multiply_into(total, still, self.weight)
        if self.bias is None:
            return total
        return self.bias.expand(len(still), -1).clone() if total is None else total.add_(self.bias)


def sum_of(*parts: Tensor | None) -> Tensor | None:
    """Return the sum of what is there; None where nothing is."""
    there = [part for part in parts if part is not None]
    return sum(there[1:], start=there[0]) if there else None


def each_direction(directions: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Return directions (K, *parameter shape) one by one, each with the parameters that it moves."""
    count = len(next(iter(directions.values())))
    return [{name: value[k] for name, value in directions.items() if value[k].any()} for k in range(count)]
