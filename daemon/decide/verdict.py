# SPDX-License-Identifier: GPL-2.0-only
"""Whether a candidate is kept: decided on the logarithms of the windows' values.

Kept only when all of these hold, and rolled back otherwise:

- the interval of the ratio candidate / baseline lies wholly on the better side of 1 (Welch's
  t interval), and a permutation of the windows' arms agrees (one-sided p at most 5 %),
- the gain is at least `min_gain`,
- no guarded figure is worse than its tolerance. A guarded figure counts as worse when its
  ratio is beyond the tolerance and its interval excludes "no change": the doubt whether it is
  as much as that goes against the candidate.

The trial is looked at after each whole ABBA block: for what is worse from the first on, for
anything else from the second. Looking often finds a difference by chance sooner or later, so
each look before the last asks for a fifth of the error (99 % instead of 95 %), and the last for
the configured confidence: the rule of Haybittle (1971) and Peto (1976) in a milder form. With
sixteen windows that is a keep in at most 2 × 0.5 % + 2.5 % of trials where nothing differs,
before `min_gain` lessens it further.
"""

from collections.abc import Mapping, Sequence
from math import comb
from statistics import median

from daemon.api.models import Arm, Decision, Direction, VerdictView, WindowView
from daemon.decide.compare import Ratio, permutation_p, ratio_of
from daemon.decide.objective import Objective
from daemon.decide.settings import TrialSettings
from daemon.decide.windows import BLOCK, Guarded, Live, included, next_arm
from daemon.decide.words import figure, percent

# The error of an early look, as a part of the last one's.
EARLY_PART = 5
PERMUTATION_P = 0.05
# Blocks before anything but what is worse ends a trial.
EARLY_BLOCKS = 2
# Intervals in a row that make a live catastrophe, or a workload that no longer runs.
LIVE_BAD = 2
LIVE_SILENT = 3
# A candidate window with less than this part of the baseline's samples is a collapse.
COLLAPSE = 0.1

_HIGHER = (Guarded.MACHINE_RUN_SHARE, Guarded.OTHERS_RUN_SHARE, Guarded.OWN_THROUGHPUT)
# Where even the worse arm is below this, there is nothing to guard.
_TRIVIAL = {
    Guarded.MACHINE_RUN_SHARE: 0.05,
    Guarded.OTHERS_RUN_SHARE: 0.05,
    Guarded.OTHERS_DELAY_P99_US: 10_000.0,
    Guarded.OWN_THROUGHPUT: 5.0,
}


def judge(
    windows: Sequence[WindowView], objective: Objective, settings: TrialSettings
) -> VerdictView | None:
    """The verdict on the windows so far, or None where the trial goes on."""
    done = len(included(windows))
    if next_arm(windows, settings) is None:
        return conclude(windows, objective, settings)
    if not done or done % BLOCK:
        return None
    confidence = 1 - (1 - settings.confidence) / EARLY_PART
    baseline, candidate = values(windows, Arm.BASELINE), values(windows, Arm.CANDIDATE)
    ratio = ratio_of(baseline, candidate, confidence)
    worse = _worse(ratio, objective.direction)
    guarded, broken = _guarded(windows, settings, confidence)
    clear = bool(broken) or worse.low >= 1
    if done >= max(settings.min_windows, EARLY_BLOCKS * BLOCK):
        clear |= 1 - worse.low < settings.min_gain
        clear |= worse.high < 1 and _agrees(baseline, candidate, objective)
    if not clear:
        return None
    return _verdict(windows, objective, settings, ratio, guarded, broken, early=True)


def conclude(
    windows: Sequence[WindowView], objective: Objective, settings: TrialSettings
) -> VerdictView:
    """The verdict on what there is, with no more windows to come."""
    baseline, candidate = values(windows, Arm.BASELINE), values(windows, Arm.CANDIDATE)
    if len(baseline) < 2 or len(candidate) < 2:
        return _undecided(
            windows,
            f"too few windows to judge by ({len(baseline)} of the baseline, {len(candidate)} of "
            f"the candidate; two of each are the least)",
            objective,
        )
    ratio = ratio_of(baseline, candidate, settings.confidence)
    guarded, broken = _guarded(windows, settings, settings.confidence)
    return _verdict(windows, objective, settings, ratio, guarded, broken, early=False)


