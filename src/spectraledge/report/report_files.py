"""Which report a study has, by what its claims are about; and its opening as sound and as a clip."""

from pathlib import Path

import pandas as pd

from spectraledge.claims.verdicts import Verdicts
from spectraledge.errors import InputError
from spectraledge.files import write_bytes
from spectraledge.report.causes_page import write_causes_report
from spectraledge.report.clip import clip
from spectraledge.report.opening import opening
from spectraledge.report.paper import write_paper_report
from spectraledge.report.publishing import write_page
from spectraledge.report.quick import compose_by_run
from spectraledge.report.sound import sound
from spectraledge.studies.results import StudyResult


def write_report(study: StudyResult, claims: pd.DataFrame | Verdicts, *, out: Path | None = None) -> Path:
    """Write a study's report: `report.html`, and `figures/*.png`, `*.pdf` and `*.svg` beside it.

    Claims over seeds make a report by sections of the paper (see `write_paper_report`), or by what was changed where
    that was the question (`write_causes_report`); claims on runs one by runs.

    Args:
        study: The finished runs; it may hold none.
        claims: What `QUESTIONS` of the study found in them; it may be empty.
        out: Folder to write into. Default: the study's own.

    Returns:
        Path of the page.
    """
    if isinstance(claims, Verdicts):
        write = write_causes_report if study.config.questions == "causes" else write_paper_report
        return write(study, claims, out=out)
    return write_page(compose_by_run(study, claims), study.folder if out is None else out)


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
