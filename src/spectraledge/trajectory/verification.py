"""Looking for what is wrong with a series of snapshots: gaps, copies, swaps, strangers, and files that are broken."""

from bisect import bisect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.streams import torch_generator
from spectraledge.trajectory.census import Contents, Digest, contents, digest_snapshot, is_read
from spectraledge.trajectory.copies import StoredFiles, odd_sizes, same_files, same_tensors
from spectraledge.trajectory.exchanges import exchanged
from spectraledge.trajectory.faults import Finding, listed
from spectraledge.trajectory.finding import find_series
from spectraledge.trajectory.inventory import whole
from spectraledge.trajectory.names import TensorKind
from spectraledge.trajectory.order import path_findings
from spectraledge.trajectory.selection import select_parameters
from spectraledge.trajectory.snapshots import Snapshot, snapshot_files
from spectraledge.trajectory.spacing import leaps, missing_steps

_SAMPLE, _ALL_SAMPLES = 1 << 16, 1 << 24
"""Coordinates kept of each snapshot, and of all together (128 MiB)."""


@dataclass(frozen=True)
class Verification:
    """What was found in a series.

    Attributes:
        snapshots: The snapshots that were looked at, by ascending step.
        strangers: Names of what lies beside the series and is no part of it.
        tensors: Names of the tensors that were read.
        unread: Names of those that were chosen and cannot be read.
        findings: What is wrong, by kind and step; empty where nothing is.
    """

    snapshots: tuple[Snapshot, ...]
    strangers: tuple[str, ...]
    tensors: tuple[str, ...]
    unread: tuple[str, ...]
    findings: tuple[Finding, ...]


