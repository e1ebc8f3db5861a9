# SPDX-License-Identifier: GPL-2.0-or-later
"""Workloads written for rt-app, as far as steps can express them.

The grammar is that of rt-app's doc/tutorial.txt: JSON with comments, in which the order of keys is
the order of events and a key may occur several times. An unsupported feature is a fault that names
the key; a feature that is simulated differently gives a note.
"""

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from process import Fault, FaultType
from simulator.scenario import (
    MAX_STEPS,
    US,
    Affine,
    Enter,
    Fork,
    Lock,
    Policy,
    Renice,
    Repeat,
    Run,
    S,
    Scenario,
    SimulatedMachine,
    Sleep,
    Step,
    Task,
    Unlock,
    Wait,
    Wake,
    Yield,
)
from simulator.traces.replay import ReplayedTrace, group_names, note_of_cgroups, places_of
from simulator.traces.text import lines_of

MAX_BYTES = 4 << 20
MAX_INSTANCES = 1000
MAX_BARRIER = 64
# Duration of a workload without an end of its own, seconds.
USUAL_DURATION_S = 10
# Maximum nesting depth; the grammar needs four.
MAX_DEPTH = 16

# An object with its keys in order, possibly repeated.
Pairs = list[tuple[str, object]]


class _Object(list[tuple[str, object]]):
    """A JSON object as pairs; `get` returns the last value of a key."""

    def get(self, key: str, default: object = None) -> object:
        return next((value for name, value in reversed(self) if name == key), default)


# These concern only rt-app itself: logs, memory, calibration.
_IGNORED_GLOBALS = frozenset(
    [
        "calibration",
        "ftrace",
        "gnuplot",
        "logdir",
        "log_basename",
        "log_size",
        "lock_pages",
        "frag",
        "io_device",
        "mem_buffer_size",
        "cumulative_slack",
        "pi_enabled",
        "gnuplot_opts",
    ]
)
# The settings of a task and each of its phases, beside its events.
_SETTINGS = ("policy", "priority", "cpus", "taskgroup")
_TASK_KEYS = frozenset([*_SETTINGS, "instance", "delay", "loop", "phases"])
# Settings that have no effect here, and the note for each.
_PASSED_OVER = {
    "util_min": "utilisation clamps (util_min, util_max) are ignored: there are no frequencies",
    "nodes_membind": "nodes_membind is ignored: memory is equally near to all CPUs",
    "dl-runtime": "slices that tasks ask for themselves (dl-runtime) are ignored",
}
_PASSED_OVER["util_max"] = _PASSED_OVER["util_min"]
_PASSED_OVER["dl-period"] = _PASSED_OVER["dl-deadline"] = _PASSED_OVER["dl-runtime"]
_EVENTS = [
    "runtime",
    "run",
    "sleep",
    "timer",
    "lock",
    "unlock",
    "wait",
    "signal",
    "broad",
    "sync",
    "barrier",
    "suspend",
    "resume",
    "fork",
    "yield",
    "sem_post",
    "sem_wait",
    "memrun",
    "mem",
    "iorun",
]
# Tasks that take part in these need each other.
_TOGETHER = frozenset(
    [
        "wait",
        "signal",
        "broad",
        "sync",
        "barrier",
        "suspend",
        "resume",
        "fork",
        "sem_post",
        "sem_wait",
    ]
)
_EVENT_REFUSED = {
    "memrun": "the simulator has no memory traffic; give its time with `run`",
    "mem": "the simulator has no memory traffic; give its time with `run`",
    "iorun": "the simulator has no devices; give the time with `sleep`",
}


def _bad(where: str, what: str, why: str = "", hint: str = "") -> Fault:
    return Fault(FaultType.BAD_REQUEST, what, where=where, why=why, hint=hint)


@dataclass(frozen=True)
class _Event:
    """`kind` is one of rt-app's events without its suffix; `value` in µs, or the name that it
    takes.

    `mutex` is that of a condition, `freed` are those that are released while it waits.
    """

    kind: str
    key: str
    value: object
    mutex: str = ""
    freed: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Settings:
    """How a task, or one of its phases, is scheduled; None if not given."""

    policy: str | None = None
    priority: int | None = None
    cpus: tuple[int, ...] = ()
    taskgroup: str | None = None
    passed_over: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Phase:
    events: tuple[_Event, ...]
    loop: int
    settings: _Settings


