"""The manifest `run.json`: what a run is, how it was made, and how far it came."""

import functools
import json
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from spectraledge.errors import DamageError, InputError
from spectraledge.files import read_sealed, write_sealed
from spectraledge.trajectory.unfinished import PROGRESS, unfinished_text

FILE_NAME = "run.json"

MENDING = "the command that made the run (spectraledge train, or study run), given --repair, makes it again"


class Manifest(BaseModel):
    """Content of `run.json`.

    Attributes:
        config: The run's whole configuration.
        config_hash: Hex SHA-256 of it; a folder belongs to one.
        status: Where the run stands. A killed run stays "running" and resumes.
        stopped: Why training ended: "accuracy" (the stop rule), "budget" (all steps done), or "" while it has not.
        error: Message of a failed run, else "".
        step: Last step that was recorded.
        grokked_step: First recorded step with test accuracy of at least 0.95, if any.
        test_accuracy: At the last recorded step.
        wall_seconds: Time spent, over all sittings.
        seeds: Seed of each named stream.
        environment: Versions, device and threads.
        structures: Name of the own basis of each part of the task, by part; empty in runs of earlier versions.
        thinned: Steps whose snapshots were removed after the run was analysed, to save space.
        interventions: Of each intervention of the configuration what it is, of how many parameters, at how many steps
            it acted, at how many more that it was meant for it had no directions yet (idle), the rank of its subspace
            at the last of them, and the mean share of the vector's squared length that lay inside.
        listed: Whether `files.json` beside it lists the run's files (see `Inventory`); not in runs of earlier versions.
    """

    model_config = ConfigDict(extra="forbid")

    config: dict[str, Any]
    config_hash: str
    status: Literal["running", "done", "failed"] = "running"
    stopped: Literal["", "accuracy", "budget"] = ""
    error: str = ""
    step: int = 0
    grokked_step: int | None = None
    test_accuracy: float = 0.0
    wall_seconds: float = 0.0
    seeds: dict[str, int]
    environment: dict[str, Any]
    structures: dict[str, str] = {}
    thinned: list[int] = []
    interventions: list[dict[str, Any]] = []
    listed: bool = False

    def write(self, folder: Path) -> None:
        """Write `run.json` into a run folder, atomically."""
        write_sealed(folder / FILE_NAME, self.model_dump(mode="json"))

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read `run.json` of a run folder; how far an unfinished run is, its resume state says.

        Args:
            folder: The run folder.

        Returns:
            The manifest.

        Raises:
            InputError: if there is none, or it is not one of ours.
            DamageError: if it is not what was written.
        """
        path = folder / FILE_NAME
        if not path.is_file():
            raise InputError(f"no {FILE_NAME} in {folder}: it is no run folder of spectraledge")
        try:
            content, sealed = read_sealed(path)
            if content.get("status") == "running":
                content |= json.loads(unfinished_text(folder).get(PROGRESS, "{}"))
        except DamageError as error:
            raise DamageError(f"{error}; {MENDING}") from error
        try:
            found = cls.model_validate(content)
        except ValidationError as error:
            raise InputError(f"{path} is not a run manifest of this version: {error.errors()[0]['msg']}") from error
        if found.listed and not sealed:
            raise DamageError(f"{path} has lost its digest; {MENDING}")
        return found

    @staticmethod
    def present(folder: Path) -> bool:
        """Tell whether a folder has a `run.json`."""
        return (folder / FILE_NAME).is_file()


def environment(device: torch.device) -> dict[str, Any]:
    """Return versions, device and threads, as recorded beside every run."""
    return {
        "python": platform.python_version(),
        "platform": f"{sys.platform} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "threads": torch.get_num_threads(),
        **_versions(),
    }


@functools.cache
def _versions() -> dict[str, str]:
    # Looking them up takes longer than writing a manifest, which happens at every snapshot.
    return {name: version(name) for name in ("spectraledge", "torch", "numpy", "scipy", "pandas", "safetensors")}
