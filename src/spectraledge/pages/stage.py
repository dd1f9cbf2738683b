"""The opening of a report: what a run and its control compute over training, seen on one time axis and heard."""

import base64
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spectraledge.analyses.readings import Parts
from spectraledge.arrays import Float

LOWEST, OCTAVES = 110.0, 4.0
"""Hz of the first function of a score, and how far above it the last one sounds; the others lie evenly between."""

LOUDEST, SILENT = 0.22, 0.015
"""Amplitude of a function that holds all energy; and below which a voice is left out."""

BRIGHT, NAMED = 0.05, 6
"""Share from which a function is named in words and pictures, and how many are at most (our choice)."""

_LETTER = 6.5
"""Height of a line of text, in percent of the picture."""

SHADES = 31
"""Shades of a wave; the next one stands for an input without a value."""

LIMIT = 2.0
"""Shades end here, in units of the last wave's root mean square."""


_MOST = 32_767
"""The largest 16-bit integer."""


@dataclass(frozen=True)
class Act:
    """One run on the stage.

    Attributes:
        title: The run.
        words: What became of it, in a sentence.
        labels: Its functions, S of them.
        share_ST: Share of the function's energy in each, at every step of the stage that it was trained to.
        own_T: Share in all of them together.
        test_T: Test accuracy.
        waves_TMM: The function projected on one read-out direction, by positions of a and b; NaN for no value. None if
            that was not measured.
        parts: How these pictures divide into the functions; None where that is not known.
        own: Of which variable they are functions.
    """

    title: str
    words: str
    labels: tuple[str, ...]
    share_ST: Float
    own_T: Float
    test_T: Float
    waves_TMM: Float | None = None
    parts: Parts | None = None
    own: str = ""

    @property
    def last(self) -> int:
        """How many steps of the stage it was trained for."""
        return len(self.test_T)

    @property
    def named(self) -> list[tuple[float, str]]:
        """Functions worth naming, each with its height in percent; of two too close to be written, the larger."""
        end_S, found = self.share_ST[:, -1], list[tuple[float, str]]()
        for place in np.argsort(-end_S)[:NAMED]:
            height = 100 * (place + 0.5) / len(self.labels)
            if end_S[place] >= BRIGHT and all(abs(height - other) > _LETTER for other, _ in found):
                found.append((height, self.labels[place]))
        return found

    @property
    def tones(self) -> list[float]:
        """Pitch of every function, in Hz."""
        spread = np.linspace(0, OCTAVES, len(self.labels)) if len(self.labels) > 1 else np.zeros(1)
        return [round(float(pitch), 2) for pitch in LOWEST * 2.0**spread]

    @property
    def sprite(self) -> str:
        """All waves below each other as an image inside an address; "" where there are none."""
        if self.waves_TMM is None:
            return ""
        # The first row of an image is its upper one.
        place = np.clip((self.waves_TMM[:, ::-1] + LIMIT) / (2 * LIMIT), 0, 1) * SHADES
        shades = np.where(np.isnan(place), SHADES + 1, np.nan_to_num(place).round()).astype(np.uint8)
        return png_address(Image.fromarray(shades.reshape(-1, shades.shape[2])))

    @property
    def packed(self) -> str:
        """Roots of shares as bytes, 255 for all energy, in base 64: what the page draws and sounds."""
        root_ST = np.sqrt(np.clip(self.share_ST, 0, 1))
        return _base64(np.rint(root_ST * 255), np.uint8)

    @property
    def packed_parts(self) -> dict[str, Any] | None:
        """`parts` as 16-bit integers in base 64, functions as shares of the largest value."""
        if self.parts is None:
            return None
        largest = float(np.abs(self.parts.functions_EK).max())
        return {
            "elements": _base64(self.parts.elements_MM[::-1], np.int16),
            "functions": _base64(self.parts.functions_EK.T / largest * _MOST, np.int16),
            "largest": largest / _MOST,
            "ends": self.parts.ends_S.tolist(),
        }


def png_address(image: Image.Image) -> str:
    """An image inside an address."""
    content = BytesIO()
    image.save(content, "png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()


def _base64(values: NDArray[Any], kind: type[np.integer[Any]]) -> str:
    little_endian = np.dtype(kind).newbyteorder("<")
    return base64.b64encode(np.rint(values).astype(little_endian).tobytes()).decode()


@dataclass(frozen=True)
class Stage:
    """What a report opens with: sentences, each with its step or None, the time axis of T steps, and the acts on it.

    `rest` is the index of the step at which it comes to rest; `nothing` what would be seen, as the end of a sentence.
    """

    sentences: tuple[tuple[str, int | None], ...]
    steps: tuple[int, ...]
    acts: tuple[Act, ...]
    rest: int
    caption: str
    nothing: str

    @property
    def comparable(self) -> tuple[Act, ...]:
        """The acts whose functions are those of the first one."""
        first = self.acts[0]
        return tuple(act for act in self.acts if (act.own, act.labels) == (first.own, first.labels))

    @property
    def functions(self) -> list[tuple[str, list[float]]]:
        """Each function with its share at the end of every comparable act, the largest of the first act first."""
        rows = [
            (label, [float(act.share_ST[place, -1]) for act in self.comparable])
            for place, label in enumerate(self.acts[0].labels)
        ]
        return sorted(rows, key=lambda row: -row[1][0])
