# SPDX-License-Identifier: GPL-2.0-or-later
"""The workloads of both sides: shapes of the stress set that end, for two CPUs.

Times are milliseconds and not less, because under emulation a single switch takes a twentieth of
one. Each workload has hundreds of wakeups, because their 99th percentile counts. In each, the group
`front` is measured; everything else only competes with it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from simulator.scenario import (
    MS,
    US,
    Bandwidth,
    Cgroup,
    Fork,
    Lock,
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
)

FRONT = "front"
BACK = "back"
# Ends a run in which a bad scheduler starves tasks.
LIMIT_NS = 15 * S
# Sleeps rarely, and at irregular times. Slices end at ticks: with regular times, two CPUs would
# keep the phase in which they started, and a run would show only one of many.
HOG = (Run(60 * MS, 40 * MS), Sleep(MS), Repeat())
# Something wakes now and then on every machine. Without it, a hog may get 20 ms at once.
OTHER = (Sleep(10 * MS, 5 * MS), Run(100 * US), Repeat())


def service(machine: SimulatedMachine) -> Scenario:
    """Two tasks that answer short requests beside four that rarely sleep."""
    request = (Sleep(5 * MS, 2 * MS), Run(800 * US, 500 * US), Repeat(400))
    return Scenario(
        "service",
        (
            Task(BACK, HOG, comm="hog", count=4),
            Task(FRONT, request, comm="front", count=2),
        ),
        machine,
        duration_ns=LIMIT_NS,
    )


def mixed_nice(machine: SimulatedMachine) -> Scenario:
    """Two tasks of nice 0 that sleep now and then, among hogs of nice 0, 5 and 10."""
    work = (Run(6 * MS, 3 * MS), Sleep(2 * MS, MS), Repeat(300))
    hogs = tuple(
        Task(BACK, HOG, comm=f"hog{nice}", nice=nice, count=count)
        for nice, count in ((0, 1), (5, 2), (10, 2))
    )
    return Scenario(
        "mixed_nice",
        (*hogs, Task(FRONT, work, comm="front", count=2)),
        machine,
        duration_ns=LIMIT_NS,
    )


def ping_pong(machine: SimulatedMachine) -> Scenario:
    """Two pairs that wake each other in turn, beside four hogs and some others."""
    ping = (Run(900 * US, 300 * US), Wake("front-pong", sync=True), Wait(), Repeat(300))
    pong = (Wait(), Run(900 * US, 300 * US), Wake("front-ping", sync=True), Repeat(300))
    return Scenario(
        "ping_pong",
        (
            Task(FRONT, ping, comm="front-ping", count=2),
            Task(FRONT, pong, comm="front-pong", count=2),
            Task(BACK, HOG, comm="hog", count=4),
            Task(BACK, OTHER, comm="other", count=2),
        ),
        machine,
        duration_ns=LIMIT_NS,
    )


def fork_storm(machine: SimulatedMachine) -> Scenario:
    """Two shells that start short commands, two at a time, beside two hogs.

    A forked task has its parent's name until it sets its own, so both have to fit a policy's rule.
    Emulated, a fork takes a third of a ms and more, so a third one would end together with a slice.
    """
    burst: tuple[Step, ...] = (
        *(Fork("front-command") for _ in range(2)),
        Run(MS),
        Sleep(15 * MS, 5 * MS),
        Repeat(90),
    )
    return Scenario(
        "fork_storm",
        (
            Task("shells", burst, comm="front-sh", count=2),
            Task(FRONT, (Run(3 * MS, 2 * MS),), comm="front-command", start_ns=None),
            Task(BACK, HOG, comm="hog", count=2),
            Task(BACK, OTHER, comm="other", count=2),
        ),
        machine,
        duration_ns=LIMIT_NS,
    )


def uneven_batch(machine: SimulatedMachine) -> Scenario:
    """One long job and 20 short ones, the long one last; the expected runtimes are known.

    Beside them run two tasks that wake now and then, as on every machine: they make jobs with equal
    claims take turns.
    """
    return Scenario(
        "uneven_batch",
        (
            Task(FRONT, (Run(50 * MS),), comm="front-short", count=20, expected_ns=50 * MS),
            Task(FRONT, (Run(900 * MS),), comm="front-long", expected_ns=900 * MS),
            Task(BACK, (Sleep(20 * MS, 10 * MS), Run(200 * US), Repeat()), comm="other", count=2),
        ),
        machine,
        duration_ns=LIMIT_NS,
    )


def pinned(machine: SimulatedMachine) -> Scenario:
    """Sleepers that are pinned to one CPU each, among hogs that are pinned to the first CPU or
    free."""
    steps = (Sleep(4 * MS, 2 * MS), Run(1500 * US, 500 * US), Repeat(400))
    own = tuple(Task(FRONT, steps, comm=f"front{cpu}", cpus=(cpu,)) for cpu in range(machine.cpus))
    return Scenario(
        "pinned",
        (
            *own,
            Task(BACK, HOG, comm="same", cpus=(0,), count=2),
            Task(BACK, HOG, comm="free", count=2),
        ),
        machine,
        duration_ns=LIMIT_NS,
    )


def rpc(machine: SimulatedMachine) -> Scenario:
    """Bursts of four requests, each through a server and its worker, beside two hogs and others."""
    clients = (Wake("front-server"), Run(300 * US), Sleep(15 * MS, 5 * MS), Repeat(240))
    server = (Wait(), Run(MS, 500 * US), Wake("front-worker"), Repeat(240))
    worker = (Wait(), Run(2 * MS, MS), Repeat(240))
    return Scenario(
        "rpc",
        (
            Task("clients", clients, comm="client", count=4),
            Task(FRONT, server, comm="front-server", count=4),
            Task(FRONT, worker, comm="front-worker", count=4),
            Task(BACK, HOG, comm="hog", count=2),
            Task(BACK, OTHER, comm="other", count=2),
        ),
        machine,
        duration_ns=LIMIT_NS,
    )


def overload(machine: SimulatedMachine) -> Scenario:
    """Thirty tasks for each CPU that run and sleep alike; half of them are measured."""
    steps = (Run(3 * MS, 2 * MS), Sleep(2 * MS, MS), Repeat(20))
    return Scenario(
        "overload",
        (
            Task(BACK, (*steps[:2], Repeat()), comm="crowd", count=15 * machine.cpus),
            Task(FRONT, steps, comm="front", count=15 * machine.cpus),
        ),
        machine,
        duration_ns=LIMIT_NS,
    )


def locked(machine: SimulatedMachine) -> Scenario:
    """Two workers for each CPU whose requests of 23 ms hold a spinlock of their CPU, as schbench's.

    Each asks a thread of its own, sleeps a moment, and begins.
    """
    work = (Lock("cpu", spins=True, per_cpu=True), Run(23 * MS, 4 * MS), Unlock("cpu"))
    ask = (Wake("front-message"), Wait(), Run(200 * US), Sleep(MS))
    answer = (Wait(), Run(200 * US), Wake("front"), Repeat(60))
    count = 2 * machine.cpus
    return Scenario(
        "locked",
        (
            Task(FRONT, answer, comm="front-message", count=count),
            Task(FRONT, (*ask, *work, Repeat(60)), comm="front", count=count),
            Task(BACK, OTHER, comm="other", count=2),
        ),
        machine,
        duration_ns=LIMIT_NS,
    )


def cgroup_weights(machine: SimulatedMachine) -> Scenario:
    """Two tasks that sleep now and then in a cgroup of cpu.weight 300, between 100 and 900."""
    work = (Run(6 * MS, 3 * MS), Sleep(2 * MS, MS), Repeat(150))
    return Scenario(
        "cgroup_weights",
        (
            Task(BACK, HOG, comm="light", count=2, cgroup="/light"),
            Task(BACK, HOG, comm="heavy", count=2, cgroup="/heavy"),
            Task(FRONT, work, comm="front", count=2, cgroup="/middle"),
        ),
        machine,
        duration_ns=LIMIT_NS,
        cgroups=(Cgroup("/light", 100), Cgroup("/middle", 300), Cgroup("/heavy", 900)),
    )


def cgroup_quota(machine: SimulatedMachine) -> Scenario:
    """Three tasks that sleep a moment now and then, and may have 60 % of a CPU together."""
    work = (Run(4 * MS, 2 * MS), Sleep(MS), Repeat(150))
    return Scenario(
        "cgroup_quota",
        (
            Task(BACK, HOG, comm="hog", count=2),
            Task(BACK, OTHER, comm="other", count=2),
            Task(FRONT, work, comm="front", count=3, cgroup="/limited"),
        ),
        machine,
        duration_ns=LIMIT_NS,
        cgroups=(Cgroup("/limited", bandwidth=Bandwidth(60 * MS)),),
    )


def cgroup_idle(machine: SimulatedMachine) -> Scenario:
    """Two tasks that answer short requests, and a hog, beside four hogs of an idle cgroup."""
    request = (Sleep(5 * MS, 2 * MS), Run(800 * US, 500 * US), Repeat(400))
    return Scenario(
        "cgroup_idle",
        (
            Task(BACK, HOG, comm="idle", count=4, cgroup="/idle"),
            Task(BACK, HOG, comm="hog", cgroup="/usual"),
            Task(FRONT, request, comm="front", count=2, cgroup="/usual"),
        ),
        machine,
        duration_ns=LIMIT_NS,
        cgroups=(Cgroup("/idle", idle=True), Cgroup("/usual")),
    )


WORKLOADS: Mapping[str, Callable[[SimulatedMachine], Scenario]] = MappingProxyType(
    {
        make.__name__: make
        for make in (
            service,
            mixed_nice,
            ping_pong,
            fork_storm,
            uneven_batch,
            pinned,
            rpc,
            overload,
            locked,
            cgroup_weights,
            cgroup_quota,
            cgroup_idle,
        )
    }
)
