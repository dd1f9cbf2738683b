"""What a direction in parameter space does to every input, and how simple that is in a basis of the task's domain."""

from spectraledge.modes.measures import Peak, chance_share, energy_share, field, peak
from spectraledge.modes.responses import ReadOut, difference_responses, jvp_responses, module_readout
from spectraledge.modes.waves import Wave, wave

__all__ = [
    "Peak",
    "ReadOut",
    "Wave",
    "chance_share",
    "difference_responses",
    "energy_share",
    "field",
    "jvp_responses",
    "module_readout",
    "peak",
    "wave",
]
