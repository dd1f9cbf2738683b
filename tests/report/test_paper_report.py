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
from spectraledge.models import ModuleConfig
from spectraledge.models.mlp import MLPConfig
from spectraledge.pages.document import Page
from spectraledge.report import write_report, write_results
from spectraledge.report.over_seeds.claim_section import NOT_MEASURED
from spectraledge.report.over_seeds.claim_table import claim_table, counts, headline
from spectraledge.report.over_seeds.methods import method_rows
from spectraledge.report.paper.contents import compose
from spectraledge.report.paper.deviations import SHORT_CONTROLS, deviations
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
def report(study: StudyResult, judged: Verdicts) -> Page:
    return compose(study, judged)


@pytest.fixture(scope="module")
def numbers(report: Page) -> dict[str, pd.DataFrame]:
    return {table.key: table.numbers for table in report.tables if table.numbers is not None}


def words_of(report: Page, key: str) -> list[tuple[str, ...]]:
    """The rows of a table of the report, in words."""
    table = next(table for table in report.tables if table.key == key)
    return [row.cells for group in table.groups for row in group.rows]


class TestClaims:
    def test_sound_statistics_come_before_published_ones(self, judged):
        first = claim_table(judged.claims, {}).groups[0]
        assert first.heading == "Table 1: 2 replicates"
        assert [row.claim for row in first.rows] == ["sound-second", "published-first"]

    def test_every_verdict_is_counted_and_said(self, study, judged):
        assert counts(judged.claims) == {"replicates": 2, "does not": 1, "inconclusive": 1, "not measured": 1}
        words = headline(study, judged.claims)
        assert words.startswith("Over up to 3 seeds, 2 of 5 claims replicate")
        assert "1 does not, 1 is inconclusive and 1 was not measured" in words

    def test_every_declared_claim_has_one_section(self, study):
        report = compose(study, evaluate_study(study.runs))
        named = [name for section in report.sections for name in section.claims]
        assert sorted(named) == sorted(claim.id for claim in report.claims)
        (table,) = (table for table in report.tables if table.key == "claim-table")
        assert [group.heading for group in table.groups if not group.target] == []
        assert {group.heading.split(":")[0]: group.target for group in table.groups}["Conjecture 2"] == "table-4"

    def test_a_claim_that_no_section_names_stays(self, report):
        (table,) = (table for table in report.tables if table.key == "claim-table")
        assert [group.target for group in table.groups] == ["", "section-5", "", ""]

    def test_an_unmeasured_claim_shows_no_numbers(self, judged):
        row = next(
            row for group in claim_table(judged.claims, {}).groups for row in group.rows if row.claim == "absent"
        )
        assert row.cells == ("", "not measured", "–", "–", "–", "0", "–", "9 × |x|")


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
        table = next(table.numbers for table in report.tables if table.key == "table-1")
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
        rows = {row[0]: row for row in words_of(report, "table-4-steps")}
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

    def test_every_measured_number_has_seeds_and_an_interval(self, numbers):
        for key, table in numbers.items():
            several = table[table["seeds"] > 1]
            assert (several["low"] <= several["high"]).all(), key
            assert (several["low"] <= several["value"]).all(), key


class TestPage:
    def test_it_needs_no_network(self, page):
        addresses = [one for one in Reader(page).addresses if not one.startswith(("#", "data:", "figures/"))]
        assert addresses == []

    def test_every_anchor_is_there(self, page):
        wanted = set(re.findall(r'href="#([^"]+)"', page))
        assert wanted <= set(re.findall(r'id="([^"]+)"', page))
        assert {"claims", "table-1", "claim-rank", "methods"} <= wanted

    def test_figures_and_tables_are_in_it_and_beside_it(self, page, study, report):
        assert len(report.figures) == 11
        for figure in report.figures:
            for form in ("png", "pdf"):
                assert (study.folder / "figures" / f"{figure.key}.{form}").stat().st_size > 1000
        assert page.count('download="') >= len(report.downloads)

    def test_failed_runs_are_named_and_their_words_harmless(self, page):
        assert ERROR in Reader(page).text
        assert "<script>alert" not in page
        assert "1 run failed" in page

    def test_all_parts_stand_in_their_order(self, page, report):
        places = [page.index(f'<section id="{section.key}"') for section in report.sections]
        assert places == sorted(places)
        keys = [section.key for section in report.sections]
        assert [keys[0], keys[-1]] == ["claims", "environment"]


