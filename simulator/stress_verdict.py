# SPDX-License-Identifier: GPL-2.0-or-later
"""Whether a scheduler survives the stress set, and its gain on the recorded workload.

Pure functions judge the simulator's reports: no task may be lost or starved, no CPU may idle while
there is work, no call may be refused. Each finding says what to change.
"""

import os
import re
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from bpf.build import cache
from bpf.build.kit import digest
from bpf.build.vmlinux import BTF
from bpf.kernel.callbacks import read_object_callbacks
from process import Fault, FaultType
from simulator.build import NativeBuild, build_native, engine_for
from simulator.controls import control_set
from simulator.explain import Explanation, callbacks_in, explain_message
from simulator.honoured import broken, longest_wait_ns
from simulator.run import (
    Ejection,
    Ended,
    GroupFigures,
    NativeScheduler,
    SimulationFigures,
    simulate,
)
from simulator.scenario import MS, Leave, Repeat, Run, S, Scenario, Task
from simulator.simulated_objective import (
    MEASURES,
    Scored,
    SimulatedObjective,
    guarded,
    joint,
    percent,
    scored,
    usual_objective,
)
from simulator.stress import (
    OTHER_SIZES,
    STRESS_MACHINE,
    stress_set,
    wait_bounds_ns,
    weight_of,
)
from simulator.waits import cause_of, explain_wait

Severity = Literal["error", "warning", "note"]

# For a wait that the engine did not observe, as under the kernel's own scheduler.
_UNSEEN = Explanation("a task got no CPU", "see the source's enqueue and dispatch")

# Wall time of one scenario: natively a good scheduler takes 0.1 s at most, emulated 2 s.
SCENARIO_LIMIT_S = 30.0
# CPU time given out, relative to the default scheduler in the same scenario. A scheduler that keeps
# one CPU of four or even of two for itself (as scx_central does) is accepted.
LEAST_BUSY = 0.45
USUAL_BUSY = 0.85
# Events per second and CPU, and relative to the default scheduler: endless interrupts.
MOST_EVENTS = 40_000.0
EVENTS_RATIO = 10.0
# Wakeups later than by the default by this factor, and by this time, are worth a warning.
LATE_RATIO = 20.0
LATE_NS = 200 * MS
# If the weights of two groups differ by at least this factor, each task of the heavier one must get
# at least this fraction of a task of the lighter one. Equal shares are accepted, and so are the
# effects of slices that end at ticks.
ORDERED_RATIO = 2.0
LEAST_OF_LIGHTER = 0.45
# Scenarios that run on other machine sizes than the usual without being requested; not if a
# parameter is the number of CPUs, as userspace sets it for one machine.
_OTHER_SIZES = frozenset(f"spread@{size}" for size in OTHER_SIZES)
_COUNTS_CPUS = re.compile(r"(?:^|_)(?:nr|num)_(?:possible_|online_)?cpu(?:s|_ids)$")
# How many answers of the default scheduler are kept.
_DEFAULTS = "defaults"
_DEFAULTS_KEPT = 256
# A predicted loss above this gives a warning; below it is within the model's accuracy.
LOSS_PERCENT = 5.0
# Groups with at least this fraction of the CPU time are reported unasked.
WORTH_A_WORD = 0.02


@dataclass(frozen=True)
class Finding:
    """One observation in a scenario. `file` and `line` if the place is known."""

    scenario: str
    severity: Severity
    message: str
    cause: str
    fix: str
    file: str | None = None
    line: int | None = None


@dataclass(frozen=True)
class StressVerdict:
    """The simulator's judgement of a candidate.

    `figures`: `scenarios` passed `of` how many; `score` 0 to 1, which falls with everything that
    fails (`score_of`); `longest_wait_ms`; `events`; `seconds` of wall time, `build_seconds` of it.
    With a recorded workload `gain_…_percent` against the default, positive is better; and by its
    objective `gain_objective_percent` (`RecordedWorkload`).
    """

    findings: tuple[Finding, ...]
    figures: Mapping[str, float]

    @property
    def passed(self) -> bool:
        return not any(each.severity == "error" for each in self.findings)


