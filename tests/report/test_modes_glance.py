"""Functional modes at a glance, of a small network that learns a parity."""

import pytest
import torch
from report_support import drawn, lanes
from torch import nn

from spectraledge import FunctionalModes, functional_modes
from spectraledge.algebra import cube
from spectraledge.analyses.selection_findings import leading
from spectraledge.modes import walsh_basis
from spectraledge.pages.document import ROWS
from spectraledge.report.modes_glance import modes_glance

BITS = torch.from_numpy(cube(5))


def modes(*, order: int = 0) -> FunctionalModes:
    signs = 1.0 - 2.0 * BITS
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    snapshots = []
    for _ in range(7):
        snapshots.append({name: value.detach().clone() for name, value in model.named_parameters()})
        for _ in range(20):
            optimizer.zero_grad()
            (model(signs)[:, 0] - signs[:, 1] * signs[:, 3]).square().mean().backward()
            optimizer.step()
    bases = [walsh_basis(BITS.numpy(), order=order)] if order else []
    return functional_modes(
        model.eval(), snapshots, signs, readout=lambda output: output, bases=bases, window=6, permutations=9
    )


def test_functions_are_judged_drawn_and_listed_in_one_order() -> None:
    found = modes(order=2)
    seen, rows = modes_glance(found), leading(found.selection)
    assert seen.found[0].startswith(f"Of {len(rows)} kinds of functions, the updates ")
    assert f"{rows.iloc[0]['subspace']} of parities" in seen.found[0]
    (group,) = seen.table.groups
    assert [row.cells[0] for row in group.rows] == rows["subspace"].tolist()
    (panel,) = seen.figure.panels
    (chart,) = panel.charts
    assert lanes(chart)[""] == rows["subspace"].tolist()[:ROWS]
    points = drawn(chart, "mark", "value")
    assert (points["mark"] == "selected").sum() == rows.head(ROWS)["selected"].sum()


def test_without_bases_components_stand_beside_their_nulls() -> None:
    found = modes()
    seen = modes_glance(found)
    last = found.components.iloc[-1]
    assert seen.found[0].startswith(f"Of the response to the updates, 3 components hold {last['window_share']:.1%}; ")
    assert seen.found[0].endswith("give bases.")
    assert len(seen.table.groups[0].rows) == len(found.components)
    points = drawn(seen.figure.panels[0].charts[0], "mark", "value")
    assert points.groupby("mark")["value"].max()["random_share"] == pytest.approx(last["random_share"], rel=1e-5)
