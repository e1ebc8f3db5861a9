# SPDX-License-Identifier: GPL-2.0-or-later
"""What happened to one workload in a period of time, from the daemon's records. Pure.

The picture, the page and the JSON of `schedpilot report` all show exactly this.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from statistics import median

from pydantic import TypeAdapter, ValidationError

from cli.formats import clock, microseconds, quantity, span, trial_line
from daemon.api.models import Event, EventKind, SignalPoint, TrialView
from daemon.api.telling import ranges
from process import Fault, FaultType, first_problem

# Events that change something, or give the reason for a change; the word for each.
DECISIONS = {
    EventKind.DEGRADATION: "degraded",
    EventKind.RECOVERED: "recovered",
    EventKind.TRIAL_STARTED: "trial",
    EventKind.VERDICT: "verdict",
    EventKind.KEPT: "kept",
    EventKind.PUT_BACK: "put back",
    EventKind.POWER: "power regime",
    EventKind.ROLLBACK: "rolled back",
    EventKind.UNMEASURED: "not measured",
    EventKind.EJECTED: "ejected",
    EventKind.QUARANTINED: "quarantined",
    EventKind.FOREIGN: "foreign scheduler",
    EventKind.ADVICE_ONLY: "advice only",
}
# More points than this cannot be distinguished in a picture of usual width.
MOST_POINTS = 2000
# The scheduler of a point that names none.
KERNEL = "kernel default"


@dataclass(frozen=True)
class TimelineMark:
    """A decision: a number in the picture, a line in the text. Times in Unix seconds."""

    number: int
    at: float
    word: str
    scheduler: str
    text: str


@dataclass(frozen=True)
class Stretch:
    """A period in which one scheduler was loaded (`KERNEL`: none)."""

    scheduler: str
    began: float
    ended: float


@dataclass(frozen=True)
class Served:
    """How a workload was served under one scheduler.

    Delays in microseconds; response time and completions are 0 if unknown.
    """

    scheduler: str
    seconds: float
    delay_p99_median_us: float
    delay_p99_worst_us: float
    response_p99_median_us: float = 0.0
    response_p99_worst_us: float = 0.0
    completions_per_s: float = 0.0


@dataclass(frozen=True)
class Timeline:
    """`workload` is hostile text. `usual_us`: the baseline's delay p99, microseconds."""

    workload: str
    began: float
    ended: float
    usual_us: float | None
    points: tuple[SignalPoint, ...] = ()
    marks: tuple[TimelineMark, ...] = ()
    stretches: tuple[Stretch, ...] = ()
    served: tuple[Served, ...] = ()
    trials: tuple[TrialView, ...] = ()
    sentences: tuple[str, ...] = field(default=())


