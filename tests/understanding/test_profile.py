# SPDX-License-Identifier: GPL-2.0-or-later
"""The profile of a workload: on a recorded machine with known answers, and of real processes."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bpf.common.workload_id import workload_of
from bpf.signals.source import Histogram, SignalsLine
from daemon.api.models import ProfileView, ProgramKind, SplitView, WorkloadProfileView
from daemon.understanding import tree
from daemon.understanding.cgroups import folder_of, limits_in, unit_of
from daemon.understanding.look import MeasuredWorkload, understand
from daemon.understanding.proc import Proc
from daemon.understanding.watching import LOOK_S, MOST_THREADS, Eye
from process import Fault
from tests.understanding.recorded import Task, Tree

NOTHING = MeasuredWorkload(ProfileView(workload="x", tags=[]), None, 5.0)


def line_with(workload: str) -> SignalsLine:
    """An interval of the signals in which this workload waited."""
    delays = {"count": 4, "sum": 400, "p50": 90, "p90": 150, "p99": 190, "max": 200}
    return SignalsLine.model_validate_json(
        '{"v":1,"t_ns":1,"time":1.0,"interval_s":5.0,"left_out":0,"lost":0,"machine":{"cpus":4,'
        '"utilisation":0.5,"context_switches_per_s":1,"runnable":1,"loadavg":[1,1,1],'
        '"perf":{"cycles":1000,"instructions":1500,"cache_misses":3},"perf_note":null,'
        '"psi_cpu":null,"sched_ext":null},"workloads":[{"id":"'
        + workload
        + '","threads":1,"delay_us":'
        + Histogram(**delays, hist=((128.0, 4),)).model_dump_json()
        + ',"slice_us":'
        + Histogram(**delays, hist=((128.0, 4),)).model_dump_json()
        + ',"wakeups":1,"migrations":0,"involuntary":0,"run_us":1}]}'
    )


class Recorded:
    """A recorded machine that changes while it is read: `after` happens in the middle."""

    def __init__(self, root: Path) -> None:
        self.tree = Tree(root)
        self.root = root
        self.now = 0.0
        self.after: Callable[[], None] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.after()

    def look(self, workload: str, measured: MeasuredWorkload = NOTHING) -> WorkloadProfileView:
        eye = Eye(Proc(self.root), lambda: self.now, self.sleep)
        return understand(workload, measured, eye)


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)


def test_threads_are_told_by_what_they_do(recorded: Recorded) -> None:
    """Shares of running and waiting, switches, the pattern and the place of sleeps are as recorded;
    threads whose names differ only in a number are one group."""
    half = int(LOOK_S / 2 * 1e9)

    def write(run_ns: int, wait_ns: int, times: int) -> None:
        tasks = [
            Task(10, "server", sleeps_in="do_epoll_wait", sleeps=times),
            Task(11, "worker-1", "R", run_ns, wait_ns, 0, times),
            Task(12, "worker-2", "R", run_ns, wait_ns, 0, times),
            Task(13, "flusher", "D", 0, 0, 1, 0, "folio_wait_bit_common"),
        ]
        recorded.tree.write(10, tasks, argv=["server"], io=(times * 4096, 0))

    write(0, 0, 0)
    recorded.after = lambda: write(half, half, 100)
    view = recorded.look("comm:server")
    workers, *_ = view.threads
    assert (workers.name, workers.threads) == ("worker-N", 2)
    assert workers.run_share == pytest.approx(0.5, abs=0.01)
    assert workers.wait_share == pytest.approx(0.5, abs=0.01)
    assert workers.preemptions_per_s == pytest.approx(200 / LOOK_S)
    assert workers.pattern == "never sleeps, and waits for a CPU"
    assert (workers.burst_us, workers.response_us) == (None, None)
    assert view.parallelism.most == 2
    assert view.parallelism.running_mean == pytest.approx(1.0, abs=0.01)
    assert view.parallelism.waiting_mean == pytest.approx(1.0, abs=0.01)
    assert view.waits.io_share == 0.25
    assert view.waits.asleep_in == {"events": 1, "disk": 1}
    assert view.waits.read_bytes_per_s == pytest.approx(4096 * 100 / LOOK_S)
    assert view.took_ms == pytest.approx(1000 * LOOK_S)
    assert any("wait for storage 25%" in said for said in view.sure_of)


def test_a_threads_burst_goes_from_sleep_to_sleep(recorded: Recorded) -> None:
    """By thread name: CPU time, and time with all waits for each sleep, however often the thread
    lost the CPU in between. A thread that needs long and is cut differs from one that sleeps at
    once."""
    half = int(LOOK_S / 2 * 1e9)

    def write(times: int) -> None:
        tasks = [
            Task(10, "worker-1", "R", half * times, half * times, 4 * times, 40 * times),
            Task(11, "messenger", "S", half * times // 100, 0, 200 * times, 0, "futex_wait"),
        ]
        recorded.tree.write(10, tasks, argv=["worker-1"])

    write(0)
    recorded.after = lambda: write(1)
    worker, messenger = recorded.look("comm:worker-1").threads
    assert worker.burst_us == pytest.approx(LOOK_S / 2 * 1e6 / 4)
    assert worker.response_us == pytest.approx(LOOK_S * 1e6 / 4)
    assert worker.pattern == "long bursts, each made to leave before its end"
    assert messenger.burst_us == pytest.approx(LOOK_S / 200 * 1e6 / 200)
    assert messenger.pattern == "runs briefly between sleeps"


def test_what_response_time_is_made_of_is_part_of_it(recorded: Recorded) -> None:
    """It comes from the signals unchanged; the profile says what it cannot split."""
    recorded.tree.write(10, [Task(10, "server")])
    measured = MeasuredWorkload(
        ProfileView(
            workload="x",
            tags=["long-bursts"],
            split=SplitView(running=0.5, waiting=0.1, preempted=0.4),
            bound=0.5,
            runs_to_completion=True,
            response_p99_us=90_000.0,
        ),
        None,
        5.0,
    )
    view = recorded.look("comm:server", measured)
    assert view.split == measured.profile.split
    assert (view.bound, view.runs_to_completion, view.response_p99_us) == (0.5, True, 90_000.0)
    assert any("by thread name" in text for text in view.not_known)


def test_only_its_own_processes_are_looked_at(recorded: Recorded) -> None:
    """A cgroup's processes are those in it. The tree has their order and begins with their parents,
    and its unit is the innermost service."""
    cgroup = "/system.slice/build.service/job"
    recorded.tree.write(20, [Task(20, "cron")])
    recorded.tree.write(
        21, [Task(21, "make")], parent=20, argv=["make", "-j2"], cgroup=cgroup, ticks=1
    )
    recorded.tree.write(22, [Task(22, "sh")], parent=21, argv=["sh", "-c", "cc"], cgroup=cgroup)
    recorded.tree.write(
        23, [Task(23, "cc1")], parent=22, argv=["cc1", "a.c"], cgroup=cgroup, ticks=9
    )
    view = recorded.look(f"cgroup:{cgroup}")
    assert view.unit == "build.service"
    assert view.started_by == ["cron"]
    assert [(each.pid, each.depth, each.parent) for each in view.processes] == [
        (21, 0, 0),
        (22, 1, 21),
        (23, 2, 22),
    ]
    assert {each.kind for each in view.processes} == {ProgramKind.BUILD}
    assert view.kinds[0].kind is ProgramKind.BUILD
    # The recorded machine has no `exe`: a process's own name is all that exists.
    assert any("anybody can choose" in text for text in view.not_known)


def test_what_the_daemon_measured_is_part_of_it(recorded: Recorded) -> None:
    """Run-queue delay, counters and pressure come from the signals and the kernel."""
    recorded.tree.write(10, [Task(10, "server")])
    recorded.tree.pressure(12.5)
    measured = MeasuredWorkload(
        ProfileView(workload="x", tags=["interactive"], sure_of=["it naps"]),
        line_with("comm:server"),
        5.0,
    )
    view = recorded.look("comm:server", measured)
    assert view.delay is not None
    assert (view.delay.p50_us, view.delay.p99_us, view.delay.max_us) == (90, 190, 200)
    assert view.counters is not None
    assert view.counters.instructions_per_cycle == 1.5
    assert view.counters.cache_misses_per_1000 == 2.0
    assert view.pressure[0].cpu == 12.5
    assert view.sure_of[0] == "it naps"
    assert view.kinds[0].kind is ProgramKind.INTERACTIVE
    assert not any("run queues" in text for text in view.not_known)


def test_what_is_missing_is_said(recorded: Recorded) -> None:
    """Without signals, rights or processes there still is a profile, which says what it does not
    know."""
    recorded.tree.write(10, [Task(10, "server")])
    view = recorded.look("comm:server")
    said = " ".join(view.not_known)
    for word in ("no rule knows", "sleep for", "reads and writes", "run queues", "no hardware"):
        assert word in said
    nobody = recorded.look("comm:nobody")
    assert nobody.processes_total == 0
    assert "none is there" in nobody.not_known[0]


def test_a_crowd_is_bounded(recorded: Recorded) -> None:
    """Of many processes and threads some are read, fairly, and the others are counted; the answer
    stays small."""
    crowd = [Task(1000 + n, f"t{n}") for n in range(400)]
    recorded.tree.write(1000, crowd, argv=["x" * 5000])
    for pid in range(2000, 2040):
        recorded.tree.write(pid, [Task(pid, "t0")], parent=1000, argv=["--" + "y" * 300] * 30)
    view = recorded.look("comm:t0")
    assert view.threads_looked_at == MOST_THREADS
    assert view.threads_total == 440
    assert view.processes_total == 41
    assert len(view.processes) <= tree.MOST_SHOWN
    # Each of the forty with one thread was read.
    assert sum(each.threads for each in view.threads) == MOST_THREADS
    assert len(view.model_dump_json()) < 16_000


@pytest.mark.parametrize("id", ["nonsense", "comm:", "pid:1", ""])
def test_an_id_of_another_form_is_a_fault(recorded: Recorded, id: str) -> None:
    """A text that is no workload's id is refused before anything is read."""
    with pytest.raises(Fault):
        recorded.look(id)


