# SPDX-License-Identifier: GPL-2.0-or-later
"""Unchanged schedulers in the simulator: good ones, bad ones, and their figures."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from process import Fault, FaultType
from simulator.build import build_native
from simulator.run import Ended, NativeScheduler, run_engine
from simulator.scenario import (
    MS,
    SCENARIOS,
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
    WeightChange,
    Yield,
    fork_storm,
    hogs,
    hotplug,
    overload,
    pinned,
    service,
    uneven_batch,
)

from .conftest import BAD, Workbench

LIBRARY = ("batch", "fair", "fifo", "jobs", "latency", "locality")
LINES = (
    "slice 3ms",
    "order vtime; slice clamp(wait / 4, 500us, 8ms)",
    'comm ~ "hog*|long" { slice 20ms; order fifo }; * { slice 3ms }',
    "avg_run < 2ms and wakeups > 20 { latency; preempt; slice 1ms }; nice > 4 { idle }",
    "order by expected_runtime desc",
)
MACHINE = SimulatedMachine(4, 2)
# One word for each of five tasks; sequence.bpf.c says what the letters mean.
SEQUENCE = " RSqrRSqmrRSqmrRseRSqxX RSqrRSqwrRSqxX RSqrRySqxX RSqrRpSqcrRSqxX RSqrRSqxX"


@pytest.mark.parametrize("workload", SCENARIOS)
@pytest.mark.parametrize("name", LIBRARY)
def test_library_schedulers_serve_every_workload(
    bench: Workbench, name: str, workload: str
) -> None:
    """Each of our schedulers runs unchanged, is not ejected, and serves everybody."""
    figures = bench.run(bench.library(name), SCENARIOS[workload](MACHINE))
    assert figures.ejection is None
    assert all(group.run_ns > 0 for group in figures.groups)
    assert all(group.longest_wait_ns < 5_000 * MS for group in figures.groups)
    assert figures.run_ns + figures.idle_ns == figures.time_ns * figures.cpus


@pytest.mark.parametrize("workload", SCENARIOS)
@pytest.mark.parametrize("line", LINES)
def test_policies_serve_every_workload(bench: Workbench, line: str, workload: str) -> None:
    """The policy compiler's output runs unchanged and is not ejected."""
    figures = bench.run(bench.policy(line), SCENARIOS[workload](MACHINE))
    assert figures.ejection is None
    assert all(group.run_ns > 0 for group in figures.groups)


@pytest.mark.parametrize("workload", SCENARIOS)
def test_the_default_serves_every_workload(bench: Workbench, workload: str) -> None:
    """With the model of the kernel's own scheduler nobody waits for long."""
    figures = bench.run(None, SCENARIOS[workload](MACHINE))
    assert figures.scheduler == "default"
    assert figures.ejection is None
    assert all(group.longest_wait_ns < 2_000 * MS for group in figures.groups)


@pytest.mark.parametrize("cpus", [1, 2, 64, 130])
def test_machines_of_any_size(bench: Workbench, cpus: int) -> None:
    """One CPU, and more CPUs than bits in a mask's word, are all used."""
    wanted = replace(service(SimulatedMachine(cpus)), duration_ns=500 * MS)
    figures = bench.run(bench.library("fair"), wanted)
    assert figures.ejection is None
    assert figures.run_ns > 0.95 * figures.cpus * figures.time_ns


# ---- the same again ----


def engine_output(bench: Workbench, candidate: NativeScheduler | None, scenario: Scenario) -> bytes:
    return run_engine(candidate, scenario, btf=bench.target.btf, cache_folder=bench.target.cache)


@pytest.mark.parametrize("name", [*LIBRARY, ""])
def test_the_same_seed_gives_the_same_bytes(bench: Workbench, name: str) -> None:
    """Two runs of one seed have identical bytes; another seed gives another run."""
    candidate = bench.library(name) if name else None
    scenario = pinned(MACHINE)
    outputs = {engine_output(bench, candidate, scenario.seeded(7)) for _ in range(5)}
    assert len(outputs) == 1
    assert engine_output(bench, candidate, scenario.seeded(8)) not in outputs