def verify_series(
    source: Path,
    patterns: Sequence[str] = ("*",),
    *,
    key: str | None = None,
    step: str | None = None,
    quick: bool = False,
    seed: int = 42,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> Verification:
    """Look for what published series of checkpoints do contain.

    Rules (ours). From names and the file system alone:

    - missing: see `missing_steps`; gap: see `leaps`;
    - duplicate: links to the same files, see `same_files`; in Hugging Face's cache these are all equal files;
    - foreign, where nothing more is asked for: see `odd_sizes`.

    Then from headers and from every number of the chosen tensors, where not `quick`:

    - unreadable: truncated, of another kind, in need of code to be read, or not what its run recorded;
    - foreign: names, shapes or types of the chosen tensors differ from those that most snapshots have;
    - not finite: a weight holds an infinity or no number;
    - duplicate: see `same_tensors`;
    - exchanged: see `exchanged`;
    - broken lineage: see `broken_lineage`; out of order: see `out_of_order`; both on at most 2¹⁶ random coordinates of
      the weights of each snapshot, which give distances to about 1 %, without snapshots that have another finding.

    Args:
        source: See `find_snapshots`.
        patterns: Name patterns of the tensors to read; others are not looked at.
        key: See `open_snapshot`.
        step: A regular expression for the step in names; see `find_snapshots`.
        quick: Whether to read nothing of the weights.
        seed: Root seed of the random coordinates.
        on_progress: Called with the number of snapshots read so far and of all.

    Returns:
        The findings.

    Raises:
        InputError: if there are no snapshots, a name gives no step, or a pattern matches nothing in any of them.

    Cost: every chosen number is read once, of snapshots with the same files together; O(T²) distances.
    """
    series = find_series(source, step=step)
    findings, files = _gaps(series.snapshots), []
    for snapshot in series.snapshots:
        try:
            files.append(StoredFiles.of(snapshot, snapshot_files(snapshot.path)))
        except InputError as error:
            findings.append(_unreadable(snapshot, error))
    copies = same_files(files)
    if quick:
        findings += odd_sizes(files) + copies
        return Verification(series.snapshots, series.strangers, (), (), tuple(findings))
    held: list[Contents] = []
    for one in files:
        try:
            for path in snapshot_files(one.snapshot.path):
                whole(path)
            held.append(contents(one.snapshot, key=key))
        except InputError as error:
            findings.append(_unreadable(one.snapshot, error))
    names = {name: None for one in held for name in one.tensors}
    chosen = select_parameters(sorted(names), patterns).matched if held else ()
    usual, strangers = _foreign(held, chosen)
    findings += strangers
    held = _with_one_choice(held, chosen, usual)
    digests = _read(held, files, chosen, usual, key, seed, on_progress)
    findings += _not_finite(digests)
    read = same_tensors(digests)
    # What files say alone of those that could not be read is worth saying, too.
    findings += [one for one in copies if not any(set(one.steps) <= set(other.steps) for other in read)] + read
    findings += _exchanged(digests)
    doubtful = {step for finding in findings if finding.kind not in ("missing", "gap") for step in finding.steps}
    trusted = [(one, digest) for one, digest in digests if one.snapshot.step not in doubtful]
    if trusted:
        findings += path_findings(
            [one.snapshot.step for one, _ in trusted],
            [digest.sample_n for _, digest in trusted],
            list(trusted[0][1].spans.values()),
        )
    unread = {name for one in held for name in chosen if name in one.tensors and not is_read(one.tensors[name])}
    kept = tuple(name for name in chosen if name not in unread)
    return Verification(series.snapshots, series.strangers, kept, tuple(sorted(unread)), tuple(findings))


def _unreadable(snapshot: Snapshot, error: InputError) -> Finding:
    return Finding("unreadable", (snapshot.step,), f"step {snapshot.step} cannot be read: {error}")


def _read(
    held: Sequence[Contents],
    files: Sequence[StoredFiles],
    chosen: Sequence[str],
    usual: dict[str, TensorKind],
    key: str | None,
    seed: int,
    on_progress: Callable[[int, int], None],
) -> list[tuple[Contents, Digest]]:
    """Read the chosen tensors of every snapshot that has some, those of the same files once."""
    weights = [name for name in usual if any(name in one.tensors and name not in one.left_out for one in held)]
    sample = _coordinates(sum(usual[name].reals for name in weights), len(held), seed)
    identity = {id(one.snapshot): frozenset(one.identities.values()) for one in files}
    found: list[tuple[Contents, Digest]] = []
    known: dict[frozenset[tuple[int, int]], Digest] = {}
    for number, one in enumerate(held):
        own = [name for name in chosen if name in one.tensors and is_read(one.tensors[name])]
        if own:
            same = identity[id(one.snapshot)]
            known[same] = known[same] if same in known else digest_snapshot(one, own, sample, key=key)
            found.append((one, known[same]))
        on_progress(number + 1, len(held))
    return found


def _gaps(snapshots: Sequence[Snapshot]) -> list[Finding]:
    steps = sorted({snapshot.step for snapshot in snapshots})
    found = []
    bounds = set()
    for missing in missing_steps(steps):
        place = bisect(steps, missing[0])
        before, after = steps[place - 1], steps[place]
        bounds.add((before, after))
        which = f"step {missing[0]} is" if len(missing) == 1 else f"{len(missing)} steps ({listed(missing)}) are"
        found.append(Finding("missing", missing, f"{which} missing between steps {before} and {after}"))
    for before, after in leaps(steps):
        if (before, after) not in bounds:
            text = f"nothing is there of the {after - before:,} steps between {before} and {after}, unlike around them"
            found.append(Finding("gap", (before, after), text))
    return found


def _foreign(held: Sequence[Contents], chosen: Sequence[str]) -> tuple[dict[str, TensorKind], list[Finding]]:
    """Return the tensors that most snapshots have, the first of several equally frequent kinds, and who differs."""
    kinds = [{name: one.tensors[name] for name in chosen if name in one.tensors} for one in held]
    if not kinds:
        return {}, []
    frequent = Counter(tuple(kind.items()) for kind in kinds).most_common(1)[0][0]
    usual, found = dict(frequent), []
    for one, kind in zip(held, kinds, strict=True):
        lacking = [name for name in usual if name not in kind]
        extra = [name for name in kind if name not in usual]
        other = [name for name in kind if name in usual and kind[name] != usual[name]]
        words = [f"lacks {listed(lacking)}"] if lacking else []
        words += [f"has also {listed(extra)}"] if extra else []
        words += [f"has {name} as {kind[name]} instead of {usual[name]}" for name in other[:3]]
        words += [f"and {len(other) - 3} more tensors of another kind"] if len(other) > 3 else []
        if words:
            step = one.snapshot.step
            text = f"step {step} ({one.snapshot.path.name}) is not like most snapshots: it {', '.join(words)}"
            found.append(Finding("foreign", (step,), text))
    return usual, found


def _with_one_choice(
    held: Sequence[Contents], chosen: Sequence[str], usual: Mapping[str, TensorKind]
) -> list[Contents]:
    """Leave out of every snapshot what is left out of one that is like most: some files alone may tie weights."""
    alike = [one for one in held if {name: one.tensors[name] for name in chosen if name in one.tensors} == usual]
    out = {name: reason for one in alike for name, reason in one.left_out.items()}
    return [replace(one, left_out={**out, **one.left_out}) for one in held]


def _not_finite(digests: Sequence[tuple[Contents, Digest]]) -> list[Finding]:
    return [
        Finding(
            "not finite",
            (one.snapshot.step,),
            f"step {one.snapshot.step} has values that are not finite in {listed(digest.not_finite)}",
        )
        for one, digest in digests
        if digest.not_finite
    ]


def _exchanged(digests: Sequence[tuple[Contents, Digest]]) -> list[Finding]:
    """Find tensors that change places, those that change back at once said once."""
    found: list[Finding] = []
    last: tuple[str, ...] = ()
    for (before, one), (after, other) in pairwise(digests):
        names = exchanged(one.heads, other.heads)
        if names and names != last:
            steps = before.snapshot.step, after.snapshot.step
            text = f"{listed(names)} have changed places between steps {steps[0]} and {steps[1]}"
            found.append(Finding("exchanged", steps[1:], text))
            last = names
        else:
            last = ()
    return found


def _coordinates(size: int, snapshots: int, seed: int) -> Tensor:
    """Draw one coordinate from each of equal stretches; all where there are few."""
    count = min(_SAMPLE, max(_ALL_SAMPLES // max(snapshots, 1), 1 << 10))
    if size <= count:
        return torch.arange(size, device="cpu")
    within = torch.rand(count, dtype=torch.float64, generator=torch_generator(seed, "checkpoints"), device="cpu")
    return ((torch.arange(count, device="cpu") + within) * size / count).long().clamp(max=size - 1)
