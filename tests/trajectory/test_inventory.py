"""What a run folder lists of its files, and what it says of files that are not those."""

import shutil
from pathlib import Path

import pytest

from recorded_runs import unlisted
from spectraledge.errors import DamageError
from spectraledge.files import fingerprint, write_sealed
from spectraledge.trajectory import Inventory, Manifest, Series, moves_path, snapshot_path, whole
from spectraledge.trajectory.inventory import check_series, damages


@pytest.fixture
def copied(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "run"))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 128
    path.write_bytes(content)


def test_every_file_of_a_run_is_listed(run: Path) -> None:
    listed = Inventory.read(run)
    assert listed is not None
    found = {path.relative_to(run).as_posix() for path in run.rglob("*.*") if not path.name.startswith(".")}
    assert set(listed.files) == found - {"run.json", "files.json"}
    assert all(fingerprint(run / name) == expected for name, expected in listed.files.items())
    assert damages(run) == []


def test_the_list_is_written_as_any_sealed_file_is(run: Path, tmp_path: Path) -> None:
    listed = Inventory.read(run)
    assert listed is not None
    files = {**listed.files, 'a "name" — \n': listed.files["gram.parquet"]}
    Inventory(tmp_path, files).write()
    write_sealed(tmp_path / "expected", {"files": dict(sorted(files.items()))})
    assert (tmp_path / "files.json").read_bytes() == (tmp_path / "expected").read_bytes()


@pytest.mark.parametrize("name", ["domain.parquet", "metrics.parquet", "gram.parquet"])
def test_tables_are_checked_when_they_are_read(copied: Path, name: str) -> None:
    assert whole(copied / name) == copied / name
    flip(copied / name)
    with pytest.raises(DamageError, match=rf"{name} is not what was written .*--repair"):
        whole(copied / name)
    assert (
        damages(copied, quick=True)
        == damages(copied)
        == [f"{copied / name} is not what was written (its CRC-32 differs)"]
    )
    # A run that goes on replaces them.
    Manifest.read(copied).model_copy(update={"status": "running"}).write(copied)
    assert whole(copied / name) == copied / name


def test_a_series_is_refused_where_a_file_is_gone_or_foreign(copied: Path) -> None:
    place = snapshot_path(copied, 100)
    kept = place.read_bytes()
    place.unlink()
    for source in (copied, copied / "snapshots"):
        with pytest.raises(DamageError, match=r"step_00000100.safetensors is missing"):
            Series.open(source)
    place.write_bytes(kept)
    check_series(copied)
    shutil.copy(place, snapshot_path(copied, 110))
    with pytest.raises(DamageError, match=r"step_00000110.safetensors was not written by this run"):
        Series.open(copied)
    with pytest.raises(DamageError, match="was not written by this run"):
        whole(snapshot_path(copied, 110))
    snapshot_path(copied, 110).unlink()
    flip(moves_path(copied, 100))
    check_series(copied)
    assert damages(copied) == [f"{moves_path(copied, 100)} is not what was written (its CRC-32 differs)"]


def test_a_lost_or_broken_list_is_damage_and_a_run_without_one_is_old(copied: Path) -> None:
    listed = copied / "files.json"
    kept = listed.read_text()
    for content in ("{}", kept.replace('"domain', '"romain'), kept[:-9], '{"digest": 3}'):
        listed.write_text(content)
        with pytest.raises(DamageError, match=r"files\.json .*--repair"):
            Inventory.read(copied)
    listed.unlink()
    assert damages(copied)[0].startswith(f"{listed} is missing")
    listed.write_text(kept)
    unlisted(copied)
    assert Inventory.read(copied) is None
    assert damages(copied) == []
    flip(copied / "gram.parquet")
    assert whole(copied / "gram.parquet") == copied / "gram.parquet"


def test_a_manifest_that_was_changed_or_lost_is_damage(copied: Path) -> None:
    manifest = copied / "run.json"
    kept = manifest.read_text()
    manifest.write_text(kept.replace('"step": 200', '"step": 100'))
    with pytest.raises(DamageError, match=r"run\.json is not what was written \(its digest differs\); .*--repair"):
        Manifest.read(copied)
    manifest.unlink()
    assert damages(copied)[0].startswith(f"{manifest} is missing")


def test_other_peoples_files_are_none_of_ours(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("[]")
    (tmp_path / "w.safetensors").write_bytes(b"x")
    assert whole(tmp_path / "w.safetensors") == tmp_path / "w.safetensors"
    check_series(tmp_path)
    assert whole(tmp_path / "none") == tmp_path / "none"
