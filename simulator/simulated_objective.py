# SPDX-License-Identifier: GPL-2.0-or-later
"""How a simulated workload is judged: the figures that objectives name, by their definitions.

    response p99        from a task's wakeup to its next sleep or its end, all waits included
    completions         how many of those ended, a second (`throughput` is another word for it)
    turnaround mean     from a task's start to its exit
    makespan            until all tasks of a group have ended
    delay p99           from a wakeup to running (`latency` is another word for it)
    cpu                 CPU time received, in percent of one CPU

`simulator.objective_text` has the grammar, which the daemon uses as well, with its own definitions
of the same words for its measurements. A limit has no effect on a comparison. `measurement NAME` is
a number of the application's own, which a simulation does not have: it is left out.

Unfinished activations count with their time so far, so starving all improves no percentile.
Starving some can, but then `completions` are fewer: so if no guard is given, response time gets
that one, and no gain in one figure hides the loss of another (`joint`).
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from simulator.objective_text import (
    WITH_QUANTILE,
    Metric,
    WrittenTerm,
    parse_guard_term,
    parse_terms,
)
from simulator.run import GroupFigures, Lengths

# Under the engine's names (engine/report.c).
PERCENTILES = {50.0: "p50", 75.0: "p75", 90.0: "p90", 95.0: "p95", 99.0: "p99", 99.9: "p99_9"}
# How much of a guarded figure may be lost by default; and of any figure except the gained one. It
# is within the model's accuracy.
SPARED = 0.02

Value = Callable[[GroupFigures, float], float | None]


@dataclass(frozen=True)
class SimulatedMetric:
    """One figure: its key in results, its title, whether more of it is better, and its unit.

    `value` takes a group and the simulated seconds; it is None if the group has none.
    """

    key: str
    title: str
    more: bool
    unit: str
    value: Value


def span_s(group: GroupFigures, simulated_s: float) -> float:
    """The seconds that a rate refers to: if all tasks have ended, until the last one did."""
    return group.makespan_ns / 1e9 if group.makespan_ns else simulated_s


def _of(which: Callable[[GroupFigures], Lengths | None], field: str) -> Value:
    def value(group: GroupFigures, simulated_s: float) -> float | None:
        lengths = which(group)
        return None if lengths is None else getattr(lengths, field) / 1e3

    return value


_LENGTHS: Mapping[str, Callable[[GroupFigures], Lengths | None]] = {
    "response": lambda group: group.response_ns,
    "turnaround": lambda group: group.turnaround_ns,
    "delay": lambda group: group.delay_ns,
}


def _lengths() -> Iterable[SimulatedMetric]:
    for name, which in _LENGTHS.items():
        for field in (*PERCENTILES.values(), "mean", "max"):
            title = f"{name} {field.replace('_', '.')}"
            yield SimulatedMetric(f"{name}_{field}", title, False, "us", _of(which, field))


def _completions(group: GroupFigures, simulated_s: float) -> float | None:
    span = span_s(group, simulated_s)
    # Tasks that never sleep have none, under any scheduler.
    return group.completions / span if span and group.response_ns else None


def _makespan(group: GroupFigures, simulated_s: float) -> float | None:
    if group.makespan_ns is not None:
        return group.makespan_ns / 1e9
    # An unfinished task has taken at least this long; an endless one has none.
    return None if group.turnaround_ns is None else simulated_s - group.began_ns / 1e9


def _cpu(group: GroupFigures, simulated_s: float) -> float | None:
    span = span_s(group, simulated_s)
    return 100 * group.run_ns / 1e9 / span if span else None


MEASURES: Mapping[str, SimulatedMetric] = {
    each.key: each
    for each in (
        *_lengths(),
        SimulatedMetric("completions", "completions", True, "1/s", _completions),
        SimulatedMetric("makespan", "makespan", False, "s", _makespan),
        SimulatedMetric("cpu", "cpu", True, "%", _cpu),
    )
}
_COMPLETIONS = MEASURES["completions"]


# ---------------------------------------------------------------- objectives


@dataclass(frozen=True)
class SimulatedTerm:
    """One part of an objective.

    `guard`: the fraction that may be lost; None: it should become better.
    """

    measure: SimulatedMetric
    guard: float | None = None

    @property
    def least(self) -> float:
        """The ratio (at most 1) that it must keep; below that it counts as lost."""
        part = SPARED if self.guard is None else self.guard
        return 1 - part if self.measure.more else 1 / (1 + part)

    @property
    def title(self) -> str:
        if self.guard is None:
            return self.measure.title
        return f"{self.measure.title} not worse than {100 * self.guard:g}%"


@dataclass(frozen=True)
class SimulatedObjective:
    """A workload's objective. `notes`: parts of the text that do not apply here."""

    terms: tuple[SimulatedTerm, ...]
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return "; ".join(each.title for each in self.terms)


