"""Pictures of responses: what is said below them."""

from pathlib import Path

from report_support import make_run, make_study

from spectraledge.report.pictures import wave_figure


def test_a_picture_of_residues_is_ordered_by_its_wave(tmp_path: Path) -> None:
    (panel, *_) = wave_figure(make_study(tmp_path, make_run("add", effect=0.4))).panels
    assert panel.note.startswith("Basis a + b, ω = 26: ")
    assert "in one 2-D character (26, 26). Random directions: median " in panel.note
    assert "Order" not in panel.note


def test_a_picture_of_a_group_says_its_order(tmp_path: Path) -> None:
    run = make_run("add", effect=0.4)
    orders = {"order_a": "cosets of A4 (99%), within them by phase", "order_b": "phase"}
    characters = run.characters.assign(subspace="standard", **orders)
    (panel, *_) = wave_figure(make_study(tmp_path, run.with_tables(characters=characters))).panels
    assert panel.note.startswith("Basis a + b, standard: ")
    assert "in that subspace. Random directions: " in panel.note
    assert "Order: a by cosets of A4 (99%), within them by phase; b by phase. In brackets: share of what" in panel.note