def unmeasured(windows: Sequence[WindowView], objective: Objective, settings: TrialSettings) -> str:
    """Why a trial with no more windows to come says nothing about its candidate; else empty.

    Too few of its windows were good enough to count, and those do not show anything for certain.
    """
    good = included(windows)
    spoiled = [each for each in windows if each.excluded]
    if not spoiled or len(good) >= settings.min_windows:
        return ""
    if min(sum(each.arm is arm for each in good) for arm in Arm) >= 2:
        verdict = conclude(windows, objective, settings)
        worse = verdict.low >= 1 if objective.direction is Direction.LOWER else verdict.high <= 1
        guarded = any("worse" in said for said in verdict.guarded.values())
        if verdict.decision is Decision.KEEP or worse or guarded:
            return ""
    return (
        f"could not be measured: of {len(windows)} windows {len(good)} were good enough to count; "
        f"the last that was not: {spoiled[-1].excluded}"
    )


def stopped(windows: Sequence[WindowView], objective: Objective, reason: str) -> VerdictView:
    """The verdict of a trial that ended before its time: harm, a request, a fault."""
    return _undecided(windows, reason, objective)


def harm(
    windows: Sequence[WindowView],
    live: Sequence[Live],
    objective: Objective,
    settings: TrialSettings,
) -> str:
    """Why the candidate must go at once; "" where nothing says so.

    To be asked after every window, and with every interval of a candidate window.

    Args:
        windows: all finished windows.
        live: settled intervals of the running candidate window, oldest first; none while the
            baseline runs.
    """
    # What the host did is not the candidate's doing.
    windows = [each for each in windows if not each.disturbed]
    live = [each for each in live if not each.disturbed]
    return _starved(windows, live, settings) or (
        _windows_harm(windows, objective, settings)
        or _live_harm(windows, live, objective, settings)
    )


def values(windows: Sequence[WindowView], arm: Arm) -> list[float]:
    """The arm's values, oldest first, none of them zero."""
    used = included(windows)
    # A throughput of nothing has no logarithm; a thousandth of the usual is as bad.
    usual = median([window.value for window in used]) if used else 1.0
    least = max(usual, 1e-6) / 1000
    return [max(window.value, least) for window in used if window.arm is arm]


def _windows_harm(
    windows: Sequence[WindowView], objective: Objective, settings: TrialSettings
) -> str:
    baseline, candidate = values(windows, Arm.BASELINE), values(windows, Arm.CANDIDATE)
    if not baseline:
        return ""
    samples = [each.samples for each in included(windows) if each.arm is Arm.BASELINE]
    latest = [each.samples for each in windows if each.arm is Arm.CANDIDATE][-2:]
    if len(latest) == 2 and max(latest) < COLLAPSE * median(samples):
        return (
            f"the workload hardly runs: {max(latest)} samples in a window of the candidate, "
            f"{median(samples):.0f} in one of the baseline"
        )
    if not candidate:
        return ""
    usual = median(baseline)
    worst = max(baseline, key=lambda value: objective.worse(value, usual))
    # One window may be an accident, so alone it has to be much worse still.
    for count, limit in ((1, settings.harm_ratio**2), (2, settings.harm_ratio)):
        last = candidate[-count:]
        if len(last) == count and all(
            objective.worse(value, usual) > limit and objective.worse(value, worst) > 1
            for value in last
        ):
            ratio = objective.worse(last[-1], usual)
            return (
                f"{objective.title} is {ratio:.1f} times worse with the candidate "
                f"({figure(last[-1], objective.unit)} instead of {figure(usual, objective.unit)}), "
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
        and objective.worse(each.value, worst) > settings.catastrophe_ratio
    ]
    if len(bad) < LIVE_BAD:
        return ""
    return (
        f"{objective.title} is {objective.worse(bad[-1], worst):.1f} times worse than in the worst "
        f"window of the baseline ({figure(bad[-1], objective.unit)} instead of "
        f"{figure(worst, objective.unit)}) for {LIVE_BAD} intervals"
    )


def _starved(windows: Sequence[WindowView], live: Sequence[Live], settings: TrialSettings) -> str:
    longest = {
        arm: max(
            (w.guarded.get(Guarded.DELAY_MAX_US, 0.0) for w in windows if w.arm is arm),
            default=0.0,
        )
        for arm in Arm
    }
    now = max([longest[Arm.CANDIDATE], *(each.delay_max_us for each in live)])
    if now < settings.starved_us or longest[Arm.BASELINE] > settings.starved_us / 10:
        return ""
    return (
        f"a task waited {figure(now, 'us')} for a CPU; under the baseline none waited longer "
        f"than {figure(longest[Arm.BASELINE], 'us')}"
    )


def _worse(ratio: Ratio, direction: Direction) -> Ratio:
    """The ratio so that above 1 is worse."""
    return ratio if direction is Direction.LOWER else ratio.inverse()


