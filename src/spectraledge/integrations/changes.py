"""What happens to the choice of parameters while they are trained."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from torch import Tensor, nn

from spectraledge.integrations.watching import Row, Watched, plain_names, row

TRAINED_LATER = ("unfrozen later", "came to the optimizer later")
"""Reasons of parameters that are not watched although they are trained now."""


class Changes:
    """Finds which parameters come and go.

    Args:
        model: The model.
        patterns: What was matched.
        watched: What was chosen.
        moved: Parameters of the optimisers by identity.
    """

    def __init__(
        self, model: nn.Module, patterns: Sequence[str], watched: Watched, moved: Mapping[int, Tensor]
    ) -> None:
        self._model, self._patterns, self._watched = model, patterns, watched.parameters
        self._frozen, self._moved = dict(watched.frozen), set(moved)

    def since(self, moved: Mapping[int, Tensor], step: int) -> list[Row]:
        """Return a row for every parameter that came to the optimisers or left them, was frozen or thawed.

        Args:
            moved: Parameters of the optimisers by identity, now.
            step: Recorded beside each.

        Returns:
            What has changed since the last call.
        """
        thawed = {name: parameter for name, parameter in self._frozen.items() if parameter.requires_grad}
        frozen = {
            name: parameter
            for name, parameter in self._watched.items()
            if not parameter.requires_grad and name not in self._frozen
        }
        self._frozen = {name: self._frozen[name] for name in self._frozen if name not in thawed} | frozen
        rows = [row(name, parameter, self._why_not(name, TRAINED_LATER[0]), step) for name, parameter in thawed.items()]
        rows += [row(name, parameter, "frozen later", step) for name, parameter in frozen.items()]
        came, left = set(moved) - self._moved, self._moved - set(moved)
        self._moved = set(moved)
        if came:
            new = [pair for pair in plain_names(self._model) if id(pair[1]) in came and self._matches(pair[0])]
            rows += [row(name, parameter, self._why_not(name, TRAINED_LATER[1]), step) for name, parameter in new]
        gone = [(name, parameter) for name, parameter in self._watched.items() if id(parameter) in left]
        return rows + [row(name, parameter, "left the optimizer", step) for name, parameter in gone]

    def _why_not(self, name: str, reason: str) -> str:
        """Return why a parameter is not watched; nothing of one that was watched before and comes back."""
        return "" if name in self._watched else reason

    def _matches(self, name: str) -> bool:
        return any(fnmatchcase(name, pattern) for pattern in self._patterns)
