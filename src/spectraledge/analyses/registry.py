"""The registry of analyses. A new one is a module that ends in its declaration, and a line here."""

from spectraledge.analyses.ablation import ABLATING
from spectraledge.analyses.analysis import Table
from spectraledge.analyses.branches import BRANCHING
from spectraledge.analyses.centroids import PROBING_CENTROIDS
from spectraledge.analyses.cosets import COMPARING_COSETS
from spectraledge.analyses.course import COURSE
from spectraledge.analyses.curvature import CURVATURE
from spectraledge.analyses.dictionary import AUTOENCODER
from spectraledge.analyses.edge_decline import DECLINES
from spectraledge.analyses.gradient_windows import COMPARING_GRADIENTS
from spectraledge.analyses.representation import REPRESENTATION
from spectraledge.analyses.reuse import REUSE
from spectraledge.analyses.score import GROWING, SCORING
from spectraledge.analyses.shared_usage import COUSAGE
from spectraledge.analyses.spectra import SPECTRUM
from spectraledge.analyses.step import STEP
from spectraledge.analyses.three_decompositions import DECOMPOSITIONS

ANALYSES = {
    analysis.name: analysis
    for analysis in (
        SPECTRUM,
        STEP,
        COURSE,
        DECLINES,
        DECOMPOSITIONS,
        REPRESENTATION,
        AUTOENCODER,
        COUSAGE,
        REUSE,
        SCORING,
        GROWING,
        ABLATING,
        BRANCHING,
        PROBING_CENTROIDS,
        COMPARING_GRADIENTS,
        CURVATURE,
        COMPARING_COSETS,
    )
}
"""Every analysis by name."""

TABLES: dict[str, Table] = {table.name: table for analysis in ANALYSES.values() for table in analysis.tables}
"""Every table that an analysis makes, by name."""