@dataclass(frozen=True)
class _Described:
    """One task of the text. `where` names it in faults; `policy` is its first one."""

    name: str
    where: str
    phases: tuple[_Phase, ...]
    loop: int
    instances: int
    delay_us: int
    policy: str
    settings: _Settings

    @property
    def events(self) -> Iterator[_Event]:
        for phase in self.phases:
            yield from phase.events

    @property
    def workload(self) -> str:
        """Its cgroup as everywhere in schedpilot, else its name."""
        return f"cgroup:{path}" if (path := self.settings.taskgroup) else self.name

    @property
    def cgroups(self) -> set[str]:
        """Every workload that it is ever in."""
        said = [self.settings, *(phase.settings for phase in self.phases)]
        return {f"cgroup:{each.taskgroup}" for each in said if each.taskgroup}

    @property
    def named_cpus(self) -> Iterator[int]:
        for each in (self.settings, *(phase.settings for phase in self.phases)):
            yield from each.cpus

    def names(self) -> list[str]:
        """The workloads of its instances."""
        if self.instances <= 1:
            return [self.name]
        return [f"{self.name}-{number}" for number in range(self.instances)]


@dataclass(frozen=True)
class RtApp:
    """A workload for rt-app, read and checked."""

    where: str
    described: tuple[_Described, ...]
    duration_s: int
    notes: tuple[str, ...]

    def machine(self, base: SimulatedMachine, cpus: int = 0) -> SimulatedMachine:
        """`base`, with the requested CPUs, or as many as the text names."""
        named = [cpu for task in self.described for cpu in task.named_cpus]
        return replace(base, cpus=cpus or max([base.cpus, *(cpu + 1 for cpu in named)]), llc_cpus=0)

    def replay(self, machine: SimulatedMachine, seed: int) -> ReplayedTrace:
        """The workload as a scenario.

        Raises:
            Fault: BAD_REQUEST if steps cannot express it, or it names CPUs that do not exist.
        """
        duration_ns = (self.duration_s if self.duration_s > 0 else USUAL_DURATION_S) * S
        for task in self.described:
            for cpu in task.named_cpus:
                if cpu >= machine.cpus:
                    raise _bad(
                        f"{task.where}.cpus",
                        f"there is no CPU {cpu} in the simulated machine",
                        f"it has {machine.cpus}",
                        "give more with --cpus",
                    )
        described, left_out = _ordinary(self.described)
        described = _locked(described)
        groups = group_names(dict.fromkeys(task.workload for task in described))
        places = places_of(sorted(set().union(*(task.cgroups for task in described))))
        if places.too_many:
            raise _bad(
                f"{self.where}: tasks", "a taskgroup lies too deep, or there are too many of them"
            )
        writer = _Writer(described, duration_ns, groups, places.of)
        tasks = tuple(task for each in described for task in writer.tasks(each))
        scenario = Scenario(
            "rt-app", tasks, machine, duration_ns=duration_ns, seed=seed, cgroups=places.cgroups
        )
        notes = [*self.notes, *left_out, *_notes(described), *writer.notes]
        notes += note_of_cgroups(tasks)
        return ReplayedTrace(scenario, {name: id for id, name in groups.items()}, tuple(notes))