@dataclass(frozen=True)
class RecordedWorkload:
    """The recording, and how its groups are judged.

    `group` is the one for which a scheduler is sought, by `objective`; "": none in particular.
    `guards`: for other groups. All other groups are judged by their kind
    (`simulated_objective.usual_objective`). `notes`: what cannot be judged here.
    """

    scenario: Scenario
    group: str = ""
    objective: SimulatedObjective | None = None
    guards: Mapping[str, SimulatedObjective] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def objective_of(self, default: GroupFigures) -> SimulatedObjective:
        """The group's objective, given its figures under the default scheduler."""
        if self.objective and self.objective.terms and default.name == self.group:
            return guarded(self.objective)
        return self.guards.get(default.name) or usual_objective(default)


@dataclass(frozen=True)
class ScenarioOutcome:
    """A scenario that was run, under the candidate and under the default."""

    scenario: Scenario
    figures: SimulationFigures
    default: SimulationFigures

    @cached_property
    def bounds_ns(self) -> Mapping[str, int]:
        if bound := longest_wait_ns(self.scenario.name):
            return {task.group: bound for task in self.scenario.tasks}
        return wait_bounds_ns(self.scenario)


# ---- judgement ----


def judge(outcome: ScenarioOutcome, source: str = "", file: str = "") -> tuple[Finding, ...]:
    """The findings of one scenario, worst first.

    Args:
        source: the candidate's C, to find the place of the trouble.
        file: its name, for the findings.
    """
    name = outcome.scenario.name
    ejection = outcome.figures.ejection
    if ejection is not None:
        return (_ejected(name, ejection, source, file),)
    waits = _starved(outcome, source, file)
    late = () if waits else _late(outcome)
    order = () if waits else _inverted(outcome, source, file)
    idle = () if waits else _idle(outcome, source, file)
    controls = _dishonoured(outcome, source, file)
    return (*waits, *order, *controls, *idle, *_stormy(outcome, source, file), *late)


def _ejected(scenario: str, ejection: Ejection, source: str, file: str) -> Finding:
    means = cause_of(ejection)
    severity: Severity = "error"
    if ejection.kind is Ended.BY_KERNEL or _declined(scenario, ejection):
        severity = "warning"
    message = ejection.message
    # scx_bpf_error() of the headers puts its place before its text.
    said = re.match(r"(?:\S*/)?([\w.-]+\.[ch]):(\d+): ", message)
    # If the engine saw it end at a place, the message ends with that place.
    ended = re.search(r" at ([\w.-]+\.[ch]):(\d+)$", message)
    place: tuple[str | None, int | None]
    if said:
        place = (said[1], int(said[2]))
        message = message[said.end() :]
    elif ended:
        place = (ended[1], int(ended[2]))
    else:
        callbacks = callbacks_in(ejection.message)
        place = _place(source, file, means.calls, callbacks or means.callbacks)
    when = f" after {ejection.at_ns / S:.3g} s" if ejection.at_ns else ""
    return Finding(scenario, severity, f"{message}{when}", means.cause, means.fix, *place)


def _declined(scenario: str, ejection: Ejection) -> bool:
    """At the start it declares itself unfit for a machine of another size than the usual."""
    orderly = ejection.kind in (Ended.BY_ITSELF, Ended.ERROR_BY_ITSELF)
    orderly |= ejection.message.startswith("ops.init() failed")
    return scenario in _OTHER_SIZES and orderly and not ejection.at_ns


def _place(
    source: str, file: str, calls: Sequence[str], callbacks: Sequence[str]
) -> tuple[str | None, int | None]:
    """Where to look: a call that occurs in one place only, else a callback's definition."""
    for name in calls:
        found = list(re.finditer(rf"(?<!\w){re.escape(name)}\s*\(", source))
        if len(found) == 1:
            return file or None, source.count("\n", 0, found[0].start()) + 1
    for name in callbacks:
        start = re.search(rf"BPF_STRUCT_OPS(?:_SLEEPABLE)?\s*\(\s*\w*{name}\b", source)
        if start is None:
            bound = re.search(rf"\.{name}\s*=\s*(?:\([^)]*\)\s*)?(\w+)", source)
            start = bound and re.search(rf"^\w[^\n;=]*\b{bound[1]}\s*[(,]", source, re.MULTILINE)
        if start:
            return file or None, source.count("\n", 0, start.start()) + 1
    return file or None, None


