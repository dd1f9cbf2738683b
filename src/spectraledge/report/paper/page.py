"""The report as one page that opens without a network: figures and tables are inside it."""

import base64
from collections.abc import Mapping

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from spectraledge.report.paper.contents import CLAIMS, CLAIMS_BY_SEED, NOT_MEASURED, Report
from spectraledge.report.paper.verdict_words import claims_of

_MARKS = {
    "replicates": ("●", "yes"),
    "does not": ("○", "no"),
    "inconclusive": ("◐", "open"),
    "not measured": ("–", "open"),
}


def page(report: Report, images: Mapping[str, bytes]) -> str:
    """Write the page.

    Args:
        report: What it says.
        images: PNG of each figure by its key.

    Returns:
        HTML.
    """
    environment = Environment(
        loader=PackageLoader("spectraledge.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    downloads = {table.key: _csv(table.numbers) for table in report.tables}
    downloads |= {CLAIMS: _csv(report.verdicts.claims), CLAIMS_BY_SEED: _csv(report.verdicts.by_seed)}
    return environment.get_template("paper.html.j2").render(
        report=report,
        claims_of=lambda section: claims_of(section, report.claims),
        images={name: "data:image/png;base64," + base64.b64encode(image).decode() for name, image in images.items()},
        downloads=downloads,
        marks=_MARKS,
        not_measured=NOT_MEASURED,
    )


def _csv(table: pd.DataFrame) -> str:
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(table.to_csv(index=False).encode()).decode()