class _Writer:
    """Turns the description into steps; knows who waits for what."""

    def __init__(
        self,
        described: Sequence[_Described],
        duration_ns: int,
        groups: Mapping[str, str],
        places: Mapping[str, str],
    ) -> None:
        self._duration_ns = duration_ns
        self._groups, self._places = groups, places
        self._tasks = {task.name: task for task in described}
        self._all = {name: task for task in described for name in task.names()}
        self._waiters: dict[str, list[str]] = {}
        self._barriers: dict[str, list[str]] = {}
        for task in described:
            for event in task.events:
                known = self._barriers if event.kind == "barrier" else self._waiters
                if event.kind in ("wait", "sync", "barrier", "sem_wait"):
                    names = known.setdefault(_resource(event), [])
                    names += [each for each in task.names() if each not in names]
        self.notes: list[str] = []

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def tasks(self, task: _Described) -> Iterator[Task]:
        for name in task.names():
            yield Task(
                group=self._groups[task.workload],
                steps=tuple(self._steps(task, name)),
                name=name,
                comm=name[:15],
                nice=task.settings.priority or 0,
                policy=_ORDINARY[task.policy],
                cpus=task.settings.cpus,
                # A task without instances exists to be forked.
                start_ns=task.delay_us * US if task.instances > 0 else None,
                cgroup=self._places.get(task.workload, "/"),
            )

    def _steps(self, task: _Described, name: str) -> list[Step]:
        alone = len(task.phases) == 1
        steps: list[Step] = []
        if not task.loop:
            return [Run(0)]
        # Where it comes from: the task's own affinity, and the last phase's in a later round.
        before = {task.settings.cpus}
        if task.loop != 1:
            before.add(task.phases[-1].settings.cpus or task.settings.cpus)
        for phase in task.phases:
            once = self._phase(task, phase, name)
            cpus = phase.settings.cpus or task.settings.cpus
            if before != {cpus}:
                steps.append(Affine(cpus))
            before = {cpus}
            steps += _set(phase.settings, self._places)
            if alone:
                steps += once
                break
            steps += once * self._times(phase.loop, once, task)
            if len(steps) > MAX_STEPS - 1:
                raise _bad(
                    f"{task.where}.phases",
                    "its phases have too many steps",
                    f"more than {MAX_STEPS} with their loops",
                    "loop the whole task instead of a phase",
                )
        loop = task.loop
        if alone:
            inner = task.phases[0].loop
            loop = -1 if inner <= 0 or task.loop < 0 else inner * task.loop
        if not steps:
            raise _bad(task.where, "it does nothing", hint="give it events, such as `run`")
        if loop != 1:
            if not any(isinstance(each, Wait) or getattr(each, "ns", 0) for each in steps):
                # Nothing else would ever happen again.
                steps.insert(0, Run(US))
                self._note("rounds that take no time of their own are simulated as taking 1 µs")
            steps.append(Repeat(max(0, loop)))
        return steps

    def _times(self, loop: int, once: Sequence[Step], task: _Described) -> int:
        """How often a phase among others runs; an endless one (0, too) lasts as long as the run."""
        if loop > 0:
            return loop
        length = sum(step.ns for step in once if isinstance(step, Run | Sleep))
        if not length:
            raise _bad(
                f"{task.where}.phases",
                "a phase that takes no time of its own repeats for ever",
                hint="give it a `run` or a `sleep`, or a number of loops",
            )
        return self._duration_ns // length + 1

    def _phase(self, task: _Described, phase: _Phase, name: str) -> list[Step]:
        steps: list[Step] = []
        worked_ns = 0
        for event in phase.events:
            where = f"{task.where}.{event.key}"
            match event.kind:
                case "run" | "runtime":
                    length = int(str(event.value)) * US
                    worked_ns += length
                    steps.append(Run(length))
                case "sleep":
                    length = int(str(event.value)) * US
                    worked_ns += length
                    steps.append(Sleep(length))
                case "timer":
                    assert isinstance(event.value, tuple)
                    left = event.value[1] * US - worked_ns
                    worked_ns = 0
                    if left > 0:
                        steps.append(Sleep(left))
                    self._note(
                        "timers: a task sleeps for the period less its own work since the last; "
                        "waiting for a CPU makes the period longer"
                    )
                case "wait" | "suspend" | "sem_wait":
                    steps += _waiting(event)
                case "signal" | "broad" | "sem_post":
                    steps += self._signal(event, name, where)
                case "sync":
                    steps += (*self._signal(event, name, where), *_waiting(event))
                case "barrier":
                    steps += self._barrier(event, name, where)
                case "resume":
                    steps += self._resume(str(event.value), name, where)
                case "lock":
                    steps.append(Lock(str(event.value)))
                case "unlock":
                    steps.append(Unlock(str(event.value)))
                case "yield":
                    steps.append(Yield())
                case "fork":
                    forked = self._named(str(event.value), where)
                    steps.append(Fork(forked[0]))
        return steps

    def _signal(self, event: _Event, name: str, where: str) -> list[Step]:
        waiters = [each for each in self._waiters.get(_resource(event), []) if each != name]
        if event.kind != "broad" and len(waiters) > 1:
            raise _bad(
                where,
                f"{event.kind} wakes one of {len(waiters)} tasks that wait, and it does not say "
                "which",
                hint="use broad, or a condition of its own for each",
            )
        if event.kind != "sem_post":
            self._note("conditions: a signal that nobody waits for yet is kept, and not lost")
        return [Wake(each) for each in waiters]

    def _barrier(self, event: _Event, name: str, where: str) -> list[Step]:
        others = [each for each in self._barriers[_resource(event)] if each != name]
        if len(others) >= MAX_BARRIER:
            raise _bad(where, f"more than {MAX_BARRIER} tasks meet at this barrier")
        if len(others) > 1:
            self._note(
                "barriers of more than two: a task that is a whole round ahead counts for one "
                "that is late"
            )
        # Tells all others that it is here, and waits for each of theirs.
        return [*(Wake(each) for each in others), *(Wait() for _ in others)]

    def _resume(self, named: str, name: str, where: str) -> Iterator[Step]:
        """Wakes every instance of the task that suspends; or all that suspend under that name."""
        suspending = [
            (each, str(event.value))
            for each, task in self._all.items()
            for event in task.events
            if event.kind == "suspend"
        ]
        if named in self._tasks or named in self._all:
            own = set(self._named(named, where))
            woken = [each for each, _ in suspending if each in own]
            if not woken:
                self._note(f"`resume` of {named!r} wakes nobody: that task never suspends")
        else:
            woken = [each for each, by in suspending if by == named]
            if not woken:
                self._named(named, where)
            self._note(
                f"`resume` of {named[:40]!a} wakes all that suspend under that name, since no "
                "task has it; newer versions of rt-app would wake nobody"
            )
        self._note("a `resume` that nobody waits for yet is kept, and not lost")
        yield from (Wake(each) for each in dict.fromkeys(woken) if each != name)

    def _named(self, name: str, where: str) -> list[str]:
        """The instances of that task, or the one instance."""
        if name in self._tasks:
            return self._tasks[name].names()
        if name in self._all:
            return [name]
        nearest = difflib.get_close_matches(name, [*self._tasks, *self._all], n=1)
        raise _bad(
            where,
            f"there is no task {name[:40]!a}",
            hint=f"did you mean {nearest[0]!r}?" if nearest else "name one of `tasks`",
        )


