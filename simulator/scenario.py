# SPDX-License-Identifier: GPL-2.0-or-later
"""The behaviour of a simulated machine's tasks, as frozen values; and a set of usual workloads.

A task is a list of steps. The engine draws a step's length from a separate random stream for each
task, so that the same seed gives the same work under every scheduler.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from itertools import pairwise
from types import MappingProxyType

from process import Fault, FaultType

US = 1_000
MS = 1_000_000
S = 1_000_000_000

# The engine's own limits (engine/engine.h).
MAX_CPUS = 512
MAX_TASKS = 200_000
MAX_STEPS = 100_000
MAX_CGROUPS = 4_000
MAX_LEVELS = 30
MAX_QUANTILES = 1001
MAX_LOCKS = 4_000

# The kernel's for cpu.max (kernel/sched/core.c, tg_set_bandwidth(), and MAX_BW).
MIN_QUOTA_NS = MS
MIN_PERIOD_NS = MS
MAX_PERIOD_NS = S
MAX_QUOTA_NS = ((1 << 44) - 1) * US

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,63}")
_COMM = re.compile(r"[!-~]{1,15}")


@dataclass(frozen=True)
class Run:
    """Needs the CPU for `ns`, plus or minus `spread_ns` (uniform)."""

    ns: int
    spread_ns: int = 0


@dataclass(frozen=True)
class Sleep:
    """Gives up the CPU for `ns`, plus or minus `spread_ns` (uniform)."""

    ns: int
    spread_ns: int = 0


@dataclass(frozen=True)
class Wait:
    """Gives up the CPU until `Wake` wakes it; does nothing if the wakeup came before."""


@dataclass(frozen=True)
class Wake:
    """Wakes the task of that name; among several copies the one with the waker's number.

    `sync`: the waker is about to sleep (a pipe's wakeup).
    """

    task: str
    sync: bool = False


@dataclass(frozen=True)
class Fork:
    """Starts one more task like the one of that name."""

    task: str


@dataclass(frozen=True)
class Affine:
    """Sets an affinity: its own, or that of the task of that name (as `Wake` finds it)."""

    cpus: tuple[int, ...]
    of: str = ""


@dataclass(frozen=True)
class Renice:
    """Sets a nice value, and so the weight: its own, or that of the task of that name."""

    nice: int
    of: str = ""


@dataclass(frozen=True)
class Enter:
    """Moves itself, or the task of that name, into the cgroup of that path.

    The scheduler may refuse it (`cgroup_prep_move`). If the cgroup does not exist at the time,
    nothing happens.
    """

    cgroup: str
    of: str = ""


@dataclass(frozen=True)
class Yield:
    """Calls `sched_yield`, which takes 1 ns."""


@dataclass(frozen=True)
class Leave:
    """Begins to exit: PF_EXITING is set and its pid no longer leads to it.

    The steps after it are the last things that an exiting task does in the kernel, where it may
    still be preempted or sleep. Others can no longer change it by its name.
    """


@dataclass(frozen=True)
class Lock:
    """Takes the lock of that name, or waits until it is free.

    It sleeps, as for a mutex; or `spins`: stays on the CPU and retries. The first comer gets a free
    lock: the first sleeper is woken and has to try again. With `per_cpu` there is one lock for each
    CPU, and the task takes that of its current CPU; if it has moved by the time it has the lock, it
    releases it and takes the other.
    """

    name: str
    spins: bool = False
    per_cpu: bool = False


@dataclass(frozen=True)
class Unlock:
    """Releases the lock of that name."""

    name: str


@dataclass(frozen=True)
class Repeat:
    """Starts over, `times` repetitions in all; 0: for ever. Otherwise the task ends."""

    times: int = 0


Step = (
    Run
    | Sleep
    | Wait
    | Wake
    | Fork
    | Affine
    | Renice
    | Enter
    | Yield
    | Leave
    | Lock
    | Unlock
    | Repeat
)


class Ending(IntEnum):
    """The meaning of the end of a task's steps.

    It exits. Or the recording was over: it slept then (`ASLEEP`), or had more to do (`BUSY`). In
    both cases the task is gone, and does not count as a job that has ended.
    """

    EXIT = 0
    ASLEEP = 1
    BUSY = 2


class Policy(IntEnum):
    """The kernel's SCHED_NORMAL, SCHED_BATCH and SCHED_IDLE.

    SCHED_IDLE has its own weight, below that of nice 19.
    """

    NORMAL = 0
    BATCH = 3
    IDLE = 5


@dataclass(frozen=True)
class Task:
    """`count` tasks that do the same.

    `name` is for `Wake` and `Fork`; default: the command name. `cpus` empty: all. `start_ns` None:
    only when forked. `expected_ns` goes into the map `expected_runtime`, `selected` into the map
    `selected`, if the scheduler has them. `cgroup` is a path of the scenario's.
    """

    group: str
    steps: tuple[Step, ...]
    name: str = ""
    comm: str = ""
    count: int = 1
    nice: int = 0
    uid: int = 0
    cpus: tuple[int, ...] = ()
    start_ns: int | None = 0
    expected_ns: int = 0
    selected: int = 0
    kthread: bool = False
    cgroup: str = "/"
    policy: Policy = Policy.NORMAL
    ending: Ending = Ending.EXIT


@dataclass(frozen=True)
class Bandwidth:
    """A cgroup's cpu.max and cpu.max.burst, in whole microseconds as in the kernel.

    Its tasks, with those of the cgroups below, get `quota_ns` of CPU time in each period (None:
    `max`, as much as they like). Of what they leave unused, up to `burst_ns` may be used in
    addition in a later period.
    """

    quota_ns: int | None = None
    period_ns: int = 100 * MS
    burst_ns: int = 0


@dataclass(frozen=True)
class Cgroup:
    """A cgroup by its path below the root, which always exists: `/a` before `/a/b`.

    `weight` is cpu.weight, `idle` cpu.idle, `bandwidth` cpu.max. The default scheduler honours
    them; a candidate without the callbacks for cgroups ignores them. It is made at `from_ns` and
    removed at `until_ns` (None: never), or as soon after as it is empty. A task whose cgroup does
    not exist starts in the nearest one above.
    """

    path: str
    weight: int = 100
    from_ns: int = 0
    until_ns: int | None = None
    idle: bool = False
    bandwidth: Bandwidth = Bandwidth()


@dataclass(frozen=True)
class WeightChange:
    """A cgroup's cpu.weight is written. An idle one has none to write."""

    at_ns: int
    cgroup: str
    weight: int


@dataclass(frozen=True)
class IdleChange:
    """A cgroup's cpu.idle is written."""

    at_ns: int
    cgroup: str
    idle: bool


@dataclass(frozen=True)
class BandwidthChange:
    """A cgroup's cpu.max and cpu.max.burst are written, at once."""

    at_ns: int
    cgroup: str
    bandwidth: Bandwidth


CgroupChange = WeightChange | IdleChange | BandwidthChange


@dataclass(frozen=True)
class CpuChange:
    """A CPU that goes offline or online."""

    at_ns: int
    cpu: int
    online: bool


@dataclass(frozen=True)
class SimulatedMachine:
    """CPUs that share something have neighbouring numbers.

    `llc_cpus`: the number that share a last-level cache; 0: all. `core_cpus`: those of one core
    (SMT); their effect on each other is not modelled. `node_cpus`: those of a NUMA node; 0: all.

    `tick_ns`: slices end at ticks (CONFIG_HZ=250). `switch_ns`: the cost of a context switch.
    `wake_ns`: the cost of an interrupt to another CPU, or on an idle one. `late_ns`: how late
    timers wake sleepers: percentiles or other quantiles, rising; empty: never late. `fork_ns`: the
    CPU time that starting another task takes.
    """

    cpus: int = 4
    llc_cpus: int = 0
    tick_ns: int = 4 * MS
    switch_ns: int = 2 * US
    wake_ns: int = 3 * US
    core_cpus: int = 1
    node_cpus: int = 0
    late_ns: tuple[int, ...] = ()
    fork_ns: int = 0


@dataclass(frozen=True)
class Scenario:
    """A machine, its tasks, the maximum duration, and the random seed."""

    name: str
    tasks: tuple[Task, ...]
    machine: SimulatedMachine = field(default_factory=SimulatedMachine)
    changes: tuple[CpuChange | CgroupChange, ...] = ()
    duration_ns: int = 5 * S
    seed: int = 1
    cgroups: tuple[Cgroup, ...] = ()

    def seeded(self, seed: int) -> "Scenario":
        return replace(self, seed=seed)

    def text(self) -> str:
        """The scenario in the engine's format (engine/scenario.c).

        Raises:
            Fault: BAD_REQUEST if it is out of bounds, or names something that does not exist.
        """
        _check(self)
        groups = list(dict.fromkeys(task.group for task in self.tasks))
        numbers = {_name_of(task): number for number, task in enumerate(self.tasks)}
        locks = {
            name: number
            for number, name in enumerate(
                dict.fromkeys(s.name for t in self.tasks for s in t.steps if isinstance(s, Lock))
            )
        }
        machine = self.machine
        lines = [
            f"machine {machine.cpus} {machine.core_cpus} {machine.llc_cpus or machine.cpus} "
            f"{machine.node_cpus or machine.cpus} {self.duration_ns} "
            f"{self.seed} {machine.tick_ns} {machine.switch_ns} {machine.wake_ns}",
            *(
                f"late {len(late)} {' '.join(map(str, late))}"
                for late in (machine.late_ns,)
                if late
            ),
            *([f"forking {machine.fork_ns}"] if machine.fork_ns else []),
            *([f"locks {len(locks)}"] if locks else []),
            *(f"group {group}" for group in groups),
            f"cgroup 0 / 100 0 {_bandwidth_text(Bandwidth())} 0 -",
        ]
        places = {"/": 0} | {each.path: at for at, each in enumerate(self.cgroups, 1)}
        for each in self.cgroups:
            above, _, name = each.path.rpartition("/")
            until = "-" if each.until_ns is None else each.until_ns
            lines.append(
                f"cgroup {places[above or '/']} {name} {each.weight} {int(each.idle)} "
                f"{_bandwidth_text(each.bandwidth)} {each.from_ns} {until}"
            )
        for task in self.tasks:
            start = "-" if task.start_ns is None else task.start_ns
            lines.append(
                f"task {groups.index(task.group)} {_comm_of(task)} {task.nice} {task.policy:d} "
                f"{task.uid} {_mask(task.cpus, machine.cpus)} {start} {task.expected_ns} "
                f"{task.selected} {int(task.kthread)} {places[task.cgroup]} {task.count}"
            )
            lines += [f"ending {task.ending:d}"] if task.ending else []
            lines += (_step_text(step, numbers, places, locks, machine.cpus) for step in task.steps)
        lines += (_change_text(change, places) for change in self.changes)
        return "".join(f"{line}\n" for line in lines)


def _name_of(task: Task) -> str:
    return task.name or _comm_of(task)


def _comm_of(task: Task) -> str:
    return task.comm or task.name or task.group[:15]


def _mask(cpus: tuple[int, ...], all_cpus: int) -> str:
    bits = sum(1 << cpu for cpu in set(cpus or range(all_cpus)))
    words = [f"{bits >> at & (1 << 64) - 1:x}" for at in range(0, MAX_CPUS, 64)]
    return ",".join(words)


def _bandwidth_text(bandwidth: Bandwidth) -> str:
    quota = "-" if bandwidth.quota_ns is None else bandwidth.quota_ns
    return f"{quota} {bandwidth.period_ns} {bandwidth.burst_ns}"


def _change_text(change: CpuChange | CgroupChange, places: Mapping[str, int]) -> str:
    match change:
        case CpuChange():
            return f"cpu {change.at_ns} {change.cpu} {int(change.online)}"
        case WeightChange():
            return f"weight {change.at_ns} {places[change.cgroup]} {change.weight}"
        case IdleChange():
            return f"idle {change.at_ns} {places[change.cgroup]} {int(change.idle)}"
        case BandwidthChange():
            return (
                f"bandwidth {change.at_ns} {places[change.cgroup]} "
                f"{_bandwidth_text(change.bandwidth)}"
            )


def _step_text(
    step: Step,
    numbers: Mapping[str, int],
    places: Mapping[str, int],
    locks: Mapping[str, int],
    cpus: int,
) -> str:
    match step:
        case Run():
            return f"run {step.ns} {step.spread_ns}"
        case Sleep():
            return f"sleep {step.ns} {step.spread_ns}"
        case Wait():
            return "wait"
        case Wake():
            return f"wake {numbers[step.task]} {int(step.sync)}"
        case Fork():
            return f"fork {numbers[step.task]}"
        case Affine():
            return f"{_whose(step.of, numbers)}affine {_mask(step.cpus, cpus)}"
        case Renice():
            return f"{_whose(step.of, numbers)}renice {step.nice + 20}"
        case Enter():
            return f"{_whose(step.of, numbers)}enter {places[step.cgroup]}"
        case Yield():
            return "yield"
        case Leave():
            return "leave"
        case Lock():
            return f"lock {locks[step.name]} {step.spins | step.per_cpu << 1}"
        case Unlock():
            return f"unlock {locks[step.name]}"
        case Repeat():
            return f"repeat {step.times}"


def _whose(name: str, numbers: Mapping[str, int]) -> str:
    return f"of {numbers[name]}\n" if name else ""


def _bad(where: str, what: str) -> Fault:
    return Fault(FaultType.BAD_REQUEST, what, where=where, hint="correct the scenario")


def _check(scenario: Scenario) -> None:
    machine = scenario.machine
    where = f"scenario {scenario.name}"
    if not 1 <= machine.cpus <= MAX_CPUS or not 0 <= machine.llc_cpus <= machine.cpus:
        raise _bad(where, f"a machine has 1 to {MAX_CPUS} CPUs")
    if machine.core_cpus < 1 or machine.cpus % machine.core_cpus:
        raise _bad(where, "a machine has whole cores")
    if machine.node_cpus < 0 or machine.cpus % (machine.node_cpus or machine.cpus):
        raise _bad(where, "a machine has whole NUMA nodes")
    if machine.tick_ns < 100 * US or machine.wake_ns < 100 or machine.switch_ns < 0:
        raise _bad(where, "the machine's tick is 100 us at least, a wakeup costs 100 ns at least")
    late = (0, *machine.late_ns, S)
    if len(late) > MAX_QUANTILES + 2 or any(a > b for a, b in pairwise(late)):
        raise _bad(where, "quantiles of lateness rise, and are not below 0 or above a second")
    if not 0 <= machine.fork_ns <= S:
        raise _bad(where, "a fork takes a second at most")
    if not 0 < scenario.duration_ns <= 3600 * S or not 0 <= scenario.seed < 1 << 64:
        raise _bad(where, "a scenario lasts an hour at most, and its seed has 64 bits")
    if sum(task.count for task in scenario.tasks) > MAX_TASKS:
        raise _bad(where, f"there are more than {MAX_TASKS} tasks")
    names = Counter(_name_of(task) for task in scenario.tasks)
    places = _check_cgroups(scenario, where)
    if len({s.name for t in scenario.tasks for s in t.steps if isinstance(s, Lock)}) > MAX_LOCKS:
        raise _bad(where, f"there are more than {MAX_LOCKS} locks")
    for task in scenario.tasks:
        _check_task(task, f"{where}, task {_name_of(task)}", names, machine.cpus)
        entered = [step.cgroup for step in task.steps if isinstance(step, Enter)]
        if missing := {task.cgroup, *entered} - places:
            raise _bad(where, f"there is no cgroup {min(missing)}")
    for change in scenario.changes:
        if isinstance(change, CpuChange) and not 0 <= change.cpu < machine.cpus:
            raise _bad(where, f"CPU {change.cpu} changes but does not exist")
        if change.at_ns < 0:
            raise _bad(where, "times are not negative")
    _check_cgroup_changes(scenario, where, places)


def _check_cgroups(scenario: Scenario, where: str) -> set[str]:
    """The existing paths."""
    places = {"/"}
    if len(scenario.cgroups) > MAX_CGROUPS:
        raise _bad(where, f"there are more than {MAX_CGROUPS} cgroups")
    for each in scenario.cgroups:
        above, slash, name = each.path.rpartition("/")
        if not slash or not _NAME.fullmatch(name) or each.path in places:
            raise _bad(where, f"{each.path!r} is not a cgroup path, or is there twice")
        if (above or "/") not in places or each.path.count("/") > MAX_LEVELS:
            raise _bad(where, f"the parent of {each.path} must come before it")
        _check_weight(each.weight, where)
        _check_bandwidth(each.bandwidth, f"{where}, cgroup {each.path}")
        if not 0 <= each.from_ns < (each.until_ns or each.from_ns + 1):
            raise _bad(where, f"{each.path} is removed before it is made")
        places.add(each.path)
    return places


def _check_weight(weight: int, where: str) -> None:
    if not 1 <= weight <= 10000:
        raise _bad(where, "the weight of a cgroup is 1 to 10000")


def _check_bandwidth(bandwidth: Bandwidth, where: str) -> None:
    """As in tg_set_bandwidth() of the kernel."""
    quota_ns = bandwidth.quota_ns
    times = (quota_ns or 0, bandwidth.period_ns, bandwidth.burst_ns)
    if any(ns % US for ns in times):
        raise _bad(where, "quotas, their periods and bursts are whole microseconds")
    if not MIN_PERIOD_NS <= bandwidth.period_ns <= MAX_PERIOD_NS:
        raise _bad(where, "the period of a quota is 1 ms to 1 s")
    if quota_ns is not None and not MIN_QUOTA_NS <= quota_ns <= MAX_QUOTA_NS:
        raise _bad(where, "a quota is 1 ms at least, and 203 days at most; None: no quota")
    if not 0 <= bandwidth.burst_ns <= (MAX_QUOTA_NS if quota_ns is None else quota_ns):
        raise _bad(where, "a burst is not negative, and not above the quota")
    if quota_ns is not None and quota_ns + bandwidth.burst_ns > MAX_QUOTA_NS:
        raise _bad(where, "a quota and its burst are 203 days at most together")


def _check_cgroup_changes(scenario: Scenario, where: str, places: set[str]) -> None:
    idle = {each.path: each.idle for each in scenario.cgroups}
    for change in sorted(scenario.changes, key=lambda change: change.at_ns):
        if isinstance(change, CpuChange):
            continue
        if change.cgroup not in places:
            raise _bad(where, f"cgroup {change.cgroup} changes but does not exist")
        if change.cgroup == "/":
            raise _bad(where, "the root cgroup has no weight, no cpu.idle and no quota to change")
        match change:
            case WeightChange():
                _check_weight(change.weight, where)
                if idle[change.cgroup]:
                    raise _bad(where, f"the weight of {change.cgroup} changes while it is idle")
            case IdleChange():
                idle[change.cgroup] = change.idle
            case BandwidthChange():
                _check_bandwidth(change.bandwidth, f"{where}, cgroup {change.cgroup}")


def _check_task(task: Task, where: str, names: Mapping[str, int], cpus: int) -> None:
    if not _NAME.fullmatch(task.group) or not _COMM.fullmatch(_comm_of(task)):
        raise _bad(where, "a name has to be printable ASCII without blanks, and short")
    if names[_name_of(task)] > 1:
        raise _bad(where, "two tasks have the same name")
    if not -20 <= task.nice <= 19 or task.count < 1 or not 0 <= task.uid < 1 << 32:
        raise _bad(where, "nice is -20 to 19, the count 1 at least, a user id has 32 bits")
    if min(task.expected_ns, task.selected, task.start_ns or 0) < 0:
        raise _bad(where, "times are not negative")
    if not task.steps or len(task.steps) > MAX_STEPS:
        raise _bad(where, f"a task has 1 to {MAX_STEPS} steps")
    for step in task.steps:
        if isinstance(step, Run | Sleep) and not 0 <= step.spread_ns <= step.ns <= 3600 * S:
            raise _bad(where, "a step lasts an hour at most, and its spread is not above its mean")
        if isinstance(step, Wake | Fork) and step.task not in names:
            raise _bad(where, f"there is no task {step.task}")
        if isinstance(step, Affine | Renice | Enter) and step.of and step.of not in names:
            raise _bad(where, f"there is no task {step.of}")
        if isinstance(step, Renice) and not -20 <= step.nice <= 19:
            raise _bad(where, "nice is -20 to 19")
        if isinstance(step, Repeat) and step.times < 0:
            raise _bad(where, "a repeat counts from 0")
    _check_locks(task, where)
    if any(isinstance(step, Repeat) for step in task.steps[:-1]):
        raise _bad(where, "a repeat is the last step")
    masks = [task.cpus, *(step.cpus for step in task.steps if isinstance(step, Affine))]
    if any(not 0 <= cpu < cpus for mask in masks for cpu in mask):
        raise _bad(where, "a step names a CPU that does not exist")


def _check_locks(task: Task, where: str) -> None:
    held: set[str] = set()
    for step in task.steps:
        if isinstance(step, Lock):
            if step.name in held:
                raise _bad(where, f"it has the lock {step.name!r} already")
            held.add(step.name)
        elif isinstance(step, Unlock):
            if step.name not in held:
                raise _bad(where, f"it releases the lock {step.name!r}, which it does not hold")
            held.remove(step.name)
    if held:
        raise _bad(where, f"it keeps the lock {min(held)!r} at the end of its steps")


# ---- usual workloads ----


def hogs(machine: SimulatedMachine) -> Scenario:
    """Six tasks that never sleep for each CPU, of three weights: none is due a whole CPU."""
    run = (Run(5 * MS, MS), Repeat())
    tasks = tuple(
        Task(f"nice{nice}", run, comm=f"hog{nice}", count=2 * machine.cpus, nice=nice)
        for nice in (0, 5, 10)
    )
    return Scenario("hogs", tasks, machine)


def service(machine: SimulatedMachine) -> Scenario:
    """A service that wakes for short requests beside twice as many hogs as CPUs."""
    request = (Sleep(5 * MS, 2 * MS), Run(300 * US, 200 * US), Repeat())
    return Scenario(
        "service",
        (
            Task("batch", (Run(10 * MS), Repeat()), comm="hog", count=2 * machine.cpus),
            Task("service", request, count=machine.cpus),
        ),
        machine,
    )


def ping_pong(machine: SimulatedMachine) -> Scenario:
    """Pairs that wake each other in turn, and one hog."""
    pairs = machine.cpus
    return Scenario(
        "ping_pong",
        (
            Task(
                "pairs",
                (Run(20 * US, 5 * US), Wake("pong", sync=True), Wait(), Repeat()),
                name="ping",
                count=pairs,
            ),
            Task(
                "pairs",
                (Wait(), Run(20 * US, 5 * US), Wake("ping", sync=True), Repeat()),
                name="pong",
                count=pairs,
            ),
            Task("hog", (Run(10 * MS), Repeat())),
        ),
        machine,
        duration_ns=S,
    )


def fork_storm(machine: SimulatedMachine) -> Scenario:
    """A shell for each CPU that starts 200 short commands, 4 at a time."""
    burst: tuple[Step, ...] = (
        *(Fork("command") for _ in range(4)),
        Run(500 * US),
        Sleep(2 * MS, MS),
        Repeat(50),
    )
    return Scenario(
        "fork_storm",
        (
            Task("shells", burst, comm="sh", count=machine.cpus),
            Task("commands", (Run(MS, 500 * US),), comm="command", start_ns=None),
        ),
        machine,
    )


def uneven_batch(machine: SimulatedMachine) -> Scenario:
    """One long job and 39 short ones, the long one last; expected runtimes are known."""
    short = Task("jobs", (Run(50 * MS),), comm="short", count=39, expected_ns=50 * MS)
    long = Task("jobs", (Run(900 * MS),), comm="long", expected_ns=900 * MS)
    return Scenario("uneven_batch", (short, long), machine, duration_ns=20 * S)


def pinned(machine: SimulatedMachine) -> Scenario:
    """Some tasks pinned to one CPU each, some all to the same one, some free; one
    changes its CPUs.
    """
    last = machine.cpus - 1
    steps = (Sleep(3 * MS, MS), Run(MS, 500 * US), Repeat())
    own = tuple(
        Task("own", steps, comm=f"own{cpu}", cpus=(cpu,)) for cpu in range(min(machine.cpus, 8))
    )
    wander = (Run(2 * MS), Affine((0,)), Run(2 * MS), Affine((last,)), Repeat())
    return Scenario(
        "pinned",
        (
            *own,
            Task("same", (Run(4 * MS), Repeat()), comm="same", cpus=(0,), count=3),
            Task("free", (Run(5 * MS), Repeat()), comm="free", count=machine.cpus),
            Task("wanderer", wander, comm="wanderer"),
            Task("kernel", steps, comm="kworker/0:0", cpus=(0,), kthread=True),
        ),
        machine,
    )


def hotplug(machine: SimulatedMachine) -> Scenario:
    """The service, while a CPU goes offline and online, including tasks pinned to it."""
    usual = service(machine)
    cpu = machine.cpus - 1
    stuck = Task("stuck", (Sleep(MS), Run(2 * MS), Repeat()), comm="stuck", cpus=(cpu,), count=2)
    changes = tuple(
        CpuChange(at * 500 * MS, cpu, online=at % 2 == 0) for at in range(1, 7) if machine.cpus > 1
    )
    return replace(usual, name="hotplug", tasks=(*usual.tasks, stuck), changes=changes)


def requests(machine: SimulatedMachine) -> Scenario:
    """Workers whose requests take 23 ms of CPU time under a spinlock of their CPU, two for each.

    The behaviour of `schbench` with its defaults: a worker asks its message thread, is woken,
    sleeps for 0.1 ms, spins for its current CPU's lock, works, and asks again. A worker that is
    preempted with the lock makes the others of that CPU burn their slices, so what counts is
    whether a slice lasts for a request.
    """
    work = (
        Lock("cpu", spins=True, per_cpu=True),
        Run(23 * MS, 4 * MS),
        Unlock("cpu"),
    )
    ask = (Wake("message"), Wait(), Run(20 * US), Sleep(100 * US))
    workers = Task(
        "requests", (*ask, *work, Repeat()), name="worker", comm="worker", count=2 * machine.cpus
    )
    messages = Task(
        "requests",
        (Wait(), Run(20 * US), Wake("worker"), Repeat()),
        name="message",
        comm="message",
        count=2 * machine.cpus,
    )
    return Scenario("requests", (messages, workers), machine, duration_ns=10 * S)


def overload(machine: SimulatedMachine) -> Scenario:
    """A hundred tasks for each CPU, which sleep rarely."""
    steps = (Run(3 * MS, 2 * MS), Sleep(MS), Repeat())
    return Scenario("overload", (Task("crowd", steps, count=100 * machine.cpus),), machine)


SCENARIOS: Mapping[str, Callable[[SimulatedMachine], Scenario]] = MappingProxyType(
    {
        make.__name__: make
        for make in (
            hogs,
            service,
            ping_pong,
            fork_storm,
            uneven_batch,
            pinned,
            hotplug,
            requests,
            overload,
        )
    }
)
