"""Runs that no study holds, analysed and read like those of one."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd

from spectraledge.analyses.registry import ANALYSES
from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.stamps import carry_out, read_tables
from spectraledge.errors import InputError
from spectraledge.observed.recorded_run import RecordedRun
from spectraledge.studies.belonging import check_place
from spectraledge.studies.results import StudyResult
from spectraledge.studies.study_config import StudyConfig
from spectraledge.training.metrics_tables import read_metrics
from spectraledge.trajectory import Manifest


def several_runs(
    folders: Sequence[Path],
    settings: AnalysisConfig,
    *,
    on_analysis: Callable[[Path, str], None] = lambda folder, name: None,
) -> StudyResult:
    """Return runs as a study, in order, analysed where that is not done at these settings; failed analyses are named.

    Raises:
        InputError: if a folder is no run or given twice, or belongs to a study that measured otherwise.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("a run is given twice: give each once")
    recorded = [RecordedRun.open(folder) for folder in folders]
    analyses = [ANALYSES[name] for name in settings.analyses]
    for folder in folders:
        for analysis in analyses:
            check_place(folder, analysis, settings)
    runs, failed = [], {}
    for folder, run in zip(folders, recorded, strict=True):
        tables: dict[str, pd.DataFrame] = {}
        parameters, errors = 0, list[str]()
        for analysis in analyses:
            on_analysis(folder, analysis.name)
            stamp = carry_out(folder, analysis, settings)
            errors += [f"{analysis.name}: {stamp.error}"] if stamp.error else []
            tables |= {} if stamp.error else read_tables(folder, analysis)
            parameters = max(parameters, stamp.parameters)
        if errors:
            failed[run.config.run_id] = "; ".join(errors)
        runs.append(
            RunResult(
                config=run.config,
                manifest=Manifest.read(folder),
                metrics=read_metrics(folder),
                structure=run.task.structure,
                formula=run.task.formula,
                parameters=parameters,
                tables=tables,
            )
        )
    config = StudyConfig(name="runs", runs=tuple(run.config for run in recorded), analysis=settings)
    return StudyResult(config, folders[0], tuple(runs), failed, ())
