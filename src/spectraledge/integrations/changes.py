"""What happens to the choice of parameters while they are trained."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from spectraledge.integrations.watching import Row, plain_names, row
from spectraledge.trajectory.selection import matches

TRAINED_LATER = ("unfrozen later", "came to the optimizer later")
"""Reasons of parameters that are not watched although they are trained now."""


class Changes:
    """Finds which of the parameters that patterns match come and go: to be watched, and to the optimisers."""

    def __init__(
        self, model: nn.Module, patterns: Sequence[str], watched: Mapping[str, Tensor], moved: Mapping[int, Tensor]
    ) -> None:
        self._model, self._patterns, self._watched, self._moved = model, patterns, watched, set(moved)
        self._matched = self._there()
        self._frozen = {name for name, parameter in self._matched.items() if not parameter.requires_grad}
        self._trained = self._now()

    def since(self, moved: Mapping[int, Tensor], step: int) -> list[Row]:
        """Rows of parameters trained now that were not, or the other way; a watched one that is back has no reason."""
        if set(moved) - self._moved:
            self._matched |= self._there()
        self._moved = set(moved)
        before, self._trained = self._trained, self._now()
        rows = []
        for name, parameter in self._matched.items():
            if name in self._trained and name not in before:
                later = TRAINED_LATER[0 if name in self._frozen else 1]
                rows.append(row(name, parameter, "" if name in self._watched else later, step))
        for name, parameter in self._watched.items():
            if name in before and name not in self._trained:
                gone = "left the optimizer" if parameter.requires_grad else "frozen later"
                rows.append(row(name, parameter, gone, step))
        self._frozen = {name for name, parameter in self._matched.items() if not parameter.requires_grad}
        return rows

    def _there(self) -> dict[str, Tensor]:
        """Return what patterns match of the model, tied ones under the first of their names."""
        found: dict[int, tuple[str, Tensor]] = {}
        for name, parameter in plain_names(self._model):
            if matches(name, self._patterns):
                found.setdefault(id(parameter), (name, parameter))
        return dict(found.values())

    def _now(self) -> set[str]:
        """Return the names of those that an optimiser moves now."""
        pairs = self._matched.items()
        return {name for name, parameter in pairs if parameter.requires_grad and id(parameter) in self._moved}
