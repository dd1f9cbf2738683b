"""The tracker against `analyze` of the same run's snapshots, against plain loops, and against itself when stopped."""

import dataclasses
import io

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from tracking_support import Network, Training, plain_updates, snapshots, weights

from spectraledge.errors import InputError
from spectraledge.files import read_json, read_table
from spectraledge.integrations import Reading, SpectralEdgeTracker, updates
from spectraledge.spectrum import BandedGram, Detector, Sketch, gram_series
from spectraledge.studies import analyze_folder
from spectraledge.trajectory import RecordedGram

ALERTS = [
    Detector("spike", "high", 1.2, 1),
    Detector("overlap", "high", 0.2),
    Detector("trace", "collapse", 1.2),
    Detector("update_norm", "rise", 1.1, 1),
    Detector("k_star", "shift", 0.5, 1),
]
SETTINGS = {
    "exact": {},
    "bfloat16": {"store": "bfloat16"},
    "sketch": {"sketch": Sketch(16, seed=3)},
    "drawn sketch": {"sketch": Sketch(16, seed=3), "keep_places": False},
    "alerts": {"alerts": ALERTS},
    "floor": {"surrogates": 19, "device": "cpu", "center": True},
}
TABLES = ("spectrum", "edge", "rotation", "gram", "alerts", "selection")


def track(steps, *, training=None, **settings):
    training = training or Training()
    with training.tracker(**settings) as tracker:
        training.steps(steps)
    return tracker


def band(tracker):
    return torch.from_numpy(tracker.results().gram["product"].to_numpy().reshape(-1, tracker.window + 1).copy())


def banded(updates_TP, lags):
    gram = BandedGram(lags)
    rows = []
    for update in updates_TP:
        gram.append(update)
        rows.append(gram.latest)
    return torch.stack(rows)


@pytest.mark.parametrize("center", [False, True])
def test_it_finds_what_analyze_finds_in_the_snapshots_of_the_same_run(tmp_path, center):
    snapshots(tmp_path, 36, 3)
    expected = analyze_folder(tmp_path, patterns=["*weight"], window=5, center=center, surrogates=19)
    found = track(37, center=center, surrogates=19).results()
    pd.testing.assert_frame_equal(found.spectrum, expected.spectrum, rtol=1e-6)
    pd.testing.assert_frame_equal(found.edge, expected.edge, rtol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_weights_end_bit_for_bit_where_they_would_have_without_it(settings):
    bare, tracked = Training(), Training()
    bare.steps(30)
    state = torch.random.get_rng_state()
    track(30, training=tracked, every=1, **settings)
    torch.testing.assert_close(weights(tracked.model), weights(bare.model), rtol=0, atol=0)
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("every", [1, 4])
def test_products_are_those_of_the_updates(dtype, every):
    updates = plain_updates(24, every, dtype=dtype)
    expected = banded(updates, 6)
    torch.testing.assert_close(
        band(track(24, training=Training(dtype=dtype), every=every)), expected, rtol=1e-6, atol=1e-9
    )


def test_bfloat16_keeps_rounded_updates_and_reports_nothing_that_rounding_can_explain():
    updates = plain_updates(30, 3)
    tracker = track(30, store="bfloat16")
    torch.testing.assert_close(band(tracker), banded(updates.bfloat16(), 6), rtol=1e-6, atol=1e-12)
    values = tracker.results().spectrum["eigenvalue"].to_numpy().reshape(-1, 5)
    assert ((values == 0) | (values > 2.0**-16 * values.sum(1, keepdims=True))).all()


@pytest.mark.parametrize("block", [1 << 16, 7])
@pytest.mark.parametrize("keep_places", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_sketch_is_that_of_the_updates_and_needs_no_copy_of_the_weights(monkeypatch, keep_places, dtype, block):
    monkeypatch.setattr(updates, "_BLOCK", block)
    sketch = Sketch(16, seed=3)
    tracker = track(30, training=Training(dtype=dtype), sketch=sketch, keep_places=keep_places)
    expected = banded(sketch(plain_updates(30, 3, dtype=dtype)), 6)
    torch.testing.assert_close(band(tracker), expected, rtol=1e-5, atol=1e-9)
    assert tracker.overhead.memory_bytes == 5 * 16 * 4 + 8 * 16 + (4 * 48 if keep_places else 0)


@pytest.mark.parametrize(("store", "size"), [("float32", 4), ("bfloat16", 2)])
def test_memory_is_as_stated(store, size):
    assert track(30, store=store).overhead.memory_bytes == (5 * size + 4) * (5 * 6 + 6 * 3)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("stopped", [0, 2, 7, 21, 40])
def test_a_resumed_run_gives_exactly_what_an_uninterrupted_one_does(settings, stopped):
    whole = track(48, **settings).results()
    training = Training()
    first = track(stopped, training=training, **settings)
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    again = training.tracker(**settings)
    again.load_state_dict(torch.load(file, weights_only=True))
    with again:
        training.steps(48 - stopped)
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(again.results(), name), getattr(whole, name), check_exact=True)
    assert again.step == 48


def test_a_state_is_not_changed_by_what_comes_after_it():
    training = Training()
    tracker = track(21, training=training)
    state = tracker.state_dict()
    kept = io.BytesIO()
    torch.save(state, kept)
    kept.seek(0)
    with tracker:
        training.steps(9)
    expected = torch.load(kept, weights_only=True)
    for name in ("rows", "settings"):
        assert state.pop(name) == expected.pop(name)
    torch.testing.assert_close(state, expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"window": 6}, "this tracker has window = 6, the state has 5"),
        ({"every": 1}, "this tracker has every = 1, the state has 3"),
        ({"sketch": Sketch(8)}, r"this tracker has sketch = \[8, 0\], the state has None"),
        ({"params": "attn.weight"}, "this tracker has parameters = .*: make the tracker with the settings"),
    ],
)
def test_a_state_of_other_settings_is_refused(settings, message):
    state = track(21).state_dict()
    with pytest.raises(InputError, match=message):
        Training().tracker(**settings).load_state_dict(state)


