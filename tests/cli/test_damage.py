"""Damage to any file is found by what reads it, or changes nothing; what can be made again is made again."""

import json
import random
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

import damage_matrix

_ALL = list(damage_matrix.cases())
# One case in sixteen, and all commands on a flipped bit of a snapshot, the fault that nothing but a fingerprint finds.
SAMPLE = random.Random(0).sample(_ALL, len(_ALL) // 16)
SAMPLE += [case for case in _ALL if case[:2] == (f"RUN/snapshots/{damage_matrix.STEP}", "flip")]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return damage_matrix.make(tmp_path_factory.mktemp("attacked") / "whole")


def test_no_damage_is_silent_and_none_ends_in_a_traceback(whole: Path, tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    for number, case in enumerate(SAMPLE):
        place = tmp_path / str(number)
        place.mkdir()
        verdict, said = damage_matrix.judge(case, whole, place)
        assert verdict not in ("silent", "traceback"), (case, said)
        counts[verdict] += 1
        shutil.rmtree(place)
    assert counts["refused"] > counts["unharmed"]
    assert counts["right"] > counts["unharmed"]


def test_a_damaged_snapshot_is_refused_and_repaired_to_the_last_byte(whole: Path, tmp_path: Path) -> None:
    study = Path(shutil.copytree(whole, tmp_path / "study"))
    run = damage_matrix.run_of(study)
    snapshot = run / "snapshots" / damage_matrix.STEP
    content = bytearray(snapshot.read_bytes())
    content[-5] ^= 1
    snapshot.write_bytes(content)
    found = damage_matrix.call(["study", "verify", str(study)])
    assert found.code == 2
    assert "1 files of" in found.error
    kept = damage_matrix.call(damage_matrix.COMMANDS["modes"](study, tmp_path / "modes"))
    assert kept.code == 2
    assert f"{damage_matrix.STEP} is not what was written (its CRC-32 differs)" in kept.error
    assert "given --repair, makes it again" in kept.error
    assert damage_matrix.call(damage_matrix.COMMANDS["repair"](study, tmp_path)).code == 0
    assert damage_matrix.call(["study", "verify", str(study)]).code == 0
    for path in (whole / "runs" / run.name).rglob("*"):
        # Manifests and stamps say how long things took.
        if path.is_file() and path.name != "run.json" and path.parent.name != "analyses":
            assert path.read_bytes() == (run / path.relative_to(whole / "runs" / run.name)).read_bytes(), path.name


def test_a_study_with_damaged_runs_keeps_its_manifest(whole: Path, tmp_path: Path) -> None:
    study = Path(shutil.copytree(whole, tmp_path / "study"))
    before = (study / "manifest.json").read_bytes()
    damage_matrix.run_of(study).joinpath("snapshots", damage_matrix.STEP).unlink()
    said = damage_matrix.call(damage_matrix.COMMANDS["run"](study, tmp_path))
    assert said.code == 2
    assert "1 runs are damaged" in said.error
    assert f"--out {study} --repair makes them again" in said.error
    assert (study / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("file", ["manifest.json", "RUN/analyses/step.json", "RUN/modes.parquet"])
def test_what_a_study_reads_first_is_no_dead_end(whole: Path, tmp_path: Path, file: str) -> None:
    verdict, said = damage_matrix.judge(damage_matrix.Case(file, "cut", "run"), whole, tmp_path)
    assert verdict == "right", said


def test_an_altered_table_of_an_earlier_version_is_measured_again(whole: Path, tmp_path: Path) -> None:
    study = Path(shutil.copytree(whole, tmp_path / "study"))
    run = damage_matrix.run_of(study)
    for path in (run / "analyses").glob("*.json"):
        # Earlier versions kept no fingerprints and no digests.
        stamp = json.loads(path.read_text())
        path.write_text(json.dumps({name: value for name, value in stamp.items() if name not in ("tables", "digest")}))
    table, before = run / "modes.parquet", (run / "modes.parquet").read_bytes()
    altered = pd.read_parquet(table)
    altered.loc[0, "energy_share"] += 0.5
    altered.to_parquet(table, index=False)
    assert damage_matrix.call(damage_matrix.COMMANDS["run"](study, tmp_path)).code == 0
    assert table.read_bytes() == before
    assert json.loads((run / "analyses" / "step.json").read_text())["tables"]
    assert not json.loads((run / "analyses" / "spectrum.json").read_text()).get("tables")


def test_a_copy_without_snapshots_is_whole(whole: Path, tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns("snapshots", "moves")
    study = shutil.copytree(whole, tmp_path / "study", ignore=ignored)
    assert damage_matrix.call(["study", "verify", str(study)]).code == 0
