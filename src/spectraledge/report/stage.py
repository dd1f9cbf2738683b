"""The opening of a report: what a run and its control compute over training, seen on one time axis and heard."""

import base64
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Float = NDArray[np.float64]

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
    """

    title: str
    words: str
    labels: tuple[str, ...]
    share_ST: Float
    own_T: Float
    test_T: Float
    waves_TMM: Float | None = None

    @property
    def last(self) -> int:
        """How many steps of the stage it was trained for."""
        return len(self.test_T)

    @property
    def named(self) -> list[tuple[float, str]]:
        """Functions that come to hold a share worth naming, each with its height in the picture in percent.

        Of two that lie too close to be written, only the larger.
        """
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
        content = BytesIO()
        Image.fromarray(shades.reshape(-1, shades.shape[2])).save(content, "png", optimize=True)
        return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()

    @property
    def packed(self) -> str:
        """Roots of shares as bytes, 255 for all energy, in base 64: what the page draws and sounds."""
        root_ST = np.sqrt(np.clip(self.share_ST, 0, 1))
        return base64.b64encode(np.rint(root_ST * 255).astype(np.uint8).tobytes()).decode()


@dataclass(frozen=True)
class Stage:
    """What a report opens with.

    Attributes:
        sentences: What was learned, when, and how one knows; each with the step that it is about, or None.
        steps: The steps of the time axis, T of them.
        acts: The run, and its control if there is one.
        rest: Index of the step at which it comes to rest.
        caption: How to read it.
        nothing: What would be seen if there were nothing, as the end of a sentence.
    """

    sentences: tuple[tuple[str, int | None], ...]
    steps: tuple[int, ...]
    acts: tuple[Act, ...]
    rest: int
    caption: str
    nothing: str
