# SPDX-License-Identifier: GPL-2.0-or-later
"""The windows of a trial: their order, and the value of each.

The order is A B B A, then B A A B, and so on (A is the baseline), so that a steady drift
of the machine adds the same to both arms and cancels out.
"""

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median

from daemon.api.models import Arm, Direction, WindowView
from daemon.decide.histogram import merged, quantile
from daemon.decide.objective import Guard, Measurement, Objective, Term, meant
from daemon.decide.observation import Observation, WorkloadObservation
from daemon.decide.settings import TrialSettings
from daemon.decide.values import ALWAYS, Value, responds, responses_of, value_of
from daemon.decide.words import duration
from simulator.objective_text import Metric

BLOCK = 4
_PAIR = (
    (Arm.BASELINE, Arm.CANDIDATE, Arm.CANDIDATE, Arm.BASELINE),
    (Arm.CANDIDATE, Arm.BASELINE, Arm.BASELINE, Arm.CANDIDATE),
)
# Excluded windows are repeated, but a trial ends with the existing windows if this many times its
# windows are excluded.
PATIENCE = 2
# Intervals end when the signals program says so and windows when the daemon does: up to this
# overlap is rounding, and not another arm, seconds.
ROUNDING_S = 0.01
# A window of which the host took a larger part than this, beyond the usual, is not fair.
STOLEN = 0.05
# If an interval of signals lasted this much longer than requested, seconds, the clock went on and
# the machine stood still.
LATE_S = 1.0


class GuardedFigure(StrEnum):
    """Figures of a window that may not be sacrificed for the objective.

    MACHINE_RUN_SHARE: CPU time of all workloads, of one CPU: total work done. It is the sum of the
        measured stays on CPUs; the kernel's own account of idle time is sampled by ticks, and
        missed a quarter of the work of tasks that a scheduler lets run between them.
        OTHERS_RUN_SHARE: CPU time of all other workloads, of one CPU. OTHERS_RESPONSE_P99_US:
        response time of those of them that mostly sleep. OTHERS_DELAY_P99_US: their run-queue
        delay, if response time is unknown. OWN_THROUGHPUT: activations of the workload itself that
        end per second (completed sleeps, if those are unknown). DELAY_MAX_US: the longest delay of
        any task; not compared, but watched for starvation.
    """

    MACHINE_RUN_SHARE = "machine_run_share"
    OTHERS_RUN_SHARE = "others_run_share"
    OTHERS_RESPONSE_P99_US = "others_response_p99_us"
    OTHERS_DELAY_P99_US = "others_delay_p99_us"
    OWN_THROUGHPUT = "own_throughput"
    DELAY_MAX_US = "delay_max_us"


