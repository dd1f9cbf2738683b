"""Studies: runs declared as data, trained and analysed as jobs, and claims evaluated on their tables."""

from spectraledge.studies.claims import CLAIMS, Claim, evaluate_claims
from spectraledge.studies.config import AnalysisConfig, StudyConfig
from spectraledge.studies.functional import ModesResult, measure_modes
from spectraledge.studies.recipes import RECIPES, recipe
from spectraledge.studies.results import RunResult, StudyResult, load_study
from spectraledge.studies.spectra import SpectrumTables, analyze_folder
from spectraledge.studies.study import RunStatus, run_study, study_status

__all__ = [
    "CLAIMS",
    "RECIPES",
    "AnalysisConfig",
    "Claim",
    "ModesResult",
    "RunResult",
    "RunStatus",
    "SpectrumTables",
    "StudyConfig",
    "StudyResult",
    "analyze_folder",
    "evaluate_claims",
    "load_study",
    "measure_modes",
    "recipe",
    "run_study",
    "study_status",
]
