"""A tracked training at a glance, before it begins, while it runs and with a function that is watched."""

import numpy as np
import torch
from torch import nn

from spectraledge import SpectralEdgeTracker
from spectraledge.modes import feature_basis
from spectraledge.report.training_glance import score_glance, tracked_glance, tracker_glance

INPUTS = torch.randn(30, 4, generator=torch.Generator().manual_seed(1))
SIGNS = feature_basis("signs", {name: INPUTS[:, place].numpy() > 0 for place, name in enumerate("wxyz")})


def test_what_is_not_there_yet_is_said_and_the_rest_is_shown() -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    tracker = SpectralEdgeTracker(model, optimizer, params="weight", window=4, every=1)
    empty = tracker_glance(tracker)
    assert empty.found == ("No window of updates is full yet, and no function is watched.",)
    assert (empty.figure, empty.table) == (None, None)
    watched = tracker.watch_function(INPUTS, lambda output: output, [SIGNS])
    assert tracker_glance(tracker).found[0].startswith("At step 0, ")
    first = score_glance(watched.score)
    assert first.figure is None
    assert [column.title for column in first.table.columns] == ["Functions", "At step 0", "By chance"]
    with tracker:
        for _ in range(12):
            optimizer.zero_grad()
            (model(INPUTS) - INPUTS[:, 1:2].sign()).square().mean().backward()
            optimizer.step()
    results = tracker.results()
    seen = tracked_glance(results)
    assert seen.found[0].startswith("At step 12, x of signs holds ")
    assert seen.found[1].startswith("In 9 windows up to step 12, the edge is at k* = ")
    assert len(seen.figure.panels) == 2
    steps = [row.cells[0] for row in seen.table.groups[0].rows]
    assert steps == [str(step) for step in range(12, 3, -1)]
    shown = score_glance(watched.score)
    assert [column.title for column in shown.table.columns] == ["Functions", "At step 12", "At step 0", "By chance"]
    cells = {row.cells[0]: row.cells[1:] for row in shown.table.groups[0].rows}
    last = results.score.query("step == 12").set_index("subspace")["share"]
    assert set(cells) == set("wxyz")
    told = [float(cells[name][0].rstrip("%")) for name in "wxyz"]
    np.testing.assert_allclose(told, 100 * last[list("wxyz")], atol=0.05)
