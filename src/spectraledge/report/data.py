"""Names and readings that the report of a study of the whole paper shares with the one by runs."""

from spectraledge.analyses.readings import pictures, white_noise_concentration
from spectraledge.report.names import basis_label

__all__ = ["basis_label", "pictures", "white_noise_concentration"]
