"""The path that a training takes through its weights: snapshots of another run, and snapshots in the wrong place."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from spectraledge.trajectory.faults import Finding

_CHEAPER = 0.75
"""How much shorter a detour to another place must be; see `out_of_order`."""

_ON_COURSE = 0.75
"""See `misplaced`."""

_FEWEST = 30
"""Numbers without which a path crosses itself by chance."""

_ROWS = 256
"""Snapshots that are compared with all others at a time."""

_STRANGE, _MOST_STRANGE, _KIN = 0.2, 0.5, 0.6
_ERRORS = 3
_GROWTH = 2.0
_FARTHER = 2.0
"""Settings of `broken_lineage`."""


@dataclass(frozen=True)
class Kinship:
    """How much snapshots have in common.

    Attributes:
        shares: ⟨θ_i, θ_j⟩ / min(‖θ_i‖², ‖θ_j‖²) of weights without each tensor's mean, of neighbours (j = i + 1) and of
            those with one between them (j = i + 2).
        errors: Standard errors that these have for weights that have nothing in common.
        distance_TT: Distances.
        norm_T: Squared lengths.
        numbers: How many numbers were compared.
    """

    shares: tuple[Tensor, Tensor]
    errors: tuple[Tensor, Tensor]
    distance_TT: Tensor
    norm_T: Tensor
    numbers: int

    @classmethod
    def of(cls, samples_Tn: Tensor, spans: Sequence[slice]) -> "Kinship":
        """Compare snapshots by samples of their weights.

        Args:
            samples_Tn: float64, one row per snapshot.
            spans: Which columns are of one tensor.

        Returns:
            The comparison; columns that never change are left out, because other runs may share them.
        """
        # A mean, as that of gains, which begin at 1, is common to all runs.
        own_Tn = torch.cat([samples_Tn[:, span] - samples_Tn[:, span].mean(1, keepdim=True) for span in spans], 1)
        moving_n = (samples_Tn != samples_Tn[:1]).any(0)
        own_Tn = own_Tn[:, torch.cat([moving_n[span] for span in spans])]
        norm_T = torch.linalg.vecdot(own_Tn, own_Tn)
        pairs = [(own_Tn[:-lag], own_Tn[lag:], torch.minimum(norm_T[:-lag], norm_T[lag:])) for lag in (1, 2)]
        one, two = (torch.linalg.vecdot(first, then) / least for first, then, least in pairs)
        errors = [torch.linalg.vecdot(first.square(), then.square()).sqrt() / least for first, then, least in pairs]
        between = torch.cdist(samples_Tn - samples_Tn.mean(0), samples_Tn - samples_Tn.mean(0))
        return cls((one, two), (errors[0], errors[1]), between, norm_T, own_Tn.shape[1])

    def share(self, i: int, j: int) -> float:
        """Return what two snapshots have in common, of which the second is one or two places behind the first."""
        return float(self.shares[j - i - 1][i])

    def strange(self, i: int, j: int) -> bool:
        """Tell whether two such snapshots have nothing in common that chance would not give, and could have."""
        lengths = sorted(self.norm_T[[i, j]].tolist())
        error = float(self.errors[j - i - 1][i])
        comparable = lengths[0] > 0 and lengths[1] <= _GROWTH * lengths[0] and _ERRORS * error <= _MOST_STRANGE
        return comparable and self.share(i, j) < max(_STRANGE, _ERRORS * error)


def broken_lineage(steps: Sequence[int], kinship: Kinship) -> list[tuple[int, ...]]:
    """Find snapshots that do not descend from those before them.

    However far an optimiser goes, it adds to the weights that are there; weight decay shrinks them slowly. So the later
    of two snapshots holds the earlier one, and the share of `Kinship` is near 1, or above where weights grow; of two
    runs from different beginnings it is 0. Rule (ours): lineage is broken between consecutive snapshots where the share
    is less than 0.2 (or than three standard errors, up to 0.5; where these are larger nothing is said), while one's
    squared length is at most twice the other's, the intervals next to it have more than 0.6, each to the power of
    how much longer this interval is, and are less than half as long in distance. Of a snapshot that is strange on both
    sides, where these two are kin, only itself is found.

    Limits: runs from one beginning, such as one pretrained network, are kin; so is everything to weights that were lost
    in a far larger step.

    Args:
        steps: Of the snapshots, ascending.
        kinship: Their comparison.

    Returns:
        Index of a snapshot of another run, or indices of two between which lineage is broken.
    """
    count = len(steps)
    strange = [kinship.strange(i, i + 1) for i in range(count - 1)]
    found: list[tuple[int, ...]] = []
    for i in range(count - 1):
        if not strange[i]:
            continue
        alone = i + 2 < count and strange[i + 1] and not kinship.strange(i, i + 2)
        if alone and _follows(kinship, steps, (i, i + 1), [(i, i + 2)]):
            found.append((i + 1,))
            continue
        if found and found[-1] == (i,):
            continue
        beside = [(i - 1, i)] * (i > 0 and not strange[i - 1]) + [(i + 1, i + 2)] * (
            i + 2 < count and not strange[i + 1]
        )
        if beside and _follows(kinship, steps, (i, i + 1), beside):
            found.append((i, i + 1))
    return found


def _follows(
    kinship: Kinship, steps: Sequence[int], interval: tuple[int, int], others: Sequence[tuple[int, int]]
) -> bool:
    """Tell whether other intervals say that the snapshots at the ends of one should be kin and near each other."""
    for other in others:
        longer = max(1.0, (steps[interval[1]] - steps[interval[0]]) / (steps[other[1]] - steps[other[0]]))
        share = max(0.0, min(1.0, kinship.share(*other)))
        far = float(kinship.distance_TT[interval]) > _FARTHER * longer * float(kinship.distance_TT[other])
        if share**longer < _KIN or not far:
            return False
    return True


def out_of_order(distance_TT: Tensor) -> list[tuple[int, int]]:
    """Find snapshots that fit much better elsewhere in a series.

    A series is a path; snapshot i costs the detour d(i−1, i) + d(i, i+1) − d(i−1, i+1) (at an end, the distance to its
    one neighbour). Rule (ours): it is out of order where the same detour between some other neighbours, or at an end,
    is shorter than 0.75 times its own. The one that would shorten the path most is taken out, and the rest looked at
    again. Of two swapped snapshots one is thus named. On a straight path detours are 0 where the order is right; for
    unit steps of a random walk 0.59, against at least 1 elsewhere, and for its ends 1 against 1.41.

    Limits: the order as a whole may be reversed; a swap is invisible where weights do not keep a course over two
    intervals (noise around a minimum) or where two snapshots are far closer to each other than to the rest; a path that
    turns back, as with cyclic learning rates or an oscillation from snapshot to snapshot, may look out of order.

    Args:
        distance_TT: Distances between all snapshots, in the order to be checked.

    Returns:
        Pairs of a snapshot's index and the index of the one before its better place, −1 for the front.

    Cost: O(T²) per snapshot found.
    """
    order = list(range(len(distance_TT)))
    found = []
    while len(order) > 3:
        own, best, place = _detours(distance_TT[order][:, order])
        gain = torch.where(best < _CHEAPER * own, own - best, 0.0)
        worst = int(gain.argmax())
        if not gain[worst] > 0:
            break
        index = order.pop(worst)
        before = int(place[worst]) - 1
        found.append((index, order[before] if before >= 0 else -1))
    return found


def _detours(distance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return what each snapshot of a path costs, what it would at its best other place, and which that is.

    Places are those on the path without it: 0 for the front, j + 1 for behind snapshot j of the rest.
    """
    count = len(distance)
    steps, here = distance.diagonal(1), torch.arange(count, device="cpu")
    parts = []
    for index in torch.split(here, _ROWS):
        to_all = distance[index]
        # Column j is for the place in front of snapshot j, the last for the one behind all.
        detour = torch.cat([to_all[:, :1], to_all[:, :-1] + to_all[:, 1:] - steps, to_all[:, -1:]], 1)
        mine = torch.arange(len(index), device="cpu")
        detour[mine, index], detour[mine, index + 1] = torch.inf, torch.inf
        best, column = detour.min(1)
        parts.append((best, column - (column > index).long()))
    best, place = (torch.cat(part) for part in zip(*parts, strict=True))
    back = distance.diagonal(-1)
    own = torch.cat([steps[:1], back[:-1] + steps[1:] - distance.diagonal(2), back[-1:]])
    return own, best, place


