"""The step in a name: one rule for all names of a series, so that nothing of another pattern is sorted in."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from spectraledge.errors import InputError
from spectraledge.trajectory.formats import stem
from spectraledge.trajectory.name_parts import Name, Number, parse_step

_STEP, _CHECKPOINT, _EPOCH, _NO_WORD = range(4)
"""How clearly a name says which number is its step: a name with an epoch and a step means the step."""

_STEPS = r"steps?|iter(ation)?s?|itr|upd(ate)?s?"

_WORDS = {
    # "it" apart from its number ends the name of a model: gemma-2-it-ckpt500.
    _STEP: rf"global[-_ ]?steps?|{_STEPS}|its?(?![-_=.: ])|ba|batch(es)?",
    _CHECKPOINT: r"checkpoint|ckpt|chkpt",
    _EPOCH: r"epochs?|ep",
}
_GROWING = re.compile(r"(^|[^a-z])(epochs?|ep|tokens?|samples?|examples?)[-_=.: ]*$", re.IGNORECASE)
_TOKENS_BEHIND = re.compile(r"[-_ ]?[kmbt]?[-_ ]?tokens?(?![a-z])", re.IGNORECASE)
_MEASURED = re.compile(
    r"(^|[^a-z])(loss|acc|accuracy|ppl|perplexity|score|f1|bleu|auc|mse|mae|val)[-_=.: ]*$", re.IGNORECASE
)
_CHOSEN = re.compile(
    r"(lr|learning_?rate|wd|decay|drop(out)?|alpha|beta|gamma|eps(ilon)?|momentum|temp(erature)?|frac(tion)?|ratio|scale)=$",
    re.IGNORECASE,
)
"""Words for what a run is given; fractions behind other words and = were measured, where each name has its own."""
_APART = re.compile(r"(^|[^a-z])(seed|fold|rank|layer|trial|replica)s?[-_=.: ]*$", re.IGNORECASE)
"""Words before numbers that tell runs, or parts of one network, apart and are no step."""

_BEFORE = {rank: re.compile(rf"(^|[^a-z])({words})[-_=.: ]*$", re.IGNORECASE) for rank, words in _WORDS.items()}
_BEHIND = re.compile(rf"([-_ ]?({_STEPS})|its?)(?![a-z])", re.IGNORECASE)

_THOUSANDS = re.compile(r"[1-9]\d{0,2}[_ ,.]\d{3}")

_WRITTEN = (r"\d+", r"\d+[kKmM]?", r"\d[\d,]*(?:\.\d+(?=[kKmM]))?(?:e[+-]?\d+)?[kKmM]?")
"""Ways to write steps, of which suggested expressions take the first that all names follow, or the last."""

_COPY = re.compile(
    r"((last|latest|best)([-_ ]?(model|ckpt|checkpoint|weights|rank\d+|v\d+))*|"
    r"(model|ckpt|checkpoint|weights)[-_ ]?(last|latest|best))",
    re.IGNORECASE,
)
"""Names of what libraries keep beside a series as copies: Lightning's last-v1.ckpt, ImageNet's model_best.pth.tar."""


@dataclass(frozen=True)
class Assigned:
    """The steps of a series, and what lies beside it.

    Attributes:
        steps: Step by name.
        strangers: Names that are no part of it.
    """

    steps: Mapping[str, int]
    strangers: tuple[str, ...]


@dataclass(frozen=True)
class _Pattern:
    """Names that differ in nothing but their step and what grows or is measured with it.

    Attributes:
        names: The names.
        place: Which of their numbers is the step; −1 if that is unclear.
        rank: How clearly they say so.
        fixed: Places of numbers that tell this pattern from others.
    """

    names: tuple[Name, ...]
    place: int
    rank: int
    fixed: tuple[int, ...]

    def steps(self) -> dict[str, int]:
        """Return the steps by name."""
        values = {name.text: name.numbers[self.place].value for name in self.names}
        return {text: value for text, value in values.items() if value is not None}

    @property
    def shown(self) -> str:
        """The pattern, with # for what changes."""
        first = self.names[0]
        return first.filled({place: first.numbers[place].text for place in self.fixed}, "#")

    @property
    def regex(self) -> str:
        """A regular expression for these names alone, with the step as its group."""
        first = self.names[0]
        numbers = {place: _escaped(first.numbers[place].text) for place in self.fixed}
        counted = first.numbers[self.place]
        if counted.counts_tokens:
            step = rf"(\d+){counted.text[-len(counted.unit) :]}"
        else:
            texts = [name.numbers[self.place].text for name in self.names if name.text in self.steps()]
            fits = (way for way in _WRITTEN if all(re.fullmatch(way, text) for text in texts))
            step = f"({next(fits, _WRITTEN[-1])})"
        numbers[self.place % len(first.numbers)] = step
        # The end of a format's name, not a fraction.
        end = "$" if stem(first.text) == first.text else r"\.(?!\d)"
        body = first.filled(numbers, r"\d[\w.,]*", _escaped)
        return f"^{body}{end}"


