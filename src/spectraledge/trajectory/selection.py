"""Choosing parameters by name pattern, and saying what was chosen."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from spectraledge.errors import InputError

_SHOWN = 12


@dataclass(frozen=True)
class Selection:
    """Which names a set of patterns matched.

    Attributes:
        patterns: The patterns, as given.
        matched: Names matched by any pattern, in their original order.
        others: The remaining names.
        left_out: Tensors that could not be chosen, because they are no parameters or are counted under another name:
            the reason by name.
    """

    patterns: tuple[str, ...]
    matched: tuple[str, ...]
    others: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)

    def without(self, reasons: Mapping[str, str]) -> "Selection":
        """Return the selection with some of the matched names left out.

        Args:
            reasons: Why, by name.

        Returns:
            The smaller selection.
        """
        kept = tuple(name for name in self.matched if name not in reasons)
        return replace(self, matched=kept, left_out={**self.left_out, **reasons})


def select_parameters(
    names: Iterable[str], patterns: Sequence[str], *, left_out: Mapping[str, str] | None = None
) -> Selection:
    """Choose names by shell patterns (`*`, `?`, `[...]`), case-sensitive.

    Args:
        names: The names there are.
        patterns: A name is chosen if any pattern matches the whole of it. Every pattern must match something.
        left_out: What cannot be chosen, with the reason.

    Returns:
        What matched and what did not.

    Raises:
        InputError: if there is no pattern, or one matches nothing; the message lists the names there are.
    """
    known = list(names)
    if not patterns:
        raise InputError("no parameter pattern given: name at least one, such as '*'")
    for pattern in patterns:
        if not matches_any(known, [pattern]):
            besides = [f"{name} ({reason})" for name, reason in (left_out or {}).items()]
            raise InputError(
                f"parameter pattern {pattern!r} matches nothing; the tensors are {_listed(known)}"
                + (f"; left out are {_listed(besides)}" if besides else "")
            )
    matched = tuple(name for name in known if matches(name, patterns))
    chosen = set(matched)
    others = tuple(name for name in known if name not in chosen)
    return Selection(tuple(patterns), matched, others, dict(left_out or {}))


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Tell whether any pattern matches a name."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def matches_any(names: Iterable[str], patterns: Sequence[str]) -> bool:
    """Tell whether any pattern matches any of several names."""
    return any(matches(name, patterns) for name in names)


def _listed(names: Sequence[str]) -> str:
    return (", ".join(names[:_SHOWN]) or "none") + (f", ... ({len(names)} in all)" if len(names) > _SHOWN else "")