def test_addresses_and_load_change_nothing(bench: Workbench) -> None:
    """Even a scheduler that reads pointer values behaves the same, and so it does with other work
    on the machine."""
    candidate = bench.beside("pointers")
    with ThreadPoolExecutor(4) as pool:
        outputs = set(pool.map(lambda _: engine_output(bench, candidate, hogs(MACHINE)), range(12)))
    assert len(outputs) == 1


def test_work_does_not_depend_on_the_scheduler(bench: Workbench) -> None:
    """A finite workload needs the same CPU time under all schedulers, except for the cost of
    switches."""
    scenario = replace(fork_storm(MACHINE), machine=replace(MACHINE, switch_ns=0))
    needed = {
        bench.run(bench.library(name) if name else None, scenario).run_ns
        for name in ("fifo", "fair", "latency", "")
    }
    assert len(needed) == 1


# ---- figures ----


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        # As sched_ext reports them, rounded on the scale of cgroups; then the kernel's own.
        ("fair", {"nice0": 100, "nice5": 33, "nice10": 11}),
        ("", {"nice0": 1024, "nice5": 335, "nice10": 110}),
    ],
)
def test_shares_follow_weights(bench: Workbench, name: str, weights: dict[str, int]) -> None:
    """Hogs of three weights get CPU time in proportion, within 2 percent."""
    scenario = replace(hogs(SimulatedMachine(2)), duration_ns=60_000 * MS)
    figures = bench.run(bench.library(name) if name else None, scenario)
    for group, weight in weights.items():
        share = figures.group(group).run_ns / figures.run_ns
        assert share == pytest.approx(weight / sum(weights.values()), rel=0.02)


def test_latency_serves_a_service_better_than_fifo(bench: Workbench) -> None:
    """The scheduler made for wakeups makes their tail many times shorter beside batch work."""
    slow = bench.run(bench.library("fifo"), service(MACHINE)).group("service")
    fast = bench.run(bench.library("latency"), service(MACHINE)).group("service")
    assert fast.delay_p99_ns * 2 < slow.delay_p99_ns
    assert fast.cycles > slow.cycles


@pytest.mark.parametrize("way", ["jobs", "order by expected_runtime desc"])
def test_longest_first_reaches_the_bound(bench: Workbench, way: str) -> None:
    """With known runtimes, the long job begins first and ends with the others."""
    candidate = bench.library(way) if way == "jobs" else bench.policy(way)
    scenario = uneven_batch(SimulatedMachine(2))
    bound = max(900 * MS, (900 * MS + 39 * 50 * MS) / 2)
    makespan = bench.run(candidate, scenario).group("jobs").makespan_ns
    in_order = bench.run(bench.library("fifo"), scenario).group("jobs").makespan_ns
    assert makespan is not None
    assert in_order is not None
    assert makespan < bound * 1.02 < in_order


def test_a_task_that_runs_alone_takes_what_it_needs(bench: Workbench) -> None:
    """If nothing else runs, its time is the work, its switches and the ways out of idleness."""
    machine = SimulatedMachine(1, switch_ns=1000, wake_ns=500)
    scenario = Scenario(
        "alone", (Task("a", (Run(3 * MS), Sleep(MS), Run(2 * MS), Repeat(2))),), machine
    )
    group = bench.run(bench.library("fifo"), scenario).group("a")
    assert group.makespan_ns == 12 * MS + 3 * (1000 + 500)
    assert group.cycles == 2
    assert group.wakeups == 3
    assert group.delay_max_ns == 1000 + 500


def test_a_parameter_changes_the_outcome(bench: Workbench) -> None:
    """A live parameter that is set before the start has its effect: longer slices, fewer
    switches."""
    fair = bench.library("fair")
    longer = replace(fair, parameters=(("slice_ns", "40000000"),))
    switches = [bench.run(each, hogs(MACHINE)).switches for each in (fair, longer)]
    assert switches[1] * 4 < switches[0]