def assign_steps(names: Sequence[str], place: str, *, pattern: str | None = None, tolerant: bool = False) -> Assigned:
    """Tell the step of every name of a series.

    Rule (ours), for all names together: names are of one pattern where they differ in numbers only. Its step is the
    number behind (or before) a word for steps; else behind "checkpoint"; else behind "epoch"; else the only number, or
    the only one that differs, and not behind "seed", "fold", "rank" or the like. Of the other numbers, epochs and
    tokens must not fall while steps rise, measured values (loss=0.31, dice=0.91) may do as they like, and any other
    that differs, such as a seed or a stage, makes a series of its own. k and M stand for thousands and millions, 1,000
    and 1e3 for 1000.

    Args:
        names: The names.
        place: Where they are, for messages.
        pattern: A regular expression whose first group is the step, in place of the rule; names that it does not find
            are no part of the series.
        tolerant: Whether names of no or an unclear step are left beside the series; else only copies are (last.ckpt,
            model_best.pth.tar).

    Returns:
        The steps, and the names that are left beside.

    Raises:
        InputError: if names follow several patterns or the step of one is unclear; it says which regular expression
            reads what is there.
    """
    if pattern is not None:
        return _by_pattern(names, place, pattern)
    copies = [name for name in names if _COPY.fullmatch(stem(name))]
    patterns = _patterns([Name.of(name, stem(name)) for name in names if name not in copies])
    clear = [one for one in patterns if one.place >= 0]
    best = min((one.rank for one in clear), default=_NO_WORD)
    series = [one for one in clear if one.rank <= max(best, _CHECKPOINT)]
    rest = [name.text for one in patterns if one not in series for name in one.names]
    if len(series) > 1:
        raise InputError(_several(series, place))
    if not series or (rest and not tolerant):
        raise InputError(_unclear(series, rest or copies, patterns, place))
    _check_growth(series[0], place)
    return Assigned(series[0].steps(), tuple(sorted([*copies, *rest])))


def step_expression(pattern: str) -> re.Pattern[str]:
    """Compile a regular expression for steps.

    Args:
        pattern: The expression.

    Returns:
        The same, compiled.

    Raises:
        InputError: if it is none.
    """
    try:
        return re.compile(pattern)
    except re.error as error:
        raise InputError(
            f"{pattern!r} is no regular expression ({error}): expected one such as 'step_(\\d+)'"
        ) from error


def _by_pattern(names: Sequence[str], place: str, pattern: str) -> Assigned:
    expression = step_expression(pattern)
    found = {name: match for name in names if (match := expression.search(name))}
    if not found:
        raise InputError(f"{pattern!r} finds nothing in the names in {place}: they are {_listed(names)}")
    steps = {}
    for name, match in found.items():
        text = match.group(1 if expression.groups else 0) or ""
        value = parse_step(text)
        if value is None:
            raise InputError(
                f"{pattern!r} finds {text!r} in {name}, which is no step: let its first group be the number alone"
            )
        steps[name] = value
    return Assigned(steps, tuple(name for name in names if name not in found))