def _waiting(event: _Event) -> Iterator[Step]:
    yield from (Unlock(name) for name in event.freed)
    yield Wait()
    yield from (Lock(name) for name in event.freed)


def _set(said: _Settings, places: Mapping[str, str]) -> Iterator[Step]:
    """The settings at the start of a phase, before its events, which stay after it."""
    if said.priority is not None:
        yield Renice(said.priority)
    if said.taskgroup is not None:
        yield Enter(places.get(f"cgroup:{said.taskgroup}", "/"))


def _resource(event: _Event) -> str:
    """What it waits for or releases; a semaphore is never one of the conditions,
    whatever its name.
    """
    return f"{'sem' if event.kind.startswith('sem_') else ''}:{event.value}"


def _ordinary(
    described: Sequence[_Described],
) -> tuple[tuple[_Described, ...], list[str]]:
    """Without the real-time tasks, with a note about that.

    Raises:
        Fault: BAD_REQUEST if others need them, or there is nothing else.
    """
    above = [task for task in described if task.policy not in _ORDINARY]
    kept = tuple(task for task in described if task.policy in _ORDINARY)
    named = {
        str(event.value).rpartition("-")[0] or str(event.value)
        for task in kept
        for event in task.events
        if event.kind in ("fork", "resume")
    } | {str(e.value) for t in kept for e in t.events if e.kind in ("fork", "resume")}
    for task in above:
        needed = task.name in named or any(event.kind in _TOGETHER for event in task.events)
        if needed or not kept:
            raise _bad(
                f"{task.where}.policy",
                f"`{task.policy}` cannot be simulated",
                "a loaded scheduler gets SCHED_OTHER, SCHED_BATCH and SCHED_IDLE"
                + ("; and others wait for this task" if needed else ""),
            )
    if not above:
        return kept, []
    count = sum(max(1, task.instances) for task in above)
    names = ", ".join(sorted({task.policy for task in above}))
    return kept, [
        f"{count} real-time tasks ({names}) are left out, with the CPU time that they take: no "
        "loaded scheduler gets them"
    ]


