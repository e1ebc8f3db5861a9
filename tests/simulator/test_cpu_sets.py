# SPDX-License-Identifier: GPL-2.0-or-later
"""Where tasks run under policies that name CPUs by the machine's topology."""

import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

from scheduler_library.policy.compiler import CompiledPolicy, TargetMachine, compile_policy
from scheduler_library.topology import SpeedSource, Topology
from simulator.run import simulate
from simulator.scenario import (
    MS,
    US,
    CpuChange,
    Repeat,
    Run,
    Scenario,
    SimulatedMachine,
    Sleep,
    Task,
    Wait,
    Wake,
)

from .conftest import Workbench

# Two nodes with a last-level cache each, and in each two cores with two CPUs.
CPUS = 8
MACHINE = SimulatedMachine(CPUS, llc_cpus=4, core_cpus=2, node_cpus=4)
HALVES = frozenset(range(4)), frozenset(range(4, CPUS))
TOPOLOGY = Topology(
    frozenset(range(CPUS)),
    dict(enumerate(HALVES)),
    HALVES,
    tuple(frozenset((cpu, cpu + 1)) for cpu in range(0, CPUS, 2)),
    frozenset((2, 3, 6, 7)),
    SpeedSource.CAPACITY,
)
HOG = (Run(20 * MS), Repeat())
# In the trace, the CPUs are the threads of this process.
TRACED_CPUS = 1


@dataclass(frozen=True)
class Stay:
    """A stay of a task on a CPU, us."""

    task: str
    cpu: int
    start: float
    end: float

    @property
    def core(self) -> int:
        return self.cpu // 2


def stays(bench: Workbench, folder: Path, line: str, scenario: Scenario) -> list[Stay]:
    """Who ran where and when under a policy, which nobody ejects."""
    machine = TargetMachine(CPUS, lambda _: None, topology=lambda: TOPOLOGY)
    compiled = compile_policy(line, machine=machine)
    assert isinstance(compiled, CompiledPolicy)
    out = folder / "trace.json"
    figures = simulate(
        bench.make(compiled.source, compiled.name),
        scenario,
        btf=bench.target.btf,
        cache_folder=bench.target.cache,
        perfetto=out,
    )
    assert figures.ejection is None
    assert figures.trace_cut_ns is None
    return [
        Stay(each["name"].split()[0], each["tid"], each["ts"], each["ts"] + each["dur"])
        for each in json.loads(out.read_bytes())["traceEvents"]
        if each["ph"] == "X" and each["pid"] == TRACED_CPUS
    ]


def cpus_of(found: list[Stay], task: str) -> set[int]:
    return {each.cpu for each in found if each.task == task}


def shared_us(found: list[Stay], task: str) -> float:
    """How long this task and another ran on one core at once."""
    cores = defaultdict(list)
    for each in found:
        cores[each.core].append(each)
    return sum(
        max(0.0, min(mine.end, other.end) - max(mine.start, other.start))
        for those in cores.values()
        for mine in those
        if mine.task == task
        for other in those
        if other.cpu != mine.cpu
    )


@pytest.mark.parametrize(
    ("words", "cpus"),
    [
        ("fast", {2, 3, 6, 7}),
        ("slow", {0, 1, 4, 5}),
        ("node 1", {4, 5, 6, 7}),
        ("llc 0", {0, 1, 2, 3}),
        ("fast and node 1", {6, 7}),
        ("fast; smt avoid", {2, 3, 6, 7}),
    ],
)
def test_tasks_run_in_their_set_and_use_all_of_it(
    bench: Workbench, tmp_path: Path, words: str, cpus: set[int]
) -> None:
    """More tasks than there are CPUs in the set fill it, and are nowhere else."""
    tasks = (
        Task("hog", HOG, comm="hog", count=10),
        Task("shy", (Run(2 * MS), Sleep(3 * MS), Repeat()), count=4),
        Task("other", HOG, comm="other", count=2),
    )
    line = f'comm ~ "hog|shy" {{ cpus {words} }}'
    found = stays(bench, tmp_path, line, Scenario("set", tasks, MACHINE, duration_ns=400 * MS))
    assert cpus_of(found, "hog") | cpus_of(found, "shy") == cpus
    assert cpus_of(found, "other") - cpus


