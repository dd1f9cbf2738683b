"""Finding the snapshots of a series: folders of files, folders of folders, globs, and the cache of Hugging Face."""

import glob
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from spectraledge.errors import InputError
from spectraledge.trajectory.readers import PICKLES
from spectraledge.trajectory.shards import INDEX, is_weights, weights_in
from spectraledge.trajectory.snapshots import Snapshot

_REFUSED = (".pkl", ".pickle")
_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


def find_snapshots(source: Path) -> list[Snapshot]:
    """List the snapshots of a series by ascending step.

    A step is the one integer in a snapshot's name, or in `step<integer>` where the name has several.

    Args:
        source: One of

            - a folder, or a folder with a subfolder `snapshots`, of .safetensors files; where it has none, of
              PyTorch files (.pt, .pth, .bin, .ckpt);
            - a folder of folders, each with one snapshot (`step_1000/model.safetensors`, `checkpoint-1000/` with shards
              and their index), where no .safetensors file beside them has a step in its name;
            - a glob such as `runs/*/model_step*.pt`, whose matches are files or folders; where a match has no integer
              in its name, the step is in that of the nearest folder that has;
            - the folder of a repository in Hugging Face's cache (`models--org--name`), whose downloaded revisions with
              a step in their name (`step1000`) are the series; nothing is downloaded.

    Returns:
        The snapshots; at least one.

    Raises:
        InputError: if there are none, a name gives no step, two give the same one, or it is unclear which are meant.
    """
    found = list_snapshots(source)
    for before, after in pairwise(found):
        if before.step == after.step:
            both = f"{before.path.name} and {after.path.name} of {after.path.parent}"
            if before.path.parent != after.path.parent:
                both = f"{before.path} and {after.path}"
            raise InputError(f"step {after.step} is in both {both}: remove one")
    return found


def list_snapshots(source: Path) -> list[Snapshot]:
    """List the snapshots of a series as `find_snapshots` does, but with every one where several give the same step.

    Args:
        source: See `find_snapshots`.

    Returns:
        The snapshots by ascending step, then by path.

    Raises:
        InputError: as `find_snapshots`.
    """
    if not source.is_dir():
        if not glob.has_magic(str(source)):
            raise InputError(f"no folder at {source}: give a folder of snapshots (step_00000100.safetensors, ...)")
        found = _matches(source)
    elif in_hub_cache(source):
        found = _revisions(source.parent if source.name == "snapshots" else source)
    else:
        paths = _entries(source / "snapshots" if (source / "snapshots").is_dir() else source)
        found = [Snapshot(_step_of(path), path) for path in paths]
    return sorted(found, key=lambda snapshot: (snapshot.step, str(snapshot.path)))


def _entries(place: Path) -> list[Path]:
    """Return the files or the folders of one folder that are its snapshots."""
    visible = sorted(path for path in place.iterdir() if not path.name.startswith("."))
    if any(path.name.endswith(INDEX) for path in visible):
        raise InputError(f"{place} is one snapshot, in shards with an index: give the folder that holds all snapshots")
    files = [path for path in visible if path.suffix == ".safetensors" and path.is_file()]
    if not any(_integers(path) for path in files):
        folders = [path for path in visible if path.is_dir() and not (path / "snapshots").is_dir()]
        folders = [path for path in folders if weights_in(path)]
        if folders:
            return folders
    if files:
        return files
    pickles = [path for path in visible if path.suffix in PICKLES and is_weights(path)]
    if pickles:
        return pickles
    refused = [path.name for path in visible if path.suffix in _REFUSED]
    if refused:
        raise InputError(
            f"{place} holds pickles ({refused[0]}) where safetensors files are expected; pickles are not opened: "
            "where you trust them, write their tensors with safetensors.torch.save_file(tensors, new_path)"
        )
    raise InputError(f"no snapshots in {place}: expected files like step_00000100.safetensors")


def _matches(pattern: Path) -> list[Snapshot]:
    """Return what a glob matches: files of weights and folders that hold some; shards stand for their folder."""
    found = set()
    for path in map(Path, glob.glob(str(pattern), recursive=True)):
        if path.name.endswith(INDEX) or (is_weights(path) and _SHARD.search(path.stem)):
            found.add(path.parent)
        elif is_weights(path) or (path.is_dir() and weights_in(path)):
            found.add(path)
    if not found:
        raise InputError(f"{pattern} matches no snapshots: no file .safetensors, {', '.join(PICKLES)} and no folder of")
    return [Snapshot(_step_of(path, nearest=True), path) for path in sorted(found)]


def in_hub_cache(source: Path) -> bool:
    """Tell whether a folder is a repository in Hugging Face's cache, or its subfolder `snapshots`."""
    repository = source.parent if source.name == "snapshots" else source
    return (repository / "refs").is_dir() and (repository / "snapshots").is_dir()


def _revisions(repository: Path) -> list[Snapshot]:
    """Return the downloaded revisions of a cached repository whose names hold a step."""
    found, names = [], []
    for reference in sorted(path for path in (repository / "refs").rglob("*") if path.is_file()):
        names.append(reference.name)
        place = repository / "snapshots" / reference.read_text().strip()
        if _integers(reference) and place.is_dir():
            found.append(Snapshot(_step_of(reference), place))
    if not found:
        raise InputError(
            f"no downloaded revision of {repository} has a step in its name, such as step1000 (it has "
            f"{', '.join(names[:8]) or 'no named revisions'}): download some; nothing is downloaded here"
        )
    return found


def _name(path: Path) -> str:
    return path.stem if path.suffix in (".safetensors", *PICKLES) else path.name


def _integers(path: Path) -> list[str]:
    return re.findall(r"\d+", _name(path))


def _step_of(path: Path, *, nearest: bool = False) -> int:
    places: Iterable[Path] = (path, *path.parents) if nearest else (path,)
    place = next((place for place in places if _integers(place)), path)
    numbers = _integers(place)
    if len(numbers) != 1:
        numbers = re.findall(r"step[_=-]?(\d+)", _name(place))
    if len(numbers) != 1:
        raise InputError(
            f"cannot tell the step of {path}: its name must hold exactly one integer (step_00000100.safetensors); "
            "rename it, move it away, or give a glob that leaves it out"
        )
    return int(numbers[0])
