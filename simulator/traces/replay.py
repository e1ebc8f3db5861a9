# SPDX-License-Identifier: GPL-2.0-or-later
"""A recorded workload as a scenario: what its tasks would do under any scheduler.

Everything that belongs to the work stays: CPU time, the length of sleeps that a timer or a device
ended, and who wakes whom at which point of its own work. Everything that the scheduler did is left
out: waits on run queues, preemption, and the choice of CPU. So a task that waited for another waits
until that one gets there, sooner or later than recorded.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from simulator.scenario import (
    MAX_CGROUPS,
    MAX_CPUS,
    MAX_LEVELS,
    MAX_STEPS,
    MS,
    Cgroup,
    Ending,
    Fork,
    Policy,
    Run,
    S,
    Scenario,
    SimulatedMachine,
    Sleep,
    Step,
    Task,
    Wait,
    Wake,
)
from simulator.traces import model
from simulator.traces.model import RecordedTrace, TracedTask

# Limit for the steps of all tasks together. The engine reads them as text, 20 bytes each.
MOST_STEPS = 500_000
# No measurement is exact, and a recording repeated to the nanosecond may fall into step with ticks:
# each length varies by one part in this many; the seed decides.
SPREAD = 100
# How much longer than recorded a worse scheduler may take, as a factor.
PATIENCE = 3
LONGEST_NS = 3600 * S

# The kernel's scheduling policies that a loaded scheduler gets (SCHED_NORMAL, _BATCH, _IDLE,
# _EXT); the others run before all of these.
_ORDINARY = (0, 3, 5, 7)
_POLICIES = {each.value: each for each in Policy}
# Ended on request, so it is not a limit.
_STOPPED = "stopped"


@dataclass(frozen=True)
class ReplayedTrace:
    """The scenario; the workload behind each group's name; and the differences from the
    recording.
    """

    scenario: Scenario
    workloads: Mapping[str, str]
    notes: tuple[str, ...]


@dataclass
class _TaskLife:
    """One task under construction.

    `start_ns` None and `forked`: its parent starts it. `born`: it was created during the recording;
    `ending`: how it ended.
    """

    steps: list[Step] = field(default_factory=list)
    # Its effects on others in its present phase, each with the CPU time before it.
    deeds: list[tuple[int, Step]] = field(default_factory=list)
    start_ns: int | None = None
    forked: bool = False
    born: bool = False
    ended: bool = False
    ending: Ending = Ending.BUSY

    @property
    def begun(self) -> bool:
        return self.forked or self.start_ns is not None

    def run(self, ran_ns: int) -> None:
        """Ends a phase of work: its CPU time in pieces, with the effects between them."""
        done = 0
        for offset, deed in self.deeds:
            until = min(offset, ran_ns)
            if until > done:
                self.steps.append(_run(until - done))
                done = until
            self.steps.append(deed)
        if ran_ns > done:
            self.steps.append(_run(ran_ns - done))
        self.deeds.clear()


def _run(ns: int) -> Run:
    length = min(ns, LONGEST_NS)
    return Run(length, length // SPREAD)


def _sleep(ns: int) -> Sleep:
    length = min(ns, LONGEST_NS)
    return Sleep(length, length // SPREAD)


class _Replayer:
    def __init__(self, trace: RecordedTrace) -> None:
        self.trace = trace
        self.lives: dict[int, _TaskLife] = {}
        self.steps = 0
        self.cut_ns: int | None = None
        unknown = TracedTask(comm="unknown", workload="other")
        numbers = {each.task for each in trace.events}
        numbers |= {each.waker for each in trace.events if isinstance(each, model.TracedWake)}
        numbers |= {each.parent for each in trace.events if isinstance(each, model.TracedFork)}
        self.tasks = {n: trace.tasks.get(n, unknown) for n in sorted(numbers) if n >= 0}
        self.above = {n for n, each in self.tasks.items() if each.policy not in _ORDINARY}

    def life(self, number: int) -> _TaskLife | None:
        """The task; None if no loaded scheduler would ever see it."""
        if number in self.above:
            return None
        return self.lives.setdefault(number, _TaskLife())

    def actor(self, number: int) -> _TaskLife | None:
        """The task that runs just now. If it is unknown, it ran from the beginning."""
        life = self.life(number)
        if life is not None and not life.begun:
            life.start_ns = 0
        return life

    def replay(self) -> None:
        for event in self.trace.events:
            if self.steps >= MOST_STEPS or event.at_ns > LONGEST_NS:
                self.cut_ns = event.at_ns
                break
            self.take(event)
        for life in self.lives.values():
            life.run(max((offset for offset, _ in life.deeds), default=0))

    def take(self, event: model.Event) -> None:
        match event:
            case model.TracedWake():
                self.wake(event)
            case model.TracedFork():
                child, parent = self.life(event.task), self.actor(event.parent)
                if child is None or child.begun:
                    return
                child.born = True
                if parent is None:
                    child.start_ns = event.at_ns
                    return
                child.forked = True
                parent.deeds.append((event.offset_ns, Fork(_name(event.task))))
                self.steps += 1
            case model.TracedExit() | model.Runs() | model.Sleeps():
                asleep = isinstance(event, model.Sleeps) and not event.ran_ns
                life = self.life(event.task)
                if life is None or life.ended or (asleep and not life.begun):
                    return
                if not life.begun:
                    life.start_ns = 0
                self.close(life, event.ran_ns)
                life.ended = True
                life.ending = _ending(event, life.born)

    def close(self, life: _TaskLife, ran_ns: int) -> None:
        before = len(life.steps) + len(life.deeds)
        life.run(ran_ns)
        self.steps += len(life.steps) - before
        if len(life.steps) > MAX_STEPS - 10:
            self.steps = MOST_STEPS

    def wake(self, event: model.TracedWake) -> None:
        life = self.life(event.task)
        if life is None or life.ended:
            return
        if not life.begun and not event.ran_ns:
            # It slept when the recording began, and begins with this wakeup.
            life.start_ns = event.at_ns
            return
        if not life.begun:
            life.start_ns = 0
        self.close(life, event.ran_ns)
        waker = self.actor(event.waker) if event.how.by_task and event.waker >= 0 else None
        if waker is None or waker is life or waker.ended:
            life.steps.append(_sleep(event.slept_ns))
            self.steps += 1
            return
        life.steps.append(Wait())
        deed = Wake(_name(event.task), sync=event.how is model.How.SYNC)
        waker.deeds.append((event.offset_ns, deed))
        self.steps += 2


def _ending(event: model.TracedExit | model.Runs | model.Sleeps, born: bool) -> Ending:
    """The duration of a job that began before the recording is unknown."""
    if isinstance(event, model.Runs):
        return Ending.BUSY
    return Ending.EXIT if isinstance(event, model.TracedExit) and born else Ending.ASLEEP


def _name(number: int) -> str:
    return f"t{number}"


def _plain(text: str, limit: int) -> str:
    """A hostile name in a form that the engine takes; only letters remain."""
    return re.sub(r"[^A-Za-z0-9_.:/@+-]", "_", text)[:limit] or "_"


def group_names(workloads: Iterable[str]) -> dict[str, str]:
    """A short name for each workload, no two the same."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for workload in workloads:
        kind, _, rest = workload.partition(":")
        short = rest.rstrip("/").rpartition("/")[2] if kind == "cgroup" else rest or kind
        base = name = re.sub(r"[^A-Za-z0-9_.-]", "_", short)[:55] or "_"
        number = 2
        while name in taken:
            name = f"{base}.{number}"
            number += 1
        taken.add(name)
        names[workload] = name
    return names


