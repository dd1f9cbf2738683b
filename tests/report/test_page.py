"""The page as a whole: offline, complete, honest about what failed and what was not found."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from plotly.offline import get_plotlyjs
from report_support import make_run, make_study, without_bulk

from spectraledge.report import write_report
from spectraledge.report.tables import claim_tables
from spectraledge.report.text import headline, run_texts
from spectraledge.studies.claims import evaluate_claims
from spectraledge.studies.results import StudyResult

ERROR = '<script>alert("loss")</script> is nan & the run stopped'
FIGURES = ("shares", "shares_by_basis", "training", "eigenvalues", "bases", "waves")


class Reader(HTMLParser):
    """Words a reader sees, and every address the page names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.tags: list[str] = []
        self._hidden = False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self._hidden = tag in ("script", "style")
        self.addresses += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]

    def handle_endtag(self, tag):
        self._hidden = False

    def handle_data(self, data):
        if not self._hidden:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    failed = make_run("sub", effect=0.1).config
    runs = (make_run("mul", effect=0.4), make_run("cubic"))
    return make_study(tmp_path_factory.mktemp("study"), *runs, failed=failed, error=ERROR)


@pytest.fixture(scope="module")
def claims(study: StudyResult) -> pd.DataFrame:
    return evaluate_claims(study)


@pytest.fixture(scope="module")
def page(study: StudyResult, claims: pd.DataFrame) -> str:
    path = write_report(study, claims)
    assert path == study.folder / "report.html"
    return path.read_text()


@pytest.fixture(scope="module")
def reader(page: str) -> Reader:
    return Reader(page)


def test_plotly_is_in_the_page_once(page: str):
    assert page.count(get_plotlyjs()) == 1
    assert len(page.encode()) < 8_000_000


def test_the_page_loads_nothing(page: str, reader: Reader):
    assert all(re.match(r"#|data:|figures/[a-z_]+\.(png|pdf)$", address) for address in reader.addresses)
    assert not {"iframe", "object", "embed", "base"} & set(reader.tags)
    own = page.replace(get_plotlyjs(), "")
    assert "http" not in own
    assert "@import" not in own
    assert "url(" not in own


@pytest.mark.parametrize("key", FIGURES)
@pytest.mark.parametrize(("form", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_every_figure_is_a_file(page: str, study: StudyResult, key: str, form: str, magic: bytes):
    path = study.folder / "figures" / f"{key}.{form}"
    assert path.read_bytes().startswith(magic)
    assert f'href="figures/{key}.{form}"' in page


def test_every_figure_says_what_nothing_would_look_like(reader: Reader):
    assert reader.text.count("If there were nothing to see,") == len(FIGURES)


def test_every_chart_has_a_place(page: str):
    places = re.findall(r'<div class="plot" id="([^"]+)"', page)
    # Two runs, of which one generalised: shares; bases of each; two curves of each; two spectra of each; F and share.
    assert len(places) == len(set(places)) == 1 + 2 + 4 + 4 + 2
    assert all(f'"{place}":' in page for place in places)


def test_a_failed_run_is_named_with_its_message(page: str, reader: Reader, study: StudyResult):
    (run_id,) = study.failed
    assert run_id in reader.text
    assert ERROR in reader.text
    assert "<script>alert" not in page
    assert "1 run failed" in reader.text


def test_a_null_run_is_said_to_show_nothing(study: StudyResult, claims: pd.DataFrame, reader: Reader):
    learned, null = run_texts(study, claims)
    assert [finding.verdict for finding in null.findings] == ["not found"] * 3
    assert {finding.verdict for finding in learned.findings[:3]} == {"found"}
    assert "Did not generalise" in null.outcome
    assert headline(study, claims).endswith(
        "in 1 of the 1 run that generalised and in 0 of the 1 run that did not generalise."
    )
    assert reader.text.count("not found") >= 6


def test_text_and_table_say_the_same_numbers(study: StudyResult, claims: pd.DataFrame, reader: Reader):
    table = {claim.statement: claim for claim in claim_tables(study, claims)}
    shown = 0
    for number, text in enumerate(run_texts(study, claims)):
        mine = claims[(claims["run"] == study.runs[number].run_id) & (claims["claim"] != "generalises")]
        for finding, (_, claim) in zip(text.findings, mine.iterrows(), strict=True):
            row = next(row for row in table[claim["statement"]].rows if row.run == text.title)
            assert (
                finding.numbers
                == f"{row.value}; null: median {row.null_median}, 95% point {row.null_high}; q = {row.q}"
            )
            assert row.verdict == finding.verdict == claim["verdict"]
            assert finding.numbers in reader.text
            shown += 1
    assert shown == 7


def test_shares_are_those_of_the_claims(study: StudyResult, claims: pd.DataFrame):
    own = claims[(claims["claim"] == "own-variable") & (claims["run"] == study.runs[0].run_id)].iloc[0]
    edge = study.runs[0].modes.query("kind == 'edge' and basis == 'dlog_sum' and method == 'jvp'")["energy_share"]
    assert f"{sorted(edge)[-2]:.1%}" in run_texts(study, claims)[0].findings[0].numbers
    assert own["value"] == sorted(edge)[-2]


def test_numbers_say_their_window_and_step(reader: Reader):
    assert "Modes measured at step 3,000, window of W = 20 updates, centred" in reader.text
    assert "each trailing window of W = 20 updates, not centred" in reader.text


def test_tables_can_be_taken_from_the_page(page: str, study: StudyResult, claims: pd.DataFrame):
    found = re.findall(r'href="data:text/csv;charset=utf-8;base64,([^"]+)" download="([a-z]+)\.csv"', page)
    tables = {name: pd.read_csv(io.BytesIO(base64.b64decode(content))) for content, name in found}
    assert set(tables) == {"claims", "modes", "characters", "metrics", "edge"}
    assert len(tables["claims"]) == len(claims)
    assert set(tables["modes"]["run"]) == {run.run_id for run in study.runs}
    assert len(tables["modes"]) == sum(len(run.modes) for run in study.runs)


def test_published_values_stand_beside_ours(reader: Reader):
    assert "Ours, finite difference" in reader.text
    assert "0.054" in reader.text


def test_the_same_study_gives_the_same_files(page: str, study: StudyResult, claims: pd.DataFrame, tmp_path: Path):
    again = write_report(study, claims, out=tmp_path / "elsewhere")
    assert again.read_text() == page
    for form in ("png", "pdf"):
        name = f"figures/shares.{form}"
        assert (again.parent / name).read_bytes() == (study.folder / name).read_bytes()


def test_a_study_without_finished_runs_says_so(tmp_path: Path):
    study = make_study(tmp_path, failed=make_run("add").config, error=ERROR)
    page = write_report(study, pd.DataFrame()).read_text()
    assert "No run of this study has finished" in Reader(page).text
    assert ERROR in Reader(page).text
    assert not (tmp_path / "figures").exists()


def test_one_run_that_never_grokked_without_bulk_edge_or_claims(tmp_path: Path):
    study = make_study(tmp_path, without_bulk(make_run("add")))
    page = write_report(study, pd.DataFrame()).read_text()
    text = Reader(page).text
    assert "no claim has been evaluated yet" in text
    assert "Not drawn: no run of this study has what it shows." in text
    assert "bulk directions of the same window" not in text
    assert not (tmp_path / "figures" / "bases.png").exists()
    assert (tmp_path / "figures" / "eigenvalues.png").exists()
    assert 'id="eigenvalues-0-0"' in page
    assert 'id="eigenvalues-0-1"' not in page
