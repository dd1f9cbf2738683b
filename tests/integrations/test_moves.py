"""Weights that something else than the heard steps moves: warned of, left out of the series, or no move at all."""

import copy
import re
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from tracking_support import Kept, Network, Training, track_by_hand

from spectraledge.errors import InputError
from spectraledge.files import read_table
from spectraledge.integrations import SpectralEdgeTracker
from spectraledge.spectrum import Sketch
from spectraledge.trajectory import RecordedGram

ANEW = "between steps {} and {} something else than the optimizer moved the watched weights .a checkpoint loaded"
HABIT = "between steps {} and {} something else than the optimizer moved the watched weights, again: from here"
UNHEARD = "the watched weights were moved by something else than a step.. of {} since step {} .the tracker heard {} st"


class Sharpness(torch.optim.Optimizer):
    """Sharpness-aware minimisation in two steps, of which none is `step`."""

    def __init__(self, parameters):
        super().__init__(parameters, {"lr": 0.1})
        self.base_optimizer = torch.optim.SGD(self.param_groups, lr=0.1)

    @torch.no_grad()
    def first_step(self):
        for part in self.param_groups[0]["params"]:
            self.state[part]["there"] = 0.05 * part.grad
            part.add_(self.state[part]["there"])

    @torch.no_grad()
    def second_step(self):
        for part in self.param_groups[0]["params"]:
            part.sub_(self.state[part]["there"])
        self.base_optimizer.step()


def run(training, *, steps=12, every=1, before=None, after=None, kept=None, **settings):
    """Train with a tracker while something is done before or after each step, by number from 1 on."""
    kept = Kept(training.model) if kept is None else kept
    with training.tracker(window=3, every=every, **settings) as tracker:
        for step in range(1, steps + 1):
            if before:
                before(step)
            training.steps(1)
            if after:
                after(step)
            if step % every == 0:
                kept.keep()
    return tracker, kept


def clip(training):
    for part in training.model.parameters():
        part.data.clamp_(-0.2, 0.2)


def test_both_steps_of_sharpness_aware_minimisation_are_one():
    training = Training()
    optimizer, kept = Sharpness(training.model.parameters()), Kept(training.model)
    with SpectralEdgeTracker(training.model, optimizer, params="*weight", window=3, every=1) as tracker:
        for _ in range(8):
            for half in (optimizer.first_step, optimizer.second_step):
                optimizer.zero_grad()
                training.loss().backward()
                half()
            kept.keep()
    assert tracker.step == 8
    kept.check(tracker)


def by_hand(training):
    training.loss().backward()
    with torch.no_grad():
        for part in training.model.parameters():
            part -= 0.1 * part.grad
            part.grad = None


def replaced(training):
    training.optimizer = torch.optim.SGD(training.model.parameters(), 0.1)
    training.steps(1)


def another_step(training):
    def step(closure=None):
        with torch.no_grad():
            for part in training.model.parameters():
                part.sub_(part.grad)

    training.optimizer.step = step
    training.steps(1)


@pytest.mark.parametrize("move", [by_hand, replaced, another_step])
@pytest.mark.parametrize("ask", ["latest", "results", "detach"])
def test_steps_that_are_not_heard_are_told_of_when_something_is_asked(move, ask):
    training = Training()
    tracker = training.tracker(window=2, every=1)
    with tracker:
        training.steps(3)
        move(training)
        with pytest.warns(RuntimeWarning, match=UNHEARD.format("AdamW", 3, 3)):
            tracker.detach() if ask == "detach" else getattr(tracker, ask) and tracker.results()
    assert tracker.results().gram["step"].max() == 3


def test_it_is_told_once():
    training = Training()
    with training.tracker(window=2, every=1) as tracker:
        training.steps(2)
        by_hand(training)
        with pytest.warns(RuntimeWarning, match="something else than a step"):
            tracker.check()
        for _ in range(3):
            assert tracker.results().edge["step"].tolist() == [2]


