"""The recipe `networks` through every path: trained, its spectra measured, judged and reported."""

import shutil
from pathlib import Path

import pandas as pd
import pytest

from spectraledge import InputError
from spectraledge.claims.network_claims import CONTROLS, NETWORK_CLAIMS
from spectraledge.claims.questions import QUESTIONS
from spectraledge.claims.verdicts import Verdicts
from spectraledge.report.over_seeds.methods import study_command
from spectraledge.report.report_files import write_report, write_results
from spectraledge.studies import Backend, StudyResult, first_seeds, pool, recipe, run_study
from spectraledge.studies.study import _claim_folder

pytestmark = pytest.mark.usefixtures("unrastered")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    folder = tmp_path_factory.mktemp("networks") / "study"
    return run_study(recipe("networks", seeds=first_seeds(2), budget="small"), folder, backend=Backend(jobs=1))


@pytest.fixture(scope="module")
def parts(study: StudyResult, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same runs in a folder for every seed."""
    folders = []
    for seed in first_seeds(2):
        folders.append(tmp_path_factory.mktemp("part"))
        part = study.config.of(run for run in study.config.runs if run.seed == seed)
        for run in part.runs:
            shutil.copytree(study.folder / "runs" / run.run_id, folders[-1] / "runs" / run.run_id)
        run_study(part, folders[-1], backend=Backend(jobs=1))
    return folders


def test_it_is_trained_judged_and_reported(study: StudyResult, tmp_path: Path) -> None:
    assert (study.failed, study.missing) == ({}, ())
    assert len(study.runs) == 2 * (1 + len(CONTROLS) + 2)
    assert all(len(run.spectrum) and len(run.edge) for run in study.runs)
    claims = pd.read_parquet(study.folder / "claims.parquet")
    assert list(claims["claim"]) == [claim.id for claim in NETWORK_CLAIMS]
    assert claims.set_index("claim").loc["muon-nearer-edge", "seeds"] == 2
    page = write_report(study, QUESTIONS["networks"](study.runs), out=tmp_path)
    assert "Generalising, or weight decay?" in page.read_text()
    text = (tmp_path / "report.md").read_text()
    assert "Made with `spectraledge study run networks --seeds 2 --budget small`" in text
    assert (tmp_path / "tables" / "optimizer-table.csv").is_file()


def test_seeds_from_several_folders_are_one_study(study: StudyResult, parts: list[Path], tmp_path: Path) -> None:
    whole = QUESTIONS["networks"](study.runs)
    assert isinstance(whole, Verdicts)
    # Of the first seed the numbers alone are kept.
    alone, verdicts = pool(parts[:1])
    write_results(alone, verdicts, tmp_path / "first")
    for folders in (parts[::-1], [parts[1], tmp_path / "first"], [tmp_path / "first", parts[1]]):
        pooled, verdicts = pool(folders)
        assert pooled.config == study.config
        pd.testing.assert_frame_equal(verdicts.claims, whole.claims, rtol=1e-12)
        pd.testing.assert_frame_equal(verdicts.by_seed, whole.by_seed, rtol=1e-12)
        assert (pooled.failed, pooled.missing) == ({}, ())
    assert {run.config.seed for run in pooled.runs} == {first_seeds(2)[1]}
    text = write_results(pooled, verdicts, tmp_path / "both").read_text()
    assert "Made with `spectraledge study run networks --seeds 2 --budget small`" in text
    assert "of 7 more, numbers alone are kept" in text
    assert len(pd.read_csv(tmp_path / "both" / "effects.csv")) == len(whole.effects.rows)


def test_a_part_says_how_it_is_made(parts: list[Path], tmp_path: Path) -> None:
    text = write_results(*pool(parts[1:]), tmp_path).read_text()
    assert "Made with `spectraledge study run networks --seeds 2 --skip 1 --budget small`" in text


def test_seeds_with_a_gap_are_not_said_to_be_a_start_or_an_end_of_the_list(tmp_path: Path) -> None:
    every = recipe("networks", seeds=first_seeds(3), budget="small")
    for kept, words in (
        ((42, 2024), "--seeds 2"),
        ((137, 2024), "--seeds 3 --skip 1 --budget small"),
        ((42, 137, 2024), "--seeds 3 --budget small"),
        ((2024,), "--seeds 3 --skip 2 --budget small"),
    ):
        config = every.of(run for run in every.runs if run.seed in kept)
        assert study_command(StudyResult(config, tmp_path, (), {}, ())) == f"spectraledge study run networks {words}"
    own = recipe("networks", seeds=(12345,), budget="small")
    found = study_command(StudyResult(own, tmp_path, (), {}, ()))
    assert found == "spectraledge study run networks --seed 12345 --budget small"


def test_what_is_not_one_study_is_not_taken_together(parts: list[Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"7 runs are in two folders, the first add-mlp"):
        pool([parts[0], parts[0]])
    with pytest.raises(InputError, match=r"no study.json in .*: start one"):
        pool([parts[0], tmp_path])
    write_results(*pool(parts[:1]), tmp_path / "kept")
    kept = {name: (tmp_path / "kept" / name).read_text() for name in ("effects.csv", "card.md")}
    for name, old, new, message in (
        ("card.md", 'configuration: "', 'configuration: "0', "is not one that a recipe of this version makes"),
        ("card.md", "missing: []", "gone: []", r"is no study card of this version \(KeyError"),
        ("effects.csv", "effect_id", "effect", "holds no effects as this version writes them"),
        ("effects.csv", ",42,", ",many,", "is no table of effects"),
    ):
        (tmp_path / "kept" / name).write_text(kept[name].replace(old, new))
        with pytest.raises(InputError, match=message):
            pool([parts[1], tmp_path / "kept"])
        (tmp_path / "kept" / name).write_text(kept[name])
    other = recipe("causes", budget="small")
    (tmp_path / "other").mkdir()
    _claim_folder(other, tmp_path / "other", repair=False)
    with pytest.raises(InputError, match="are not of one study, with recipe, budget and first seed the same"):
        pool([parts[0], tmp_path / "other"])


def test_it_is_the_published_network() -> None:
    published = recipe("networks").runs[0]
    assert (published.model.tokens, published.model.hidden, published.model.bias) == (71, 2048, False)
    assert (published.steps, published.every, published.batch_size, published.weight_decay) == (400, 1, 0, 2e-4)


def test_there_is_no_published_budget() -> None:
    with pytest.raises(InputError, match="networks has no published budget"):
        recipe("networks", budget="published")