def misplaced(distance_TT: Tensor) -> list[tuple[int, int]]:
    """Keep of the snapshots that `out_of_order` finds those of which a path that turns back is no explanation.

    Around a minimum, after a step far too large, and where momentum swings over, snapshots lie between earlier ones and
    are where they should be. So a finding counts (rule ours, on the path without it) if one of these holds.

    - The weights keep a course around its own and its better place: of six snapshots, squared distances over two to
      five intervals sum to at least 0.75 of the sum of the squared intervals that they span, which is 1 for a random
      walk, more for a straight line, and 1/3 for noise around a point. The interval that it would be put into is at
      most 4 times the median of those around, and the one that it would be taken from at most 6 times.
    - It is far off where it is, a detour of at least 4 median intervals, and fits where it would be put: a detour of at
      most 1.5, into an interval of at most 3.

    Args:
        distance_TT: Distances between all snapshots, in the order to be checked.

    Returns:
        As `out_of_order`.
    """
    return [(index, before) for index, before in out_of_order(distance_TT) if _credible(distance_TT, index, before)]


def _credible(distance_TT: Tensor, index: int, before: int) -> bool:
    rest = [other for other in range(len(distance_TT)) if other != index]
    own, better = (
        _at(distance_TT, rest, index, place) for place in (index, rest.index(before) + 1 if before >= 0 else 0)
    )
    on_course = min(own.course, better.course) >= _ON_COURSE and better.interval <= 4 and own.interval <= 6
    return on_course or (own.detour >= 4 and better.detour <= 1.5 and better.interval <= 3)


