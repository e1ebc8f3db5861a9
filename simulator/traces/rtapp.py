# SPDX-License-Identifier: GPL-2.0-only
"""Workloads written for rt-app, as far as steps can say them.

The grammar is that of rt-app's doc/tutorial.txt: JSON with comments, in which the order of
keys is the order of what happens and a key may come several times. What cannot be said is a
fault that names the key.
"""

import difflib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from process import Fault, FaultType
from simulator.scenario import (
    MAX_STEPS,
    US,
    Affine,
    Fork,
    Machine,
    Repeat,
    Run,
    S,
    Scenario,
    Sleep,
    Step,
    Task,
    Wait,
    Wake,
    Yield,
)
from simulator.traces.replay import Replay
from simulator.traces.text import lines_of

MAX_BYTES = 4 << 20
MAX_INSTANCES = 1000
MAX_BARRIER = 64
# Of a workload without an end of its own, seconds.
USUAL_DURATION_S = 10
# How one text may nest; the grammar needs four.
MAX_DEPTH = 16

# An object with its keys in order, some of them perhaps more than once.
Pairs = list[tuple[str, object]]


class _Object(list[tuple[str, object]]):
    """A JSON object as pairs; `get` gives the last of a key."""

    def get(self, key: str, default: object = None) -> object:
        return next((value for name, value in reversed(self) if name == key), default)


# Only about rt-app's own work: logs, memory, calibration.
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
_TASK_KEYS = frozenset(
    ["policy", "priority", "cpus", "instance", "delay", "loop", "phases", "taskgroup"]
)
_TASK_REFUSED = {
    "dl-runtime": "the simulator has no SCHED_DEADLINE",
    "dl-period": "the simulator has no SCHED_DEADLINE",
    "dl-deadline": "the simulator has no SCHED_DEADLINE",
    "util_min": "the simulator has no utilisation clamps",
    "util_max": "the simulator has no utilisation clamps",
    "nodes_membind": "the simulator has no NUMA memory",
}
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
    "mem",
    "iorun",
]
_EVENT_REFUSED = {
    "mem": "the simulator has no memory traffic; say the time it takes with `run`",
    "iorun": "the simulator has no devices; say the time it takes with `sleep`",
}


def _bad(where: str, what: str, why: str = "", hint: str = "") -> Fault:
    return Fault(FaultType.BAD_REQUEST, what, where=where, why=why, hint=hint)


@dataclass(frozen=True)
class _Event:
    """`kind` is one of rt-app's events without its suffix; `value` in µs, or the name it takes."""

    kind: str
    key: str
    value: object


@dataclass(frozen=True)
class _Phase:
    events: tuple[_Event, ...]
    loop: int
    cpus: tuple[int, ...]


@dataclass(frozen=True)
class _Described:
    """One task of the text. `where` names it in faults."""

    name: str
    where: str
    phases: tuple[_Phase, ...]
    loop: int
    instances: int
    delay_us: int
    nice: int
    cpus: tuple[int, ...]
    group: str

    @property
    def events(self) -> Iterator[_Event]:
        for phase in self.phases:
            yield from phase.events

    def names(self) -> list[str]:
        """Those of its instances."""
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

    def machine(self, base: Machine, cpus: int = 0) -> Machine:
        """`base`, with the CPUs asked for, or as many as the text names."""
        named = [cpu for task in self.described for cpu in task.cpus]
        named += [cpu for t in self.described for phase in t.phases for cpu in phase.cpus]
        return replace(base, cpus=cpus or max([base.cpus, *(cpu + 1 for cpu in named)]), llc_cpus=0)

    def replay(self, machine: Machine, seed: int) -> Replay:
        """The workload as a scenario.

        Raises:
            Fault: BAD_REQUEST where steps cannot say it, or CPUs are named that are not there.
        """
        duration_ns = (self.duration_s if self.duration_s > 0 else USUAL_DURATION_S) * S
        for task in self.described:
            for cpu in (*task.cpus, *(cpu for phase in task.phases for cpu in phase.cpus)):
                if cpu >= machine.cpus:
                    raise _bad(
                        f"{task.where}.cpus",
                        f"there is no CPU {cpu}",
                        f"the machine has {machine.cpus}",
                        "give more with --cpus",
                    )
        writer = _Writer(self.described, duration_ns)
        tasks = tuple(task for each in self.described for task in writer.tasks(each))
        groups = {task.group: task.group for task in tasks}
        scenario = Scenario("rt-app", tasks, machine, duration_ns=duration_ns, seed=seed)
        return Replay(scenario, groups, (*self.notes, *writer.notes))