def test_a_setting_that_is_not_there_is_answered_with_those_that_are(bench: Workbench) -> None:
    """The fault names the nearest parameter and all others; a size is for an existing map."""
    fifo = bench.library("fifo")
    for name, said in (("slice_n", "slice_ns"), ("no_map.max_entries", "no map 'no_map'")):
        with pytest.raises(Fault) as raised:
            bench.run(replace(fifo, parameters=((name, "1000000"),)), hogs(MACHINE))
        assert raised.value.type is FaultType.BAD_PARAMETER
        assert said in f"{raised.value.what} {raised.value.why}"
        assert "slice_ns" in raised.value.hint


def test_a_constant_is_set_before_the_start(bench: Workbench) -> None:
    """Constants are in read-only memory, and are set all the same."""
    early = replace(bench.beside("error"), parameters=(("after", "5"), ("exit_code", "7")))
    ejection = bench.run(early, hogs(MACHINE)).ejection
    assert ejection is not None
    assert (ejection.kind, ejection.code, ejection.message) == (
        Ended.BY_ITSELF,
        7,
        "enough after 6",
    )


# ---- bad ones ----


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("stall", Ended.STALL, "] failed to run for "),
        ("orphans", Ended.STALL, "] failed to run for "),
        ("error", Ended.ERROR_BY_ITSELF, 'error.bpf.c:23: on purpose after 51 "tasks"'),
        ("twice", Ended.ERROR, "] already direct-dispatched"),
        ("nowhere", Ended.ERROR, "non-existent DSQ 0x4d"),
        ("missing_queue", Ended.ERROR, "invalid DSQ ID 0x000000000000004d"),
        ("wrong_cpu", Ended.ERROR, "invalid CPU 9999 from ops.select_cpu()"),
        ("kick_nowhere", Ended.ERROR, "invalid CPU -1"),
        ("mixed", Ended.ERROR, "DSQ ID 0x0000000000000000 already had "),
        ("vtime_global", Ended.ERROR, "cannot use vtime ordering for built-in DSQs"),
        ("stranger", Ended.ERROR, "but trying to direct-dispatch "),
        ("ignores_affinity", Ended.ERROR, "SCX_DSQ_LOCAL[_ON] target CPU 0 not allowed for "),
        ("queue_twice", Ended.ERROR, "ops.init() failed (-17)"),
        ("eject_enabling", Ended.ERROR_BY_ITSELF, "no task is welcome"),
        ("wrong_place", Ended.ERROR, "scx_bpf_dsq_move_to_local() is not allowed in ops.enqueue()"),
        ("divides", Ended.CRASHED, "division by zero in ops.enqueue()"),
        ("wild", Ended.CRASHED, "invalid memory access in ops.running()"),
        ("endless", Ended.CRASHED, "ops.running() does not end"),
    ],
)
def test_bad_schedulers_end_in_the_kernels_words(
    bench: Workbench, name: str, kind: Ended, message: str
) -> None:
    """Each defect ends the run with the kernel's message, or with the nearest one."""
    ejection = bench.run(bench.beside(name), pinned(MACHINE)).ejection
    assert ejection is not None
    assert ejection.kind is kind
    assert message in ejection.message


def test_a_scheduler_without_hotplug_is_asked_to_restart(bench: Workbench) -> None:
    """A scheduler without callbacks for hotplug is ejected so that it starts again, as in the
    kernel."""
    ejection = bench.run(bench.beside("no_hotplug"), hotplug(MACHINE)).ejection
    assert ejection is not None
    assert ejection.kind is Ended.BY_KERNEL
    assert ejection.code == 1 << 48 | 1 << 32
    assert ejection.message == "cpu 3 going offline, exiting scheduler"


def test_a_scheduler_that_loses_tasks_does_not_look_better(bench: Workbench) -> None:
    """A task that still waits at the end counts with all of its wait."""
    lost = bench.run(bench.beside("orphans"), overload(MACHINE))
    good = bench.run(bench.library("fifo"), overload(MACHINE))
    assert lost.group("crowd").delay_p99_ns > good.group("crowd").delay_p99_ns
    assert lost.group("crowd").longest_wait_ns >= lost.time_ns


