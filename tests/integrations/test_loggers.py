"""Readings in a real logger, read back from what it wrote."""

import pytest
from tracking_support import Training


def test_tensorboard_has_every_scalar_of_every_reading(tmp_path):
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