def _agrees(baseline: list[float], candidate: list[float], objective: Objective) -> bool:
    if objective.direction is Direction.HIGHER:
        baseline, candidate = [1 / v for v in baseline], [1 / v for v in candidate]
    return permutation_p(baseline, candidate) <= _permutation_limit(len(baseline), len(candidate))


def _permutation_limit(baseline: int, candidate: int) -> float:
    """The largest p taken as agreement. So few windows that 5 % cannot be reached at all
    have only to be in perfect order."""
    return max(PERMUTATION_P, 1 / comb(baseline + candidate, candidate) + 1e-9)


def _guarded(
    windows: Sequence[WindowView], settings: TrialSettings, confidence: float
) -> tuple[dict[str, str], list[str]]:
    """What is said of each guarded figure, and the sentences about those that are worse."""
    said: dict[str, str] = {}
    broken: list[str] = []
    tolerances: Mapping[str, float] = settings.tolerance.model_dump()
    for name, trivial in _TRIVIAL.items():
        arms = {
            arm: [
                max(window.guarded[name], trivial / 1000)
                for window in included(windows)
                if window.arm is arm and name in window.guarded
            ]
            for arm in Arm
        }
        baseline, candidate = arms[Arm.BASELINE], arms[Arm.CANDIDATE]
        if min(len(baseline), len(candidate)) < 2:
            continue
        if max(median(baseline), median(candidate)) < trivial:
            said[name] = "too little to compare"
            continue
        ratio = ratio_of(baseline, candidate, confidence)
        loss = 1 - ratio.value if name in _HIGHER else ratio.value - 1
        sure = ratio.high < 1 if name in _HIGHER else ratio.low > 1
        said[name] = f"{ratio.value - 1:+.0%}"
        if loss > tolerances[name] and sure:
            said[name] += ", worse than tolerated"
            broken.append(
                f"{name.replace('_', ' ')} changed by {ratio.value - 1:+.0%} "
                f"(tolerated: {percent(tolerances[name])} worse)"
            )
    return said, broken


def _verdict(
    windows: Sequence[WindowView],
    objective: Objective,
    settings: TrialSettings,
    ratio: Ratio,
    guarded: dict[str, str],
    broken: list[str],
    *,
    early: bool,
) -> VerdictView:
    baseline, candidate = values(windows, Arm.BASELINE), values(windows, Arm.CANDIDATE)
    worse = _worse(ratio, objective.direction)
    gain = _gain(ratio.value, objective.direction)
    bounds = sorted(_gain(bound, objective.direction) for bound in (ratio.low, ratio.high))
    measured = (
        f"{objective.title} {figure(median(candidate), objective.unit)} instead of "
        f"{figure(median(baseline), objective.unit)}: {abs(gain):.0%} "
        f"{'better' if gain >= 0 else 'worse'} "
        f"({percent(ratio.confidence)} interval {bounds[0]:+.0%} to {bounds[1]:+.0%})"
    )
    decision = Decision.ROLLBACK
    if broken:
        reason = f"{'; '.join(broken)}, though {measured}" if gain > 0 else "; ".join(broken)
    elif worse.low >= 1:
        reason = f"worse with confidence: {measured}"
    elif worse.high >= 1:
        reason = f"no difference that noise could not make: {measured}"
    elif gain < settings.min_gain:
        reason = f"less than the {percent(settings.min_gain)} that a change is worth: {measured}"
    elif not _agrees(baseline, candidate, objective):
        reason = f"the windows' order does not bear it out: {measured}"
    else:
        decision, reason = Decision.KEEP, measured
    return VerdictView(
        decision=decision,
        ratio=ratio.value,
        low=ratio.low,
        high=ratio.high,
        confidence=ratio.confidence,
        gain=gain,
        reason=reason,
        early=early,
        windows_baseline=len(baseline),
        windows_candidate=len(candidate),
        guarded=guarded,
    )


def _undecided(windows: Sequence[WindowView], reason: str, objective: Objective) -> VerdictView:
    """A rollback without an interval: confidence 0, and the ratio of medians where there is one."""
    baseline, candidate = values(windows, Arm.BASELINE), values(windows, Arm.CANDIDATE)
    ratio = median(candidate) / median(baseline) if baseline and candidate else 1.0
    return VerdictView(
        decision=Decision.ROLLBACK,
        ratio=ratio,
        low=ratio,
        high=ratio,
        confidence=0.0,
        gain=_gain(ratio, objective.direction),
        reason=reason,
        early=True,
        windows_baseline=len(baseline),
        windows_candidate=len(candidate),
    )


def _gain(ratio: float, direction: Direction) -> float:
    """How much better, as a fraction of the baseline; negative is worse."""
    return 1 - ratio if direction is Direction.LOWER else ratio - 1
