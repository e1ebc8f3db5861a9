# SPDX-License-Identifier: GPL-2.0-or-later
"""The stress set: scenarios that every scheduler has to survive before it runs on a host.

Each scenario has one trait that schedulers fail at, on a small machine and long enough that a
starved task has waited longer than the limit (`wait_bound_ns`). No program has the command names
used here, so that rules for names treat all alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType

from simulator.scenario import (
    MS,
    US,
    Affine,
    Cgroup,
    CpuChange,
    Enter,
    Fork,
    Leave,
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
    Wait,
    Wake,
    Yield,
)

# Four CPUs with two caches: the smallest machine on which stealing and placement can go wrong.
STRESS_MACHINE = SimulatedMachine(4, 2)

# What a task may wait in any case: the longest promise that the library's schedulers make
# (max_wait_ns, 3 s), plus the time to find it.
GRACE_NS = 4 * S
# The longest slice with which waiting in turn is still within the bound; a tick is added, since
# slices end at ticks.
SLICE_NS = 100 * MS
# The kernel's watchdog ejects after 30 s; a task that waits this long was starved whatever the
# load.
LONGEST_WAIT_NS = 25 * S
# Up to this fraction of the CPUs' time, demand leaves them idle now and then.
LEAVES_TIME = 0.9
# Machine sizes on which part of the set always runs: one CPU, more than a table of 8 has room for,
# and more than a word of 64 bits.
OTHER_SIZES = (1, 16, 72)

# The kernel's sched_prio_to_weight[] for every fifth nice level, in between by its ratio of 1.25.
_WEIGHT_0 = 1024.0


def weight_of(nice: int, policy: Policy = Policy.NORMAL) -> float:
    """The weight of a task in sched_ext: 100 at nice 0, 1 to 10000."""
    if policy is Policy.IDLE:
        return 1.0
    return min(max(_WEIGHT_0 * 1.25**-nice * 100 / 1024, 1.0), 10_000.0)


def wait_bound_ns(scenario: Scenario, group: str) -> int:
    """The longest that a task of a group may wait for a CPU before it counts as starved."""
    return wait_bounds_ns(scenario)[group]


def wait_bounds_ns(scenario: Scenario) -> Mapping[str, int]:
    """The longest that a task of each group may wait for a CPU before it counts as starved.

    If every task of a CPU takes its turn by weight, one of weight w waits for the slices of the
    others: at most W / w slices, where W is the weight of all tasks that may want this CPU. The
    bound is that with the longest accepted slice, plus a grace period for schedulers that let some
    go first for a while. It grows with the load, not with time, so starvation exceeds it however it
    arises.
    """
    machine = scenario.machine
    crowd = [0.0] * machine.cpus
    heads = [0.0] * machine.cpus
    demand = [0.0] * machine.cpus
    places = _places(scenario)
    copies = _copies(scenario)
    for task, share, count in zip(scenario.tasks, places, copies, strict=True):
        weight = weight_of(task.nice, task.policy) * count
        wanted = count * _demand(task)
        for cpu, part in share.items():
            crowd[cpu] += weight * part
            heads[cpu] += count * part
            demand[cpu] += wanted * part
    # While a CPU is offline the others carry its load.
    spare = machine.cpus - len(
        {each.cpu for each in scenario.changes if isinstance(each, CpuChange)}
    )
    crowd = [each * machine.cpus / max(spare, 1) for each in crowd]
    turns: dict[str, float] = {}
    for task, share in zip(scenario.tasks, places, strict=True):
        most = max(crowd[cpu] for cpu in share) / weight_of(task.nice, task.policy)
        turns[task.group] = max(turns.get(task.group, 0.0), most)
    # If there is time for all of them, each has its turn once the others have had theirs.
    if spare == machine.cpus and max(demand) < LEAVES_TIME:
        turns = {group: min(most, max(heads)) for group, most in turns.items()}
    return {
        group: min(int(GRACE_NS + most * (SLICE_NS + machine.tick_ns)), LONGEST_WAIT_NS)
        for group, most in turns.items()
    }


def _copies(scenario: Scenario) -> list[int]:
    """How many of each task may exist at once; of tasks that are forked without end, one round."""
    made: dict[str, int] = {}
    for parent in scenario.tasks:
        last = parent.steps[-1]
        rounds = max(last.times, 1) if isinstance(last, Repeat) else 1
        for step in parent.steps:
            if isinstance(step, Fork):
                made[step.task] = made.get(step.task, 0) + parent.count * rounds
    return [
        max(made.get(_name(task), 0), 1) if task.start_ns is None else task.count
        for task in scenario.tasks
    ]


def _name(task: Task) -> str:
    return task.name or task.comm or task.group


def _places(scenario: Scenario) -> list[dict[int, float]]:
    """The CPUs that each task may run on at some time, and the largest number of tasks present
    there.
    """
    every = tuple(range(scenario.machine.cpus))
    masks: dict[str, set[tuple[int, ...]]] = {}
    for task in scenario.tasks:
        for step in task.steps:
            if isinstance(step, Affine):
                masks.setdefault(step.of or _name(task), set()).add(step.cpus)
    found = []
    for task in scenario.tasks:
        share: dict[int, float] = {}
        for mask in (task.cpus or every, *masks.get(_name(task), ())):
            for cpu in mask:
                share[cpu] = max(share.get(cpu, 0.0), 1 / len(set(mask)))
        found.append(share)
    return found


def _demand(task: Task) -> float:
    """The fraction of a CPU that a task can use; all of it if that depends on others."""
    runs = sum(step.ns for step in task.steps if isinstance(step, Run))
    sleeps = sum(step.ns for step in task.steps if isinstance(step, Sleep))
    known = all(isinstance(step, Run | Sleep | Repeat | Enter | Affine) for step in task.steps)
    return runs / (runs + sleeps) if known and sleeps else 1.0


def _lasting(scenario: Scenario) -> Scenario:
    """Long enough that a task starved from the last change on has waited too long."""
    longest = max(wait_bounds_ns(scenario).values())
    changed = max((change.at_ns for change in scenario.changes), default=0)
    return replace(scenario, duration_ns=changed + longest + S)


def _workers(machine: SimulatedMachine, each: int = 1) -> Task:
    """Tasks that never sleep, several for each CPU: a task that is passed over shows."""
    return Task("workers", (Run(5 * MS, MS), Repeat()), comm="sp-worker", count=each * machine.cpus)


def _others(machine: SimulatedMachine) -> Task:
    """Short work at odd times, as on any machine: keeps the rest from running in step."""
    steps = (Sleep(7 * MS, 6 * MS), Run(60 * US, 50 * US), Repeat())
    return Task("others", steps, comm="sp-other", count=machine.cpus)


def fork_storm(machine: SimulatedMachine) -> Scenario:
    """Shells that start short commands without end, beside tasks that never sleep."""
    burst = (Fork("sp-command"), Fork("sp-command"), Run(200 * US), Sleep(5 * MS, 2 * MS), Repeat())
    return Scenario(
        "fork_storm",
        (
            Task("shells", burst, comm="sp-shell", count=machine.cpus),
            Task("commands", (Run(500 * US, 400 * US),), comm="sp-command", start_ns=None),
            _workers(machine),
        ),
        machine,
    )


def wake_storm(machine: SimulatedMachine) -> Scenario:
    """Each CPU's waker wakes 24 at once, every 20 ms; nobody else wants a CPU for long."""
    herd = 24
    wakes: tuple[Step, ...] = tuple(Wake(f"sp-herd{at}") for at in range(herd))
    return Scenario(
        "wake_storm",
        (
            Task("wakers", (*wakes, Run(50 * US), Sleep(20 * MS), Repeat()), comm="sp-waker",
                 count=machine.cpus),
            *(
                Task("herd", (Wait(), Run(200 * US, 150 * US), Repeat()), comm=f"sp-herd{at}",
                     count=machine.cpus)
                for at in range(herd)
            ),
            _workers(machine),
        ),
        machine,
    )  # fmt: skip


