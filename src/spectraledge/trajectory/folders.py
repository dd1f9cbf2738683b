"""A snapshot that is a folder: which of its files hold the weights."""

import re
from collections.abc import Iterable
from pathlib import Path

from spectraledge.errors import InputError
from spectraledge.trajectory.formats import FILES, stem
from spectraledge.trajectory.formats.distributed import METADATA
from spectraledge.trajectory.formats.sharded import INDEX

_USUAL = ("model.safetensors", "pytorch_model.bin")
"""What Transformers calls an unsharded model, preferred to whatever else a folder holds."""

_FURTHER = re.compile(r"(model|pytorch_model)_\d+\.(safetensors|bin)")
"""What Accelerate calls the second network of a training and those behind it, beside the first under a usual name."""

_STATE = {"optim", "optimizer", "optimizers", "scheduler", "scaler", "rng", "args", "trainer"}
"""Words in the names of files and folders that trainers write beside the weights."""

_SHARD = re.compile(r"-\d{5}-of-\d{5}\.")
_RANK = re.compile(r"(?<![a-z])(mp_rank|rank|consolidated|tp|pp)[._-]?\d+(_\d+)?", re.IGNORECASE)
_PARTS = re.compile(r"zero_pp_rank_\d+_mp_rank_\d+_model_states|layer_\d+-model_\d+-model_states")
"""Parts of a network that DeepSpeed writes one by one: of ZeRO-3, and of a pipeline."""


def is_weights(path: Path) -> bool:
    """Tell whether a path is a file of weights by its name, or a link to one that is gone, and no trainer's state."""
    named = path.name.endswith(FILES) and not path.name.startswith(".") and not is_state(path)
    return named and (path.is_file() or not path.exists())


def is_state(path: Path) -> bool:
    """Tell whether a file or folder is a trainer's state by its name, and not a model's (model_optim_rng.pt is)."""
    words = set(re.split(r"[_.\-]", path.name.lower()))
    return (bool(words & _STATE) and "model" not in words) or stem(path.name) == "train"


def is_shard(path: Path) -> bool:
    """Tell whether a file is one of several behind an index, by its name."""
    return bool(_SHARD.search(path.name))


def is_rank(path: Path) -> bool:
    """Tell whether a file is of a checkpoint of DeepSpeed, by its name."""
    return path.name.startswith("mp_rank_") and path.is_file()


def weights_in(folder: Path) -> Path | None:
    """Choose the file of weights in the folder of one snapshot, None where there is none.

    First a distributed checkpoint; then, as Transformers does, of safetensors and else of PyTorch's files the one that
    Transformers names so, an index of shards, or the only one that is no optimiser, scheduler or other state of a
    trainer.

    Args:
        folder: The folder.

    Returns:
        An index (`*.index.json`), `.metadata` or a file.

    Raises:
        InputError: if several files have the same right, or each holds a part of the network.
    """
    files = sorted(folder.iterdir())
    if (folder / METADATA).is_file() and any(path.name.endswith(".distcp") for path in files):
        return folder / METADATA
    weights = [path for path in files if is_weights(path)]
    _check_parts(folder, weights)
    of_usual_name = [[path for path in weights if path.name == name] for name in _USUAL]
    choices = [
        of_usual_name[0],
        [path for path in files if path.name.endswith(f".safetensors{INDEX}")],
        [path for path in weights if path.suffix == ".safetensors"],
        of_usual_name[1],
        [path for path in files if path.name.endswith(f".bin{INDEX}")],
        weights,
    ]
    chosen = next((choice for choice in choices if choice), [])
    if any(is_shard(path) for path in chosen):
        raise InputError(f"{folder} holds shards ({chosen[0].name}) without their index: copy its {INDEX} file, too")
    chosen += [path for path in weights if chosen and _FURTHER.fullmatch(path.name) and path not in chosen]
    if len(chosen) > 1:
        several = (
            f"{folder} has several files of weights ({', '.join(path.name for path in chosen[:4])}) and no one index"
        )
        if len({re.sub(r"\d+", "#", path.name) for path in chosen}) == 1:
            raise InputError(f"{several}: if these are a series, give {folder}")
        raise InputError(f"{several}: give a glob that names one, such as '{folder.parent}/*/{chosen[0].name}'")
    return chosen[0] if chosen else None


def other_weights(folder: Path) -> list[str]:
    """Name the files of weights that a folder of one snapshot holds beside those that Transformers would take.

    Such are an average, an adapter, or shards, and weights in folders in it; a second network of the training is
    refused, see `weights_in`. PyTorch's copies of what is there as safetensors are none.

    Args:
        folder: The folder.

    Returns:
        Their names; none where the weights are chosen otherwise.
    """
    chosen = weights_in(folder)
    if chosen is None or not chosen.name.endswith((*_USUAL, INDEX)):
        return []
    every = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and not is_state(path)]
    suffix = Path(chosen.name.removesuffix(INDEX)).suffix
    copies = tuple(name for name in _USUAL if not name.endswith(suffix))
    indices = [path for path in every if path.name.endswith(f"{suffix}{INDEX}")]
    files = [path for path in every if is_weights(path) and not is_shard(path) and path.name not in copies]
    inner = [found for path in every if path.is_dir() and (found := _weights_or_none(path))]
    return [path.relative_to(folder).as_posix() for path in sorted([*indices, *files, *inner]) if path != chosen]


def _weights_or_none(folder: Path) -> Path | None:
    """Return the file of weights in a folder, None also where there are several or parts of one network."""
    try:
        return weights_in(folder)
    except InputError:
        return None


def snapshots_in(folder: Path) -> list[Path]:
    """List the snapshots that a folder is or holds one level below.

    Trainers put weights into a folder of their own beside the optimiser's: `iter_0000500/mp_rank_00`,
    `step1000/model_and_optim`, `checkpoint_3/pytorch_model_fsdp_0`, `epoch_1/step_100`.

    Args:
        folder: The folder.

    Returns:
        Itself, or folders in it; empty where there are no weights.
    """
    if weights_in(folder):
        return [folder]
    inner = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    inner = [path for path in inner if not is_state(path) and weights_in(path)]
    _check_parts(folder, inner)
    distributed = [path for path in inner if (path / METADATA).is_file()]
    return distributed or inner


def check_whole(paths: Iterable[Path]) -> None:
    """Refuse what was chosen of the parts that parallel processes wrote.

    Args:
        paths: Chosen files or folders, whose step is in the name of a folder above.
    """
    for folder in {folder for path in paths for folder in (path.parent, path.parent.parent)}:
        _check_parts(folder, [other for other in sorted(folder.iterdir()) if is_weights(other) or other.is_dir()])


def _check_parts(folder: Path, paths: list[Path]) -> None:
    """Refuse a folder in which each file or folder holds a part of a network.

    Args:
        folder: The folder.
        paths: What holds weights in it.

    Raises:
        InputError: if there are parts.
    """
    parts = [path.name for path in paths if _PARTS.search(path.name)]
    ranks = [path.name for path in paths if _RANK.search(path.name)]
    if parts or len(ranks) > len({_RANK.sub("", name) for name in ranks}):
        shown = (parts or ranks)[:3]
        raise InputError(
            f"{folder} holds a network in parts of several processes ({', '.join(shown)}), which are not put together "
            "here: convert it into one file first, with the zero_to_fp32.py that DeepSpeed leaves beside it or the "
            "tools of what wrote it"
        )
