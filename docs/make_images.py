"""Write the pictures of README.md from a finished study: python docs/make_images.py studies/quick."""

import dataclasses
import sys
from pathlib import Path

from spectraledge.report.pictures import draw_all_pictures
from spectraledge.studies import load_study

COPIED = ("shares", "selection")
"""Figures of the study's report that are taken as they are."""

IMAGES = Path(__file__).parent / "images"
SHOWN = (("sub", 1.0), ("cubic", 1.0))
"""A task that is learned, and a control: task and weight decay."""


def main() -> None:
    """Write docs/images/wave.png, shares.png and selection.png."""
    study = load_study(Path(sys.argv[1]))
    shown = [run for wanted in SHOWN for run in study.runs if (run.config.task, run.config.weight_decay) == wanted]
    IMAGES.mkdir(exist_ok=True)
    draw_all_pictures(dataclasses.replace(study, runs=tuple(shown))).savefig(IMAGES / "wave.png", dpi=110)
    for name in COPIED:
        (IMAGES / f"{name}.png").write_bytes((study.folder / "figures" / f"{name}.png").read_bytes())


if __name__ == "__main__":
    main()
