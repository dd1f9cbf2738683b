"""How smoothly the opening of a report follows its slider, in Chromium without a window and without a GPU."""

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from measuring import Row, row

from spectraledge.analyses.readings import Parts
from spectraledge.modes import grouping_basis
from spectraledge.pages.document import Page, Section
from spectraledge.pages.page_writer import page_html
from spectraledge.pages.stage import Act, Stage
from spectraledge.tasks import grouping, named_task

SNAPSHOTS, RESIDUES, REPEATS = 200, 97, 3
ASKED, REFRESH = 30.0, 60.0

SCRUB = """async count => {
  const slider = document.querySelector("input[type=range]"), began = performance.now();
  for (let step = 0; step < count; step++) {
    slider.value = step;
    slider.dispatchEvent(new Event("input"));
    await new Promise(requestAnimationFrame);
  }
  return (performance.now() - began) / 1000 / count;
}"""


def stage() -> Stage:
    """Two runs with waves at random over all pairs, and one function kept lit."""
    generator = np.random.default_rng(0)
    basis = grouping_basis(grouping(named_task("add", modulus=RESIDUES), "sum"))
    sums_MM = (np.arange(RESIDUES)[:, None] + np.arange(RESIDUES)) % RESIDUES
    labels = tuple(f"ω = {k}" for k in range(1, RESIDUES // 2 + 1))

    def act(title: str) -> Act:
        share_ST = generator.uniform(0, 0.04, (len(labels), SNAPSHOTS))
        waves_TMM = generator.normal(size=(SNAPSHOTS, RESIDUES, RESIDUES))
        parts = Parts(sums_MM, basis.coefficients_GR, np.arange(2, RESIDUES, 2))
        return Act(title, "", labels, share_ST, share_ST.sum(0), share_ST[0], waves_TMM, parts, "a + b")

    return Stage((), tuple(range(SNAPSHOTS)), (act("one"), act("other")), SNAPSHOTS - 1, "", "")


def rows() -> list[Row]:
    chromium = shutil.which("chromium")
    if not chromium:
        print("page: not measured, there is no chromium", file=sys.stderr)
        return []
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as played:
        path = Path(folder) / "page.html"
        path.write_text(page_html(Page("a", "", "", "", (Section("a", "A"),), "1", stage=stage()), {}))
        tab = played.chromium.launch(executable_path=chromium, args=["--no-sandbox"]).new_page()
        tab.emulate_media(reduced_motion="reduce")
        found = []
        for address in ("", "#step=0&function=%CF%89%20%3D%205"):
            tab.goto(path.as_uri() + address)
            tab.reload()
            tab.wait_for_function("document.querySelector('.wave canvas').width > 0 && window.spectraledgeStage")
            frame = statistics.median(tab.evaluate(SCRUB, SNAPSHOTS) for _ in range(REPEATS))
            name = f"page: a frame of {SNAPSHOTS} snapshots" + (", a function lit" if address else "")
            found.append(
                row(name, 1 / ASKED, frame, 1 / ASKED / frame, 1 / REFRESH, "the display", frames_per_second=1 / frame)
            )
        return found