def ping_pong(machine: SimulatedMachine) -> Scenario:
    """Pairs that wake each other in turn without a pause, and as many that never sleep."""
    ping = (Run(200 * US, 50 * US), Wake("sp-pong", sync=True), Wait(), Repeat())
    pong = (Wait(), Run(200 * US, 50 * US), Wake("sp-ping", sync=True), Repeat())
    return Scenario(
        "ping_pong",
        (
            Task("pairs", ping, comm="sp-ping", count=2 * machine.cpus),
            Task("pairs", pong, comm="sp-pong", count=2 * machine.cpus),
            _workers(machine),
            _others(machine),
        ),
        machine,
    )


def mixed_nice(machine: SimulatedMachine) -> Scenario:
    """For each CPU one of each weight that never sleeps, and one that wakes often."""
    waking = (Sleep(5 * MS, 2 * MS), Run(500 * US, 200 * US), Repeat())
    return Scenario(
        "mixed_nice",
        (
            *(
                Task(f"nice{nice}", (Run(5 * MS, MS), Repeat()), comm=f"sp-nice{nice}",
                     count=machine.cpus, nice=nice)
                for nice in (-10, 0, 10)
            ),
            Task("waking", waking, comm="sp-waking", count=machine.cpus, nice=5),
        ),
        machine,
    )  # fmt: skip