def test_a_checkpoint_that_is_loaded_begins_the_series_anew(tmp_path):
    training = Training()
    state = copy.deepcopy(training.model.state_dict())
    with pytest.warns(RuntimeWarning, match=ANEW.format(6, 7)):
        tracker, kept = run(
            training, steps=14, after=lambda step: training.model.load_state_dict(state) if step == 6 else None
        )
    kept.check(tracker)
    results = tracker.results()
    assert results.edge["step"].tolist() == [3, 4, 5, 6, 10, 11, 12, 13, 14]
    assert results.rotation["step"].unique().tolist() == [4, 5, 6, 11, 12, 13, 14]
    products = results.gram.pivot(index="step", columns="lag", values="product")
    assert products.loc[8:10].isna().sum(axis=1).tolist() == [3, 2, 1]
    assert products.loc[[1, 2, 3]].notna().all(axis=None)
    updates = np.diff(np.stack(kept.rows), axis=0)
    np.testing.assert_allclose(products.loc[9, 1], updates[8] @ updates[7], rtol=1e-4)
    tracker.save(tmp_path)
    pd.testing.assert_frame_equal(read_table(tmp_path / "edge.parquet"), results.edge)
    with pytest.raises(InputError, match="begins anew at step 8, so that it has no inner products across that"):
        RecordedGram.read(tmp_path)


def test_a_state_keeps_where_the_series_began_anew():
    training = Training()
    state = copy.deepcopy(training.model.state_dict())

    def load(step):
        if step == 6:
            training.model.load_state_dict(state)

    with pytest.warns(RuntimeWarning, match=ANEW.format(6, 7)):
        first, _ = run(training, steps=8, after=load)
    again = training.tracker(window=3, every=1)
    again.load_state_dict(first.state_dict())
    with first, again:
        training.steps(4)
    for name in ("edge", "gram", "rotation"):
        pd.testing.assert_frame_equal(getattr(again.results(), name), getattr(first.results(), name), check_exact=True)
    assert again.results().edge["step"].tolist() == [3, 4, 5, 6, 10, 11, 12]


@pytest.mark.parametrize("settings", [{"every": 4}, {"every": 1, "sketch": Sketch(64)}])
def test_what_moves_most_weights_is_seen_at_any_step(settings):
    training = Training()

    def halve(step):
        if step == 6:
            with torch.no_grad():
                training.model.attn.weight.mul_(0.5)

    with pytest.warns(RuntimeWarning, match=ANEW.format(*((4, 8) if settings["every"] == 4 else (6, 7)))):
        run(training, after=halve, **settings)


def test_after_a_snapshot_every_number_is_looked_at():
    training = Training()
    training.model.attn = nn.Linear(5, 4000)
    training.model.mlp = nn.Linear(4000, 3)
    training.optimizer = torch.optim.SGD(training.model.parameters(), 0.01)

    def turn(step):
        if step == 8:
            training.model.attn.weight.data[1234, 3] *= -1

    with pytest.warns(RuntimeWarning, match=ANEW.format(8, 12)):
        run(training, every=4, after=turn)


def test_a_habit_of_the_loop_counts_and_is_told_of():
    training = Training()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        tracker, kept = run(training, before=lambda step: clip(training))
    for one, expected in zip(told, [ANEW.format(1, 2), HABIT.format(2, 3)], strict=True):
        assert re.match(expected, str(one.message))
    kept.check(tracker)
    assert tracker.results().gram["step"].unique().tolist() == [1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]


def test_moves_after_the_step_are_recorded_by_hand():
    training = Training()
    tracker, kept = track_by_hand(training, 8, lambda: clip(training))
    kept.check(tracker)
    assert tracker.step == 8


def averages(training):
    """Averaged weights are put in the place of the others for an evaluation, and the others back."""
    shadow = [part.detach().clone() for part in training.model.parameters()]

    def evaluate(step):
        for average, part in zip(shadow, training.model.parameters(), strict=True):
            average.lerp_(part.detach(), 0.1)
        back = [part.detach().clone() for part in training.model.parameters()]
        for values in (shadow, back):
            for value, part in zip(values, training.model.parameters(), strict=True):
                part.data.copy_(value)

    return evaluate


def perturbed(training):
    """Weights are moved and moved back, to the rounding of their type."""

    def evaluate(step):
        with torch.no_grad():
            for part in training.model.parameters():
                part.add_(0.05)
                part.sub_(0.05)

    return evaluate


def moved_in_memory(training):
    def evaluate(step):
        for part in training.model.parameters():
            part.data = part.data.clone()

    return evaluate


def in_another_order(training):
    def evaluate(step):
        for part in training.model.parameters():
            if part.dim() == 2 and step % 4 == 2:
                part.data = part.data.t().contiguous().t() if step % 8 == 2 else part.data.contiguous()

    return evaluate