@pytest.mark.parametrize(
    ("path", "unit"),
    [
        (b"/system.slice/nginx.service", "nginx.service"),
        (b"/system.slice/docker-4f.scope", "docker-4f.scope"),
        (b"/user.slice/user-1000.slice/user@1000.service/app.slice/a.scope", "a.scope"),
        (b"/user.slice", "user.slice"),
        (b"/kubepods/burstable", ""),
        (b"/", ""),
    ],
)
def test_the_unit_is_the_innermost(path: bytes, unit: str) -> None:
    """Services and scopes come before the slices that contain them."""
    assert unit_of(path) == unit


def test_a_cgroups_folder_lies_below_its_mount(tmp_path: Path) -> None:
    """No cgroup name leads to a path outside of the tree; limits are read from inside."""
    (tmp_path / "cgroup.controllers").touch()
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "cpu.max").write_text("150000 100000\n")
    (folder / "cpu.stat").write_text("nr_periods 100\nnr_throttled 25\n")
    found = folder_of(b"/a/b", (tmp_path,))
    assert found == folder
    limits = limits_in(found)
    assert limits is not None
    assert (limits.cpus, limits.throttled_share) == (1.5, 0.25)
    for path in (b"/../etc", b"/a/../../etc", b"/a/./b", b"//", b"/a\0b", b"/none"):
        assert folder_of(path, (tmp_path,)) is None


def test_real_threads_are_seen_as_they_are() -> None:
    """A process that spins, beside one that sleeps, on the machine that runs the tests."""
    code = (
        "import threading, time, sys\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "print('on', flush=True)\n"
        "while True: pass\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            began = time.monotonic()
            workload = workload_of(child.pid)
            view = understand(str(workload), NOTHING)
            assert view.took_ms <= 1000 * (time.monotonic() - began) + 1
            assert view.processes_total >= 1
            assert view.threads_total >= 2
            assert view.parallelism.running_mean > 0
            # Python, and its parent, which is a test suite.
            kinds = {each.kind for each in view.kinds} | {each.kind for each in view.processes}
            assert kinds & {ProgramKind.LANGUAGE_RUNTIME, ProgramKind.TEST_SUITE}
        finally:
            child.kill()