def _notes(described: Sequence[_Described]) -> list[str]:
    """Notes about settings that are simulated differently."""
    settings = [each for t in described for each in (t.settings, *(p.settings for p in t.phases))]
    found = {_PASSED_OVER[key]: None for each in settings for key in each.passed_over}
    for task in described:
        if any(phase.settings.policy not in (None, task.policy) for phase in task.phases):
            found["a task keeps its first policy, whatever its phases say"] = None
        sources = {
            "suspend" if event.kind == "suspend" else _resource(event)
            for event in task.events
            if event.kind in ("wait", "sync", "barrier", "suspend", "sem_wait")
        }
        if len(sources) > 1:
            found[
                "a task that waits for several things takes the first wakeup for the one that it "
                "waits for"
            ] = None
        timers = {str(event.value[0]) for event in task.events if isinstance(event.value, tuple)}
        if task.instances > 1 and any(not each.startswith("unique") for each in timers):
            found["timers that instances of a task share are simulated as one for each"] = None
    return list(found)


# Takes no time of its own, or releases the mutex during it.
_AROUND_A_CONDITION = ("wait", "signal", "broad", "sync")


def _locked(described: Sequence[_Described]) -> tuple[_Described, ...]:
    """Without the mutexes that have no effect: those of one task alone, and those that only
    surround a condition.

    Raises:
        Fault: BAD_REQUEST if a task keeps one that others wait for.
    """
    users: Counter[str] = Counter()
    for task in described:
        mine = {str(event.value) for event in task.events if event.kind == "lock"}
        users.update({name: max(1, task.instances) for name in mine})
    worked = {name for task in described for name in _worked_under(task) if users[name] > 1}
    for task in described:
        if kept := _kept_at_the_end(task) & worked:
            raise _bad(
                task.where,
                f"it keeps the lock {min(kept)[:40]!a} for good, and others wait for it",
                hint="release it: `unlock`",
            )
    return tuple(_with_locks(task, worked) for task in described)


def _worked_under(task: _Described) -> set[str]:
    """Mutexes that it holds while time passes."""
    found: set[str] = set()
    held: set[str] = set()
    for event in task.events:
        if event.kind == "lock":
            held.add(str(event.value))
        elif event.kind == "unlock":
            held.discard(str(event.value))
        elif event.kind not in _AROUND_A_CONDITION:
            found |= held
    return found


def _kept_at_the_end(task: _Described) -> set[str]:
    held: set[str] = set()
    for event in task.events:
        if event.kind == "lock":
            held.add(str(event.value))
        elif event.kind == "unlock":
            held.discard(str(event.value))
    return held


def _with_locks(task: _Described, names: set[str]) -> _Described:
    """Only these mutexes remain.

    If a holder locks one again, or one is released by a task without it, that is an error in
    rt-app, and ignored here.
    """
    held: set[str] = set()
    phases: list[_Phase] = []
    for phase in task.phases:
        kept: list[_Event] = []
        for event in phase.events:
            name = str(event.value)
            if event.kind == "lock":
                if name in names and name not in held:
                    held.add(name)
                    kept.append(event)
            elif event.kind == "unlock":
                if name in held:
                    held.remove(name)
                    kept.append(event)
            elif event.kind in ("wait", "sync"):
                # A task that waits for a condition releases the mutex meanwhile.
                free = [each for each in sorted(held) if event.mutex in ("", each)]
                kept.append(replace(event, freed=tuple(free)))
            else:
                kept.append(event)
        phases.append(replace(phase, events=tuple(kept)))
    return replace(task, phases=tuple(phases))


# ---------------------------------------------------------------- reading


