"""The callback in the trainer of Transformers, against the tracker in a plain loop."""

import warnings

import pandas as pd
import pytest
import torch
from tracking_support import Network, weights

from spectraledge.errors import InputError
from spectraledge.files import read_json, read_table
from spectraledge.integrations import SpectralEdgeTracker

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import transformers

    from spectraledge.integrations.transformers import SpectralEdgeCallback

pytestmark = pytest.mark.filterwarnings("default")

SETTINGS = {"params": "*weight", "window": 5, "every": 3}


class Model(torch.nn.Module):
    def __init__(self, fail_at=None):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = Network()
        self.fail_at, self.calls = fail_at, 0

    def forward(self, inputs):
        if self.calls == self.fail_at:
            raise KeyError("mine")
        self.calls += 1
        return {"loss": (self.network(inputs) - inputs[:, :3].sin()).square().mean()}


def data(count=8 * 48):
    inputs = torch.randn(count, 5, generator=torch.Generator().manual_seed(0))
    return [{"inputs": row} for row in inputs]


class InOrder(transformers.Trainer):
    """A trainer that does not shuffle, so that a plain loop can follow."""

    def _get_train_sampler(self, *arguments):
        return torch.utils.data.SequentialSampler(self.train_dataset)


def fit(folder, callback, steps, *, model=None, resume=None, trainer=InOrder, evaluation=None, **settings):
    model = model or Model()
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=steps,
        per_device_train_batch_size=8,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        max_grad_norm=0.0,
        **{"save_strategy": "no"} | settings,
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    constant = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    made = trainer(
        model,
        arguments,
        train_dataset=data(),
        eval_dataset=evaluation,
        callbacks=[callback],
        optimizers=(optimizer, constant),
    )
    with callback:
        made.train(resume_from_checkpoint=resume)
    return made, optimizer


def plain(steps, accumulated=1):
    model = Model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    with SpectralEdgeTracker(model, optimizer, **SETTINGS) as tracker:
        inputs = torch.stack([row["inputs"] for row in data()]).split(8)
        for index, batch in enumerate(inputs[: steps * accumulated]):
            (model(batch)["loss"] / accumulated).backward()
            if (index + 1) % accumulated == 0:
                optimizer.step()
                optimizer.zero_grad()
    return tracker, model


@pytest.mark.parametrize(("accumulated", "steps"), [(1, 48), (2, 24)])
def test_it_finds_what_a_tracker_in_a_plain_loop_does(tmp_path, accumulated, steps):
    callback, model = SpectralEdgeCallback(folder=tmp_path / "out", **SETTINGS), Model()
    _, optimizer = fit(tmp_path, callback, steps, model=model, gradient_accumulation_steps=accumulated)
    tracker, same = plain(steps, accumulated)
    expected = tracker.results()
    pd.testing.assert_frame_equal(callback.tracker.results().gram, expected.gram, check_exact=True)
    pd.testing.assert_frame_equal(read_table(tmp_path / "out" / "edge.parquet"), expected.edge, check_exact=True)
    torch.testing.assert_close(weights(model), weights(same), rtol=0, atol=0)
    assert not optimizer._optimizer_step_post_hooks


def test_a_resumed_training_goes_on_where_it_was(tmp_path):
    first = SpectralEdgeCallback(**SETTINGS)
    fit(tmp_path, first, 20, save_strategy="steps", save_steps=20)
    summary = read_json(tmp_path / "checkpoint-20" / "spectral_edge.json")
    assert (summary["step"], summary["updates"]) == (20, 6)
    assert summary["latest"] == pytest.approx(first.tracker.latest.scalars())
    again, whole = SpectralEdgeCallback(**SETTINGS), SpectralEdgeCallback(**SETTINGS)
    fit(tmp_path, again, 48, resume=str(tmp_path / "checkpoint-20"))
    fit(tmp_path / "whole", whole, 48)
    pd.testing.assert_frame_equal(again.tracker.results().gram, whole.tracker.results().gram, check_exact=True)
    assert again.tracker.step == 48


def test_a_checkpoint_without_a_state_gives_the_global_step(tmp_path):
    fit(tmp_path, SpectralEdgeCallback(**SETTINGS), 20, save_strategy="steps", save_steps=20)
    (tmp_path / "checkpoint-20" / "spectral_edge_0.pt").unlink()
    callback = SpectralEdgeCallback(**SETTINGS)
    fit(tmp_path, callback, 48, resume=str(tmp_path / "checkpoint-20"))
    assert callback.tracker.results().gram["step"].unique().tolist() == list(range(23, 49, 3))


def test_an_exception_detaches(tmp_path):
    callback = SpectralEdgeCallback(**SETTINGS)
    with pytest.raises(KeyError, match="mine"):
        fit(tmp_path, callback, 48, model=Model(fail_at=20))
    assert callback.tracker.results().edge["step"].tolist() == [15, 18]
    assert not callback.tracker._following._optimizers[0]._optimizer_step_post_hooks


def search(folder, callback, trials=2, **settings):
    pytest.importorskip("optuna").logging.set_verbosity("ERROR")
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        max_steps=20,
        save_strategy="steps",
        save_steps=10,
        eval_strategy="steps",
        eval_steps=10,
        per_device_train_batch_size=8,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
    )
    trainer = transformers.Trainer(
        model_init=lambda trial=None: Model(),
        args=arguments,
        train_dataset=data(),
        eval_dataset=data(8),
        callbacks=[callback],
    )
    trainer.hyperparameter_search(
        hp_space=lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2)},
        compute_objective=lambda metrics: 0.0,
        backend="optuna",
        n_trials=trials,
        **settings,
    )