def schedule(count: int) -> tuple[Arm, ...]:
    """The arms of the first `count` windows."""
    return tuple(_PAIR[(i // BLOCK) % 2][i % BLOCK] for i in range(count))


def included(windows: Iterable[WindowView]) -> list[WindowView]:
    return [window for window in windows if not window.excluded]


def next_arm(windows: Sequence[WindowView], settings: TrialSettings) -> Arm | None:
    """The arm of the next window, or None if the trial has had all of them.

    An excluded window does not count, so the next one takes its place.
    """
    done = len(included(windows))
    if done >= settings.max_windows or len(windows) >= PATIENCE * settings.max_windows:
        return None
    return schedule(done + 1)[done]


def settled(
    observations: Iterable[Observation], started: float, ended: float, settings: TrialSettings
) -> list[Observation]:
    """The intervals that lie entirely in the window, after its first `settle_s`."""
    return [
        each
        for each in observations
        if is_settled(each, started, settings) and each.at <= ended + ROUNDING_S
    ]


def is_settled(observation: Observation, started: float, settings: TrialSettings) -> bool:
    """Whether an interval of the window that `started` then comes after its first `settle_s`."""
    return observation.began >= started + settings.settle_s - ROUNDING_S


def window_of(
    arm: Arm,
    started: float,
    ended: float,
    objective: Objective,
    workload: str,
    observations: Sequence[Observation],
    settings: TrialSettings,
    measurements: Iterable[Measurement] = (),
    earlier: Sequence[WindowView] = (),
    guards: Sequence[Guard] = (),
    sleepers: frozenset[str] | None = None,
) -> WindowView:
    """The result of a finished window. One that says too little, or that the host disturbed, is
    `excluded`, with the reason.

    Args:
        earlier: the trial's windows before it.
        guards: guarded figures of other workloads.
        sleepers: the other workloads whose response time is guarded, the same in all windows of a
            trial (see `sleepers_of`); None: those that mostly sleep in this one.
    """
    seen = settled(observations, started, ended, settings)
    begin = started + settings.settle_s
    numbers = [each for each in measurements if begin <= each.began and each.at <= ended]
    found = {term: value_of(term, workload, seen, numbers, begin) for term in objective.terms}
    value = found[objective.leading]
    late_s = sum(each.late_s for each in seen if each.late_s >= LATE_S)
    spoiled = asleep(sum(each.suspended_s for each in observations)) or disturbance(
        arm, seen, late_s, earlier
    )
    longest = longest_of(seen, started)
    figures = {term.title: each.value for term, each in found.items() if each}
    figures |= _guard_figures(guards, workload, seen, numbers, begin)
    guarded = guarded_of(workload, seen, begin, sleepers, guards)
    if longest:
        guarded[GuardedFigure.DELAY_MAX_US] = longest.us
    return WindowView(
        arm=arm,
        started=started,
        ended=ended,
        value=value.value if value else 0.0,
        samples=value.samples if value else 0,
        guarded={str(name): figure for name, figure in guarded.items()},
        figures=figures,
        stand_in=next((each.stand_in for each in found.values() if each and each.stand_in), ""),
        longest_comm=longest.comm if longest else "",
        longest_workload=longest.workload if longest else "",
        stay_us=stay_of(workload, seen),
        excluded=spoiled or _too_little(arm, found, settings, earlier),
        disturbed=bool(spoiled),
        late_s=late_s,
    )


# How many of the workload's own activations, or processes, must end in a window.
COMPLETIONS_MIN = 30
_ENDING = {
    Metric.RESPONSE: "activations",
    Metric.COMPLETIONS: "activations",
    Metric.TURNAROUND: "processes",
    Metric.MAKESPAN: "batches",
}


def least_of(term: Term, settings: TrialSettings, stand_in: str = "") -> int:
    """How many samples of a term a window needs."""
    if term.metric in (Metric.MEASUREMENT, Metric.MAKESPAN):
        return 1
    if term.metric in _ENDING and not stand_in:
        return min(COMPLETIONS_MIN, settings.samples_min)
    return settings.samples_min


def _too_little(
    arm: Arm,
    found: dict[Term, Value | None],
    settings: TrialSettings,
    earlier: Sequence[WindowView],
) -> str:
    """Why these values are not a valid window; empty if they are."""
    # Under the candidate it is the candidate's doing, if the baseline had enough in this time.
    counted = arm is Arm.CANDIDATE and any(each.arm is Arm.BASELINE for each in included(earlier))
    for term, value in found.items():
        if term.tolerance is not None:
            continue
        least = least_of(term, settings, value.stand_in if value else "")
        if value is None:
            return f"nothing was seen of {term.title}"
        if value.samples < least and not (counted and value.samples and term.metric in _ENDING):
            things = _ENDING.get(term.metric, "samples") if not value.stand_in else "samples"
            if things == "samples":
                return f"{value.samples} samples, of which {least} are needed"
            return f"{value.samples} {things} ended, of which {least} are needed"
    return ""


def _guard_figures(
    guards: Sequence[Guard],
    workload: str,
    observations: Sequence[Observation],
    numbers: Sequence[Measurement],
    begin: float,
) -> dict[str, float]:
    """Each guard's value, and the CPU time of its workload, which shows whether it runs at all.

    A glob means other workloads, never the workload itself.
    """
    figures: dict[str, float] = {}
    seen = [
        replace(
            each,
            workloads={name: part for name, part in each.workloads.items() if name != workload},
        )
        for each in (observations if guards else ())
    ]
    for guard in guards:
        value = value_of(guard.term, guard.workload, seen, numbers, begin)
        if value is not None:
            figures[guard.key] = value.value
        time = value_of(_CPU, guard.workload, seen)
        figures[guard.time_key] = time.value if time else 0.0
    return figures


_CPU = Term("cpu", Metric.CPU, Direction.HIGHER, "%")


@dataclass(frozen=True, slots=True)
class Longest:
    """Anybody's longest wait for a CPU. `comm` and `workload` are hostile text."""

    us: float
    comm: str
    workload: str


def longest_of(observations: Iterable[Observation], started: float) -> Longest | None:
    """The longest wait in these intervals, without the part before `started`."""
    found: Longest | None = None
    for each in observations:
        for part in each.workloads.values():
            us = min(part.delay_max_us, (each.at - started) * 1e6)
            if found is None or us > found.us:
                found = Longest(us, part.longest_comm, part.id)
    return found


def sleepers_of(workload: str, observations: Iterable[Observation]) -> frozenset[str]:
    """The other workloads that mostly sleep, by a window of the baseline.

    They are compared by their response time in both arms, whatever a scheduler makes of them:
    otherwise one that is interrupted more often would drop out of the figure that should show it.
    """
    sleeps: dict[str, float] = {}
    for each in observations:
        for name, part in each.workloads.items():
            if name != workload:
                left = each.interval_s * (part.wakeups_per_s - part.involuntary_per_s)
                sleeps[name] = sleeps.get(name, 0.0) + left
    return frozenset(name for name, more in sleeps.items() if more >= 0)


def stay_of(workload: str, observations: Iterable[Observation]) -> float:
    """The mean time that the workload's tasks stayed on a CPU, microseconds."""
    parts = [each.workloads[workload] for each in observations if workload in each.workloads]
    count = sum(each.slice_count for each in parts)
    return sum(each.slice_mean_us * each.slice_count for each in parts) / count if count else 0.0


def stolen_of(observations: Sequence[Observation]) -> float:
    """The host's share of these intervals, beyond the usual."""
    span = sum(each.interval_s for each in observations)
    return sum(each.stolen * each.interval_s for each in observations) / span if span > 0 else 0.0


def asleep(suspended_s: float) -> str:
    """Why a window in which the machine was suspended does not count; empty if it was not."""
    return f"the machine was suspended for {duration(suspended_s)}" if suspended_s else ""


def disturbance(
    arm: Arm, observations: Sequence[Observation], late_s: float, earlier: Iterable[WindowView]
) -> str:
    """Why a window says more about the host than about a scheduler; empty if it does not.

    Steal time is certainly the host's. Late signals may also be the candidate's effect on the
    program that reports them: under the candidate they are excused only if they came as late under
    the baseline.
    """
    if (stolen := stolen_of(observations)) > STOLEN:
        return f"the host took {stolen:.0%} of the CPU time away"
    usual_s = max((each.late_s for each in earlier if each.arm is Arm.BASELINE), default=0.0)
    if late_s and (arm is Arm.BASELINE or usual_s >= late_s / 2):
        return f"the machine stood still for {late_s:.1f} s"
    return ""


def guarded_of(
    workload: str,
    observations: Sequence[Observation],
    since: float = ALWAYS,
    sleepers: frozenset[str] | None = None,
    guards: Sequence[Guard] = (),
) -> dict[GuardedFigure, float]:
    """The guarded figures over these intervals; those that do not apply are left out.

    A workload with its own guard is not one of the others: its tolerance is given.
    """
    span = sum(each.interval_s for each in observations)
    if span <= 0:
        return {}
    parts = [(each.interval_s, part) for each in observations for part in each.workloads.values()]
    named = {
        part.id for _, part in parts if any(meant(each.workload, part.id) for each in guards)
    } | {workload}
    others = [(seconds, part) for seconds, part in parts if part.id not in named]
    own = [(seconds, part) for seconds, part in parts if part.id == workload]
    figures = {
        GuardedFigure.MACHINE_RUN_SHARE: sum(s * part.run_share for s, part in parts) / span,
        GuardedFigure.DELAY_MAX_US: max((part.delay_max_us for _, part in parts), default=0.0),
    }
    if workload and others:
        figures[GuardedFigure.OTHERS_RUN_SHARE] = (
            sum(s * part.run_share for s, part in others) / span
        )
        figures |= _others_served(named, observations, since, sleepers)
    if own:
        counted = value_of(_COMPLETIONS, workload, observations)
        if counted:
            figures[GuardedFigure.OWN_THROUGHPUT] = counted.value
    return figures


_COMPLETIONS = Term("completions", Metric.COMPLETIONS, Direction.HIGHER, "1/s")


def _others_served(
    named: Set[str],
    observations: Sequence[Observation],
    since: float,
    sleepers: frozenset[str] | None,
) -> dict[GuardedFigure, float]:
    """How those of the others that mostly sleep are served."""

    def served(part: WorkloadObservation) -> bool:
        if part.id in named:
            return False
        return part.mostly_sleeps if sleepers is None else part.id in sleepers

    parts = [[part for part in each.workloads.values() if served(part)] for each in observations]
    flat = [part for each in parts for part in each]
    if responds(flat):
        histogram, longest, _ = responses_of(zip(observations, parts, strict=True), since)
        return {GuardedFigure.OTHERS_RESPONSE_P99_US: quantile(histogram, 0.99, longest)}
    histogram = merged(part.delay_hist for part in flat)
    return {GuardedFigure.OTHERS_DELAY_P99_US: quantile(histogram, 0.99)} if histogram else {}


@dataclass(frozen=True, slots=True)
class Live:
    """One interval of the running window, for the harm check. `value` None: no data.

    `samples`: stays on a CPU of the workload; `ended`: the samples of the value.
    """

    value: float | None
    samples: int
    delay_max_us: float
    # The host took part of it away; it says nothing about a scheduler.
    disturbed: bool = False
    longest_comm: str = ""
    longest_workload: str = ""
    ended: int | None = None


# Terms that a single interval can show: not a batch, and not a number of the application.
_LIVE = (Metric.RESPONSE, Metric.COMPLETIONS, Metric.DELAY, Metric.CPU)


def live_of(
    objective: Objective,
    workload: str,
    observation: Observation,
    started: float = ALWAYS,
    settings: TrialSettings | None = None,
) -> Live:
    """The live figures of one interval of the window that `started` then. A measurement has none:
    its windows must do."""
    since = started + settings.settle_s if settings else started
    value = (
        value_of(objective, workload, [observation], since=since)
        if objective.metric in _LIVE
        else None
    )
    longest = longest_of([observation], started)
    part = observation.workloads.get(workload)
    return Live(
        value=value.value if value else None,
        samples=part.slice_count
        if part
        else sum(each.slice_count for each in observation.workloads.values() if not workload),
        delay_max_us=longest.us if longest else 0.0,
        disturbed=observation.stolen > STOLEN or observation.suspended_s > 0,
        longest_comm=longest.comm if longest else "",
        longest_workload=longest.workload if longest else "",
        ended=value.samples if value else None,
    )


def usual_samples(windows: Iterable[WindowView]) -> float:
    """Over the baseline's windows; 0 if there are none."""
    found = [each.samples for each in included(windows) if each.arm is Arm.BASELINE]
    return median(found) if found else 0.0
