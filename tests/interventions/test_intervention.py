"""Interventions as data: read as they are written, and refused where they mean nothing."""

import pytest
from pydantic import ValidationError

from spectraledge.errors import InputError
from spectraledge.interventions import Intervention
from spectraledge.training import RunConfig

WRITTEN = [
    "remove:edge:3",
    "keep:all",
    "remove:window,window=5",
    "keep:bulk:3,center=yes",
    "keep:gradient:3,norm=restored,from=1000,until=5000",
    "remove:gradient:1,on=update,window=1",
    "scale:random:3,on=gradient,by=0.1234567890123,fresh=yes,seed=7",
    "remove:span:2,every=100,params=*query*,params=*key*",
    "remove:edge:3,skip=3",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_what_is_read_is_written_again(text):
    found = Intervention.of(text)
    assert str(found) == text
    assert Intervention.of(str(found)) == found
    assert Intervention.model_validate_json(found.model_dump_json()) == found


def test_settings_are_what_they_are_called():
    found = Intervention.of("scale:gradient:2,by=0.5,from=3,until=9,window=4,skip=1,params=a,params=b*")
    assert (found.action, found.subspace, found.rank, found.on, found.by) == ("scale", "gradient", 2, "gradient", 0.5)
    assert (found.start, found.stop, found.window, found.skip, found.params) == (3, 9, 4, 1, ("a", "b*"))
    assert [found.active(step) for step in (3, 4, 9, 10)] == [False, True, True, False]
    assert Intervention.of("remove:edge:3", params=["c"]).params == ("c",)
    assert Intervention.of("remove:edge:3,params=d", params=["c"]).params == ("d",)


@pytest.mark.parametrize(
    ("action", "factors"), [("keep", (1, 0)), ("remove", (0, 1)), ("scale", (0, 1)), ("scale", (-2.5, 1))]
)
def test_actions_are_factors(action, factors):
    by = {"by": factors[0]} if action == "scale" else {}
    assert Intervention(action=action, subspace="all", **by).factors == factors


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("edge:3", "expected ACTION:SUBSPACE such as remove:edge:3, got 'edge:3'"),
        ("remove:edges:3", "subspaces are edge:K, the K leading directions"),
        ("drop:edge:3", "action: Input should be 'keep', 'remove' or 'scale'"),
        ("remove:edge", "a number of directions, at least 1, belongs to edge, bulk, span, gradient, random, run"),
        ("remove:all:3", "a number of directions, at least 1, belongs to"),
        ("remove:edge:x", "rank: Input should be a valid integer"),
        ("remove:edge:-1", "rank: Input should be greater than or equal to 0"),
        ("remove:edge:21", "edge:21 asks for more directions than a window of 20 has"),
        ("remove:edge:20,center=yes", "edge:20 asks for more directions than a centred window of 20 has"),
        ("remove:edge:18,skip=3", "edge:18 behind 3 asks for more directions than a window of 20 has"),
        ("remove:bulk:20", "bulk:20 asks for more directions"),
        ("remove:bulk:2,skip=1", "skip belongs to edge, gradient and run"),
        ("remove:gradient:1,window=1,center=yes", "gradient:1 asks for more directions than a centred window of 1"),
        ("remove:random:3,center=yes", "only windows of at least 2 vectors are centred"),
        ("remove:edge:3,fresh=yes", "fresh belongs to what is drawn: span, random"),
        ("remove:gradient:3,every=2", "every belongs to windows of updates"),
        ("remove:edge:3,by=2", "scale needs by=NUMBER, and nothing else has it"),
        ("scale:edge:3", "scale needs by=NUMBER, and nothing else has it"),
        ("scale:edge:3,by=nan", "by: Input should be a finite number"),
        ("remove:edge:3,from=5,until=5", "until must come after from, got 5 and 5"),
        ("remove:edge:3,step=5", "expected NAME=VALUE with one of on, by, norm"),
        ("remove:edge:3,from=5,from=7", "from is said twice in 'remove:edge:3,from=5,from=7': say it once"),
        ("remove:edge:3,norm", "expected NAME=VALUE"),
        ("remove:file:nowhere", "no safetensors file of vectors at 'nowhere'"),
        ("remove:run:nowhere@3:2", "no folder at nowhere"),
        ("remove:run:nowhere", "expected ACTION:run:FOLDER@STEP:K"),
    ],
)
def test_mistakes_are_named(text, message):
    with pytest.raises(InputError, match=message):
        Intervention.of(text)


def test_a_source_comes_with_its_digest():
    with pytest.raises(ValidationError, match="a source with its digest belongs to file and run"):
        Intervention(action="keep", subspace="file", source="somewhere")
    with pytest.raises(ValidationError, match="step belongs to run"):
        Intervention(action="keep", subspace="all", step=3)


def test_a_run_is_another_one_with_interventions(small_config):
    plain, changed = small_config(), small_config(interventions=[Intervention.of("remove:edge:3")])
    assert plain.hash != changed.hash
    assert plain.hash == small_config(interventions=[]).hash
    assert changed.hash != small_config(interventions=[Intervention.of("remove:edge:2")]).hash
    assert RunConfig.model_validate_json(changed.model_dump_json()) == changed


def test_a_run_of_earlier_versions_keeps_its_name(small_task):
    # Recorded before there were interventions.
    assert RunConfig.for_task(small_task, {"width": 16, "heads": 2, "hidden": 32}).run_id == RUN_ID


RUN_ID = "add-mod13-wd1-seed42-d428e4d3"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 20}, "remove:edge:3,from=20,until=30 lies beyond the budget of 20 steps"),
    ],
)
def test_what_a_run_cannot_do_is_refused(small_config, settings, message):
    with pytest.raises(InputError, match=f"^{message}"):
        small_config(interventions=[Intervention.of("remove:edge:3,from=20,until=30")], **settings)


def test_a_run_takes_no_vectors_by_hand(small_config):
    with pytest.raises(InputError, match="a run is of its configuration alone: write the vectors to a file"):
        small_config(interventions=[Intervention.of("remove:given")])