@pytest.mark.parametrize("make", [averages, perturbed, moved_in_memory, in_another_order])
@pytest.mark.parametrize("every", [1, 3])
def test_what_is_put_back_is_no_move(make, every):
    training = Training()
    tracker, kept = run(training, after=make(training), every=every)
    kept.check(tracker)


def test_a_square_that_is_turned_where_it_lies_is_moved():
    training = Training()
    training.model.mlp = nn.Linear(6, 6)
    training.optimizer = torch.optim.SGD(training.model.mlp.parameters(), 0.1)

    def turn(step):
        if step == 8:
            training.model.mlp.weight.data = training.model.mlp.weight.data.t()

    training.loss = lambda: training.model(torch.randn(8, 5, generator=training.generator)).square().mean()
    with pytest.warns(RuntimeWarning, match=ANEW.format(6, 9)):
        run(training, after=turn, every=3, params="mlp.weight")


def test_layers_that_go_channels_last_are_followed():
    training = Training(network=lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.LazyLinear(2)))
    training.loss = lambda: training.model(torch.randn(4, 3, 5, 5, generator=training.generator)).square().mean()
    training.loss()

    def turn(step):
        if step == 6:
            training.model.to(memory_format=torch.channels_last)

    tracker, kept = run(training, after=turn)
    kept.check(tracker)


def test_schedule_free_optimizers_are_followed_where_they_train():
    schedulefree = pytest.importorskip("schedulefree")
    training = Training()
    training.optimizer = schedulefree.AdamWScheduleFree(training.model.parameters(), lr=0.01)
    training.optimizer.train()

    def evaluate(step):
        if step % 4 == 2:
            training.optimizer.eval()
            states.append(tracker_of(training).state_dict())
            training.optimizer.train()

    states, trackers = [], []

    def tracker_of(training):
        return trackers[0]

    kept = Kept(training.model)
    with training.tracker(window=3, every=1) as tracker:
        trackers.append(tracker)
        for step in range(1, 13):
            training.steps(1)
            kept.keep()
            evaluate(step)
        training.optimizer.eval()
        kept.check(tracker)
    assert len(states) == 3
    # Its own page says to save in evaluation mode: such a state is of those weights.
    assert not tracker.fits(states[-1])
    again = training.tracker(window=3, every=1)
    again.load_state_dict(tracker.state_dict())
    training.optimizer.train()
    with again:
        training.steps(1)
    kept.keep()
    kept.check(again)


def test_weights_that_are_loaded_after_attaching_are_the_first_snapshot():
    training, other = Training(), Training(seed=1)
    with training.tracker(window=3, every=1) as tracker:
        training.model.load_state_dict(other.model.state_dict())
        kept = Kept(training.model)
        for _ in range(4):
            training.steps(1)
            kept.keep()
    assert tracker.results().edge["step"].tolist() == [3, 4]
    kept.check(tracker)


def test_weights_that_do_not_move_are_told_of():
    training = Training()
    for group in training.optimizer.param_groups:
        group["lr"] = 0.0
    with (
        pytest.warns(RuntimeWarning, match="have not moved in any step so far"),
        training.tracker(window=3, every=1),
    ):
        training.steps(2)
    with (
        pytest.warns(RuntimeWarning, match="have not moved in 3 updates, the last at step 3"),
        training.tracker(window=3, every=1),
    ):
        training.steps(5)


def replace(model):
    model.attn.weight = nn.Parameter(model.attn.weight.detach().clone())


def resize(model):
    model.attn.weight.data = torch.randn(7, 5)


def assign(model):
    model.load_state_dict(copy.deepcopy(model.state_dict()), assign=True)


def normalise(model):
    nn.utils.parametrizations.weight_norm(model.attn)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (replace, "attn.weight has been replaced by another parameter at step 5: the tracker records no more"),
        (assign, "attn.weight has been replaced by another parameter at step 5"),
        (normalise, "attn.weight has been replaced by another parameter at step 5"),
        (resize, r"attn.weight has changed its shape from \(6, 5\) to \(7, 5\) at step 5"),
    ],
)
def test_other_weights_under_the_same_name_end_the_series(change, message):
    training = Training()
    training.optimizer = torch.optim.SGD(training.model.parameters(), 0.1)
    with training.tracker(window=3, every=1) as tracker:
        training.steps(4)
        change(training.model)
        training.optimizer.zero_grad()
        with pytest.warns(RuntimeWarning, match=message):
            training.optimizer.step()
        training.optimizer.step()
    assert tracker.results().edge["step"].tolist() == [3, 4]