def _patterns(names: Sequence[Name]) -> list[_Pattern]:
    """Sort names into patterns."""
    alike: dict[tuple[str, ...], list[Name]] = defaultdict(list)
    for name in names:
        alike[name.literals].append(name)
    found = []
    for group in alike.values():
        place, rank = _place_of_step(group)
        others = [at for at in range(len(group[0].numbers)) if at != place]
        fixed = tuple(at for at in others if place < 0 or not _goes_along(group[0].numbers[at], behind=at > place))
        if place >= 0 and len({name.numbers[place].value for name in group}) == len(group) > 2:
            fixed = tuple(at for at in fixed if not _is_score([name.numbers[at] for name in group]))
        apart: dict[tuple[str, ...], list[Name]] = defaultdict(list)
        for name in group:
            apart[tuple(name.numbers[at].text for at in fixed)].append(name)
        parts = list(apart.values()) if place >= 0 else [group]
        for part in parts:
            clear = place >= 0 and all(name.numbers[place].value is not None for name in part)
            found.append(_Pattern(tuple(part), place if clear else -1, rank, fixed if place >= 0 else ()))
    return found


def _place_of_step(group: Sequence[Name]) -> tuple[int, int]:
    """Return which number of names of one pattern is the step, −1 where that is unclear, and how clearly it is said."""
    first = group[0]
    differing = [at for at in range(len(first.numbers)) if len({name.numbers[at].text for name in group}) > 1]
    for rank in _WORDS:
        places = [at for at, number in enumerate(first.numbers) if _rank(number) == rank]
        places = places if len(places) < 2 else [at for at in places if at in differing]
        if len(places) == 1:
            clear = not _runs_on(group, places[0], differing)
            clear = clear and not (rank == _EPOCH and _has_steps_within(group, places[0], differing))
            return (places[0] if clear else -1), rank
        if any(_rank(number) == rank for number in first.numbers):
            return -1, rank
    places = [0] if len(first.numbers) == 1 else differing
    places = [at for at in places if not _APART.search(first.numbers[at].before)]
    clear = len(places) == 1 and not _runs_on(group, places[0], differing)
    return (places[0] if clear else -1), _NO_WORD


def _has_steps_within(group: Sequence[Name], epoch: int, differing: Sequence[int]) -> bool:
    """Tell whether another number may count steps within epochs: a new one in each name, larger in later epochs."""
    for at in differing:
        number = group[0].numbers[at]
        if at != epoch and not _goes_along(number, behind=at > epoch) and not _APART.search(number.before):
            counts = sorted((name.numbers[at].size, name.numbers[epoch].size) for name in group)
            rise = all(one < then and before <= after for (one, before), (then, after) in pairwise(counts))
            if rise and all(name.numbers[at].value is not None for name in group):
                return True
    return False


def _rank(number: Number) -> int:
    ranks = [rank for rank, words in _BEFORE.items() if words.search(number.before)]
    behind = _BEHIND.match(number.behind)
    # In epoch_1_step_100 the word belongs to the number behind it.
    if behind and (number.last or number.behind[behind.end() :].strip("-_=.: ")):
        ranks.append(_STEP)
    return min(ranks, default=_NO_WORD)


def _runs_on(group: Sequence[Name], place: int, differing: Sequence[int]) -> bool:
    """Tell whether a number may be one of several that belong together: 3_1000 (epoch, update) or 1_000 (thousand)."""
    numbers = group[0].numbers
    behind = numbers[place + 1 : place + 2]
    if behind and behind[0].bare and not behind[0].counts_tokens:
        runs_on = place + 1 in differing or all(map(_THOUSANDS.fullmatch, _joined(group, place)))
    else:
        runs_on = False
    return runs_on or (place > 0 and all(map(_THOUSANDS.fullmatch, _joined(group, place - 1))))


def _joined(group: Sequence[Name], place: int) -> list[str]:
    """Return a number and the next as they are written, with what is between them."""
    pairs = [name.numbers[place : place + 2] for name in group]
    return [first.text + second.before + second.text for first, second in pairs]


