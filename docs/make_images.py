"""Write the pictures of README.md from a finished study: python docs/make_images.py studies/quick."""

import dataclasses
import sys
from pathlib import Path

from spectraledge.pages.printed import draw_charts, encoded, sheet
from spectraledge.report import write_opening
from spectraledge.report.lanes import own_basis_figure
from spectraledge.report.pictures import wave_figure
from spectraledge.report.selected import selection_figure
from spectraledge.studies import load_study

IMAGES = Path(__file__).parent / "images"
SHOWN = (("sub", 1.0), ("cubic", 1.0))
"""A task that is learned, and a control: task and weight decay."""


def main() -> None:
    """Write docs/images/score.webp, wave.png, shares.png and selection.png."""
    study = load_study(Path(sys.argv[1]))
    write_opening(study, clip_to=IMAGES / "score.webp")
    shown = [run for wanted in SHOWN for run in study.runs if (run.config.task, run.config.weight_decay) == wanted]
    figures = {
        "wave": wave_figure(dataclasses.replace(study, runs=tuple(shown))),
        "shares": own_basis_figure(study),
        "selection": selection_figure(study),
    }
    for name, figure in figures.items():
        (IMAGES / f"{name}.png").write_bytes(encoded(sheet(figure, draw_charts(figure)), "png"))


if __name__ == "__main__":
    main()
