"""The cache of Hugging Face: repositories as folders of revisions, named by files in `refs`."""

import re
from dataclasses import dataclass
from pathlib import Path

from spectraledge.errors import InputError
from spectraledge.trajectory.folders import snapshots_in

_NO_REVISIONS = ("refs/pr/", "refs/convert/")
"""Pull requests and conversions: whatever number is in their names, it is no step."""


_COMMIT = re.compile(rb"\w{1,128}")

_VERSION = re.compile(r"v?\d+(\.\d+)+|v\d+")


@dataclass(frozen=True)
class Revisions:
    """What of a repository lies in the cache.

    Attributes:
        places: Folder of each downloaded revision by its name, such as "step1000".
        others: Names of what else is there, with the reason why it is none.
    """

    places: dict[str, Path]
    others: tuple[str, ...]


def in_hub_cache(source: Path) -> bool:
    """Tell whether a folder is a repository in Hugging Face's cache, or its subfolder `snapshots`."""
    repository = _repository(source)
    return (repository / "refs").is_dir() and (repository / "snapshots").is_dir()


def revisions(source: Path) -> Revisions:
    """List the revisions of a cached repository that have a name; nothing is downloaded.

    Args:
        source: The repository, or its subfolder `snapshots`.

    Returns:
        Branches and tags with weights, and what else is there.
    """
    repository, places, others = _repository(source), {}, []
    references = repository / "refs"
    for reference in sorted(path for path in references.rglob("*") if path.is_file()):
        name = reference.relative_to(references).as_posix()
        place = _place(reference, repository)
        if name.startswith(_NO_REVISIONS):
            others.append(f"{name} (a pull request)" if "/pr/" in name else f"{name} (a conversion)")
        elif _VERSION.fullmatch(name):
            others.append(f"{name} (a version)")
        elif place is None or not place.is_dir():
            others.append(f"{name} (not downloaded)")
        elif not (held := _held(place)):
            others.append(f"{name} (no weights downloaded)")
        else:
            places[name] = held[0] if len(held) == 1 else place
    return Revisions(places, tuple(others))


def only_revision(repository: Path) -> Path:
    """Return the folder of a cached repository that is one checkpoint: that of its branch main, or the only one.

    Args:
        repository: The repository.

    Returns:
        The folder.

    Raises:
        InputError: if several were downloaded and none is main.
    """
    main = repository / "refs" / "main"
    places = [path for path in sorted((repository / "snapshots").iterdir()) if path.is_dir()]
    named = [path for path in places if main.is_file() and path == _place(main, repository)]
    if not named and len(places) != 1:
        raise InputError(
            f"{repository} has {len(places)} downloaded revisions and none of them is main: give that repository "
            "alone, or download one"
        )
    return (named or places)[0]


def advice(repository: Path) -> str:
    """Say how to get a series of a repository into the cache, or into folders where only commits tell the steps."""
    name = _repository(repository).name.removeprefix("models--").replace("--", "/")
    return (
        f"download its revisions, such as hf download {name} --revision step1000; where only the messages of commits "
        f"tell the steps (Step 1000), hf download {name} --revision COMMIT --local-dir checkpoints/step_1000 for each, "
        "and give checkpoints"
    )


def _place(reference: Path, repository: Path) -> Path | None:
    """Return the folder of the commit that a reference names, None where it names none."""
    commit = reference.read_bytes().strip()
    return repository / "snapshots" / commit.decode() if _COMMIT.fullmatch(commit) else None


def _held(place: Path) -> list[Path]:
    """Return the snapshots in the folder of a revision; what is wrong with it is said when it is read."""
    try:
        return snapshots_in(place)
    except InputError:
        return [place]


def _repository(source: Path) -> Path:
    return source.parent if source.name == "snapshots" else source
