# SPDX-License-Identifier: GPL-2.0-only
"""The windows of a trial: in which order, and what each one came to.

The order is A B B A, then B A A B, and so on (A is the baseline), so that a steady drift
of the machine adds the same to both arms and cancels out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from daemon.api.models import Arm, WindowView
from daemon.decide.histogram import merged, quantile
from daemon.decide.objective import Measurement, Metric, Objective, value_of
from daemon.decide.observation import Observation
from daemon.decide.settings import TrialSettings

BLOCK = 4
_PAIR = (
    (Arm.BASELINE, Arm.CANDIDATE, Arm.CANDIDATE, Arm.BASELINE),
    (Arm.CANDIDATE, Arm.BASELINE, Arm.BASELINE, Arm.CANDIDATE),
)
# Excluded windows are run again, but a trial of which so many times the windows are
# excluded ends with what it has.
PATIENCE = 2


# A window of which the host took a larger part than this, beyond the usual, is not a fair one.
STOLEN = 0.05
# An interval of signals that lasted so much longer than asked for, seconds: the clock went on and
# the machine did not.
LATE_S = 1.0


class Guarded(StrEnum):
    """Figures of a window that the objective may not be bought with.

    MACHINE_RUN_SHARE: CPU time of all workloads, of one CPU: work done at all. As each stay on a
        CPU is measured; the kernel's own account of idle time is sampled by ticks, and lost
        a quarter of the work of tasks that a scheduler lets run between them.
    OTHERS_RUN_SHARE: CPU time of all other workloads, of one CPU.
    OTHERS_DELAY_P99_US: run-queue delay of those of them that mostly sleep.
    OWN_THROUGHPUT: completed sleeps per second of the workload itself.
    DELAY_MAX_US: the longest delay of any task; not compared, but watched for starvation.
    """

    MACHINE_RUN_SHARE = "machine_run_share"
    OTHERS_RUN_SHARE = "others_run_share"
    OTHERS_DELAY_P99_US = "others_delay_p99_us"
    OWN_THROUGHPUT = "own_throughput"
    DELAY_MAX_US = "delay_max_us"


def schedule(count: int) -> tuple[Arm, ...]:
    """The arms of the first `count` windows."""
    return tuple(_PAIR[(i // BLOCK) % 2][i % BLOCK] for i in range(count))


def included(windows: Iterable[WindowView]) -> list[WindowView]:
    return [window for window in windows if not window.excluded]


def next_arm(windows: Sequence[WindowView], settings: TrialSettings) -> Arm | None:
    """The arm of the next window, or None when the trial has had all of them.

    An excluded window does not count, so its place is filled by the next one.
    """
    done = len(included(windows))
    if done >= settings.max_windows or len(windows) >= PATIENCE * settings.max_windows:
        return None
    return schedule(done + 1)[done]


def settled(
    observations: Iterable[Observation], started: float, ended: float, settings: TrialSettings
) -> list[Observation]:
    """The intervals that lie in the window whole, after its first `settle_s`."""
    # Intervals end when the signals program says so and windows when the daemon does: a
    # hundredth of a second of overlap is rounding, not another arm.
    begin, end = started + settings.settle_s - 0.01, ended + 0.01
    return [each for each in observations if each.began >= begin and each.at <= end]


def window_of(
    arm: Arm,
    started: float,
    ended: float,
    objective: Objective,
    workload: str,
    observations: Iterable[Observation],
    settings: TrialSettings,
    measurements: Iterable[Measurement] = (),
    earlier: Sequence[WindowView] = (),
) -> WindowView:
    """What a finished window came to. One that says too little, or that the host spoiled, is
    `excluded`, with the reason. `earlier` are the trial's windows before it."""
    seen = settled(observations, started, ended, settings)
    begin = started + settings.settle_s
    numbers = [each for each in measurements if begin <= each.began and each.at <= ended]
    value = value_of(objective, workload, seen, numbers)
    least = 1 if objective.metric is Metric.MEASUREMENT else settings.samples_min
    late_s = sum(each.late_s for each in seen if each.late_s >= LATE_S)
    spoiled = excluded = disturbance(arm, seen, late_s, earlier)
    if spoiled:
        pass
    elif value is None:
        excluded = f"nothing was seen of {objective.title}"
    elif value.samples < least:
        excluded = f"{value.samples} samples, of which {least} are needed"
    return WindowView(
        arm=arm,
        started=started,
        ended=ended,
        value=value.value if value else 0.0,
        samples=value.samples if value else 0,
        guarded={str(name): figure for name, figure in guarded_of(workload, seen).items()},
        stay_us=stay_of(workload, seen),
        excluded=excluded,
        disturbed=bool(spoiled),
        late_s=late_s,
    )


