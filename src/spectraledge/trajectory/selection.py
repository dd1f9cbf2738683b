"""Choosing parameters by name pattern, and saying what was chosen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from spectraledge.errors import InputError


@dataclass(frozen=True)
class Selection:
    """Which names a set of patterns matched.

    Attributes:
        patterns: The patterns, as given.
        matched: Names matched by any pattern, in their original order.
        others: The remaining names.
    """

    patterns: tuple[str, ...]
    matched: tuple[str, ...]
    others: tuple[str, ...]


def select_parameters(names: Iterable[str], patterns: Sequence[str]) -> Selection:
    """Choose names by shell patterns (`*`, `?`, `[...]`), case-sensitive.

    Args:
        names: The names there are.
        patterns: A name is chosen if any pattern matches the whole of it. Every pattern must match something.

    Returns:
        What matched and what did not.

    Raises:
        InputError: if there is no pattern, or one matches nothing; the message lists the names there are.
    """
    known = list(names)
    if not patterns:
        raise InputError("no parameter pattern given: name at least one, such as '*'")
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in known):
            shown = ", ".join(known[:12]) + (f", ... ({len(known)} in all)" if len(known) > 12 else "")
            raise InputError(f"parameter pattern {pattern!r} matches nothing; the tensors are {shown or 'none'}")
    matched = tuple(name for name in known if any(fnmatchcase(name, pattern) for pattern in patterns))
    return Selection(tuple(patterns), matched, tuple(name for name in known if name not in matched))
