"""Finding the snapshots of a series: folders of files, folders of folders, globs, and the cache of Hugging Face."""

import glob
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path

from spectraledge.errors import InputError
from spectraledge.trajectory.folders import (
    check_whole,
    is_rank,
    is_shard,
    is_state,
    is_weights,
    other_weights,
    snapshots_in,
)
from spectraledge.trajectory.formats import FILES, stem
from spectraledge.trajectory.formats.foreign import refused
from spectraledge.trajectory.formats.sharded import INDEX
from spectraledge.trajectory.hub import advice, in_hub_cache, only_revision, revisions
from spectraledge.trajectory.snapshots import Snapshot
from spectraledge.trajectory.steps import assign_steps, step_expression

_EMPTY = " (no weights in it)"


@dataclass(frozen=True)
class Found:
    """What was found in a place.

    Attributes:
        snapshots: The series by ascending step, then by path.
        strangers: Names of what lies beside it and is no part of it.
    """

    snapshots: tuple[Snapshot, ...]
    strangers: tuple[str, ...]

    def distinct(self) -> list[Snapshot]:
        """Return the snapshots, of which no two may have the same step.

        Returns:
            The snapshots by ascending step.

        Raises:
            InputError: if two have.
        """
        for before, after in pairwise(self.snapshots):
            if before.step == after.step:
                both, advice = f"{before.path} and {after.path}", "choose one series with --step (step= in Python)"
                if before.path.parent == after.path.parent:
                    both = f"{before.path.name} and {after.path.name} of {after.path.parent}"
                    if before.path.is_dir():
                        # Networks of one training, each in a folder of its own.
                        advice = f"give a glob such as '{before.path.parent.parent}/*/{before.path.name}'"
                raise InputError(f"step {after.step} is in both {both}: remove one, or {advice}")
        return list(self.snapshots)


def find_snapshots(source: Path, *, step: str | None = None) -> list[Snapshot]:
    """List the snapshots of a series by ascending step.

    Steps are in the names; see `assign_steps` for the rule.

    Args:
        source: One of

            - a folder, or a folder with a subfolder `snapshots`, of .safetensors files; where it has none, of
              PyTorch files (.pt, .pth, .bin, .ckpt, .pth.tar);
            - a folder of folders, each with one snapshot (`step_1000/model.safetensors`, `checkpoint-1000/` with shards
              and their index, `iter_0000500/mp_rank_00/model_optim_rng.pt`, `step-100/` with .distcp files), where no
              .safetensors file beside them has a step in its name;
            - a glob such as `runs/*/model_step*.pt`, whose matches are files, folders or cached repositories; where
              all matches have one name, the step is in that of the nearest folder that differs;
            - the folder of a repository in Hugging Face's cache (`models--org--name`), whose downloaded revisions with
              a step in their name (`step1000`) are the series; nothing is downloaded.
        step: A regular expression whose first group is the step, searched in names below the source, for series that
            the rule does not read.

    Returns:
        The snapshots; at least one.
    """
    return find_series(source, step=step).distinct()


def find_series(source: Path, *, step: str | None = None) -> Found:
    """Find the snapshots of a series as `find_snapshots` does, but with every one where several give the same step.

    Args:
        source: See `find_snapshots`.
        step: See `find_snapshots`.

    Returns:
        The series, and what lies beside it.

    Raises:
        InputError: if there are none, a name gives no step, or it is unclear which are meant.
    """
    if source.is_dir() and in_hub_cache(source):
        held = revisions(source)
        if step is None and not any(map(_has_digits, held.places)):
            raise InputError(
                f"no downloaded revision of {source} has a step in its name, such as step1000 (it has "
                f"{', '.join([*held.places, *held.others][:8]) or 'no named revisions'}): {advice(source)}; nothing is "
                "downloaded here"
            )
        assigned = assign_steps(list(held.places), str(source), pattern=step, tolerant=True)
        found = [Snapshot(number, held.places[name]) for name, number in assigned.steps.items()]
        return _ordered(found, (*assigned.strangers, *held.others))
    if source.is_dir():
        root = source / "snapshots" if (source / "snapshots").is_dir() else source
        places = _entries(root)
        beside = _passed_over(root, places)
    elif glob.has_magic(str(source)):
        root, (places, beside) = _root(source), _matches(source)
    elif source.is_file():
        raise InputError(f"{source} is one file: give the folder of its series, or a quoted glob")
    else:
        raise InputError(f"no folder at {source}: give a folder of snapshots (step_00000100.safetensors, ...)")
    names = _labels(list(places), root)
    check_whole(path for path, name in names.items() if path.name not in name)
    if step is not None:
        # What the rule takes for the name is what its messages advise to look for.
        found_in = step_expression(step).search
        names = {p: name if found_in(name) else p.relative_to(root).as_posix() for p, name in names.items()}
    assigned = assign_steps(list(dict.fromkeys(names.values())), str(source), pattern=step)
    found = [Snapshot(assigned.steps[name], places[path]) for path, name in names.items() if name in assigned.steps]
    return _ordered(found, (*assigned.strangers, *beside, *_inside(found)))