def _starved(outcome: ScenarioOutcome, source: str, file: str) -> tuple[Finding, ...]:
    """Groups that waited too long: one finding for those with the same fix."""
    scenario = outcome.scenario
    found: dict[str, Finding] = {}
    others: dict[str, list[str]] = {}
    late = [
        (group, outcome.bounds_ns[group.name])
        for group in outcome.figures.groups
        if group.longest_wait_ns > outcome.bounds_ns[group.name]
    ]
    # Tasks that never ran first: theirs is the plainest case.
    for group, bound in sorted(late, key=lambda each: each[0].run_ns > 0):
        why = explain_wait(group.wait) if group.wait else _UNSEEN
        if outcome.figures.exiting_not_found and _exits(scenario, group.name):
            why = _LOST_BY_PID
        if why.fix in found:
            others[why.fix].append(f"{group.name!r}")
            continue
        never = " and never ran" if not group.run_ns else ""
        message = (
            f"a task of the group {group.name!r} waited {group.longest_wait_ns / S:.3g} s for a "
            f"CPU{never}; under this load at most {bound / S:.3g} s is accepted"
        )
        place = _place(source, file, why.calls, why.callbacks)
        found[why.fix] = Finding(scenario.name, "error", message, why.cause, why.fix, *place)
        others[why.fix] = []
    return tuple(
        replace(each, message=f"{each.message} (so did others: {', '.join(others[fix])})")
        if others[fix]
        else each
        for fix, each in found.items()
    )


# SCX_OPS_ENQ_EXITING as explained in include/linux/sched/ext.h.
_LOST_BY_PID = Explanation(
    "tasks that exit are lost: with SCX_OPS_ENQ_EXITING enqueue gets them too, and "
    "bpf_task_from_pid() does not find them any more",
    "leave SCX_OPS_ENQ_EXITING out of .flags (then the kernel itself runs tasks that exit), or "
    "insert them in enqueue at once: `if (p->flags & PF_EXITING) scx_bpf_dsq_insert(p, "
    "SCX_DSQ_LOCAL, SCX_SLICE_DFL, enq_flags);`",
    callbacks=("enqueue", "dispatch"),
)


def _exits(scenario: Scenario, group: str) -> bool:
    """Whether tasks of this group still run while they exit."""
    return any(
        task.group == group and any(isinstance(step, Leave) for step in task.steps)
        for task in scenario.tasks
    )


def _alike(one: Task, other: Task) -> bool:
    """Tasks that differ only in their weight."""
    same = (one.steps, one.cpus, one.start_ns, one.cgroup, one.kthread, one.uid)
    return same == (
        other.steps, other.cpus, other.start_ns, other.cgroup, other.kthread, other.uid
    )  # fmt: skip


def _inverted(outcome: ScenarioOutcome, source: str, file: str) -> tuple[Finding, ...]:
    """A larger weight may not get less: the worst pair of groups for which it does."""
    worst: tuple[float, Task, Task] | None = None
    # Those that want the CPU all the time.
    tasks = [
        task
        for task in outcome.scenario.tasks
        if all(isinstance(step, Run | Repeat) for step in task.steps)
    ]
    for heavy in tasks:
        for light in tasks:
            ratio = weight_of(heavy.nice, heavy.policy) / weight_of(light.nice, light.policy)
            if ratio < ORDERED_RATIO or heavy.group == light.group or not _alike(heavy, light):
                continue
            ours, theirs = (outcome.figures.group(each.group) for each in (heavy, light))
            if not theirs.run_ns or not ours.tasks or not theirs.tasks:
                continue
            part = (ours.run_ns / ours.tasks) / (theirs.run_ns / theirs.tasks)
            if part < LEAST_OF_LIGHTER and (worst is None or part < worst[0]):
                worst = part, heavy, light
    if worst is None:
        return ()
    part, heavy, light = worst
    return (
        Finding(
            outcome.scenario.name,
            "error",
            f"a task of the group {heavy.group!r} ({_rank(heavy)}) gets {part:.2g} times the CPU "
            f"time of one of {light.group!r} ({_rank(light)}), which has the smaller weight",
            "nice is inverted: weight is used the wrong way round, or a larger nice value is taken "
            "for more important",
            "charge vtime by `p->scx.dsq_vtime += used * 100 / p->scx.weight`; if slices depend "
            "on weight let them grow with it; nice -20 is the most important, 19 the least",
            *_place(source, file, (), ("stopping", "enqueue")),
        ),
    )


