# SPDX-License-Identifier: GPL-2.0-or-later
"""How a simulated workload is judged: the figures that objectives name, by their definitions.

    response p99        from a task's wakeup to its next sleep or its end, all waits included
    completions         how many of those ended, a second (`throughput` is another word for it)
    turnaround mean     from a task's start to its exit
    makespan            until all tasks of a group have ended
    delay p99           from a wakeup to running (`latency` is another word for it)
    cpu                 CPU time received, in percent of one CPU

Percentiles, or `mean`. `lower` or `higher` may follow, and a limit (`< 20ms`), which has no effect
on a comparison; or `not worse than 5%`, which makes it a guard. Several are joined by `;`. The
daemon reads the same (daemon/decide/objective.py), with its own definitions of the same words for
its measurements. `measurement NAME` is a number of the application's own, which a simulation does
not have: it is left out.

Unfinished activations count with their time so far, so starving all improves no percentile.
Starving some can, but then `completions` are fewer: so if no guard is given, response time gets
that one, and no gain in one figure hides the loss of another (`joint`).
"""

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from process import Fault, FaultType
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


_ALIASES = {"latency": "delay", "throughput": "completions"}
_PLAIN = ("completions", "makespan", "cpu")
_TERM = re.compile(
    r"(?P<word>[a-z]+)"
    r"(?:\s+(?P<which>p\d{1,2}(?:\.\d{1,3})?|mean))?"
    r"(?:\s+(?P<way>lower|higher))?"
    r"(?:\s*[<>]=?\s*\d+(?:\.\d+)?\s*[a-zµ%/]*)?"
    r"(?:\s+not\s+worse\s+than\s+(?P<guard>\d+(?:\.\d+)?)\s*%)?"
)


def parse_objective(text: str) -> SimulatedObjective:
    """Read an objective.

    Raises:
        Fault: BAD_PARAMETER, with what was expected.
    """
    terms: list[SimulatedTerm] = []
    notes: list[str] = []
    for part in filter(None, (each.strip() for each in text.split(";"))):
        if part.split()[0] == "measurement":
            notes.append(f"`{part[:60]}` is the application's own number, which no simulation has")
            continue
        terms.append(_term(part, text, notes))
    if not terms and not notes:
        raise _refused(text, "it is empty", "")
    return SimulatedObjective(tuple(terms), tuple(notes))


def _term(part: str, text: str, notes: list[str]) -> SimulatedTerm:
    found = _TERM.fullmatch(part)
    if found is None:
        raise _refused(text, f"{part[:60]!r} is not understood", part.split()[0])
    word = _ALIASES.get(found["word"], found["word"])
    if word in _PLAIN and not found["which"]:
        measure = MEASURES[word]
    elif word in _LENGTHS and found["which"]:
        measure = _length(word, found["which"], notes)
    elif word in _LENGTHS:
        raise _refused(text, f"`{word}` needs a percentile (`{word} p99`) or the mean", word)
    elif word in _PLAIN:
        raise _refused(text, f"`{word}` has no percentiles", word)
    else:
        raise _refused(text, f"{found['word']!r} is not a figure", found["word"])
    usual = "higher" if measure.more else "lower"
    if found["way"] not in (None, usual):
        raise _refused(text, f"of {measure.title} {usual} is better", word)
    guard = float(found["guard"]) / 100 if found["guard"] else None
    if guard is not None and not 0 < guard <= (0.99 if measure.more else 10):
        raise _refused(text, f"{100 * guard:g}% cannot be tolerated of {measure.title}", word)
    return SimulatedTerm(measure, guard)


def _length(word: str, which: str, notes: list[str]) -> SimulatedMetric:
    if which == "mean":
        return MEASURES[f"{word}_mean"]
    wanted = float(which[1:])
    # By the logarithm of the distance from 100: 90 is then nearer to 99 than the plain numbers say.
    near = min(PERCENTILES, key=lambda each: abs(math.log((100.001 - each) / (100.001 - wanted))))
    if near != wanted:
        notes.append(f"{which} is not among the percentiles of a simulation: p{near:g} is taken")
    return MEASURES[f"{word}_{PERCENTILES[near]}"]


def _refused(text: str, why: str, wrong: str) -> Fault:
    known = (*_LENGTHS, *_PLAIN, *_ALIASES)
    near = difflib.get_close_matches(wrong, known, n=1)
    return Fault(
        FaultType.BAD_PARAMETER,
        f"the objective {text[:200]!r} cannot be understood",
        why=why,
        hint=f"did you mean {near[0]!r}?"
        if near and near[0] != wrong
        else "an example of each: `response p99`, `completions`, `turnaround mean`, `makespan`, "
        "`delay p99`, `cpu`; `response p99; completions not worse than 5%`",
    )


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
