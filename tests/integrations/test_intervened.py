"""Interventions around other people's optimizers, against loops that project by hand."""

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from tracking_support import Network, Training, extended

from spectraledge.errors import InputError
from spectraledge.integrations import Intervened
from spectraledge.interventions import Intervention
from spectraledge.trajectory import write_tensors

OPTIMIZERS = {
    "sgd": lambda parts: torch.optim.SGD(parts, lr=0.05),
    "extended": lambda parts: extended(parts, lr=0.05),
    "momentum": lambda parts: torch.optim.SGD(parts, lr=0.05, momentum=0.9, weight_decay=0.1, nesterov=True),
    "adamw": lambda parts: torch.optim.AdamW(parts, lr=0.01, weight_decay=0.5),
    "adagrad": lambda parts: torch.optim.Adagrad(parts, lr=0.05),
    "lbfgs": lambda parts: torch.optim.LBFGS(parts, lr=0.01, max_iter=2, history_size=1),
}
FACTORS = {"keep": (1.0, 0.0), "remove": (0.0, 1.0), "scale": (2.0, 1.0)}


def network(dtype=torch.float64, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Network().to(dtype)


def batches(count):
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(8, 5, generator=generator, dtype=torch.float64) for _ in range(count)]


def loss_of(model, inputs):
    return (model(inputs) - inputs[:, :3].sin()).square().mean()


def flat(model):
    return torch.cat([part.detach().reshape(-1) for part in model.parameters()])


def gradient_of(model):
    return torch.cat([part.grad.reshape(-1) for part in model.parameters()])


def put(parts, vector):
    start = 0
    for part in parts:
        part.copy_(vector[start : start + part.numel()].reshape(part.shape))
        start += part.numel()


def projector(vectors, rank):
    rows = np.linalg.svd(torch.stack(vectors).numpy(), full_matrices=False)[2][:rank]
    return torch.from_numpy(rows.T @ rows)


def mapped(vector, matrix, action, restored):
    inside, outside = FACTORS[action]
    found = inside * matrix @ vector + outside * (vector - matrix @ vector)
    return found * vector.norm() / found.norm() if restored else found


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize("action", FACTORS)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_updates_of_any_optimizer(optimizer, action, restored):
    """Window 4, edge 2: a loop that keeps its own updates and forms P×P projectors."""
    naive, model = network(), network()
    by_hand, steps = OPTIMIZERS[optimizer](naive.parameters()), OPTIMIZERS[optimizer](model.parameters())
    updates = []
    for inputs in batches(12):
        before = flat(naive)

        def closure(inputs=inputs):
            by_hand.zero_grad()
            loss = loss_of(naive, inputs)
            loss.backward()
            return loss

        by_hand.step(closure)
        update = flat(naive) - before
        if len(updates) >= 4:
            update = mapped(update, projector(updates[-4:], 2), action, restored)
        with torch.no_grad():
            put(naive.parameters(), before + update)
        updates.append(update)
    text = f"{action}:edge:2,window=4{',by=2' if action == 'scale' else ''}{',norm=restored' if restored else ''}"
    with Intervened(model, steps, text) as intervened:
        for inputs in batches(12):

            def closure(inputs=inputs):
                steps.zero_grad()
                loss = loss_of(model, inputs)
                loss.backward()
                return loss

            steps.step(closure)
    torch.testing.assert_close(flat(model), flat(naive), rtol=0, atol=1e-10)
    (account,) = intervened.account().to_dict("records")
    assert (account["acted"], account["idle"], account["rank"], account["parameters"]) == (8, 4, 2, 57)


@pytest.mark.parametrize("closures", [False, True])
@pytest.mark.parametrize("action", FACTORS)
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw", "adagrad"])
def test_gradients_of_any_optimizer(optimizer, action, closures):
    naive, model = network(), network()
    by_hand, steps = OPTIMIZERS[optimizer](naive.parameters()), OPTIMIZERS[optimizer](model.parameters())
    gradients = []
    for inputs in batches(12):
        by_hand.zero_grad()
        loss_of(naive, inputs).backward()
        gradients.append(gradient_of(naive))
        if len(gradients) >= 3:
            changed = mapped(gradients[-1], projector(gradients[-3:], 2), action, False)
            put([part.grad for part in naive.parameters()], changed)
        by_hand.step()
    text = f"{action}:gradient:2,window=3{',by=2' if action == 'scale' else ''}"
    with Intervened(model, steps, text):
        for inputs in batches(12):

            def closure(inputs=inputs):
                steps.zero_grad()
                loss = loss_of(model, inputs)
                loss.backward()
                return loss

            if closures:
                assert steps.step(closure).item() > 0
            else:
                closure()
                steps.step()
    torch.testing.assert_close(flat(model), flat(naive), rtol=0, atol=1e-10)


