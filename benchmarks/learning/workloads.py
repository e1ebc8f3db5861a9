# SPDX-License-Identifier: GPL-2.0-or-later
"""The recorded workloads: common ones, each with the figure that counts for it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from scheduler_library.profile import WorkloadFigures, tags_of
from simulator.run import SimulationFigures
from simulator.scenario import (
    MS,
    US,
    Fork,
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
)

SECONDS = 4


@dataclass(frozen=True)
class Workload:
    """A scenario, the degraded group in it, and the figure that counts for it."""

    make: Callable[[SimulatedMachine], Scenario]
    group: str
    comm: str
    metric: str
    jobs: tuple[int, float] = (0, 0.0)

    def value(self, figures: SimulationFigures) -> float | None:
        """The figure, in its own unit; None if the workload did not end."""
        group = figures.group(self.group)
        if self.metric == "throughput":
            return group.cycles / (figures.time_ns / S)
        found = getattr(group, self.metric)
        return float(found) if found else None

    def profile(self, figures: SimulationFigures) -> WorkloadFigures:
        """The daemon's measurements of the group, if the kernel's default ran."""
        group = figures.group(self.group)
        seconds = figures.time_ns / S
        switches = max(group.switches, 1)
        return WorkloadFigures(
            seconds=seconds,
            mean_burst_us=round(group.run_ns / switches / 1000, 1),
            wakeups_per_s=round(group.wakeups / seconds, 1),
            cpus_used=round(group.run_ns / figures.time_ns, 3),
            threads=group.tasks,
            forks_per_s=round(group.finished / seconds, 1),
            migrations_per_s=round(group.migrations / seconds, 1),
            involuntary_ratio=round(max(0.0, min(1.0, 1 - group.wakeups / switches)), 3),
            delay_p50_us=group.delay_p50_ns / 1000,
            delay_p99_us=group.delay_p99_ns / 1000,
            jobs_finished=self.jobs[0],
            job_longest_ratio=self.jobs[1],
            machine_cpus=figures.cpus,
            machine_utilisation=round(
                min(1.0, figures.run_ns / (figures.cpus * figures.time_ns)), 3
            ),
        )

    def tags(self, figures: SimulationFigures) -> list[str]:
        return [tag.value for tag in tags_of(self.profile(figures))]


def _hogs(machine: SimulatedMachine, each: int = 2) -> Task:
    return Task("hogs", (Run(10 * MS, 2 * MS), Repeat()), comm="hog", count=each * machine.cpus)


def _beside(name: str, *tasks: Task, machine: SimulatedMachine) -> Scenario:
    return Scenario(name, tasks, machine, duration_ns=SECONDS * S)


def web(machine: SimulatedMachine) -> Scenario:
    """Requests of 0.3 ms, beside twice as many hogs as CPUs."""
    steps = (Sleep(4 * MS, 2 * MS), Run(300 * US, 200 * US), Repeat())
    task = Task("web", steps, comm="web", count=2 * machine.cpus)
    return _beside("web", task, _hogs(machine), machine=machine)


def cache(machine: SimulatedMachine) -> Scenario:
    """Very short requests, often, beside as many hogs as CPUs."""
    steps = (Sleep(MS, 500 * US), Run(60 * US, 40 * US), Repeat())
    task = Task("cache", steps, comm="cache", count=machine.cpus)
    return _beside("cache", task, _hogs(machine, 1), machine=machine)


def desktop(machine: SimulatedMachine) -> Scenario:
    """A program that a person waits for, while a build runs."""
    steps = (Sleep(60 * MS, 30 * MS), Run(1500 * US, 500 * US), Repeat())
    task = Task("desktop", steps, comm="editor", count=3)
    return _beside("desktop", task, _hogs(machine, 3), machine=machine)


def rpc(machine: SimulatedMachine) -> Scenario:
    """Clients that ask servers in bursts: more than all CPUs can serve."""
    client = (
        *(step for _ in range(6) for step in (Run(100 * US, 50 * US), Wake("server"), Wait())),
        Sleep(5 * MS, 4 * MS),
        Repeat(),
    )
    server = (Wait(), Run(300 * US, 100 * US), Wake("client"), Repeat())
    return _beside(
        "rpc",
        Task("rpc", client, name="client", comm="rpc", count=4 * machine.cpus),
        Task("servers", server, name="server", comm="rpcd", count=4 * machine.cpus),
        _hogs(machine, 1),
        machine=machine,
    )


def render(machine: SimulatedMachine) -> Scenario:
    """One long job among many short ones; the long one starts last."""
    short = Task("render", (Run(60 * MS),), comm="render", count=39, expected_ns=60 * MS)
    long = Task("render", (Run(900 * MS),), comm="render", name="long", expected_ns=900 * MS)
    return Scenario("render", (short, long), machine, duration_ns=20 * S)


def backup(machine: SimulatedMachine) -> Scenario:
    """Two long jobs behind many, beside a service that needs almost nothing."""
    short = Task("backup", (Run(40 * MS),), comm="pack", count=60, expected_ns=40 * MS)
    long = Task("backup", (Run(700 * MS),), comm="pack", name="long", count=2,
                expected_ns=700 * MS)  # fmt: skip
    others = Task("others", (Sleep(10 * MS, 5 * MS), Run(100 * US), Repeat()), comm="sp-other",
                  count=2)  # fmt: skip
    return Scenario("backup", (short, long, others), machine, duration_ns=20 * S)


def build(machine: SimulatedMachine) -> Scenario:
    """Shells that start commands; the time until all of them are done counts."""
    forks: tuple[Step, ...] = tuple(Fork("compile") for _ in range(4))
    burst = (*forks, Run(500 * US), Sleep(2 * MS, MS), Repeat(40))
    shells = Task("build", burst, comm="make", count=machine.cpus)
    commands = Task("commands", (Run(3 * MS, 2 * MS),), name="compile", comm="cc1", start_ns=None)
    return Scenario("build", (shells, commands), machine, duration_ns=20 * S)


def solver(machine: SimulatedMachine) -> Scenario:
    """Long computations, three for each CPU: no scheduler makes them faster."""
    task = Task("solver", (Run(20 * MS, 5 * MS), Repeat()), comm="solver", count=3 * machine.cpus)
    return _beside("solver", task, machine=machine)


def pipeline(machine: SimulatedMachine) -> Scenario:
    """Pairs that hand work to each other, beside as many hogs as CPUs."""
    left = (Run(150 * US, 50 * US), Wake("right", sync=True), Wait(), Repeat())
    right = (Wait(), Run(150 * US, 50 * US), Wake("left", sync=True), Repeat())
    return _beside(
        "pipeline",
        Task("pipeline", left, name="left", comm="pipe", count=2 * machine.cpus),
        Task("pipeline", right, name="right", comm="pipe", count=2 * machine.cpus),
        _hogs(machine, 1),
        machine=machine,
    )


def crowd(machine: SimulatedMachine) -> Scenario:
    """Forty threads for each CPU that sleep rarely."""
    steps = (Run(2 * MS, MS), Sleep(3 * MS, 2 * MS), Repeat())
    task = Task("crowd", steps, comm="crowd", count=40 * machine.cpus)
    return _beside("crowd", task, machine=machine)


WORKLOADS: Mapping[str, Workload] = MappingProxyType(
    {
        "web": Workload(web, "web", "web", "delay_p99_ns"),
        "cache": Workload(cache, "cache", "cache", "delay_p99_ns"),
        "desktop": Workload(desktop, "desktop", "editor", "delay_p99_ns"),
        "rpc": Workload(rpc, "rpc", "rpc", "throughput"),
        "render": Workload(render, "render", "render", "makespan_ns", (40, 15.0)),
        "backup": Workload(backup, "backup", "pack", "makespan_ns", (62, 17.5)),
        "build": Workload(build, "build", "make", "makespan_ns"),
        "solver": Workload(solver, "solver", "solver", "throughput"),
        "pipeline": Workload(pipeline, "pipeline", "pipe", "throughput"),
        "crowd": Workload(crowd, "crowd", "crowd", "delay_p99_ns"),
    }
)
