# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a kept scheduler may stay, asked at every interval after the keep.

It is rolled back if, for a lasting time,

- the objective's metric is worse than it was when the scheduler was kept, *and* no better than the
  default was in the same trial: then the reason for keeping it is gone. (Worse than when kept, but
  still better than the default, means a heavier load and is not its fault.)
- the declared objective was met under it and is now broken,
- a guard, of the objective or of a named workload, is worse than it tolerates, and much worse than
  it was when the scheduler was kept,
- another workload that mostly sleeps waits many times longer than it used to under the default,
- some task starves where under the default none did,
- a cgroup uses more CPU time than its `cpu.max` allows, and did not under the default.

Work that is not requested is not lost: fewer completions, and less CPU time, count only if the
workload waits for a CPU.
"""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from statistics import median

from bpf.common.workload_id import readable
from daemon.api.display import displayable
from daemon.api.models import Arm, WindowView
from daemon.decide.baseline import Baseline
from daemon.decide.compared import guard_values, term_values
from daemon.decide.detect import (
    RESPONSE,
    SIGNAL,
    DetectState,
    enough,
    worst_term,
)
from daemon.decide.lasting import STILL, IntervalMark, Lasting
from daemon.decide.objective import Guard, Measurement, Objective, Term, meant
from daemon.decide.observation import Observation, WorkloadObservation
from daemon.decide.quotas import exceeded
from daemon.decide.settings import DetectSettings, GuardSettings, TrialSettings
from daemon.decide.values import parts_of, response_p99, value_of
from daemon.decide.verdict import LONGEST_NAME, starving_us, values, who
from daemon.decide.windows import STOLEN, GuardedFigure, longest_of
from daemon.decide.words import figure
from simulator.objective_text import Metric

# Intervals with a starved task, or with a cgroup beyond its quota, among the last `of_intervals`.
STARVED_INTERVALS = 2
# From this mean number of waiting threads on a workload wants more CPU than it gets.
WANTING = 0.2
# CPU time of unfinished activations, as a fraction of one CPU, from which on a thread never sleeps.
NEVER_ASLEEP = 0.9
# Figures that fall if nobody requests work.
_RATES = (Metric.COMPLETIONS, Metric.CPU)


class GuardCause(StrEnum):
    REGRESSION = "regression"
    OBJECTIVE = "objective-broken"
    GUARD = "guard-broken"
    BYSTANDER = "bystander-harmed"
    STARVATION = "starvation"
    QUOTA = "quota-exceeded"


@dataclass(frozen=True, slots=True)
class KeptTerm:
    """One more figure of the trial: of the workload, or of a guarded one."""

    workload: str
    term: Term
    kept_value: float
    default_value: float

    @property
    def key(self) -> tuple[str, str]:
        return self.workload, self.term.title


@dataclass(frozen=True, slots=True)
class Kept:
    """The kept scheduler, and the trial's measurements: medians of the windows, in the unit.

    The values are of the leading term; `besides` has the other terms, and the guards.
    """

    candidate: str
    workload: str
    objective: Objective
    since: float
    kept_value: float
    default_value: float
    default_delay_max_us: float
    besides: tuple[KeptTerm, ...] = ()
    # The cgroups that exceeded their quota under the default, too.
    usual_over_quota: frozenset[str] = frozenset()

    @property
    def measured(self) -> frozenset[str]:
        """The names of the measurements that are needed."""
        return self.objective.measured | {each.term.name for each in self.besides if each.term.name}


def kept_of(
    candidate: str,
    workload: str,
    objective: Objective,
    since: float,
    windows: Iterable[WindowView],
    guards: Sequence[Guard] = (),
    usual_over_quota: frozenset[str] = frozenset(),
) -> Kept:
    """From the windows of the trial that kept it."""
    windows = list(windows)
    besides = [
        (workload, term, {arm: term_values(windows, arm, objective, term) for arm in Arm})
        for term in objective.terms
        if term != objective.leading
    ]
    besides += [
        (each.workload, each.term, {arm: guard_values(windows, arm, each) for arm in Arm})
        for each in guards
    ]
    usual = {arm: median(values(windows, arm) or [0.0]) for arm in Arm}
    return Kept(
        candidate,
        workload,
        objective,
        since,
        usual[Arm.CANDIDATE],
        usual[Arm.BASELINE],
        max(
            (
                w.guarded.get(GuardedFigure.DELAY_MAX_US, 0.0)
                for w in windows
                if w.arm is Arm.BASELINE
            ),
            default=0.0,
        ),
        tuple(
            KeptTerm(of, term, median(found[Arm.CANDIDATE]), median(found[Arm.BASELINE]))
            for of, term, found in besides
            if found[Arm.CANDIDATE] and found[Arm.BASELINE]
        ),
        usual_over_quota,
    )


@dataclass(frozen=True, slots=True)
class GuardState:
    regression: Lasting = STILL
    broken: Lasting = STILL
    starved: Lasting = STILL
    bystanders: Mapping[str, Lasting] = field(default_factory=dict)
    besides: Mapping[tuple[str, str], Lasting] = field(default_factory=dict)
    quotas: Mapping[str, Lasting] = field(default_factory=dict)
    # How many intervals in a row met the objective; from enough of them on, `met`.
    meeting: int = 0
    met: bool = False


@dataclass(frozen=True, slots=True)
class GuardDecision:
    """Roll back, for this reason. `workload` is the one that suffers."""

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

    An interval disturbed by the host says nothing about the scheduler, and is skipped.
    """
    if observation.stolen > STOLEN:
        return state, None
    numbers = list(measurements)
    decision: GuardDecision | None = None
    value = _judged(kept.objective.leading, kept.workload, kept, observation, numbers)
    if value is not None:
        state, decision = _own(state, kept, value, observation, settings, numbers)
    state, broken = _besides(state, kept, observation, settings, numbers)
    decision = decision or broken
    state, harmed = _bystanders(state, kept, observation, detect, settings, detecting)
    state, starved = _starved(state, kept, observation, settings, trial)
    state, beyond = _over_quota(state, kept, observation, settings)
    return state, starved or beyond or decision or harmed


