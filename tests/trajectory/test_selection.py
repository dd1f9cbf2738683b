"""Choosing parameters by pattern."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spectraledge.errors import InputError
from spectraledge.models import Transformer, TransformerConfig
from spectraledge.tasks import named_task
from spectraledge.training import RunConfig
from spectraledge.trajectory import Selection, select_parameters

NAMES = ["head.weight", "head.bias", "layers.0.attention.qkv.weight", "layers.1.attention.qkv.weight", "Head.weight"]


def test_names_keep_their_order_and_every_name_is_accounted_for():
    found = select_parameters(iter(NAMES), ["layers.*", "head.*"])
    assert found == Selection(("layers.*", "head.*"), tuple(NAMES[:4]), (NAMES[4],))


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("*", NAMES),
        ("head.weight", NAMES[:1]),
        ("?ead.weight", [NAMES[0], NAMES[4]]),
        ("[hH]ead.weight", [NAMES[0], NAMES[4]]),
        ("*.weight", [NAMES[0], *NAMES[2:]]),
        ("layers.[1-9].*", [NAMES[3]]),
    ],
)
def test_patterns_are_those_of_the_shell_and_mind_case(pattern, matched):
    assert list(select_parameters(NAMES, [pattern]).matched) == matched


@given(names=st.lists(st.text("ab.", min_size=1, max_size=4), min_size=1, unique=True))
def test_matched_and_others_are_a_partition(names):
    found = select_parameters(names, ["*a*", names[0]] if any("a" in name for name in names) else [names[0]])
    assert sorted(found.matched + found.others) == sorted(names)
    assert [name for name in names if "a" in name or name == names[0]] == list(found.matched)


@pytest.mark.parametrize("pattern", ["head", "HEAD.*", "*.kernel", ""])
def test_a_pattern_that_matches_nothing_lists_the_names(pattern):
    with pytest.raises(InputError, match=rf"pattern {re.escape(repr(pattern))} matches nothing"):
        select_parameters(NAMES, [pattern])
    with pytest.raises(InputError, match=r"the tensors are head\.weight, head\.bias, layers\.0"):
        select_parameters(NAMES, ["head.*", pattern])


def test_a_long_list_of_names_is_cut():
    with pytest.raises(InputError, match=r"n10, n11, \.\.\. \(50 in all\)$"):
        select_parameters([f"n{i}" for i in range(50)], ["x"])


def test_no_names_says_so():
    with pytest.raises(InputError, match="matches nothing; the tensors are none"):
        select_parameters([], ["*"])


def test_no_patterns_are_refused():
    with pytest.raises(InputError, match="pattern"):
        select_parameters(NAMES, [])


def test_the_default_of_a_run_watches_the_attention_matrices_and_no_biases():
    model = Transformer(TransformerConfig(tokens=5, width=8, heads=2, hidden=4))
    found = select_parameters(dict(model.named_parameters()), RunConfig.for_task(named_task("add", modulus=5)).watched)
    assert found.matched == tuple(
        f"layers.{depth}.attention.{part}.weight" for depth in range(2) for part in ("qkv", "output")
    )
