"""Looking for what is wrong with a series of snapshots: gaps, copies, swaps, strangers, and files that are broken."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.streams import torch_generator
from spectraledge.trajectory.census import Contents, Digest, TensorKind, contents, digest_snapshot
from spectraledge.trajectory.finding import list_snapshots
from spectraledge.trajectory.selection import select_parameters
from spectraledge.trajectory.snapshots import Snapshot
from spectraledge.trajectory.spacing import missing_steps

Kind = Literal["missing", "unreadable", "foreign", "not finite", "duplicate", "out of order"]

_SAMPLE, _ALL_SAMPLES = 1 << 16, 1 << 24
"""Coordinates kept of each snapshot, and of all together (128 MiB)."""

_CHEAPER = 0.75
"""How much shorter a detour to another place must be; see `out_of_order`."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        kind: What kind of thing.
        steps: Steps of the snapshots that it concerns; for "missing" those that are not there.
        text: The same in plain words.
    """

    kind: Kind
    steps: tuple[int, ...]
    text: str


@dataclass(frozen=True)
class Verification:
    """What was found in a series.

    Attributes:
        snapshots: The snapshots that were looked at, by ascending step.
        tensors: Names of the tensors that were read.
        findings: What is wrong, by kind and step; empty where nothing is.
    """

    snapshots: tuple[Snapshot, ...]
    tensors: tuple[str, ...]
    findings: tuple[Finding, ...]


def verify_series(
    source: Path,
    patterns: Sequence[str] = ("*",),
    *,
    key: str | None = None,
    seed: int = 42,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> Verification:
    """Look for what published series of checkpoints do contain.

    Rules (ours):

    - missing: see `missing_steps`;
    - unreadable: truncated, of another kind, or in need of code to be read;
    - foreign: names, shapes or types of the chosen tensors differ from those that most snapshots have;
    - not finite: a tensor holds an infinity or no number;
    - duplicate: two snapshots of one step, or the same chosen tensors, byte for byte, under several steps;
    - out of order: see `out_of_order`, on distances between at most 2¹⁶ random coordinates of each snapshot, which
      are right to about 1 %; snapshots with another finding of their own are left out.

    Args:
        source: See `find_snapshots`.
        patterns: Name patterns of the tensors to read; others are not looked at.
        key: See `open_snapshot`.
        seed: Root seed of the random coordinates.
        on_progress: Called with the number of snapshots read so far and of all.

    Returns:
        The findings.

    Raises:
        InputError: if there are no snapshots, a name gives no step, or a pattern matches nothing in any of them.

    Cost: every chosen number is read once; O(T²) distances.
    """
    snapshots = list_snapshots(source)
    findings = _gaps(snapshots)
    held: list[Contents] = []
    for snapshot in snapshots:
        try:
            held.append(contents(snapshot, key=key))
        except InputError as error:
            findings.append(Finding("unreadable", (snapshot.step,), f"step {snapshot.step} cannot be read: {error}"))
    names = {name: None for one in held for name in one.tensors}
    chosen = select_parameters(sorted(names), patterns).matched if held else ()
    usual, strangers = _foreign(held, chosen)
    findings += strangers
    digests: list[tuple[Contents, Digest]] = []
    sample = _coordinates(sum(kind.size for kind in usual.values() if "F" in kind.dtype), len(held), seed)
    for number, one in enumerate(held):
        own = [name for name in chosen if name in one.tensors]
        if own:
            digests.append((one, digest_snapshot(one, own, sample, key=key)))
        on_progress(number + 1, len(held))
    findings += _not_finite(digests) + _duplicates(digests)
    doubtful = {step for finding in findings if finding.kind != "missing" for step in finding.steps}
    trusted = [(one.snapshot.step, digest.sample_n) for one, digest in digests if one.snapshot.step not in doubtful]
    findings += _reordered([step for step, _ in trusted], [sample_n for _, sample_n in trusted])
    return Verification(tuple(snapshots), tuple(chosen), tuple(findings))


def out_of_order(distance_TT: Tensor) -> list[tuple[int, int]]:
    """Find snapshots that fit much better elsewhere in a series.

    A series is a path; snapshot i costs the detour d(i−1, i) + d(i, i+1) − d(i−1, i+1) (at an end, the distance to its
    one neighbour). Rule (ours): it is out of order where the same detour between some other neighbours, or at an end,
    is shorter than 0.75 times its own. The one that would shorten the path most is taken out, and the rest looked at
    again. Of two swapped snapshots one is thus named. On a straight path detours are 0 where the order is right; for
    unit steps of a random walk 0.59, against at least 1 elsewhere, and for its ends 1 against 1.41.

    Limits: the order as a whole may be reversed; a swap is invisible where weights do not keep a course over two
    intervals (noise around a minimum) or where two snapshots are far closer to each other than to the rest; a path that
    turns back, as with cyclic learning rates or an oscillation from snapshot to snapshot, may look out of order.

    Args:
        distance_TT: Distances between all snapshots, in the order to be checked.

    Returns:
        Pairs of a snapshot's index and the index of the one before its better place, −1 for the front.

    Cost: O(T²) per snapshot found.
    """
    order = list(range(len(distance_TT)))
    found = []
    while len(order) > 3:
        distance = distance_TT[order][:, order]
        count = len(order)
        own, best, place = torch.empty(3, count, dtype=torch.float64, device="cpu").unbind()
        for i in range(count):
            rest = [j for j in range(count) if j != i]
            to_rest = distance[i, rest]
            between = to_rest[:-1] + to_rest[1:] - distance[rest[:-1], rest[1:]]
            detour = torch.cat([to_rest[:1], between, to_rest[-1:]])
            own[i] = detour[i]
            detour[i] = torch.inf
            best[i], place[i] = detour.min(), detour.argmin()
        gain = torch.where(best < _CHEAPER * own, own - best, 0.0)
        worst = int(gain.argmax())
        if not gain[worst] > 0:
            break
        index = order.pop(worst)
        before = int(place[worst]) - 1
        found.append((index, order[before] if before >= 0 else -1))
    return found


def _gaps(snapshots: Sequence[Snapshot]) -> list[Finding]:
    steps = sorted({snapshot.step for snapshot in snapshots})
    found = []
    for missing in missing_steps(steps):
        before = max(step for step in steps if step < missing[0])
        after = min(step for step in steps if step > missing[-1])
        which = f"step {missing[0]} is" if len(missing) == 1 else f"{len(missing)} steps ({_listed(missing)}) are"
        found.append(Finding("missing", missing, f"{which} missing between steps {before} and {after}"))
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
        words = [f"lacks {_listed(lacking)}"] if lacking else []
        words += [f"has also {_listed(extra)}"] if extra else []
        words += [f"has {name} as {kind[name]} instead of {usual[name]}" for name in other[:3]]
        words += [f"and {len(other) - 3} more tensors of another kind"] if len(other) > 3 else []
        if words:
            step = one.snapshot.step
            text = f"step {step} ({one.snapshot.path.name}) is not like most snapshots: it {', '.join(words)}"
            found.append(Finding("foreign", (step,), text))
    return usual, found


def _not_finite(digests: Sequence[tuple[Contents, Digest]]) -> list[Finding]:
    return [
        Finding(
            "not finite",
            (one.snapshot.step,),
            f"step {one.snapshot.step} has values that are not finite in {_listed(digest.not_finite)}",
        )
        for one, digest in digests
        if digest.not_finite
    ]


def _duplicates(digests: Sequence[tuple[Contents, Digest]]) -> list[Finding]:
    same: dict[str, list[Snapshot]] = {}
    for one, digest in digests:
        same.setdefault(digest.sha256, []).append(one.snapshot)
    found = [
        Finding(
            "duplicate",
            tuple(snapshot.step for snapshot in group),
            f"steps {_listed([snapshot.step for snapshot in group])} hold the same tensors, byte for byte",
        )
        for group in same.values()
        if len({snapshot.step for snapshot in group}) > 1
    ]
    by_step: dict[int, list[str]] = {}
    for one, _ in digests:
        by_step.setdefault(one.snapshot.step, []).append(one.snapshot.path.name)
    found += [
        Finding("duplicate", (step,), f"step {step} is there {len(paths)} times: {_listed(paths)}")
        for step, paths in by_step.items()
        if len(paths) > 1
    ]
    return sorted(found, key=lambda finding: finding.steps)


def _reordered(steps: Sequence[int], samples: Sequence[Tensor]) -> list[Finding]:
    if len(steps) < 4:
        return []
    sample_Tn = torch.stack(list(samples))
    # Centred, because distances from inner products lose what the weights have in common.
    sample_Tn -= sample_Tn.mean(0)
    found = []
    for index, before in out_of_order(torch.cdist(sample_Tn, sample_Tn)):
        place = f"after step {steps[before]}" if before >= 0 else f"before step {steps[0]}"
        text = f"step {steps[index]} looks out of order: its weights fit better {place} than where they are"
        found.append(Finding("out of order", (steps[index],), text))
    return found


def _coordinates(size: int, snapshots: int, seed: int) -> Tensor:
    """Draw one coordinate from each of equal stretches; all where there are few."""
    count = min(_SAMPLE, max(_ALL_SAMPLES // max(snapshots, 1), 1 << 10))
    if size <= count:
        return torch.arange(size, device="cpu")
    generator = torch_generator(seed, "checkpoints")
    within = torch.rand(count, dtype=torch.float64, device="cpu", generator=generator)
    return ((torch.arange(count, device="cpu") + within) * size / count).long().clamp(max=size - 1)


def _listed(things: Sequence[object]) -> str:
    return ", ".join(map(str, things[:6])) + (f" ... {things[-1]}" if len(things) > 6 else "")
