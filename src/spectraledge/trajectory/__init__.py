"""A run on disk: a folder of snapshots plus a manifest. What trains writes it, what analyses reads it."""

from spectraledge.trajectory.census import Contents, contents
from spectraledge.trajectory.faults import Finding
from spectraledge.trajectory.finding import Found, find_series, find_snapshots
from spectraledge.trajectory.hub import in_hub_cache
from spectraledge.trajectory.inventory import Inventory, whole
from spectraledge.trajectory.layout import Layout
from spectraledge.trajectory.manifest import Manifest, environment
from spectraledge.trajectory.recorded_gram import GramRecorder, RecordedGram
from spectraledge.trajectory.selection import Selection, select_parameters
from spectraledge.trajectory.series import Series, Update
from spectraledge.trajectory.snapshots import (
    Snapshot,
    moves_path,
    read_snapshot,
    snapshot_path,
    write_tensors,
)
from spectraledge.trajectory.spacing import Spacing, describe_intervals, missing_steps
from spectraledge.trajectory.spectrum_tables import edge_table, spectrum_table
from spectraledge.trajectory.verification import Verification, verify_series

__all__ = [
    "Contents",
    "Finding",
    "Found",
    "GramRecorder",
    "Inventory",
    "Layout",
    "Manifest",
    "RecordedGram",
    "Selection",
    "Series",
    "Snapshot",
    "Spacing",
    "Update",
    "Verification",
    "contents",
    "describe_intervals",
    "edge_table",
    "environment",
    "find_series",
    "find_snapshots",
    "in_hub_cache",
    "missing_steps",
    "moves_path",
    "read_snapshot",
    "select_parameters",
    "snapshot_path",
    "spectrum_table",
    "verify_series",
    "whole",
    "write_tensors",
]