def test_an_optimizer_that_evaluates_often_sees_changed_gradients():
    model = network()
    optimizer = OPTIMIZERS["lbfgs"](model.parameters())
    fixed = torch.eye(57, dtype=torch.float64)[:2]
    before = flat(model)
    with Intervened(model, optimizer, "remove:given,on=gradient", given=fixed) as intervened:
        for inputs in batches(4):

            def closure(inputs=inputs):
                optimizer.zero_grad()
                loss = loss_of(model, inputs)
                loss.backward()
                return loss

            optimizer.step(closure)
    moved = flat(model) - before
    assert moved[:2].tolist() == [0, 0]
    assert float(moved[2:].abs().min()) > 0
    assert intervened.account()["acted"].tolist() == [4]


class Quadratic(nn.Module):
    """½ Σ λ_i θ_i²: gradient descent multiplies θ_i by 1 − lr·λ_i."""

    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(torch.tensor([1.0, -2.0, 3.0, 0.5], dtype=torch.float64))
        self.rates = torch.tensor([1.0, 0.5, 0.25, 0.1], dtype=torch.float64)

    def forward(self):
        return (self.rates * self.theta**2).sum() / 2


@pytest.mark.parametrize("on", ["gradient", "update"])
@pytest.mark.parametrize("action", FACTORS)
def test_a_planted_answer(action, on):
    model = Quadratic()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    begin = model.theta.detach().clone()
    text = f"{action}:given,on={on}{',by=2' if action == 'scale' else ''}"
    with Intervened(model, optimizer, text, given={"theta": torch.eye(4, dtype=torch.float64)[1:3]}):
        for _ in range(20):
            optimizer.zero_grad()
            model().backward()
            optimizer.step()
    inside, outside = FACTORS[action]
    factors = torch.tensor([outside, inside, inside, outside], dtype=torch.float64)
    torch.testing.assert_close(
        model.theta.detach(), begin * (1 - 0.1 * factors * model.rates) ** 20, rtol=0, atol=1e-12
    )


def test_keeping_the_edge_of_one_direction_goes_on_along_it():
    """Updates of a linear loss are all alike, so that the edge is their direction, and nothing else is left to keep."""
    model = nn.Linear(3, 1, bias=False, dtype=torch.float64)
    slope = torch.tensor([[1.0, 2.0, -2.0]], dtype=torch.float64)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    begin = model.weight.detach().clone()
    with Intervened(model, optimizer, "keep:edge:1,window=2"):
        for step in range(6):
            optimizer.zero_grad()
            # From the third step on the loss pulls sideways as well.
            sideways = torch.tensor([[2.0, -1.0, 0.0]], dtype=torch.float64) if step >= 2 else 0
            ((slope + sideways) * model.weight).sum().backward()
            optimizer.step()
    torch.testing.assert_close(model.weight.detach(), begin - 0.6 * slope)


@pytest.mark.parametrize(
    "text", ["keep:all", "scale:edge:2,by=1,window=3", "scale:gradient:1,by=1,norm=restored,window=2"]
)
def test_what_changes_nothing_changes_no_bit(text):
    plain, changed = Training(), Training()
    plain.steps(10)
    with Intervened(changed.model, changed.optimizer, text):
        changed.steps(10)
    assert torch.equal(flat(plain.model), flat(changed.model))


def test_detached_it_changes_nothing_and_refuses_a_second():
    plain, changed = Training(), Training()
    intervened = Intervened(changed.model, changed.optimizer, "remove:random:5")
    with intervened:
        changed.steps(2)
        with pytest.raises(InputError, match="changed already: give all interventions at once"):
            Intervened(changed.model, changed.optimizer, "keep:all").attach()
    plain.model.load_state_dict(changed.model.state_dict())
    plain.optimizer.load_state_dict(copy.deepcopy(changed.optimizer.state_dict()))
    plain.generator.set_state(changed.generator.get_state())
    plain.steps(3)
    changed.steps(3)
    assert intervened.step == 2
    assert torch.equal(flat(plain.model), flat(changed.model))
    with intervened:
        changed.steps(1)
    assert intervened.step == 3


