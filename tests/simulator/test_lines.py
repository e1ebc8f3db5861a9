# SPDX-License-Identifier: GPL-2.0-or-later
"""The count of cache lines that CPUs share, and of waiting for them."""

from pathlib import Path

from benchmarks.cost_curve import CROWDED, LOADS, PARTLY, SMALL, machine, scenario
from simulator.build import Variant, build_native
from simulator.run import NativeScheduler, SharingFigures, SimulationFigures, run_engine, simulate
from simulator.scenario import MS, Repeat, Run, Scenario, Sleep, Task

from .conftest import BAD, ROOT, Workbench

CPUS = 2 * SMALL
FAIR = ROOT / "scheduler_library" / "schedulers" / "fair" / "fair.bpf.c"


def native(bench: Workbench, source: Path) -> NativeScheduler:
    """A candidate whose loads and stores are seen."""
    name = f"lines_{source.name}"
    built = build_native(
        source,
        bench.folder,
        name=name,
        btf=bench.target.btf,
        cache_folder=bench.target.cache,
        variant=Variant.LINES,
    )
    return NativeScheduler(
        built.require(), bench.target.build(source, bench.folder, name=name).require()
    )


def counted(bench: Workbench, source: Path | None, work: Scenario) -> SimulationFigures:
    return simulate(
        native(bench, source) if source else None,
        work,
        btf=bench.target.btf,
        cache_folder=bench.target.cache,
        variant=Variant.LINES,
    )


def sharing(bench: Workbench, source: Path | None, work: Scenario) -> SharingFigures:
    figures = counted(bench, source, work)
    assert figures.ejection is None
    assert figures.sharing is not None
    return figures.sharing


def pinned(cpus: int) -> Scenario:
    """Two tasks for each CPU, which never leave it."""
    steps = (Run(2 * MS, MS), Sleep(MS), Repeat())
    tasks = tuple(Task("own", steps, comm=f"own{cpu}", count=2, cpus=(cpu,)) for cpu in range(cpus))
    return Scenario("pinned", tasks, machine(cpus), duration_ns=200 * MS)


def test_one_counter_for_all_is_named_with_its_line(bench: Workbench) -> None:
    """A variable that CPUs of several caches write is found, by its name and the source's line,
    and it is written once for each switch."""
    found = sharing(bench, BAD / "counts_globally.bpf.c", pinned(CPUS))
    worst = found.sites[0]
    assert (worst.name, worst.offset) == ("all_turns", 0)
    assert worst.place == " at lines_counts_globally.bpf.c:42"
    assert 0.3 < worst.shared_stores / found.switches <= 1


def test_data_of_a_task_and_of_a_cpu_are_not_shared(bench: Workbench) -> None:
    """A task's own storage and a CPU's own value cost nothing while no other cache touches
    them."""
    found = sharing(bench, BAD / "counts_globally.bpf.c", pinned(CPUS))
    shared = {each.name for each in found.sites if each.shared_loads or each.shared_stores}
    assert not shared & {"own_turns", "turns_of_tasks", "task_struct", "(run queue)"}


def test_nothing_is_shared_between_caches_where_there_is_one(bench: Workbench) -> None:
    """On a machine with one last-level cache lines go between its cores only."""
    found = sharing(bench, BAD / "counts_globally.bpf.c", pinned(SMALL))
    for part in (found.in_wakeups, found.elsewhere):
        assert (part.shared_loads, part.shared_stores, part.far_ns) == (0, 0, 0)
    assert found.elsewhere.near_ns > 0


def test_one_queue_for_all_makes_cpus_wait(bench: Workbench) -> None:
    """The wait for a queue that all CPUs use, and for its lock, grows with their number."""
    source = ROOT / "benchmarks" / "global_fifo.bpf.c"
    waits = []
    for cpus in (SMALL, 8 * SMALL):
        found = sharing(bench, source, scenario(cpus, LOADS[CROWDED]))
        part = found.elsewhere
        waits.append((part.lock_wait_ns + part.line_wait_ns) / found.switches)
    assert waits[1] > 3 * waits[0]


def test_counting_changes_no_other_figure(bench: Workbench) -> None:
    """The tasks fare as they do without it."""
    work = scenario(CPUS, LOADS[PARTLY])
    plain = bench.run(bench.library("fair"), work)
    figures = counted(bench, FAIR, work)
    assert plain.sharing is None
    assert figures.model_copy(update={"sharing": None}) == plain


def test_variables_that_are_only_read_cost_nothing(bench: Workbench) -> None:
    """Parameters are in a section of their own, as in the BPF object, so that nothing which CPUs
    write shares a line with them."""
    found = sharing(bench, FAIR, scenario(CPUS, LOADS[PARTLY]))
    names = {each.name for each in found.sites if each.ns}
    assert "tasks" in names
    assert not names & {"slice_ns", "credit_ns", "max_wait_ns", "min_slice_ns"}


def test_the_kernels_own_scheduler_is_counted_too(bench: Workbench) -> None:
    """By its queues for each CPU, of which each is locked at every switch."""
    found = sharing(bench, None, scenario(CPUS, LOADS[PARTLY]))
    assert found.elsewhere.locks >= found.switches
    assert {each.name for each in found.sites} <= {"(run queue)", "task_struct"}


def test_the_same_seed_gives_the_same_costs(bench: Workbench) -> None:
    """Two runs give the same bytes."""
    candidate = native(bench, FAIR)
    first, again = (
        run_engine(
            candidate,
            scenario(CPUS, LOADS[PARTLY]),
            btf=bench.target.btf,
            cache_folder=bench.target.cache,
            variant=Variant.LINES,
        )
        for _ in range(2)
    )
    assert first == again
