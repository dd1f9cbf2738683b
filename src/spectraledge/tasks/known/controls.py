"""Controls of ours, without a group.

The maximum can be learned; answers that are dealt out anew to the pairs, always in the same way, can only be memorised.
"""

import numpy as np

from spectraledge.tasks.operations import Operation, permuted, register_operation

register_operation(Operation("maximum", "max(a, b)", "output", lambda a, b, n: np.maximum(a, b)))
register_operation(
    Operation("permuted_add", "a + b, answers permuted", "output", lambda a, b, n: permuted((a + b) % n))
)
register_operation(
    Operation("permuted_mul", "a·b, answers permuted", "output", lambda a, b, n: permuted(a * b % n), (1, 1))
)
