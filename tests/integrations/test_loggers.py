"""Readings in real loggers, read back from what they wrote."""

import pytest
from tracking_support import Training


def test_tensorboard_has_every_scalar_of_every_reading(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    readings = []
    with SummaryWriter(tmp_path) as writer:

        def log(reading):
            readings.append(reading)
            for name, value in reading.scalars().items():
                writer.add_scalar(name, value, reading.step)

        training = Training()
        with training.tracker(on_reading=log):
            training.steps(30)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    for name in readings[-1].scalars():
        found = {event.step: event.value for event in events.Scalars(name)}
        expected = {reading.step: reading.scalars()[name] for reading in readings if name in reading.scalars()}
        assert found == pytest.approx(expected, rel=1e-6)
        assert len(found) >= 5


@pytest.mark.filterwarnings("default")
def test_wandb_has_the_last_reading_offline(tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run = wandb.init(project="tracked", dir=tmp_path, settings=wandb.Settings(silent=True, console="off"))
    training = Training()
    with training.tracker(on_reading=lambda reading: run.log(reading.scalars(), step=reading.step)) as tracker:
        training.steps(30)
    run.log({}, step=tracker.step + 1)  # The library holds a step back until the next one.
    summary = {name: run.summary[name] for name in tracker.latest.scalars()}
    run.finish()
    assert summary == pytest.approx(tracker.latest.scalars())
    assert run.offline
    assert list(tmp_path.rglob("*.wandb"))
