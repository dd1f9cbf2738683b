"""Compiles `src/spectraledge/native/*.c`, once per instruction set, whenever the package is built.

Without a compiler the package works all the same: PyTorch does the work then, slower.
"""

import os
import platform
import shlex
import subprocess
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAGS = ["-std=c11", "-O3", "-ffp-contract=fast", "-Wall", "-fPIC"]
# What loops need to run in vectors: sums that say so, roots without `errno`, both sides of a condition.
FLAGS += ["-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math"]

INSTRUCTION_SETS = {"default": []}
if platform.machine() in {"x86_64", "AMD64"}:
    INSTRUCTION_SETS |= {"avx2": ["-mavx2", "-mfma"], "avx512": ["-mavx512f"]}


class NativeHook(BuildHookInterface):
    """Puts `<instruction set>.so` beside the sources, and into wheels."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, or say that it cannot be done."""
        folder = Path("src/spectraledge/native")
        libraries = {name: Path(self.root, folder, f"{name}.so") for name in INSTRUCTION_SETS}
        with tempfile.TemporaryDirectory() as objects:
            failures = compile_all(sorted(Path(self.root, folder).glob("*.c")), libraries, Path(objects))
        for name, failure in failures.items():
            self.app.display_warning(f"{folder} is not compiled for {name}, PyTorch will be used there: {failure}")
        made = [library.name for name, library in libraries.items() if name not in failures]
        if not made:
            return
        build_data["artifacts"] += [f"{folder.as_posix()}/{name}" for name in made]
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def compile_all(sources: list[Path], libraries: dict[str, Path], objects: Path) -> dict[str, Exception]:
    """Make the library of every instruction set, a compiler per core at a time; return what went wrong with which."""
    compiler = shlex.split(os.environ.get("CC", "cc"))

    def compiled(source: Path, name: str) -> Path:
        made = objects / f"{name}.{source.stem}.o"
        command = [*compiler, *FLAGS, *INSTRUCTION_SETS[name], "-c", source, "-o", made]
        subprocess.run(command, check=True, capture_output=True)
        return made

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        parts = {name: [pool.submit(compiled, source, name) for source in sources] for name in libraries}
    failures: dict[str, Exception] = {}
    for name, library in libraries.items():
        partial = library.with_suffix(".partial")
        try:
            command = [*compiler, "-shared", *[part.result() for part in parts[name]], "-lm", "-o", partial]
            subprocess.run(command, check=True, capture_output=True)
            partial.replace(library)
        except (OSError, subprocess.CalledProcessError) as error:
            library.unlink(missing_ok=True)
            failures[name] = error
    return failures