def test_a_state_goes_on_bit_for_bit():
    texts = ["remove:edge:2,window=3", "keep:span:3,on=gradient,window=4,fresh=yes,every=2"]
    whole, parts = Training(), Training()
    with Intervened(whole.model, whole.optimizer, *texts):
        whole.steps(14)
    with Intervened(parts.model, parts.optimizer, *texts) as first:
        parts.steps(9)
    state = first.state_dict()
    again = Training()
    again.model.load_state_dict(parts.model.state_dict())
    again.optimizer.load_state_dict(parts.optimizer.state_dict())
    again.generator.set_state(parts.generator.get_state())
    second = Intervened(again.model, again.optimizer, *texts)
    second.load_state_dict(state)
    with second:
        again.steps(5)
    assert second.step == 14
    assert torch.equal(flat(whole.model), flat(again.model))
    with pytest.raises(InputError, match="the state is of remove:edge:2,window=3, keep:span:3"):
        Intervened(again.model, again.optimizer, "keep:all").load_state_dict(state)


@pytest.mark.parametrize(
    "text", ["remove:gradient:2,window=3", "keep:gradient:2,on=update,window=3", "remove:edge:2,window=3"]
)
def test_it_goes_back_to_a_state_of_its_own(text):
    """One step beyond the state, which is then taken again."""
    plain, back = Training(), Training()
    with Intervened(plain.model, plain.optimizer, text) as whole:
        plain.steps(10)
    with Intervened(back.model, back.optimizer, text) as changed:
        back.steps(6)
        kept = [one.state_dict() for one in (changed, back.model, back.optimizer)]
        kept, drawn = copy.deepcopy(kept), back.generator.get_state()
        back.steps(1)
        for one, state in zip((changed, back.model, back.optimizer), kept, strict=True):
            one.load_state_dict(state)
        back.generator.set_state(drawn)
        back.steps(4)
    assert torch.equal(flat(plain.model), flat(back.model))
    assert changed.account().equals(whole.account())


@pytest.mark.parametrize("text", ["remove:edge:1,window=2", "remove:gradient:1,window=2"])
def test_a_state_of_other_parameters_is_refused(text):
    small, large = Training(), Training(network=lambda: Network(width=9))
    with Intervened(small.model, small.optimizer, text) as changed:
        small.steps(3)
    with pytest.raises(InputError, match="the state is of 57 numbers, expected one of 84"):
        Intervened(large.model, large.optimizer, text).load_state_dict(changed.state_dict())


def scaled_step(training, scaler, factor=1.0, *, unscaled=False):
    training.optimizer.zero_grad()
    scaler.scale(training.loss() * factor).backward()
    if unscaled:
        scaler.unscale_(training.optimizer)
    scaler.step(training.optimizer)
    scaler.update(new_scale=4.0)


def test_steps_that_a_scaler_skips_are_none():
    training, plain = Training(), Training()
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    texts = ["remove:gradient:1,window=2", "remove:edge:1,window=2"]
    with Intervened(training.model, training.optimizer, *texts) as changed:
        for step in range(7):
            scaled_step(training, scaler, torch.inf if step in (0, 3) else 1.0)
    assert changed.step == 5
    with Intervened(plain.model, plain.optimizer, *texts):
        for step in range(7):
            if step in (0, 3):
                plain.loss()
            else:
                plain.steps(1)
    # Powers of two scale gradients without rounding.
    assert torch.equal(flat(training.model), flat(plain.model))


def test_gradients_that_a_fused_optimizer_scales_back_itself_are_refused():
    training, scaler = Training(fused=True), torch.amp.GradScaler("cpu", init_scale=4.0)
    before = flat(training.model)
    refused = pytest.raises(InputError, match="scales its gradients back inside of its step")
    with Intervened(training.model, training.optimizer, "remove:random:3,on=gradient"), refused:
        scaled_step(training, scaler)
    assert torch.equal(flat(training.model), before)