def _goes_along(number: Number, *, behind: bool) -> bool:
    """Tell whether a number in front of or behind the step belongs to the same moment of the same training."""
    return _grows(number, behind=behind) or bool(_MEASURED.search(number.before))


def _is_score(numbers: Sequence[Number]) -> bool:
    """Tell whether numbers of one place are values of some metric, as Lightning writes them: another in each name."""
    fractions = all(number.value is None and "." in number.text and not number.unit for number in numbers)
    named = numbers[0].before.endswith("=") and not _CHOSEN.search(numbers[0].before)
    return fractions and named and len({number.text for number in numbers}) > len(numbers) / 2


def _grows(number: Number, *, behind: bool) -> bool:
    # In front of the step 7b is the size of a model, behind it the tokens that it has seen.
    tokens = number.counts_tokens and (behind or number.unit == "bt")
    return tokens or bool(_GROWING.search(number.before) or _TOKENS_BEHIND.match(number.behind))


def _check_growth(pattern: _Pattern, place: str) -> None:
    steps = pattern.steps()
    ordered = sorted(pattern.names, key=lambda name: steps[name.text])
    for at, number in enumerate(ordered[0].numbers):
        if at == pattern.place or not _grows(number, behind=at > pattern.place):
            continue
        for before, after in pairwise(ordered):
            if after.numbers[at].size < before.numbers[at].size:
                raise InputError(
                    f"{after.text} of {place} has a higher step than {before.text}, but a lower "
                    f"{after.numbers[at].before.strip('-_=.: /') or 'number of tokens'}: if steps start anew there, "
                    f"choose one part with --step (step= in Python), such as --step '{_narrow(pattern, at, before)}'"
                )


def _narrow(pattern: _Pattern, at: int, name: Name) -> str:
    return _Pattern((name,), pattern.place, pattern.rank, tuple(sorted({*pattern.fixed, at}))).regex


def _several(series: Sequence[_Pattern], place: str) -> str:
    shown = [f"'{one.shown}' ({_listed([name.text for name in one.names], 3)})" for one in series[:4]]
    more = f" and {len(series) - 4} more" if len(series) > 4 else ""
    return (
        f"the names in {place} follow {len(series)} patterns, {', '.join(shown)}{more}: choose one series with --step "
        f"(step= in Python), such as --step '{max(series, key=lambda one: len(one.names)).regex}'"
    )


def _unclear(series: Sequence[_Pattern], rest: Sequence[str], patterns: Sequence[_Pattern], place: str) -> str:
    if series:
        others = f" and {len(rest) - 1} more ({_listed(rest[1:], 6)})" if len(rest) > 1 else ""
        return (
            f"cannot tell the step of {place}/{rest[0]}{others}: its name is not like "
            f"'{series[0].shown}' as the others' are; move it away, or give a glob that leaves it out or --step "
            f"'{series[0].regex}' (step= in Python)"
        )
    unclear = next((one for one in patterns if one.names[0].numbers), None)
    advice = "rename it, move it away, or give a glob that leaves it out"
    if unclear:
        name = unclear.names[0]
        # A fraction, such as a loss, is no step, whatever its place.
        whole = [at for at, number in enumerate(name.numbers) if number.value is not None or number.counts_tokens]
        if whole:
            likely = max(whole, key=lambda at: (_rank(name.numbers[at]) != _EPOCH, at))
            regex = _Pattern(unclear.names, likely, unclear.rank, ()).regex
            advice += (
                f" or --step (step= in Python), such as --step '{regex}' if the step of {name.text} is "
                f"{name.numbers[likely].text}"
            )
    more = f" and {len(rest) - 1} more" if len(rest) > 1 else ""
    return (
        f"cannot tell the step of {place}/{rest[0]}{more}: a name must hold one integer, no seed or rank, "
        f"or say step (step_00000100.safetensors); {advice}"
    )


def _listed(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f", ... ({len(names)} in all)" if len(names) > most else "")


def _escaped(text: str) -> str:
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", text)