@dataclass(frozen=True)
class Places:
    """The cgroups of the scenario, and the one of each workload's tasks.

    `too_many` workloads have none, since they are nested too deeply or there is no room for more.
    """

    cgroups: tuple[Cgroup, ...]
    of: Mapping[str, str]
    too_many: int


def places_of(workloads: Iterable[str]) -> Places:
    """Cgroups by their paths, made of harmless names, so that a policy can select by cgroup.

    Their weights are not recorded.
    """
    made: dict[str, None] = {}
    of: dict[str, str] = {}
    too_many = 0
    for workload in workloads:
        kind, _, path = workload.partition(":")
        parts = [re.sub(r"[^A-Za-z0-9_.-]", "_", each)[:63] for each in path.split("/") if each]
        whole = ["/" + "/".join(parts[: n + 1]) for n in range(len(parts))]
        if kind != "cgroup" or not parts:
            continue
        if len(parts) > MAX_LEVELS or len(made) + len(parts) > MAX_CGROUPS:
            too_many += 1
            continue
        made |= dict.fromkeys(whole)
        of[workload] = whole[-1]
    return Places(tuple(Cgroup(path) for path in made), of, too_many)


def note_of_cgroups(tasks: Iterable[Task]) -> list[str]:
    """The note for tasks in several cgroups."""
    if len({task.cgroup for task in tasks}) < 2:
        return []
    return ["cgroups all have a weight of 100 and no limits"]


