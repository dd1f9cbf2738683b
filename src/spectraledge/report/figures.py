"""Matplotlib figures as files."""

from io import BytesIO
from typing import Literal

from matplotlib.figure import Figure

Format = Literal["png", "pdf"]

_DPI = 150


def encoded(figure: Figure, form: Format) -> bytes:
    """Encode a figure as the content of a file, the same for the same figure: no date is written."""
    content = BytesIO()
    metadata = {"CreationDate": None} if form == "pdf" else None
    figure.savefig(content, format=form, dpi=_DPI, metadata=metadata)
    return content.getvalue()