def _ordered(snapshots: Sequence[Snapshot], strangers: tuple[str, ...]) -> Found:
    return Found(tuple(sorted(snapshots, key=lambda snapshot: (snapshot.step, str(snapshot.path)))), strangers)


def _entries(place: Path) -> dict[Path, Path]:
    """Return the files or the folders of one folder that are its snapshots, each with where its weights lie."""
    visible = sorted(path for path in place.iterdir() if not path.name.startswith("."))
    if any(path.name.endswith((INDEX, ".distcp")) or is_rank(path) or is_shard(path) for path in visible):
        raise InputError(f"{place} is one snapshot, in several files: give the folder that holds all snapshots")
    weights = {path: path for path in visible if is_weights(path)}
    files = {path: path for path in weights if path.suffix == ".safetensors"}
    choices = [files] if any(_has_digits(path.name) for path in files) else [_folders(visible), files, weights]
    named = [choice for choice in choices if any(_has_digits(path.relative_to(place).as_posix()) for path in choice)]
    chosen = next((choice for choice in [*named, *choices] if choice), {})
    if not named and (place / ".git").exists():
        raise InputError(
            f"{place} is a repository at one commit: check each out into a folder that is named by its step, such as "
            "git worktree add ../checkpoints/step_1000 COMMIT, and give ../checkpoints"
        )
    if not chosen:
        held = [path.name for path in visible]
        there = f", there is {', '.join(held[:8])}{' ...' if len(held) > 8 else ''}" if held else ""
        below = _below(visible)
        deeper = next((path.parent for path in below if is_weights(path) and _has_digits(path.name)), None)
        why = refused([*held, *(path.name for path in below)])
        why = why or f"expected files like step_00000100.safetensors{there}{f'; give {deeper}' if deeper else ''}"
        raise InputError(f"no snapshots in {place}: {why}")
    return chosen


def _passed_over(place: Path, chosen: Iterable[Path]) -> list[str]:
    """Name what looks like a snapshot beside those that were chosen: files of another kind, folders without weights."""
    taken = {path.relative_to(place).parts[0] for path in chosen}
    stems, shapes = {stem(name) for name in taken}, {_shape(name) for name in taken}
    found = []
    for path in sorted(place.iterdir()):
        if path.name in taken or stem(path.name) in stems or not _has_digits(path.name):
            continue
        if is_weights(path):
            found.append(path.name)
        elif _shape(path.name) in shapes and not path.is_file():
            found.append(f"{path.name}{_EMPTY}")
    return found


def _inside(snapshots: Iterable[Snapshot]) -> list[str]:
    """Name the weights in folders of snapshots that are not read, once each, with what reads them."""
    found: dict[str, dict[str, Path]] = {}
    for snapshot in snapshots:
        for name in other_weights(snapshot.path) if snapshot.path.is_dir() else ():
            found.setdefault(_shape(name), {}).setdefault(name, snapshot.path.parent)
    # Such as global_step500/mp_rank_00_model_states.pt in checkpoint-500.
    places = {
        next(iter(alike)) if len(alike) == 1 else shape.replace("#", "*"): alike for shape, alike in found.items()
    }
    reads = {name: f"the glob '{next(iter(alike.values()))}/*/{name}'" for name, alike in places.items()}
    reads |= {name: "a folder without a whole file" for name in places if name.endswith(INDEX)}
    return [f"{name} (other weights, which {reads[name]} reads)" for name in places]


