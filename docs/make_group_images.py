"""Write the pictures of docs/groups.md: python docs/make_group_images.py.

A row for every group: its table, and functions of a·b in some of its representations. They are drawn and ordered as
reports draw the response of a direction that moves such a function and nothing else.
"""

from pathlib import Path

import numpy as np
import vl_convert
from numpy.typing import NDArray

from spectraledge.algebra import Group, subgroups
from spectraledge.modes import Wave, wave
from spectraledge.modes.element_order import coset_order, divisor_order
from spectraledge.pages.document import Chart
from spectraledge.pages.marks import chart_config
from spectraledge.pages.picture_plot import LIMIT, colour_scale, picture_plot
from spectraledge.pages.printed import encoded
from spectraledge.pages.style import PRINT_FONT
from spectraledge.tasks import Grouping, grouping, task_from_source

Float = NDArray[np.float64]

IMAGES = Path(__file__).parent / "images" / "groups"
GROUPS = ("C12", "D9", "Dic5", "Q8", "S4", "A5", "Aff7", "U15", "C3xS3")
"""Those of the table of names on the page."""

PRODUCTS = (12,)
"""Moduli on which all residues are multiplied."""

SHOWN = 4
"""Representations of a group, at most: the first, the last, and others as far apart as may be."""

ACROSS = {"": SHOWN + 1, "-narrow": 2}
"""How many pictures stand side by side, by the end of a file's name: on a wide page and on a phone."""

SIDE = 128

COLOURS = ((0, 32, 77), (65, 77, 107), (124, 123, 120), (187, 175, 113), (255, 234, 70))
"""Colours of signed pictures for print without colour, lowest first: cividis (Nuñez et al. 2018), safe for colour-blind
readers, grey at zero, and lighter throughout."""


def own(name: str) -> Grouping:
    """The grouping of a·b on a group by name, or on all residues ("mul12")."""
    source, modulus = ("mul", int(name[3:])) if name.startswith("mul") else (f"group:{name}", None)
    task = task_from_source(source, modulus=modulus)
    return grouping(task, task.structure)


def shown(found: Grouping) -> list[int]:
    """Frequencies of the representations that are drawn, from 1."""
    count = int(found.functions.frequency_M[-1])
    return sorted({round(place) for place in np.linspace(1, count, min(SHOWN, count))})


def function(found: Grouping, frequency: int) -> Float:
    """The function that is drawn of a representation.

    Its character χ, summed over the largest subgroup H for which that leaves anything: f(x) = Σ_h χ(hx), constant on
    left and on right cosets of H, which may be the identity alone. Of residues: χ(u) at u·d, for each divisor d.

    Args:
        found: The grouping.
        frequency: Of the representation.

    Returns:
        Its value at every element, shape (M,).
    """
    inside_MR = found.functions.functions_MM[:, found.functions.frequency_M == frequency]
    group = found.functions.group
    if group:
        subsets = sorted((each.elements for each in subgroups(group).classes), key=len, reverse=True)
    else:
        subsets = [np.unique(np.gcd(np.arange(found.order), found.order)) % found.order]
    # The character is what a representation holds of the identity alone, up to a factor.
    held = (inside_MR @ inside_MR[elements].sum(axis=0) for elements in subsets)
    return next(values_M for values_M in held if np.abs(values_M).max() > 1e-6)


def picture(found: Grouping, frequency: int) -> Wave:
    """The function of a·b, as a response along one direction of the read-out."""
    return wave(function(found, frequency)[found.groups_N, None], found)


def charts(name: str) -> list[Chart]:
    """The pictures of a group: its table, functions of a·b, and the colours.

    Args:
        name: Of the group, or "mul" and a modulus.

    Returns:
        The charts.
    """
    found = own(name)
    group = found.functions.group
    drawn = [_table(group) if group else _products(found.order)]
    for frequency in shown(found):
        seen = picture(found, frequency)
        first = [order.levels[0].parts if order.levels else "phase" for order in seen.orders]
        drawn.append(_chart(_ordered(seen.values_N, seen.places_N2), seen.subspace, *first))
    return [*drawn, colour_scale("unit: root mean square", width=SIDE, colours=COLOURS)]


def _table(group: Group) -> Chart:
    """The table of a group in the order of a picture that prefers no cosets: those of large subgroups."""
    order = coset_order(np.zeros((len(group),) * 2), group)
    order_M = np.argsort(order.places_M)
    parts = order.levels[0].parts if order.levels else "phase"
    return _chart(_spread(order.places_M[group.table_MM[np.ix_(order_M, order_M)]]), "a·b", parts, parts)


def _products(modulus: int) -> Chart:
    order = divisor_order(np.zeros((modulus, modulus)), 1)
    order_M = np.argsort(order.places_M)
    products_MM = np.outer(order_M, order_M) % modulus
    return _chart(_spread(order.places_M[products_MM]), "a·b", *(order.levels[0].parts,) * 2)


def _spread(places_MM: NDArray[np.int64]) -> Float:
    """Places in an order over all colours, the first at the lower end."""
    return LIMIT * (2 * places_MM / places_MM.max() - 1)


def _ordered(values_N: Float, places_N2: NDArray[np.int64]) -> Float:
    picture_MM = np.full((places_N2.max() + 1,) * 2, np.nan)
    picture_MM[tuple(places_N2.T)] = values_N
    return picture_MM


def _chart(values_MM: Float, title: str, by_a: str, by_b: str) -> Chart:
    up, across = (
        f"{axis}, by {words}".replace("greatest common divisors", "gcd").replace("a subgroup of ", "")
        for axis, words in (("a", by_a), ("b", by_b))
    )
    return picture_plot(values_MM, title=title, across=across, up=up, words=title, side=SIDE, colours=COLOURS)


def row(name: str, across: int) -> bytes:
    """The pictures of a group side by side, as a PNG.

    Args:
        name: See `charts`.
        across: How many stand in a row.

    Returns:
        The content of the file.
    """
    drawn = charts(name)
    parts = [{**chart.spec, "title": {"text": chart.title, "fontSize": 11}} for chart in drawn]
    datasets = {key: rows for chart in drawn for key, rows in chart.spec["datasets"].items()}
    spec = {"concat": parts, "columns": across, "spacing": 12, "datasets": datasets}
    config = {**chart_config(PRINT_FONT), "background": "white"}
    return encoded(vl_convert.vegalite_to_svg(spec, config=config), "png")


def main() -> None:
    """Write docs/images/groups."""
    for name in (*GROUPS, *(f"mul{modulus}" for modulus in PRODUCTS)):
        for end, across in ACROSS.items():
            (IMAGES / f"{name}{end}.png").write_bytes(row(name, across))


if __name__ == "__main__":
    main()