def test_what_is_not_modelled_is_named(bench: Workbench) -> None:
    """If the simulator lacks a helper, it says so and does not call that a defect."""
    built = build_native(
        BAD / "dynptr.bpf.c",
        bench.folder,
        btf=bench.target.btf,
        cache_folder=bench.target.cache,
    )
    assert built.library is None
    assert built.not_modelled == ("bpf_dynptr_from_mem",)
    with pytest.raises(Fault, match="cannot run this scheduler") as fault:
        built.require()
    assert fault.value.type is FaultType.UNSUPPORTED
    assert "not modelled: bpf_dynptr_from_mem()" in fault.value.why


@pytest.mark.parametrize(
    ("name", "message"),
    [
        # What libc would answer if it were called.
        ("outside", "not modelled: system"),
    ],
)
def test_what_the_engine_lacks_ends_the_run_with_its_name(
    bench: Workbench, name: str, message: str
) -> None:
    """A candidate that needs more than our kfuncs and helpers does not run."""
    ejection = bench.run(bench.beside(name), hogs(MACHINE)).ejection
    assert ejection is not None
    assert (ejection.kind, ejection.message) == (Ended.NOT_MODELLED, message)


def test_the_preprocessor_answers_as_in_the_kernel(bench: Workbench) -> None:
    """A source that tests its target gets the same code in both builds."""
    source = (BAD.parents[1] / "bpf" / "schedulers" / "plain.bpf.c").read_text()
    asks = "#if !defined(__bpf__) || defined(__x86_64__) || defined(__linux__)\n#error\n#endif\n"
    candidate = bench.make(source + asks, "asks")
    assert bench.run(candidate, hogs(MACHINE)).ejection is None


def test_a_cpu_that_goes_takes_nobody_with_it(bench: Workbench) -> None:
    """If a CPU goes offline for good, its tasks run elsewhere, even those pinned to it."""
    stuck = Task("stuck", (Run(MS), Sleep(100 * US), Repeat()), cpus=(1,), count=3)
    scenario = Scenario(
        "gone", (stuck,), SimulatedMachine(2), (CpuChange(100 * MS, 1, online=False),), 1000 * MS
    )
    for name in LIBRARY:
        figures = bench.run(bench.library(name), scenario)
        assert figures.ejection is None, name
        assert figures.group("stuck").longest_wait_ns < 100 * MS, name
        assert figures.run_ns > 900 * MS, name


# ---- as the kernel does it ----


def test_maps_loops_and_masks_are_the_kernels(bench: Workbench) -> None:
    """A scheduler that checks results and errors of its calls finds no error."""
    figures = bench.run(bench.beside("maps"), fork_storm(MACHINE))
    assert figures.ejection is None
    assert figures.ringbuf_bytes == 4


@pytest.mark.parametrize("workload", [name for name in SCENARIOS if name != "hotplug"])
def test_callbacks_come_in_the_kernels_order(bench: Workbench, workload: str) -> None:
    """A scheduler that checks each callback against the previous one finds no error."""
    figures = bench.run(bench.beside("protocol"), SCENARIOS[workload](MACHINE))
    assert figures.ejection is None
    assert figures.switches > 0


def test_preemption_and_the_head_of_the_queue(bench: Workbench) -> None:
    """A wakeup waits a slice or more with neither, less at the head of the queue, and no time with
    preemption."""
    scenario = Scenario(
        "rivals",
        (
            Task("hogs", (Run(50 * MS), Repeat()), count=3),
            Task("svc", (Sleep(30 * MS, 9 * MS), Run(100 * US), Repeat())),
        ),
        SimulatedMachine(1),
        duration_ns=20_000 * MS,
    )
    preempt = bench.beside("preempt")
    p50 = [
        bench.run(replace(preempt, parameters=(("how", str(how)),)), scenario)
        .group("svc")
        .delay_p50_ns
        for how in range(4)
    ]
    assert p50[0] > 40 * MS
    assert p50[1] < 10 * US
    assert p50[2] < 10 * US
    assert 2 * MS < p50[3] < 20 * MS