def pinned(machine: SimulatedMachine) -> Scenario:
    """One pinned to each CPU, three to the first, and others that roam."""
    steps = (Sleep(3 * MS, MS), Run(MS, 500 * US), Repeat())
    return Scenario(
        "pinned",
        (
            *(
                Task("own", steps, comm=f"sp-own{cpu}", cpus=(cpu,))
                for cpu in range(min(machine.cpus, 8))
            ),
            Task("same", (Run(4 * MS), Repeat()), comm="sp-same", cpus=(0,), count=3),
            _workers(machine),
            _others(machine),
        ),
        machine,
    )


def pinned_to_one(machine: SimulatedMachine) -> Scenario:
    """All want the last CPU and no other; the rest stay idle."""
    last = (machine.cpus - 1,)
    waking = (Sleep(4 * MS, 2 * MS), Run(500 * US, 200 * US), Repeat())
    return Scenario(
        "pinned_to_one",
        (
            Task("busy", (Run(5 * MS, MS), Repeat()), comm="sp-busy", cpus=last, count=4),
            Task("waking", waking, comm="sp-waking", cpus=last, count=6),
        ),
        machine,
    )


def affinity_churn(machine: SimulatedMachine) -> Scenario:
    """Tasks that change their own affinity every few milliseconds, beside some that do not."""
    last = machine.cpus - 1
    wander = (Run(2 * MS, MS), Affine((0,)), Run(2 * MS), Affine((last,)), Sleep(MS), Run(MS),
              Affine(tuple(range(machine.cpus))), Run(MS), Repeat())  # fmt: skip
    return Scenario(
        "affinity_churn",
        (
            Task("wanderers", wander, comm="sp-wander", count=2 * machine.cpus),
            _workers(machine),
            _others(machine),
        ),
        machine,
    )


def hotplug(machine: SimulatedMachine) -> Scenario:
    """The last CPU goes offline and online, at last for longer than the wait limit.

    Tasks pinned to it are on it; others roam.
    """
    cpu = machine.cpus - 1
    waking = (Sleep(5 * MS, 2 * MS), Run(300 * US, 200 * US), Repeat())
    stuck = Task("stuck", (Sleep(MS), Run(2 * MS), Repeat()), comm="sp-stuck", cpus=(cpu,), count=2)
    times = (300, 500, 800, 1100, 1400) if machine.cpus > 1 else ()
    return Scenario(
        "hotplug",
        (
            _workers(machine, 2),
            Task("waking", waking, comm="sp-waking", count=machine.cpus),
            stuck,
        ),
        machine,
        tuple(CpuChange(ms * MS, cpu, online=at % 2 == 1) for at, ms in enumerate(times)),
    )


def long_sleepers(machine: SimulatedMachine) -> Scenario:
    """Tasks that sleep for seconds and then want a CPU for seconds; others never slept."""
    sleeper = (Sleep(2500 * MS, 500 * MS), Run(1500 * MS), Repeat())
    return Scenario(
        "long_sleepers",
        (
            Task("sleepers", sleeper, comm="sp-sleeper", count=2 * machine.cpus),
            _workers(machine),
            _others(machine),
        ),
        machine,
    )