def parse_simulated_objective(text: str) -> SimulatedObjective:
    """Read an objective.

    Raises:
        Fault: BAD_PARAMETER, with the column and what was expected.
    """
    return _simulated(parse_terms(text))


def parse_simulated_guard(text: str) -> SimulatedObjective:
    """Read the guard of another workload: one term with `not worse than N%`.

    Raises:
        Fault: BAD_PARAMETER, with the column and what was expected.
    """
    return _simulated([parse_guard_term(text)])


def _simulated(text: Iterable[WrittenTerm]) -> SimulatedObjective:
    terms: list[SimulatedTerm] = []
    notes: list[str] = []
    for written in text:
        if written.metric is Metric.MEASUREMENT:
            notes.append(
                f"`{written.text[:60]}` is the application's own number, which no simulation has"
            )
        else:
            terms.append(SimulatedTerm(_measure(written, notes), written.tolerance))
    return SimulatedObjective(tuple(terms), tuple(notes))


def _measure(written: WrittenTerm, notes: list[str]) -> SimulatedMetric:
    if written.metric not in WITH_QUANTILE:
        return MEASURES[written.metric]
    if written.quantile is None:
        return MEASURES[f"{written.metric}_mean"]
    wanted = round(100 * written.quantile, 3)
    # By the logarithm of the distance from 100: 90 is then nearer to 99 than the plain numbers say.
    near = min(PERCENTILES, key=lambda each: abs(math.log((100.001 - each) / (100.001 - wanted))))
    if near != wanted:
        notes.append(f"a simulation keeps no p{wanted:g}; its p{near:g} is taken instead")
    return MEASURES[f"{written.metric}_{PERCENTILES[near]}"]


def usual_objective(group: GroupFigures) -> SimulatedObjective:
    """The default objective of a group: by its kind, which shows in its figures.

    Tasks that all end are jobs. If some sleep, somebody waits for their answers. Tasks that never
    sleep compute.
    """
    if group.turnaround_ns is not None and group.turnaround_ns.count == group.tasks:
        return SimulatedObjective((SimulatedTerm(MEASURES["turnaround_mean"]),))
    if group.completions:
        return SimulatedObjective(
            (SimulatedTerm(MEASURES["response_p95"]), SimulatedTerm(_COMPLETIONS))
        )
    return SimulatedObjective((SimulatedTerm(MEASURES["cpu"]),))


def guarded(objective: SimulatedObjective) -> SimulatedObjective:
    """With a guard for completions, if it is about response times alone."""
    titles = {each.measure.key for each in objective.terms}
    lengths = any(key.startswith(("response", "delay")) for key in titles)
    if not lengths or titles & {"completions", "makespan", "cpu"}:
        return objective
    return SimulatedObjective(
        (*objective.terms, SimulatedTerm(_COMPLETIONS, SPARED)), objective.notes
    )


# ---------------------------------------------------------------- comparisons


@dataclass(frozen=True)
class Scored:
    """A term under both. `times`: how many times better, below 1 worse; None if that is unknown."""

    term: SimulatedTerm
    ours: float | None
    theirs: float | None

    @property
    def times(self) -> float | None:
        return times_better(self.term.measure, self.ours, self.theirs)


def times_better(
    measure: SimulatedMetric, ours: float | None, theirs: float | None
) -> float | None:
    """How many times better the one is than the other: above 1 better, whatever the figure."""
    if ours is None or theirs is None:
        return None
    if ours == theirs:
        return 1.0
    if min(ours, theirs) <= 0:
        return None
    return ours / theirs if measure.more else theirs / ours


def scored(
    objective: SimulatedObjective,
    ours: GroupFigures,
    theirs: GroupFigures,
    seconds: tuple[float, float],
) -> tuple[Scored, ...]:
    """Each term of one group under a candidate and under the scheduler it is compared with."""
    return tuple(
        Scored(term, term.measure.value(ours, seconds[0]), term.measure.value(theirs, seconds[1]))
        for term in objective.terms
    )


def joint(found: Sequence[Scored]) -> float | None:
    """How many times better the whole is, as far as known.

    A guarded figure counts only if more of it is lost than allowed. If anything is lost, the worst
    loss counts; a gain in one figure does not pay for another. Else it is the geometric mean. None
    if nothing should become better.
    """
    known = [(each.term, each.times) for each in found if each.times is not None]
    lost = [times for term, times in known if times < term.least]
    if lost:
        return min(lost)
    gained = [math.log(times) for term, times in known if term.guard is None]
    return math.exp(sum(gained) / len(gained)) if gained else None


def percent(times: float) -> float:
    """A gain relative to the larger value, as for a time: twice as good is 50, half as
    good -100.
    """
    return 100 * (1 - 1 / times)
