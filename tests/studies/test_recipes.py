"""Recipes by name, and recipes that a user brings in a file of their own."""

from pathlib import Path

import pytest

from spectraledge import InputError
from spectraledge.analyses.onsets import check_control
from spectraledge.studies import ANALYSES, RECIPES, AnalysisConfig, recipe
from spectraledge.studies.recipes import first_seeds

MINE = """
from spectraledge import RunConfig, named_task
from spectraledge.studies import AnalysisConfig, StudyConfig
from spectraledge.tasks import task_from_table

def mine(*, seeds, budget):
    task = named_task("maximum", modulus=5)
    sizes = {"width": 8, "heads": 2, "hidden": 8}
    runs = tuple(RunConfig.for_task(task, sizes, seed=seed, steps=20, every=5) for seed in seeds)
    return StudyConfig(name="mine", runs=runs, analysis=AnalysisConfig(analyses=("spectrum",), window=5))

def fails(*, seeds, budget):
    raise ZeroDivisionError("no")

def nothing(*, seeds, budget):
    return None

def elsewhere(*, seeds, budget):
    return mine(seeds=seeds, budget=budget).model_copy(update={"name": "../x"})

def run_elsewhere(*, seeds, budget):
    study = mine(seeds=seeds, budget=budget)
    return study.model_copy(update={"runs": (study.runs[0].model_copy(update={"task": "../x"}),)})

def idle(*, seeds, budget):
    return StudyConfig(name="idle", runs=())

def of_table(*, seeds, budget, name="add"):
    task = task_from_table([[max(a, b) for a in range(5)] for b in range(5)], name=name)
    return StudyConfig(name="mine", runs=(RunConfig.for_task(task, seed=1),))

def of_function(*, seeds, budget):
    return of_table(seeds=seeds, budget=budget, name="largest")

def misspelt(*, seeds, budget):
    return StudyConfig(name="mine", runs=(), analyses=("spectrum",))

def of_others(*, seeds, budget):
    return StudyConfig(name="mine", runs=(), other_analyses={"add": ("spectrum",)})

def negative(*, seeds, budget):
    return StudyConfig(name="mine", runs=(), analysis=AnalysisConfig(stride=0))
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my_study.py"
    path.write_text(MINE)
    return path


@pytest.mark.parametrize("name", RECIPES)
def test_ours_have_their_own_names_and_every_seed(name: str) -> None:
    study = recipe(name, seeds=(1, 2), budget="small")
    assert study.name == name
    assert {run.seed for run in study.runs} == {1, 2}


def test_a_function_in_a_file_is_a_recipe(file: Path) -> None:
    study = recipe(f"{file}:mine", seeds=(3, 4))
    assert (study.name, [run.seed for run in study.runs]) == ("mine", [3, 4])
    assert study.hash == recipe(f"{file}:mine", seeds=(3, 4)).hash


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{file}:fails", "my_study.py:fails' failed: ZeroDivisionError: no; it is called with seeds="),
        ("{file}:nothing", "must return a StudyConfig, got NoneType"),
        ("{file}:elsewhere", "study '../x', name: String should match pattern"),
        ("{file}:run_elsewhere", "runs.0.task: .*the name of a task begins file names: .* got '../x'"),
        ("{file}:idle", "my_study.py:idle' makes no run for seeds 42"),
        ("{file}:of_table", "has a run on a table or function of its own, 'add', and a study makes tasks by"),
        ("{file}:of_function", "has a run on a table or function of its own, 'largest', and a study makes tasks by"),
        ("{file}:misspelt", r"failed: StudyConfig.analyses: Extra inputs are not permitted, got \('spectrum',\)$"),
        ("{file}:of_others", "failed: StudyConfig: other_analyses names no run of the study: add$"),
        ("{file}:negative", "failed: AnalysisConfig.stride: Input should be greater than or equal to 1, got 0$"),
        ("{file}:absent", "has no function 'absent'"),
        ("elsewhere.py:mine", "no Python file at elsewhere.py"),
        (
            "guess",
            "unknown study 'guess': known studies are quick, score, paper, causes, landscape, networks, groups, or my",
        ),
    ],
)
def test_what_is_no_recipe_is_refused(file: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        recipe(name.format(file=file))


def test_hashes_are_those_of_earlier_versions() -> None:
    """Folders and stamps are keyed by them: where one changes, studies that exist are measured or trained anew."""
    quick = recipe("quick")
    assert quick.hash.startswith("b4fc8a25ce01a622")
    # Before it measured the score: such a folder is a study that goes on.
    before = quick.model_copy(update={"analysis": AnalysisConfig(seed=42)})
    assert before.hash.startswith("dcd42e5fe3133509")
    assert quick.grows(before)
    paper = recipe("paper", seeds=(42, 137, 2024), budget="small")
    assert paper.hash.startswith("66d1be0a2477dba6")
    scored = {run.run_id for run in paper.runs if "score" in paper.other_analyses.get(run.run_id, ())}
    single = [run for run in paper.runs if "+" not in run.task]
    assert scored == {run.run_id for run in single if run.seed == 42}
    unscored = {
        run.run_id: tuple(name for name in paper.other_analyses[run.run_id] if name != "score")
        for run in paper.runs
        if run.run_id in paper.other_analyses and (run.weight_decay or run not in single)
    }
    before = paper.model_copy(update={"other_analyses": unscored})
    assert before.hash.startswith("5e4a2c413d95341b")
    assert paper.grows(before)
    assert recipe("quick").runs[0].run_id == "add-mod97-wd1-seed42-c5028e8e"
    found = {name: analysis.hash(AnalysisConfig())[:6] for name, analysis in ANALYSES.items()}
    assert found == {
        "spectrum": "3047d3",
        "step": "9abbc0",
        "course": "8b547d",
        "declines": "fd224d",
        "decompositions": "24c653",
        "representation": "a1d037",
        "autoencoder": "75ae3f",
        "cousage": "5af594",
        "reuse": "cd7e13",
        "score": "49dcff",
        "growth": "793ac7",
        "ablation": "ece04e",
        "branches": "391df4",
        "centroids": "23d4c6",
        "cosets": "a883b4",
        "gradients": "dcd8ea",
        "curvature": "8e729a",
    }


def test_controls_of_a_score_study_are_alike_in_all_but_answers_or_pairs() -> None:
    study = recipe("score", seeds=first_seeds(4))
    for seed in first_seeds(4):
        runs = [run for run in study.runs if run.seed == seed]
        learned, controls = runs[:3], runs[3:]
        assert [run.task for run in learned] == ["add", "sub", "mul"]
        assert len(controls) == (4 if seed in first_seeds(2) else 1)
        for own in learned:
            assert "growth" in study.other_analyses[own.run_id]
            for control in controls:
                check_control(own, control, grokked=False)
    assert study.questions == "score"
    assert recipe("score", seeds=first_seeds(8)).grows(study)
