"""Joint tasks: one domain, an answer per part."""

import numpy as np
import pytest

from spectraledge.errors import InputError
from spectraledge.tasks import (
    JointTask,
    Task,
    any_task,
    formula_of,
    joint_task,
    named_task,
    part_names,
    task_from_source,
)


def test_parts_answer_the_pairs_without_a_zero():
    task = joint_task([named_task(name, modulus=7) for name in ("add", "mul", "square_sum")])
    pairs = [(a, b) for a in range(1, 7) for b in range(1, 7)]
    np.testing.assert_array_equal(task.pairs_N2, pairs)
    np.testing.assert_array_equal(task.answers_NO, [((a + b) % 7, a * b % 7, (a * a + b * b) % 7) for a, b in pairs])
    assert (task.name, task.modulus, len(task)) == ("add+mul+square_sum", 7, 36)
    assert [part.structure for part in task.parts] == ["sum", "dlog_sum", "output"]


def test_one_part_is_a_joint_task_with_another_name():
    task = any_task("square_sum+", modulus=7)
    assert isinstance(task, JointTask)
    assert (task.name, len(task.parts), len(task)) == ("square_sum+", 1, 36)
    assert task.digest != named_task("square_sum", modulus=7).digest


@pytest.mark.parametrize("name", ["add", "add+", "add+mul", "add+mul+square_sum"])
def test_names_make_their_tasks_again(name):
    task = any_task(name, modulus=11)
    assert task.name == name
    assert tuple(part.name for part in task.parts) == part_names(name)
    assert task.formula == formula_of(name)
    assert task_from_source(name, modulus=11).digest == task.digest


def test_a_task_is_its_own_only_part():
    task = named_task("add", modulus=5)
    assert task.parts == (task,)
    np.testing.assert_array_equal(task.answers_NO[:, 0], task.labels_N)


def test_the_order_of_parts_is_another_task():
    assert any_task("add+mul", modulus=7).digest != any_task("mul+add", modulus=7).digest


def test_what_does_not_fit_together_is_refused():
    add, other = named_task("add", modulus=7), named_task("sub", modulus=5)
    with pytest.raises(InputError, match="different names, got add, add"):
        joint_task([add, add])
    with pytest.raises(InputError, match="share their pairs and modulus, 'sub' and 'add' do not"):
        joint_task([add, other])
    with pytest.raises(InputError, match="unknown task 'pow'"):
        any_task("add+pow")
    kept = ~((add.pairs_N2 == (2, 3)).all(1))
    hole = Task("hole", "", 7, add.pairs_N2[kept], add.labels_N[kept])
    with pytest.raises(InputError, match=r"task 'hole' has no answer to \(2, 3\)"):
        joint_task([hole])


def test_a_name_with_a_plus_sign_is_no_tasks():
    add = named_task("add", modulus=7)
    with pytest.raises(InputError, match="the name of a task holds no '\\+', which joins several, got 'a\\+b'"):
        Task("a+b", "", 7, add.pairs_N2, add.labels_N)