@dataclass(frozen=True)
class _Place:
    """A place on a path for one more snapshot, in units of the median of the five intervals on each side.

    Attributes:
        course: How far the path gets there, see `misplaced`.
        interval: The one between the snapshots on both sides; 0 at an end.
        detour: What going by way of the snapshot adds.
    """

    course: float
    interval: float
    detour: float


def _at(distance_TT: Tensor, path: Sequence[int], index: int, place: int) -> _Place:
    """Look at the place in front of a snapshot of a path, or behind its last."""
    around = list(path[max(0, place - 5) : place + 6])
    path_WW, at = distance_TT[around][:, around], min(place, 5)
    intervals = path_WW.diagonal(1)
    near = slice(max(0, at - 3), at + 3)
    interval = float(intervals[at - 1]) if 0 < place < len(path) else 0.0
    detour = float(distance_TT[index, around[max(0, at - 1) : at + 1]].sum()) - interval
    scale = float(intervals.median()) or math.inf
    return _Place(_course(path_WW[near, near]), interval / scale, detour / scale)


def _course(path_WW: Tensor) -> float:
    """Return how far a path gets over several intervals, squared, over how far a random walk of them would."""
    spans_W = torch.cat([path_WW.new_zeros(1), path_WW.diagonal(1).square().cumsum(0)])
    first, last = torch.triu_indices(len(path_WW), len(path_WW), 2, device="cpu").unbind()
    walked = float((spans_W[last] - spans_W[first]).sum())
    return float(path_WW[first, last].square().sum()) / walked if walked > 0 else 0.0


def path_findings(steps: Sequence[int], samples: Sequence[Tensor], spans: Sequence[slice]) -> list[Finding]:
    """Look along the path of a series for snapshots of another run, then for those in the wrong place.

    Args:
        steps: Of the snapshots, ascending.
        samples: float64, of each snapshot the same coordinates of its weights.
        spans: Which of them are of one tensor.

    Returns:
        The findings.
    """
    if len(steps) < 3 or not len(samples[0]):
        return []
    samples_Tn = torch.stack(list(samples))
    kinship = Kinship.of(samples_Tn, [span for span in spans if span.stop > span.start])
    broken = broken_lineage(steps, kinship)
    found = []
    for place in broken:
        if len(place) == 1:
            text = f"step {steps[place[0]]} is of another run: its weights are strange to those before and after it"
        else:
            first, then = (steps[index] for index in place)
            text = f"step {then} does not descend from step {first}: their weights have nothing in common"
        found.append(Finding("broken lineage", tuple(steps[index] for index in place), text))
    strangers = {place[0] for place in broken if len(place) == 1}
    if kinship.numbers < _FEWEST:
        return found
    starts = [0, *(place[1] for place in broken if len(place) == 2), len(steps)]
    for begin, end in pairwise(starts):
        own = [index for index in range(begin, end) if index not in strangers]
        for index, before in misplaced(kinship.distance_TT[own][:, own]):
            better = f"after step {steps[own[before]]}" if before >= 0 else f"before step {steps[own[0]]}"
            step = steps[own[index]]
            text = f"step {step} looks out of order: its weights fit better {better} than where they are"
            found.append(Finding("out of order", (step,), text))
    return found
