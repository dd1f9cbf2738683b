"""Interventions in runs: the laws, explicit projectors along a run, and resuming."""

import json

import numpy as np
import pytest
import torch

from small_runs import assert_same_run
from spectraledge.errors import InputError
from spectraledge.interventions import Intervention
from spectraledge.interventions.intervening import Intervening
from spectraledge.training import RunConfig, Stack, Trainer, train_in_folder
from spectraledge.training.member import Member
from spectraledge.trajectory import Manifest, write_tensors

WINDOW, STEPS = 4, 14


@pytest.fixture
def trainer(small_config, small_task):
    def make(*texts, task=small_task, **settings):
        config = RunConfig.for_task(
            task,
            {"width": 16, "heads": 2, "hidden": 32},
            batch_size=32,
            steps=400,
            every=20,
            interventions=[Intervention.of(text) for text in texts],
            **settings,
        )
        return Trainer(config, task)

    return make


def watched(trainer):
    """The watched parameters, float64, in the order of the layout."""
    weights = trainer.weights()
    names = [name for name in weights if "attention" in name and name.endswith("weight")]
    return torch.cat([weights[name].reshape(-1) for name in names]).double()


def put(trainer, vector):
    start = 0
    for name, part in trainer.weights().items():
        if "attention" in name and name.endswith("weight"):
            part.copy_(vector[start : start + part.numel()].reshape(part.shape))
            start += part.numel()


def leading(vectors, start, stop):
    """Explicit projector on right singular vectors, P×P."""
    _, _, rows = np.linalg.svd(torch.stack(vectors).numpy(), full_matrices=False)
    rows = torch.from_numpy(rows[start:stop])
    return rows.T @ rows


NOTHING = [
    "keep:all",
    "scale:edge:2,by=1,window=4",
    "scale:random:3,by=1,on=gradient",
    "scale:gradient:2,by=1.0,window=3",
]


@pytest.mark.parametrize("text", [*NOTHING, *(f"{text},norm=restored" for text in NOTHING)])
def test_what_changes_nothing_changes_no_bit(trainer, text):
    plain, other = trainer(), trainer(text)
    for run in (plain, other):
        run.advance(STEPS)
    for name in ("weights", "first", "second", "decay", "gradient", "clipped"):
        assert torch.equal(getattr(plain.stack.flat, name), getattr(other.stack.flat, name)), name
    assert other.interventions.account()[0]["acted"] > 0


ACTIONS = {"keep": (1.0, 0.0), "remove": (0.0, 1.0), "scale": (-0.5, 1.0)}


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize(("subspace", "places"), [("edge:2", (0, 2)), ("bulk:1", (1, None)), ("edge:1,skip=1", (1, 2))])
def test_updates_against_explicit_projectors(trainer, action, restored, subspace, places):
    by = ",by=-0.5" if action == "scale" else ""
    text = f"{action}:{subspace},window={WINDOW}{by}{',norm=restored' if restored else ''}"
    run, naive = trainer(text), trainer()
    inside, outside = ACTIONS[action]
    updates = []
    for step in range(1, STEPS + 1):
        before = watched(naive)
        naive.advance(1)
        update = watched(naive) - before
        if step > WINDOW:
            projector = leading(updates[-WINDOW:], *places)
            changed = inside * projector @ update + outside * (update - projector @ update)
            changed = changed * update.norm() / changed.norm() if restored else changed
            put(naive, before + changed)
        run.advance(1)
        updates.append(watched(run) - before)
        # Both round to single precision; after each step the two start anew from the same weights.
        torch.testing.assert_close(watched(run), watched(naive), rtol=0, atol=3e-8)
        put(naive, watched(run))
    account = run.interventions.account()[0]
    assert (account["acted"], account["idle"]) == (STEPS - WINDOW, WINDOW)


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("every", [1, 3])
def test_gradients_against_explicit_projectors(trainer, action, every):
    """`clipped` is what AdamW saw: of the same weights and batches with and without intervention."""
    by = ",by=-0.5" if action == "scale" else ""
    own = "gradient:2" if every == 1 else f"edge:2,on=gradient,every={every}"
    run = trainer(f"{action}:{own},window={WINDOW}{by}")
    inside, outside = ACTIONS[action]
    gradients, snapshots = [], [watched(run)]
    for step in range(1, STEPS + every * 2):
        plain = trainer()
        plain.restore(*plain_state(run))
        plain.advance(1)
        gradient = flat(plain.moves()["clipped"])
        gradients.append(gradient)
        run.advance(1)
        found = flat(run.moves()["clipped"])
        moved = snapshots[1:], snapshots[:-1]
        seen = gradients if every == 1 else [after - before for after, before in zip(*moved, strict=True)]
        if len(seen) < WINDOW:
            torch.testing.assert_close(found, gradient, rtol=0, atol=0)
        else:
            projector = leading(seen[-WINDOW:], 0, 2)
            expected = inside * projector @ gradient + outside * (gradient - projector @ gradient)
            torch.testing.assert_close(found, expected, rtol=0, atol=2e-6 * float(gradient.norm()))
        if step % every == 0:
            snapshots.append(watched(run))


