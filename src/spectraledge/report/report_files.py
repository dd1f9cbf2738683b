"""Which report a study has, by what its claims are about; and its opening as sound and as a clip."""

from dataclasses import replace
from pathlib import Path

import pandas as pd

from spectraledge.claims.verdicts import Verdicts
from spectraledge.errors import InputError
from spectraledge.files import write_bytes
from spectraledge.report.clip import clip
from spectraledge.report.opening import opening
from spectraledge.report.publishing import write_page
from spectraledge.report.quick import compose_by_run
from spectraledge.report.seed_reports import write_seed_report
from spectraledge.report.sound import sound
from spectraledge.studies.results import StudyResult


def write_report(
    study: StudyResult, claims: pd.DataFrame | Verdicts, *, out: Path | None = None, progress: str = ""
) -> Path:
    """Write a study's report: `report.html`, and `figures/*.png`, `*.pdf` and `*.svg` beside it.

    Claims over seeds make a report by sections (see `write_seed_report`), claims on runs one by runs.

    Args:
        study: The finished runs; it may hold none.
        claims: What `QUESTIONS` of the study found in them; it may be empty.
        out: Folder to write into. Default: the study's own.
        progress: What it says of how far the study is; see `InterimReport`.

    Returns:
        Path of the page.
    """
    if isinstance(claims, Verdicts):
        return write_seed_report(study, claims, out=out, progress=progress)
    page = replace(compose_by_run(study, claims), progress=progress)
    return write_page(page, study.folder if out is None else out)


def write_opening(study: StudyResult, *, sound_to: Path | None = None, clip_to: Path | None = None) -> None:
    """Write a report's opening as files: its run as sound (see `sound`), all of it as a looping picture (see `clip`).

    Args:
        study: The finished runs.
        sound_to: A WAV file; None for none.
        clip_to: A WebP file; None for none.

    Raises:
        InputError: if no run that generalised has a score.
    """
    stage = opening(study)
    if stage is None:
        raise InputError(
            "no run of this study has generalised and has a score, so there is nothing to see or hear: run it again "
            "with this version, or train longer"
        )
    if sound_to:
        write_bytes(sound_to, sound(stage.acts[0]))
    if clip_to:
        write_bytes(clip_to, clip(stage))
