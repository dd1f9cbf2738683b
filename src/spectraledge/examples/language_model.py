"""The example as a whole: a language model trained on Python's standard library, measured and reported."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from spectraledge.examples.language_measures import COURSE, MEASURES
from spectraledge.examples.language_page import language_page, sentences
from spectraledge.examples.language_training import LanguageConfig, train_language_model
from spectraledge.examples.standard_library import SourceText
from spectraledge.files import read_table, write_table
from spectraledge.pages.publishing import write_page_and_text


@dataclass(frozen=True)
class ExampleResult:
    """What the example gave.

    Attributes:
        report: The page.
        tables: Tables by name, as declared.
        sentences: What was found, and what was not, by the table that it rests on.
    """

    report: Path
    tables: dict[str, pd.DataFrame]
    sentences: dict[str, str]


def run_language_model(
    config: LanguageConfig,
    folder: Path,
    *,
    on_progress: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> ExampleResult:
    """Train a small GPT on the standard library's source, measure what its updates move, and report.

    What is there from an earlier call with the same settings is not made again.

    Args:
        config: How.
        folder: Where checkpoints, tables (Parquet) and the report (`report.html`, `report.md`, `figures/`) go.
        on_progress: Called with what is being done, how much of it is done, and of how much.

    Returns:
        Tables and sentences.

    Raises:
        InputError: if Transformers is missing, there is no source of the library, or the folder has another example.
    """
    text = SourceText.read(seed=config.seed)
    course = train_language_model(
        config, text, folder, on_progress=lambda step: on_progress("training", step, config.steps)
    )
    tables = {COURSE.name: course}
    for number, measure in enumerate(MEASURES):
        paths = {one.name: folder / f"{one.name}.parquet" for one in measure.tables}
        on_progress(f"measuring {', '.join(paths).replace('_', ' ')}", number, len(MEASURES))
        if not all(path.exists() for path in paths.values()):
            for path, table in zip(paths.values(), measure.make(config, text, folder), strict=True):
                write_table(path, table)
        tables |= {name: read_table(path) for name, path in paths.items()}
    page = language_page(config, text.described(), tables)
    return ExampleResult(write_page_and_text(page, folder), tables, sentences(tables))
