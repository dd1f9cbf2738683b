"""Studies: runs declared as data, trained and analysed as jobs, and claims evaluated on their tables."""

from spectraledge.studies.analyses import ANALYSES, Analysis
from spectraledge.studies.any_model import FunctionalModes, functional_modes
from spectraledge.studies.backends import Backend, BackendName
from spectraledge.studies.claims import CLAIMS, Claim, evaluate_claims
from spectraledge.studies.config import AnalysisConfig, Budget, Keep, StudyConfig
from spectraledge.studies.course import CourseTables, follow_course
from spectraledge.studies.estimates import Estimate, estimate_study, time_steps
from spectraledge.studies.functional import ModesResult, measure_modes
from spectraledge.studies.hashes import changed_files
from spectraledge.studies.jobs import busy
from spectraledge.studies.paper_claims import PAPER_CLAIMS, evaluate_study
from spectraledge.studies.recipes import RECIPES, first_seeds, recipe
from spectraledge.studies.results import RunResult, StudyResult, load_study, read_study_config
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
    "Backend",
    "BackendName",
    "Budget",
    "Claim",
    "CourseTables",
    "Estimate",
    "FunctionalModes",
    "Keep",
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
    "busy",
    "changed_files",
    "estimate_study",
    "evaluate_claims",
    "evaluate_study",
    "first_seeds",
    "follow_course",
    "functional_modes",
    "load_study",
    "measure_modes",
    "read_study_config",
    "recipe",
    "run_study",
    "study_status",
    "time_steps",
]
