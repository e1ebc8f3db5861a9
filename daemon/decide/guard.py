# SPDX-License-Identifier: GPL-2.0-only
"""Whether a kept scheduler may stay, asked with every interval after the keep.

It goes when, lastingly,

- the objective's metric is worse than it was when the scheduler was kept, *and* no better than
  the default was in the same trial: then nothing is left of the reason for which it was kept.
  (Worse than when kept, but still better than the default, is a heavier load and no fault.)
- the declared objective was met under it and is now broken,
- another workload that mostly sleeps waits many times longer than it used to under the default,
- some task starves where under the default none did.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import median

from daemon.api.models import Arm, WindowView
from daemon.decide.detect import OBJECTIVE_SAMPLES, DetectState
from daemon.decide.lasting import STILL, Lasting, Mark
from daemon.decide.objective import Measurement, Metric, Objective, value_of
from daemon.decide.observation import Observation
from daemon.decide.settings import DetectSettings, GuardSettings, TrialSettings
from daemon.decide.verdict import values
from daemon.decide.windows import STOLEN, Guarded
from daemon.decide.words import figure

# Intervals with a starved task, among the last `of_intervals`.
STARVED_INTERVALS = 2


class GuardCause(StrEnum):
    REGRESSION = "regression"
    OBJECTIVE = "objective-broken"
    BYSTANDER = "bystander-harmed"
    STARVATION = "starvation"


@dataclass(frozen=True, slots=True)
class Kept:
    """What was kept, and what the trial measured: medians of the windows, in the unit."""

    candidate: str
    workload: str
    objective: Objective
    since: float
    kept_value: float
    default_value: float
    default_delay_max_us: float


def kept_of(
    candidate: str,
    workload: str,
    objective: Objective,
    since: float,
    windows: Iterable[WindowView],
) -> Kept:
    """From the windows of the trial that kept it."""
    windows = list(windows)
    usual = {arm: median(values(windows, arm) or [0.0]) for arm in Arm}
    return Kept(
        candidate,
        workload,
        objective,
        since,
        usual[Arm.CANDIDATE],
        usual[Arm.BASELINE],
        max(
            (w.guarded.get(Guarded.DELAY_MAX_US, 0.0) for w in windows if w.arm is Arm.BASELINE),
            default=0.0,
        ),
    )


@dataclass(frozen=True, slots=True)
class GuardState:
    regression: Lasting = STILL
    broken: Lasting = STILL
    starved: Lasting = STILL
    bystanders: Mapping[str, Lasting] = field(default_factory=dict)
    # Intervals in a row in which the objective was met; from enough of them on, `met`.
    meeting: int = 0
    met: bool = False


@dataclass(frozen=True, slots=True)
class GuardDecision:
    """Roll back, because of this. `workload` is whom it hurts."""

    cause: GuardCause
    workload: str
    reason: str


def step(
    state: GuardState,
    kept: Kept,
    observation: Observation,
    detect: DetectState,
    settings: GuardSettings,
    trial: TrialSettings,
    detecting: DetectSettings,
    measurements: Iterable[Measurement] = (),
) -> tuple[GuardState, GuardDecision | None]:
    """Judge one interval under the kept scheduler. `detect` has the default's baselines.

    One that the host took a part of says nothing of the scheduler, and is passed over.
    """
    if observation.stolen > STOLEN:
        return state, None
    value = value_of(kept.objective, kept.workload, [observation], measurements)
    if value and kept.objective.metric is Metric.LATENCY and value.samples < OBJECTIVE_SAMPLES:
        value = None
    decision: GuardDecision | None = None
    if value:
        state, decision = _own(state, kept, value.value, observation, settings)
    state, harmed = _bystanders(state, kept, observation, detect, settings, detecting)
    state, starved = _starved(state, kept, observation, settings, trial)
    return state, starved or decision or harmed


def _after(lasting: Lasting, bad: bool, began: float, settings: GuardSettings) -> Lasting:
    return lasting.after(
        Mark.BAD if bad else Mark.CALM,
        began,
        bad=settings.bad_intervals,
        of=settings.of_intervals,
        calm=settings.of_intervals,
    )


def _own(
    state: GuardState,
    kept: Kept,
    value: float,
    observation: Observation,
    settings: GuardSettings,
) -> tuple[GuardState, GuardDecision | None]:
    objective = kept.objective
    worse = (
        objective.worse(value, kept.kept_value) >= settings.regression_ratio
        and objective.worse(value, kept.default_value) >= 1
    )
    broken = objective.broken_by(value)
    meeting = 0 if broken else state.meeting + 1
    met = state.met or meeting >= settings.bad_intervals
    state = replace(
        state,
        regression=_after(state.regression, worse, observation.began, settings),
        broken=_after(state.broken, broken and met, observation.began, settings),
        meeting=meeting,
        met=met,
    )
    if state.regression.active:
        return state, GuardDecision(
            GuardCause.REGRESSION,
            kept.workload,
            f"{objective.title} is {figure(value, objective.unit)}: when kept it was "
            f"{figure(kept.kept_value, objective.unit)}, and under the default "
            f"{figure(kept.default_value, objective.unit)}",
        )
    if state.broken.active:
        return state, GuardDecision(
            GuardCause.OBJECTIVE,
            kept.workload,
            f"`{objective.text}` was met and is broken: {objective.title} is "
            f"{figure(value, objective.unit)}",
        )
    return state, None


def _bystanders(
    state: GuardState,
    kept: Kept,
    observation: Observation,
    detect: DetectState,
    settings: GuardSettings,
    detecting: DetectSettings,
) -> tuple[GuardState, GuardDecision | None]:
    after: dict[str, Lasting] = {}
    decision = None
    for name, each in observation.workloads.items():
        baseline = detect.baseline(name)
        if (
            name == kept.workload
            or baseline is None
            or baseline.count < detecting.baseline_min
            or each.delay_count < detecting.samples_min
        ):
            continue
        bad = (
            each.partly_sleeps
            and baseline.ratio(each.delay_p99_us) >= settings.bystander_ratio
            and each.delay_p99_us - baseline.typical >= settings.bystander_floor_us
        )
        known = state.bystanders.get(name)
        # Most never have a bad interval, and are not worth a memory.
        if not bad and known is None:
            continue
        lasting = _after(known or STILL, bad, observation.began, settings)
        if lasting.active or any(lasting.marks):
            after[name] = lasting
        if lasting.active and decision is None:
            decision = GuardDecision(
                GuardCause.BYSTANDER,
                name,
                f"its run-queue delay p99 is {figure(each.delay_p99_us, 'us')}, "
                f"{baseline.ratio(each.delay_p99_us):.0f} times what it was under the default",
            )
    return replace(state, bystanders=after), decision


def _starved(
    state: GuardState,
    kept: Kept,
    observation: Observation,
    settings: GuardSettings,
    trial: TrialSettings,
) -> tuple[GuardState, GuardDecision | None]:
    if kept.default_delay_max_us > trial.starved_us / 10 or not observation.workloads:
        return state, None
    longest = max(observation.workloads.values(), key=lambda each: each.delay_max_us)
    starved = state.starved.after(
        Mark.BAD if longest.delay_max_us >= trial.starved_us else Mark.CALM,
        observation.began,
        bad=min(STARVED_INTERVALS, settings.of_intervals),
        of=settings.of_intervals,
        calm=settings.of_intervals,
    )
    state = replace(state, starved=starved)
    if not starved.active:
        return state, None
    return state, GuardDecision(
        GuardCause.STARVATION,
        longest.id,
        f"a task waited {figure(longest.delay_max_us, 'us')} for a CPU; under the default none "
        f"waited longer than {figure(kept.default_delay_max_us, 'us')}",
    )
