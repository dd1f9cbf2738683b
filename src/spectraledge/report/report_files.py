"""Which report a study has, by what is asked of it; its files, and its opening as sound and as a clip."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from spectraledge.claims.verdicts import Verdicts
from spectraledge.errors import InputError
from spectraledge.files import write_bytes
from spectraledge.pages.document import Page
from spectraledge.pages.publishing import write_page, write_page_and_text, write_text
from spectraledge.report.clip import clip
from spectraledge.report.opening import opening
from spectraledge.report.over_seeds.card import card
from spectraledge.report.paper.contents import compose
from spectraledge.report.quick import compose_by_run
from spectraledge.report.score_study import compose_score
from spectraledge.report.sound import sound
from spectraledge.report.study_pages import compose_causes, compose_groups, compose_landscape, compose_networks
from spectraledge.studies.pooling import CARD_FILE, EFFECTS_FILE
from spectraledge.studies.results import StudyResult

COMPOSERS: dict[str, Callable[[StudyResult, Any], Page]] = {
    "runs": compose_by_run,
    "score": compose_score,
    "paper": compose,
    "causes": compose_causes,
    "landscape": compose_landscape,
    "networks": compose_networks,
    "groups": compose_groups,
}
"""What composes a report of what was found, by the study's questions."""


def write_report(
    study: StudyResult, claims: pd.DataFrame | Verdicts, *, out: Path | None = None, progress: str = ""
) -> Path:
    """Write a study's report: `report.html`, and `figures/*.png`, `*.pdf` and `*.svg` beside it.

    Claims over seeds make a report by sections, with what `write_results` writes beside it; claims on runs one by runs.

    Args:
        study: The finished runs; it may hold none, and any table may be missing.
        claims: What `QUESTIONS` of the study found in them; it may be empty.
        out: Folder to write into. Default: the study's own.
        progress: What it says of how far the study is; see `InterimReport`.

    Returns:
        Path of the page.
    """
    folder = study.folder if out is None else out
    page = replace(COMPOSERS[study.config.questions](study, claims), progress=progress)
    if not isinstance(claims, Verdicts):
        return write_page(page, folder)
    write_bytes(folder / CARD_FILE, card(page, study).encode())
    return write_page_and_text(page, folder)


def write_results(study: StudyResult, verdicts: Verdicts, out: Path) -> Path:
    """Write the part of the report that is small enough for a repository: no page, figures as PNG, tables as CSV.

    What was measured in every run is beside it with all digits, so that more seeds can join; see `pool`.

    Args:
        study: The finished runs.
        verdicts: What was measured in them, and what their seeds say of the claims.
        out: Folder to write into.

    Returns:
        Path of `report.md`.
    """
    page = COMPOSERS[study.config.questions](study, verdicts)
    write_bytes(out / EFFECTS_FILE, verdicts.effects.rows.to_csv(index=False).encode())
    write_bytes(out / CARD_FILE, card(page, study).encode())
    return write_text(page, out)


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
