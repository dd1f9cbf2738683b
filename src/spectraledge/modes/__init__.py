"""What a direction in parameter space does to every input, and how simple that is in a basis of the task's domain."""

from spectraledge.modes.basis import Basis, energies_in
from spectraledge.modes.decompositions import grouping_basis, joint_basis, pair_basis
from spectraledge.modes.features import feature_basis, walsh_basis
from spectraledge.modes.function_growth import (
    Growth,
    carried_growth,
    growth,
    in_their_plane,
    needed,
    random_frames,
    random_frames_in_plane,
)
from spectraledge.modes.functional_pca import (
    ComponentTest,
    FunctionalComponents,
    SplitHalf,
    component_test,
    functional_components,
    held_shares,
    split_half,
)
from spectraledge.modes.group_of_function import FunctionGroup, group_of_function
from spectraledge.modes.measures import Peak, chance_share, energy_share, field, peak
from spectraledge.modes.module_responses import Method, ModuleResponses, readouts_of_module, responses_of_module
from spectraledge.modes.module_snapshots import ModuleWindow
from spectraledge.modes.reading import Inputs
from spectraledge.modes.responses import (
    ReadOut,
    difference_responses,
    double_backward_responses,
    dual_responses,
    jvp_responses,
    module_readout,
)
from spectraledge.modes.selection_ratio import (
    SelectionRatio,
    isotropy_p_values,
    selection_p_values,
    selection_ratio_of_energies,
)
from spectraledge.modes.shares import KeyFrequencies, Shares, key_frequencies, shares
from spectraledge.modes.subspaces import functions_holding, inclusion, leading_functions, span_cosines
from spectraledge.modes.waves import Wave, wave

__all__ = [
    "Basis",
    "ComponentTest",
    "FunctionGroup",
    "FunctionalComponents",
    "Growth",
    "Inputs",
    "KeyFrequencies",
    "Method",
    "ModuleResponses",
    "ModuleWindow",
    "Peak",
    "ReadOut",
    "SelectionRatio",
    "Shares",
    "SplitHalf",
    "Wave",
    "carried_growth",
    "chance_share",
    "component_test",
    "difference_responses",
    "double_backward_responses",
    "dual_responses",
    "energies_in",
    "energy_share",
    "feature_basis",
    "field",
    "functional_components",
    "functions_holding",
    "group_of_function",
    "grouping_basis",
    "growth",
    "held_shares",
    "in_their_plane",
    "inclusion",
    "isotropy_p_values",
    "joint_basis",
    "jvp_responses",
    "key_frequencies",
    "leading_functions",
    "module_readout",
    "needed",
    "pair_basis",
    "peak",
    "random_frames",
    "random_frames_in_plane",
    "readouts_of_module",
    "responses_of_module",
    "selection_p_values",
    "selection_ratio_of_energies",
    "shares",
    "span_cosines",
    "split_half",
    "walsh_basis",
    "wave",
]