def newcomers(machine: SimulatedMachine) -> Scenario:
    """Busy tasks arrive when others have run for seconds; neither may have the machine alone."""
    steps = (Run(5 * MS, MS), Repeat())
    return Scenario(
        "newcomers",
        (
            _workers(machine),
            *(
                Task("newcomers", steps, comm=f"sp-new{at}", count=machine.cpus,
                     start_ns=at * 1500 * MS)
                for at in (1, 2)
            ),
            _others(machine),
        ),
        machine,
    )  # fmt: skip


def kernel_threads(machine: SimulatedMachine) -> Scenario:
    """Short work of kernel threads, one bound to each CPU and some free, on a busy machine."""
    steps = (Sleep(4 * MS, 2 * MS), Run(100 * US, 80 * US), Repeat())
    return Scenario(
        "kernel_threads",
        (
            *(
                Task("bound", steps, comm=f"kworker/{cpu}:1", cpus=(cpu,), kthread=True)
                for cpu in range(min(machine.cpus, 8))
            ),
            Task("free", steps, comm="kworker/u8:0", count=machine.cpus, kthread=True),
            _workers(machine, 2),
        ),
        machine,
    )


def bursty_rpc(machine: SimulatedMachine) -> Scenario:
    """Clients that ask a server in bursts and wait for it: more than all CPUs can serve."""
    client: tuple[Step, ...] = (
        *(step for _ in range(6) for step in (Run(100 * US, 50 * US), Wake("sp-server"), Wait())),
        Sleep(5 * MS, 4 * MS),
        Repeat(),
    )
    server = (Wait(), Run(400 * US, 200 * US), Wake("sp-client"), Repeat())
    return Scenario(
        "bursty_rpc",
        (
            Task("clients", client, comm="sp-client", count=6 * machine.cpus),
            Task("servers", server, comm="sp-server", count=6 * machine.cpus),
            _workers(machine),
        ),
        machine,
    )


def overload(machine: SimulatedMachine) -> Scenario:
    """A hundred tasks for each CPU, fewer on large machines, which sleep rarely."""
    steps = (Run(3 * MS, 2 * MS), Sleep(MS), Repeat())
    count = min(100 * machine.cpus, max(1600, 4 * machine.cpus))
    crowd = Task("crowd", steps, comm="sp-crowd", count=count)
    return Scenario("overload", (crowd,), machine)


def uneven_batch(machine: SimulatedMachine) -> Scenario:
    """One long job and many short ones, the long one last; expected runtimes are known."""
    short = Task("jobs", (Run(50 * MS),), comm="sp-short", count=10 * machine.cpus,
                 expected_ns=50 * MS)  # fmt: skip
    long = Task("jobs", (Run(900 * MS),), comm="sp-long", expected_ns=900 * MS)
    return Scenario("uneven_batch", (short, long), machine)


def exit_churn(machine: SimulatedMachine) -> Scenario:
    """Chains of tasks that start the next and end at once, on a machine that is half idle."""
    chain = (Run(300 * US, 200 * US), Fork("sp-link"), Fork("sp-link"), Sleep(8 * MS), Repeat())
    link = (Run(200 * US, 100 * US), Fork("sp-end"), Run(100 * US))
    return Scenario(
        "exit_churn",
        (
            Task("chains", chain, comm="sp-chain", count=machine.cpus),
            Task("links", link, comm="sp-link", start_ns=None),
            Task("ends", (Run(50 * US, 40 * US),), comm="sp-end", start_ns=None),
        ),
        machine,
    )


