"""Numbers in names, as people write them: 500k, 1M, 1,000, 1e5, 4B tokens."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

_LARGEST = 2**53
"""Steps beyond this are none: a date or a hash, maybe."""

_SEPARATORS = ",'’\u00a0\u2009\u202f"
"""Between groups of three digits."""

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "bt": 10**9, "t": 10**12}
_TOKENS = ("b", "bt", "t")

_NUMBER = re.compile(
    rf"(?P<digits>\d{{1,3}}(?:[{_SEPARATORS}]\d{{3}})+(?!\d)|\d+)(?P<fraction>\.\d+)?"
    r"(?P<exponent>e[+-]?\d{1,2}(?![a-z\d]))?(?P<unit>(?:bt|[kmbt])(?![a-z\d])|[km](?=steps?))?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Number:
    """A number in a name.

    Attributes:
        text: As it is written.
        unit: k, m, b, t or bt in lower case, if any.
        value: What it says as a step; None if it is no integer, or counts tokens.
        size: What it says.
        before: What is written between the number before it, or the beginning, and it.
        behind: What is written between it and the next, or the end.
        last: Whether it is the last one.
    """

    text: str
    unit: str
    value: int | None
    size: Decimal
    before: str
    behind: str
    last: bool

    @property
    def counts_tokens(self) -> bool:
        """Whether its unit is one of tokens and not of steps."""
        return self.unit in _TOKENS

    @property
    def bare(self) -> bool:
        """Whether nothing but separators lies between the number before it and it."""
        return bool(re.fullmatch(r"[-_ ,.]+", self.before))


@dataclass(frozen=True)
class Name:
    """A name, cut at its numbers.

    Attributes:
        text: The whole name.
        literals: What lies between its numbers, at its beginning and at its end, without the end that says its format.
        numbers: Its numbers.
    """

    text: str
    literals: tuple[str, ...]
    numbers: tuple[Number, ...]

    @classmethod
    def of(cls, text: str, stem: str) -> "Name":
        """Cut a name.

        Args:
            text: The whole name.
            stem: The part of it to cut.

        Returns:
            The name.
        """
        matches = list(_NUMBER.finditer(stem))
        edges = [0, *(edge for match in matches for edge in match.span()), len(stem)]
        literals = tuple(stem[begin:end] for begin, end in zip(edges[::2], edges[1::2], strict=True))
        numbers = tuple(
            Number(
                match.group(),
                (match["unit"] or "").lower(),
                _value(match),
                _size(match),
                literals[index],
                literals[index + 1],
                index == len(matches) - 1,
            )
            for index, match in enumerate(matches)
        )
        return cls(text, literals, numbers)

    def filled(
        self, numbers: Mapping[int, str], default: str, literal: Callable[[str], str] = lambda text: text
    ) -> str:
        """Write the name with other numbers.

        Args:
            numbers: What to write for the numbers at these places.
            default: For the others.
            literal: What to make of what lies between them.

        Returns:
            The name.
        """
        filled = [numbers.get(place, default) for place in range(len(self.numbers))]
        return "".join(literal(text) + number for text, number in zip(self.literals, [*filled, ""], strict=True))


def parse_step(text: str) -> int | None:
    """Return the step that a text says: an integer, with k or M for thousands and millions; None if it is none."""
    match = _NUMBER.fullmatch(re.sub(rf"[{_SEPARATORS}_ ]", "", text))
    return _value(match) if match else None


def _value(match: re.Match[str]) -> int | None:
    unit = (match["unit"] or "").lower()
    # 1.000 may be one or a thousand.
    if unit in _TOKENS or (match["fraction"] and not unit and not match["exponent"]):
        return None
    size = _size(match)
    return int(size) if size == size.to_integral_value() and size <= _LARGEST else None


def _size(match: re.Match[str]) -> Decimal:
    digits = re.sub(rf"[{_SEPARATORS}]", "", match["digits"])
    # Decimal reads the digits of any script, as int does.
    return (
        Decimal(digits + (match["fraction"] or "") + (match["exponent"] or "")) * _UNITS[(match["unit"] or "").lower()]
    )