def _dishonoured(outcome: ScenarioOutcome, source: str, file: str) -> tuple[Finding, ...]:
    """A control of cgroups that it has the callback for and does not honour."""
    found = broken(outcome.scenario.name, outcome.figures)
    if found is None:
        return ()
    place = _place(source, file, (), (found.callback,))
    name = outcome.scenario.name
    return (Finding(name, "error", found.message, found.cause, found.fix, *place),)


def _rank(task: Task) -> str:
    return f"{task.policy.name}, nice {task.nice}" if task.policy else f"nice {task.nice}"


def _rate(figures: SimulationFigures) -> float:
    """CPUs that were busy on average."""
    return figures.run_ns / figures.time_ns if figures.time_ns else 0.0


def _idle(outcome: ScenarioOutcome, source: str, file: str) -> tuple[Finding, ...]:
    busy, usual = _rate(outcome.figures), _rate(outcome.default)
    if busy >= USUAL_BUSY * usual:
        return ()
    severity: Severity = "error" if busy < LEAST_BUSY * usual else "warning"
    if refused := outcome.figures.forks_refused:
        return (
            Finding(
                outcome.scenario.name,
                severity,
                f"{refused} tasks could not be started: init_task returned an error for them",
                "if init_task fails for a new task, fork() fails in the program",
                "return 0 from init_task, and do without the missing data: a full map is not a "
                "reason to refuse a task",
                *_place(source, file, (), ("init_task",)),
            ),
        )
    message = (
        f"{busy:.2f} of {outcome.figures.cpus} CPUs were busy; the default scheduler keeps "
        f"{usual:.2f} busy"
    )
    return (
        Finding(
            outcome.scenario.name,
            severity,
            message,
            "CPUs idle while tasks wait: nobody wakes them, or they do not look where tasks are",
            "after putting a task into a shared queue wake an idle CPU: "
            "`cpu = scx_bpf_pick_idle_cpu(p->cpus_ptr, 0); if (cpu >= 0) "
            "scx_bpf_kick_cpu(cpu, SCX_KICK_IDLE);`, and let dispatch look into all queues",
        ),
    )


def _stormy(outcome: ScenarioOutcome, source: str, file: str) -> tuple[Finding, ...]:
    """CPUs that interrupt one another, or themselves, all the time."""
    figures, usual = outcome.figures, outcome.default
    if not figures.time_ns or not usual.time_ns:
        return ()
    rate = figures.events * S / figures.time_ns / figures.cpus
    often = usual.events * S / usual.time_ns / usual.cpus
    if rate < max(MOST_EVENTS, EVENTS_RATIO * often):
        return ()
    return (
        Finding(
            outcome.scenario.name,
            "error",
            f"{rate:.0f} interrupts and switches a second on each CPU; the default scheduler has "
            f"{often:.0f}",
            "CPUs are kicked without end: from a callback that a kick itself leads to, or for "
            "every wakeup although nothing waits",
            "kick once for a task that was queued, with SCX_KICK_IDLE, from enqueue only; never "
            "from dispatch or update_idle unless a task waits for that very CPU",
            *_place(source, file, ("scx_bpf_kick_cpu",), ("dispatch",)),
        ),
    )


def _answer_ns(group: GroupFigures) -> int:
    """How long it takes from a wakeup until the work is done (p99)."""
    return group.response_ns.p99 if group.response_ns else group.delay_p99_ns