def test_who_is_preempted_by_the_one_it_wakes_has_not_slept(bench: Workbench) -> None:
    """It finds the answer when it begins to wait; without preemption it waits each time."""
    scenario = Scenario(
        "question",
        (
            Task("client", (Run(MS), Wake("svc"), Wait(), Repeat(100)), comm="client"),
            Task("svc", (Wait(), Run(100 * US), Wake("client"), Repeat(100)), comm="svc"),
        ),
        SimulatedMachine(1),
        duration_ns=2_000 * MS,
    )
    preempt = bench.beside("preempt")
    clients = [
        bench.run(replace(preempt, parameters=(("how", str(how)),)), scenario).group("client")
        for how in (0, 1)
    ]
    assert [client.finished for client in clients] == [1, 1]
    assert clients[0].wakeups > 100 > 10 > clients[1].wakeups


def test_facts_from_userspace_reach_the_scheduler(bench: Workbench) -> None:
    """If userspace selects a process in the map `selected`, its tasks follow the rule."""
    hog = (Run(5 * MS), Repeat())
    scenario = Scenario(
        "selected",
        (Task("make", hog, count=4, selected=1), Task("rest", hog, count=4)),
        SimulatedMachine(2),
    )
    figures = bench.run(bench.policy('cmd ~ "make*" { idle }'), scenario)
    assert figures.ejection is None
    assert figures.group("make").run_ns * 5 < figures.group("rest").run_ns


# ---- what schedulers use beside queues ----


def test_timers_come_when_they_are_due(bench: Workbench) -> None:
    """A timer fires on time on its CPU, and never after it was cancelled or deleted; work items
    run."""
    figures = bench.run(bench.beside("timers"), hogs(MACHINE))
    ejection = figures.ejection
    assert ejection is not None
    assert (ejection.kind, ejection.message) == (Ended.BY_ITSELF, "20 turns")
    assert ejection.at_ns == 200 * MS
    assert ejection.code == 19


def test_objects_and_what_holds_them_are_the_kernels(bench: Workbench) -> None:
    """A scheduler that checks lists, trees, kptrs, maps of maps and arenas finds them as
    expected."""
    assert bench.run(bench.beside("objects"), fork_storm(MACHINE)).ejection is None


def test_cores_and_nodes_are_told_apart(bench: Workbench) -> None:
    """Idle CPUs are found by whole cores and by nodes, as on the machine."""
    machine = SimulatedMachine(8, core_cpus=2, node_cpus=4)
    for workload in (service, fork_storm, uneven_batch):
        figures = bench.run(bench.beside("topology"), workload(machine))
        assert figures.ejection is None
        assert all(group.run_ns for group in figures.groups)


def test_the_default_choice_prefers_wholly_idle_cores(bench: Workbench) -> None:
    """With two CPUs in a core and half as many tasks, each task gets its own core."""
    machine = SimulatedMachine(8, core_cpus=2)
    pairs = tuple(
        Task("one", (Run(MS), Sleep(3 * MS), Repeat()), comm=f"one{at}", cpus=(2 * at, 2 * at + 1))
        for at in range(4)
    )
    both = Task("both", (Run(100 * US), Sleep(2 * MS), Repeat()), cpus=(6, 7))
    figures = bench.run(bench.library("fifo"), Scenario("cores", (*pairs, both), machine))
    assert figures.ejection is None
    assert figures.group("both").delay_p99_ns <= 10 * US


CGROUPS = (Cgroup("/a", 300), Cgroup("/b"), Cgroup("/b/c"))


def test_cgroups_are_told_of_and_moved_between(bench: Workbench) -> None:
    """A scheduler hears of cgroups, their weights, and tasks that move, in pairs of callbacks."""
    hog = (Run(MS), Repeat())
    wander = (Run(MS), Enter("/a"), Sleep(MS), Enter("/b/c"), Run(MS), Enter("/b/c"), Repeat())
    scenario = Scenario(
        "cgroups",
        (
            Task("a", hog, count=3, cgroup="/a"),
            Task("c", hog, count=3, cgroup="/b/c"),
            Task("wanderer", wander, cgroup="/b/c"),
        ),
        MACHINE,
        (WeightChange(300 * MS, "/b/c", 500), WeightChange(400 * MS, "/b/c", 500)),
        1000 * MS,
        cgroups=CGROUPS,
    )
    figures = bench.run(bench.beside("cgroups"), scenario)
    assert figures.ejection is None
    assert figures.group("wanderer").cycles > 50