def stay_of(workload: str, observations: Iterable[Observation]) -> float:
    """How long a stay of the workload's tasks on a CPU lasted, on average, microseconds."""
    parts = [each.workloads[workload] for each in observations if workload in each.workloads]
    count = sum(each.slice_count for each in parts)
    return sum(each.slice_mean_us * each.slice_count for each in parts) / count if count else 0.0


def stolen_of(observations: Sequence[Observation]) -> float:
    """The share of these intervals that the host took, beyond the usual."""
    span = sum(each.interval_s for each in observations)
    return sum(each.stolen * each.interval_s for each in observations) / span if span > 0 else 0.0


def disturbance(
    arm: Arm, observations: Sequence[Observation], late_s: float, earlier: Iterable[WindowView]
) -> str:
    """Why a window says more about the host than about a scheduler; empty where it does not.

    Steal time is the host's for certain. That signals come late may also be what the candidate does
    to the program that tells them: under the candidate it is excused only where it came as badly
    under the baseline.
    """
    if (stolen := stolen_of(observations)) > STOLEN:
        return f"the host took {stolen:.0%} of the CPU time away"
    usual_s = max((each.late_s for each in earlier if each.arm is Arm.BASELINE), default=0.0)
    if late_s and (arm is Arm.BASELINE or usual_s >= late_s / 2):
        return f"the machine stood still for {late_s:.1f} s"
    return ""


def guarded_of(workload: str, observations: Sequence[Observation]) -> dict[Guarded, float]:
    """The guarded figures over these intervals; those that do not apply are left out."""
    span = sum(each.interval_s for each in observations)
    if span <= 0:
        return {}
    parts = [(each.interval_s, part) for each in observations for part in each.workloads.values()]
    others = [(seconds, part) for seconds, part in parts if part.id != workload]
    own = [(seconds, part) for seconds, part in parts if part.id == workload]
    figures = {
        Guarded.MACHINE_RUN_SHARE: sum(s * part.run_share for s, part in parts) / span,
        Guarded.DELAY_MAX_US: max((part.delay_max_us for _, part in parts), default=0.0),
    }
    if workload and others:
        figures[Guarded.OTHERS_RUN_SHARE] = sum(s * part.run_share for s, part in others) / span
        histogram = merged(part.delay_hist for _, part in others if part.mostly_sleeps)
        if histogram:
            figures[Guarded.OTHERS_DELAY_P99_US] = quantile(histogram, 0.99)
    if own:
        figures[Guarded.OWN_THROUGHPUT] = sum(s * part.wakeups_per_s for s, part in own) / span
    return figures


@dataclass(frozen=True, slots=True)
class Live:
    """One interval of the running window, for the harm check. `value` None: nothing seen."""

    value: float | None
    samples: int
    delay_max_us: float
    # The host took part of it away; it says nothing about a scheduler.
    disturbed: bool = False


def live_of(objective: Objective, workload: str, observation: Observation) -> Live:
    """The live figures of one interval. A measurement has none: its windows must do."""
    value = (
        None
        if objective.metric is Metric.MEASUREMENT
        else value_of(objective, workload, [observation])
    )
    longest = max((each.delay_max_us for each in observation.workloads.values()), default=0.0)
    part = observation.workloads.get(workload)
    return Live(
        value=value.value if value else None,
        samples=part.slice_count
        if part
        else sum(each.slice_count for each in observation.workloads.values() if not workload),
        delay_max_us=longest,
        disturbed=observation.stolen > STOLEN,
    )