def _late(outcome: ScenarioOutcome) -> tuple[Finding, ...]:
    found = []
    for group in outcome.figures.groups:
        ours, usual = _answer_ns(group), _answer_ns(outcome.default.group(group.name))
        if ours > max(LATE_RATIO * usual, usual + LATE_NS):
            found.append(
                Finding(
                    outcome.scenario.name,
                    "warning",
                    f"a task of the group {group.name!r} takes {ours / MS:.3g} ms from its wakeup "
                    f"to its next sleep (p99), under the default scheduler {usual / MS:.3g} ms",
                    "long slices, or others that go first",
                    "shorten the slice, or give tasks that slept a better place in the queue",
                )
            )
    return tuple(found)


# ---- figures ----


def score_of(outcomes: Sequence[ScenarioOutcome], of: int) -> float:
    """How much of the set was survived, and how well: 0 to 1.

    The mean over all `of` scenarios; one that failed, or was not run, counts 0. One that passed
    counts its CPU time relative to the default's (at most 1), reduced in proportion to its longest
    wait relative to the accepted one, by half at most. So each further failure, each idle CPU and
    each longer wait lowers it, and no failure can raise it.
    """
    if of <= 0:
        return 0.0
    return sum(_points(each) for each in outcomes) / of


def _points(outcome: ScenarioOutcome) -> float:
    if any(each.severity == "error" for each in judge(outcome)):
        return 0.0
    figures, usual = outcome.figures, _rate(outcome.default)
    busy = min(_rate(figures) / usual, 1.0) if usual else 1.0
    waits = [
        min(group.longest_wait_ns / outcome.bounds_ns[group.name], 1.0) for group in figures.groups
    ]
    return busy * (1.0 - max(waits, default=0.0) / 2)


def _measure(
    key: str,
) -> tuple[str, Callable[[GroupFigures, SimulationFigures], float | None], bool]:
    measure = MEASURES[key]
    return key, lambda group, it: measure.value(group, it.time_ns / S), measure.more


# Name, a group's value (None: it has none), whether more is better.
_METRICS: tuple[
    tuple[str, Callable[[GroupFigures, SimulationFigures], float | None], bool], ...
] = (
    *map(_measure, ("response_p50", "response_p95", "response_p99", "response_mean")),
    *map(_measure, ("completions", "turnaround_mean", "turnaround_p99")),
    ("delay_p50", lambda group, _: group.delay_p50_ns if group.wakeups else None, False),
    ("delay_p99", lambda group, _: group.delay_p99_ns if group.wakeups else None, False),
    ("makespan", lambda group, _: group.makespan_ns, False),
    ("completion", lambda group, _: group.mean_completion_ns, False),
    (
        "throughput",
        lambda group, it: group.cycles / it.time_ns if group.cycles and it.time_ns else None,
        True,
    ),
    ("fairness", lambda group, _: group.fairness, True),
)


def gains(candidate: SimulationFigures, default: SimulationFigures) -> dict[str, float]:
    """The predicted gain of each metric in percent: positive is better, 0 no difference.

    For the machine `gain_METRIC_percent` is the mean over its groups, by their tasks; for each
    group `gain_METRIC_percent[GROUP]`. A gain is relative to the default's value, so a delay that
    vanishes is 100; a loss is at most 1000. Metrics that one of the two lacks are left out.
    """
    found: dict[str, float] = {}
    for metric, value, more in _METRICS:
        rows = []
        for group in candidate.groups:
            ours, theirs = value(group, candidate), value(default.group(group.name), default)
            if ours is None or theirs is None:
                continue
            gain = _gain(ours, theirs, more)
            rows.append((gain, group.tasks))
            found[f"gain_{metric}_percent[{group.name}]"] = gain
        weight = sum(tasks for _, tasks in rows)
        if weight:
            mean = sum(gain * tasks for gain, tasks in rows) / weight
            found[f"gain_{metric}_percent"] = round(mean, 3)
    return found


def _gain(ours: float, theirs: float, more: bool) -> float:
    better = ours - theirs if more else theirs - ours
    if better == 0:
        return 0.0
    base = theirs or abs(better)
    return round(max(100.0 * better / base, -1000.0), 3)


