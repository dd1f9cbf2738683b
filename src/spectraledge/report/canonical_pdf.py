"""PDF files that are the same for the same figure: the library that makes them numbers fonts in an arbitrary order."""

import re

_REFERENCE = re.compile(rb"\b(\d+) 0 R\b")
_NAMED = re.compile(rb"(?:^ +/\w+ \d+ 0 R\n){2,}", re.MULTILINE)
_HEAD = b"%PDF-1.7\n%\x80\x80\x80\x80\n\n"


def canonical(pdf: bytes) -> bytes:
    """Number the objects of a PDF file anew, in the order in which they are first named from its catalogue."""
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


def _sorted(found: re.Match[bytes]) -> bytes:
    return b"".join(sorted(found[0].splitlines(keepends=True)))


def _named(content: bytes) -> list[int]:
    return [int(number) for number in _REFERENCE.findall(content)]


def _renumbered(content: bytes, order: dict[int, int]) -> bytes:
    return _REFERENCE.sub(lambda found: b"%d 0 R" % order[int(found[1])], content)