def quiet(machine: SimulatedMachine) -> Scenario:
    """Few tasks that wake now and then on idle CPUs: no other event rescues a lost one."""
    steps = (Sleep(30 * MS, 20 * MS), Run(2 * MS, MS), Repeat())
    tasks = (
        Task("timers", steps, comm="sp-timer", count=max(machine.cpus // 2, 1)),
        Task("pair", (Sleep(11 * MS), Run(MS), Wake("sp-right"), Repeat()), comm="sp-left"),
        Task("pair", (Wait(), Run(MS), Repeat()), comm="sp-right"),
    )
    return Scenario("quiet", tasks, machine)


def every_nice(machine: SimulatedMachine) -> Scenario:
    """Tasks of each nice level that sleep and wake; there is time for all of them."""
    copies = max(machine.cpus // 8, 1)
    # 85 % of the machine, whatever its size.
    period = int(40 * copies * 2 * MS / (0.85 * machine.cpus))
    steps = (Sleep(period - 2 * MS, period // 4), Run(2 * MS, MS), Repeat())
    return Scenario(
        "every_nice",
        tuple(
            Task(f"nice{nice}", steps, comm=f"sp-level{nice + 20}", count=copies, nice=nice)
            for nice in range(-20, 20)
        ),
        machine,
    )


def policies(machine: SimulatedMachine) -> Scenario:
    """SCHED_IDLE and SCHED_BATCH beside usual tasks that never sleep."""
    half = machine.cpus // 2 or 1
    busy = (Run(5 * MS, MS), Repeat())
    waking = (Sleep(6 * MS, 3 * MS), Run(400 * US, 200 * US), Repeat())
    return Scenario(
        "policies",
        (
            _workers(machine),
            Task("batch", busy, comm="sp-batch", count=half, policy=Policy.BATCH),
            Task("idle", busy, comm="sp-idle", count=machine.cpus, policy=Policy.IDLE),
            Task("waking", waking, comm="sp-waking", count=half // 2 or 1),
            Task("waking_batch", waking, comm="sp-waking-b", policy=Policy.BATCH),
            Task("waking_idle", waking, comm="sp-waking-i", count=2, policy=Policy.IDLE),
        ),
        machine,
    )  # fmt: skip


def yielding(machine: SimulatedMachine) -> Scenario:
    """Tasks that yield, some all the time and some before they sleep, beside some that do not."""
    spin = (Run(MS, 500 * US), Yield(), Repeat())
    polite = (Run(300 * US, 200 * US), Yield(), Run(200 * US), Sleep(4 * MS, 2 * MS), Repeat())
    last = (machine.cpus - 1,)
    return Scenario(
        "yielding",
        (
            Task("spinning", spin, comm="sp-spin", count=machine.cpus),
            Task("bound", spin, comm="sp-spin-bound", cpus=last),
            Task("polite", polite, comm="sp-polite", count=2 * machine.cpus),
            _workers(machine),
            _others(machine),
        ),
        machine,
    )


def exiting(machine: SimulatedMachine) -> Scenario:
    """Tasks that still sleep, or run for long, while they exit; on a busy machine."""
    shell = (Fork("sp-leaver"), Run(200 * US), Sleep(15 * MS, 10 * MS), Fork("sp-slow"),
             Sleep(60 * MS, 30 * MS), Repeat())  # fmt: skip
    leaver = (Run(400 * US, 300 * US), Leave(), Run(100 * US), Sleep(2 * MS, MS), Run(200 * US))
    slow = (Run(400 * US, 300 * US), Leave(), Run(30 * MS, 10 * MS))
    return Scenario(
        "exiting",
        (
            Task("shells", shell, comm="sp-shell", count=machine.cpus),
            Task("leavers", leaver, comm="sp-leaver", start_ns=None),
            Task("leavers", slow, comm="sp-slow", start_ns=None),
            _workers(machine),
        ),
        machine,
    )


def tides(machine: SimulatedMachine) -> Scenario:
    """All sleep for more than a second, then all want the CPUs at once, of several weights."""
    levels = (-5, 0, 5)
    wakes: tuple[Step, ...] = tuple(Wake(f"sp-tide{nice + 20}") for nice in levels)
    return Scenario(
        "tides",
        (
            Task("moon", (Sleep(1300 * MS), *wakes, Repeat()), comm="sp-moon",
                 count=2 * machine.cpus),
            *(
                Task(f"tide{nice}", (Wait(), Run(50 * MS, 30 * MS), Repeat()),
                     comm=f"sp-tide{nice + 20}", count=2 * machine.cpus, nice=nice)
                for nice in levels
            ),
            Task("kernel", (Sleep(400 * MS, 100 * MS), Run(200 * US), Repeat()),
                 comm="kworker/u9:0", kthread=True),
        ),
        machine,
    )  # fmt: skip


def masks(machine: SimulatedMachine) -> Scenario:
    """Affinities with gaps in them, and some that others change while their tasks wait.

    Not so often that a task that is queued anew each time never has its turn.
    """
    cpus = range(machine.cpus)
    last = machine.cpus - 1
    gaps = tuple(dict.fromkeys((
        tuple(cpus[::2]), tuple(cpus[1::2]) or (0,), tuple(dict.fromkeys((0, last))),
        tuple(cpus[last % 3::3]), tuple(cpu for cpu in cpus if cpu != last // 2) or (0,),
    )))  # fmt: skip
    steps = (Run(3 * MS, 2 * MS), Sleep(MS), Repeat())
    binder = tuple(
        step for mask in (*gaps, (last,), (0,)) for step in (
            Sleep(120 * MS, 60 * MS), Affine(mask, of="sp-bound"), Renice(5, of="sp-bound"),
            Sleep(120 * MS, 60 * MS), Affine(tuple(cpus), of="sp-bound"), Renice(0, of="sp-bound"),
        )
    )  # fmt: skip
    return Scenario(
        "masks",
        (
            *(
                Task("gaps", steps, comm=f"sp-gaps{at}", cpus=mask, count=2)
                for at, mask in enumerate(gaps)
            ),
            Task("bound", steps, comm="sp-bound", count=machine.cpus),
            Task("binders", (*binder, Repeat()), comm="sp-binder", count=machine.cpus),
            _workers(machine),
        ),
        machine,
    )


def cgroups(machine: SimulatedMachine) -> Scenario:
    """Many cgroups, including nested ones; some are made and removed, and tasks move between them.

    A cgroup is removed as soon as it is empty: right after its last task has exited, or was moved
    out while it waited.
    """
    jobs, each_ns = 16, 300 * MS
    waking = (Sleep(60 * MS, 40 * MS), Run(500 * US, 400 * US), Repeat())
    busy = (Run(4 * MS, 2 * MS), Repeat())
    services = [f"/sp-slice{at}/sp-unit{at}-{unit}" for at in range(24) for unit in range(3)]
    wander = (Run(2 * MS, MS), Enter("/sp-slice0"), Run(MS), Sleep(2 * MS, MS),
              Enter("/sp-slice1/sp-unit1-0/sp-deep/sp-deeper"), Run(2 * MS, MS),
              Enter("/"), Sleep(MS), Repeat())  # fmt: skip
    shift: tuple[Step, ...] = (Sleep(15 * MS),)
    for at in range(jobs):
        shift += (
            Enter(f"/sp-job{at}/sp-part", of="sp-moved"),
            Enter(f"/sp-job{at}", of="sp-drowsy"),
            Sleep(each_ns // 2),
            Enter("/sp-slice2", of="sp-moved"),
            Enter("/", of="sp-drowsy"),
            Sleep(each_ns // 2),
        )
    tree = [Cgroup(f"/sp-slice{at}") for at in range(24)]
    tree += [Cgroup(each) for each in services]
    deep = "/sp-slice1/sp-unit1-0/sp-deep"
    tree += [Cgroup(deep), Cgroup(f"{deep}/sp-deeper")]
    for at in range(jobs):
        begin, end = at * each_ns + MS, at * each_ns + 100 * MS
        tree += [
            Cgroup(f"/sp-job{at}", from_ns=begin, until_ns=end),
            Cgroup(f"/sp-job{at}/sp-part", from_ns=begin, until_ns=end),
        ]
    return Scenario(
        "cgroups",
        (
            *(
                Task("services", waking, comm=f"sp-unit{at}", cgroup=each)
                for at, each in enumerate(services)
            ),
            *(
                Task("jobs", (Run(5 * MS, 4 * MS), Sleep(MS), Run(3 * MS, 2 * MS)),
                     comm=f"sp-job{at}", cgroup=f"/sp-job{at}", start_ns=at * each_ns + 2 * MS,
                     count=2)
                for at in range(jobs)
            ),
            # They outlive the cgroups in which they began.
            *(
                Task("strays", (Run(5 * MS, 4 * MS), Enter("/sp-slice4"), Run(10 * MS, 5 * MS),
                                Sleep(30 * MS, 20 * MS), Run(10 * MS, 5 * MS), Repeat(10)),
                     comm=f"sp-stray{at}", cgroup=f"/sp-job{at}/sp-part",
                     start_ns=at * each_ns + 2 * MS)
                for at in range(jobs)
            ),
            Task("deep", busy, comm="sp-deep", cgroup=f"{deep}/sp-deeper"),
            Task("busy", busy, comm="sp-busy", cgroup="/sp-slice3", count=machine.cpus),
            Task("wanderers", wander, comm="sp-wander", count=machine.cpus),
            Task("moved", busy, comm="sp-moved", count=2),
            Task("moved", (Sleep(3 * MS, MS), Run(MS), Repeat()), comm="sp-drowsy", count=2),
            Task("managers", (*shift, Repeat()), comm="sp-manager", count=2),
        ),
        machine,
        cgroups=tuple(tree),
    )  # fmt: skip


def spread(machine: SimulatedMachine) -> Scenario:
    """Tasks bound to each single CPU, to CPUs far apart, and to none; half of the time is idle."""
    cpus = range(machine.cpus)
    last = machine.cpus - 1
    waking = (Sleep(40 * MS, 20 * MS), Run(6 * MS, 4 * MS), Repeat())
    apart = tuple(dict.fromkeys((tuple(cpus[::3]), tuple(cpus[last // 2 :]), (last, last // 2))))
    return Scenario(
        "spread",
        (
            *(Task("own", waking, comm=f"sp-own{cpu}", cpus=(cpu,)) for cpu in cpus),
            *(
                Task("apart", waking, comm=f"sp-apart{at}", cpus=tuple(dict.fromkeys(mask)),
                     count=2)
                for at, mask in enumerate(apart)
            ),
            Task("busy", (Run(5 * MS, MS), Repeat()), comm="sp-busy", cpus=(0,)),
            Task("busy", (Run(5 * MS, MS), Repeat()), comm="sp-busy-last", cpus=(last,)),
            Task("roaming", waking, comm="sp-roaming", count=machine.cpus),
        ),
        machine,
    )  # fmt: skip


def _named(make: Callable[[SimulatedMachine], Scenario]) -> Callable[[SimulatedMachine], Scenario]:
    return lambda machine: _lasting(make(machine))


# Cheap and telling ones first, so that a serious defect shows at once.
STRESS: Mapping[str, Callable[[SimulatedMachine], Scenario]] = MappingProxyType(
    {
        make.__name__: _named(make)
        for make in (
            quiet,
            mixed_nice,
            every_nice,
            policies,
            yielding,
            pinned,
            pinned_to_one,
            spread,
            affinity_churn,
            masks,
            exiting,
            tides,
            cgroups,
            hotplug,
            kernel_threads,
            newcomers,
            long_sleepers,
            uneven_batch,
            fork_storm,
            exit_churn,
            wake_storm,
            ping_pong,
            bursty_rpc,
            overload,
        )
    }
)


def _on(cpus: int) -> SimulatedMachine:
    """A machine of that size, with two caches if they can have the same size."""
    return SimulatedMachine(cpus, cpus // 2 if cpus > 2 and cpus % 2 == 0 else 0)


@lru_cache(maxsize=4)
def stress_set(cpus: tuple[int, ...] = ()) -> tuple[Scenario, ...]:
    """The scenarios that a scheduler is put through.

    All of them on a small machine, one scenario on some others (`OTHER_SIZES`), and all on each
    requested size.
    """
    sizes = [size for size in dict.fromkeys(cpus) if size != STRESS_MACHINE.cpus]
    asked = [
        replace(make(_on(size)), name=f"{name}@{size}")
        for size in sizes
        for name, make in STRESS.items()
    ]
    usual = [make(STRESS_MACHINE) for make in STRESS.values()]
    others = [
        replace(STRESS["spread"](_on(size)), name=f"spread@{size}")
        for size in OTHER_SIZES
        if size not in sizes
    ]
    # Right behind the same on the small machine.
    at = list(STRESS).index("spread") + 1
    return (*usual[:at], *others, *usual[at:], *asked)
