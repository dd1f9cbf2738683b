"""What takes a loop's steps: wrappers, several optimisers, look-alikes; against weights that the loop keeps itself."""

import pytest
import torch
from torch import nn
from tracking_support import Kept, Network, Training, extended

from spectraledge.errors import InputError
from spectraledge.integrations import SpectralEdgeTracker
from spectraledge.integrations.rounds import STALLED

SETTINGS = {"params": "*weight", "window": 3, "every": 1}


class Twin(nn.Module):
    """Two networks in one, of which one may be trained against the other."""

    def __init__(self):
        super().__init__()
        self.maker, self.judge = Network(), nn.Linear(3, 1)


class Lookahead(torch.optim.Optimizer):
    """As published implementations have it: every second step goes halfway back to slow weights."""

    def __init__(self, inner):
        super().__init__(inner.param_groups, {})
        self.inner, self.count = inner, 0
        self.slow = [part.detach().clone() for group in self.param_groups for part in group["params"]]

    @torch.no_grad()
    def step(self, closure=None):
        self.inner.step()
        self.count += 1
        if self.count % 2 == 0:
            for slow, part in zip(self.slow, self.param_groups[0]["params"], strict=True):
                slow.lerp_(part, 0.5)
                part.copy_(slow)


class Unhooked(Lookahead):
    """The same without PyTorch's constructor, as some published ones have it too."""

    def __init__(self, inner):
        self.inner, self.param_groups, self.state, self.defaults = inner, inner.param_groups, inner.state, {}


class Averaging(torch.optim.Optimizer):
    """Holds one optimiser for each layer, and steps them all."""

    def __init__(self, *inner):
        super().__init__([group for one in inner for group in one.param_groups], {})
        self.parts = dict(enumerate(inner))

    def step(self, closure=None):
        for one in self.parts.values():
            one.step()


def both(training):
    """An optimiser for each layer of a network."""
    return [torch.optim.SGD(training.model.attn.parameters(), 0.1), torch.optim.Adam(training.model.mlp.parameters())]


def follow(training, optimizer, step, count=7, **settings):
    kept = Kept(training.model)
    with SpectralEdgeTracker(training.model, optimizer, **SETTINGS | settings) as tracker:
        for _ in range(count):
            training.loss().backward()
            step()
            kept.keep()
            training.model.zero_grad()
    kept.check(tracker)
    return tracker


@pytest.mark.parametrize("shape", [list, tuple, lambda found: dict(enumerate(found)), lambda found: iter([found])])
def test_one_optimizer_for_each_layer_gives_one_series(shape):
    training = Training()
    optimizers = both(training)
    tracker = follow(training, shape(optimizers), lambda: [one.step() for one in optimizers])
    assert tracker.step == 7


def test_one_optimizer_for_each_parameter_that_steps_within_the_backward_pass():
    training = Training()
    of = {part: torch.optim.Adam([part], 0.01) for part in training.model.parameters()}

    def step(part):
        of[part].step()
        of[part].zero_grad()

    for part in training.model.parameters():
        part.register_post_accumulate_grad_hook(step)
    assert follow(training, of, lambda: None).step == 7


def test_steps_of_one_network_before_the_other_s_belong_to_its_round():
    training = Training(network=Twin)
    maker, judge = (torch.optim.SGD(part.parameters(), 0.1) for part in training.model.children())
    kept = Kept(training.model)
    with SpectralEdgeTracker(training.model, {"maker": maker, "judge": judge}, **SETTINGS) as tracker:
        for _ in range(6):
            for one in [judge, judge, judge, maker]:
                training.model.zero_grad()
                made = training.model.maker(torch.randn(8, 5, generator=training.generator))
                training.model.judge(made).square().mean().backward()
                one.step()
            kept.keep()
    assert tracker.step == 6
    kept.check(tracker)


def test_two_optimizers_of_the_same_weights_take_turns():
    training = Training()
    first, second = (kind(training.model.parameters(), 0.01) for kind in (torch.optim.SGD, torch.optim.Adam))
    turns = iter([first, second, second] * 3)
    assert follow(training, [first, second], lambda: next(turns).step()).step == 7


def test_an_optimizer_of_none_of_the_watched_is_not_waited_for():
    training = Training()
    _, second = optimizers = both(training)
    kept = Kept(training.model.mlp)
    with SpectralEdgeTracker(training.model, optimizers, **SETTINGS | {"params": "mlp.weight"}) as tracker:
        for _ in range(5):
            training.loss().backward()
            second.step()
            kept.keep()
    kept.check(tracker)