def test_cgroups_come_and_go_with_what_is_in_them(bench: Workbench) -> None:
    """A cgroup is removed once it is empty, after exits, and after moves of running or waiting
    tasks."""
    hog = (Run(MS), Repeat())
    manager = (
        Sleep(110 * MS), Enter("/b/job", of="moved"), Enter("/b/job/part", of="moved-too"),
        Sleep(150 * MS), Enter("/a", of="moved"), Enter("/gone", of="moved"),
        Enter("/a", of="moved-too"), Sleep(900 * MS),
    )  # fmt: skip
    scenario = Scenario(
        "jobs",
        (
            Task("a", hog, count=3, cgroup="/a"),
            Task("short", (Run(20 * MS),), cgroup="/b/job/part", start_ns=105 * MS, count=2),
            Task("moved", hog, comm="moved"),
            Task("moved", (Sleep(MS), Run(MS), Repeat()), comm="moved-too"),
            Task("managers", manager),
        ),
        MACHINE,
        duration_ns=1500 * MS,
        cgroups=(
            Cgroup("/a"),
            Cgroup("/b"),
            Cgroup("/gone", until_ns=50 * MS),
            Cgroup("/b/job", from_ns=100 * MS, until_ns=120 * MS),
            Cgroup("/b/job/part", from_ns=100 * MS, until_ns=120 * MS),
        ),
    )
    candidate = bench.beside("cgroups")
    ended = bench.run(candidate, scenario)
    assert ended.ejection is None
    gone = bench.run(replace(candidate, parameters=(("most_gone", "3"),)), scenario).ejection
    assert gone is not None
    assert (gone.kind, gone.message) == (Ended.BY_ITSELF, "3 of 6 cgroups are gone")
    assert 260 * MS <= gone.at_ns <= 300 * MS


def test_a_task_is_changed_by_another_while_it_waits_sleeps_or_runs(bench: Workbench) -> None:
    """A task that another one binds to a CPU is on it from then on, and no task is lost."""
    others: tuple[Step, ...] = (
        *(Affine((3,), of=name) for name in ("busy", "sleepy")),
        *(Renice(10, of=name) for name in ("busy", "sleepy")),
    )
    scenario = Scenario(
        "bound",
        (
            Task("busy", (Run(MS), Repeat()), count=6),
            Task("sleepy", (Sleep(MS), Run(100 * US), Repeat()), count=6),
            Task("binders", (Sleep(500 * MS), *others, Sleep(3 * S)), count=6),
        ),
        MACHINE,
        duration_ns=2500 * MS,
    )
    for each in (None, bench.library("fifo"), bench.library("fair")):
        figures = bench.run(each, scenario)
        assert figures.ejection is None
        # Half a second of all CPUs, then two seconds of one.
        assert figures.run_ns == pytest.approx(4 * 500 * MS + 2000 * MS, rel=0.05)
        assert max(group.longest_wait_ns for group in figures.groups) < 500 * MS


def test_tasks_that_exit_are_found_by_pid_no_more(bench: Workbench) -> None:
    """They run through the kernel's own queue, unless the scheduler asks for them."""
    root = Path(__file__).parents[1] / "corpus"
    shell = (Fork("leaver"), Sleep(20 * MS), Repeat())
    leaver = (Run(MS), Leave(), Run(MS), Sleep(MS), Run(100 * US))
    scenario = Scenario(
        "exits",
        (
            Task("shell", shell),
            Task("leavers", leaver, comm="leaver", start_ns=None),
            Task("hogs", (Run(MS), Repeat()), count=8),
        ),
        MACHINE,
    )
    for kind, name in (("good", "pid_queue_with_fallback"), ("good", "exiting_at_once")):
        figures = bench.run(bench.make(root / kind / f"{name}.bpf.c", name), scenario)
        assert figures.exiting_not_found == 0
        assert figures.group("leavers").finished > 100
    lost = bench.run(bench.make(root / "bad" / "exiting_by_pid.bpf.c", "exiting_by_pid"), scenario)
    assert lost.exiting_not_found > 100
    assert lost.group("leavers").finished == 0


