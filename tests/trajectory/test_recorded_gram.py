"""The Gram kept while a run is recorded, against the one of its snapshots."""

import pytest
import torch

from spectraledge.spectrum import BandedGram
from spectraledge.trajectory import GramRecorder, RecordedGram, Series, snapshot_path, write_tensors


def weights(seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) for name, shape in (("b", (7,)), ("c", ()), ("a", (3, 5)))}


def record(folder, steps, recorder):
    for step in steps:
        write_tensors(snapshot_path(folder, step), weights(step))
        recorder.append(step, weights(step))
    recorder.write()


@pytest.mark.parametrize("stopped", [10, 20, 40, 90])
def test_it_is_the_gram_of_the_snapshots_wherever_the_recording_was_stopped(tmp_path, stopped):
    steps = range(10, 121, 10)
    record(tmp_path, range(10, stopped + 21, 10), GramRecorder(tmp_path, ["*"], window=4))
    again = GramRecorder(tmp_path, ["*"], window=4)
    again.resume(stopped)
    record(tmp_path, range(stopped + 10, 121, 10), again)
    found, expected = RecordedGram.read(tmp_path), BandedGram(4)
    noise = []
    for update in Series.open(tmp_path).updates():
        expected.append(update.update_P)
        noise.append(update.storage_noise)
        torch.testing.assert_close(found.band_TW[len(expected) - 1], expected.latest, rtol=1e-13, atol=0)
    assert found.steps == list(steps)[1:]
    assert found.noise_T.tolist() == pytest.approx(noise, rel=1e-13)


def test_only_watched_parameters_count(tmp_path):
    record(tmp_path, [1, 2, 3], GramRecorder(tmp_path, ["b"], window=2))
    update = (weights(3)["b"].double() - weights(2)["b"].double()).square().sum()
    torch.testing.assert_close(RecordedGram.read(tmp_path).band_TW[-1, 0], update)


def test_a_folder_without_one_has_none(tmp_path):
    assert RecordedGram.read(tmp_path) is None