@pytest.mark.parametrize("settings", [{}, {"sketch": Sketch(1 << 16)}])
def test_weights_of_a_wider_type_go_on_where_they_are(settings):
    training = Training()
    training.optimizer = torch.optim.SGD(training.model.parameters(), 0.1)

    def widen(step):
        if step == 10:
            training.model.double()
            training.dtype = torch.float64

    tracker, kept = run(training, before=widen, **settings)
    if settings:
        assert tracker.results().edge["step"].tolist() == list(range(3, 13))
    else:
        kept.check(tracker)


def test_freezing_and_thawing_are_recorded():
    training = Training()
    training.model.attn.weight.requires_grad_(False)
    with training.tracker(window=3, every=1) as tracker:
        training.steps(2)
        training.model.attn.weight.requires_grad_(True)
        training.model.mlp.weight.requires_grad_(False)
        with pytest.warns(RuntimeWarning, match="attn.weight is trained since step 3 and not watched"):
            training.steps(2)
    notes = tracker.selection.tail(2)
    assert notes["name"].tolist() == ["attn.weight", "mlp.weight"]
    assert notes["reason"].tolist() == ["unfrozen later", "frozen later"]
    assert notes["step"].tolist() == [3, 3]


def test_watched_weights_that_are_frozen_for_a_while_stay_watched():
    training = Training()
    with training.tracker(window=3, every=1) as tracker:
        training.model.attn.weight.requires_grad_(False)
        groups = training.optimizer.param_groups
        without = [part for part in groups[0]["params"] if part is not training.model.mlp.weight]
        groups[0]["params"], everything = without, groups[0]["params"]
        training.steps(2)
        training.model.attn.weight.requires_grad_(True)
        groups[0]["params"] = everything
        training.steps(2)
    assert tracker.selection.tail(4)[["name", "watched", "reason", "step"]].to_numpy().tolist() == [
        ["attn.weight", False, "frozen later", 1],
        ["mlp.weight", False, "left the optimizer", 1],
        ["attn.weight", True, "", 3],
        ["mlp.weight", True, "", 3],
    ]
    assert str(tracker).startswith("watching 2 tensors, 48 parameters: attn.weight, mlp.weight\n")


def test_weights_are_trained_later_once_an_optimizer_has_them_and_they_are_not_frozen():
    training = Training()
    attn = training.model.attn
    attn.requires_grad_(False)
    training.optimizer = torch.optim.SGD(training.model.mlp.parameters(), lr=0.1)
    with training.tracker(window=3, every=1) as tracker:
        attn.requires_grad_(True)
        training.steps(2)
        attn.requires_grad_(False)
        training.steps(1)
        attn.requires_grad_(True)
        training.optimizer.add_param_group({"params": attn.parameters()})
        with pytest.warns(RuntimeWarning, match="^attn.weight is trained since step 4 and not watched") as told:
            training.steps(2)
    assert len(told) == 1
    assert tracker.selection.tail(1)[["name", "reason"]].to_numpy().tolist() == [["attn.weight", "unfrozen later"]]
    assert len(tracker.selection) == 5


def test_a_state_of_other_weights_is_refused():
    training = Training()
    tracker, _ = run(training, steps=6)
    state = tracker.state_dict()
    assert tracker.fits(state)
    training.steps(1)
    assert not tracker.fits(state)
    with pytest.raises(InputError, match="not those of which the tracker's state was taken: load the weights first"):
        training.tracker(window=3, every=1).load_state_dict(state)
    del state["weights"]
    with pytest.raises(InputError, match="no state of a tracker of this version"):
        training.tracker(window=3, every=1).load_state_dict(state)


def test_steps_are_counted_by_hand_only_where_none_is_heard():
    training = Training()
    with training.tracker() as tracker, pytest.raises(InputError, match="make it with optimizer=None to count them"):
        tracker.record()
    alone = SpectralEdgeTracker(training.model, None, params="*weight")
    with pytest.raises(InputError, match="attach the tracker before the first step that is recorded"):
        alone.record()


def test_copies_of_what_is_tracked_are_not():
    training = Training()
    with training.tracker(window=3, every=1) as tracker:
        model, optimizer = copy.deepcopy((training.model, training.optimizer))
        training.steps(2)
        for part in model.parameters():
            part.grad = torch.ones_like(part)
        optimizer.step()
    assert tracker.step == 2
    assert type(model) is Network
