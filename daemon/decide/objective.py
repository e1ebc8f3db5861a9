# SPDX-License-Identifier: GPL-2.0-or-later
"""A workload's objective: parsed from its text, and written in one canonical way.

`simulator.objective_text` has the grammar. Without a limit nothing can be broken, only compared.

An activation is a thread's time from a wakeup to its next sleep, including its waits and
preemptions: for a thread that serves requests, one request. So response time and completions
correspond to a program's own latency and rate. Run-queue delay counts each turn that a task waits
for. A scheduler that lets requests run to their end has longer queues and shorter responses: if the
CPU time of an activation is longer than a slice, delay is misleading.

If terms disagree: a term with `not worse than N%` is a guard, and never a reason to keep. None of
the others may be worse (by more than a change is worth), and at least one has to be better with
confidence. `daemon.decide.verdict` applies this.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from bpf.signals.source import FINEST_US
from daemon.api.display import displayable
from daemon.api.models import Direction, GuardView, ObjectiveView
from process import FaultType
from simulator.objective_text import (
    TO_US,
    Metric,
    WrittenTerm,
    parse_guard_term,
    parse_terms,
    title_of,
)


@dataclass(frozen=True, slots=True)
class Term:
    """One figure that counts. `limit` is in `unit`; `quantile` 0 to 1, None for the mean.

    `tolerance` makes it a guard: how much worse it may become, as a fraction.
    """

    text: str
    metric: Metric
    direction: Direction
    unit: str
    quantile: float | None = None
    name: str = ""
    limit: float | None = None
    tolerance: float | None = None

    @property
    def title(self) -> str:
        """The canonical name of the metric, without limit or tolerance."""
        return title_of(self.metric, self.quantile, self.name)

    @property
    def canonical(self) -> str:
        """The whole term; parsing it gives the same term."""
        said = self.title
        if self.metric is Metric.MEASUREMENT:
            said += " lower" if self.direction is Direction.LOWER else " higher"
        if self.limit is not None:
            sign = "<" if self.direction is Direction.LOWER else ">"
            said += f" {sign} {_limit_text(self)}"
        return said + self._tolerated

    @property
    def named(self) -> str:
        """The title, plus the tolerance if it has one."""
        return self.title + self._tolerated

    @property
    def _tolerated(self) -> str:
        if self.tolerance is None:
            return ""
        return f" not worse than {round(100 * self.tolerance, 6):g}%"

    @property
    def tolerated(self) -> float:
        """How many times worse it may become; 1 without a tolerance."""
        tolerance = self.tolerance or 0.0
        return 1 + tolerance if self.direction is Direction.LOWER else 1 / (1 - tolerance)

    def broken_by(self, value: float) -> bool:
        if self.limit is None:
            return False
        if self.direction is Direction.LOWER:
            return value >= self.limit
        return value <= self.limit

    def worse(self, value: float, reference: float) -> float:
        """How many times worse `value` is than `reference`; 1 is the same, below 1 is better."""
        # If a workload never waited before, one wait does not make it ten thousand times worse.
        least = FINEST_US if self.unit == "us" else 1e-9
        value, reference = max(value, least), max(reference, least)
        return value / reference if self.direction is Direction.LOWER else reference / value


@dataclass(frozen=True, slots=True)
class Objective:
    """What decides a trial.

    The first of the `targets` is the leading one: it is shown if there is room for only one figure.
    """

    text: str
    terms: tuple[Term, ...]

    @property
    def targets(self) -> tuple[Term, ...]:
        """The figures that should become better; at least one."""
        return tuple(term for term in self.terms if term.tolerance is None)

    @property
    def guards(self) -> tuple[Term, ...]:
        """The figures of the same workload that may not become worse."""
        return tuple(term for term in self.terms if term.tolerance is not None)

    @property
    def leading(self) -> Term:
        return self.targets[0]

    @property
    def title(self) -> str:
        """The canonical name of the compared figures, without limits."""
        return "; ".join(term.named for term in self.terms)

    @property
    def canonical(self) -> str:
        """The whole objective; parsing it gives the same one."""
        return "; ".join(term.canonical for term in self.terms)

    @property
    def metric(self) -> Metric:
        return self.leading.metric

    @property
    def direction(self) -> Direction:
        return self.leading.direction

    @property
    def unit(self) -> str:
        return self.leading.unit

    @property
    def quantile(self) -> float | None:
        return self.leading.quantile

    @property
    def limit(self) -> float | None:
        return self.leading.limit

    @property
    def limited(self) -> tuple[Term, ...]:
        """The terms that can be broken."""
        return tuple(term for term in self.targets if term.limit is not None)

    @property
    def measured(self) -> frozenset[str]:
        """The names of the measurements that it needs."""
        return frozenset(term.name for term in self.terms if term.name)

    def has(self, *metrics: Metric) -> bool:
        return any(term.metric in metrics for term in self.terms)

    def broken_by(self, value: float) -> bool:
        return self.leading.broken_by(value)

    def worse(self, value: float, reference: float) -> float:
        """By the leading term: how many times worse `value` is than `reference`."""
        return self.leading.worse(value, reference)

    def with_units(self, units: Mapping[str, str]) -> "Objective":
        """Adds the unit of each measurement that names none, by the measurement's name."""
        return replace(
            self,
            terms=tuple(
                replace(term, unit=units.get(term.name, ""))
                if term.name and not term.unit
                else term
                for term in self.terms
            ),
        )

    def view(self, workload: str, value: float | None, broken: bool) -> ObjectiveView:
        return ObjectiveView(
            workload=workload,
            text=self.text,
            metric=self.title,
            direction=self.direction,
            limit=self.limit,
            unit=self.unit,
            value=value,
            broken=broken,
        )


