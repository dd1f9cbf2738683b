"""All groups of small orders: as many as there are, each a group."""

import pytest

from spectraledge.algebra import check_group, groups_of_order
from spectraledge.errors import InputError

# OEIS A000001, orders 1 to 31; order 32 has 51 and takes some seconds (`benchmarks/discovery.py`).
COUNTS = [1, 1, 1, 2, 1, 2, 1, 5, 2, 2, 1, 5, 1, 2, 1, 14, 1, 5, 1, 5, 2, 2, 1, 15, 2, 2, 5, 4, 1, 4, 1]


def test_there_are_as_many_groups_as_are_known():
    found = [groups_of_order(order) for order in range(1, 32)]
    assert [len(groups) for groups in found] == COUNTS
    for order, groups in enumerate(found, start=1):
        for group in groups:
            assert len(group) == order
            check_group(group.table_MM)


@pytest.mark.parametrize("order", [0, -1, 60])
def test_orders_out_of_range_are_refused(order):
    with pytest.raises(InputError, match=f"for orders 1 to 59, got {order}"):
        groups_of_order(order)