@dataclass(frozen=True)
class Predicted:
    """One group under both, by its objective."""

    group: str
    objective: SimulatedObjective
    scored: tuple[Scored, ...]
    tasks: int

    @property
    def times(self) -> float | None:
        """How many times better the whole is."""
        return joint(self.scored)

    @property
    def lost(self) -> list[Scored]:
        """The figures that become worse by more than the model's error, or than a guard allows."""
        return [
            each
            for each in self.scored
            if each.times is not None
            and each.times < min(each.term.least, 1 / (1 + LOSS_PERCENT / 100))
        ]

    @property
    def said(self) -> str:
        return ", ".join(_in_words(each) for each in self.scored if each.times is not None)


def _in_words(each: Scored) -> str:
    measure = each.term.measure
    assert each.ours is not None
    assert each.theirs is not None
    ratio = each.ours / each.theirs if each.theirs else 1.0
    return (
        f"{measure.title} x{ratio:.2f} ({_amount(each.ours, measure.unit)} instead of "
        f"{_amount(each.theirs, measure.unit)})"
    )


def _amount(value: float, unit: str) -> str:
    if unit == "us":
        return f"{value / 1000:.3g} ms"
    return f"{value:.3g}{unit}" if unit in ("%", "") else f"{value:.3g} {unit}"


def predict(
    recorded: RecordedWorkload, candidate: SimulationFigures, default: SimulationFigures
) -> tuple[Predicted, ...]:
    """The prediction for each group, the workload in question first."""
    seconds = (candidate.time_ns / S, default.time_ns / S)
    found = []
    for ours in candidate.groups:
        theirs = default.group(ours.name)
        objective = recorded.objective_of(theirs)
        terms = scored(objective, ours, theirs, seconds)
        found.append(Predicted(ours.name, objective, terms, ours.tasks))
    return tuple(sorted(found, key=lambda each: each.group != recorded.group))


def _predicted_gain(recorded: RecordedWorkload, found: Sequence[Predicted]) -> dict[str, float]:
    """By the objective of the workload in question; else the mean of all groups, by their tasks."""
    wanted = [each for each in found if each.group == recorded.group] if recorded.group else found
    rows = [(percent(each.times), each.tasks) for each in wanted if each.times is not None]
    tasks = sum(count for _, count in rows)
    if not tasks:
        return {}
    gain = sum(max(each, -1000.0) * count for each, count in rows) / tasks
    return {"gain_objective_percent": round(gain, 3)}


def _told(
    recorded: RecordedWorkload, found: Sequence[Predicted], default: SimulationFigures
) -> tuple[Finding, ...]:
    """The prediction for the workload in question, and warnings about figures that become worse;
    for groups that are neither requested nor guarded only if they use the machine.
    """
    name = recorded.scenario.name
    said = [Finding(name, "note", each, "", "") for each in recorded.notes]
    asked = {recorded.group, *recorded.guards}
    used = WORTH_A_WORD * default.run_ns
    for each in found:
        if each.group == recorded.group and each.said:
            said.append(
                Finding(
                    recorded.scenario.name,
                    "note",
                    f"predicted for the group {each.group!r}, judged by "
                    f"`{each.objective.title}`: {each.said}",
                    "",
                    "",
                )
            )
        if each.lost and (each.group in asked or default.group(each.group).run_ns >= used):
            said.append(
                Finding(
                    recorded.scenario.name,
                    "warning",
                    f"for the group {each.group!r} it is predicted to become worse than under the "
                    f"default scheduler: {', '.join(map(_in_words, each.lost))}",
                    "this scheduler does not suit this workload, or not with these parameters",
                    "try other parameters or another scheduler; keep it if you accept this price",
                )
            )
    return tuple(said)


# ---- the run ----


