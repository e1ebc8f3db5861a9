# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's decisions at the end of an interval of signals: the one judge of the running system.

`daemon.autopilot` asks it on a live machine, and `daemon.replay` asks it about a recording. Both
pass the observations and other knowledge, and both carry out or report its decisions. So a
recording is judged as the machine was.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from daemon.api.models import Degradation
from daemon.decide import detect, guard
from daemon.decide.detect import DetectState, Recovery
from daemon.decide.guard import GuardDecision, GuardState, Kept
from daemon.decide.objective import Declared, Measurement
from daemon.decide.observation import Observation
from daemon.decide.settings import DetectSettings, GuardSettings, TrialSettings


@dataclass(frozen=True, slots=True)
class IntervalSettings:
    """The operator's configuration for it. `ignored` are globs of workloads without a baseline."""

    detect: DetectSettings = field(default_factory=DetectSettings)
    guard: GuardSettings = field(default_factory=GuardSettings)
    trial: TrialSettings = field(default_factory=TrialSettings)
    declared: tuple[Declared, ...] = ()
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IntervalState:
    """The whole memory from one interval to the next."""

    detection: DetectState = field(default_factory=DetectState)
    # The scheduler that won its trial, and the guard's observations of it since.
    kept: Kept | None = None
    guard: GuardState = field(default_factory=GuardState)

    def keeping(self, kept: Kept | None) -> "IntervalState":
        """From here on the guard watches this one; None: nothing is kept any more."""
        return replace(self, kept=kept, guard=GuardState())

    def measured(self, settings: IntervalSettings) -> frozenset[str]:
        """The names of the measurements by which the next interval is judged."""
        names = {name for each in settings.declared for name in each.objective.measured}
        return frozenset(names | self.kept.measured if self.kept else names)


@dataclass(frozen=True, slots=True)
class IntervalFacts:
    """The knowledge beside the signals at the end of an interval.

    `regime`: the running candidate, or `detect.KERNEL_DEFAULT`. `changed_at`: Unix time of the
    scheduler's last change. `measurements`: the reported ones; those of other intervals are
    ignored.
    """

    regime: str = detect.KERNEL_DEFAULT
    changed_at: float = 0.0
    in_trial: bool = False
    measurements: Sequence[Measurement] = ()


@dataclass(frozen=True, slots=True)
class IntervalDecisions:
    """The decisions of an interval: degradations that began or ended in it, and whether the kept
    scheduler is rolled back.
    """

    happened: tuple[Degradation | Recovery, ...] = ()
    rollback: GuardDecision | None = None
    # False: nothing was judged, because a trial ran, the machine was suspended, or the scheduler
    # had just been changed.
    judged: bool = True


def step(
    state: IntervalState,
    observation: Observation,
    facts: IntervalFacts,
    settings: IntervalSettings,
) -> tuple[IntervalState, IntervalDecisions]:
    """Judge one interval. After a decision to roll back, the caller says what is kept then."""
    settled = facts.changed_at + settings.trial.settle_s
    # Nobody was served while the machine was suspended, and everybody is late after it.
    if facts.in_trial or observation.suspended_s or observation.began < settled:
        skipped = detect.skip(state.detection, observation)
        return replace(state, detection=skipped), IntervalDecisions(judged=False)
    measurements = list(_of_interval(facts.measurements, observation, settled))
    detection, happened = detect.step(
        state.detection,
        observation,
        settings.detect,
        regime=facts.regime,
        declared=settings.declared,
        measurements=measurements,
        ignored=settings.ignored,
    )
    state = replace(state, detection=detection)
    if state.kept is None or state.kept.candidate != facts.regime:
        return state, IntervalDecisions(tuple(happened))
    guarded, rollback = guard.step(
        state.guard,
        state.kept,
        observation,
        detection,
        settings.guard,
        settings.trial,
        settings.detect,
        measurements,
    )
    return replace(state, guard=guarded), IntervalDecisions(tuple(happened), rollback)


def _of_interval(
    measurements: Iterable[Measurement], observation: Observation, settled: float
) -> Iterable[Measurement]:
    """Those that ended in this interval and say something about the scheduler that ran in it."""
    return (
        each
        for each in measurements
        # A measurement that began under another scheduler says nothing about this one, however late
        # it ended.
        if observation.began < each.at <= observation.at and each.began >= settled
    )
