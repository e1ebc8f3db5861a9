# SPDX-License-Identifier: GPL-2.0-only
"""The stress set: what every scheduler has to survive before it meets a host.

Each scenario is one trait that schedulers fail by, on a small machine and long enough that
somebody who is starved has waited longer than anybody may (`wait_bound_ns`). Command names are
of no program, so that rules for names treat all alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from simulator.scenario import (
    MS,
    US,
    Affine,
    CpuChange,
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
)

# Four CPUs of two caches: the smallest machine on which stealing and placement can go wrong.
STRESS_MACHINE = Machine(4, 2)

# What a task may wait in any case: the longest promise that the library's schedulers make
# (max_wait_ns, 3 s), and looking for it.
GRACE_NS = 4 * S
# The longest slice with which waiting in turn is still within the bound; a tick is added, since
# slices end at ticks.
SLICE_NS = 100 * MS
# The kernel's watchdog ejects after 30 s; who waits so long was starved whatever the load.
LONGEST_WAIT_NS = 25 * S

# The kernel's sched_prio_to_weight[] for each fifth nice level, in between by its ratio of 1.25.
_WEIGHT_0 = 1024.0


def weight_of(nice: int) -> float:
    """What sched_ext calls the weight of a task: 100 at nice 0, 1 to 10000."""
    return min(max(_WEIGHT_0 * 1.25**-nice * 100 / 1024, 1.0), 10_000.0)


def wait_bound_ns(scenario: Scenario, group: str) -> int:
    """The longest that a task of a group may wait for a CPU before it counts as starved.

    Where every task of a CPU takes its turn by weight, one of weight w waits for the slices of
    the others: at most W / w slices, W being the weight of all that may want this CPU. That with
    the longest slice we accept, and a grace for schedulers that let some go first for a while.
    It grows with the load, not with time, so starvation exceeds it however it comes about.
    """
    machine = scenario.machine
    crowd = [0.0] * machine.cpus
    for task in scenario.tasks:
        cpus = set(task.cpus) or set(range(machine.cpus))
        weight = weight_of(task.nice) * _copies(scenario, task)
        for cpu in cpus:
            crowd[cpu] += weight / len(cpus)
    # While a CPU is away the others have its load.
    spare = machine.cpus - len(
        {each.cpu for each in scenario.changes if isinstance(each, CpuChange)}
    )
    crowd = [each * machine.cpus / max(spare, 1) for each in crowd]
    own = [task for task in scenario.tasks if task.group == group]
    turns = max(
        max(crowd[cpu] for cpu in (task.cpus or range(machine.cpus))) / weight_of(task.nice)
        for task in own
    )
    return min(int(GRACE_NS + turns * (SLICE_NS + machine.tick_ns)), LONGEST_WAIT_NS)


def _copies(scenario: Scenario, task: Task) -> int:
    """How many of a task there may be at once; of what is forked without end, one round."""
    if task.start_ns is not None:
        return task.count
    name = task.name or task.comm or task.group
    made = 0
    for parent in scenario.tasks:
        forks = sum(isinstance(step, Fork) and step.task == name for step in parent.steps)
        last = parent.steps[-1]
        rounds = max(last.times, 1) if isinstance(last, Repeat) else 1
        made += forks * parent.count * rounds
    return max(made, 1)


def _lasting(scenario: Scenario) -> Scenario:
    """Long enough that who is starved from the last change on has waited too long."""
    longest = max(wait_bound_ns(scenario, task.group) for task in scenario.tasks)
    changed = max((change.at_ns for change in scenario.changes), default=0)
    return replace(scenario, duration_ns=changed + longest + S)


def _workers(machine: Machine, each: int = 1) -> Task:
    """Tasks that never sleep, so many for each CPU: who is passed over is seen to be."""
    return Task("workers", (Run(5 * MS, MS), Repeat()), comm="sp-worker", count=each * machine.cpus)


def _others(machine: Machine) -> Task:
    """Short work at odd times, as on any machine: keeps the rest from running in step."""
    steps = (Sleep(7 * MS, 6 * MS), Run(60 * US, 50 * US), Repeat())
    return Task("others", steps, comm="sp-other", count=machine.cpus)


def fork_storm(machine: Machine) -> Scenario:
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


def wake_storm(machine: Machine) -> Scenario:
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


def ping_pong(machine: Machine) -> Scenario:
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


def mixed_nice(machine: Machine) -> Scenario:
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


def pinned(machine: Machine) -> Scenario:
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


def pinned_to_one(machine: Machine) -> Scenario:
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


def affinity_churn(machine: Machine) -> Scenario:
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


def hotplug(machine: Machine) -> Scenario:
    """The last CPU goes and comes back, at last for longer than anybody may wait.

    Tasks that may run nowhere else are on it; others roam.
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


def long_sleepers(machine: Machine) -> Scenario:
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


def newcomers(machine: Machine) -> Scenario:
    """Busy tasks come when others have run for seconds; neither may have the machine alone."""
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


def kernel_threads(machine: Machine) -> Scenario:
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


def bursty_rpc(machine: Machine) -> Scenario:
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


def overload(machine: Machine) -> Scenario:
    """A hundred tasks for each CPU, which sleep rarely."""
    steps = (Run(3 * MS, 2 * MS), Sleep(MS), Repeat())
    crowd = Task("crowd", steps, comm="sp-crowd", count=100 * machine.cpus)
    return Scenario("overload", (crowd,), machine)


def uneven_batch(machine: Machine) -> Scenario:
    """One long job and many short ones, the long one last; what is expected is known."""
    short = Task("jobs", (Run(50 * MS),), comm="sp-short", count=10 * machine.cpus,
                 expected_ns=50 * MS)  # fmt: skip
    long = Task("jobs", (Run(900 * MS),), comm="sp-long", expected_ns=900 * MS)
    return Scenario("uneven_batch", (short, long), machine)


def exit_churn(machine: Machine) -> Scenario:
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


def quiet(machine: Machine) -> Scenario:
    """Few tasks that wake now and then on idle CPUs: nobody else brings a lost one back."""
    steps = (Sleep(30 * MS, 20 * MS), Run(2 * MS, MS), Repeat())
    tasks = (
        Task("timers", steps, comm="sp-timer", count=max(machine.cpus // 2, 1)),
        Task("pair", (Sleep(11 * MS), Run(MS), Wake("sp-right"), Repeat()), comm="sp-left"),
        Task("pair", (Wait(), Run(MS), Repeat()), comm="sp-right"),
    )
    return Scenario("quiet", tasks, machine)


def _named(make: Callable[[Machine], Scenario]) -> Callable[[Machine], Scenario]:
    return lambda machine: _lasting(make(machine))


# Cheap and telling ones first: what is badly wrong is known at once.
STRESS: Mapping[str, Callable[[Machine], Scenario]] = MappingProxyType(
    {
        make.__name__: _named(make)
        for make in (
            quiet,
            mixed_nice,
            pinned,
            pinned_to_one,
            affinity_churn,
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
