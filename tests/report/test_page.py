"""The page as a whole: offline, complete, honest about what failed and what was not found."""

import base64
import gzip
import io
import json
import re
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pandas as pd
import pytest
from report_support import ERROR, TABLES, Reader, make_run, make_study, rows_of, unmeasured, without_bulk

from spectraledge.claims.questions import evaluate_runs
from spectraledge.pages.publishing import write_text
from spectraledge.report import run_tables, write_report
from spectraledge.report.quick import compose_by_run
from spectraledge.report.run_tables import claim_tables, files
from spectraledge.report.text import answer_table, headline, run_cards
from spectraledge.studies.results import StudyResult

FIGURES = ("shares", "selection", "frequencies", "course", "training", "eigenvalues", "bases", "waves")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    failed = make_run("sub", effect=0.1).config
    runs = (make_run("mul", effect=0.4), make_run("cubic"))
    return make_study(tmp_path_factory.mktemp("study"), *runs, failed=failed, error=ERROR)


@pytest.fixture(scope="module")
def claims(study: StudyResult) -> pd.DataFrame:
    return evaluate_runs(study.runs)


@pytest.fixture(scope="module")
def page(study: StudyResult, claims: pd.DataFrame) -> str:
    path = write_report(study, claims)
    assert path == study.folder / "report.html"
    return path.read_text()


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    return Reader(page)


def test_the_page_loads_nothing(page: str, reader: Reader):
    assert all(re.match(r"#|data:|figures/[a-z_]+\.(png|pdf|svg)$", address) for address in reader.addresses)
    assert not {"iframe", "object", "embed", "base"} & set(reader.tags)
    assert "default-src 'none'; img-src data:" in page
    scripts = re.findall(r"<script.*?</script>", page, re.DOTALL)
    library = max(scripts, key=len)
    assert "vegaEmbed" in library
    own = page.replace(library, "").replace("http://www.w3.org/2000/svg", "")
    assert not re.search("http(?!-equiv)", own)
    assert "@import" not in own
    assert "url(#" in own
    assert not re.search(r"url\((?!#)", own)
    assert len(page.encode()) < 4_000_000


