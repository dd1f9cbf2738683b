"""Which study a run folder belongs to, so that nobody writes other numbers over its tables."""

from pathlib import Path

from spectraledge.analyses.analysis import Analysis
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.errors import InputError
from spectraledge.studies.results import STUDY_FILE, read_study_config
from spectraledge.studies.study_config import analyses_of


def check_place(folder: Path, analysis: Analysis, settings: AnalysisConfig) -> None:
    """Check that an analysis may write into a run folder: alone anything, in a study only what that has measured."""
    place = folder.resolve()
    study_folder = place.parent.parent
    if place.parent.name != "runs" or not (study_folder / STUDY_FILE).is_file():
        return
    study = read_study_config(study_folder)
    run = next((run for run in study.runs if run.run_id == place.name), None)
    if run is None:
        return
    of_study = study.analysis.values(*analysis.settings)
    asked = settings.values(*analysis.settings)
    if analysis.name not in {one.name for one in analyses_of(study, run)}:
        differs = f"has no {analysis.name} of this run"
    elif other := [name for name in {**of_study, **asked} if of_study.get(name) != asked.get(name)]:
        differs = "has other settings: " + ", ".join(
            f"{name} {of_study.get(name)} and not {asked.get(name)}" for name in other
        )
    else:
        return
    raise InputError(
        f"{folder} belongs to the study in {study_folder}, which {differs}; its report would mix the two: choose a "
        "folder of your own with --out"
    )