def _without_comments(text: str) -> str:
    """Comments become blanks, so that positions stay the same; strings are kept."""

    def blank(match: re.Match[str]) -> str:
        found = match[0]
        return found if found.startswith('"') else re.sub(r"[^\n]", " ", found)

    return re.sub(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', blank, text, flags=re.DOTALL)


def _load(text: str, where: str) -> _Object:
    plain = _without_comments(text)
    # rt-app's own examples have commas before a closing brace.
    plain = re.sub(r",(\s*[}\]])", r" \1", plain)
    # And events without a value, which its workgen fills in.
    plain = re.sub(r'([{,]\s*"(?:suspend|yield)\w*")(?=\s*[,}])', r'\1: ""', plain)
    try:
        found = json.loads(plain, object_pairs_hook=_Object)
    except json.JSONDecodeError as error:
        raise _bad(
            f"{where}, line {error.lineno}, column {error.colno}", "this is not JSON", error.msg
        ) from None
    except (RecursionError, ValueError):
        raise _bad(where, "this is not JSON for rt-app", "it nests too deeply") from None
    if not isinstance(found, _Object):
        raise _bad(where, "this is not JSON for rt-app", "it is not an object")
    return found


def _integer(value: object, where: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise _bad(where, f"{ascii(value)[:40]} is out of bounds", f"it has to be {low} to {high}")
    return value


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or len(value) > 256:
        raise _bad(where, "a name is expected here")
    return value


def _cpus(value: object, where: str) -> tuple[int, ...]:
    if not isinstance(value, list) or isinstance(value, _Object):
        raise _bad(where, "a list of CPUs is expected here", hint="such as [0, 1]")
    return tuple(_integer(cpu, where, 0, 255) for cpu in value)


def _unknown(key: str, where: str, known: Sequence[str], refused: dict[str, str]) -> Fault:
    if key in refused:
        return _bad(f"{where}.{key}", f"`{key}` cannot be simulated", refused[key])
    nearest = difflib.get_close_matches(key, known, n=1)
    return _bad(
        f"{where}.{key}",
        f"`{ascii(key[:40])[1:-1]}` is not known here",
        hint=f"did you mean {nearest[0]!r}?" if nearest else "see rt-app's doc/tutorial.txt",
    )


def _event(key: str, value: object, where: str) -> _Event:
    """One event; a key may have a suffix, by which users distinguish several."""
    kind = next((each for each in _EVENTS if key.startswith(each)), None)
    if kind is None or kind in _EVENT_REFUSED:
        raise _unknown(kind or key, where, _EVENTS, _EVENT_REFUSED)
    here = f"{where}.{key}"
    longest_us = 3_600_000_000
    if kind in ("run", "runtime", "sleep"):
        return _Event(kind, key, _integer(value, here, 0, longest_us))
    if kind == "timer":
        if not isinstance(value, _Object):
            raise _bad(here, "a timer is an object", hint='{"ref": "unique", "period": 10000}')
        period = _integer(value.get("period"), f"{here}.period", 1, longest_us)
        return _Event(kind, key, (_text(value.get("ref", ""), f"{here}.ref"), period))
    if kind in ("wait", "sync") and isinstance(value, _Object):
        mutex = _text(value.get("mutex", ""), f"{here}.mutex")
        return _Event(kind, key, _text(value.get("ref"), f"{here}.ref"), mutex)
    return _Event(kind, key, _text(value, here))


def _phase(said: object, where: str) -> _Phase:
    if not isinstance(said, _Object):
        raise _bad(where, "a phase is an object")
    events = [
        _event(key, value, where)
        for key, value in said
        if key not in (*_SETTINGS, *_PASSED_OVER, "loop")
    ]
    loop = _integer(said.get("loop", 1), f"{where}.loop", -1, 1 << 31)
    return _Phase(tuple(events), loop, _settings(said, where))


_ORDINARY = {
    "SCHED_OTHER": Policy.NORMAL,
    "SCHED_BATCH": Policy.BATCH,
    "SCHED_IDLE": Policy.IDLE,
}
_REAL_TIME = ("SCHED_FIFO", "SCHED_RR", "SCHED_DEADLINE")
# rt-app's older names for settings of SCHED_DEADLINE.
_DEADLINE = ("period", "deadline")


def _policy(value: object, where: str) -> str:
    """A policy by rt-app's name."""
    known = (*_ORDINARY, *_REAL_TIME)
    if value in known:
        return str(value)
    nearest = difflib.get_close_matches(str(value)[:40], known, n=1)
    raise _bad(
        where,
        f"`{ascii(value)[:40]}` is not a policy of rt-app",
        hint=f"did you mean {nearest[0]!r}?" if nearest else f"there are: {', '.join(known)}",
    )


def _settings(said: _Object, where: str, default: str | None = None) -> _Settings:
    """The settings of a task or a phase. `default` is the policy of a task; None for a phase."""
    policy = said.get("policy")
    policy = default if policy is None else _policy(policy, f"{where}.policy")
    priority, group = said.get("priority"), said.get("taskgroup")
    low, high = (0, 99) if policy in _REAL_TIME else (-20, 19)
    if default is None and policy in _REAL_TIME:
        raise _bad(
            f"{where}.policy",
            f"`{policy}` of a phase cannot be simulated",
            "a loaded scheduler gets SCHED_OTHER, SCHED_BATCH and SCHED_IDLE",
        )
    return _Settings(
        policy,
        None if priority is None else _integer(priority, f"{where}.priority", low, high),
        _cpus(said.get("cpus", []), f"{where}.cpus"),
        None if group is None else _taskgroup(_text(group, f"{where}.taskgroup")),
        tuple(key for key, _ in said if key in _PASSED_OVER),
    )


def _taskgroup(path: str) -> str:
    """As a path of a cgroup; empty for none."""
    parts = [part for part in path.split("/") if part]
    return f"/{'/'.join(parts)}" if parts else ""


def _described(name: str, said: object, default: str, where: str) -> _Described:
    place = f"{where}.{name}"
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", name):
        raise _bad(
            where,
            f"{name[:40]!a} is not a name for a task",
            hint="letters, digits, `_`, `.` and `-`, 40 at the most",
        )
    if not isinstance(said, _Object):
        raise _bad(place, "a task is an object")
    own = _settings(said, place, default)
    deadline = _DEADLINE if own.policy == "SCHED_DEADLINE" else ()
    phases: list[_Phase] = []
    direct: Pairs = []
    for key, value in said:
        if key == "phases":
            if not isinstance(value, _Object):
                raise _bad(f"{place}.phases", "phases are an object")
            phases += (_phase(each, f"{place}.phases.{key}") for key, each in value)
        elif key not in (*_TASK_KEYS, *_PASSED_OVER, *deadline):
            direct.append((key, value))
    if direct:
        if phases:
            raise _bad(place, "a task has events or phases, and not both")
        phases = [_phase(_Object(direct), place)]
    return _Described(
        name=name,
        where=place,
        phases=tuple(phases),
        loop=_integer(said.get("loop", -1), f"{place}.loop", -1, 1 << 31),
        instances=_integer(said.get("instance", 1), f"{place}.instance", 0, MAX_INSTANCES),
        delay_us=_integer(said.get("delay", 0), f"{place}.delay", 0, 3_600_000_000),
        policy=own.policy or default,
        settings=own,
    )


def read_rtapp(path: Path) -> RtApp:
    """A workload written for rt-app.

    Raises:
        Fault: NOT_FOUND, TOO_LARGE, or BAD_REQUEST that names the key.
    """
    where = str(path)
    raw = b"".join(lines_of(path, most_bytes=MAX_BYTES, longest=MAX_BYTES))
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise _bad(where, "this is not UTF-8 text", f"byte {error.start}") from None
    depth = _depth(text)
    if depth > MAX_DEPTH:
        raise _bad(where, "this is not JSON for rt-app", f"it nests {depth} deep")
    whole = _load(text, where)
    for key, _ in whole:
        if key not in ("global", "tasks", "resources"):
            raise _unknown(key, where, ["global", "tasks"], {})
    about, tasks = whole.get("global", _Object()), whole.get("tasks")
    if not isinstance(about, _Object) or not isinstance(tasks, _Object) or not tasks:
        raise _bad(f"{where}: tasks", "there are no tasks", hint='"tasks": {"name": {…}}')
    default, duration = "SCHED_OTHER", -1
    for key, value in about:
        if key == "default_policy":
            default = _policy(value, f"{where}: global.default_policy")
        elif key == "duration":
            duration = _integer(value, f"{where}: global.duration", -1, 3600)
        elif key not in _IGNORED_GLOBALS:
            raise _unknown(key, f"{where}: global", ["duration", "default_policy"], {})
    described = tuple(_described(name, each, default, f"{where}: tasks") for name, each in tasks)
    if len({each.name for each in described}) != len(described):
        raise _bad(f"{where}: tasks", "two tasks have the same name")
    notes = () if duration > 0 else (f"without an end: the first {USUAL_DURATION_S} s of it",)
    return RtApp(where, described, duration, notes)


def _depth(text: str) -> int:
    """How deeply brackets nest outside of strings and comments."""
    deepest = depth = 0
    for each in re.findall(
        r"[{}\[\]]", re.sub(r'"(?:\\.|[^"\\\n])*"', "", _without_comments(text))
    ):
        depth += 1 if each in "{[" else -1
        deepest = max(deepest, depth)
    return deepest