@pytest.mark.parametrize("key", FIGURES)
@pytest.mark.parametrize(("form", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<svg")])
def test_every_figure_is_a_file(page: str, study: StudyResult, key: str, form: str, magic: bytes):
    path = study.folder / "figures" / f"{key}.{form}"
    assert path.read_bytes().startswith(magic)
    assert f'href="figures/{key}.{form}"' in page


def test_every_figure_says_what_nothing_would_look_like(reader: Reader):
    assert reader.text.count("If there were nothing to see,") == len(FIGURES)


def test_every_chart_is_there_with_and_without_scripts(page: str):
    places = re.findall(
        r'<div class="plot"(?: data-steps)? id="([^"]+)" role="img" aria-label="[^"]+"><div><svg ', page
    )
    # Two runs, of which one generalised: shares; selection; its frequencies; three courses, two curves and two spectra
    # of each; F and share; four pairs of pictures and their colours.
    charts = 1 + 1 + 1 + 6 + 4 + 4 + 2
    assert len(places) == len(set(places)) == charts + 8 + 1
    specs = json.loads(re.search(r'id="charts">(.*?)</script>', page)[1])
    assert set(specs) == {place for place in places if not place.startswith("waves")}
    assert len(specs) == charts


def test_names_inside_charts_are_not_shared(page: str):
    static = page.split("<script>")[0]
    names = re.findall(r'\bid="([^"]+)"', static)
    assert len(names) == len(set(names))
    assert set(re.findall(r"url\(#([^)]+)\)", static)) <= set(names)


def test_a_failed_run_is_named_with_its_message(page: str, reader: Reader, study: StudyResult):
    (run_id,) = study.failed
    assert run_id in reader.text
    assert ERROR in reader.text
    assert "<script>alert" not in page
    assert "1 run failed" in reader.text


def test_a_null_run_is_said_to_show_nothing(study: StudyResult, claims: pd.DataFrame, reader: Reader):
    learned, null = run_cards(study, claims)
    assert [finding.verdict for finding in null.findings] == ["not found"] * 4
    assert {finding.verdict for finding in learned.findings[:4]} == {"found"}
    assert "Did not generalise" in null.lead
    assert headline(study, claims) == (
        "The weight updates select the task's own functions "
        "in 1 of 1 runs that generalised and in 0 of 1 runs that did not generalise."
    )
    assert reader.text.count("not found") >= 6


def test_text_and_table_say_the_same_numbers(study: StudyResult, claims: pd.DataFrame, reader: Reader):
    tables_by_claim = {table.claim: table for table in claim_tables(study, claims)}
    shown = 0
    for number, card in enumerate(run_cards(study, claims)):
        mine = claims[(claims["run"] == study.runs[number].run_id) & (claims["claim"] != "generalises")]
        for finding, (_, claim) in zip(card.findings, mine.iterrows(), strict=True):
            table = tables_by_claim[claim["claim"]]
            cells = rows_of(table.groups[0])[card.title]
            row = dict(zip([column.title for column in table.columns[1:]], cells, strict=True))
            expected = f"{row['Value']}; null: median {row['Null median']}, 95% point {row['Null 95%']}; q = {row['q']}"
            if claim["claim"] == "selects-own-functions":
                interval = f"S = {row['Value']}, 95% interval {row['95% interval']}; no selection: 1"
                expected = f"{interval}; p = {row['p']}, q = {row['q']}"
            assert finding.numbers == expected
            assert row["Verdict"] == finding.verdict == claim["verdict"]
            assert finding.numbers in reader.text
            shown += 1
    assert shown == 9


def test_shares_are_those_of_the_claims(study: StudyResult, claims: pd.DataFrame):
    own = claims[(claims["claim"] == "own-variable") & (claims["run"] == study.runs[0].run_id)].iloc[0]
    edge = study.runs[0].modes.query("kind == 'edge' and basis == 'dlog_sum' and method == 'jvp'")["energy_share"]
    assert f"{sorted(edge)[-2]:.1%}" in run_cards(study, claims)[0].findings[1].numbers
    assert own["value"] == sorted(edge)[-2]


def test_numbers_say_their_window_and_step(reader: Reader):
    assert "Modes measured at step 3,000, window of W = 20 updates, centred" in reader.text
    assert "each trailing window of W = 20 updates, not centred" in reader.text


def test_tables_can_be_taken_from_the_page(page: str, study: StudyResult, claims: pd.DataFrame):
    found = re.findall(r'href="data:text/csv;charset=utf-8,([^"]+)" download="([a-z]+)\.csv"', page)
    taken = {name: pd.read_csv(io.StringIO(unquote(content))) for content, name in found}
    packed = re.findall(r'href="data:application/gzip;base64,([^"]+)" download="([a-z]+)\.csv\.gz"', page)
    assert packed
    taken |= {name: pd.read_csv(io.BytesIO(gzip.decompress(base64.b64decode(content)))) for content, name in packed}
    # Pictures of two runs are longer than a page should be.
    assert set(taken) == {"claims", "metrics", "spectrum", "edge", "modes", "characters", *TABLES}
    assert len(taken["claims"]) == len(claims)
    assert set(taken["modes"]["run"]) == {run.run_id for run in study.runs}
    shares = pd.concat([run.modes["energy_share"] for run in study.runs])
    np.testing.assert_allclose(taken["modes"]["energy_share"], shares, rtol=1e-5)


def test_tables_that_are_too_long_are_left_in_the_folder(study: StudyResult, claims: pd.DataFrame, monkeypatch):
    rows = sum(len(run.modes) for run in study.runs)
    for limit, there in ((rows, True), (rows - 1, False)):
        monkeypatch.setattr(run_tables, "_LONGEST", limit)
        assert ("modes" in files(study, claims)) == there


def test_the_question_is_answered_run_by_run(study: StudyResult, claims: pd.DataFrame, reader: Reader):
    answers = answer_table(study, claims)
    learned, null = (row.cells[1:] for row in answers.groups[0].rows)
    rows = claims[claims["claim"] == "selects-own-functions"].set_index("run")
    for cells, run in zip((learned, null), study.runs, strict=True):
        row = rows.loc[run.run_id]
        assert cells[:3] == (row["verdict"], f"{row['value']:.2f}", f"{row['low']:.2f} to {row['high']:.2f}")
        assert " ".join(cells[1:]) in reader.text
    assert (learned[0], learned[1], learned[4]) == ("found", "5.00", "at step 2,600")
    assert (null[0], null[1], null[4]) == ("not found", "1.00", "no")


def test_selected_frequencies_are_told_or_not_found(study: StudyResult, claims: pd.DataFrame, reader: Reader):
    learned, null = (card.notes[0] for card in run_cards(study, claims))
    assert learned.startswith(
        "Single frequencies of dlog a + dlog b that the updates select: 2 of 48, most of all "
        "ω 3 (S = 9.00) and ω 26 (S = 9.00)"
    )
    assert null == "Single frequencies of the answer that the updates select: not found."
    assert learned in reader.text


@pytest.mark.usefixtures("unrastered")
def test_without_the_new_tables_the_page_leads_with_the_edge(tmp_path: Path):
    study = make_study(tmp_path, unmeasured(make_run("add", effect=0.4)))
    claims = evaluate_runs(study.runs)
    page = write_report(study, claims).read_text()
    text = Reader(page).text
    assert headline(study, claims).startswith("The largest directions of the weight updates move functions")
    assert headline(study, claims) in text
    assert answer_table(study, claims) is None
    assert text.count("Not drawn: no run of this study has what it shows.") == 3
    assert 'id="measured"' not in page
    assert 'id="changes"' not in page
    assert not (tmp_path / "figures" / "selection.png").exists()


def test_published_values_stand_beside_ours(reader: Reader):
    assert "Ours, finite difference" in reader.text
    assert "0.054" in reader.text


def test_the_same_study_gives_the_same_files(page: str, study: StudyResult, claims: pd.DataFrame, tmp_path: Path):
    again = write_report(study, claims, out=tmp_path / "elsewhere")
    assert again.read_text() == page
    for form in ("png", "pdf", "svg"):
        name = f"figures/shares.{form}"
        assert (again.parent / name).read_bytes() == (study.folder / name).read_bytes()


def test_a_study_without_finished_runs_says_so(tmp_path: Path):
    study = make_study(tmp_path, failed=make_run("add").config, error=ERROR)
    page = write_report(study, pd.DataFrame()).read_text()
    assert "No run of this study has finished" in Reader(page).text
    assert ERROR in Reader(page).text
    assert not (tmp_path / "figures").exists()


@pytest.mark.usefixtures("unrastered")
def test_one_run_that_never_grokked_without_bulk_edge_or_claims(tmp_path: Path):
    study = make_study(tmp_path, without_bulk(make_run("add")))
    page = write_report(study, pd.DataFrame()).read_text()
    text = Reader(page).text
    assert "no claim has been evaluated yet" in text
    assert "Not drawn: no run of this study has what it shows." in text
    assert "bulk: bulk directions of the same window" not in text
    assert not (tmp_path / "figures" / "bases.png").exists()
    assert (tmp_path / "figures" / "eigenvalues.png").exists()
    assert 'id="eigenvalues-0-0"' in page
    assert 'id="eigenvalues-0-1"' not in page


@pytest.mark.usefixtures("unrastered")
def test_the_same_report_as_text(study: StudyResult, claims: pd.DataFrame, tmp_path: Path):
    report = compose_by_run(study, claims)
    text = write_text(report, tmp_path).read_text()
    links = set(re.findall(r"\]\(([^)]+)\)", text))
    assert {"claims.csv", "figures/shares.png", "figures/waves.png"} <= links
    assert all((tmp_path / link).is_file() for link in links)
    assert headline(study, claims).replace("*", "") in text
    assert "<script" not in text
    grids = [block.split("\n") for block in text.split("\n\n") if block.startswith("| ")]
    assert len(grids) > 10
    for lines in grids:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, lines[0]
