"""Studies: runs declared as data, trained and analysed as jobs, and claims evaluated on their tables."""

from spectraledge.analyses.analysis import Analysis
from spectraledge.analyses.course import follow_course
from spectraledge.analyses.functional_modes import FunctionalModes, functional_modes
from spectraledge.analyses.registry import ANALYSES
from spectraledge.analyses.run_result import RunResult
from spectraledge.analyses.settings import AnalysisConfig
from spectraledge.analyses.spectra import SpectrumTables, analyze_folder
from spectraledge.analyses.step import analyze_step
from spectraledge.claims.of_runs import Claim, evaluate_claims
from spectraledge.claims.paper_claims import PAPER_CLAIMS, evaluate_study
from spectraledge.claims.questions import QUESTIONS, evaluate_runs
from spectraledge.claims.run_claims import CLAIMS
from spectraledge.claims.verdicts import SeedClaim, Verdicts
from spectraledge.studies.backends import Backend, BackendName
from spectraledge.studies.estimates import Estimate, estimate_study, time_steps
from spectraledge.studies.hashes import changed_files, is_run, run_faults, unlisted_runs
from spectraledge.studies.jobs import busy
from spectraledge.studies.pooling import pool
from spectraledge.studies.recipes import RECIPES, first_seeds, recipe
from spectraledge.studies.results import StudyResult, damages_of, load_study, read_study_config
from spectraledge.studies.study import RunStatus, run_study, study_status
from spectraledge.studies.study_config import Budget, Keep, StudyConfig

__all__ = [
    "ANALYSES",
    "CLAIMS",
    "PAPER_CLAIMS",
    "QUESTIONS",
    "RECIPES",
    "Analysis",
    "AnalysisConfig",
    "Backend",
    "BackendName",
    "Budget",
    "Claim",
    "Estimate",
    "FunctionalModes",
    "Keep",
    "RunResult",
    "RunStatus",
    "SeedClaim",
    "SpectrumTables",
    "StudyConfig",
    "StudyResult",
    "Verdicts",
    "analyze_folder",
    "analyze_step",
    "busy",
    "changed_files",
    "damages_of",
    "estimate_study",
    "evaluate_claims",
    "evaluate_runs",
    "evaluate_study",
    "first_seeds",
    "follow_course",
    "functional_modes",
    "is_run",
    "load_study",
    "pool",
    "read_study_config",
    "recipe",
    "run_faults",
    "run_study",
    "study_status",
    "time_steps",
    "unlisted_runs",
]
