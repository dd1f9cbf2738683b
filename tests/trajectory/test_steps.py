"""Steps in names: one rule for all names of a series, strangers named, and regular expressions that read the rest."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.trajectory.name_parts import parse_step
from spectraledge.trajectory.steps import assign_steps

PUBLISHED = {
    "Pythia": (["step0", "step1", "step512", "step143000"], [0, 1, 512, 143_000]),
    "Pythia, sizes": (["pythia-70m-step0", "pythia-70m-step1000"], [0, 1000]),
    "OLMo": (["step1000-tokens4B", "step2000-tokens8B"], [1000, 2000]),
    "OLMo-2": (["stage1-step1000-tokens5B", "stage1-step20000-tokens84B"], [1000, 20_000]),
    "SmolLM": (["step-160000", "step-320000"], [160_000, 320_000]),
    "FineWeb": (["step-001000-2BT", "step-002000-4BT"], [1000, 2000]),
    "stanford-crfm": (["checkpoint-10", "checkpoint-400"], [10, 400]),
    "MultiBERTs": ([f"multiberts-seed_0-step_{k}k" for k in (0, 20, 2000)], [0, 20_000, 2_000_000]),
    "k and M": (["step_500k.safetensors", "step_800k.safetensors", "step_1M.safetensors"], [500_000, 800_000, 10**6]),
    "ESM": ([f"esm2_t33_650M_UR50D_checkpoint_{k}.pt" for k in (10_000, 20_000)], [10_000, 20_000]),
    "Composer": ([f"ep0-ba{k}-rank0.pt" for k in (100, 200)], [100, 200]),
    "Lightning": (["epoch=0-step=100.ckpt", "epoch=3-step=1000.ckpt"], [100, 1000]),
    "Lightning, metric": (["epoch=0-step=100-val_loss=0.9.ckpt", "epoch=1-step=200-val_loss=0.95.ckpt"], [100, 200]),
    "Lightning, other metrics": (
        [f"epoch={epoch}-dice={dice}-v={v}.ckpt" for epoch, dice, v in ((0, 0.41, 1.5), (1, 0.62, 0.9), (2, 0.6, 0.9))],
        [0, 1, 2],
    ),
    "epochs and losses": (["epoch_1_loss_0.9.pt", "epoch_2_loss_0.8.pt"], [1, 2]),
    "nests": (["epoch_1/step_100", "epoch_1/step_200", "epoch_2/step_300"], [100, 200, 300]),
    "DeepSpeed": (["global_step500", "global_step1000"], [500, 1000]),
    "Megatron": (["iter_0000500", "iter_0001000"], [500, 1000]),
    "ImageNet": (["checkpoint-100.pth.tar", "checkpoint-200.pth.tar"], [100, 200]),
    "short words": (["ep1_it100.pt", "ep1_it200.pt", "ep2_it300.pt"], [100, 200, 300]),
    "updates": (["ep1-upd_5", "ep2-upd_9"], [5, 9]),
    "iterations": (["ep1b-100its.pt", "ep2b-200its.pt"], [100, 200]),
    "tuned to instructions": (["gemma-2-it-ckpt500", "gemma-2-it-ckpt1000"], [500, 1000]),
    "tuned in few bits": (["gemma-2-2b-it-4bit-checkpoint-500", "gemma-2-2b-it-4bit-checkpoint-1000"], [500, 1000]),
    "tuned over epochs": (["gemma-2-2b-it-epoch1", "gemma-2-2b-it-epoch2"], [1, 2]),
    "behind": (["model-7b-900-steps", "model-7b-20k-steps"], [900, 20_000]),
    "thousands": (["step_500", "step_1,000", "step_12,500"], [500, 1000, 12_500]),
    "powers": (["1e5.pt", "2e5.pt", "1e+06.pt"], [100_000, 200_000, 1_000_000]),
    "fractions": (["step_0.5M", "step_1.5M"], [500_000, 1_500_000]),
    "other digits": (["step_１００", "step_２００"], [100, 200]),
    "no word": (["gpt2-100", "gpt2-200"], [100, 200]),
    "one": (["weights_7.pt"], [7]),
}


@pytest.mark.parametrize(("names", "steps"), PUBLISHED.values(), ids=list(PUBLISHED))
def test_names_as_they_are_published(names, steps):
    found = assign_steps(names[::-1], "here")
    assert found.steps == dict(zip(names, steps, strict=True))
    assert found.strangers == ()


@pytest.mark.parametrize(
    ("series", "others"),
    [
        (["stage1-step100", "stage1-step200"], ["stage2-ingredient1-step100"]),
        (["stage2-ingredient1-step100", "stage2-ingredient1-step300"], ["stage2-ingredient2-step200"]),
        (["pythia-1b-step0", "pythia-1b-step1000"], ["pythia-1.4b-step2000"]),
        (["lr0.001-step100", "lr0.001-step200"], ["lr0.01-step300"]),
        (["lr=0.001-step=100", "lr=0.001-step=200"], ["lr=0.01-step=300"]),
        (["mix=0.5-step=100", "mix=0.5-step=200", "mix=0.5-step=300"], ["mix=0.1-step=400"]),
        (["retrieval1_step100", "retrieval1_step200"], ["retrieval2_step300"]),
        (["a_step_1.5k.pt", "a_step_2k.pt", "a_step_500.pt"], ["b_step_1.5k.pt"]),
        (["a_step_1e5.pt", "a_step_1e+06.pt"], ["b_step_1e5.pt"]),
        (["a_step_1,000.pt", "a_step_20,000.pt"], ["b_step_1,000.pt"]),
        (["seed1_10.pt", "seed1_20.pt"], ["seed2_10.pt"]),
        (["ep0-ba100-rank0.pt", "ep0-ba200-rank0.pt"], ["ep0-ba100-rank1.pt"]),
        (["epoch=0-step=100.ckpt", "epoch=1-step=200.ckpt"], ["epoch=1-step=200-v1.ckpt"]),
        (["step1000", "step2000"], ["step3000-tokens12B"]),
        (["iter_1/mp_rank_00", "iter_2/mp_rank_00"], ["iter_1/mp_rank_01"]),
    ],
)
def test_several_series_are_refused_with_an_expression_that_reads_one(series, others):
    with pytest.raises(InputError, match=r"follow 2 patterns.*choose one series with --step") as refusal:
        assign_steps([*others, *series], "here")
    advice = re.search(r"such as --step '(.*)'$", str(refusal.value))[1]
    found = assign_steps([*others, *series], "here", pattern=advice)
    assert sorted(found.steps) == sorted(series)
    assert found.strangers == tuple(others)
    assert found.steps == assign_steps(series, "here").steps


@pytest.mark.parametrize("stranger", ["final", "model_final.pt", "pretrained_v2.pt", "1-2.pt", "step_1_step_2.pt"])
def test_a_stranger_is_named_and_never_sorted_in(stranger):
    names = ["step_100.pt", "step_200.pt", stranger]
    with pytest.raises(InputError, match=rf"cannot tell the step of here/{stranger}: .*not like 'step_#'") as refusal:
        assign_steps(names, "here")
    advice = re.search(r"--step '(.*)' \(step=", str(refusal.value))[1]
    assert assign_steps(names, "here", pattern=advice).strangers == (stranger,)
    assert assign_steps(names, "here", tolerant=True).strangers == (stranger,)


@pytest.mark.parametrize(
    "copy",
    ["last.ckpt", "last-v1.ckpt", "latest", "latest-rank0.pt", "best", "model_best.pth.tar", "checkpoint_last.pt"],
)
def test_copies_that_libraries_keep_are_left_beside_the_series(copy):
    found = assign_steps(["epoch=0-step=10.ckpt", copy, "epoch=1-step=20.ckpt"], "here")
    assert (list(found.steps.values()), found.strangers) == ([10, 20], (copy,))


@pytest.mark.parametrize(
    ("names", "last"),
    [
        (["checkpoint_1_500.pt", "checkpoint_1_1000.pt", "checkpoint_2_1500.pt"], [500, 1000, 1500]),
        (["step_1_000.pt", "step_2_000.pt"], None),
        (["a1-b10.pt", "a2-b20.pt"], [10, 20]),
        (["1_100.pt", "1_900.pt"], [100, 900]),
        (["model-1-2.pt"], [2]),
        (["step_1.000.pt", "step_2.000.pt"], None),
        (["step_3B", "step_4B"], [3, 4]),
        (["tokens_500M", "tokens_1B"], None),
        (["model_seed0.pt", "model_seed1.pt"], [0, 1]),
        (["seed0_100.pt", "seed1_100.pt"], None),
        (["e1s100", "e2s200"], [100, 200]),
        (["ep1_gs100.pt", "ep1_gs200.pt", "ep2_gs300.pt"], [100, 200, 300]),
        (["gs100_ep1.pt", "gs200_ep2.pt"], [100, 200]),
        (["layer-0.pt", "layer-1.pt"], [0, 1]),
        (["fold1", "fold2"], [1, 2]),
        (["weights.01-0.50.pt", "weights.02-0.41.pt"], [1, 2]),
        (["200b_tokens", "1t_tokens"], [200]),
        (["epoch_0.5.pt", "epoch_1.5.pt"], None),
    ],
)
def test_what_may_be_read_in_two_ways_is_not_read(names, last):
    with pytest.raises(
        InputError, match=r"cannot tell the step of here/.*a name must hold one integer, no seed or rank, or say step"
    ) as no:
        assign_steps(names, "here")
    if last:
        advice = re.search(r"such as --step '(.*)' if the step of", str(no.value))[1]
        assert list(assign_steps(names, "here", pattern=advice).steps.values()) == last


def test_grouped_digits_are_read_where_they_are_asked_for():
    names = ["step_1_000.pt", "step_12_500.pt"]
    assert list(assign_steps(names, "here", pattern=r"step_([\d_]+)").steps.values()) == [1000, 12_500]


def test_epochs_that_fall_while_steps_rise_are_steps_that_start_anew():
    names = ["epoch_1/step_100", "epoch_1/step_200", "epoch_2/step_150"]
    with pytest.raises(InputError, match=r"epoch_1/step_200 of here has a higher step .* a lower epoch") as refusal:
        assign_steps(names, "here")
    advice = re.search(r"such as --step '(.*)'$", str(refusal.value))[1]
    assert list(assign_steps(names, "here", pattern=advice).steps) == ["epoch_2/step_150"]


def test_an_expression_takes_its_first_group_or_all_of_it():
    names = ["a_10_x", "b_20_y", "main"]
    assert assign_steps(names, "here", pattern=r"_(\d+)_(?:x|y)").steps == {"a_10_x": 10, "b_20_y": 20}
    assert assign_steps(names, "here", pattern=r"\d+").steps == {"a_10_x": 10, "b_20_y": 20}
    assert assign_steps(["x2k", "x1M"], "here", pattern=r"x(.*)").steps == {"x2k": 2000, "x1M": 10**6}


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("(step", r"'\(step' is no regular expression"),
        (r"stage3-(\d+)", "finds nothing in the names in here: they are step_1, step_2"),
        ("(step)", "finds 'step' in step_1, which is no step"),
        (r"(x)?step", "finds '' in step_1, which is no step"),
    ],
)
def test_an_expression_that_is_none_or_finds_no_step(pattern, words):
    with pytest.raises(InputError, match=words):
        assign_steps(["step_1", "step_2"], "here", pattern=pattern)


@pytest.mark.parametrize(
    ("text", "step"),
    [
        ("7", 7),
        ("007", 7),
        ("20k", 20_000),
        ("1.5M", 1_500_000),
        ("2m", 2_000_000),
        ("1,234,567", 1_234_567),
        ("3e2", 300),
    ]
    + [(bad, None) for bad in ("", "x", "1.5", "2B", "4BT", "1.25e1", "-3", "1" + 20 * "0", "1 2 x")],
)
def test_numbers_as_people_write_them(text, step):
    assert parse_step(text) == step


@given(
    steps=st.sets(st.integers(0, 10**7), min_size=2, max_size=8),
    template=st.sampled_from(
        ["step{}", "step-{:08d}.pt", "x7b_iter_{}.ckpt", "seed3-step{}-tokens9B", "run2/step_{:,}"]
    ),
    stray=st.sampled_from(["final.pt", "v1.0", "seed4-x5", "notes2.bin"]),
)
def test_what_a_pattern_wrote_is_read_back_and_a_stray_name_never_joins(steps, template, stray):
    names = [template.format(step) for step in steps]
    found = assign_steps([stray, *names], "here", tolerant=True)
    assert found.steps == dict(zip(names, steps, strict=True))
    assert found.strangers == (stray,)