def plain_state(run):
    tensors, text = run.state()
    kept = {name: part.clone() for name, part in tensors.items() if not name.startswith("interventions/")}
    return kept, {name: value for name, value in text.items() if name != "interventions"}


def flat(parts):
    names = [name for name in parts if "attention" in name and name.endswith("weight")]
    return torch.cat([parts[name].reshape(-1) for name in names]).double()


def test_removed_updates_leave_the_weights_where_they_are(trainer):
    run = trainer("remove:random:5")
    frame = run.interventions._acting[0]._fixed
    before = watched(run)
    run.advance(STEPS)
    moved = watched(run) - before
    inside = frame.rows_KP.double() @ moved
    assert float(inside.norm()) < 1e-5 * float(moved.norm())
    kept = trainer("keep:random:5")
    kept.advance(STEPS)
    moved = watched(kept) - before
    inside = frame.rows_KP.double() @ moved
    torch.testing.assert_close(inside.norm(), moved.norm(), rtol=1e-4, atol=0)


@pytest.mark.parametrize("texts", [["remove:random:3"], ["scale:random:9,by=3", "keep:span:2,window=3,fresh=yes"]])
def test_decay_and_the_rest_are_mapped_as_their_sum(trainer, texts):
    """Of θ, what decay moved and what AdamW did sum to the update: with no gradient at all decay is everything."""
    run = trainer(*texts, learning_rate=1e-3, weight_decay=10.0)
    run.stack.flat.first.zero_()
    before = watched(run)
    # A gradient of 1e-30 after clipping leaves AdamW's own step next to nothing.
    still = trainer(*texts, learning_rate=1e-3, weight_decay=10.0, clip_norm=1e-30)
    still.advance(6)
    moved = watched(still) - before
    torch.testing.assert_close(flat(still.moves()["decay"]), moved, rtol=0, atol=2e-7)


def test_drawn_subspaces_are_drawn_as_they_say(trainer):
    run = trainer(
        "remove:random:3", "remove:random:3,on=gradient", "remove:random:3,seed=1", "remove:random:3,fresh=yes"
    )
    same, on_gradient, other, fresh = run.interventions._acting
    assert torch.equal(same._fixed.rows_KP, on_gradient._fixed.rows_KP)
    assert not torch.equal(same._fixed.rows_KP, other._fixed.rows_KP)
    first, second = fresh._frame(1).rows_KP, fresh._frame(2).rows_KP
    assert torch.equal(first, fresh._frame(1).rows_KP)
    assert float((first @ second.T).abs().max()) < 0.5
    for rows in (same._fixed.rows_KP, first):
        torch.testing.assert_close(rows @ rows.T, torch.eye(3), rtol=0, atol=1e-6)


def test_random_directions_in_the_span_lie_there(trainer):
    run = trainer("remove:span:2,window=4")
    run.advance(6)
    acting = run.interventions._acting[0]
    drawn, whole = acting._frame(7), acting._window.leading()
    assert (drawn.rank, whole.rank) == (2, 4)
    inside = drawn.rows_KP @ whole.rows_KP.T
    torch.testing.assert_close(inside.norm(dim=1), torch.ones(2), rtol=0, atol=1e-5)
    mixing = inside @ inside.T
    torch.testing.assert_close(mixing, torch.eye(2), rtol=0, atol=1e-5)


