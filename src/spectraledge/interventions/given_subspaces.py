"""Subspaces that interventions are given: the span of vectors, and the leading directions of a recorded window."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from spectraledge.errors import InputError
from spectraledge.interventions.intervention import Intervention
from spectraledge.interventions.sources import file_digest_of, recorded_window, window_digest
from spectraledge.spectrum import Frame, spanned, window_directions
from spectraledge.trajectory import Layout, read_snapshot


def vectors_of(what: Intervention) -> dict[str, Tensor]:
    """Read the vectors in an intervention's file.

    Args:
        what: The intervention.

    Returns:
        Its tensors by name.

    Raises:
        InputError: if it cannot be read, or is not the file that the intervention was made with.
    """
    _check(what, file_digest_of(Path(what.source)))
    return read_snapshot(Path(what.source))


def given_frame(vectors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], what: str) -> Frame:
    """Make the span of given vectors.

    Args:
        vectors: (K, *shape) by parameter name, K the same in all; of a complex parameter complex, or pairs of reals.
        shapes: The parameters that they must be of, in the order of the frame's rows.
        what: For messages.

    Returns:
        The span, float64.

    Raises:
        InputError: if they are of other parameters, or span nothing.
    """
    real = {name: torch.view_as_real(part) if part.is_complex() else part for name, part in vectors.items()}
    missing, unknown = [name for name in shapes if name not in real], [name for name in real if name not in shapes]
    if missing or unknown or not real:
        raise InputError(
            f"{what}: the vectors are of other parameters than those there are or were chosen (missing: "
            f"{_listed(missing)}; too many: {_listed(unknown)}): choose with params=, or give others"
        )
    count = len(next(iter(real.values()))) if next(iter(real.values())).dim() else 0
    for name, shape in shapes.items():
        if tuple(real[name].shape) != (count, *shape) or not real[name].is_floating_point():
            raise InputError(
                f"{what}: {name} has vectors of shape {tuple(real[name].shape)} and type {real[name].dtype}, expected "
                f"floats of shape {(count, *shape)}: give as many vectors, in the shape of each parameter"
            )
    return spanned(Layout(shapes).join_rows(real).detach().double().cpu())


def frame_of_window(folder: Path, shapes: Mapping[str, tuple[int, ...]], what: Intervention) -> Frame:
    """Read leading directions of a recorded window.

    Args:
        folder: A run folder, or any series of checkpoints.
        shapes: The parameters that the directions are of, in the order of the frame's rows.
        what: The step, the window, its centring, and which directions.

    Returns:
        Their span, float64.

    Raises:
        InputError: if there is no such window, it has changed, is of other parameters, or has fewer directions.
    """
    _check(what, window_digest(folder, what.step, what.window))
    series = recorded_window(folder, list(shapes), what.step, what.window)
    if dict(series.layout.shapes) != dict(shapes):
        raise InputError(f"{what}: {folder} has these parameters in other shapes; take a run of the same network")
    updates = list(series.updates())
    noise = sum(update.storage_noise for update in updates)
    stacked_WP = torch.stack([update.update_P for update in updates])
    vectors_KP = window_directions(stacked_WP, center=what.center, storage_noise=noise).vectors_KP
    if len(vectors_KP) < what.skip + what.rank:
        raise InputError(f"{what}: the window has {len(vectors_KP)} directions; choose as many or fewer")
    parts = series.layout.split(vectors_KP[what.skip : what.skip + what.rank])
    return Frame.of(Layout(shapes).join_rows(parts))


def _check(what: Intervention, digest: str) -> None:
    if what.digest != digest:
        raise InputError(f"{what.source} has changed since {what} was chosen: put it back, or choose anew")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (f", … ({len(names)})" if len(names) > 6 else "") or "none"
