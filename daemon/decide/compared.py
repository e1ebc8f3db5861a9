# SPDX-License-Identifier: GPL-2.0-or-later
"""One figure under both arms of a trial: for the terms of its objective, and its guards."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from daemon.api.models import Arm, ComparedView, Direction, GuardView, WindowView
from daemon.decide.compare import Ratio, ratio_of
from daemon.decide.objective import Guard, Objective, Term
from daemon.decide.settings import TrialSettings
from daemon.decide.windows import included
from daemon.decide.words import between, change, figure, percent

# CPU time (% of one CPU) in a window, below which a workload does not run, and above which it does.
SILENT_CPU = 0.01
RUNNING_CPU = 0.5


@dataclass(frozen=True, slots=True)
class ComparedTerm:
    """`baseline` and `candidate` are values of windows; `ratio` None: too few to compare."""

    name: str
    term: Term
    baseline: tuple[float, ...]
    candidate: tuple[float, ...]
    ratio: Ratio | None = None

    @property
    def worse(self) -> Ratio | None:
        """The ratio, turned so that above 1 is worse."""
        if self.ratio is None or self.term.direction is Direction.LOWER:
            return self.ratio
        return self.ratio.inverse()

    @property
    def loss(self) -> float:
        """How much worse it is, as a fraction of the baseline; negative is better."""
        if self.ratio is None:
            return 0.0
        return loss_of(self.ratio.value, self.term.direction)

    def breaks(self, tolerance: float) -> bool:
        """Worse than tolerated, and worse for certain: if it is unclear whether it is that much,
        the candidate loses.
        """
        return self.worse is not None and self.loss > tolerance and self.worse.low > 1

    @property
    def certain(self) -> bool:
        """Whether it differs for certain, for better or worse."""
        return self.ratio is not None and (self.ratio.low > 1 or self.ratio.high < 1)

    @property
    def words(self) -> str:
        """`9% to 51% worse`."""
        if self.ratio is None:
            return "too little was seen to compare"
        return change(self.ratio.low, self.ratio.high, self.term.direction)

    def view(self) -> ComparedView:
        worse, unit = self.worse, self.term.unit
        state = "unseen"
        if worse is not None:
            state = "worse" if worse.low > 1 else "better" if worse.high < 1 else "unclear"
        ranges = " before, ".join(
            between(min(arm), max(arm), unit) for arm in (self.baseline, self.candidate) if arm
        )
        said = self.words if state != "unclear" else f"unclear: {self.words}"
        if self.baseline and self.candidate:
            said = f"{ranges} with it: {said}"
        return ComparedView.model_validate(
            {
                "name": self.name,
                "unit": unit,
                "baseline": (min(self.baseline), max(self.baseline)) if self.baseline else None,
                "candidate": (min(self.candidate), max(self.candidate)) if self.candidate else None,
                "ratio": self.ratio.value if self.ratio else None,
                "low": self.ratio.low if self.ratio else None,
                "high": self.ratio.high if self.ratio else None,
                "state": state,
                "said": said,
            }
        )


def loss_of(ratio: float, direction: Direction) -> float:
    """How much worse candidate / baseline is, as a fraction of the baseline."""
    return ratio - 1 if direction is Direction.LOWER else 1 - ratio


def term_values(
    windows: Sequence[WindowView], arm: Arm, objective: Objective, term: Term
) -> list[float]:
    """A term's values in the counted windows of an arm, oldest first, none of them zero."""
    used = included(windows)
    leading = term == objective.leading
    found = [
        (window.arm, window.value if leading else window.figures[term.title])
        for window in used
        if leading or term.title in window.figures
    ]
    return above_zero(found, arm)


def guard_values(windows: Sequence[WindowView], arm: Arm, guard: Guard) -> list[float]:
    found = [
        (each.arm, each.figures[guard.key])
        for each in included(windows)
        if guard.key in each.figures
    ]
    return above_zero(found, arm)


def above_zero(found: Sequence[tuple[Arm, float]], arm: Arm) -> list[float]:
    """The values of one arm among those of both, none of them zero."""
    # A throughput of zero has no logarithm; a thousandth of the usual is as bad.
    usual = median([value for _, value in found]) if found else 1.0
    least = max(usual, 1e-6) / 1000
    return [max(value, least) for of, value in found if of is arm]


def compared_term(
    windows: Sequence[WindowView], objective: Objective, term: Term, confidence: float
) -> ComparedTerm:
    baseline, candidate = (term_values(windows, arm, objective, term) for arm in Arm)
    return compared_values(term.named, term, baseline, candidate, confidence)


def compared_guard(windows: Sequence[WindowView], guard: Guard, confidence: float) -> ComparedTerm:
    baseline, candidate = (guard_values(windows, arm, guard) for arm in Arm)
    return compared_values(guard.key, guard.term, baseline, candidate, confidence)


def compared_values(
    name: str,
    term: Term,
    baseline: Sequence[float],
    candidate: Sequence[float],
    confidence: float,
) -> ComparedTerm:
    """The values of both arms' windows, none of them zero; with fewer than two in an arm there is
    no ratio."""
    ratio = None
    if min(len(baseline), len(candidate)) >= 2:
        ratio = ratio_of(baseline, candidate, confidence)
    return ComparedTerm(name, term, tuple(baseline), tuple(candidate), ratio)


def gone(windows: Sequence[WindowView], guard: Guard) -> bool:
    """Whether a guarded workload ran in every window of the baseline, and not at all in the
    candidate's newest ones.
    """
    time = {
        arm: [
            each.figures[guard.time_key]
            for each in windows
            if each.arm is arm and not each.disturbed and guard.time_key in each.figures
        ]
        for arm in Arm
    }
    baseline, candidate = time[Arm.BASELINE], time[Arm.CANDIDATE]
    if not baseline or not candidate:
        return False
    return min(baseline) >= RUNNING_CPU and candidate[-1] <= SILENT_CPU


def guard_view(windows: Sequence[WindowView], guard: Guard, settings: TrialSettings) -> GuardView:
    """The windows' result so far for one guard."""
    found = compared_guard(windows, guard, settings.confidence)
    worse = found.worse
    if gone(windows, guard):
        state, said = "broken", "it did not run at all with the candidate"
    elif worse is None:
        state = "unclear" if found.baseline and found.candidate else "unseen"
        said = "not measured yet" if not found.baseline else found.words
    elif found.breaks(guard.tolerance):
        state, said = "broken", f"{found.words}, more than the {percent(guard.tolerance)} tolerated"
    else:
        certain = (
            loss_of(
                found.ratio.high if guard.term.direction is Direction.LOWER else found.ratio.low,
                guard.term.direction,
            )
            <= guard.tolerance
            if found.ratio
            else False
        )
        state, said = ("held" if certain else "unclear"), found.words
    if found.baseline and found.candidate:
        unit = guard.term.unit
        said = (
            f"{figure(median(found.candidate), unit)} instead of "
            f"{figure(median(found.baseline), unit)}: {said}"
        )
    return GuardView.model_validate(
        {
            "workload": guard.workload,
            "text": guard.term.canonical,
            "unit": guard.term.unit,
            "baseline": median(found.baseline) if found.baseline else None,
            "candidate": median(found.candidate) if found.candidate else None,
            "ratio": found.ratio.value if found.ratio else None,
            "low": found.ratio.low if found.ratio else None,
            "high": found.ratio.high if found.ratio else None,
            "state": state,
            "said": said,
        }
    )
