"""The report of a study of the whole paper: honest numbers over seeds, offline, whole where parts are missing."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted_paper import EFFECT, SEEDS, bare, paper_run, paper_study, verdicts
from report_support import ERROR, Reader

from spectraledge.claims.paper_claims import evaluate_study
from spectraledge.claims.paper_effects import measure_paper
from spectraledge.claims.verdicts import Verdicts
from spectraledge.report import write_report, write_results
from spectraledge.report.paper.contents import NOT_MEASURED, Report, compose
from spectraledge.report.paper.deviations import SHORT_CONTROLS, deviations
from spectraledge.report.paper.methods import method_rows
from spectraledge.report.paper.model import Table
from spectraledge.report.paper.verdict_words import counts, headline
from spectraledge.studies.results import StudyResult

LARGEST_IMAGE, LARGEST_FOLDER = 150_000, 1_000_000


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    failed = paper_run("quadratic", 42).config
    return paper_study(tmp_path_factory.mktemp("paper"), failed=failed, error=ERROR)


@pytest.fixture(scope="module")
def judged(study: StudyResult) -> Verdicts:
    return verdicts(study)


@pytest.fixture(scope="module")
def page(study: StudyResult, judged: Verdicts) -> str:
    path = write_report(study, judged)
    assert path == study.folder / "report.html"
    return path.read_text()


@pytest.fixture(scope="module")
def text(page: str, study: StudyResult) -> str:
    return (study.folder / "report.md").read_text()


@pytest.fixture(scope="module")
def report(study: StudyResult, judged: Verdicts) -> Report:
    return compose(study, judged)


@pytest.fixture(scope="module")
def numbers(report: Report) -> dict[str, pd.DataFrame]:
    return {table.key: table.numbers for table in report.tables}


def test_repeated_labels_are_left_out_from_the_left_only():
    rows = (("a", "x", "1"), ("a", "x", "2"), ("b", "x", "3"), ("b", "y", "3"))
    table = Table("k", "t", ("l", "m", "n"), rows, (False, False, True), "", pd.DataFrame())
    assert table.sparse == [("a", "x", "1"), ("", "", "2"), ("b", "x", "3"), ("", "y", "3")]


class TestClaims:
    def test_sound_statistics_come_before_published_ones(self, study, judged, report):
        first = report.claims[0]
        assert [row.id for row in first.rows] == ["sound-second", "published-first"]
        assert [row.sound for row in first.rows] == [True, False]

    def test_every_verdict_is_counted_and_said(self, study, judged):
        assert counts(judged.claims) == {"replicates": 2, "does not": 1, "inconclusive": 1, "not measured": 1}
        words = headline(study, judged.claims)
        assert words.startswith("Over up to 3 seeds, 2 of 5 claims replicate")
        assert "1 does not, 1 inconclusive and 1 not measured" in words

    def test_every_declared_claim_has_a_section(self, study):
        report = compose(study, evaluate_study(study.runs))
        named = [name for section in report.sections for name in section.claims]
        assert sorted(named) == sorted(row.id for group in report.claims for row in group.rows)
        assert [group.section for group in report.claims if not group.target] == []
        assert {group.section: group.target for group in report.claims}["Conjecture 2"] == "table-4"

    def test_a_claim_without_a_section_stays(self, report):
        assert {group.section: group.target for group in report.claims if group.section != "§5"} == dict.fromkeys(
            ("Table 1", "§7", "§6.5"), ""
        )

    def test_an_unmeasured_claim_shows_no_numbers(self, report):
        (row,) = [row for group in report.claims for row in group.rows if row.id == "absent"]
        assert (row.effect, row.measured, row.null, row.q, row.verdict) == ("–", "–", "–", "–", "not measured")


class TestNumbers:
    def test_declines_stand_beside_sound_quantities(self, numbers):
        table = numbers["table-1"].set_index(["quantity", "runs"])
        decline = table.loc["decline of g₂₃ since its peak, W = 10 (published script)"]
        grokking, rest = "grokking tasks, weight decay 1", "grokking tasks, weight decay 0"
        assert decline.loc[grokking, "value"] == pytest.approx(40, rel=0.15)
        assert decline.loc[rest, "value"] == pytest.approx(1.2, rel=0.2)
        assert decline.loc[grokking, "published"] == "40 (15–110)×, 12 of 12 runs"
        assert decline.loc[grokking, "generalised"] == "12 of 12"
        assert table.index[0][0].startswith("selection ratio S")

    def test_controls_are_read_where_runs_of_their_seed_generalised(self, study):
        # A value that is its own step tells where it was read.
        late = [
            run.with_tables(declines=run.table("declines").assign(value=lambda rows: rows["step"].astype(float)))
            for run in study.runs
            if len(run.table("declines"))
        ]
        report = compose(replace(study, runs=tuple(late)), verdicts(replace(study, runs=tuple(late))))
        table = next(table for table in report.tables if table.key == "table-1").numbers
        trace = table[table["quantity"].str.startswith("decline of g₂₃ /")]
        np.testing.assert_allclose(trace["value"], 2600)

    def test_directions_have_random_ones_as_their_null(self, study, numbers):
        table = numbers["table-2"]
        edge = table[(table["of"] == "sub-decay-learned") & (table["effect_id"] == "share:v1-random")]
        (row,) = edge.to_dict("records")
        random = [
            run.modes[
                (run.modes["kind"] == "random") & (run.modes["basis"] == "difference") & (run.modes["method"] == "jvp")
            ]["energy_share"].mean()
            for run in study.runs
            if (run.config.task, run.config.weight_decay) == ("sub", 1.0)
        ]
        assert row["value"] == pytest.approx(EFFECT + 0.01, abs=0.01)
        assert row["null"] == pytest.approx(np.mean(random))
        assert row["seeds"] == len(SEEDS)

    def test_published_values_stand_beside_published_statistics_only(self, numbers):
        table = numbers["table-2"]
        assert set(table.loc[table["unit"] == "share", "published"]) == {""}
        first = table[(table["of"] == "add-decay-learned") & (table["effect_id"] == "f:v1-random")]
        assert list(first["published"]) == ["0.33, ω 26"]

    def test_the_wrong_basis_loses(self, numbers):
        (share,) = numbers["section-6-3-shares"].to_dict("records")
        assert share["value"] < 0.1 * share["null"]
        gains = numbers["section-6-3-gains"]
        assert list(gains.loc[gains["of"] == "mul-decay-learned", "published"]) == ["5.9×", "2.7×"]

    def test_arms_that_never_generalise_count_with_their_last_step_and_say_so(self, report, numbers):
        table = next(table for table in report.tables if table.key == "table-4-steps")
        rows = {row[0]: row for row in table.rows}
        never = rows["a² + b² with a + b, answers permuted"]
        assert never[1] == "0 of 3"
        assert never[2].count("not by 3,000") == len(SEEDS)
        assert never[3] == "at least 3,000 (seeds alike)"
        beside = rows["a² + b² with a + b"]
        assert beside[1] == "3 of 3"
        ratio = np.mean([np.log((1300 + seed % 100) / (2600 + seed % 100)) for seed in SEEDS])
        assert beside[4].startswith(f"{np.exp(ratio):.2f}")
        assert list(numbers["table-4-steps"]["never"]) == [0, 0, 3]

    def test_inclusion_stands_beside_random_directions_and_chance(self, numbers):
        table = numbers["table-4-inclusion"]
        assert table["value"].between(0.4, 0.45).all()
        np.testing.assert_allclose(table["null"], 0.1)
        np.testing.assert_allclose(table["chance of random functions"], 10 / 9215)

    def test_r2_has_as_many_random_features_as_its_null(self, numbers):
        table = numbers["table-3"].query("of == 'add-decay-learned'").set_index("effect_id")
        held, fitted = (f"r2-additive-{pairs}:edge-features" for pairs in ("rows", "none"))
        assert table.loc[held, "value"] == pytest.approx(EFFECT)
        assert table.loc[fitted, "null"] == pytest.approx(0.1)
        assert list(table.loc[[held, fitted], "published"]) == ["", "0.17–0.29"]

    def test_every_measured_number_has_seeds_and_an_interval(self, report):
        for table in report.tables:
            if table.key != "table-1-areas":
                several = table.numbers[table.numbers["seeds"] > 1]
                assert (several["low"] <= several["high"]).all(), table.key
                assert (several["low"] <= several["value"]).all(), table.key


class TestPage:
    def test_it_needs_no_network_and_no_script(self, page):
        reader = Reader(page)
        assert "script" not in reader.tags
        assert all(re.match(r"#|data:|figures/", address) for address in reader.addresses)

    def test_every_anchor_is_there(self, page):
        wanted = set(re.findall(r'href="#([^"]+)"', page))
        assert wanted <= set(re.findall(r'id="([^"]+)"', page))
        assert {"claims", "table-1", "claim-rank", "methods"} <= wanted

    def test_figures_and_tables_are_in_it_and_beside_it(self, page, study, report):
        for drawing in report.drawings:
            for form in ("png", "pdf"):
                assert (study.folder / "figures" / f"{drawing.key}.{form}").stat().st_size > 1000
        assert page.count("data:image/png;base64,") == len(report.drawings) == 11
        assert page.count('download="') >= len(report.tables) + 2

    def test_failed_runs_are_named_and_their_words_harmless(self, page, study):
        assert ERROR in Reader(page).text
        assert "<script" not in page
        assert "1 run failed" in page

    def test_all_parts_stand_in_their_order(self, page, report):
        places = [page.index(f'<section id="{name}"') for name in ("claims", *(one.key for one in report.sections))]
        places += [page.index(f'<section id="{name}"') for name in ("methods", "deviations", "absent", "environment")]
        assert places == sorted(places)


class TestMarkdown:
    def test_rows_have_as_many_cells_as_headings(self, text):
        blocks = [block.split("\n") for block in text.strip().split("\n\n") if block.startswith("| ")]
        assert len(blocks) > 10
        for lines in blocks:
            cells = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
            assert len(cells) == 1, lines[0]

    def test_links_lead_to_files(self, text, study):
        links = set(re.findall(r"\]\(([^)]+)\)", text))
        assert {"claims.csv", "claims-by-seed.csv", "figures/steps-by-arm.png", "tables/table-2.csv"} <= links
        for link in links:
            assert (study.folder / link).is_file(), link

    def test_words_that_mean_something_to_markdown_are_escaped(self, text):
        assert r"9 × \|x\|" in text
        assert "<script" not in text

    def test_tables_hold_the_numbers_behind_the_words(self, text, study, numbers):
        read = pd.read_csv(study.folder / "tables" / "table-2.csv")
        np.testing.assert_allclose(read["value"], numbers["table-2"]["value"], rtol=1e-5)


def test_results_for_a_repository_are_small(study, judged, tmp_path: Path):
    path = write_results(study, judged, tmp_path / "results")
    files = [file for file in path.parent.rglob("*") if file.is_file()]
    assert path.name == "report.md"
    assert {file.suffix for file in files} == {".md", ".csv", ".png"}
    assert all(file.stat().st_size < LARGEST_IMAGE for file in files if file.suffix == ".png")
    assert sum(file.stat().st_size for file in files) < LARGEST_FOLDER


def test_the_card_says_in_its_head_what_was_run_and_found(page, study):
    _, head, words = (study.folder / "card.md").read_text().split("---\n", 2)
    fields = {name: json.loads(value) for name, value in (line.split(": ", 1) for line in head.splitlines())}
    assert fields["seeds"] == list(SEEDS)
    assert fields["runs"] == {"planned": 46, "finished": 45, "failed": 1, "missing": 0}
    assert fields["claims"]["replicates"] == 2
    assert fields["licence"] == "MIT"
    assert fields["command"] == "spectraledge study run paper --seeds 3"
    assert "Statement of sound-second." in words


class TestWhatIsMissing:
    def test_sections_without_tables_say_so_and_nothing_breaks(self, study, tmp_path):
        page = write_report(bare(study), verdicts(bare(study)), out=tmp_path).read_text()
        # What is known without any analysis: when runs generalised.
        assert page.count(f"<p>{NOT_MEASURED}</p>") == 10
        assert "Not measured" in (tmp_path / "report.md").read_text()

    def test_a_study_without_runs(self, study, tmp_path):
        empty = replace(study, runs=(), missing=tuple(run.run_id for run in study.config.runs), failed={})
        none = replace(verdicts(study), claims=pd.DataFrame(), by_seed=pd.DataFrame(), effects=measure_paper(()))
        page = write_report(empty, none, out=tmp_path).read_text()
        assert "no claim has been evaluated yet" in page
        assert "did not finish" in page
        assert page.count("data:image/png") == 0

    @pytest.mark.parametrize(
        "names", [("waves", "declines", "probes", "ranks", "inclusion"), ("decomposition_agreement", "reuse", "modes")]
    )
    def test_single_tables_may_be_missing(self, study, names):
        none = dict.fromkeys(names, pd.DataFrame())
        lacking = replace(study, runs=tuple(run.with_tables(**none) for run in study.runs))
        measured = {section.key for section in compose(lacking, verdicts(lacking)).sections if section.measured}
        assert {"section-2", "table-1", "decompositions", "table-4", "table-5", "section-5", "section-7"} <= measured

    def test_one_seed_has_values_without_intervals(self, tmp_path):
        study = paper_study(tmp_path, seeds=(42,))
        table = next(table for table in compose(study, verdicts(study)).tables if table.key == "table-2")
        assert all("(one seed)" in row[3] for row in table.rows)


def test_deviations_follow_the_budgets(study):
    assert deviations(study)[0] == SHORT_CONTROLS
    long = tuple(run.model_copy(update={"steps": 200_000}) for run in study.config.runs)
    published = replace(study, config=study.config.model_copy(update={"runs": long}))
    assert SHORT_CONTROLS not in deviations(published)


def test_methods_follow_the_configuration(study):
    rows = dict(method_rows(study))
    assert rows["seeds"] == "42, 137, 2024"
    assert "W = 20 updates, centred" in rows["window, directions and modes"]
    assert "a² + b² with a + b (at most 3,000 steps, 3 seeds)" in rows["tasks together, one trunk and a head each"]
    other = study.config.model_copy(update={"analysis": study.config.analysis.model_copy(update={"window": 7})})
    assert "W = 7 updates" in dict(method_rows(replace(study, config=other)))["window, directions and modes"]
