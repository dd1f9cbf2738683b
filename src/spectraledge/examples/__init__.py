"""Worked examples that are too long for a page: commands that train, measure and report."""

from spectraledge.examples.language_measures import TABLES
from spectraledge.examples.language_model import ExampleResult, run_language_model
from spectraledge.examples.language_training import LanguageConfig
from spectraledge.examples.standard_library import SourceText, contexts, token_labels

__all__ = [
    "TABLES",
    "ExampleResult",
    "LanguageConfig",
    "SourceText",
    "contexts",
    "run_language_model",
    "token_labels",
]