def prove(
    source: Path,
    object: Path,
    parameters: Mapping[str, str],
    *,
    cache_folder: Path | None = None,
    recorded: RecordedWorkload | None = None,
    cpus: Sequence[int] = (),
    on_scenario: Callable[[str, int, int], None] | None = None,
    headers: Sequence[Path] = (),
    btf: Path = BTF,
    stressed: bool = True,
) -> StressVerdict:
    """Run a candidate through the stress set, through the scenarios of the resource controls that
    it has callbacks for, and through the recorded workload if there is one.

    Scenarios run in parallel processes; after a failure no further one is started, and the later
    ones in the set count as not run.

    Args:
        source: the candidate's C, from which `object` was built.
        parameters: global variables to set, as for the kernel.
        cpus: machine sizes on which to run the whole set as well (`stress_set`).
        recorded: a workload whose gain to predict; failing there fails the candidate, too.
        on_scenario: called after each scenario with its name, how many are done and how many
            there are.
        headers: files that the source includes by name from its own folder.
        stressed: with the stress set; else only the recorded workload.

    Raises:
        Fault: those of `build_native` and `simulate`, except faults about the candidate.
    """
    started = time.monotonic()
    stresses = stress_set(tuple(cpus)) if stressed else ()
    if any(_COUNTS_CPUS.search(name) for name in parameters):
        stresses = tuple(each for each in stresses if each.name not in _OTHER_SIZES)
    if stressed:
        stresses += control_set(STRESS_MACHINE, read_object_callbacks(object) or ())
    text = source.read_text("utf-8", "replace")
    with tempfile.TemporaryDirectory(prefix="schedpilot-proof-") as place:
        built = build_native(
            source, Path(place), headers=headers, btf=btf, cache_folder=cache_folder
        )
        seconds = {"build_seconds": built.seconds}
        if built.library is None:
            return StressVerdict(
                _unbuilt(built),
                {"scenarios": 0.0, "of": float(len(stresses)), "score": 0.0, **seconds},
            )
        candidate = NativeScheduler(built.library, object, tuple(sorted(parameters.items())))
        scenarios = list(stresses)
        if recorded is not None:
            scenarios.append(recorded.scenario)
        outcomes, ended = _run_all(candidate, scenarios, btf, cache_folder, on_scenario)
    recording = recorded.scenario if recorded else None
    stress = [each for each in outcomes if each.scenario is not recording]
    own = next((each for each in outcomes if each.scenario is recording), None)
    order = {scenario.name: at for at, scenario in enumerate(scenarios)}
    findings = [*ended]
    for each in outcomes:
        if each is own:
            own_findings = judge(each, text, source.name)
            findings += [found for found in own_findings if found.severity == "error"]
        else:
            findings += judge(each, text, source.name)
    findings = _merged(sorted(findings, key=lambda each: order.get(each.scenario, 0)))
    waits = [group.longest_wait_ns for each in outcomes for group in each.figures.groups]
    figures = {
        "scenarios": float(sum(_points(each) > 0 for each in outcomes)),
        "of": float(len(scenarios)),
        "score": round(score_of(stress, len(stresses)), 4),
        "longest_wait_ms": max(waits, default=0) / MS,
        "events": float(sum(each.figures.events for each in outcomes)),
        **seconds,
    }
    if recorded is not None and own is not None and own.figures.ejection is None:
        predicted = predict(recorded, own.figures, own.default)
        figures |= gains(own.figures, own.default) | _predicted_gain(recorded, predicted)
        told = _told(recorded, predicted, own.default)
        # Its own workload comes before the prediction for others.
        broken = [each for each in findings if each.severity == "error"]
        findings = [*broken, *told, *(each for each in findings if each not in broken)]
    figures["seconds"] = time.monotonic() - started
    return StressVerdict(tuple(findings), figures)


def _unbuilt(built: NativeBuild) -> tuple[Finding, ...]:
    found = [
        Finding(
            "native build",
            "error",
            each.message,
            "the simulator lacks something that this scheduler uses"
            if built.not_modelled
            else "the source compiles for BPF and not for this machine",
            each.hint or "keep to what <scx/common.bpf.h> offers",
            each.file or None,
            each.line or None,
        )
        for each in built.diagnostics
        if each.severity == "error"
    ]
    none = Finding("native build", "error", "clang gave no reason", "", "build it by hand")
    return tuple(found) or (none,)


