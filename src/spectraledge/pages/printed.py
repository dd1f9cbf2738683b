"""Figures as files: charts, key and words laid out on one sheet of SVG, which becomes PNG and PDF without a browser."""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from io import BytesIO
from unicodedata import normalize

import vl_convert
from PIL import Image

from spectraledge.pages.document import Chart, Figure, Format, Panel
from spectraledge.pages.marks import Mark, chart_config, symbol
from spectraledge.pages.plots import POINTER
from spectraledge.pages.style import INK, PRINT_FONT, QUIET

_WIDE, _NARROW = 960, 680
_MARGIN = 14
_GAP = 18
_LETTER = 5.9
_HEADING, _PANEL_TITLE, _CHART_TITLE, _KEY_LINE, _LINE = 34, 26, 20, 21, 16
_DOTS = 1.6
_COLOURS = 256
_UNSEEN = re.compile(r' (?:class|role|pointer-events|aria-[a-z]+|font-family)="[^"]*"')
_TAG = re.compile(r"<[^>]*>")
_LONG = re.compile(r"\d+\.\d{3,}")
_CLIP = re.compile(r"\bclip\d+")
_SIZE = re.compile(r'width="([\d.]+)" height="([\d.]+)"')
_REFERENCE = re.compile(rb"\b(\d+) 0 R\b")
_NAMED = re.compile(rb"(?:^ +/\w+ \d+ 0 R\n){2,}", re.MULTILINE)
_LOW = re.compile("[₀-₉]+")
_TEXT_WITH_LOW = re.compile(">[^<>]*[₀-₉][^<>]*<")
_HEAD = b"%PDF-1.7\n%\x80\x80\x80\x80\n\n"


@dataclass(frozen=True)
class Drawn:
    """A chart as SVG: its size in pixels, and what stands inside the SVG element."""

    width: float
    height: float
    content: str

    def placed(self, attributes: str) -> str:
        """The chart as an SVG element with more attributes, such as its place."""
        box = f'viewBox="0 0 {self.width:g} {self.height:g}"'
        return f'<svg xmlns="http://www.w3.org/2000/svg" {box} {attributes}>{self.content}</svg>'


def draw_charts(figure: Figure) -> dict[str, Drawn]:
    """Draw every chart of a figure once, as wide as its files have room for."""
    drawn = {}
    for name, panel, chart in figure.charts:
        room = _cell(_cell(_width(figure) - 2 * _MARGIN, figure.across), panel.across)
        drawn[name] = _draw(name, chart, room)
    return drawn


def sheet(figure: Figure, drawn: Mapping[str, Drawn]) -> str:
    """Lay a figure out."""
    inside = _width(figure) - 2 * _MARGIN
    parts, top = [], float(_MARGIN)
    if not figure.for_paper:
        parts.append(_text(figure.title, _MARGIN, top + 14, size=16, weight="bold"))
        top += _HEADING
    named = iter(figure.charts)
    for row in _rows(figure.panels, figure.across):
        below = top
        for place, panel in enumerate(row):
            cell = _cell(inside, figure.across)
            shown, bottom = _panel(panel, named, drawn, _MARGIN + place * (cell + _GAP), top, cell)
            parts += shown
            below = max(below, bottom)
        top = below + 6
    shown, top = _key(figure.entries, top, inside)
    parts += shown
    if not figure.for_paper:
        words = f"{figure.caption} If there were nothing to see, {figure.nothing}"
        for line in textwrap.wrap(words, int(inside / _LETTER)):
            parts.append(_text(line, _MARGIN, top + 14, colour=QUIET))
            top += _LINE
    width, height = _width(figure), round(top + _MARGIN)
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    font = f'font-family="{PRINT_FONT}"'
    content = "".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" {size} {font}>'
        f'<rect width="100%" height="100%" fill="white"/>{content}</svg>'
    )


def encoded(svg: str, form: Format) -> bytes:
    """Encode a sheet as the content of a file, the same for the same sheet."""
    if form == "svg":
        return svg.encode()
    svg = _TEXT_WITH_LOW.sub(_lowered, svg)
    if form == "png":
        return _small(vl_convert.svg_to_png(svg, scale=_DOTS))
    # A pixel of SVG becomes a point of PDF, which is larger by a third.
    points = _SIZE.sub(_three_quarters, svg, count=1)
    return _canonical(vl_convert.svg_to_pdf(points))


def _small(png: bytes) -> bytes:
    """A PNG with a palette: a third of the size, without a difference that one sees."""
    content = BytesIO()
    with Image.open(BytesIO(png)) as image:
        image.convert("RGB").quantize(_COLOURS).save(content, "png", optimize=True)
    return content.getvalue()


def _lowered(text: re.Match[str]) -> str:
    """Text with figures below the line as lowered ones: the font of files lacks those, and another would take over."""
    return _LOW.sub(
        lambda low: f'<tspan baseline-shift="sub" font-size="72%">{normalize("NFKC", low[0])}</tspan>', text[0]
    )


def _three_quarters(size: re.Match[str]) -> str:
    return f'width="{float(size[1]) * 0.75:g}" height="{float(size[2]) * 0.75:g}"'


def _width(figure: Figure) -> int:
    return _NARROW if figure.for_paper else _WIDE


def _cell(room: float, across: int) -> float:
    return (room - (across - 1) * _GAP) / across


def _rows(panels: tuple[Panel, ...], across: int) -> Iterator[tuple[Panel, ...]]:
    for first in range(0, len(panels), across):
        yield panels[first : first + across]


