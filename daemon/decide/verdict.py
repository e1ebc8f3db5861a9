# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a candidate is kept: decided on the logarithms of the windows' values.

It is kept only if all of these hold, and rolled back otherwise:

- among the figures that should become better at least one is: the interval of the ratio candidate /
  baseline lies wholly on the better side of 1 (Welch's t interval), a permutation of the windows'
  arms agrees (one-sided p at most 5 %), and the gain is at least `min_gain`,
- none of the others that should become better is worse: by more than `min_gain` with confidence, or
  by more than twice that without,
- no guard is broken: those of the objective, those of named workloads, and the figures of
  everybody. A guard breaks if its ratio is beyond the tolerance and its interval excludes "no
  change": if it is unclear whether it is that much, the candidate loses. It also breaks if a named
  workload no longer runs,
- nobody waited for a CPU as nobody did under the baseline.

The trial is checked after each whole ABBA block: for worse figures from the first on, for anything
else from the second. Frequent checks find a difference by chance sooner or later, so each check
before the last uses a fifth of the error (99 % instead of 95 %), and the last the configured
confidence: the rule of Haybittle (1971) and Peto (1976) in a milder form. With sixteen windows that
is a keep in at most 2 × 0.5 % + 2.5 % of trials without a difference, before `min_gain` lessens it
further. If several figures may be the better one, they share the error (Bonferroni).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import comb
from statistics import median

from daemon.api.display import displayable
from daemon.api.models import Arm, ComparedView, Decision, Direction, VerdictView, WindowView
from daemon.decide.compare import Ratio, permutation_p
from daemon.decide.compared import (
    ComparedTerm,
    above_zero,
    compared_guard,
    compared_term,
    compared_values,
    gone,
    guard_values,
    loss_of,
    term_values,
)
from daemon.decide.objective import Guard, Objective, Term
from daemon.decide.settings import TrialSettings
from daemon.decide.windows import (
    BLOCK,
    GuardedFigure,
    Live,
    included,
    least_of,
    next_arm,
    usual_samples,
)
from daemon.decide.words import duration, figure, percent, sure
from simulator.objective_text import Metric

# How much of others' names is shown in a reason, characters.
LONGEST_NAME = 100
# The error of an early check, as a fraction of the last one's.
EARLY_PART = 5
PERMUTATION_P = 0.05
# How many blocks it takes before anything but a worse figure ends a trial.
EARLY_BLOCKS = 2
# How many intervals in a row make a live catastrophe, or a workload that no longer runs.
LIVE_BAD = 2
LIVE_SILENT = 3
# A live figure with fewer samples than this is not reliable.
LIVE_SAMPLES = 10
# A candidate window with less than this fraction of the baseline's samples is a collapse.
COLLAPSE = 0.1
# If one of several figures looks worse by this multiple of what a change is worth, it prevents a
# keep, even if it may be noise.
DOUBT = 2.0
# If the baseline's longest wait is above this fraction of the starving limit, a wait must be this
# many times the limit, and this many times the longest one, to count as new.
STARVED_USUAL = 0.1
STARVED_BEYOND = 2.0
STARVED_RATIO = 3.0

# The guarded figures as terms, which say what is better.
_TERMS = {
    GuardedFigure.MACHINE_RUN_SHARE: Term("", Metric.CPU, Direction.HIGHER, ""),
    GuardedFigure.OTHERS_RUN_SHARE: Term("", Metric.CPU, Direction.HIGHER, ""),
    GuardedFigure.OTHERS_RESPONSE_P99_US: Term("", Metric.RESPONSE, Direction.LOWER, "us", 0.99),
    GuardedFigure.OTHERS_DELAY_P99_US: Term("", Metric.DELAY, Direction.LOWER, "us", 0.99),
    GuardedFigure.OWN_THROUGHPUT: Term("", Metric.COMPLETIONS, Direction.HIGHER, ""),
}


def _trivial(settings: TrialSettings) -> dict[GuardedFigure, float]:
    """If even the worse arm is below this, there is nothing to guard."""
    return {
        GuardedFigure.MACHINE_RUN_SHARE: 0.05,
        GuardedFigure.OTHERS_RUN_SHARE: 0.05,
        GuardedFigure.OTHERS_RESPONSE_P99_US: settings.others_floor_us,
        GuardedFigure.OTHERS_DELAY_P99_US: settings.others_floor_us,
        GuardedFigure.OWN_THROUGHPUT: 5.0,
    }


# Objectives that measure themselves how much the workload gets done.
_WORK = (Metric.COMPLETIONS, Metric.TURNAROUND, Metric.MAKESPAN, Metric.MEASUREMENT)
# For these the number of samples shows how much was done; a scheduler that lets tasks run on makes
# fewer waits and fewer stays on a CPU for the same work.
_COUNTS_WORK = (Metric.RESPONSE, Metric.COMPLETIONS, Metric.TURNAROUND, Metric.MAKESPAN)


def judge(
    windows: Sequence[WindowView],
    objective: Objective,
    settings: TrialSettings,
    guards: Sequence[Guard] = (),
) -> VerdictView | None:
    """The verdict on the windows so far, or None if the trial goes on."""
    done = len(included(windows))
    if next_arm(windows, settings) is None:
        return conclude(windows, objective, settings, guards)
    if not done or done % BLOCK:
        return None
    found = _compare(windows, objective, settings, guards, 1 / EARLY_PART)
    if found is None:
        return None
    clear = bool(found.broken or found.lost(settings))
    if done >= max(settings.min_windows, EARLY_BLOCKS * BLOCK):
        clear |= all(1 - each.low < settings.min_gain for each in found.worse())
        clear |= any(
            each.worse is not None and each.worse.high < 1 and _agrees(each)
            for each in found.targets
        ) and not (found.doubted(settings) or found.suspects)
    return _verdict(found, objective, settings, early=True) if clear else None


def conclude(
    windows: Sequence[WindowView],
    objective: Objective,
    settings: TrialSettings,
    guards: Sequence[Guard] = (),
) -> VerdictView:
    """The verdict on the existing windows, with no more to come."""
    found = _compare(windows, objective, settings, guards, 1)
    if found is None:
        baseline, candidate = values(windows, Arm.BASELINE), values(windows, Arm.CANDIDATE)
        return _undecided(
            windows,
            f"too few windows to judge by ({len(baseline)} of the baseline, {len(candidate)} of "
            f"the candidate; two of each are the least)",
            objective,
        )
    return _verdict(found, objective, settings, early=False)


def unmeasured(
    windows: Sequence[WindowView],
    objective: Objective,
    settings: TrialSettings,
    guards: Sequence[Guard] = (),
) -> str:
    """Why a trial with no more windows to come says nothing about its candidate; else empty.

    Too few of its windows were good enough to count, and those show nothing for certain.
    """
    good = included(windows)
    spoiled = [each for each in windows if each.excluded]
    if not spoiled or len(good) >= settings.min_windows:
        return ""
    found = _compare(windows, objective, settings, guards, 1)
    if found is not None:
        verdict = _verdict(found, objective, settings, early=False)
        worse = verdict.low >= 1 if objective.direction is Direction.LOWER else verdict.high <= 1
        if verdict.decision is Decision.KEEP or worse or found.broken:
            return ""
    return (
        f"could not be measured: of {len(windows)} windows {len(good)} were good enough to count; "
        f"the last that was not: {spoiled[-1].excluded}"
    )


def beyond_measure(
    windows: Sequence[WindowView], objective: Objective, settings: TrialSettings
) -> str:
    """Why there is no point in continuing, because the baseline's first window, with its full
    length, says too little; else empty.
    """
    if not windows or included(windows):
        return ""
    last = windows[-1]
    if last.arm is not Arm.BASELINE or last.disturbed:
        return ""
    lasted = max(1.0, last.ended - last.started - settings.settle_s)
    needed = lasted * least_of(objective.leading, settings, last.stand_in) / max(last.samples, 1)
    hint = (
        f"windows of {math.ceil(needed * 1.2)} s would do (`window_s`)"
        if last.samples and needed > lasted
        else "it may be idle, or never end anything: ask for longer windows (`window_s`), or for "
        "`cpu` or a `measurement`"
    )
    return f"cannot be measured in this time ({duration(lasted)}): {last.excluded}; {hint}"


def stopped(windows: Sequence[WindowView], objective: Objective, reason: str) -> VerdictView:
    """The verdict of a trial that ended early: harm, a request, a fault."""
    return _undecided(windows, reason, objective)


def harm(
    windows: Sequence[WindowView],
    live: Sequence[Live],
    objective: Objective,
    settings: TrialSettings,
    guards: Sequence[Guard] = (),
) -> str:
    """Why the candidate must be unloaded at once; "" if it need not be.

    Asked after every window, and at every interval of a candidate window. The objective shows harm
    to the workload, and the guards show harm to others.

    Args:
        windows: all finished windows.
        live: settled intervals of the running candidate window, oldest first; none while the
            baseline runs.
    """
    # The candidate is not blamed for the host's disturbance.
    windows = [each for each in windows if not each.disturbed]
    live = [each for each in live if not each.disturbed]
    return (
        starved(windows, live, settings)
        or _gone(windows, guards)
        or _windows_harm(windows, objective, settings, guards)
        or _live_harm(windows, live, objective, settings)
    )


def values(windows: Sequence[WindowView], arm: Arm) -> list[float]:
    """The arm's values of the leading term, oldest first, none of them zero."""
    return above_zero([(each.arm, each.value) for each in included(windows)], arm)


# ---------------------------------------------------------------- harm


def _gone(windows: Sequence[WindowView], guards: Sequence[Guard]) -> str:
    for guard in guards:
        if gone(windows, guard):
            named = displayable(guard.workload, LONGEST_NAME)
            return f"{named} no longer runs: it got no CPU time in a window"
    return ""


def _windows_harm(
    windows: Sequence[WindowView],
    objective: Objective,
    settings: TrialSettings,
    guards: Sequence[Guard],
) -> str:
    if not values(windows, Arm.BASELINE):
        return ""
    if said := _collapsed(windows, objective):
        return said
    for term in objective.terms:
        arms = {arm: term_values(windows, arm, objective, term) for arm in Arm}
        if said := _arms_harm(term.title, term, arms, settings):
            return said
    for guard in guards:
        arms = {arm: guard_values(windows, arm, guard) for arm in Arm}
        if said := _arms_harm(displayable(guard.key, LONGEST_NAME), guard.term, arms, settings):
            return said
    return ""


def _collapsed(windows: Sequence[WindowView], objective: Objective) -> str:
    usual = usual_samples(windows)
    latest = [each.samples for each in windows if each.arm is Arm.CANDIDATE][-2:]
    if len(latest) < 2 or max(latest) >= COLLAPSE * usual:
        return ""
    done = {
        arm: [
            each.guarded[GuardedFigure.OWN_THROUGHPUT]
            for each in windows
            if each.arm is arm and GuardedFigure.OWN_THROUGHPUT in each.guarded
        ]
        for arm in Arm
    }
    baseline, candidate = done[Arm.BASELINE], done[Arm.CANDIDATE][-2:]
    # Fewer and longer stays on a CPU are not less work.
    counted = objective.metric not in _COUNTS_WORK and baseline and candidate
    if counted and max(candidate) >= COLLAPSE * median(baseline):
        return ""
    return (
        f"the workload hardly runs: {max(latest)} samples in a window of the candidate, "
        f"{usual:.0f} in one of the baseline"
    )


def _arms_harm(
    name: str, term: Term, arms: Mapping[Arm, Sequence[float]], settings: TrialSettings
) -> str:
    """Far worse than tolerated, and worse than every window of the baseline."""
    baseline, candidate = arms[Arm.BASELINE], arms[Arm.CANDIDATE]
    if not baseline or not candidate:
        return ""
    usual = median(baseline)
    worst = max(baseline, key=lambda value: term.worse(value, usual))
    # One window may be an accident, so alone it has to be much worse still.
    for count, limit in ((1, settings.harm_ratio**2), (2, settings.harm_ratio)):
        last = candidate[-count:]
        if len(last) == count and all(
            term.worse(value, usual) > limit * term.tolerated and term.worse(value, worst) > 1
            for value in last
        ):
            return (
                f"{name} is {term.worse(last[-1], usual):.1f} times worse with the candidate "
                f"({figure(last[-1], term.unit)} instead of {figure(usual, term.unit)}), "
                f"and worse than in every window of the baseline"
            )
    return ""


def _live_harm(
    windows: Sequence[WindowView],
    live: Sequence[Live],
    objective: Objective,
    settings: TrialSettings,
) -> str:
    baseline = values(windows, Arm.BASELINE)
    if not baseline:
        return ""
    silent = live[-LIVE_SILENT:]
    if len(silent) == LIVE_SILENT and not any(each.samples for each in silent):
        return f"nothing of the workload has run for {LIVE_SILENT} intervals"
    usual = median(baseline)
    worst = max(baseline, key=lambda value: objective.worse(value, usual))
    bad = [
        each.value
        for each in live[-LIVE_BAD:]
        if each.value is not None
        # A few samples say nothing; that none ended at all does.
        and (not each.ended or each.ended >= LIVE_SAMPLES)
        and objective.worse(each.value, worst) > settings.catastrophe_ratio
    ]
    if len(bad) < LIVE_BAD:
        return ""
    return (
        f"{objective.leading.title} is {objective.worse(bad[-1], worst):.1f} times worse than in "
        f"the worst window of the baseline ({figure(bad[-1], objective.unit)} instead of "
        f"{figure(worst, objective.unit)}) for {LIVE_BAD} intervals"
    )


def starved(windows: Sequence[WindowView], live: Sequence[Live], settings: TrialSettings) -> str:
    """Who waited for a CPU with the candidate longer than allowed, if nothing comparable happened
    under the baseline; "" for nobody.
    """
    waits = {
        arm: [
            (
                each.guarded.get(GuardedFigure.DELAY_MAX_US, 0.0),
                each.longest_comm,
                each.longest_workload,
            )
            for each in windows
            if each.arm is arm
        ]
        for arm in Arm
    }
    waits[Arm.CANDIDATE] += [
        (each.delay_max_us, each.longest_comm, each.longest_workload) for each in live
    ]
    most, comm, workload = max(waits[Arm.CANDIDATE], default=(0.0, "", ""))
    before, before_comm, before_workload = max(waits[Arm.BASELINE], default=(0.0, "", ""))
    if most < starving_us(before, settings):
        return ""
    by = f" (that was {who(before_comm, before_workload)})" if before_comm else ""
    return (
        f"{who(comm, workload)} waited {figure(most, 'us')} for a CPU; under the baseline none "
        f"waited longer than {figure(before, 'us')}{by}"
    )


def starving_us(before_us: float, settings: TrialSettings) -> float:
    """The wait that counts as starving, if no wait under the baseline was longer than this.

    With the defaults one second; two and more on a machine with long usual waits, which is when the
    schedulers of our language step in at the latest.
    """
    if before_us <= STARVED_USUAL * settings.starved_us:
        return settings.starved_us
    return max(STARVED_BEYOND * settings.starved_us, STARVED_RATIO * before_us)


def who(comm: str, workload: str) -> str:
    """A thread and its workload, both with hostile names: escaped here."""
    of = displayable(workload, LONGEST_NAME)
    if not comm:
        return f"a task of {of}" if workload else "a task"
    thread = f"a thread '{displayable(comm, LONGEST_NAME)}'"
    return f"{thread} of {of}" if workload else thread


# ---------------------------------------------------------------- all that counts, compared


@dataclass(frozen=True, slots=True)
class _Found:
    """All input of a verdict. `guarded` is the text about the figures of everybody."""

    targets: tuple[ComparedTerm, ...]
    guards: tuple[ComparedTerm, ...]
    guarded: Mapping[str, str]
    broken: tuple[str, ...]
    # Whether a guard is worse than tolerated as far as is known, and more windows may show it.
    suspects: bool
    stand_in: str
    counted: tuple[int, int]

    def worse(self) -> list[Ratio]:
        return [each.worse for each in self.targets if each.worse is not None]

    def lost(self, settings: TrialSettings) -> list[ComparedTerm]:
        """Those that should become better, and are worse for certain."""
        tolerance = settings.min_gain if len(self.targets) > 1 else 0.0
        return [
            each
            for each in self.targets
            if each.worse is not None and each.worse.low >= 1 and each.loss >= tolerance
        ]

    def doubted(self, settings: TrialSettings) -> list[ComparedTerm]:
        """Those of several that may be worse than tolerated: twice as much, possibly by noise."""
        if len(self.targets) < 2:
            return []
        return [each for each in self.targets if each.loss > DOUBT * settings.min_gain]


def _compare(
    windows: Sequence[WindowView],
    objective: Objective,
    settings: TrialSettings,
    guards: Sequence[Guard],
    part: float,
) -> _Found | None:
    """All figures that count, with this part of the error; None with too few windows to compare."""
    confidence = 1 - (1 - settings.confidence) * part
    targets = objective.targets
    shared = 1 - (1 - confidence) / len(targets)
    found = tuple(compared_term(windows, objective, term, shared) for term in targets)
    if found[0].ratio is None:
        return None
    said, broken = _guarded(windows, objective, settings, confidence)
    own = [compared_term(windows, objective, term, confidence) for term in objective.guards]
    named = [(guard, compared_guard(windows, guard, confidence)) for guard in guards]
    tolerated = [*((each, each.term.tolerance or 0.0) for each in own)]
    tolerated += [(each, guard.tolerance) for guard, each in named]
    for each, tolerance in tolerated:
        if each.breaks(tolerance):
            broken.append(
                f"{displayable(each.name, LONGEST_NAME)} is {each.words} "
                f"({figure(median(each.candidate), each.term.unit)} instead of "
                f"{figure(median(each.baseline), each.term.unit)}; tolerated: "
                f"{percent(tolerance)} worse)"
            )
    if absent := _gone(windows, guards):
        broken.append(absent)
    if waited := starved([each for each in windows if not each.disturbed], [], settings):
        broken.append(waited)
    return _Found(
        found,
        (*own, *(each for _, each in named)),
        said,
        tuple(broken),
        any(each.loss > tolerance for each, tolerance in tolerated),
        next((each.stand_in for each in included(windows) if each.stand_in), ""),
        (len(values(windows, Arm.BASELINE)), len(values(windows, Arm.CANDIDATE))),
    )


def _agrees(compared: ComparedTerm) -> bool:
    baseline, candidate = list(compared.baseline), list(compared.candidate)
    if compared.term.direction is Direction.HIGHER:
        baseline, candidate = [1 / v for v in baseline], [1 / v for v in candidate]
    return permutation_p(baseline, candidate) <= _permutation_limit(len(baseline), len(candidate))


def _permutation_limit(baseline: int, candidate: int) -> float:
    """The largest p that counts as agreement.

    If there are so few windows that 5 % is impossible, they only have to be in perfect order.
    """
    return max(PERMUTATION_P, 1 / comb(baseline + candidate, candidate) + 1e-9)


def _guarded(
    windows: Sequence[WindowView],
    objective: Objective,
    settings: TrialSettings,
    confidence: float,
) -> tuple[dict[str, str], list[str]]:
    """The text about each guarded figure, and the sentences about those that are worse."""
    said: dict[str, str] = {}
    broken: list[str] = []
    tolerances: Mapping[str, float] = settings.tolerance.model_dump()
    for name, trivial in _trivial(settings).items():
        if name is GuardedFigure.OWN_THROUGHPUT and objective.has(*_WORK):
            continue
        arms = {
            arm: [
                max(window.guarded[name], trivial / 1000)
                for window in included(windows)
                if window.arm is arm and name in window.guarded
            ]
            for arm in Arm
        }
        term = _TERMS[name]
        found = compared_values(name, term, arms[Arm.BASELINE], arms[Arm.CANDIDATE], confidence)
        if found.ratio is None:
            continue
        usual, now = median(found.baseline), median(found.candidate)
        if max(usual, now) < trivial:
            said[name] = "too little to compare"
            continue
        said[name] = found.words if found.certain else f"unclear: {found.words}"
        if found.breaks(tolerances[name]):
            said[name] += ", worse than tolerated"
            broken.append(
                f"{name.removesuffix('_us').replace('_', ' ')} is {found.words} "
                f"({figure(now, term.unit)} instead of {figure(usual, term.unit)}; "
                f"tolerated: {percent(tolerances[name])} worse)"
            )
    return said, broken


# ---------------------------------------------------------------- the verdict


def _verdict(
    found: _Found, objective: Objective, settings: TrialSettings, *, early: bool
) -> VerdictView:
    leading = found.targets[0]
    assert leading.ratio is not None
    measured = "; ".join(_measured(each) for each in found.targets)
    if found.stand_in:
        measured += f" ({found.stand_in} stands in for what is not known here)"
    better = [each for each in found.targets if each.worse is not None and each.worse.high < 1]
    worth = [each for each in better if -each.loss >= settings.min_gain]
    decision = Decision.ROLLBACK
    if found.broken:
        reason = "; ".join(found.broken)
        reason += f", though {measured}" if leading.loss < 0 else ""
    elif lost := found.lost(settings):
        words = "; ".join(_measured(each) for each in lost)
        reason = f"worse with confidence: {words}"
        if len(lost) < len(found.targets):
            reason += f" (all: {measured})"
    elif doubted := found.doubted(settings):
        names = ", ".join(each.term.title for each in doubted)
        reason = f"{names} may have become worse, which the rest does not make up for: {measured}"
    elif not better:
        reason = f"no difference that noise could not make: {measured}"
    elif not worth:
        reason = f"less than the {percent(settings.min_gain)} that a change is worth: {measured}"
    elif not any(_agrees(each) for each in worth):
        reason = f"the windows' order does not bear it out: {measured}"
    else:
        decision, reason = Decision.KEEP, measured
    return VerdictView(
        decision=decision,
        ratio=leading.ratio.value,
        low=leading.ratio.low,
        high=leading.ratio.high,
        confidence=leading.ratio.confidence,
        gain=-leading.loss,
        reason=reason,
        early=early,
        windows_baseline=found.counted[0],
        windows_candidate=found.counted[1],
        guarded=dict(found.guarded),
        compared=[each.view() for each in (*found.targets, *found.guards)],
    )


def _measured(each: ComparedTerm) -> str:
    """`response p99 23.1 ms instead of 60.3 ms: 62% better (55% to 68% better with 95 %)`."""
    unit = each.term.unit
    said = (
        f"{each.term.title} {figure(median(each.candidate), unit)} instead of "
        f"{figure(median(each.baseline), unit)}"
    )
    if each.ratio is None:
        return f"{said}: {each.words}"
    return (
        f"{said}: {abs(each.loss):.0%} {'better' if each.loss <= 0 else 'worse'} "
        f"({each.words}, with {sure(each.ratio.confidence)} confidence)"
    )


def _undecided(windows: Sequence[WindowView], reason: str, objective: Objective) -> VerdictView:
    """A rollback without an interval: confidence 0, and the ratio of medians if there is one."""
    baseline, candidate = values(windows, Arm.BASELINE), values(windows, Arm.CANDIDATE)
    ratio = median(candidate) / median(baseline) if baseline and candidate else 1.0
    return VerdictView(
        decision=Decision.ROLLBACK,
        ratio=ratio,
        low=ratio,
        high=ratio,
        confidence=0.0,
        gain=-loss_of(ratio, objective.direction),
        reason=reason,
        early=True,
        windows_baseline=len(baseline),
        windows_candidate=len(candidate),
        compared=_seen(windows, objective),
    )


def _seen(windows: Sequence[WindowView], objective: Objective) -> list[ComparedView]:
    """The result of the existing windows, without a comparison."""
    found = []
    for term in objective.terms:
        baseline, candidate = (tuple(term_values(windows, arm, objective, term)) for arm in Arm)
        if baseline:
            found.append(ComparedTerm(term.named, term, baseline, candidate).view())
    return found