@dataclass(frozen=True, slots=True)
class Guard:
    """Another workload that must not suffer for the objective. `workload` is an id or a glob."""

    workload: str
    term: Term

    @property
    def key(self) -> str:
        """Its name among the figures of a window."""
        return f"{self.workload}: {self.term.title}"

    @property
    def time_key(self) -> str:
        """The name of its workload's CPU time among them."""
        return f"{self.workload}: cpu"

    @property
    def tolerance(self) -> float:
        return self.term.tolerance or 0.0

    def view(self) -> GuardView:
        """The state before anything was measured."""
        return GuardView(workload=self.workload, text=self.term.canonical, unit=self.term.unit)


def guarding(guards: Sequence[Guard]) -> str:
    """The guards beside an objective, for the journal; their workloads are hostile text, escaped
    here."""
    said = " and ".join(f"{displayable(each.workload, 100)} {each.term.named}" for each in guards)
    return f", with {said}" if said else ""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A reported number: `value` in `unit`, measured from `started` until `at`."""

    at: float
    name: str
    value: float
    unit: str = ""
    started: float | None = None

    @property
    def began(self) -> float:
        """When the measurement began; for a number without a start time, when it was reported."""
        return self.at if self.started is None else self.started


@dataclass(frozen=True, slots=True)
class Declared:
    """An objective that the operator declared. `workload` is an id, or a glob over ids."""

    workload: str
    objective: Objective

    def of(self, ids: Iterable[str]) -> list[str]:
        """The workloads it applies to: existing ones that match, or the one that it names."""
        if not is_glob(self.workload):
            return [self.workload]
        return [each for each in ids if fnmatchcase(each, self.workload)]


def meant(workload: str, id: str) -> bool:
    """Whether an id is the one that is named, or matches the glob."""
    return id == workload or (is_glob(workload) and fnmatchcase(id, workload))


def is_glob(workload: str) -> bool:
    return any(sign in workload for sign in "*?[")


# ---------------------------------------------------------------- from text and to text


def parse_objective(text: str, type: FaultType = FaultType.BAD_PARAMETER) -> Objective:
    """Read objective text.

    Raises:
        Fault: of the given type, with the column, what was expected, and a suggestion.
    """
    return Objective(text, tuple(map(_term, parse_terms(text, type))))


def parse_guard(workload: str, text: str, type: FaultType = FaultType.BAD_PARAMETER) -> Guard:
    """Parse the guarded figure of another workload: one term with `not worse than N%`.

    Raises:
        Fault: of the given type, with the column, what was expected, and a suggestion.
    """
    return Guard(workload, _term(parse_guard_term(text, type)))


def _term(written: WrittenTerm) -> Term:
    return Term(
        written.text,
        written.metric,
        Direction.HIGHER if written.higher else Direction.LOWER,
        written.unit,
        quantile=written.quantile,
        name=written.name,
        limit=written.limit,
        tolerance=written.tolerance,
    )


def _limit_text(term: Term) -> str:
    """A limit as people write it: `20ms` and not `20000us`. Parsing it gives the same number."""
    limit, unit = term.limit or 0.0, term.unit
    # The reporter of the measurement chooses its unit.
    if unit == "us" and term.metric is not Metric.MEASUREMENT:
        for longer in ("s", "ms"):
            text = f"{limit / TO_US[longer]:.12g}"
            if limit >= TO_US[longer] and float(text) * TO_US[longer] == limit:
                return text + longer
    return f"{limit:.12g}{'/s' if unit == '1/s' else unit}"
