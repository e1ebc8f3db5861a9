# SPDX-License-Identifier: GPL-2.0-or-later
"""The value of an objective's term over a period.

Response time counts the activations that ended, and unfinished ones with their time so far;
turnaround counts processes in the same way. So a thread that never sleeps, or never gets to run,
has a figure, and starving makes it longer. Each counts only its time within the period: a wait
under another scheduler does not count for this one.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from statistics import median

from daemon.decide.histogram import Histogram, clipped, mean, merged, quantile, total
from daemon.decide.makespan import makespan_of
from daemon.decide.objective import Measurement, Objective, Term, is_glob
from daemon.decide.observation import Observation, WorkloadObservation
from simulator.objective_text import Metric

# The start of a period without a start.
ALWAYS = -math.inf


@dataclass(frozen=True, slots=True)
class Value:
    """A term's value in its unit, and the number of its samples: ended ones, not open ones.

    `stand_in`: the figure that was taken instead, if this one is unknown here.
    """

    value: float
    samples: int
    stand_in: str = ""


def value_of(
    objective: Objective | Term,
    workload: str,
    observations: Iterable[Observation],
    measurements: Iterable[Measurement] = (),
    since: float = ALWAYS,
) -> Value | None:
    """The value over these intervals, or None if they say nothing about it.

    Args:
        objective: if it has several terms, the leading one is taken.
        workload: "" is all workloads together; a glob those that match.
        measurements: those of this period; their median counts.
        since: Unix time at which the period began; earlier time does not count.
    """
    term = objective if isinstance(objective, Term) else objective.leading
    if term.metric is Metric.MEASUREMENT:
        values = [each.value for each in measurements if each.name == term.name]
        return Value(median(values), len(values)) if values else None
    seen = list(observations)
    if term.metric is Metric.MAKESPAN:
        found = makespan_of([(each, parts_of(each, workload)) for each in seen], since)
        return Value(found.length_us, found.batches) if found else None
    parts = [
        (observation.interval_s, part)
        for observation in seen
        for part in parts_of(observation, workload)
    ]
    if not parts:
        return None
    span = sum(observation.interval_s for observation in seen)
    match term.metric:
        case Metric.RESPONSE:
            return _response(term.quantile, workload, seen, since)
        case Metric.TURNAROUND:
            return _turnaround(term.quantile, workload, seen, since)
        case Metric.DELAY:
            return _delay(term.quantile, [part for _, part in parts])
        case Metric.COMPLETIONS:
            return _completions(parts, span)
        case _:
            time = sum(seconds * part.run_share for seconds, part in parts)
            return Value(100 * time / span, sum(part.slice_count for _, part in parts))


def parts_of(observation: Observation, workload: str) -> list[WorkloadObservation]:
    """The workloads of an interval that are meant: an id, a glob, or "" for all."""
    if not workload:
        return list(observation.workloads.values())
    if is_glob(workload) and workload not in observation.workloads:
        return [each for name, each in observation.workloads.items() if fnmatchcase(name, workload)]
    part = observation.workloads.get(workload)
    return [part] if part else []


def responds(parts: Iterable[WorkloadObservation]) -> bool:
    """Whether response time is known for these; an older signals program does not report it."""
    return any(part.response_count or part.open_hist for part in parts)


def _response(
    fraction: float | None, workload: str, seen: Sequence[Observation], since: float
) -> Value | None:
    parts = [part for each in seen for part in parts_of(each, workload)]
    if not responds(parts):
        found = _delay(fraction, parts)
        name = "mean" if fraction is None else f"p{round(fraction * 100, 3):g}"
        return Value(found.value, found.samples, f"run-queue delay {name}") if found else None
    histogram, longest, sums = responses_of(
        ((each, parts_of(each, workload)) for each in seen), since
    )
    if not total(histogram):
        return None
    ended = sum(part.response_count for part in parts)
    if fraction is None:
        return Value(sums / total(histogram), ended)
    return Value(quantile(histogram, fraction, longest), ended)


def responses_of(
    seen: Iterable[tuple[Observation, Sequence[WorkloadObservation]]], since: float
) -> tuple[Histogram, float, float]:
    """The response times of these parts, with those open at the end: the histogram, the longest and
    the sum.
    """
    return _together(
        ((each.at - since) * 1e6, [_responses(part) for part in parts]) for each, parts in seen
    )


def response_p99(part: WorkloadObservation) -> float | None:
    """For one interval, with those unfinished at its end; None if unknown."""
    if not responds([part]):
        return None
    histogram, longest, _ = _together([(math.inf, [_responses(part)])])
    return quantile(histogram, 0.99, longest)


@dataclass(frozen=True, slots=True)
class _Lengths:
    """For activations or processes: those that ended in an interval, and the time so far of those
    open at its end.
    """

    count: int
    mean_us: float
    longest_us: float
    ended: Histogram
    open: Histogram


def _responses(part: WorkloadObservation) -> _Lengths:
    return _Lengths(
        part.response_count,
        part.response_mean_us,
        part.response_max_us,
        part.response_hist,
        part.open_hist,
    )


def _turnarounds(part: WorkloadObservation) -> _Lengths:
    ended = part.turnaround_hist
    # The longest itself is not reported.
    longest_us = ended[-1][0] if ended else 0.0
    return _Lengths(
        part.turnaround_count, part.turnaround_mean_us, longest_us, ended, part.open_jobs_hist
    )


def _together(
    seen: Iterable[tuple[float, Sequence[_Lengths]]],
) -> tuple[Histogram, float, float]:
    """All that ended, and those open at the end, each with at most the time (us) that had passed by
    its interval's end: the histogram, the longest and the sum.
    """
    pieces: list[Histogram] = []
    last: tuple[float, Sequence[_Lengths]] = (0.0, ())
    longest = sums = 0.0
    for most, parts in seen:
        last = (most, parts)
        for part in parts:
            if not part.count:
                continue
            pieces.append(clipped(part.ended, most))
            longest = max(longest, min(most, part.longest_us))
            whole = part.longest_us <= most
            sums += (part.mean_us if whole else mean(pieces[-1])) * part.count
    most, parts = last
    for part in parts:
        still = clipped(part.open, most)
        if still:
            pieces.append(still)
            longest = max(longest, still[-1][0])
            sums += mean(still) * total(still)
    return merged(pieces), longest, sums


def _turnaround(
    fraction: float | None, workload: str, seen: Sequence[Observation], since: float
) -> Value | None:
    parts = [
        ((each.at - since) * 1e6, [_turnarounds(part) for part in parts_of(each, workload)])
        for each in seen
    ]
    histogram, longest, sums = _together(parts)
    if not total(histogram):
        return None
    ended = sum(part.count for _, each in parts for part in each)
    if fraction is None:
        return Value(sums / total(histogram), ended)
    return Value(quantile(histogram, fraction, longest), ended)


def _completions(parts: Sequence[tuple[float, WorkloadObservation]], span: float) -> Value:
    if responds(part for _, part in parts):
        ended = sum(part.response_count for _, part in parts)
        return Value(ended / span, ended)
    wakeups = sum(seconds * part.wakeups_per_s for seconds, part in parts)
    return Value(wakeups / span, round(wakeups), "completed sleeps")


def _delay(fraction: float | None, parts: Sequence[WorkloadObservation]) -> Value | None:
    if fraction is None:
        count = sum(part.delay_count for part in parts)
        if not count:
            return None
        return Value(sum(part.delay_mean_us * part.delay_count for part in parts) / count, count)
    histogram = merged(part.delay_hist for part in parts)
    count = total(histogram)
    longest = max((part.delay_max_us for part in parts), default=0.0)
    return Value(quantile(histogram, fraction, longest), count) if count else None
