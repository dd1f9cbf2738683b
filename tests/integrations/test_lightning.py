"""The callback in Lightning's own trainer, against the tracker in a plain loop."""

import warnings

import pandas as pd
import pytest
import torch
from tracking_support import Kept, Network, weights

from spectraledge.errors import InputError
from spectraledge.files import read_table
from spectraledge.integrations import SpectralEdgeTracker

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import lightning.pytorch as lightning

    from spectraledge.integrations.lightning import SpectralEdgeCallback

pytestmark = pytest.mark.filterwarnings("default")

SETTINGS = {"params": "*weight", "window": 5, "every": 3}


class Module(lightning.LightningModule):
    def __init__(self, fail_at=None):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = Network()
        self.fail_at = fail_at

    def training_step(self, inputs, index):
        if self.global_step == self.fail_at:
            raise KeyError("mine")
        return (self.network(inputs) - inputs[:, :3].sin()).square().mean()

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=0.01)


def batches(count=48):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(8, 5, generator=generator) for _ in range(count)]


def fit(folder, callback, steps, *, epochs=2, module=None, checkpoint=None, more=(), **settings):
    trainer = lightning.Trainer(
        max_steps=steps,
        max_epochs=epochs,
        callbacks=[callback, *more],
        default_root_dir=folder,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"enable_checkpointing": False, "logger": False} | settings,
    )
    data = torch.utils.data.DataLoader(batches(), batch_size=None)
    trainer.fit(module or Module(), data, ckpt_path=checkpoint)
    return trainer


def plain(accumulated=1, steps=48):
    module = Module()
    optimizer = module.configure_optimizers()
    with SpectralEdgeTracker(module, optimizer, **SETTINGS) as tracker:
        for index, inputs in enumerate(batches()[: steps * accumulated]):
            (module.training_step(inputs, index) / accumulated).backward()
            if (index + 1) % accumulated == 0:
                optimizer.step()
                optimizer.zero_grad()
    return tracker, module


@pytest.mark.parametrize(("accumulated", "steps"), [(1, 48), (2, 24)])
def test_it_finds_what_a_tracker_in_a_plain_loop_does(tmp_path, accumulated, steps):
    callback, module = SpectralEdgeCallback(folder=tmp_path / "out", **SETTINGS), Module()
    fit(tmp_path, callback, steps, module=module, accumulate_grad_batches=accumulated)
    tracker, same = plain(accumulated, steps)
    expected = tracker.results()
    pd.testing.assert_frame_equal(callback.tracker.results().gram, expected.gram, check_exact=True)
    pd.testing.assert_frame_equal(read_table(tmp_path / "out" / "edge.parquet"), expected.edge, check_exact=True)
    torch.testing.assert_close(weights(module), weights(same), rtol=0, atol=0)


def checkpoint_after_one_epoch(folder, callback):
    saving = lightning.callbacks.ModelCheckpoint(folder, "half", every_n_epochs=1, save_on_train_epoch_end=True)
    fit(folder, callback, -1, epochs=1, more=[saving], enable_checkpointing=True)
    return folder / "half.ckpt"


def test_a_resumed_fit_goes_on_where_it_was(tmp_path):
    checkpoint = checkpoint_after_one_epoch(tmp_path, SpectralEdgeCallback(**SETTINGS))
    again, whole = SpectralEdgeCallback(**SETTINGS), SpectralEdgeCallback(**SETTINGS)
    fit(tmp_path, again, -1, checkpoint=checkpoint)
    fit(tmp_path, whole, -1)
    pd.testing.assert_frame_equal(again.tracker.results().gram, whole.tracker.results().gram, check_exact=True)
    assert again.tracker.results().edge["step"].iloc[-1] == 96


def test_a_checkpoint_without_a_state_gives_the_global_step(tmp_path):
    checkpoint, callback = checkpoint_after_one_epoch(tmp_path, lightning.Callback()), SpectralEdgeCallback(**SETTINGS)
    fit(tmp_path, callback, -1, checkpoint=checkpoint)
    assert callback.tracker.results().gram["step"].unique().tolist() == list(range(51, 97, 3))