def test_accumulated_gradients_are_one_step():
    training = Training()
    with training.tracker(every=1) as tracker:
        for _ in range(4):
            for _ in range(3):
                training.loss().backward()
            training.optimizer.step()
    assert tracker.results().gram["step"].unique().tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("fused", [False, True])
def test_steps_that_a_scaler_skips_are_none(fused):
    training = Training(fused=fused)
    scaler = torch.amp.GradScaler("cpu")
    moved = []
    with training.tracker(every=1) as tracker:
        for index in range(8):
            before = training.watched()
            training.optimizer.zero_grad()
            scaler.scale(training.loss() * (float("inf") if index in (2, 5) else 1.0)).backward()
            scaler.step(training.optimizer)
            scaler.update()
            moved.append(not torch.equal(before, training.watched()))
    assert moved == [True, True, False, True, True, False, True, True]
    gram = tracker.results().gram
    assert gram["step"].unique().tolist() == [1, 2, 3, 4, 5, 6]
    assert (gram.loc[gram["lag"] == 0, "product"] > 0).all()


def test_a_scheduler_changes_nothing():
    training = Training()
    scheduler = torch.optim.lr_scheduler.LinearLR(training.optimizer)
    with training.tracker(every=1) as tracker:
        for _ in range(3):
            training.steps(1)
            scheduler.step()
    assert tracker.step == 3


@pytest.mark.parametrize(
    "wrap",
    [
        nn.DataParallel,
        lambda model: torch.compile(model, backend="eager"),
        lambda model: nn.DataParallel(torch.compile(model, backend="eager")),
        lambda model: torch.compile(nn.DataParallel(model), backend="eager"),
    ],
    ids=["parallel", "compiled", "parallel of compiled", "compiled of parallel"],
)
def test_wrappers_are_not_part_of_names(wrap):
    training = Training()
    training.model = wrap(training.model)
    found = track(24, training=training, params=["attn.weight", "mlp.weight"]).results()
    expected = track(24).results()
    pd.testing.assert_frame_equal(found.selection, expected.selection)
    pd.testing.assert_frame_equal(found.gram, expected.gram)


def test_a_compiled_part_of_a_model_has_its_plain_name():
    training = Training()
    training.model.attn = torch.compile(training.model.attn, backend="eager")
    assert training.tracker().selection["name"].tolist() == list(weights(Network()))


def test_tied_frozen_and_foreign_parameters_are_named_and_skipped():
    model = nn.ModuleDict({name: nn.Linear(4, 4, bias=False) for name in "abcde"})
    model["c"].weight = model["a"].weight
    model["b"].weight.requires_grad_(False)
    optimizer = torch.optim.SGD([model["a"].weight, model["b"].weight, model["e"].weight], lr=0.1)
    tracker = SpectralEdgeTracker(model, optimizer, params=["[a-d].weight"], window=2, every=1)
    assert tracker.selection.set_index("name")["reason"].to_dict() == {
        "a.weight": "",
        "b.weight": "frozen",
        "c.weight": "tied to a.weight",
        "d.weight": "not in this optimizer",
        "e.weight": "no pattern matches",
    }
    assert str(tracker).splitlines() == [
        "watching 1 tensors, 16 parameters: a.weight",
        "skipped, frozen: b.weight",
        "skipped, tied to a.weight: c.weight",
        "skipped, not in this optimizer: d.weight",
        "skipped, no pattern matches: e.weight",
    ]
    with tracker:
        for _ in range(2):
            (model["c"](torch.eye(4)) + model["e"](torch.eye(4))).sum().backward()
            optimizer.step()
            optimizer.zero_grad()
    # Each of the 16 gradients is 1, whatever the number of names.
    torch.testing.assert_close(band(tracker)[:, 0], torch.full((2,), 0.16, dtype=torch.float64), rtol=1e-6, atol=0)


