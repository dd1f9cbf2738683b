"""A run on disk: a folder of snapshots plus a manifest. What trains writes it, what analyses reads it."""

from spectraledge.trajectory.layout import Layout
from spectraledge.trajectory.manifest import Manifest, environment
from spectraledge.trajectory.recorded_gram import GramRecorder, RecordedGram
from spectraledge.trajectory.selection import Selection, select_parameters
from spectraledge.trajectory.series import Series, Update
from spectraledge.trajectory.snapshots import (
    Snapshot,
    find_snapshots,
    moves_path,
    read_snapshot,
    snapshot_path,
    write_tensors,
)

__all__ = [
    "GramRecorder",
    "Layout",
    "Manifest",
    "RecordedGram",
    "Selection",
    "Series",
    "Snapshot",
    "Update",
    "environment",
    "find_snapshots",
    "moves_path",
    "read_snapshot",
    "select_parameters",
    "snapshot_path",
    "write_tensors",
]