def _shape(name: str) -> str:
    """Return what is left of a name without its numbers."""
    return re.sub(r"\d+", "#", name)


def _below(visible: Sequence[Path]) -> list[Path]:
    """Return what lies in the first of some folders, one and two levels below."""
    folders = [path for path in visible if path.is_dir()][:1]
    inner = [entry for folder in folders for entry in sorted(folder.iterdir())]
    return inner + [entry for folder in inner if folder.is_dir() for entry in sorted(folder.iterdir())]


def _folders(visible: Sequence[Path]) -> dict[Path, Path]:
    """Return the folders that are snapshots; where none with a number is, those one level below."""
    direct: dict[Path, Path] = {}
    below: dict[Path, Path] = {}
    for path in visible:
        numbered = _has_digits(path.name)
        if not path.is_dir() or is_state(path) or ((path / "snapshots").is_dir() and not in_hub_cache(path)):
            continue
        if in_hub_cache(path):
            direct |= dict.fromkeys([path], only_revision(path)) if numbered else {}
            continue
        try:
            held = snapshots_in(path)
        except InputError:
            if numbered:
                raise
            continue
        if held == [path]:
            direct[path] = path
        elif numbered:
            below |= {inner: inner for inner in held}
    return direct if any(_has_digits(path.name) for path in direct) else direct | below


def _matches(pattern: Path) -> tuple[dict[Path, Path], list[str]]:
    """Return what a glob matches: files of weights and folders that hold some; shards stand for their folder.

    Args:
        pattern: The glob.

    Returns:
        Each with where its weights lie, and the names of folders that are like these and hold none.

    Raises:
        InputError: if nothing is matched.
    """
    found: dict[Path, Path] = {}
    folders: dict[Path, None] = {}
    for path in map(Path, sorted(glob.glob(str(pattern), recursive=True))):
        if path.name.endswith((INDEX, ".distcp")) or (is_weights(path) and is_shard(path)):
            folders[path.parent] = None
        elif is_weights(path):
            found[path] = path
        elif path.is_dir() and in_hub_cache(path):
            found[path] = only_revision(path)
        elif path.is_dir():
            folders[path] = None
    held = {folder: snapshots_in(folder) for folder in folders}
    found |= {inner: inner for folder in folders for inner in held[folder]}
    if not found:
        raise InputError(f"{pattern} matches no snapshots: no file {', '.join(FILES)} and no folder of such")
    shapes = {_shape(part) for path in found for part in path.parts}
    empty = [folder for folder in folders if not held[folder] and _has_digits(folder.name)]
    return found, [f"{folder.name}{_EMPTY}" for folder in empty if _shape(folder.name) in shapes]


def _root(pattern: Path) -> Path:
    """Return the part of a glob in front of its first star."""
    fixed = list(takewhile(lambda part: not glob.has_magic(part), pattern.parts[:-1]))
    return Path(*fixed)


def _labels(paths: Sequence[Path], root: Path) -> dict[Path, str]:
    """Choose the part of each path that names it: the last one that differs among them and holds numbers."""
    parts = {path: path.relative_to(root).parts for path in paths}
    depth = 0
    for candidate in range(min(map(len, parts.values()))):
        names = {part[-1 - candidate] for part in parts.values()}
        if (len(names) > 1 or len(paths) == 1) and any(map(_has_digits, names)):
            depth = candidate
            break
    named = {path: part[: len(part) - depth] for path, part in parts.items()}
    if len({part[:-1] for part in named.values()}) in (1, len(paths)):
        return {path: part[-1] for path, part in named.items()}
    # Folders that hold several snapshots each, such as epoch_1/step_100, belong to the name.
    shared = next(at for at, names in enumerate(zip(*named.values(), strict=False)) if len(set(names)) > 1)
    return {path: "/".join(part[shared:]) for path, part in named.items()}


def _has_digits(name: str) -> bool:
    return any(character.isdecimal() for character in stem(name))