@pytest.mark.parametrize(
    ("text", "unscaled"), [("remove:gradient:1,window=2", True), ("remove:edge:1,window=2", False)]
)
def test_steps_that_a_fused_optimizer_skips_are_none(text, unscaled):
    found = []
    for factors in ([1, torch.inf, 1, 1, torch.inf, 1], [1, None, 1, 1, None, 1]):
        training, scaler = Training(fused=True), torch.amp.GradScaler("cpu", init_scale=4.0)
        with Intervened(training.model, training.optimizer, text) as changed:
            for factor in factors:
                if factor is None:
                    training.loss()
                else:
                    scaled_step(training, scaler, factor, unscaled=unscaled)
        assert changed.step == 4
        found.append(flat(training.model))
    assert torch.equal(*found)


def test_a_missing_gradient_counts_as_zero():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    vector = torch.ones(1, 57, dtype=torch.float64)
    before = flat(model)
    with Intervened(model, optimizer, "remove:given,on=gradient", given=vector):
        model.attn.weight.sum().backward()
        optimizer.step()
    gradient = torch.zeros(57, dtype=torch.float64)
    gradient[:30] = 1
    torch.testing.assert_close(flat(model), before - 0.1 * (gradient - gradient.mean()))
    # A vector without a part there leaves it missing, so that the optimizer passes it over.
    model = network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=1.0)
    vector = torch.eye(57, dtype=torch.float64)[:1]
    with Intervened(model, optimizer, "remove:given,on=gradient", given=vector):
        model.attn.weight.sum().backward()
        optimizer.step()
    assert model.mlp.weight.grad is None
    assert torch.equal(model.mlp.weight, network().mlp.weight)


