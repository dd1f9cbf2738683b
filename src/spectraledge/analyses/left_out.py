"""What an analysis leaves out where a network lacks it: no rows, and the reason, said once."""

from collections.abc import Mapping

import pandas as pd

_REASON = "left_out"


def without(table: pd.DataFrame, reason: str) -> pd.DataFrame:
    """Note on a table why rows that others have are not there, and return it."""
    table.attrs[_REASON] = reason
    return table


def reasons(tables: Mapping[str, pd.DataFrame]) -> tuple[str, ...]:
    """Return what was left out of some tables and why, each reason once, behind the names of its tables."""
    found: dict[str, list[str]] = {}
    for name, table in tables.items():
        if _REASON in table.attrs:
            found.setdefault(table.attrs[_REASON], []).append(name)
    return tuple(f"{', '.join(names)}: {reason}" for reason, names in found.items())
