"""The package as others get it: built as a wheel, installed where there is nothing, and asked for its health."""

import json
import subprocess
import sys
import venv
import zipfile
from email import message_from_string
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import spectraledge

ROOT = Path(__file__).parent.parent


def test_wheel_installs_and_runs_beside_what_it_asks_for_alone(tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT], check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "spectraledge/pages/templates/page.html.j2" in names
    assert "spectraledge/py.typed" in names
    assert not [name for name in names if not name.startswith("spectraledge")]
    venv.create(tmp_path / "empty")
    python = tmp_path / "empty" / "bin" / "python"
    link_requirements(zipfile.Path(wheel), next((tmp_path / "empty").glob("lib/python*/site-packages")))
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", wheel]
    subprocess.run(install, check=True, capture_output=True)
    command = [python.with_name("spectraledge"), "doctor", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found["missing"] == []
    assert {"dask", "ray", "lightning"} <= set(found["optional_missing"])
    assert found["native_code"] in {"default", "avx2", "avx512"}
    assert found["spectrum_error"] < 1e-12


def link_requirements(wheel: zipfile.Path, site: Path) -> None:
    """Lay links to what a wheel requires, and to what that requires, as it is installed here."""
    (metadata,) = (place / "METADATA" for place in wheel.iterdir() if place.name.endswith(".dist-info"))
    left = message_from_string(metadata.read_text(encoding="utf-8")).get_all("Requires-Dist", [])
    linked = set()
    while left:
        needed = Requirement(left.pop())
        if needed.name in linked or (needed.marker and not needed.marker.evaluate({"extra": ""})):
            continue
        linked.add(needed.name)
        found = distribution(needed.name)
        assert needed.specifier.contains(found.version, prereleases=True), f"{needed}, and {found.version} is here"
        left += found.requires or []
        for name in {file.parts[0] for file in found.files or []} - {"..", "__pycache__"}:
            if not (site / name).exists():
                (site / name).symlink_to(found.locate_file(name))


def test_names_at_the_top_are_imported_when_they_are_used() -> None:
    code = (
        "import sys, spectraledge\n"
        "assert 'torch' not in sys.modules\n"
        "for name in spectraledge.__all__:\n"
        "    assert getattr(spectraledge, name).__name__ == name\n"
        "assert set(spectraledge.__all__) <= set(dir(spectraledge))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="module 'spectraledge' has no attribute 'absent'"):
        spectraledge.absent  # noqa: B018


def test_every_test_file_has_its_own_name():
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)


def test_every_module_has_its_own_name():
    names = [path.name for path in Path(spectraledge.__file__).parent.rglob("*.py") if path.name != "__init__.py"]
    assert sorted(set(names)) == sorted(names)
