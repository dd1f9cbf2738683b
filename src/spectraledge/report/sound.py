"""A run as sound: each function is a tone, as loud as its share."""

import io
import wave

import numpy as np

from spectraledge.pages.stage import LOUDEST, SILENT, Act

SECONDS, RATE = 20.0, 22_050
"""How long a run sounds, and samples per second."""

_FADE = 0.05


def sound(act: Act) -> bytes:
    """Play a run as the page does, a WAV file: tones as loud as `LOUDEST` times the root of their shares."""
    count = int(SECONDS * RATE)
    second_N = np.arange(count) / RATE
    at_T = np.linspace(0, SECONDS, act.last)
    heard_N = np.zeros(count)
    for tone, share_T in zip(act.tones, act.share_ST, strict=True):
        loudness_T = LOUDEST * np.sqrt(np.clip(share_T, 0, 1))
        if loudness_T.max() >= SILENT:
            heard_N += np.interp(second_N, at_T, loudness_T) * np.sin(2 * np.pi * tone * second_N)
    heard_N *= np.minimum(1, np.minimum(second_N, second_N[::-1]) / _FADE)
    # Many tones may add up to more than a sample holds: the whole is made quieter, never cut.
    heard_N /= max(1.0, float(np.abs(heard_N).max()))
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.rint(heard_N * (2**15 - 1)).astype("<i2").tobytes())
    return content.getvalue()
