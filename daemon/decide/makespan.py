# SPDX-License-Identifier: GPL-2.0-only
"""How long a batch takes: from the first fork of its processes to the last exit.

A batch is a maximal union of overlapping lives of a workload's processes. What the signals tell of
a life is how long it was, to a sixteenth, and the interval in which it ended. So two lives overlap
where they do so by more than that is sharp: batches that follow each other without a pause stay
apart, unless single processes last no longer than an interval and follow each other just as closely
(those belong to whatever they touch, and never join two batches). A process that lives on, as a
shell does that starts one batch after another, is part of none.

What is shorter than half of the longest batch is something beside it, and does not count. A batch
that began before the stretch was begun under another scheduler, and does not count either; nor does
one that is not over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from daemon.decide.histogram import lower_edge
from daemon.decide.observation import Observation, WorkloadObservation

# A duration is known to this part of itself, by the buckets of the histograms.
BUCKET = 1 / 16
# Of the longest batch, below which a union of lives is no batch of the same kind.
SAME_KIND = 0.5


@dataclass(frozen=True, slots=True)
class Makespan:
    """The mean length of the batches that are over, and how many they are."""

    length_us: float
    batches: int


@dataclass(frozen=True, slots=True)
class _Life:
    """From `began` to `ended`, Unix seconds; `blur`: neither is known better. `open`: not over."""

    began: float
    ended: float
    blur: float
    open: bool = False

    @property
    def length(self) -> float:
        return self.ended - self.began


def makespan_of(
    seen: Sequence[tuple[Observation, Sequence[WorkloadObservation]]], since: float
) -> Makespan | None:
    """Of the workload's parts of these intervals; None where no batch began and ended in them."""
    # What ended in a single interval is never known to be all of it.
    if len(seen) < 2:
        return None
    lives = [
        life for number, each in enumerate(seen, 1) for life in _lives(*each, number == len(seen))
    ]
    batches = _batches(lives)
    # What runs longer than any batch that is over may be the batch itself.
    waiting = max((each.length for each in batches if each.open), default=0.0)
    over = [each.length for each in batches if not each.open and each.began >= since - each.blur]
    if not over or max(over) < waiting:
        return None
    same = [length for length in over if length >= SAME_KIND * max(over)]
    return Makespan(1e6 * fmean(same), len(same))


def _lives(
    observation: Observation, parts: Sequence[WorkloadObservation], last: bool
) -> list[_Life]:
    found = []
    for part in parts:
        for upper, count in part.turnaround_hist:
            if count:
                length = (lower_edge(upper) + upper) / 2e6
                # It ended somewhere in the interval, and no later than it had lived that long.
                ended = observation.at - min(observation.interval_s, length) / 2
                blur = BUCKET * length + observation.interval_s
                found.append(_Life(ended - length, ended, blur))
        for upper, count in part.open_jobs_hist if last else ():
            if count:
                length = (lower_edge(upper) + upper) / 2e6
                blur = BUCKET * length + observation.interval_s
                found.append(_Life(observation.at - length, observation.at, blur, open=True))
    return found


def _batches(lives: Sequence[_Life]) -> list[_Life]:
    """Lives that overlap for certain, as one; then the short ones with what they touch."""
    joined: list[_Life] = []
    for life in sorted((each for each in lives if each.length > each.blur), key=_began):
        before = joined[-1] if joined else None
        if before and before.ended - life.began > max(before.blur, life.blur):
            joined[-1] = _together(before, life)
        else:
            joined.append(life)
    alone: list[_Life] = []
    for life in sorted((each for each in lives if each.length <= each.blur), key=_began):
        for place, batch in enumerate(joined):
            if life.began <= batch.ended + batch.blur and life.ended >= batch.began - batch.blur:
                # It belongs there; how far it reaches beyond is less than is known.
                joined[place] = _Life(batch.began, batch.ended, batch.blur, batch.open or life.open)
                break
        else:
            if alone and life.began <= alone[-1].ended + life.blur:
                alone[-1] = _together(alone[-1], life)
            else:
                alone.append(life)
    return [*joined, *alone]


def _began(life: _Life) -> float:
    return life.began


def _together(a: _Life, b: _Life) -> _Life:
    return _Life(
        min(a.began, b.began), max(a.ended, b.ended), max(a.blur, b.blur), a.open or b.open
    )
