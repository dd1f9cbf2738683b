"""Results in a notebook: HTML that needs nothing from outside, and plots that are files."""

from io import BytesIO
from pathlib import Path

import altair as alt
import pytest
import vl_convert
from PIL import Image
from report_support import Reader, make_run, make_study, unmeasured

from spectraledge.errors import InputError
from spectraledge.pages.document import ROWS
from spectraledge.report.notebook import FigurePlot, html, plot
from spectraledge.studies.results import StudyResult


@pytest.fixture(scope="module")
def study() -> StudyResult:
    return make_study(Path(), make_run("mul", effect=0.4), make_run("cubic"))


def test_html_is_a_sentence_a_picture_and_ten_rows(study: StudyResult) -> None:
    shown = study.runs[0]._repr_html_()
    page = Reader(shown)
    assert "the updates select functions of dlog a + dlog b" in page.text
    assert "If there were nothing to see," in page.text
    assert page.tags.count("img") == 1
    assert 2 <= page.tags.count("tr") <= ROWS + 1
    assert "script" not in page.tags
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert len(shown) < 300_000


def test_more_rows_than_ten_are_counted(study: StudyResult) -> None:
    many = make_study(Path(), *(make_run(task, effect=0.4, seed=seed) for seed in (1, 2, 3) for task in ("add", "sub")))
    many = make_study(Path(), *many.runs, *(make_run("mul", effect=0.4, seed=seed) for seed in range(4, 10)))
    page = Reader(many._repr_html_())
    assert page.tags.count("tr") == ROWS + 1
    assert "10 of 12 rows, all of them in the report" in page.text
    assert "the first 5 runs of 12" in page.text


def test_what_is_named_by_a_user_is_no_markup(study: StudyResult) -> None:
    run = study.runs[0]
    named = run.with_tables(selection=run.table("selection").assign(basis="<b>", subspace="frequency"))
    assert "<b>" not in html("run", named)


def test_a_plot_is_the_same_file_each_time_and_a_chart_to_change(study: StudyResult, tmp_path: Path) -> None:
    drawn = study.plot()
    assert isinstance(drawn, FigurePlot)
    for name, begins in (("one.PNG", b"\x89PNG"), ("one.pdf", b"%PDF"), ("one.svg", b"<svg")):
        drawn.save(tmp_path / name)
        study.plot().save(str(tmp_path / f"again-{name}"))
        content = (tmp_path / name).read_bytes()
        assert content.startswith(begins)
        assert content == (tmp_path / f"again-{name}").read_bytes()
    with Image.open(BytesIO(drawn.encoded("png"))) as image:
        assert image.width > 680
    with pytest.raises(InputError, match=r"saved as \.png, \.pdf, \.svg, got .*one\.jpg"):
        drawn.save(tmp_path / "one.jpg")
    chart = drawn.altair
    assert isinstance(chart, alt.VConcatChart)
    assert "data:image/png;base64," in drawn._repr_html_()
    assert len(chart.to_dict()["vconcat"]) == len(drawn.figure.charts)


def test_charts_over_training_are_altairs_too(study: StudyResult) -> None:
    chart = plot("run", unmeasured(study.runs[1])).altair
    shown = vl_convert.vegalite_to_svg(chart.to_dict())
    assert shown.count("training step") == 2


def test_nothing_to_draw_is_said() -> None:
    empty = make_study(Path())
    assert Reader(empty._repr_html_()).text.strip().startswith("No run of this study has finished")
    with pytest.raises(InputError, match="nothing to draw yet: No run of this study"):
        plot("study", empty)