def test_an_optimizer_that_never_steps_is_named():
    training = Training()
    first, _ = optimizers = both(training)
    with SpectralEdgeTracker(training.model, optimizers, **SETTINGS) as tracker:
        training.loss().backward()
        for _ in range(2 * STALLED - 1):
            first.step()
        with pytest.warns(RuntimeWarning, match="no optimizer has stepped mlp.weight since step 0, so the tracker"):
            first.step()
    assert tracker.step == 0
    with (
        pytest.warns(RuntimeWarning, match="no optimizer has stepped mlp.weight"),
        SpectralEdgeTracker(training.model, optimizers, **SETTINGS),
    ):
        first.step()


def test_what_an_optimizer_does_after_its_inner_one_s_step_is_part_of_its_own():
    training = Training()
    optimizer = Lookahead(torch.optim.SGD(training.model.parameters(), 0.1))
    assert follow(training, optimizer, optimizer.step).step == 7


def test_a_class_that_extends_the_step_of_another_steps_once():
    training = Training()
    optimizer = extended(training.model.parameters(), lr=0.1)

    def fail():
        raise KeyError("mine")

    def step():
        with pytest.raises(KeyError, match="mine"):
            optimizer.step(fail)
        optimizer.step()

    assert follow(training, optimizer, optimizer.step).step == 7
    assert follow(training, optimizer, step).step == 7


def test_an_optimizer_of_optimizers_steps_once():
    training = Training()
    optimizer = Averaging(*both(training))
    assert follow(training, optimizer, optimizer.step).step == 7
    assert follow(training, optimizer, lambda: [one.step() for one in optimizer.parts.values()]).step == 7


def test_accelerate_counts_real_steps():
    accelerate = pytest.importorskip("accelerate")
    training = Training()
    accelerator = accelerate.Accelerator(cpu=True, gradient_accumulation_steps=3)
    model, optimizer = accelerator.prepare(training.model, training.optimizer)
    kept = Kept(training.model)
    with SpectralEdgeTracker(model, [optimizer], **SETTINGS) as tracker:
        for _ in range(12):
            with accelerator.accumulate(model):
                accelerator.backward(training.loss())
                optimizer.step()
                optimizer.zero_grad()
            if accelerator.sync_gradients:
                kept.keep()
    assert tracker.step == 4
    kept.check(tracker)


def test_fabric_s_wrappers_are_taken_off():
    lightning = pytest.importorskip("lightning.fabric")
    training = Training()
    fabric = lightning.Fabric(accelerator="cpu", devices=1)
    model, optimizer = fabric.setup(training.model, training.optimizer)
    kept = Kept(training.model)
    with SpectralEdgeTracker(model, optimizer, **SETTINGS | {"params": ["attn.weight", "mlp.weight"]}) as tracker:
        for _ in range(5):
            fabric.backward(model(torch.randn(8, 5)).square().mean())
            optimizer.step()
            kept.keep()
    kept.check(tracker)


class Bundle:
    def __init__(self, *inner):
        self.inner = list(inner)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda one: torch.optim.lr_scheduler.StepLR(one, 3), "got StepLR, which schedules learning rates: pass the"),
        (Unhooked, r"got Unhooked, whose own steps cannot be heard: pass the optimizer that it holds \(.inner\) if"),
        (Bundle, r"got Bundle, .* \(.inner\) if .*, or make the tracker with optimizer=None and call tracker.record"),
        (lambda one: "adam", "got str: pass the optimizer whose step"),
        (lambda one: one.param_groups[0]["params"], "got Parameter: pass the optimizer"),
        (lambda one: [], "or several, got an empty list"),
        (lambda one: [one, None], "or several, got NoneType"),
        (lambda one: torch.optim.SGD([nn.Parameter(torch.ones(1))]), r"attn.weight \(not in this optimizer\)"),
    ],
)
def test_what_is_no_optimizer_is_named_with_what_to_pass(make, message):
    training = Training()
    given = make(training.optimizer)
    with pytest.raises(InputError, match=message):
        SpectralEdgeTracker(training.model, given, **SETTINGS)


def test_model_and_optimizer_are_not_mixed_up():
    training = Training()
    with pytest.raises(InputError, match=r"expected a torch\.nn\.Module, got AdamW: several models go in"):
        SpectralEdgeTracker(training.optimizer, training.model, **SETTINGS)


@pytest.mark.filterwarnings("ignore:.*record_function:UserWarning")
def test_a_compiled_step_is_heard_and_not_traced():
    training = Training()
    step = torch.compile(training.optimizer.step, backend="eager")
    assert follow(training, training.optimizer, step).step == 7


def test_a_step_that_fails_is_none():
    training = Training()

    def fail():
        raise KeyError("mine")

    def step():
        with pytest.raises(KeyError, match="mine"):
            training.optimizer.step(fail)
        training.optimizer.step()

    assert follow(training, training.optimizer, step).step == 7
