"""Configurations: validated, frozen, and equal exactly when their hashes are."""

import pytest
from pydantic import ValidationError

from spectraledge.errors import InputError
from spectraledge.tasks import named_task
from spectraledge.training import RunConfig

CHANGES = {
    "protocol": "paper",
    "seed": 1,
    "train_fraction": 0.4,
    "batch_size": 64,
    "learning_rate": 2e-3,
    "betas": (0.9, 0.99),
    "weight_decay": 0.0,
    "clip_norm": 2.0,
    "optimizer": "muon",
    "momentum": 0.5,
    "loss": "mse",
    "steps": 800,
    "every": 50,
    "stop_accuracy": 0.9,
    "stop_patience": 5,
    "engine": "compiled",
    "watched": ("head.*",),
    "required": ("add",),
    "interventions": ({"action": "keep", "subspace": "all"},),
    "start": "0" * 64,
    "fork": {"run": "0" * 64, "step": 20},
}


def test_defaults_are_the_published_settings():
    config = RunConfig.for_task(named_task("add"))
    assert (config.learning_rate, config.betas, config.weight_decay, config.clip_norm) == (1e-3, (0.9, 0.98), 1.0, 1.0)
    assert (config.batch_size, config.train_fraction, config.every) == (512, 0.5, 100)
    assert (config.stop_accuracy, config.stop_patience) == (0.98, 3)
    sizes = config.model
    assert (sizes.tokens, sizes.length, sizes.width, sizes.depth, sizes.heads, sizes.hidden) == (97, 2, 128, 2, 4, 256)


def test_a_configuration_survives_json(small_config):
    config = small_config(weight_decay=0.1)
    again = RunConfig.model_validate_json(config.model_dump_json())
    assert (again, again.hash) == (config, config.hash)
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config


def test_every_field_is_in_the_hash(small_config):
    assert set(CHANGES) | {"task", "task_digest", "model"} == set(RunConfig.model_fields)
    needed = {"momentum": {"optimizer": "sgd"}}
    changed = [small_config(**{name: value} | needed.get(name, {})) for name, value in CHANGES.items()]
    hashes = {config.hash for config in [small_config(), *changed]}
    assert len(hashes) == len(CHANGES) + 1
    assert len({config.run_id for config in [small_config(), *changed]}) == len(CHANGES) + 1


def test_settings_of_later_versions_leave_earlier_hashes_as_they_were(small_config, small_task):
    assert not {"optimizer", "momentum", "loss"} & set(small_config().model_dump())
    assert small_config().hash.startswith("94201b134805")
    perceptron = RunConfig.for_task(small_task, {"kind": "mlp"})
    assert "bias" not in perceptron.model_dump()["model"]
    assert perceptron.hash.startswith("2f9509f79edd")
    assert RunConfig.for_task(small_task, {"kind": "mlp", "bias": False}).hash != perceptron.hash


def test_another_task_or_network_is_another_run(small_config, small_task):
    other_task = RunConfig.for_task(named_task("sub", modulus=13))
    other_sizes = RunConfig.for_task(small_task, {"width": 64})
    assert len({other_task.hash, other_sizes.hash, RunConfig.for_task(small_task).hash, small_config().hash}) == 4


def test_the_folder_name_is_readable(small_config):
    config = small_config(weight_decay=0.5, seed=7)
    assert config.run_id == f"add-mod13-wd0.5-seed7-{config.hash[:8]}"


def test_required_parts_are_parts_of_the_task(small_task):
    with pytest.raises(InputError, match="required parts are parts of task 'add', got mul"):
        RunConfig.for_task(small_task, required=("mul",))


def test_a_configuration_is_frozen(small_config):
    config = small_config()
    with pytest.raises(ValidationError, match="frozen"):
        config.seed = 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 410}, "steps must be a multiple of every, got 410 steps and a snapshot every 20"),
        ({"steps": 10}, "steps must be a multiple of every, got 10 steps"),
        ({"steps": 0}, "steps: Input should be greater than 0, got 0"),
        ({"every": 0}, "every: Input should be greater than 0, got 0"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0, got -1"),
        ({"seed": 2**32}, "seed: Input should be less than 4294967296"),
        ({"train_fraction": 1.0}, "train_fraction: Input should be less than 1"),
        ({"batch_size": -1}, "batch_size: Input should be greater than or equal to 0"),
        ({"learning_rate": 0.0}, "learning_rate: Input should be greater than 0"),
        ({"learning_rate": float("nan")}, "learning_rate: Input should be"),
        ({"weight_decay": -0.1}, "weight_decay: Input should be greater than or equal to 0"),
        ({"clip_norm": -1}, "clip_norm: Input should be greater than or equal to 0"),
        ({"stop_patience": 0}, "stop_patience: Input should be greater than 0"),
        ({"protocol": "mine"}, "protocol: Input should be 'paper' or 'default', got 'mine'"),
        ({"momentum": 0.9}, r"momentum belongs to sgd and muon, got 0\.9 of adamw"),
        ({"optimizer": "lion"}, "optimizer: Input should be 'adamw', 'adam', 'sgd' or 'muon', got 'lion'"),
        ({"loss": "hinge"}, "loss: Input should be 'cross-entropy' or 'mse', got 'hinge'"),
        ({"nesterov": 1}, "nesterov: Extra inputs are not permitted, got 1"),
    ],
)
def test_a_setting_out_of_range_is_refused(small_config, settings, message):
    with pytest.raises(InputError, match=message):
        small_config(**settings)


@pytest.mark.parametrize("name", ["learning_rate", "weight_decay", "clip_norm", "stop_accuracy"])
def test_infinity_has_no_place_in_a_manifest_and_is_refused(small_config, name):
    with pytest.raises(InputError, match=f"{name}: Input should be a finite number"):
        small_config(**{name: float("inf")})


@pytest.mark.parametrize("betas", [(1.0, 0.98), (0.9, -0.1)])
def test_impossible_betas_are_refused(small_config, betas):
    with pytest.raises(InputError, match="betas"):
        small_config(betas=betas)


def test_no_watched_parameters_are_refused(small_config):
    with pytest.raises(InputError, match="watched"):
        small_config(watched=())


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"heads": 3}, "heads must divide width, got 3 heads for width 128"),
        ({"width": 0}, "width: Input should be greater than 0, got 0"),
        ({"dropout": 1}, "dropout: Extra inputs are not permitted"),
    ],
)
def test_impossible_sizes_are_refused(small_task, sizes, message):
    with pytest.raises(InputError, match=message):
        RunConfig.for_task(small_task, sizes)


def test_the_number_of_tokens_is_the_modulus_of_the_task(small_task):
    with pytest.raises(InputError, match="tokens is the task's modulus"):
        RunConfig.for_task(small_task, {"tokens": 5})