def _judged(
    term: Term,
    workload: str,
    kept: Kept,
    observation: Observation,
    measurements: Sequence[Measurement],
) -> float | None:
    """A term's value in this interval; None if it says nothing about the scheduler."""
    value = value_of(term, workload, [observation], measurements, kept.since)
    if value is None or not enough(term, value):
        return None
    parts = parts_of(observation, workload)
    if term.metric in _RATES and not _wants(parts, observation.interval_s):
        return None
    return value.value


def _wants(parts: Iterable[WorkloadObservation], interval_s: float) -> bool:
    """Whether a workload wants more CPU than it gets: its threads waited, or one was unfinished
    during the whole interval or always had more to do (a busy event loop).
    """
    seen = list(parts)
    span_us = interval_s * 1e6
    waited_us = sum(part.delay_mean_us * part.delay_count for part in seen)
    never_done = any(part.open_hist and part.open_hist[-1][0] >= span_us for part in seen)
    return (
        never_done or waited_us >= WANTING * span_us or any(_busy(each, span_us) for each in seen)
    )


def _busy(part: WorkloadObservation, span_us: float) -> bool:
    unended_us = part.run_share * span_us - part.burst_mean_us * part.burst_count
    return bool(part.open_hist) and unended_us >= NEVER_ASLEEP * span_us


def _besides(
    state: GuardState,
    kept: Kept,
    observation: Observation,
    settings: GuardSettings,
    measurements: Sequence[Measurement],
) -> tuple[GuardState, GuardDecision | None]:
    after = dict(state.besides)
    decision = None
    for each in kept.besides:
        term = each.term
        value = _judged(term, each.workload, kept, observation, measurements)
        if value is None:
            continue
        ratio = term.worse(value, each.default_value)
        bad = (
            ratio > term.tolerated
            and term.worse(value, each.kept_value) >= settings.regression_ratio
        )
        lasting = _after(after.get(each.key, STILL), bad, observation.began, settings)
        after[each.key] = lasting
        if lasting.active and decision is None:
            own = each.workload == kept.workload
            of = "" if own else f" of {displayable(each.workload, LONGEST_NAME)}"
            decision = GuardDecision(
                GuardCause.REGRESSION if term.tolerance is None else GuardCause.GUARD,
                each.workload,
                f"{term.named}{of}: it is "
                f"{figure(value, term.unit)}; when {kept.objective.title} was judged it was "
                f"{figure(each.kept_value, term.unit)}, and under the default "
                f"{figure(each.default_value, term.unit)}",
            )
    return replace(state, besides=after), decision


