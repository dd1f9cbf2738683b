"""Readings in real loggers, read back from what they wrote."""

import contextlib
import json
import sqlite3
import struct

import pytest
from tracking_support import Training


def follow(log, after_step=lambda step: None):
    """What the readings of a training say, by step, once `log` has had each of them."""
    readings = {}

    def both(reading):
        readings[reading.step] = reading.scalars()
        log(reading)

    training = Training()
    with training.tracker(on_reading=both):
        for step in range(1, 31):
            training.steps(1)
            after_step(step)
    assert list(readings) == [15, 18, 21, 24, 27, 30]
    return readings


def wandb_history(path):
    """What a run logged, by step, from its file: a header of 7 bytes, then records in blocks of 32 KiB."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, offset, parts, rows = path.read_bytes(), 7, b"", {}
    while offset < len(data):
        left = 32768 - offset % 32768
        if left < 7:  # No room for the head of another part.
            offset += left
            continue
        _, length, kind = struct.unpack_from("<IHB", data, offset)
        offset += 7 + length
        parts += data[offset - length : offset]
        if kind in (1, 4):  # The whole of a record, or its last part.
            record, parts = Record.FromString(parts), b""
            if record.HasField("history"):
                row = {".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
                rows[row["_step"]] = {name: value for name, value in row.items() if not name.startswith("_")}
    return rows


def test_tensorboard_has_every_scalar_of_every_reading(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:

        def log(reading):
            for name, value in reading.scalars().items():
                writer.add_scalar(name, value, reading.step)

        readings = follow(log)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    for name in readings[30]:
        found = {event.step: event.value for event in events.Scalars(name)}
        expected = {step: scalars[name] for step, scalars in readings.items() if name in scalars}
        assert found == pytest.approx(expected, rel=1e-6)


def test_wandb_has_every_scalar_of_every_reading_beside_what_else_is_logged(tmp_path):
    import wandb

    with wandb.init(project="readings", mode="offline", dir=tmp_path) as run:
        readings = follow(
            lambda reading: run.log(reading.scalars(), step=reading.step),
            lambda step: run.log({"loss": 1 / step}, step=step),
        )
    wandb.teardown()  # Only then is all of it written.
    (path,) = tmp_path.glob("wandb/offline-run-*/run-*.wandb")
    assert wandb_history(path) == {step: {"loss": 1 / step} | readings.get(step, {}) for step in range(1, 31)}


def test_trackio_has_every_scalar_of_every_reading(tmp_path, monkeypatch):
    import trackio

    monkeypatch.chdir(tmp_path)
    trackio.init(project="readings")
    readings = follow(lambda reading: trackio.log(reading.scalars(), step=reading.step))
    trackio.finish()
    with contextlib.closing(sqlite3.connect("trackio/readings.db")) as database:
        found = {step: json.loads(scalars) for step, scalars in database.execute("SELECT step, metrics FROM metrics")}
    assert found == readings
