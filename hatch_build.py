"""Compiles `src/spectraledge/native/*.c`, once per instruction set, whenever the package is built.

Without a compiler the package works all the same: PyTorch does the work then, slower.
"""

import os
import platform
import shlex
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FLAGS = ["-std=c11", "-O3", "-ffp-contract=fast", "-Wall", "-shared", "-fPIC"]
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
        sources = sorted(Path(self.root, folder).glob("*.c"))
        compiler = shlex.split(os.environ.get("CC", "cc"))
        for name, extra in INSTRUCTION_SETS.items():
            library = Path(self.root, folder, f"{name}.so")
            partial = library.with_suffix(".partial")
            try:
                command = [*compiler, *FLAGS, *extra, *sources, "-lm", "-o", partial]
                subprocess.run(command, check=True, capture_output=True)
            except (OSError, subprocess.CalledProcessError) as error:
                library.unlink(missing_ok=True)
                self.app.display_warning(f"{folder} is not compiled, PyTorch will be used: {error}")
                return
            partial.replace(library)
            build_data["artifacts"].append(f"{folder.as_posix()}/{library.name}")
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
