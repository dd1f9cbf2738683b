"""Snapshots that are copies of each other, whole or in part: by their files alone, or by the bytes of their tensors."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spectraledge.trajectory.census import Contents, Digest
from spectraledge.trajectory.faults import Finding, listed
from spectraledge.trajectory.snapshots import Snapshot

_CHANGED, _SHARE = 8, 0.1
"""How many numbers of a sample, and which share of it, must have moved away before a return says anything."""

_INTERVALS = 5
"""How many intervals a series must have before one in which a part alone stands still says anything."""


@dataclass(frozen=True)
class StoredFiles:
    """The files of a snapshot as the file system knows them; nothing in them was read.

    Attributes:
        snapshot: The snapshot.
        identities: Of each file by name: device and number, which links to one blob of a cache share. A snapshot of one
            file has it under "its file", because its name may hold the step.
        sizes: Bytes of each, alike.
    """

    snapshot: Snapshot
    identities: Mapping[str, tuple[int, int]]
    sizes: Mapping[str, int]

    @classmethod
    def of(cls, snapshot: Snapshot, files: Sequence[Path]) -> "StoredFiles":
        """Ask the file system about a snapshot's files."""
        known = {path.name if len(files) > 1 else "its file": path.stat() for path in files}
        identities = {name: (one.st_dev, one.st_ino) for name, one in known.items()}
        return cls(snapshot, identities, {name: one.st_size for name, one in known.items()})


def same_files(stored: Sequence[StoredFiles]) -> list[Finding]:
    """Find snapshots that are links to the same files, whole or in part.

    Hugging Face's cache keeps a file once under the hash of its content, so that revisions with equal files link to one
    blob. For one of several shards the rule is that of `same_tensors`, without its last condition.

    Args:
        stored: Files of every snapshot, by ascending step.

    Returns:
        The findings.
    """
    groups = _groups([one.identities for one in stored])
    found = _wholes(groups, [one.snapshot for one in stored], "files")
    distinct = [stored[group[0]] for group in groups]
    if any(len(one.identities) > 1 for one in distinct):
        for members, names in _returns([one.identities for one in distinct]).items():
            steps = _steps([stored[index].snapshot for member in members for index in groups[member]])
            found.append(Finding("duplicate", steps, f"steps {listed(steps)} have the same {listed(names)}"))
    return found


def odd_sizes(stored: Sequence[StoredFiles]) -> list[Finding]:
    """Find files of another size than most of their name have: exactly for safetensors, else by more than a tenth.

    Args:
        stored: Files of every snapshot.

    Returns:
        The findings.
    """
    found = []
    for name in sorted({name for one in stored for name in one.sizes}):
        sizes = [(one.snapshot, one.sizes[name]) for one in stored if name in one.sizes]
        usual, count = Counter(size for _, size in sizes).most_common(1)[0]
        tolerated = 0.0 if name.endswith(".safetensors") else 0.1 * usual
        if count < 2 and not tolerated:
            continue
        for snapshot, size in sizes:
            if abs(size - usual) > tolerated:
                text = f"step {snapshot.step} has {name} of {size:,} bytes, where most have {usual:,}"
                found.append(Finding("foreign", (snapshot.step,), f"{text}: cut off, or of another network"))
    return found


def same_tensors(digests: Sequence[tuple[Contents, Digest]]) -> list[Finding]:
    """Find snapshots of one step, snapshots that are equal byte for byte, and tensors that are where the rest differs.

    A tensor that never moves, or not in some stretch, is frozen, and no copy. It is a copy (ours) where it comes back
    to equal bytes after it was different, or where it stands still in a single interval, not the first, of at least
    five and moves in all others; and where at least 8 numbers, and a tenth, of a sample of it differ in between.

    Args:
        digests: Of every snapshot, by ascending step.

    Returns:
        The findings.
    """
    by_step: dict[int, list[str]] = defaultdict(list)
    for one, _ in digests:
        by_step[one.snapshot.step].append(one.snapshot.path.name)
    found = [
        Finding("duplicate", (step,), f"step {step} is there {len(names)} times: {listed(names)}")
        for step, names in by_step.items()
        if len(names) > 1
    ]
    groups = _groups([digest.hashes for _, digest in digests])
    found += _wholes(groups, [one.snapshot for one, _ in digests], "tensors, byte for byte")
    distinct = [digests[group[0]] for group in groups]
    weights = [
        {name: value for name, value in digest.hashes.items() if name not in one.left_out} for one, digest in distinct
    ]
    for members, names in _returns(weights).items():
        if _moved(distinct, members, names):
            steps = _steps([digests[index][0].snapshot for member in members for index in groups[member]])
            found.append(Finding("duplicate", steps, _partly(distinct[members[0]][0], steps, names)))
    return sorted(found, key=lambda finding: finding.steps)


def _returns(parts: Sequence[Mapping[str, Hashable]]) -> dict[tuple[int, ...], list[str]]:
    """Find parts that are equal in some snapshots and should not be: names by the places of these snapshots."""
    found: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name in sorted({name for part in parts for name in part}):
        alike: dict[Hashable, list[int]] = defaultdict(list)
        for index, part in enumerate(parts):
            if name in part:
                alike[part[name]].append(index)
        for members in alike.values():
            together = members[-1] - members[0] == len(members) - 1
            alone = len(members) == 2 and len(alike) == len(parts) - 1 >= _INTERVALS and members[0] > 0
            if len(members) > 1 and (alone or not together):
                found[tuple(members)].append(name)
    return found


def _moved(digests: Sequence[tuple[Contents, Digest]], members: Sequence[int], names: Sequence[str]) -> bool:
    """Tell whether tensors that are equal in some snapshots are plainly others in one between them, or before them."""
    between = [index for index in range(members[0], members[-1]) if index not in members]
    here, there = digests[members[0]][1], digests[between[0] if between else members[0] - 1][1]
    changed = total = 0
    for name in names:
        if name in there.spans:
            one, other = here.sample_n[here.spans[name]], there.sample_n[there.spans[name]]
            total += len(one)
            changed += int((one != other).sum()) if len(one) == len(other) else len(one)
    return changed >= max(_CHANGED, _SHARE * total)


def _partly(held: Contents, steps: Sequence[int], names: Sequence[str]) -> str:
    shards = [
        shard
        for shard in sorted(set(held.shards.values()))
        if {name for name, place in held.shards.items() if place == shard and name not in held.left_out} <= set(names)
    ]
    where = f", all of {listed(shards)}" if shards else ""
    return (
        f"steps {listed(steps)} hold {len(names)} of {len(held.tensors)} tensors byte for byte alike{where} "
        f"({listed(names)}), though these move at other steps"
    )


def _wholes(groups: Sequence[Sequence[int]], snapshots: Sequence[Snapshot], what: str) -> list[Finding]:
    found = []
    for group in groups:
        steps = _steps([snapshots[index] for index in group])
        if len(steps) > 1:
            found.append(Finding("duplicate", steps, f"steps {listed(steps)} hold the same {what}"))
    return found


def _groups(parts: Sequence[Mapping[str, Hashable]]) -> list[list[int]]:
    """Return places of equal things together."""
    same: dict[Hashable, list[int]] = defaultdict(list)
    for index, part in enumerate(parts):
        same[frozenset(part.items())].append(index)
    return list(same.values())


def _steps(snapshots: Sequence[Snapshot]) -> tuple[int, ...]:
    return tuple(sorted({snapshot.step for snapshot in snapshots}))
