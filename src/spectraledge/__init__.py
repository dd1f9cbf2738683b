"""Which functions of the input the weights of a network are moving along, while it trains.

The names below are what a user needs first; each is imported when it is first used. Recorded runs, studies and
reports are in `spectraledge.training`, `spectraledge.studies` and `spectraledge.report`; the command `spectraledge`
drives them.

    >>> import torch
    >>> from spectraledge import window_spectrum
    >>> updates = torch.outer(torch.ones(20), torch.arange(5.0))
    >>> window_spectrum(updates, window=20).k_star_T.tolist()
    [1]
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spectraledge.display import drawn_by

if TYPE_CHECKING:
    from spectraledge.analyses.functional_modes import FunctionalModes, functional_modes
    from spectraledge.analyses.settings import AnalysisConfig
    from spectraledge.errors import InputError
    from spectraledge.integrations import Intervened, SpectralEdgeTracker
    from spectraledge.interventions import Intervention
    from spectraledge.modes import energy_share, jvp_responses, module_readout, peak
    from spectraledge.spectrum import window_directions, window_spectrum
    from spectraledge.tasks import grouping, named_task, task_from_function
    from spectraledge.training import InMemory, RunConfig, Trainer, train

_HOMES = {
    "analyses.functional_modes": ("FunctionalModes", "functional_modes"),
    "analyses.settings": ("AnalysisConfig",),
    "errors": ("InputError",),
    "integrations": ("Intervened", "SpectralEdgeTracker"),
    "modes": ("energy_share", "jvp_responses", "module_readout", "peak"),
    "spectrum": ("window_directions", "window_spectrum"),
    "tasks": ("grouping", "named_task", "task_from_function"),
    "interventions": ("Intervention",),
    "training": ("InMemory", "RunConfig", "Trainer", "train"),
}
drawn_by(f"{__name__}.report.notebook")
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AnalysisConfig",
    "FunctionalModes",
    "InMemory",
    "InputError",
    "Intervened",
    "Intervention",
    "RunConfig",
    "SpectralEdgeTracker",
    "Trainer",
    "energy_share",
    "functional_modes",
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


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