def _merged(findings: Sequence[Finding]) -> list[Finding]:
    """Each defect once, with the scenario that showed it first; a hotplug restart, too."""
    seen: dict[tuple[str, str, int | None], Finding] = {}
    for each in findings:
        key = (each.severity, each.cause + each.fix, each.line)
        if key not in seen:
            seen[key] = each
        elif each.severity == "error" and each.scenario not in seen[key].scenario.split(", "):
            first = seen[key]
            seen[key] = replace(first, scenario=f"{first.scenario}, {each.scenario}")
    return sorted(seen.values(), key=lambda each: ("error", "warning", "note").index(each.severity))


def _run_all(
    candidate: NativeScheduler,
    scenarios: Sequence[Scenario],
    btf: Path,
    cache_folder: Path | None,
    on_scenario: Callable[[str, int, int], None] | None,
) -> tuple[list[ScenarioOutcome], list[Finding]]:
    """The outcomes in the order of the scenarios, and the reasons of simulations
    without figures.
    """
    found: dict[str, ScenarioOutcome] = {}
    broken: dict[str, Finding] = {}

    stop = threading.Event()

    def one(scenario: Scenario) -> ScenarioOutcome | Finding | None:
        if stop.is_set():
            return None
        try:
            # The default first: if that cannot be run, it is not the candidate's fault.
            default = _by_default(scenario, btf, cache_folder)
        except Fault:
            stop.set()
            raise
        try:
            figures = simulate(
                candidate, scenario, btf=btf, cache_folder=cache_folder, limit_s=SCENARIO_LIMIT_S
            )
        except Fault as fault:
            stop.set()
            if fault.type in (FaultType.CHILD_FAILED, FaultType.TIMEOUT):
                return _broke(scenario, fault)
            raise
        outcome = ScenarioOutcome(scenario, figures, default)
        if _fatal(outcome):
            stop.set()
        return outcome

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        futures = {pool.submit(one, scenario): scenario for scenario in scenarios}
        for future in as_completed(futures):
            name, result = futures[future].name, future.result()
            if result is None:
                continue
            if isinstance(result, ScenarioOutcome):
                found[name] = result
            else:
                broken[name] = result
            if on_scenario:
                on_scenario(name, len(found) + len(broken), len(scenarios))
    return _up_to_the_first(scenarios, found, broken)


def _by_default(scenario: Scenario, btf: Path, cache_folder: Path | None) -> SimulationFigures:
    """The kernel's own scheduler in that scenario; the answer is always the same, and kept."""
    engine = engine_for(btf, cache_folder=cache_folder)
    name = digest(str(engine.program), scenario.text())
    path = cache.folder(cache_folder) / _DEFAULTS / f"{name}.json"
    try:
        return SimulationFigures.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        pass
    figures = simulate(None, scenario, btf=btf, cache_folder=cache_folder)
    cache.write(path, figures.model_dump_json().encode())
    cache.prune(path.parent, keep=_DEFAULTS_KEPT)
    return figures


def _fatal(outcome: ScenarioOutcome) -> bool:
    return any(each.severity == "error" for each in judge(outcome))


def _up_to_the_first(
    scenarios: Sequence[Scenario],
    found: Mapping[str, ScenarioOutcome],
    broken: Mapping[str, Finding],
) -> tuple[list[ScenarioOutcome], list[Finding]]:
    """The outcomes before the first failure in the order of the set, and that failure.

    Which others had ended by then is random, and the answer must not depend on it. They are started
    in order, so all before it have ended.
    """
    outcomes: list[ScenarioOutcome] = []
    for scenario in scenarios:
        if scenario.name in broken:
            return outcomes, [broken[scenario.name]]
        outcomes.append(found[scenario.name])
        if _fatal(outcomes[-1]):
            break
    return outcomes, []


def _broke(scenario: Scenario, fault: Fault) -> Finding:
    if fault.type is FaultType.TIMEOUT:
        message = f"the simulation did not end within {SCENARIO_LIMIT_S:.0f} s"
    else:
        message = f"the simulation ended without an answer: {fault.why or fault.what}"
    if known := explain_message(fault.why):
        return Finding(scenario.name, "error", message, known.cause, known.fix)
    return Finding(
        scenario.name,
        "error",
        message,
        "the simulation ended without figures: the scheduler's code took too long or too much "
        "memory, or wrote where it may not",
        fault.hint or "look for loops without a bound and wild pointers",
    )