class TestFigures:
    def test_every_point_is_an_effect_of_a_run(self, study, judged, report):
        """Inclusion of the edge in each arm that has several heads."""
        figure = next(figure for figure in report.figures if figure.key == "inclusion")
        ((_, _, chart),) = figure.charts
        effects = judged.effects
        expected = [
            effects.of("inclusion-square_sum:edge-random", arm)["value"]
            for arm in ("beside-add", "beside-permuted_add")
        ]
        drawn = [row["value"] for layer in values_of(chart.spec) for row in layer if row.get("mark") == "edge"]
        np.testing.assert_allclose(sorted(drawn), np.sort(np.concatenate(expected)), rtol=1e-5)

    def test_panels_of_one_quantity_share_their_ends(self, report):
        figure = next(figure for figure in report.figures if figure.key == "directions-in-own-basis")
        ends = {str(domain) for _, _, chart in figure.charts[:4] for domain in domains_of(chart.spec, "value")}
        assert len(ends) == 1


def values_of(spec):
    """The rows of every layer's data."""
    datasets = spec.get("datasets", {})
    return [
        datasets.get(layer.get("data", {}).get("name"), layer.get("data", {}).get("values", []))
        for layer in spec["layer"]
    ]


def domains_of(spec, field):
    """Ends of the horizontal axis of layers that stand at a field."""
    across = [layer["encoding"].get("x", {}) for layer in spec["layer"]]
    return [channel["scale"]["domain"] for channel in across if channel.get("field") == field]


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
    @pytest.mark.usefixtures("unrastered")
    def test_sections_without_tables_say_so_and_nothing_breaks(self, study, tmp_path):
        page = write_report(bare(study), verdicts(bare(study)), out=tmp_path).read_text()
        # What is known without any analysis: when runs generalised.
        assert page.count(f"<p>{NOT_MEASURED}</p>") == 10
        assert "Not measured" in (tmp_path / "report.md").read_text()

    @pytest.mark.usefixtures("unrastered")
    def test_a_study_without_runs(self, study, tmp_path):
        empty = replace(study, runs=(), missing=tuple(run.run_id for run in study.config.runs), failed={})
        none = replace(verdicts(study), claims=pd.DataFrame(), by_seed=pd.DataFrame(), effects=measure_paper(()))
        page = write_report(empty, none, out=tmp_path).read_text()
        assert "no claim has been evaluated yet" in page
        assert "did not finish" in page
        assert "<figure" not in page

    @pytest.mark.parametrize(
        "names", [("waves", "declines", "probes", "ranks", "inclusion"), ("decomposition_agreement", "reuse", "modes")]
    )
    def test_single_tables_may_be_missing(self, study, names):
        none = dict.fromkeys(names, pd.DataFrame())
        lacking = replace(study, runs=tuple(run.with_tables(**none) for run in study.runs))
        measured = {
            section.key for section in compose(lacking, verdicts(lacking)).sections if section.figures or section.tables
        }
        assert {"section-2", "table-1", "decompositions", "table-4", "table-5", "section-5", "section-7"} <= measured

    def test_one_seed_has_values_without_intervals(self, tmp_path):
        study = paper_study(tmp_path, seeds=(42,))
        rows = words_of(compose(study, verdicts(study)), "table-2")
        assert all("(one seed)" in row[3] for row in rows)


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


def test_methods_name_networks_of_any_kind(study, tmp_path: Path):
    (tmp_path / "net.py").write_text("def build(task, hidden=4):\n    raise NotImplementedError\n")
    module = {"path": str(tmp_path / "net.py"), "function": "build", "digest": "0" * 64, "options": {"hidden": 4}}
    models = MLPConfig(tokens=7, hidden=4), ModuleConfig(tokens=7, **module)
    runs = tuple(study.config.runs[0].model_copy(update={"model": model}) for model in models)
    rows = dict(method_rows(replace(study, config=study.config.model_copy(update={"runs": runs}))))
    expected = "mlp, inputs one_hot, width 128, depth 1, hidden 4, activation relu, p = 7; build, hidden 4, p = 7"
    assert rows["model"] == expected
