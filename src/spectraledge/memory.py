"""How much memory there is, so that what cannot fit is refused before it begins instead of killed in the middle."""

import os
from pathlib import Path

from spectraledge.errors import InputError

_GROUP = Path("/sys/fs/cgroup")


def free_memory() -> int:
    """Return the bytes of memory that this process may still take, as far as the system tells."""
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        # Pages that hold nothing but files give way.
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
        limit, used = (int((_GROUP / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, KeyError, ValueError):
        return free
    return min(free, max(limit - used, 0))


def check_memory(needed: int, what: str, instead: str) -> None:
    """Refuse what cannot fit in memory.

    Args:
        needed: Bytes that it needs at least.
        what: What needs them.
        instead: What to do.

    Raises:
        InputError: if there is less.
    """
    if needed > (free := free_memory()):
        raise InputError(
            f"{what} needs at least {needed / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free: {instead}"
        )