def test_sched_idle_weighs_least(bench: Workbench) -> None:
    """Its nice level means nothing, for a scheduler by weight and for the default."""
    hog = (Run(MS), Repeat())
    scenario = Scenario(
        "idle",
        (
            Task("usual", hog, nice=10),
            Task("idle", hog, nice=-20, policy=Policy.IDLE),
            Task("batch", hog, nice=10, policy=Policy.BATCH),
        ),
        SimulatedMachine(1),
        duration_ns=20 * S,
    )
    for each in (None, bench.library("fair")):
        figures = bench.run(each, scenario)
        usual, idle, batch = (figures.group(name).run_ns for name in ("usual", "idle", "batch"))
        assert 0 < idle < usual / 4
        assert batch == pytest.approx(usual, rel=0.1)


def test_tasks_that_cannot_run_at_once_come_back(bench: Workbench) -> None:
    """SCX_ENQ_IMMED: a task on a busy CPU is enqueued again, with the reason, and not endlessly."""
    last = Task("last", (Sleep(500 * MS), Run(MS)))
    scenario = Scenario("busy", (Task("some", (Run(5 * MS), Sleep(MS), Repeat()), count=4), last))
    back = bench.run(bench.beside("immediate"), scenario).ejection
    assert back is not None
    assert back.kind is Ended.BY_ITSELF
    assert back.code > 100
    stubborn = replace(bench.beside("immediate"), parameters=(("stubborn", "true"),))
    ejection = bench.run(stubborn, scenario).ejection
    assert ejection is not None
    assert ejection.kind is Ended.REENQUEUED
    assert ejection.message.endswith("] reenqueued 257 times without running")


def test_a_kick_can_wait_for_the_other_cpu(bench: Workbench) -> None:
    """With SCX_KICK_WAIT the kicking CPU waits as long as the other takes, and no task is lost."""
    slow = replace(MACHINE, cpus=2, wake_ns=200 * US)
    scenario = Scenario("waits", (Task("hogs", (Run(MS), Repeat()), count=4),), slow)
    cycles = [
        bench.run(
            replace(bench.beside("waits"), parameters=(("impatient", impatient),)), scenario
        ).group("hogs")
        for impatient in ("false", "true")
    ]
    assert cycles[0].cycles + 100 < cycles[1].cycles
    assert cycles[0].longest_wait_ns < 50 * MS


def test_changes_of_a_running_task_are_told_in_the_kernels_order(bench: Workbench) -> None:
    """Affinity, nice, yield and cgroup of a running task change in the order that test_semantics.py
    saw."""
    parts: dict[str, tuple[Step, ...]] = {
        "w_affine": (Affine((0,)), Affine((1,))),
        "w_nice": (Renice(3),),
        "w_yield": (Yield(),),
        "w_cgroup": (Enter("/a"),),
        "w_end": (),
    }
    tasks = tuple(
        Task(name, (Sleep(10 * MS), Run(MS), *steps, Run(MS)), start_ns=at * 50 * MS)
        for at, (name, steps) in enumerate(parts.items(), 1)
    )
    scenario = Scenario("changes", tasks, SimulatedMachine(2), cgroups=CGROUPS)
    ejection = bench.run(bench.beside("sequence"), scenario).ejection
    assert ejection is not None
    assert ejection.message == SEQUENCE


def test_what_a_scheduler_dumps_is_kept(bench: Workbench) -> None:
    """After an error the dump callbacks run, and their text is in the ejection."""
    ejection = bench.run(bench.beside("dumps"), hogs(MACHINE)).ejection
    assert ejection is not None
    assert ejection.kind is Ended.ERROR_BY_ITSELF
    assert ejection.dump.startswith("after 11 tasks\nCPU 0 idle 0\n")
    assert "task hog0" in ejection.dump
