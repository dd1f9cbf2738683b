"""The manifest of a run."""

import json

import pytest
import torch
from pydantic import ValidationError

from spectraledge.errors import InputError
from spectraledge.trajectory import Manifest, environment


def manifest(**settings):
    return Manifest(
        **{
            "config": {"task": "add", "betas": [0.9, 0.98]},
            "config_hash": "0" * 64,
            "seeds": {"split": 2**62},
            "environment": environment(torch.device("cpu")),
        }
        | settings
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"status": "done", "stopped": "accuracy", "step": 300, "grokked_step": 200, "test_accuracy": 0.99},
        {"status": "failed", "error": "the loss became nan at step 3 (učení)", "wall_seconds": 1.25},
    ],
)
def test_round_trip(tmp_path, settings):
    written = manifest(**settings)
    assert not Manifest.present(tmp_path)
    written.write(tmp_path)
    assert Manifest.present(tmp_path)
    assert Manifest.read(tmp_path) == written


def test_a_new_manifest_is_of_a_run_that_has_not_started():
    new = manifest()
    assert (new.status, new.stopped, new.error, new.step, new.grokked_step) == ("running", "", "", 0, None)


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no run\.json in .*: it is no run folder of spectraledge"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"status": "paused"}, "Input should be 'running', 'done' or 'failed'"),
        ({"version": 2}, "Extra inputs are not permitted"),
        ({"seeds": None}, "valid dictionary"),
        ({"step": "many"}, "valid integer"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(tmp_path, change, message):
    content = manifest().model_dump(mode="json") | change
    (tmp_path / "run.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"run\.json is not a run manifest of this version: .*{message}"):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("content", ["[]", "3", '{"config": {}}'])
def test_json_that_is_no_manifest_is_refused(tmp_path, content):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=r"is not a run manifest of this version|run\.json is no JSON object"):
        Manifest.read(tmp_path)


def test_broken_json_is_refused(tmp_path):
    (tmp_path / "run.json").write_text('{"config": ')
    with pytest.raises(InputError, match=r"run\.json is not valid JSON"):
        Manifest.read(tmp_path)


def test_a_manifest_lacking_a_field_cannot_be_made():
    with pytest.raises(ValidationError, match="config_hash"):
        Manifest(config={}, seeds={}, environment={})


def test_the_environment_names_versions_device_and_threads():
    found = environment(torch.device("cpu"))
    assert found["torch"] == torch.__version__.split("+")[0] or found["torch"] == torch.__version__
    assert (found["device"], found["threads"]) == ("cpu", torch.get_num_threads())
    assert json.loads(json.dumps(found)) == found