def test_nothing_global_is_drawn_from(trainer):
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), json.dumps(np.random.get_state(legacy=False), default=str)
    run = trainer("remove:random:2,fresh=yes", "keep:span:2,window=3")
    run.advance(5)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == json.dumps(np.random.get_state(legacy=False), default=str)


def test_it_acts_when_it_is_meant_to(trainer):
    plain, run = trainer(), trainer("remove:edge:2,window=3,from=6,until=8")
    for step in range(1, 12):
        plain.advance(1)
        run.advance(1)
        account = run.interventions.account()[0]
        assert account["acted"] == min(max(step - 6, 0), 2)
        assert account["idle"] == 0
        assert torch.equal(plain.stack.flat.weights, run.stack.flat.weights) == (step <= 6)


def test_each_run_of_a_stack_has_its_own(trainer, small_task):
    texts = [[], ["remove:edge:2,window=3"], ["keep:gradient:2,window=3"]]
    alone = [trainer(*each) for each in texts]
    members = [Member(one.config, small_task) for one in alone]
    stack = Stack(members)
    stack.advance(8)
    stack.keep([1, 2])
    stack.advance(4)
    for one, member in zip(alone[1:], members[1:], strict=True):
        one.advance(12)
        torch.testing.assert_close(member.weights(), one.weights(), rtol=0, atol=1e-6)


def test_a_diverged_run_is_a_failed_run(trainer):
    run = trainer("remove:edge:2,window=3", "remove:gradient:2,window=3", learning_rate=1e30)
    with pytest.raises(InputError, match="the loss became"):
        run.advance(30)


TEXTS = [
    ["remove:edge:2,window=4"],
    ["keep:gradient:2,norm=restored,window=3", "scale:span:2,by=2.0,window=3,every=7,fresh=yes"],
    ["remove:random:3,from=30,until=50,fresh=yes", "remove:edge:2,from=45,window=3,every=10"],
]


@pytest.mark.parametrize("texts", TEXTS)
def test_a_run_with_interventions_resumes_bit_for_bit(tmp_path, small_config, small_task, texts):
    config = small_config(steps=80, interventions=[Intervention.of(text) for text in texts])
    train_in_folder(tmp_path / "whole", config, small_task)

    def stop(_):
        raise KeyboardInterrupt

    for _ in range(config.steps // config.every):
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            train_in_folder(tmp_path / "parts", config, small_task, on_progress=stop)
    train_in_folder(tmp_path / "parts", config, small_task)
    assert_same_run(tmp_path / "parts", tmp_path / "whole")
    manifest = Manifest.read(tmp_path / "parts")
    assert [one["what"] for one in manifest.interventions] == texts
    assert all(one["acted"] > 0 and 0 < one["share"] < 1 for one in manifest.interventions)
    assert manifest.config["interventions"][0]["action"] == config.interventions[0].action


def test_more_directions_than_numbers_are_refused(trainer):
    with pytest.raises(InputError, match="asks for more directions than its 2048 numbers have"):
        trainer("remove:random:2049")
    with pytest.raises(InputError, match="pattern 'nothing' matches nothing"):
        trainer("remove:edge:3,params=nothing")


def test_a_given_subspace_needs_its_vectors():
    weights = {"w": torch.zeros(2, 2)}
    with pytest.raises(
        InputError, match="remove:given: vectors are handed over for a given subspace, and for no other"
    ):
        Intervening([Intervention.of("remove:given")], weights, ["*"])
    with pytest.raises(
        InputError, match="remove:edge:1: vectors are handed over for a given subspace, and for no other"
    ):
        Intervening([Intervention.of("remove:edge:1")], weights, ["*"], given={0: torch.ones(1, 4)})


def test_a_file_of_another_layout_leaves_nothing_behind(tmp_path, small_config, small_task, trainer):
    name = next(name for name in trainer().weights() if "attention" in name and name.endswith("weight"))
    write_tensors(tmp_path / "other.safetensors", {name: torch.ones(1, 3, 3)})
    config = small_config(interventions=[Intervention.of(f"remove:file:{tmp_path / 'other.safetensors'}")])
    with pytest.raises(InputError, match=r"expected floats of shape \(1, \d+, 16\)"):
        train_in_folder(tmp_path / "run", config, small_task)
    assert not (tmp_path / "run").exists()
