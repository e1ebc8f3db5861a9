# SPDX-License-Identifier: GPL-2.0-or-later
"""How long a batch takes: from the first fork of its processes to the last exit.

A batch is a maximal union of overlapping lives of a workload's processes. The signals give a life's
length, to a sixteenth, and the interval in which it ended. So two lives overlap if they do so by
more than this precision: batches that follow each other without a pause stay separate, unless
single processes last no longer than an interval and follow each other just as closely (those belong
to whatever they touch, and never join two batches). A process that lives on, such as a shell that
starts one batch after another, belongs to none.

A union shorter than half of the longest batch is a side activity, and does not count. A batch that
began before the stretch started under another scheduler, and does not count either; nor does one of
which a process was seen runnable afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from bpf.signals.source import lower_edge
from daemon.decide.histogram import Histogram
from daemon.decide.observation import Observation, WorkloadObservation

# The precision of a duration, from the buckets of the histograms.
BUCKET = 1 / 16
# Fraction of the longest batch, below which a union of lives is not a batch of the same kind.
SAME_KIND = 0.5
# For how many intervals after its end a batch has to stay over: a process that slept at the end of
# one is seen at the end of another.
QUIET_INTERVALS = 2


@dataclass(frozen=True, slots=True)
class Makespan:
    """The mean length of the finished batches, and their number."""

    length_us: float
    batches: int


@dataclass(frozen=True, slots=True)
class _JobLife:
    """From `began` to `ended`, Unix seconds; `blur`: the precision of both.

    For an unfinished one, `ended` is when that was seen.
    """

    began: float
    ended: float
    blur: float

    @property
    def length(self) -> float:
        return self.ended - self.began


def makespan_of(
    seen: Sequence[tuple[Observation, Sequence[WorkloadObservation]]], since: float
) -> Makespan | None:
    """Over the workload's parts of these intervals; None if no batch began and ended in them."""
    # It is never certain that the processes that ended in a single interval were all.
    if len(seen) <= QUIET_INTERVALS:
        return None
    until = seen[-QUIET_INTERVALS - 1][0].at
    under_way = [life for each in seen for life in _open(*each) if life.began >= since - life.blur]
    over = [
        batch
        for batch in _batches([life for each in seen for life in _ended(*each)])
        if since - batch.blur <= batch.began
        and batch.ended <= until
        and not any(_goes_on(batch, life) for life in under_way)
    ]
    longest = max((batch.length for batch in over), default=0.0)
    # A process that runs longer than any finished batch may be the batch itself.
    last = seen[-1][0].at
    waiting = [life.length for life in under_way if life.ended >= last]
    if not over or longest < max(waiting, default=0.0):
        return None
    same = [batch.length for batch in over if batch.length >= SAME_KIND * longest]
    return Makespan(1e6 * fmean(same), len(same))


def _goes_on(batch: _JobLife, life: _JobLife) -> bool:
    """Whether a process that was seen runnable after the end of a batch began in it."""
    return life.ended > batch.ended and life.began < batch.ended - max(batch.blur, life.blur)


def _ended(observation: Observation, parts: Sequence[WorkloadObservation]) -> list[_JobLife]:
    found = []
    for part in parts:
        for length in _lengths(part.turnaround_hist):
            # It ended somewhere in the interval, and not before its own length allows.
            ended = observation.at - min(observation.interval_s, length) / 2
            found.append(_JobLife(ended - length, ended, _blur(length, observation)))
    return found


def _open(observation: Observation, parts: Sequence[WorkloadObservation]) -> list[_JobLife]:
    return [
        _JobLife(observation.at - length, observation.at, _blur(length, observation))
        for part in parts
        for length in _lengths(part.open_jobs_hist)
    ]


def _lengths(histogram: Histogram) -> list[float]:
    """One for each bucket that is not empty, seconds."""
    return [(lower_edge(upper) + upper) / 2e6 for upper, count in histogram if count]


def _blur(length: float, observation: Observation) -> float:
    return BUCKET * length + observation.interval_s


def _batches(lives: Sequence[_JobLife]) -> list[_JobLife]:
    """Lives that overlap for certain, as one; then the short ones with those they touch."""
    joined: list[_JobLife] = []
    for life in sorted((each for each in lives if each.length > each.blur), key=_began):
        before = joined[-1] if joined else None
        if before and before.ended - life.began > max(before.blur, life.blur):
            joined[-1] = _together(before, life)
        else:
            joined.append(life)
    alone: list[_JobLife] = []
    for life in sorted((each for each in lives if each.length <= each.blur), key=_began):
        for batch in joined:
            if life.began <= batch.ended + batch.blur and life.ended >= batch.began - batch.blur:
                # It belongs there; how far it extends beyond is less than the precision.
                break
        else:
            if alone and life.began <= alone[-1].ended + life.blur:
                alone[-1] = _together(alone[-1], life)
            else:
                alone.append(life)
    return [*joined, *alone]


def _began(life: _JobLife) -> float:
    return life.began


def _together(a: _JobLife, b: _JobLife) -> _JobLife:
    return _JobLife(min(a.began, b.began), max(a.ended, b.ended), max(a.blur, b.blur))
