# SPDX-License-Identifier: GPL-2.0-or-later
"""The judgement of a trial while it runs: asked at each interval, after each window, at the end.

`daemon.lifecycle.trials` asks during a trial, and `daemon.replay` asks about a recorded one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from daemon.api.models import Arm, VerdictView, WindowView
from daemon.decide.objective import Guard, Objective
from daemon.decide.observation import Observation
from daemon.decide.quotas import exceeded
from daemon.decide.settings import TrialSettings
from daemon.decide.verdict import beyond_measure, conclude, harm, judge, stopped, unmeasured
from daemon.decide.windows import Live, next_arm, sleepers_of


@dataclass(frozen=True, slots=True)
class Judgement:
    """At most one of `verdict` and `unmeasured` is set; with neither the trial goes on.

    `unmeasured`: why the trial says nothing for or against its candidate.
    `harmed`: the verdict is a rollback because the candidate did harm.
    """

    verdict: VerdictView | None = None
    unmeasured: str = ""
    harmed: bool = False

    @property
    def over(self) -> bool:
        return self.verdict is not None or bool(self.unmeasured)


GOES_ON = Judgement()


def while_running(
    windows: Sequence[WindowView],
    live: Sequence[Live],
    objective: Objective,
    settings: TrialSettings,
    guards: Sequence[Guard] = (),
) -> Judgement:
    """Whether the candidate must be unloaded at once.

    `live`: settled intervals of its running window.
    """
    reason = harm(windows, live, objective, settings, guards)
    if not reason:
        return GOES_ON
    return Judgement(stopped(windows, objective, reason), harmed=True)


def over_quota(
    windows: Sequence[WindowView],
    observations: Iterable[Observation],
    objective: Objective,
    usual: frozenset[str],
) -> Judgement:
    """Whether the candidate must be unloaded because it lets a cgroup exceed its quota.

    `observations`: settled intervals of its running window. `usual`: groups that exceed theirs
    under the baseline too, as real-time tasks do.
    """
    for each in exceeded(observations):
        if each.group not in usual:
            return Judgement(stopped(windows, objective, each.reason), harmed=True)
    return GOES_ON


def after_window(
    windows: Sequence[WindowView],
    objective: Objective,
    settings: TrialSettings,
    guards: Sequence[Guard] = (),
) -> Judgement:
    """The judgement of the windows so far; the last of them has just ended."""
    if reason := beyond_measure(windows, objective, settings):
        return Judgement(unmeasured=reason)
    harmed = while_running(windows, (), objective, settings, guards)
    if harmed.over:
        return harmed
    if next_arm(windows, settings) is None:
        return at_the_end(windows, objective, settings, guards)
    return Judgement(judge(windows, objective, settings, guards))


def at_the_end(
    windows: Sequence[WindowView],
    objective: Objective,
    settings: TrialSettings,
    guards: Sequence[Guard] = (),
) -> Judgement:
    """With no more windows to come: a verdict, unless too few of them were good enough."""
    if reason := unmeasured(windows, objective, settings, guards):
        return Judgement(unmeasured=reason)
    return Judgement(conclude(windows, objective, settings, guards))


def sleepers_after(
    known: frozenset[str] | None,
    window: WindowView,
    workload: str,
    observations: Iterable[Observation],
) -> frozenset[str] | None:
    """The other workloads that mostly sleep: the first counted window of the baseline determines
    them for the whole trial. `observations` are those of this window.
    """
    if known is not None or window.arm is not Arm.BASELINE or window.excluded:
        return known
    return sleepers_of(workload, observations)