@pytest.mark.parametrize("settings", [{}, {"hp_name": lambda trial: f"tried/number-{trial.number}"}])
def test_each_trial_of_a_search_keeps_its_own(tmp_path, settings):
    callback = SpectralEdgeCallback(folder=tmp_path / "out", **SETTINGS)
    search(tmp_path / "in", callback, **settings)
    states = {path.parent for path in tmp_path.rglob("spectral_edge_0.pt")}
    assert states == {path.parent for path in tmp_path.rglob("trainer_state.json")}
    assert len(states) == 4
    found = [read_table(tmp_path / "out" / f"run-{trial}" / "edge.parquet")["trace"].tolist() for trial in range(2)]
    assert found[0] != found[1]


def test_a_checkpoint_of_another_run_begins_the_series_anew(tmp_path):
    fit(tmp_path / "here", SpectralEdgeCallback(**SETTINGS), 20, save_strategy="steps", save_steps=20)
    other, saving = Model(), {"save_strategy": "steps", "save_steps": 20}
    with torch.no_grad():
        other.network.attn.weight.mul_(0.5)
    fit(tmp_path / "there", SpectralEdgeCallback(**SETTINGS), 20, model=other, **saving)
    resumed = str(tmp_path / "there" / "checkpoint-20")
    callback = SpectralEdgeCallback(**SETTINGS)
    with pytest.warns(RuntimeWarning, match="is not of the weights that training begins with: .* anew at step 20"):
        fit(tmp_path / "here", callback, 41, resume=resumed)
    assert callback.tracker.results().gram["step"].unique().tolist() == list(range(23, 42, 3))
    callback = SpectralEdgeCallback(**SETTINGS)
    fit(tmp_path / "here", callback, 41, resume=resumed, resume_from_checkpoint=resumed)
    assert callback.tracker.results().gram["step"].min() == 3


def test_a_damaged_state_begins_the_series_anew_and_ends_no_training(tmp_path):
    fit(tmp_path, SpectralEdgeCallback(**SETTINGS), 20, save_strategy="steps", save_steps=20)
    state = tmp_path / "checkpoint-20" / "spectral_edge_0.pt"
    state.write_bytes(state.read_bytes()[:1000])
    callback = SpectralEdgeCallback(**SETTINGS)
    with pytest.warns(RuntimeWarning, match="is damaged, or is not of the weights .* anew at step 20"):
        fit(tmp_path, callback, 41, resume=str(tmp_path / "checkpoint-20"))
    assert callback.tracker.results().gram["step"].min() == 23


def test_no_folder_is_made_where_the_trainer_made_none(tmp_path):
    class Elsewhere(InOrder):
        def _save_checkpoint(self, *arguments, **named):
            pass

    callback = SpectralEdgeCallback(**SETTINGS)
    with pytest.warns(RuntimeWarning, match="no checkpoint in .*checkpoint-10: the tracker's state is not saved"):
        fit(tmp_path, callback, 10, trainer=Elsewhere, save_strategy="steps", save_steps=10)
    assert not list(tmp_path.rglob("checkpoint-*"))


def test_the_best_weights_that_are_loaded_at_the_end_are_no_step(tmp_path, recwarn):
    callback = SpectralEdgeCallback(**SETTINGS)
    saving = {"save_strategy": "steps", "save_steps": 10, "eval_strategy": "steps", "eval_steps": 10}

    class Worsening(InOrder):
        def evaluate(self, *arguments, **named):
            return {"eval_loss": float(self.state.global_step)}

    trainer, _ = fit(
        tmp_path, callback, 20, trainer=Worsening, evaluation=data(8), load_best_model_at_end=True, **saving
    )
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-10")
    assert callback.tracker.step == 20
    assert not [warning for warning in recwarn if warning.category is RuntimeWarning]


def test_a_second_training_is_a_series_of_its_own(tmp_path):
    callback = SpectralEdgeCallback(folder=tmp_path / "out", **SETTINGS)
    trainer, _ = fit(tmp_path / "in", callback, 20)
    with pytest.warns(RuntimeWarning, match="will replace those of the one before in .*out: give the tracker's"):
        trainer.train()
    assert callback.tracker.results().gram["step"].unique().tolist() == list(range(3, 20, 3))


def test_schedule_free_training_is_resumed(tmp_path):
    pytest.importorskip("schedulefree")

    def train(folder, steps, **settings):
        callback, model = SpectralEdgeCallback(**SETTINGS), Model()
        arguments = transformers.TrainingArguments(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=8,
            optim="schedule_free_adamw",
            lr_scheduler_type="constant",
            eval_strategy="steps",
            eval_steps=7,
            save_steps=20,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
        )
        trainer = InOrder(model, arguments, train_dataset=data(), eval_dataset=data(8), callbacks=[callback])
        with callback:
            trainer.train(**settings)
        return callback.tracker.results().gram

    train(tmp_path / "parts", 20)
    found = train(tmp_path / "parts", 40, resume_from_checkpoint=True)
    pd.testing.assert_frame_equal(found, train(tmp_path / "whole", 40), rtol=1e-4, atol=1e-9)


def test_there_is_no_tracker_before_training():
    with pytest.raises(InputError, match="there is no tracker before training begins"):
        _ = SpectralEdgeCallback(**SETTINGS).tracker
