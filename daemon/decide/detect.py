# SPDX-License-Identifier: GPL-2.0-or-later
"""Which workloads are served worse than usual, or worse than declared.

`step` gets each interval that may be judged, `skip` each that may not (a trial runs, or the
scheduler has just been changed). The signal is the 99th percentile of response time, for workloads
that mostly sleep; of run-queue delay, if response time is unknown. For other goals there are
objectives. A response that is longer without waiting for a CPU is not caused by a scheduler, and is
not a degradation.

A *regime* is the running scheduler: "" is the kernel's default, anything else the id of a kept
candidate. Each has its own baseline, so that an improvement by a kept scheduler becomes the
expectation under it, and the default's values are still known when it comes back.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import translate
from functools import lru_cache
from re import Pattern
from re import compile as pattern_of

from daemon.api.models import Degradation
from daemon.decide.baseline import Baseline
from daemon.decide.lasting import STILL, IntervalMark, Lasting
from daemon.decide.objective import Declared, Measurement, Objective, Term
from daemon.decide.observation import Observation, WorkloadObservation
from daemon.decide.settings import DetectSettings
from daemon.decide.values import Value, response_p99, value_of
from daemon.decide.words import duration, figure
from simulator.objective_text import Metric

KERNEL_DEFAULT = ""
SIGNAL = "run-queue delay p99"
RESPONSE = "response p99"
UNIT = "us"
# The minimum share of waiting for a CPU in response time for which a scheduler may be at fault.
WAITING = 0.1
# Calm means below this fraction of each of the three limits that make an interval bad: half way.
CALM_PART = 0.5
# A degraded workload is no longer degraded after this many intervals without data.
SILENT_INTERVALS = 12
# The minimum number of samples of an interval for a declared latency: the operator asked for it, so
# few are enough.
OBJECTIVE_SAMPLES = 10
# Of intervals that are not calm, one in this many updates the baseline: a rise has to last before
# it is normal, or a slow one would raise the baseline with itself and never be reported.
LEARN_ONE_IN = 8


@dataclass(frozen=True, slots=True)
class Recovery:
    """The end of a degradation. `objective` is its text, or "" for the baseline."""

    workload: str
    signal: str
    since: float
    at: float
    reason: str
    objective: str = ""


@dataclass(frozen=True, slots=True)
class Track:
    """The memory for one workload, or for one objective of it (without baselines)."""

    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    # The same for response time; `baselines` are for run-queue delay.
    responses: Mapping[str, Baseline] = field(default_factory=dict)
    lasting: Lasting = STILL
    degradation: Degradation | None = None
    seen: float = 0.0
    judged: float = 0.0
    uncalm: int = 0


@dataclass(frozen=True, slots=True)
class DetectState:
    """The whole memory of detection. Objectives are keyed by workload and text."""

    workloads: Mapping[str, Track] = field(default_factory=dict)
    objectives: Mapping[tuple[str, str], Track] = field(default_factory=dict)

    def degraded(self) -> list[Degradation]:
        """The current degradations with their newest figures; broken objectives first."""
        tracks = (*self.objectives.values(), *self.workloads.values())
        return [track.degradation for track in tracks if track.degradation]

    def baseline(self, workload: str, regime: str = KERNEL_DEFAULT) -> Baseline | None:
        track = self.workloads.get(workload)
        return track.baselines.get(regime) if track else None

    def response(self, workload: str, regime: str = KERNEL_DEFAULT) -> Baseline | None:
        """The baseline of response time; `baseline` is of run-queue delay."""
        track = self.workloads.get(workload)
        return track.responses.get(regime) if track else None


def step(
    state: DetectState,
    observation: Observation,
    settings: DetectSettings,
    *,
    regime: str = KERNEL_DEFAULT,
    declared: Sequence[Declared] = (),
    measurements: Iterable[Measurement] = (),
    ignored: tuple[str, ...] = (),
) -> tuple[DetectState, list[Degradation | Recovery]]:
    """Judge one interval and learn from it.

    Args:
        regime: the scheduler that ran in it.
        declared: the operator's objectives.
        measurements: those reported in this interval.
        ignored: globs of workload ids that are not judged by their baseline.

    Returns:
        The new state, and the degradations that began or ended with this interval.
    """
    happened: list[Degradation | Recovery] = []
    workloads = dict(state.workloads)
    ignore = _matcher(ignored)
    for name, each in observation.workloads.items():
        if ignore.match(name):
            workloads.pop(name, None)
            continue
        track = workloads.get(name, Track())
        workloads[name] = _judge_workload(track, each, observation, settings, regime, happened)
    workloads = _forget(workloads, observation, settings, happened)
    objectives = _judge_objectives(
        state.objectives, observation, settings, declared, list(measurements), happened
    )
    return DetectState(workloads, objectives), happened


def skip(state: DetectState, observation: Observation) -> DetectState:
    """Skip an interval that may not be judged: nothing is learnt, and no streak crosses it."""
    at = observation.at

    def passed(track: Track) -> Track:
        return replace(track, lasting=track.lasting.interrupted(), seen=at, judged=at)

    return DetectState(
        {name: passed(track) for name, track in state.workloads.items()},
        {key: passed(track) for key, track in state.objectives.items()},
    )


def afresh(state: DetectState) -> DetectState:
    """The baselines alone: nothing is degraded, and no streak goes on."""

    def anew(track: Track) -> Track:
        return replace(track, lasting=STILL, degradation=None, uncalm=0)

    return DetectState(
        {name: anew(track) for name, track in state.workloads.items()},
        {key: anew(track) for key, track in state.objectives.items()},
    )


# ---------------------------------------------------------------- against the baseline


@dataclass(frozen=True, slots=True)
class _Signal:
    """The figure by which a workload is judged in one interval. `waited`: its waiting part."""

    name: str
    value: float
    waited: float = 1.0


def _judge_workload(
    track: Track,
    each: WorkloadObservation,
    observation: Observation,
    settings: DetectSettings,
    regime: str,
    happened: list[Degradation | Recovery],
) -> Track:
    track = replace(
        track,
        baselines=_only(track.baselines, regime),
        responses=_only(track.responses, regime),
        seen=observation.at,
    )
    if not each.partly_sleeps:
        return track
    response = response_p99(each)
    delays = each.delay_count >= settings.samples_min
    delay = _Signal(SIGNAL, each.delay_p99_us)
    if response is None:
        if not delays:
            return track
        track, baselines, _ = _deal(
            track, delay, track.baselines, each, observation, settings, regime, happened
        )
        return replace(track, baselines=baselines)
    if each.response_count < settings.samples_min:
        return track
    judged = _Signal(RESPONSE, response, each.of_activations(each.waited_us + each.preempted_us))
    track, responses, learns = _deal(
        track, judged, track.responses, each, observation, settings, regime, happened
    )
    baselines = dict(track.baselines)
    if learns and delays:
        own = baselines.get(regime, Baseline())
        baselines[regime] = own.after(delay.value, settings.baseline_intervals)
    return replace(track, responses=responses, baselines=baselines)


def _only(baselines: Mapping[str, Baseline], regime: str) -> Mapping[str, Baseline]:
    return {name: each for name, each in baselines.items() if name in (KERNEL_DEFAULT, regime)}


def _deal(
    track: Track,
    signal: _Signal,
    kept: Mapping[str, Baseline],
    each: WorkloadObservation,
    observation: Observation,
    settings: DetectSettings,
    regime: str,
    happened: list[Degradation | Recovery],
) -> tuple[Track, Mapping[str, Baseline], bool]:
    """Judge one signal and learn from it: returns the track, the signal's baselines, and whether
    this interval was learnt from.
    """
    value = signal.value
    own = kept.get(regime, Baseline())
    learning = own.count < settings.baseline_min
    reference = kept.get(KERNEL_DEFAULT, Baseline()) if learning else own
    track = replace(track, judged=observation.at)
    if reference.count >= settings.baseline_min:
        track = _judged(track, each.id, signal, reference, observation, settings, happened)
        if (
            track.degradation
            and 0 < settings.accept_after_s < observation.at - track.degradation.since
        ):
            happened.append(
                _recovery(
                    each.id,
                    track.degradation,
                    observation.at,
                    f"taken as its new normal, after {duration(settings.accept_after_s)}",
                )
            )
            own, learning = Baseline(), True
            track = replace(track, lasting=STILL, degradation=None)
    calm = learning or _mark(value, own, settings) is IntervalMark.CALM
    uncalm = 0 if calm else track.uncalm + 1
    # While it is degraded the baseline of this regime stays as it was before.
    learns = each.mostly_sleeps and (
        learning or (not track.lasting.active and uncalm % LEARN_ONE_IN == 0)
    )
    if learns:
        own = own.after(value, settings.baseline_intervals)
    return replace(track, uncalm=uncalm), {**kept, regime: own}, learns


def _judged(
    track: Track,
    workload: str,
    signal: _Signal,
    baseline: Baseline,
    observation: Observation,
    settings: DetectSettings,
    happened: list[Degradation | Recovery],
) -> Track:
    value = signal.value
    mark = _mark(value, baseline, settings)
    if mark is IntervalMark.BAD and signal.waited < WAITING:
        mark = IntervalMark.BETWEEN
    lasting = track.lasting.after(
        mark,
        observation.began,
        bad=settings.bad_intervals,
        of=settings.of_intervals,
        calm=settings.calm_intervals,
    )
    if not lasting.active:
        if track.degradation:
            happened.append(
                _recovery(
                    workload,
                    track.degradation,
                    observation.at,
                    f"{signal.name} is {figure(value, UNIT)} again, "
                    f"usual is {figure(baseline.typical, UNIT)}",
                )
            )
        return replace(track, lasting=lasting, degradation=None)
    ratio = baseline.ratio(value)
    waits = f"; {signal.waited:.0%} of it is waiting for a CPU" if signal.name == RESPONSE else ""
    degradation = Degradation(
        workload=workload,
        signal=signal.name,
        since=lasting.since,
        baseline=baseline.typical,
        value=value,
        ratio=ratio,
        unit=UNIT,
        reason=f"{signal.name} is {figure(value, UNIT)}, {ratio:.1f} times the usual "
        f"{figure(baseline.typical, UNIT)} ({baseline.z(value):.0f} robust standard deviations "
        f"above it), since {duration(observation.at - lasting.since)}{waits}",
    )
    if not track.degradation:
        happened.append(degradation)
    return replace(track, lasting=lasting, degradation=degradation)


def _mark(value: float, baseline: Baseline, settings: DetectSettings) -> IntervalMark:
    ratio, z = baseline.ratio(value), baseline.z(value)
    above = value - baseline.typical
    if ratio >= settings.ratio_min and z >= settings.z_min and above >= settings.floor_us:
        return IntervalMark.BAD
    if (
        ratio - 1 < CALM_PART * (settings.ratio_min - 1)
        or z < CALM_PART * settings.z_min
        or above < CALM_PART * settings.floor_us
    ):
        return IntervalMark.CALM
    return IntervalMark.BETWEEN


def _forget(
    workloads: dict[str, Track],
    observation: Observation,
    settings: DetectSettings,
    happened: list[Degradation | Recovery],
) -> dict[str, Track]:
    """Without those long gone, within the limit; the longest unseen are removed first."""
    silence = SILENT_INTERVALS * observation.interval_s
    for name, track in list(workloads.items()):
        if track.degradation and observation.at - track.judged > silence:
            reason = (
                ("too little of it runs to judge it") if name in observation.workloads else "gone"
            )
            happened.append(_recovery(name, track.degradation, observation.at, reason))
            workloads[name] = replace(track, lasting=STILL, degradation=None)
        elif observation.at - track.seen > settings.forget_after_s:
            del workloads[name]
    surplus = len(workloads) - settings.max_workloads
    if surplus > 0:
        oldest = sorted(
            workloads,
            key=lambda name: (workloads[name].degradation is not None, workloads[name].seen),
        )
        for name in oldest[:surplus]:
            del workloads[name]
    return workloads


# ---------------------------------------------------------------- against objectives


def _judge_objectives(
    before: Mapping[tuple[str, str], Track],
    observation: Observation,
    settings: DetectSettings,
    declared: Sequence[Declared],
    measurements: list[Measurement],
    happened: list[Degradation | Recovery],
) -> dict[tuple[str, str], Track]:
    wanted: dict[tuple[str, str], Objective] = {}
    for each in declared:
        for workload in each.of(observation.workloads):
            wanted[workload, each.objective.text] = each.objective
    tracks = {
        key: track
        for key, track in before.items()
        if key in wanted or observation.at - track.seen <= settings.forget_after_s
    }
    for (workload, text), objective in wanted.items():
        if not objective.limited:
            continue
        track = replace(tracks.get((workload, text), Track()), seen=observation.at)
        found = worst_term(objective, workload, observation, measurements)
        if found:
            term, value = found
            track = _judged_objective(
                track, workload, objective, term, value.value, observation, settings, happened
            )
        tracks[workload, text] = track
    silence = SILENT_INTERVALS * observation.interval_s
    for key, track in tracks.items():
        if track.degradation and observation.at - track.judged > silence:
            happened.append(_recovery(key[0], track.degradation, observation.at, "no data for it"))
            tracks[key] = replace(track, lasting=STILL, degradation=None)
    return tracks


def enough(term: Term, value: Value) -> bool:
    """Whether one interval had enough samples for a reliable figure."""
    return term.metric not in _PERCENTILES or value.samples >= OBJECTIVE_SAMPLES


_PERCENTILES = (Metric.RESPONSE, Metric.TURNAROUND, Metric.DELAY)


def worst_term(
    objective: Objective,
    workload: str,
    observation: Observation,
    measurements: Iterable[Measurement],
) -> tuple[Term, Value] | None:
    """The term with a limit that is farthest from it; None if there was no data for any."""
    numbers = list(measurements)
    seen = [
        (term, value)
        for term in objective.limited
        if (value := value_of(term, workload, [observation], numbers)) and enough(term, value)
    ]
    return max(seen, key=_beyond_limit, default=None)


def _beyond_limit(seen: tuple[Term, Value]) -> float:
    term, value = seen
    return term.worse(value.value, term.limit or 1.0)


def _judged_objective(
    track: Track,
    workload: str,
    objective: Objective,
    term: Term,
    value: float,
    observation: Observation,
    settings: DetectSettings,
    happened: list[Degradation | Recovery],
) -> Track:
    assert term.limit is not None
    lasting = track.lasting.after(
        IntervalMark.BAD if term.broken_by(value) else IntervalMark.CALM,
        observation.began,
        bad=settings.bad_intervals,
        of=settings.of_intervals,
        calm=settings.calm_intervals,
    )
    track = replace(track, lasting=lasting, judged=observation.at)
    if not lasting.active:
        if track.degradation:
            happened.append(
                _recovery(
                    workload,
                    track.degradation,
                    observation.at,
                    f"{term.title} is {figure(value, term.unit)}: `{objective.text}` holds again",
                )
            )
        return replace(track, degradation=None)
    degradation = Degradation(
        workload=workload,
        signal=term.title,
        since=lasting.since,
        baseline=term.limit,
        value=value,
        ratio=value / term.limit,
        unit=term.unit,
        reason=f"`{objective.text}` is broken: {term.title} is "
        f"{figure(value, term.unit)}, since {duration(observation.at - lasting.since)}",
        objective=objective.text,
    )
    if not track.degradation:
        happened.append(degradation)
    return replace(track, degradation=degradation)


def _recovery(workload: str, was: Degradation, at: float, reason: str) -> Recovery:
    return Recovery(workload, was.signal, was.since, at, reason, was.objective)


@lru_cache(maxsize=16)
def _matcher(globs: tuple[str, ...]) -> Pattern[str]:
    """One expression for all globs; matches nothing if there are none."""
    return pattern_of("|".join(translate(glob) for glob in globs) or r"(?!)")