class _Writer:
    """Turns what is described into steps; knows who waits for what."""

    def __init__(self, described: Sequence[_Described], duration_ns: int) -> None:
        self._duration_ns = duration_ns
        self._all = {name: task for task in described for name in task.names()}
        self._forked = {
            str(event.value) for task in described for event in task.events if event.kind == "fork"
        }
        self._waiters: dict[str, list[str]] = {}
        self._barriers: dict[str, list[str]] = {}
        for task in described:
            for event in task.events:
                known = self._barriers if event.kind == "barrier" else self._waiters
                if event.kind in ("wait", "sync", "barrier"):
                    names = known.setdefault(str(event.value), [])
                    names += [each for each in task.names() if each not in names]
        self.notes: list[str] = []

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def tasks(self, task: _Described) -> Iterator[Task]:
        for name in task.names():
            steps = self._steps(task, name)
            started = task.name not in self._forked and task.instances > 0
            yield Task(
                group=task.group,
                steps=tuple(steps),
                name=name,
                comm=name[:15],
                nice=task.nice,
                cpus=task.cpus,
                start_ns=task.delay_us * US if started else None,
            )

    def _steps(self, task: _Described, name: str) -> list[Step]:
        alone = len(task.phases) == 1
        steps: list[Step] = []
        for phase in task.phases:
            once = self._phase(task, phase, name)
            if phase.cpus:
                steps.append(Affine(phase.cpus))
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
            loop = -1 if inner < 0 or task.loop < 0 else inner * task.loop
        if not steps:
            raise _bad(task.where, "it does nothing", hint="give it events, such as `run`")
        if loop != 1:
            steps.append(Repeat(max(0, loop)))
        return steps

    def _times(self, loop: int, once: Sequence[Step], task: _Described) -> int:
        """How often a phase among others comes; one without an end lasts as long as the run."""
        if loop >= 0:
            return loop
        length = sum(step.ns for step in once if isinstance(step, Run | Sleep))
        if not length:
            raise _bad(
                f"{task.where}.phases",
                "a phase repeats for ever that takes no time of its own",
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
                    left = int(str(event.value)) * US - worked_ns
                    worked_ns = 0
                    if left > 0:
                        steps.append(Sleep(left))
                    self._note(
                        "timers: a task sleeps for the period less its own work since the last; "
                        "waiting for a CPU makes the period longer"
                    )
                case "wait" | "suspend":
                    steps.append(Wait())
                case "signal" | "broad":
                    steps += self._signal(event, name, where)
                case "sync":
                    steps += (*self._signal(event, name, where), Wait())
                case "barrier":
                    steps += self._barrier(event, name, where)
                case "resume":
                    steps.append(Wake(self._named(str(event.value), where)))
                case "yield":
                    steps.append(Yield())
                case "fork":
                    steps.append(Fork(self._named(str(event.value), where)))
        return steps

    def _signal(self, event: _Event, name: str, where: str) -> list[Step]:
        waiters = [each for each in self._waiters.get(str(event.value), []) if each != name]
        if event.kind != "broad" and len(waiters) > 1:
            raise _bad(
                where,
                f"{event.kind} wakes one of {len(waiters)} tasks that wait, and which is not told",
                hint="use broad, or a condition of its own for each",
            )
        self._note("conditions: a signal that nobody waits for yet is kept, and not lost")
        return [Wake(each) for each in waiters]

    def _barrier(self, event: _Event, name: str, where: str) -> list[Step]:
        others = [each for each in self._barriers[str(event.value)] if each != name]
        if len(others) >= MAX_BARRIER:
            raise _bad(where, f"more than {MAX_BARRIER} tasks meet at this barrier")
        if len(others) > 1:
            self._note(
                "barriers of more than two: a task that is a whole round ahead counts for one "
                "that is late"
            )
        # Tells all others that it is here, and is told so by each.
        return [*(Wake(each) for each in others), *(Wait() for _ in others)]

    def _named(self, name: str, where: str) -> str:
        if name in self._all:
            return name
        nearest = difflib.get_close_matches(name, self._all, n=1)
        raise _bad(
            where,
            f"there is no task {name[:40]!a}",
            hint=f"did you mean {nearest[0]!r}?" if nearest else "name one of `tasks`",
        )


# ---------------------------------------------------------------- reading


def _without_comments(text: str) -> str:
    """Comments become blanks, so that places stay as they were; strings stay whole."""

    def blank(match: re.Match[str]) -> str:
        found = match[0]
        return found if found.startswith('"') else re.sub(r"[^\n]", " ", found)

    return re.sub(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/|//[^\n]*', blank, text, flags=re.DOTALL)


def _load(text: str, where: str) -> _Object:
    plain = _without_comments(text)
    # rt-app's own examples have commas before a closing brace.
    plain = re.sub(r",(\s*[}\]])", r" \1", plain)
    try:
        found = json.loads(plain, object_pairs_hook=_Object)
    except json.JSONDecodeError as error:
        raise _bad(
            f"{where}, line {error.lineno}, column {error.colno}", "this is not JSON", error.msg
        ) from None
    except (RecursionError, ValueError):
        raise _bad(where, "this is not JSON for rt-app", "it nests too deeply") from None
    if not isinstance(found, _Object):
        raise _bad(where, "this is not JSON for rt-app", "it is no object")
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
    """One event; a key may have a suffix, by which rt-app's users tell several apart."""
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
        return _Event(kind, key, _integer(value.get("period"), f"{here}.period", 1, longest_us))
    if kind in ("wait", "sync") and isinstance(value, _Object):
        return _Event(kind, key, _text(value.get("ref"), f"{here}.ref"))
    return _Event(kind, key, _text(value, here))


def _without_idle_locks(events: list[_Event], where: str) -> tuple[_Event, ...]:
    """Mutexes that only guard a condition change nothing; others cannot be said."""
    kept: list[_Event] = []
    held: str | None = None
    for event in events:
        if event.kind == "lock":
            held = str(event.value)
        elif event.kind == "unlock":
            held = None
        else:
            if held is not None and event.kind not in ("wait", "signal", "broad", "sync"):
                raise _bad(
                    f"{where}.{event.key}",
                    f"`{event.kind}` under the lock {held[:40]!a} cannot be simulated",
                    "tasks of a scenario have no mutexes",
                    "leave the lock out, or hand over with suspend and resume",
                )
            kept.append(event)
    return tuple(kept)


_PHASE_KEYS = ("loop", "cpus")


def _phase(said: object, where: str) -> _Phase:
    if not isinstance(said, _Object):
        raise _bad(where, "a phase is an object")
    events: list[_Event] = []
    loop = 1
    cpus: tuple[int, ...] = ()
    for key, value in said:
        if key == "loop":
            loop = _integer(value, f"{where}.loop", -1, 1 << 31)
        elif key == "cpus":
            cpus = _cpus(value, f"{where}.cpus")
        elif key in ("policy", "priority", "taskgroup"):
            raise _bad(f"{where}.{key}", f"`{key}` of a phase cannot be simulated")
        else:
            events.append(_event(key, value, where))
    return _Phase(_without_idle_locks(events, where), loop, cpus)


_NICE = {"SCHED_OTHER": 0, "SCHED_BATCH": 0, "SCHED_IDLE": 19}


def _nice(said: _Object, default: str, where: str) -> int:
    policy = said.get("policy", default)
    if policy not in _NICE:
        raise _bad(
            f"{where}.policy",
            f"`{ascii(policy)[:40]}` cannot be simulated",
            "a loaded scheduler gets SCHED_OTHER, SCHED_BATCH and SCHED_IDLE",
        )
    priority = said.get("priority")
    if priority is None or policy == "SCHED_IDLE":
        return _NICE[str(policy)]
    return _integer(priority, f"{where}.priority", -20, 19)


def _described(name: str, said: object, default: str, where: str) -> _Described:
    place = f"{where}.{name}"
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,40}", name):
        raise _bad(
            where,
            f"{name[:40]!a} is no name for a task",
            hint="letters, digits, `_`, `.` and `-`, 40 at the most",
        )
    if not isinstance(said, _Object):
        raise _bad(place, "a task is an object")
    phases: list[_Phase] = []
    direct: Pairs = []
    for key, value in said:
        if key == "phases":
            if not isinstance(value, _Object):
                raise _bad(f"{place}.phases", "phases are an object")
            phases += (_phase(each, f"{place}.phases.{key}") for key, each in value)
        elif key not in _TASK_KEYS:
            if key in _TASK_REFUSED:
                raise _unknown(key, place, [*_TASK_KEYS, *_EVENTS], _TASK_REFUSED)
            direct.append((key, value))
    if direct:
        if phases:
            raise _bad(place, "a task has events or phases, and not both")
        phases = [_phase(_Object(direct), place)]
    group = said.get("taskgroup")
    return _Described(
        name=name,
        where=place,
        phases=tuple(phases),
        loop=_integer(said.get("loop", -1), f"{place}.loop", -1, 1 << 31),
        instances=_integer(said.get("instance", 1), f"{place}.instance", 0, MAX_INSTANCES),
        delay_us=_integer(said.get("delay", 0), f"{place}.delay", 0, 3_600_000_000),
        nice=_nice(said, default, place),
        cpus=_cpus(said.get("cpus", []), f"{place}.cpus"),
        group=name if group is None else _group(_text(group, f"{place}.taskgroup")),
    )


def _group(path: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]", "_", path.strip("/"))[:63] or "root"


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
            default = _text(value, f"{where}: global.default_policy")
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
    """How deep brackets nest outside of strings and comments."""
    deepest = depth = 0
    for each in re.findall(
        r"[{}\[\]]", re.sub(r'"(?:\\.|[^"\\\n])*"', "", _without_comments(text))
    ):
        depth += 1 if each in "{[" else -1
        deepest = max(deepest, depth)
    return deepest
