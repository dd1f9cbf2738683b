"""Studies: runs declared as data, trained and analysed as jobs, and claims evaluated on their tables."""

from spectraledge.studies.analyses import ANALYSES, Analysis
from spectraledge.studies.claims import CLAIMS, Claim, evaluate_claims
from spectraledge.studies.config import AnalysisConfig, StudyConfig
from spectraledge.studies.course import CourseTables, follow_course
from spectraledge.studies.functional import ModesResult, measure_modes
from spectraledge.studies.paper_claims import PAPER_CLAIMS, evaluate_study
from spectraledge.studies.recipes import RECIPES, recipe
from spectraledge.studies.results import RunResult, StudyResult, load_study
from spectraledge.studies.spectra import SpectrumTables, analyze_folder
from spectraledge.studies.step import StepAnalysis, analyze_step
from spectraledge.studies.study import RunStatus, run_study, study_status
from spectraledge.studies.verdicts import SeedClaim, Verdicts

__all__ = [
    "ANALYSES",
    "CLAIMS",
    "PAPER_CLAIMS",
    "RECIPES",
    "Analysis",
    "AnalysisConfig",
    "Claim",
    "CourseTables",
    "ModesResult",
    "RunResult",
    "RunStatus",
    "SeedClaim",
    "SpectrumTables",
    "StepAnalysis",
    "StudyConfig",
    "StudyResult",
    "Verdicts",
    "analyze_folder",
    "analyze_step",
    "evaluate_claims",
    "evaluate_study",
    "follow_course",
    "load_study",
    "measure_modes",
    "recipe",
    "run_study",
    "study_status",
]