def thinned(points: Sequence[SignalPoint], most: int = MOST_POINTS) -> tuple[SignalPoint, ...]:
    """At most `most` points: the worst of each group is shown, never an average."""
    if len(points) <= most:
        return tuple(points)
    size = -(-len(points) // most)
    groups = (points[start : start + size] for start in range(0, len(points), size))
    return tuple(max(group, key=lambda each: each.delay_p99_us) for group in groups)


def stretches_of(points: Sequence[SignalPoint]) -> tuple[Stretch, ...]:
    """Which scheduler was loaded when, according to the points."""
    found: list[Stretch] = []
    for name, group in groupby(points, key=lambda each: each.scheduler or KERNEL):
        members = list(group)
        # A point stands for the interval that ends with it.
        began = found[-1].ended if found else members[0].at
        found.append(Stretch(name, began, members[-1].at))
    return tuple(found)


def served_by(points: Sequence[SignalPoint]) -> tuple[Served, ...]:
    """One row for each scheduler, the kernel's own first, then in order of appearance."""
    by_name: dict[str, list[SignalPoint]] = {}
    for point in points:
        by_name.setdefault(point.scheduler or KERNEL, []).append(point)
    lengths: dict[str, float] = {}
    for stretch in stretches_of(points):
        length = stretch.ended - stretch.began
        lengths[stretch.scheduler] = lengths.get(stretch.scheduler, 0.0) + length
    rows = [
        Served(
            name,
            lengths[name],
            median(each.delay_p99_us for each in members),
            max(each.delay_p99_us for each in members),
            _median(each.response_p99_us for each in members),
            max(each.response_p99_us for each in members),
            _median(each.completions_per_s for each in members),
        )
        for name, members in by_name.items()
    ]
    return tuple(sorted(rows, key=lambda row: row.scheduler != KERNEL))


def _median(values: Iterable[float]) -> float:
    """Over the intervals that had a value; 0 if none had."""
    known = [each for each in values if each > 0]
    return median(known) if known else 0.0


def marks_of(
    events: Iterable[Event], workload: str, began: float, ended: float
) -> tuple[TimelineMark, ...]:
    """The decisions about this workload or about the machine, in order and numbered."""
    unique = {event.seq: event for event in events}
    # A keep or a rollback includes its verdict; a verdict is listed alone only if nothing was to be
    # kept.
    carried = {
        event.trial
        for event in unique.values()
        if event.kind in (EventKind.KEPT, EventKind.ROLLBACK)
    }
    wanted = [
        event
        for _, event in sorted(unique.items())
        if event.kind in DECISIONS
        and began <= event.at <= ended
        and event.workload in ("", workload)
        and not (event.kind is EventKind.VERDICT and event.trial in carried)
    ]
    return tuple(
        TimelineMark(number, event.at, DECISIONS[event.kind], event.scheduler, event.message)
        for number, event in enumerate(wanted, 1)
    )


def _sentences(timeline: Timeline) -> tuple[str, ...]:
    lines: list[str] = []
    if not timeline.points:
        return ("Nothing was measured for this workload in that time.",)
    length = span(timeline.ended - timeline.began)
    lines.append(
        f"From {clock(timeline.began)} to {clock(timeline.ended)} ({length}), "
        f"{len(timeline.points)} intervals were measured"
        + (
            f"; its usual run-queue delay p99 is {microseconds(timeline.usual_us)}."
            if timeline.usual_us
            else "."
        )
    )
    lines += [_served_line(row) for row in timeline.served]
    for trial in timeline.trials:
        seen = ranges(trial)
        lines.append(f"Trial at {clock(trial.at)}, {trial_line(trial)}{seen and f'; {seen}'}.")
    return tuple(lines)


def _served_line(row: Served) -> str:
    said = f"Under {row.scheduler} ({span(row.seconds)}): "
    if row.response_p99_median_us:
        said += (
            f"response p99 {microseconds(row.response_p99_median_us)} in the median interval, "
            f"{microseconds(row.response_p99_worst_us)} at worst, "
            f"{quantity(row.completions_per_s, '1/s')} completions; "
        )
    return said + (
        f"run-queue delay p99 {microseconds(row.delay_p99_median_us)} in the median interval, "
        f"{microseconds(row.delay_p99_worst_us)} at worst."
    )


def timeline_of(
    workload: str,
    points: Sequence[SignalPoint],
    usual_us: float | None,
    events: Iterable[Event],
    trials: Iterable[TrialView],
) -> Timeline:
    """Put together what is known; the period is that of the points."""
    ordered = sorted(points, key=lambda each: each.at)
    began, ended = (ordered[0].at, ordered[-1].at) if ordered else (0.0, 0.0)
    within = {
        trial.id: trial
        for trial in trials
        if trial.workload in ("", workload)
        and trial.at <= ended
        and (not trial.ended or trial.ended >= began)
    }
    bare = Timeline(
        workload=workload,
        began=began,
        ended=ended,
        usual_us=usual_us,
        points=tuple(ordered),
        marks=marks_of(events, workload, began, ended),
        stretches=stretches_of(ordered),
        served=served_by(ordered),
        trials=tuple(sorted(within.values(), key=lambda trial: trial.at)),
    )
    return Timeline(**{**vars(bare), "sentences": _sentences(bare)})


def to_json(timeline: Timeline) -> bytes:
    """The account as a JSON document, ASCII only."""
    plain = json.loads(TypeAdapter(Timeline).dump_json(timeline))
    return json.dumps(plain, indent=1, ensure_ascii=True).encode()


def from_json(raw: bytes, where: str) -> Timeline:
    """An account that `to_json` wrote, perhaps on another machine.

    Raises:
        Fault: BAD_REQUEST.
    """
    try:
        return TypeAdapter(Timeline).validate_json(raw)
    except ValidationError as error:
        raise Fault(
            FaultType.BAD_REQUEST,
            "this is not an account that `schedpilot report --json` wrote",
            where=where,
            why=first_problem(error),
        ) from None