def replay_of(trace: RecordedTrace, machine: SimulatedMachine, seed: int) -> ReplayedTrace:
    """The recording, on a machine that may be another, with the differences from the recording.

    Raises:
        No exception of its own: steps that exceed a scenario's limits are cut, and noted.
    """
    replayer = _Replayer(trace)
    replayer.replay()
    notes = list(trace.notes)
    begun = {number: life for number, life in replayer.lives.items() if life.begun and life.steps}
    groups = group_names(dict.fromkeys(replayer.tasks[n].workload for n in begun))
    places = places_of(groups)
    elsewhere = 0
    tasks: list[Task] = []
    for number, life in begun.items():
        about = replayer.tasks[number]
        cpus = tuple(cpu for cpu in about.cpus if cpu < machine.cpus)
        elsewhere += bool(about.cpus) and not cpus
        tasks.append(
            Task(
                group=groups[about.workload],
                steps=tuple(life.steps[:MAX_STEPS]),
                name=_name(number),
                comm=_plain(about.comm, 15),
                nice=about.nice,
                policy=_POLICIES.get(about.policy, Policy.NORMAL),
                uid=about.uid,
                # Naming all of them is the same as naming none.
                cpus=() if len(cpus) == machine.cpus else cpus,
                start_ns=None if life.forked else life.start_ns,
                kthread=about.kthread,
                cgroup=places.of.get(about.workload, "/"),
                # A task that was cut has more to do.
                ending=life.ending if len(life.steps) <= MAX_STEPS else Ending.BUSY,
            )
        )
    # A task whose steps were all cut can be neither forked nor woken.
    kept = {task.name for task in tasks}
    tasks = [_without_missing(task, kept) for task in tasks]
    notes += _notes(replayer, machine, elsewhere)
    notes += note_of_cgroups(tasks)
    if places.too_many:
        notes.append(f"{places.too_many} workloads are simulated in the root cgroup: too many")
    scenario = Scenario(
        "trace",
        tuple(tasks),
        machine,
        cgroups=places.cgroups,
        duration_ns=max(MS, min(PATIENCE * trace.duration_ns, LONGEST_NS)),
        seed=seed,
    )
    return ReplayedTrace(scenario, {name: id for id, name in groups.items()}, tuple(notes))


def _without_missing(task: Task, kept: set[str]) -> Task:
    steps = tuple(
        step for step in task.steps if not isinstance(step, Wake | Fork) or step.task in kept
    )
    return task if len(steps) == len(task.steps) else replace(task, steps=steps or (Run(1),))


def _notes(replayer: _Replayer, machine: SimulatedMachine, elsewhere: int) -> list[str]:
    trace, notes = replayer.trace, []
    if replayer.cut_ns is not None:
        notes.append(
            f"cut after {replayer.cut_ns / S:.3g} of {trace.duration_ns / S:.3g} s: "
            f"a scenario has {MOST_STEPS} steps at the most, and lasts an hour"
        )
    if trace.cut and trace.cut != _STOPPED:
        notes.append(f"the recording was ended early: {trace.cut}")
    if trace.lost:
        notes.append(f"{trace.lost} events were lost while recording")
    if trace.left_out:
        notes.append(f"{trace.left_out} tasks were too many to be recorded")
    if replayer.above:
        used = sum(
            event.ran_ns
            for event in trace.events
            if event.task in replayer.above and not isinstance(event, model.TracedFork)
        )
        notes.append(
            f"{len(replayer.above)} real-time tasks ({used / MS:.3g} ms of CPU time) are left "
            "out: no loaded scheduler gets them"
        )
    if trace.machine.cpus and trace.machine.cpus != machine.cpus:
        notes.append(f"recorded with {trace.machine.cpus} CPUs, simulated with {machine.cpus}")
    if elsewhere:
        notes.append(
            f"{elsewhere} tasks were bound to CPUs that do not exist here, and may use all"
        )
    return notes


def machine_of(trace: RecordedTrace, base: SimulatedMachine, cpus: int = 0) -> SimulatedMachine:
    """The recorded machine, or one like it with another number of CPUs; costs as in `base`."""
    own = trace.machine
    count = min(cpus or own.cpus or base.cpus, MAX_CPUS)
    llc = own.llc_cpus if own.llc_cpus < own.cpus else 0
    return replace(base, cpus=count, llc_cpus=min(llc, count), tick_ns=own.tick_ns or base.tick_ns)