def test_an_exception_detaches(tmp_path):
    callback, module = SpectralEdgeCallback(**SETTINGS), Module(fail_at=20)
    with pytest.raises(KeyError, match="mine"):
        fit(tmp_path, callback, 48, module=module)
    assert callback.tracker.results().edge["step"].tolist() == [15, 18]
    assert not callback._optimizers[0]._optimizer_step_post_hooks


def test_the_end_detaches(tmp_path):
    callback = SpectralEdgeCallback(**SETTINGS)
    fit(tmp_path, callback, 20)
    assert not callback._optimizers[0]._optimizer_step_post_hooks


def test_steps_are_lightnings_even_where_some_are_skipped(tmp_path):
    callback = SpectralEdgeCallback(**SETTINGS | {"every": 1})

    class Skipping(Module):
        def optimizer_step(self, epoch, index, optimizer, closure):
            # As a gradient scaler does: the trainer counts a step, the optimiser takes none.
            optimizer.step(closure=closure) if index != 2 else closure()

    trainer = fit(tmp_path, callback, 6, module=Skipping())
    assert trainer.global_step == 6
    assert callback.tracker.results().gram["step"].unique().tolist() == [1, 2, 4, 5, 6]


def test_readings_go_to_the_loggers(tmp_path):
    from lightning.pytorch.loggers import TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(tmp_path)
    callback = SpectralEdgeCallback(**SETTINGS)
    fit(tmp_path, callback, 48, logger=logger)
    logger.finalize("success")
    events = EventAccumulator(logger.log_dir)
    events.Reload()
    edge = callback.tracker.results().edge
    traces = events.Scalars("spectral_edge/trace")
    assert [event.step for event in traces] == edge["step"].tolist()
    assert [event.value for event in traces] == pytest.approx(edge["trace"].tolist(), rel=1e-6)


class Adversaries(lightning.LightningModule):
    """Two networks with an optimiser each, stepped in turn by hand."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.maker, self.judge = Network(), torch.nn.Linear(3, 1)

    def training_step(self, inputs, index):
        for sign, optimizer in zip((-1, 1), self.optimizers(), strict=True):
            self.zero_grad()
            self.manual_backward(sign * self.judge(self.maker(inputs)).tanh().mean())
            optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.SGD(part.parameters(), lr=0.1) for part in (self.maker, self.judge)]


class Keeping(lightning.Callback):
    """Keeps the weights of a part after every batch, as a loop of one's own would."""

    def __init__(self, part=""):
        self.part = part

    def on_train_start(self, trainer, module):
        self.kept = Kept(module.get_submodule(self.part))

    def on_train_batch_end(self, trainer, module, *arguments):
        self.kept.keep()


@pytest.mark.parametrize("every", [1, 2, 3])
def test_intervals_are_even_beside_other_optimizers(tmp_path, every):
    callback = SpectralEdgeCallback(params="maker*weight", window=4, every=every)
    fit(tmp_path, callback, -1, epochs=1, module=Adversaries())
    steps = callback.tracker.results().gram["step"].unique()
    # The maker's own steps are the global ones 1, 3, 5 and so on.
    assert steps.tolist() == list(range(2 * every - 1, 96, 2 * every))


def test_an_optimizer_that_steps_once_in_many_batches_and_a_warm_up_from_0_are_nothing_to_warn_of(tmp_path, recwarn):
    class Seldom(Adversaries):
        def training_step(self, inputs, index):
            maker, judge = self.optimizers()
            self.manual_backward(self.judge(self.maker(inputs)).tanh().mean())
            judge.step()
            if index % 5 == 4:
                maker.step()

    class WarmUp(Module):
        def configure_optimizers(self):
            optimizer = super().configure_optimizers()
            warm_up = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, step // 2))
            return [optimizer], [{"scheduler": warm_up, "interval": "step"}]

    for module, place in ((Seldom(), (0, 1)), (WarmUp(), 0)):
        callback = SpectralEdgeCallback(params="*weight", window=4, every=1, optimizer=place)
        fit(tmp_path, callback, -1, epochs=1, module=module)
        assert callback.tracker.ready
    assert not [str(one.message) for one in recwarn if issubclass(one.category, RuntimeWarning)]