def _after(lasting: Lasting, bad: bool, began: float, settings: GuardSettings) -> Lasting:
    return lasting.after(
        IntervalMark.BAD if bad else IntervalMark.CALM,
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
    measurements: Sequence[Measurement],
) -> tuple[GuardState, GuardDecision | None]:
    objective = kept.objective
    worse = (
        objective.worse(value, kept.kept_value) >= settings.regression_ratio
        and objective.worse(value, kept.default_value) >= 1
    )
    limited = worst_term(objective, kept.workload, observation, measurements)
    broken = limited is not None and limited[0].broken_by(limited[1].value)
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
            f"{objective.leading.title} is {figure(value, objective.unit)}: when kept it was "
            f"{figure(kept.kept_value, objective.unit)}, and under the default "
            f"{figure(kept.default_value, objective.unit)}",
        )
    if state.broken.active and limited is not None:
        term, now = limited
        return state, GuardDecision(
            GuardCause.OBJECTIVE,
            kept.workload,
            f"`{objective.text}` was met and is broken: {term.title} is "
            f"{figure(now.value, term.unit)}",
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
        served = _served(each, detect, detecting)
        if name == kept.workload or served is None:
            continue
        if any(meant(own.workload, name) for own in kept.besides if own.workload):
            # It has a guard with its own tolerance.
            continue
        signal, value, baseline = served
        bad = (
            each.partly_sleeps
            and baseline.ratio(value) >= settings.bystander_ratio
            and value - baseline.typical >= settings.bystander_floor_us
        )
        known = state.bystanders.get(name)
        # Most never have a bad interval, and need no memory.
        if not bad and known is None:
            continue
        lasting = _after(known or STILL, bad, observation.began, settings)
        if lasting.active or any(lasting.marks):
            after[name] = lasting
        if lasting.active and decision is None:
            decision = GuardDecision(
                GuardCause.BYSTANDER,
                name,
                f"its {signal} is {figure(value, 'us')}, "
                f"{baseline.ratio(value):.0f} times what it was under the default",
            )
    return replace(state, bystanders=after), decision


def _served(
    each: WorkloadObservation,
    detect: DetectState,
    detecting: DetectSettings,
) -> tuple[str, float, Baseline] | None:
    """How another workload is served: by its response time, if that and its value under the default
    are known; else by its run-queue delay. None if neither is.
    """
    response, usual = response_p99(each), detect.response(each.id)
    if response is not None and usual is not None:
        if usual.count < detecting.baseline_min or each.response_count < detecting.samples_min:
            return None
        return RESPONSE, response, usual
    baseline = detect.baseline(each.id)
    if baseline is None or baseline.count < detecting.baseline_min:
        return None
    if each.delay_count < detecting.samples_min:
        return None
    return SIGNAL, each.delay_p99_us, baseline


def _starved(
    state: GuardState,
    kept: Kept,
    observation: Observation,
    settings: GuardSettings,
    trial: TrialSettings,
) -> tuple[GuardState, GuardDecision | None]:
    longest = longest_of([observation], kept.since)
    if longest is None:
        return state, None
    most = starving_us(kept.default_delay_max_us, trial)
    starved = state.starved.after(
        IntervalMark.BAD if longest.us >= most else IntervalMark.CALM,
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
        longest.workload,
        f"{who(longest.comm, longest.workload)} waited {figure(longest.us, 'us')} for a CPU; "
        f"under the default none "
        f"waited longer than {figure(kept.default_delay_max_us, 'us')}",
    )


def _over_quota(
    state: GuardState, kept: Kept, observation: Observation, settings: GuardSettings
) -> tuple[GuardState, GuardDecision | None]:
    found = {each.group: each for each in exceeded([observation], least_us=0)}
    after: dict[str, Lasting] = {}
    decision = None
    for group in {*found, *state.quotas} - kept.usual_over_quota:
        lasting = state.quotas.get(group, STILL).after(
            IntervalMark.BAD if group in found else IntervalMark.CALM,
            observation.began,
            bad=min(STARVED_INTERVALS, settings.of_intervals),
            of=settings.of_intervals,
            calm=settings.of_intervals,
        )
        # Most never exceed theirs, and need no memory.
        if lasting.active or any(lasting.marks):
            after[group] = lasting
        if lasting.active and group in found and decision is None:
            workload = f"cgroup:{readable(os.fsencode(group))}"
            decision = GuardDecision(GuardCause.QUOTA, workload, found[group].reason)
    return replace(state, quotas=after), decision