def test_parameters_that_come_or_leave_are_recorded_and_the_series_goes_on():
    training = Training()
    with training.tracker() as tracker:
        training.steps(6)
        training.model.extra = nn.Linear(2, 2)
        training.optimizer.add_param_group({"params": list(training.model.extra.parameters())})
        with pytest.warns(RuntimeWarning, match="extra.weight is trained since step 9 and not watched"):
            training.steps(6)
        training.optimizer.param_groups[0]["params"].pop(2)
        training.steps(3)
    notes = tracker.selection.tail(2)
    assert notes["name"].tolist() == ["extra.weight", "mlp.weight"]
    assert notes["reason"].tolist() == ["came to the optimizer later", "left the optimizer"]
    assert notes["step"].tolist() == [9, 15]
    assert not notes["watched"].any()
    assert len(tracker.results().edge) == 1


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"params": "*attention*"}, "parameter pattern '.attention.' matches nothing; the tensors are attn.weight"),
        ({"every": 0}, "expected every ≥ 1, a whole number, got every=0"),
        ({"every": 2.5}, "expected every ≥ 1, a whole number, got every=2.5"),
        ({"window": "4"}, "expected window ≥ 2, a whole number, got window='4'"),
        ({"device": "cuda"}, "or on 'cpu', got device='cuda'"),
        ({"window": 1}, "expected window ≥ 2, a whole number, got window=1"),
        ({"top": 0}, "expected top ≥ 1, a whole number, got top=0"),
        ({"step": 0.5}, "expected step ≥ 0, a whole number, got step=0.5"),
        ({"step": torch.tensor(5)}, "expected step ≥ 0, a whole number, got step=tensor"),
        ({"sketch": 32}, r"sketch must be a Sketch, such as Sketch\(256\), got 32"),
        ({"store": "float16"}, "store must be one of float32, bfloat16, got 'float16'"),
        ({"surrogates": 5}, "a level of 0.05 with 5 surrogates gives no floor"),
    ],
)
def test_settings_that_cannot_be_are_refused_at_once(settings, message):
    with pytest.raises(InputError, match=message):
        Training().tracker(**settings)


def test_numbers_may_be_those_of_numpy():
    tables = []
    for number in (int, np.int64):
        training = Training()
        with training.tracker(window=number(4), every=number(2), top=number(2), step=number(3)) as tracker:
            training.steps(12)
        tables.append(tracker.results().edge)
    pd.testing.assert_frame_equal(*tables)


def test_a_model_of_which_nothing_is_trained_is_refused():
    training = Training()
    for part in training.model.parameters():
        part.requires_grad_(False)
    message = r"nothing that the patterns match is trained by this optimizer: attn.weight \(frozen\), mlp.weight"
    with pytest.raises(InputError, match=message):
        training.tracker()


def test_divergence_stops_the_recording_and_not_the_training():
    training = Training()
    with training.tracker(window=2, every=1) as tracker:
        training.steps(4)
        with torch.no_grad():
            training.model.mlp.weight[0, 0] = torch.nan
        with pytest.warns(RuntimeWarning, match="weights are not finite at step 5: the tracker records no more"):
            training.steps(1)
        training.steps(3)
    assert tracker.results().edge["step"].tolist() == [2, 3, 4]


def test_every_window_is_read_as_it_comes():
    readings = []
    tracker = track(30, surrogates=19, on_reading=readings.append)
    results = tracker.results()
    assert [reading.step for reading in readings] == results.edge["step"].tolist() == [15, 18, 21, 24, 27, 30]
    assert [reading.k_star for reading in readings] == results.edge["k_star"].tolist()
    assert [reading.trace for reading in readings] == pytest.approx(results.edge["trace"].tolist(), rel=1e-12)
    assert [reading.above_floor for reading in readings] == results.edge["above_floor"].tolist()
    values = torch.stack([reading.eigenvalues_W for reading in readings]).flatten()
    torch.testing.assert_close(values.tolist(), results.spectrum["eigenvalue"].tolist(), rtol=1e-9, atol=1e-15)
    turns = torch.stack([reading.rotation_K for reading in readings])
    assert turns[0].isnan().all()
    torch.testing.assert_close(turns[1:].flatten().tolist(), results.rotation["cosine"].tolist(), rtol=1e-7, atol=0)
    assert tracker.latest.step == 30


