"""`spectraledge doctor`."""

import os
import platform
import re
import tempfile
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import torch

from spectraledge.cli.options import Json, Out, Seed, show
from spectraledge.errors import InputError
from spectraledge.files import write_json
from spectraledge.native import instruction_set, load
from spectraledge.spectrum import window_spectrum
from spectraledge.streams import torch_generator


def doctor(out: Out = None, seed: Seed = 42, as_json: Json = False) -> None:
    """Show versions, threads, device and what is missing, and check one spectrum against its definition."""
    needed, optional = _requirements()
    missing = [name for name in needed if _version(name) is None]
    found = {
        "spectraledge": version("spectraledge"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "packages": [f"{name} {_version(name)}" for name in needed if _version(name)],
        "missing": missing,
        "optional_missing": [name for name in optional if _version(name) is None],
        "folder_writable": _writable(Path.cwd()),
        "native_code": "none: built without a C compiler" if load("add_band") is None else instruction_set(),
        "spectrum_error": _spectrum_error(seed),
    }
    if out:
        write_json(out / "doctor.json", found)
    show(found, as_json=as_json)
    if missing:
        raise InputError(f"{', '.join(missing)} missing: install again with `pip install spectraledge`")


def _requirements() -> tuple[list[str], list[str]]:
    needed, optional = [], []
    for line in requires("spectraledge") or []:
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        if "extra ==" not in line:
            needed.append(name)
        elif "dev" not in line.split("extra ==")[1]:
            optional.append(name)
    return needed, optional


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _spectrum_error(seed: int) -> float:
    """Return the largest relative error of our eigenvalues against squared singular values, on seeded noise."""
    generator = torch_generator(seed, "doctor")
    updates_TP = torch.randn(12, 500, dtype=torch.float64, device="cpu", generator=generator)
    ours = window_spectrum(updates_TP, window=12).eigenvalues_TW[0]
    exact = torch.linalg.svdvals(updates_TP).square()
    return float(((ours - exact).abs() / exact).max())