def _draw(name: str, chart: Chart, room: float) -> Drawn:
    layers = [layer for layer in chart.spec["layer"] if layer.get("name") != POINTER]
    spec = {**chart.spec, "layer": layers}
    if not chart.still:
        spec |= {"width": round(room), "autosize": {"type": "fit-x", "contains": "padding"}}
    svg = vl_convert.vegalite_to_svg(spec, config=chart_config(PRINT_FONT))
    head, _, body = svg.partition(">")
    found = _SIZE.search(head)
    assert found
    # Names of clips count all charts of the process, and two charts of a page may not share them.
    clips = {clip: f"{name}-{number}" for number, clip in enumerate(dict.fromkeys(_CLIP.findall(svg)))}
    content = _CLIP.sub(lambda clip: clips[clip[0]], body.removesuffix("</svg>"))
    # Places of marks need no more than two decimals; words between tags stay, such as the 0.001 of an axis.
    content = _TAG.sub(lambda tag: _LONG.sub(lambda place: f"{float(place[0]):.2f}", tag[0]), _UNSEEN.sub("", content))
    return Drawn(float(found[1]), float(found[2]), content)


def _panel(
    panel: Panel,
    named: Iterator[tuple[str, Panel, Chart]],
    drawn: Mapping[str, Drawn],
    left: float,
    top: float,
    width: float,
) -> tuple[list[str], float]:
    parts = []
    if panel.title:
        parts.append(_text(panel.title, left, top + 15, size=13, weight="bold"))
        top += _PANEL_TITLE
    cell = _cell(width, panel.across)
    titled = any(chart.title for chart in panel.charts)
    for first in range(0, len(panel.charts), panel.across):
        below = top
        for place, chart in enumerate(panel.charts[first : first + panel.across]):
            name, _, _ = next(named)
            image, x = drawn[name], left + place * (cell + _GAP)
            size = min(1.0, cell / image.width)
            under = top + (_CHART_TITLE if titled else 0)
            if chart.title:
                parts.append(_text(chart.title, x, top + 13, size=12, weight="bold"))
            place_words = f'x="{x:.1f}" y="{under:.1f}" width="{image.width * size:.1f}"'
            parts.append(image.placed(f'{place_words} height="{image.height * size:.1f}"'))
            below = max(below, under + image.height * size)
        top = below + 4
    for line in textwrap.wrap(panel.note, int(width / _LETTER)):
        parts.append(_text(line, left, top + 12, colour=QUIET))
        top += _LINE
    return parts, top + 6


def _key(entries: Iterable[Mark], top: float, width: float) -> tuple[list[str], float]:
    parts: list[str] = []
    left = 0.0
    for mark in entries:
        wide, content = symbol(mark)
        size = wide + 7 + len(mark.label) * _LETTER + _GAP
        if left and left + size > width:
            left, top = 0.0, top + _KEY_LINE
        parts.append(f'<g transform="translate({_MARGIN + left:.1f},{top + 2:.1f})">{content}</g>')
        parts.append(_text(mark.label, _MARGIN + left + wide + 7, top + 14))
        left += size
    return parts, top + (_KEY_LINE + 4 if parts else 0)


def _text(words: str, x: float, y: float, *, size: float = 11.5, weight: str = "normal", colour: str = INK) -> str:
    style = f'font-size="{size}" font-weight="{weight}" fill="{colour}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def _canonical(pdf: bytes) -> bytes:
    """Number a PDF's objects as they are first named from its catalogue: its library numbers fonts in any order."""
    start = int(re.findall(rb"startxref\s+(\d+)", pdf)[-1])
    lines = re.findall(rb"^(\d{10}) \d{5} ([nf])", pdf[start:], re.MULTILINE)
    places = {number: int(place) for number, (place, kind) in enumerate(lines) if kind == b"n"}
    ends = sorted([*places.values(), start])
    objects = {}
    for number, place in places.items():
        content = pdf[place : next(end for end in ends if end > place)]
        head, stream, data = content.partition(b"stream\n")
        body = head.split(b"obj", 1)[1]
        objects[number] = (
            _NAMED.sub(lambda found: b"".join(sorted(found[0].splitlines(keepends=True))), body),
            stream + data,
        )
    trailer = pdf[start:].split(b"trailer", 1)[1].split(b"startxref")[0]
    order: dict[int, int] = {}
    waiting = _named(trailer)
    while waiting:
        number = waiting.pop(0)
        if number not in order:
            order[number] = len(order) + 1
            waiting = _named(objects[number][0]) + waiting
    written, offsets = _HEAD, []
    for number, place in order.items():
        body, data = objects[number]
        offsets.append(len(written))
        written += b"%d 0 obj" % place + _renumbered(body, order) + data.rstrip() + b"\n\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    trailer = re.sub(rb"/Size \d+", b"/Size %d" % (len(order) + 1), _renumbered(trailer, order))
    return (
        written
        + b"xref\n0 %d\n0000000000 65535 f \n" % (len(order) + 1)
        + table
        + b"trailer"
        + trailer
        + b"startxref\n%d\n%%%%EOF" % len(written)
    )


def _named(content: bytes) -> list[int]:
    return [int(number) for number in _REFERENCE.findall(content)]


def _renumbered(content: bytes, order: dict[int, int]) -> bytes:
    return _REFERENCE.sub(lambda found: b"%d 0 R" % order[int(found[1])], content)
