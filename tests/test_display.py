"""Results show themselves without their layers knowing what draws them."""

import subprocess
import sys

import pytest

from spectraledge import display


class Sum(display.Displayed):
    kind = "sum"


def test_what_draws_is_found_when_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Drawing:
        @staticmethod
        def html(kind: str, result: object) -> str:
            return f"<p>{kind} {type(result).__name__}</p>"

        @staticmethod
        def plot(kind: str, result: object) -> str:
            return f"picture of {kind}"

    monkeypatch.setattr(display, "_module", [])
    monkeypatch.setitem(sys.modules, "planted_drawing", Drawing)
    display.drawn_by("planted_drawing")
    assert Sum()._repr_html_() == "<p>sum Sum</p>"
    assert Sum().plot() == "picture of sum"


def test_results_need_no_drawing_library_until_they_are_shown() -> None:
    code = (
        "import sys\n"
        "from spectraledge import FunctionalModes, SpectralEdgeTracker\n"
        "assert not {'altair', 'vl_convert', 'spectraledge.report', 'IPython'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
