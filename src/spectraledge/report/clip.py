"""A run as a short looping picture: its wave as it forms, beside its score."""

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from spectraledge.arrays import Float
from spectraledge.pages.stage import LIMIT, Act, Stage
from spectraledge.pages.style import INK, SCORE_COLOURS, SIGNED
from spectraledge.report.words import percent

_SIDE, _GAP, _TITLE, _LINE = 240, 16, 34, 26
_QUALITY = 50
_FRAME, _REST = 110, 1800
"""Milliseconds of a frame, and of the last one before it begins anew."""


def clip(stage: Stage) -> bytes:
    """Draw the run that a report opens with, beside its control: an animated WebP that loops, a frame for each step."""
    acts = [act for act in stage.acts if act.waves_TMM is not None]
    most = max(float(act.share_ST.max()) for act in acts)
    scores = [_scaled(_coloured(np.sqrt(act.share_ST[::-1] / most), SCORE_COLOURS), stage, act) for act in acts]
    frames = [_frame(stage, acts, scores, place) for place in range(len(stage.steps))]
    durations = [_FRAME] * (len(frames) - 1) + [_REST]
    content = io.BytesIO()
    frames[0].save(
        content, "webp", save_all=True, append_images=frames[1:], duration=durations, loop=0, quality=_QUALITY
    )
    return content.getvalue()


def _frame(stage: Stage, acts: list[Act], scores: list[Image.Image], place: int) -> Image.Image:
    wide = 2 * _SIDE + 3 * _GAP
    high = _TITLE + len(acts) * (_SIDE + _LINE + _GAP)
    sheet = Image.new("RGB", (wide, high), "white")
    pen = ImageDraw.Draw(sheet)
    pen.text((_GAP, 8), f"step {stage.steps[place]:,}", INK, ImageFont.load_default(20))
    for number, (act, score) in enumerate(zip(acts, scores, strict=True)):
        top, now = _TITLE + number * (_SIDE + _LINE + _GAP), min(place, act.last - 1)
        assert act.waves_TMM is not None
        wave = _coloured((act.waves_TMM[now, ::-1] + LIMIT) / (2 * LIMIT), SIGNED)
        sheet.paste(wave.resize((_SIDE, _SIDE), Image.Resampling.NEAREST), (_GAP, top + _LINE))
        sheet.paste(score, (2 * _GAP + _SIDE, top + _LINE))
        line = 2 * _GAP + _SIDE + round(_SIDE * (place + 0.5) / len(stage.steps))
        pen.line([(line, top + _LINE), (line, top + _LINE + _SIDE)], INK, 2)
        words = f"{act.title}: {percent(float(act.test_T[now]))} of unseen pairs right"
        pen.text((_GAP, top + 4), words, INK, ImageFont.load_default(15))
    return sheet


def _scaled(score: Image.Image, stage: Stage, act: Act) -> Image.Image:
    """Stretch a score over the time axis, empty where its run had ended."""
    whole = Image.new("RGB", (_SIDE, _SIDE), "white")
    width = round(_SIDE * act.last / len(stage.steps))
    whole.paste(score.resize((width, _SIDE), Image.Resampling.NEAREST), (0, 0))
    return whole


def _coloured(part: Float, colours: tuple[tuple[int, int, int], ...]) -> Image.Image:
    """Colour values between 0 and 1; white where there is none."""
    at = np.clip(np.nan_to_num(part), 0, 1) * (len(colours) - 1)
    known = np.array(colours, dtype=np.float64)
    pixels = np.stack([np.interp(at, np.arange(len(colours)), known[:, channel]) for channel in range(3)], axis=-1)
    pixels[np.isnan(part)] = 255
    return Image.fromarray(np.rint(pixels).astype(np.uint8))