def test_several_groups_and_frozen_and_tied_parameters():
    model = network()
    model.mlp.bias.requires_grad_(False)
    model.again = nn.Linear(5, 6, dtype=torch.float64)
    model.again.weight = model.attn.weight
    groups = [
        {"params": [model.attn.weight], "lr": 0.1},
        {"params": [model.mlp.weight, model.attn.bias], "lr": 0.01, "weight_decay": 0.3},
    ]
    optimizer = torch.optim.AdamW(groups)
    before = {name: part.detach().clone() for name, part in model.named_parameters()}
    vectors = torch.randn(2, 30 + 6 + 18, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    with Intervened(model, optimizer, "remove:given", given=vectors) as changed:
        for inputs in batches(3):
            optimizer.zero_grad()
            loss_of(model, inputs).backward()
            optimizer.step()
    assert changed.account()["parameters"].tolist() == [54]
    names = ("attn.weight", "attn.bias", "mlp.weight")
    now = dict(model.named_parameters())
    moved = torch.cat([(now[name].detach() - before[name]).reshape(-1) for name in names])
    torch.testing.assert_close(vectors @ moved, torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-12)
    assert float(moved.norm()) > 0.01


@pytest.mark.parametrize("how", ["unfrozen", "added"])
def test_it_says_what_is_trained_later_and_not_changed(how):
    training = Training()
    layer = training.model.mlp
    if how == "unfrozen":
        layer.requires_grad_(False)
    else:
        training.optimizer = torch.optim.SGD(training.model.attn.parameters(), lr=0.1)
    with Intervened(training.model, training.optimizer, "scale:all,by=0") as changed:
        training.steps(2)
        layer.requires_grad_(True)
        if how == "added":
            training.optimizer.add_param_group({"params": list(layer.parameters())})
        before = [part.detach().clone() for part in training.model.parameters()]
        with pytest.warns(RuntimeWarning, match=r"mlp.weight, mlp.bias is trained since step 2.* is not changed"):
            training.steps(1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            training.steps(1)
    kept = [torch.equal(*pair) for pair in zip(before, training.model.parameters(), strict=True)]
    assert kept == [True, True, False, False]
    assert changed.account()["parameters"].tolist() == [36]


def test_parameters_that_are_no_longer_those_are_an_error():
    for spoil, message in (
        (replaced, "attn.weight has been replaced by another parameter.*with step=3"),
        (nn.Module.double, "torch.float64 on cpu now, and were torch.float32 on cpu"),
    ):
        training = Training()
        with Intervened(training.model, training.optimizer, "remove:edge:1,window=2"):
            training.steps(3)
            spoil(training.model)
            training.dtype = training.model.attn.weight.dtype
            with pytest.raises(InputError, match=message):
                training.steps(1)


def replaced(model):
    model.attn.weight = nn.Parameter(model.attn.weight.detach().clone())


def test_parameters_that_share_their_memory_have_two_gradients():
    model = network()
    model.again = nn.Linear(5, 6, bias=False, dtype=torch.float64)
    model.again.weight.data = model.attn.weight.data
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(InputError, match=r"again.weight is tied to attn.weight by its memory alone, and its own"):
        Intervened(model, optimizer, "remove:random:3,on=gradient")
    before = model.attn.weight.detach().clone()
    with Intervened(model, optimizer, "scale:all,by=0,params=attn.weight"):
        (loss_of(model, batches(1)[0]) + model.again(batches(1)[0]).sum()).backward()
        optimizer.step()
    assert torch.equal(model.attn.weight, before)
    # Of one parameter under two names there is one gradient.
    model.again.weight = model.attn.weight
    Intervened(model, torch.optim.SGD(model.parameters(), lr=0.1), "remove:random:3,on=gradient")


def test_a_gradient_that_is_a_conjugate_is_changed():
    weight = nn.Parameter(torch.tensor([1 + 2j, 3 - 1j], dtype=torch.complex128))
    optimizer = torch.optim.SGD([weight], lr=0.1)
    vectors = {"w": torch.tensor([[1j, 0]], dtype=torch.complex128)}
    with Intervened(nn.ParameterDict({"w": weight}), optimizer, "remove:given,on=gradient", given=vectors):
        (weight.conj() * torch.tensor([1 + 1j, 2 - 3j])).real.sum().backward()
        assert weight.grad.is_conj()
        optimizer.step()
    torch.testing.assert_close(weight.detach(), torch.tensor([0.9 + 2j, 2.8 - 0.7j], dtype=torch.complex128))


def test_complex_parameters_are_pairs():
    weight = nn.Parameter(torch.tensor([1 + 2j, 3 - 1j], dtype=torch.complex128))
    model = nn.ParameterDict({"w": weight})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Intervened(
        model, optimizer, "remove:given,on=gradient", given={"w": torch.tensor([[1j, 0]], dtype=torch.complex128)}
    ):
        (weight.abs() ** 2).sum().backward()
        optimizer.step()
    # The gradient of |w|² is 2w; the imaginary part of the first stays.
    torch.testing.assert_close(weight.detach(), torch.tensor([0.8 + 2j, 2.4 - 0.8j], dtype=torch.complex128))


def test_a_tracker_sees_the_changed_weights_whoever_comes_first():
    found = []
    for first in (True, False):
        training = Training(dtype=torch.float64)
        tracker = training.tracker(params="*", every=1, window=4)
        intervened = Intervened(training.model, training.optimizer, "keep:random:2")
        for one in (tracker, intervened) if first else (intervened, tracker):
            one.attach()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            training.steps(8)
            found.append(tracker.latest.eigenvalues_W)
        intervened.detach()
        tracker.detach()
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=0)
    assert found[0][1] > 0
    assert found[0][2] < 1e-12 * found[0][0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m, o: Intervened(m, o), "expected at least one intervention"),
        (lambda m, o: Intervened(m, [o, torch.optim.SGD(m.parameters())], "keep:all"), "expected one optimizer, got 2"),
        (lambda m, o: Intervened(m, object(), "keep:all"), r"expected a torch.optim.Optimizer"),
        (lambda m, o: Intervened(m, o, "keep:edge:3,params=nothing"), "pattern 'nothing' matches nothing"),
        (
            lambda m, o: Intervened(m, o, "keep:edge:3", given=torch.ones(1, 57)),
            "no intervention is of a given subspace",
        ),
        (lambda m, o: Intervened(m, o, "keep:given"), "vectors are handed over for a given subspace"),
        (
            lambda m, o: Intervened(m, o, "keep:given", given=torch.ones(1, 56)),
            r"shape \(1, 56\), expected .*\(K, 57\)",
        ),
        (lambda m, o: Intervened(m, o, "keep:given", given={"x": torch.ones(1, 3)}), "too many: x"),
        (lambda m, o: Intervened(m, o, "keep:random:58"), "more directions than its 57 numbers have"),
        (
            lambda m, o: Intervened(m.to(torch.bfloat16), o, "keep:all"),
            r"attn.weight has numbers of type torch.bfloat16",
        ),
        (lambda m, o: Intervened(m.to("meta"), o, "keep:all"), "nothing that the patterns match is trained"),
    ],
)
def test_mistakes_are_named(make, message):
    model = network(torch.float32)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(InputError, match=message):
        make(model, optimizer)


def test_parameters_of_two_precisions_are_refused():
    model = network()
    model.mlp.float()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(InputError, match="the chosen parameters are of 2 precisions"):
        Intervened(model, optimizer, "keep:all")
    assert Intervened(model, optimizer, "keep:all", params="mlp.*").account()["parameters"].tolist() == [21]