def test_a_reading_gives_the_scalars_that_exist():
    reading = Reading(7, torch.tensor([3.0, 2.0, 0.0]), 2, 5.0, None, torch.tensor([1.0, torch.nan]))
    expected = {"k_star": 2, "trace": 5.0, "eigenvalue_1": 3.0, "rotation_1": 1.0, "eigenvalue_2": 2.0}
    assert reading.scalars() == {f"spectral_edge/{name}": value for name, value in expected.items()}
    assert dataclasses.replace(reading, above_floor=1).scalars()["spectral_edge/above_floor"] == 1


def test_alarms_are_those_of_the_whole_series_and_stand_as_it_grows():
    readings = []
    tracker = track(60, alerts=ALERTS, on_reading=readings.append)
    gram = tracker.results().gram
    noise_T = torch.from_numpy(gram["storage_noise"].to_numpy().reshape(-1, 6)[:, 0].copy())
    steps = gram["step"].unique().tolist()
    series = gram_series(steps, band(tracker), noise_T, window=5)
    expected = {(step, alert.name) for alert in ALERTS for step in alert.alarm_steps(*series[alert.quantity])}
    found = tracker.results().alerts
    assert set(zip(found["step"], found["quantity"] + "_" + found["change"], strict=True)) == expected
    assert len(found) == len(expected) >= 4
    assert found["step"].is_monotonic_increasing
    for reading in readings:
        so_far = gram_series(
            steps[: reading.step // 3], band(tracker)[: reading.step // 3], noise_T[: reading.step // 3], window=5
        )
        # The overlap has no value yet at the first window.
        stands = {alert.name: alert.stands(so_far.get(alert.quantity, [[], torch.empty(0)])[1]) for alert in ALERTS}
        assert reading.alarms == stands
        assert reading.scalars()["spectral_edge/alarm_spike_high"] == stands["spike_high"]


@pytest.mark.parametrize(
    ("alerts", "message"),
    [
        ([Detector("train_loss", "low", 0.1)], "cannot follow 'train_loss': it knows g23"),
        ([ALERTS[0], ALERTS[0]], "quantity and change of its own"),
    ],
)
def test_alerts_that_cannot_be_followed_are_refused(alerts, message):
    with pytest.raises(InputError, match=message):
        Training().tracker(alerts=alerts)


def test_an_unfilled_window_has_no_reading_and_empty_tables():
    tracker = track(10)
    assert not tracker.ready
    with pytest.raises(InputError, match="a window of 5 updates is not full after 3: train 6 more steps"):
        _ = tracker.latest
    results = tracker.results()
    assert (len(results.spectrum), len(results.edge), len(results.rotation)) == (0, 0, 0)
    assert list(results.edge) == list(track(30).results().edge)


def test_no_more_directions_turn_than_the_window_has():
    rotation = track(30, window=2, top=3).results().rotation
    assert rotation.groupby("step").size().unique().tolist() == [2]


def test_steps_count_on_from_where_they_are_said_to():
    assert track(30, step=1000).results().edge["step"].tolist() == [1015, 1018, 1021, 1024, 1027, 1030]


def test_an_exception_detaches_and_attaching_again_goes_on():
    training = Training()
    tracker = training.tracker()

    def fail():
        with tracker:
            training.steps(4)
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        fail()
    assert not training.optimizer._optimizer_step_post_hooks
    with tracker:
        training.steps(44)
        with pytest.raises(InputError, match="attached already"):
            tracker.attach()
    pd.testing.assert_frame_equal(tracker.results().gram, track(48).results().gram, check_exact=True)


def test_it_says_what_it_cost():
    training = Training()
    tracker = track(30, training=training)
    cost = tracker.overhead
    assert cost.snapshots == 10
    assert cost.seconds > 0
    assert cost.share == pytest.approx(cost.seconds / cost.training_seconds)
    state = tracker.state_dict()
    assert state["attached_seconds"] == pytest.approx(cost.seconds + cost.training_seconds)
    again = training.tracker()
    again.load_state_dict(state)
    assert again.overhead.seconds == cost.seconds


def test_saved_results_are_read_back(tmp_path):
    tracker = track(30)
    tracker.save(tmp_path / "out")
    results = tracker.results()
    for name in TABLES:
        pd.testing.assert_frame_equal(read_table(tmp_path / "out" / f"{name}.parquet"), getattr(results, name))
    assert read_json(tmp_path / "out" / "overhead.json")["snapshots"] == 10
    recorded = RecordedGram.read(tmp_path / "out")
    torch.testing.assert_close(recorded.band_TW, band(tracker), rtol=0, atol=0)
    assert recorded.steps == results.gram["step"].unique().tolist()


def test_parameters_on_several_devices_are_refused():
    training = Training()
    training.model.mlp.to("meta")
    training.optimizer = torch.optim.SGD(training.model.parameters())
    with pytest.raises(InputError, match="watched parameters lie on 2 devices"):
        training.tracker()