def test_each_optimizer_has_a_callback_of_its_own_or_both_have_one(tmp_path):
    parts = {"maker": 0, "judge": 1, "": (0, 1)}
    keeping = {part: Keeping(part) for part in parts}
    callbacks = {
        part: SpectralEdgeCallback(params=f"{part}*weight", window=4, every=1, optimizer=place)
        for part, place in parts.items()
    }
    more = [*callbacks.values(), *keeping.values(), lightning.callbacks.ModelCheckpoint(tmp_path, "last")]
    fit(tmp_path, lightning.Callback(), -1, epochs=1, module=Adversaries(), more=more, enable_checkpointing=True)
    for part, callback in callbacks.items():
        keeping[part].kept.check(callback.tracker)
    saved = torch.load(tmp_path / "last.ckpt", weights_only=True)["callbacks"]
    assert sum("SpectralEdgeCallback" in key for key in saved) == 3


def test_a_second_fit_is_a_series_of_its_own(tmp_path):
    callback, keeping, module = SpectralEdgeCallback(folder=tmp_path / "out", **SETTINGS), Keeping(), Module()
    trainer = fit(tmp_path, callback, -1, epochs=1, module=module, more=[keeping])
    trainer.fit_loop.max_epochs = 2
    with pytest.warns(RuntimeWarning, match="will replace those of the one before in .*out: give the tracker's"):
        trainer.fit(module, torch.utils.data.DataLoader(batches(), batch_size=None))
    assert callback.tracker.results().gram["step"].unique().tolist() == list(range(51, 97, 3))


def test_a_state_read_for_a_validation_is_not_that_of_the_next_fit(tmp_path, recwarn):
    callback = SpectralEdgeCallback(**SETTINGS)
    checkpoint = checkpoint_after_one_epoch(tmp_path, callback)

    class Validated(Module):
        def validation_step(self, inputs, index):
            return self.training_step(inputs, index)

    module = Validated()
    trainer = fit(tmp_path, callback, -1, epochs=1, module=module)
    data = torch.utils.data.DataLoader(batches(8), batch_size=None)
    trainer.validate(module, data, ckpt_path=checkpoint, verbose=False)
    trainer.fit_loop.max_epochs = 2
    trainer.fit(module, data)
    assert callback.tracker.results().gram["step"].min() == 51
    assert not [warning for warning in recwarn if warning.category is RuntimeWarning]


def test_a_state_of_other_weights_begins_anew(tmp_path):
    checkpoint = checkpoint_after_one_epoch(tmp_path, SpectralEdgeCallback(**SETTINGS))

    class Shifted(Module):
        def on_load_checkpoint(self, checkpoint):
            checkpoint["state_dict"]["network.attn.weight"] += 1

    callback = SpectralEdgeCallback(**SETTINGS)
    with pytest.warns(RuntimeWarning, match="not of the weights that training starts with: .* anew at step 48"):
        fit(tmp_path, callback, -1, module=Shifted(), checkpoint=checkpoint)
    assert callback.tracker.results().gram["step"].min() == 51


def test_weights_moved_without_an_optimizer_are_told_of(tmp_path):
    class Manual(Module):
        def __init__(self):
            super().__init__()
            self.automatic_optimization = False

        def training_step(self, inputs, index):
            super().training_step(inputs, index).backward()
            with torch.no_grad():
                for part in self.parameters():
                    part -= 0.1 * part.grad
                    part.grad = None

    with pytest.warns(RuntimeWarning, match=r"moved by something else than a step\(\) of AdamW since step 0"):
        fit(tmp_path, SpectralEdgeCallback(**SETTINGS), -1, epochs=1, module=Manual())


def test_averages_that_other_callbacks_put_in_place_are_no_steps(tmp_path, recwarn):
    averaging = pytest.importorskip("lightning.pytorch.callbacks.weight_averaging").EMAWeightAveraging()
    callback, keeping = SpectralEdgeCallback(params="*weight", window=4, every=1), Keeping()
    fit(tmp_path, averaging, -1, epochs=1, more=[callback, keeping])
    keeping.kept.check(callback.tracker)
    assert not [warning for warning in recwarn if warning.category is RuntimeWarning]


def test_a_place_without_an_optimizer_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"expected optimizer to be in 0..0 for 1 optimizers, got \[2\]"):
        fit(tmp_path, SpectralEdgeCallback(optimizer=2, **SETTINGS), 3)


def test_there_is_no_tracker_before_training():
    with pytest.raises(InputError, match="there is no tracker before training starts"):
        _ = SpectralEdgeCallback(**SETTINGS).tracker