def test_what_is_not_finite_is_not_spread():
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = flat(model)
    with Intervened(model, optimizer, "remove:random:2,on=gradient"):
        (model.attn.weight.sum() * torch.nan).backward()
        with pytest.raises(InputError, match=r"a gradient of attn.weight is not finite at step 1"):
            optimizer.step()
    assert torch.equal(flat(model), before)
    with (
        Intervened(model, optimizer, "remove:random:2"),
        pytest.raises(InputError, match=r"a weight of attn\.weight is not"),
    ):
        optimizer.step()
    assert bool(torch.isfinite(model.mlp.weight).all())


def test_sparse_gradients_are_refused():
    model = nn.Embedding(4, 2, sparse=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with Intervened(model, optimizer, "remove:random:2,on=gradient"):
        model(torch.tensor([1])).sum().backward()
        with pytest.raises(InputError, match=r"the gradient of weight is torch.sparse_coo"):
            optimizer.step()


def test_it_says_if_no_step_was_heard():
    training = Training()
    other = torch.optim.SGD(training.model.parameters(), lr=0.1)
    told = pytest.warns(UserWarning, match=r"no step\(\) of SGD was heard, so nothing was changed")
    with told, Intervened(training.model, other, "keep:all"):
        training.steps(2)


def test_a_file_serves_both_kinds_of_loops(tmp_path):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    write_tensors(tmp_path / "v.safetensors", {"mlp.bias": torch.eye(3)[:1]})
    one = Intervention.of(f"remove:file:{tmp_path / 'v.safetensors'}")
    before = model.mlp.bias.detach().clone()
    with Intervened(model, optimizer, one):
        loss_of(model, batches(1)[0]).backward()
        optimizer.step()
    assert (model.mlp.bias.detach() - before)[0] == 0
    assert float((model.mlp.bias.detach() - before)[1:].abs().min()) > 0


def test_wrapped_optimizers_are_those_that_they_wrap():
    accelerate = pytest.importorskip("accelerate")
    plain, wrapped = Training(), Training()
    with Intervened(plain.model, plain.optimizer, "remove:gradient:1,window=2", "remove:edge:1,window=2"):
        plain.steps(6)
    model, optimizer = accelerate.Accelerator(cpu=True).prepare(wrapped.model, wrapped.optimizer)
    with Intervened(model, optimizer, "remove:gradient:1,window=2", "remove:edge:1,window=2") as changed:
        for _ in range(6):
            optimizer.zero_grad()
            wrapped.loss().backward()
            optimizer.step()
    assert changed.step == 6
    assert torch.equal(flat(plain.model), flat(wrapped.model))


def test_a_compiled_model_has_its_own_names():
    training = Training()
    compiled = torch.compile(training.model, backend="eager")
    changed = Intervened(compiled, training.optimizer, "remove:random:2,params=attn.*")
    assert changed.account()["parameters"].tolist() == [36]


@pytest.mark.parametrize("until", [7, 8, 9, 10, 14])
@pytest.mark.parametrize("start", [0, 4, 5, 6])
def test_windows_of_several_steps_are_followed_to_the_end(start, until):
    """Updates of 3 steps, a window of 2: whatever ends before a step is in its window."""
    naive, model = network(), network()
    by_hand, steps = OPTIMIZERS["adamw"](naive.parameters()), OPTIMIZERS["adamw"](model.parameters())
    snapshots = [flat(naive)]
    for step, inputs in enumerate(batches(14), start=1):
        before = flat(naive)
        by_hand.zero_grad()
        loss_of(naive, inputs).backward()
        by_hand.step()
        updates = [after - one for after, one in zip(snapshots[1:], snapshots[:-1], strict=True)]
        if start < step <= until and len(updates) >= 2:
            update = mapped(flat(naive) - before, projector(updates[-2:], 1), "remove", False)
            with torch.no_grad():
                put(naive.parameters(), before + update)
        if step % 3 == 0:
            snapshots.append(flat(naive))
    with Intervened(model, steps, f"remove:edge:1,window=2,every=3,from={start},until={until}"):
        for inputs in batches(14):
            steps.zero_grad()
            loss_of(model, inputs).backward()
            steps.step()
    torch.testing.assert_close(flat(model), flat(naive), rtol=0, atol=1e-10)
