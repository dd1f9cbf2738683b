"""How results show themselves: what draws them lies in a layer above theirs, and is looked up when it is used."""

from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast


class Plot(Protocol):
    """A picture of a result, which shows itself in a notebook."""

    def save(self, path: Path | str) -> None:
        """Write it into a file: PNG, PDF or SVG, by the end of its name."""


class Drawer(Protocol):
    """What draws results of every kind."""

    def html(self, kind: str, result: Any) -> str:
        """Return a result as HTML: a sentence, a picture, at most ten rows."""

    def plot(self, kind: str, result: Any) -> Plot:
        """Return the picture of a result."""


_module: list[str] = []


def drawn_by(module: str) -> None:
    """Name the module that draws results, as a `Drawer`; it is imported when the first one is shown."""
    _module[:] = [module]


def drawer() -> Drawer:
    """Return what draws results."""
    return cast(Drawer, import_module(_module[0]))


class Displayed:
    """A result that shows itself: as HTML in a notebook, and by `plot()`.

    Attributes:
        kind: What kind of result it is, which decides how it is drawn.
    """

    kind: ClassVar[str]

    def plot(self) -> Plot:
        """Draw it.

        Returns:
            The picture: a notebook shows it, `save("figure.pdf")` writes it as for print, and `altair` is the chart
            for those who want to change it.

        Raises:
            InputError: if there is nothing to draw yet.
        """
        return drawer().plot(self.kind, self)

    def _repr_html_(self) -> str:
        return drawer().html(self.kind, self)