def test_tasks_go_on_elsewhere_once_their_whole_set_is_offline(
    bench: Workbench, tmp_path: Path
) -> None:
    """A set that is gone keeps nobody from running."""
    gone = tuple(CpuChange(200 * MS, cpu, online=False) for cpu in HALVES[1])
    scenario = Scenario(
        "offline",
        (Task("hog", HOG, comm="hog", count=3),),
        MACHINE,
        gone,
        duration_ns=400 * MS,
    )
    found = stays(bench, tmp_path, 'comm ~ "hog" { cpus node 1; smt avoid }', scenario)
    early = [each for each in found if each.end <= 200_000]
    assert cpus_of(early, "hog") <= set(HALVES[1])
    late = [each for each in found if each.end > 210_000]
    assert len(cpus_of(late, "hog")) == 3
    assert cpus_of(late, "hog") <= set(HALVES[0])


def two_hogs(line: str) -> Scenario:
    first = Task("first", HOG, comm="first")
    second = Task("second", HOG, comm="second", start_ns=10 * MS)
    return Scenario("two", (first, second), MACHINE, duration_ns=200 * MS)


@pytest.mark.parametrize("words", ["", "cpus node 0; ", "cpus llc 1; ", "cpus 2-5; ", "local; "])
def test_a_second_hog_goes_to_another_core(bench: Workbench, tmp_path: Path, words: str) -> None:
    """Under `smt avoid` it never runs beside the first one."""
    line = f"{words}smt avoid"
    found = stays(bench, tmp_path, line, two_hogs(line))
    assert shared_us(found, "second") == 0
    assert sum(each.end - each.start for each in found if each.task == "second") > 180_000


def test_a_set_of_cpus_alone_does_not_look_at_siblings(bench: Workbench, tmp_path: Path) -> None:
    """Without `smt avoid` the first idle CPU of the set will do: the test above shows something."""
    found = stays(bench, tmp_path, "cpus node 0", two_hogs(""))
    assert shared_us(found, "second") > 100_000


def test_when_no_core_is_whole_any_idle_cpu_will_do(bench: Workbench, tmp_path: Path) -> None:
    """`smt avoid` keeps no CPU idle while a task waits."""
    hogs = Task("hog", HOG, comm="hog", count=4)
    scenario = Scenario("full", (hogs,), MACHINE, duration_ns=200 * MS)
    found = stays(bench, tmp_path, "cpus node 0; smt avoid", scenario)
    assert cpus_of(found, "hog") == set(HALVES[0])
    assert sum(each.end - each.start for each in found) > 4 * 198_000


def test_only_the_rules_tasks_avoid_siblings(bench: Workbench, tmp_path: Path) -> None:
    """Two rules on the same CPUs: one looks for a whole core, the other does not."""
    line = 'comm ~ "second" { cpus node 0; smt avoid }; * { cpus node 0 }'
    assert shared_us(stays(bench, tmp_path, line, two_hogs(line)), "second") == 0
    line = 'comm ~ "first" { cpus node 0; smt avoid }; * { cpus node 0 }'
    assert shared_us(stays(bench, tmp_path, line, two_hogs(line)), "second") > 100_000


def test_a_waker_sends_nobody_back_to_a_busy_core(bench: Workbench, tmp_path: Path) -> None:
    """A wakeup by a task that is about to sleep is one like others under `smt avoid`. For the
    kernel it is a reason to take the last CPU, even if its sibling has become busy.
    """
    waker = Task("waker", (Run(100 * US), Wake("woken", sync=True), Run(4 * MS), Repeat()))
    woken = Task("woken", (Wait(), Run(2 * MS), Repeat()))
    beside = Task("beside", HOG, cpus=(3,), start_ns=20 * MS)
    scenario = Scenario("woken", (waker, woken, beside), MACHINE, duration_ns=200 * MS)
    found = stays(bench, tmp_path, "slice 3ms", scenario)
    assert 2 in cpus_of(found, "woken")
    assert shared_us(found, "woken") > 50_000
    # Until it wakes the next time, it stays where it was when the other began.
    assert shared_us(stays(bench, tmp_path, "smt avoid", scenario), "woken") < 5_000
