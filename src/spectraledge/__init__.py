"""Which functions of the input the weights of a network are moving along, while it trains.

The names below work on tensors and modules and never touch the disk. Recorded runs, studies and reports are in
`spectraledge.training`, `spectraledge.studies` and `spectraledge.report`; the command `spectraledge` drives them.

    >>> import torch
    >>> from spectraledge import window_spectrum
    >>> updates = torch.outer(torch.ones(20), torch.arange(5.0))
    >>> window_spectrum(updates, window=20).k_star_T.tolist()
    [1]
"""

from spectraledge.errors import InputError
from spectraledge.modes import energy_share, jvp_responses, module_readout, peak
from spectraledge.spectrum import window_directions, window_spectrum
from spectraledge.tasks import grouping, named_task, task_from_function
from spectraledge.training import InMemory, RunConfig, Trainer, train

__all__ = [
    "InMemory",
    "InputError",
    "RunConfig",
    "Trainer",
    "energy_share",
    "grouping",
    "jvp_responses",
    "module_readout",
    "named_task",
    "peak",
    "task_from_function",
    "train",
    "window_directions",
    "window_spectrum",
]
