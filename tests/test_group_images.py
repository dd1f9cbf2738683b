"""The gallery of groups: its functions are what the page says, and every group of the page has its pictures."""

import re
import runpy
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from spectraledge.algebra import character_table, subgroups

ROOT = Path(__file__).parent.parent
GALLERY = SimpleNamespace(**runpy.run_path(str(ROOT / "docs" / "make_group_images.py")))
PAGE = (ROOT / "docs" / "groups.md").read_text()
IMAGES = ROOT / "docs" / "images" / "groups"


def test_every_group_of_the_page_has_its_pictures() -> None:
    table = PAGE.split("| name | group | its elements")[1].split("\n\n")[0]
    assert (
        tuple(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:]))) == GALLERY.GROUPS
    )
    names = (*GALLERY.GROUPS, *(f"mul{modulus}" for modulus in GALLERY.PRODUCTS))
    files = [f"{name}{end}.png" for name in names for end in ("-narrow", "")]
    assert re.findall(r'(?:src|srcset)="images/groups/([^"]+)"', PAGE) == files
    assert sorted(path.name for path in IMAGES.iterdir()) == sorted(files)
    assert sum(path.stat().st_size for path in IMAGES.iterdir()) < 400_000


@pytest.mark.parametrize("name", ["Q8", "S4"])
def test_a_function_is_its_character_summed_over_the_largest_subgroup_that_leaves_any(name: str) -> None:
    found = GALLERY.own(name)
    group = found.functions.group
    characters_CM = character_table(group).on_elements_CM.real[1:]
    for frequency, character_M in enumerate(characters_CM, 1):
        sums = [
            (
                len(each),
                np.array([sum(character_M[group.table_MM[h, x]] for h in each.elements) for x in range(len(group))]),
            )
            for each in subgroups(group).classes
        ]
        largest = max(size for size, sums_M in sums if np.abs(sums_M).max() > 1e-9)
        expected = [sums_M for size, sums_M in sums if size == largest and np.abs(sums_M).max() > 1e-9]
        values_M = GALLERY.function(found, frequency)
        angles = [abs(values_M @ sums_M) / np.linalg.norm(values_M) / np.linalg.norm(sums_M) for sums_M in expected]
        assert max(angles) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("name", "subspace", "blocks"),
    [
        ("C12", "frequency 4", 3),
        ("D9", "dimension 2 (a)", 3),
        ("S4", "sign", 2),
        ("S4", "standard", 4),
        ("mul12", "gcd", 5),
    ],
)
def test_a_picture_of_a_quotient_is_constant_on_blocks(name: str, subspace: str, blocks: int) -> None:
    found = GALLERY.own(name)
    names = [found.functions.name(frequency) for frequency in range(1, int(found.functions.frequency_M[-1]) + 1)]
    frequency = 1 + names.index(subspace)
    assert frequency in GALLERY.shown(found)
    seen = GALLERY.picture(found, frequency)
    assert (seen.subspace, seen.character_share) == (subspace, pytest.approx(1.0))
    picture_MM = np.full((seen.places_N2.max() + 1,) * 2, np.nan)
    picture_MM[tuple(seen.places_N2.T)] = seen.values_N
    for axis in (0, 1):
        assert (np.abs(np.diff(picture_MM, axis=axis)) > 1e-9).any(axis=1 - axis).sum() == blocks - 1


def test_pictures_are_drawn_for_wide_and_for_narrow_pages() -> None:
    sizes = {}
    for end, across in GALLERY.ACROSS.items():
        with Image.open(BytesIO(GALLERY.row("Q8", across))) as drawn, Image.open(IMAGES / f"Q8{end}.png") as kept:
            sizes[end] = drawn.size
            assert drawn.size == kept.size
            # White paper, and colours from one end of the scale to the other.
            colours = {colour for _, colour in drawn.convert("RGB").getcolors(1 << 20) or []}
            assert {(255, 255, 255), GALLERY.COLOURS[0], GALLERY.COLOURS[-1]} <= colours
    assert sizes[""][0] > 2 * sizes["-narrow"][0]
    assert sizes[""][1] < sizes["-narrow"][1]


def test_colours_for_print_become_lighter_throughout_without_colour() -> None:
    greys = np.array(GALLERY.COLOURS) @ [0.299, 0.587, 0.114]
    assert (np.diff(greys) > 25).all()
    # Red and green receptors of the colour-blind see the same order: it is blue against yellow.
    assert (np.diff(np.array(GALLERY.COLOURS)[:, :2].sum(axis=1)) > 0).all()
