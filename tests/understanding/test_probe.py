# SPDX-License-Identifier: GPL-2.0-or-later
"""Probes seen from outside: missing parts, the child's bounds, and the handling of its answer.

The probes themselves run in the lab (test_probes_lab.py), because few machines have BCC. Here a
script stands in for the interpreter that has it.
"""

import asyncio
import json
import os
import platform
from pathlib import Path

import pytest

from bpf.common.workload_id import workload_of
from bpf.probes import kinds
from bpf.probes.found import ProbeFindings
from bpf.probes.kinds import BccProbe, missing
from bpf.probes.probe import probe
from bpf.probes.whose import EVERYBODY, THE_NAME, Whose, whose
from bpf.signals.source import Histogram, SignalsLine
from daemon.api.models import CallPoints, ProbeKind, ProbeRequest
from daemon.understanding import probing
from daemon.understanding.probe_answer import answer, chains_of, histogram
from daemon.understanding.probing import Probing, there_are
from process import Fault, FaultType
from tests.understanding.recorded import Task, Tree
from tests.understanding.test_profile import line_with

FOUND = {"seconds": 2.0, "found": {"lost": 3, "calls": [["read", 10, 5000, 900, 1]]}}


def stand_in(folder: Path, script: str) -> Path:
    """A program instead of the interpreter."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def looked(python: Path, seconds: int = 1) -> ProbeFindings:
    return asyncio.run(probe(BccProbe.SYSCALLS, Whose(), seconds, python=python))


def refused(python: Path) -> Fault:
    with pytest.raises(Fault) as raised:
        looked(python)
    return raised.value


# ---------------------------------------------------------------- what there is


def complete(root: Path) -> None:
    """A file system with everything that a probe needs."""
    for each in ("usr/bin/python3", "usr/lib/python3/dist-packages/bcc/__init__.py"):
        (root / each).parent.mkdir(parents=True, exist_ok=True)
        (root / each).touch()
    (root / "lib/modules" / platform.release() / "build/include").mkdir(parents=True)
    (root / "proc/sys/kernel").mkdir(parents=True)
    (root / "proc/sys/kernel/perf_event_paranoid").write_text("2\n")
    (root / "proc/self").mkdir()
    (root / "proc/self/status").write_text("CapEff:\t000000c000000000\n")


def test_nothing_is_missing_where_everything_is(tmp_path: Path) -> None:
    """With Python, BCC, headers and permission to sample, each probe is available."""
    complete(tmp_path)
    assert all(missing(kind, tmp_path) == [] for kind in BccProbe)


@pytest.mark.parametrize(
    ("gone", "word"),
    [
        ("usr/bin/python3", "Python"),
        ("usr/lib/python3/dist-packages/bcc/__init__.py", "python3-bpfcc"),
        (f"lib/modules/{platform.release()}/build/include", "linux-headers"),
    ],
)
def test_each_missing_piece_is_named(tmp_path: Path, gone: str, word: str) -> None:
    """The name comes with the package that has it, and no other part is named."""
    complete(tmp_path)
    path = tmp_path / gone
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    (lack,) = missing(BccProbe.RUNQLAT, tmp_path)
    assert word in lack


def test_sampling_needs_leave(tmp_path: Path) -> None:
    """If Debian's kernel reserves perf events for administrators, only the probe that samples says
    so."""
    complete(tmp_path)
    (tmp_path / "proc/sys/kernel/perf_event_paranoid").write_text("3\n")
    (lack,) = missing(BccProbe.ONCPU, tmp_path)
    assert "perf_event_paranoid" in lack
    assert missing(BccProbe.OFFCPU, tmp_path) == []
    (tmp_path / "proc/self/status").write_text("CapEff:\t000001ffffffffff\n")
    assert missing(BccProbe.ONCPU, tmp_path) == []


def test_each_probe_says_what_it_answers_and_what_remains() -> None:
    """Each probe has its question and, if it cannot run, what answers a part of it."""
    found = there_are()
    assert [each.kind for each in found] == list(ProbeKind)
    for each in found:
        assert each.question.endswith("?")
        assert each.available == (not each.missing)
        assert bool(each.instead) == (not each.available)


@pytest.fixture
def without_bcc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "missing", lambda kind: ["BCC (python3-bpfcc)"])


@pytest.mark.usefixtures("without_bcc")
def test_run_queue_latency_is_answered_without_bcc() -> None:
    """The daemon's signals stand in, for one workload and for the machine, and the answer says
    so."""
    line = line_with("comm:server")
    for workload in ("comm:server", None):
        request = ProbeRequest(kind=ProbeKind.RUNQLAT, workload=workload)
        view = asyncio.run(Probing().run(request, line))
        assert view.source == "signals"
        assert view.histograms[0].count == 4
        assert "python3-bpfcc" in view.notes[0]


def points_for(kind: ProbeKind) -> CallPoints | None:
    """What a uprobe needs to know."""
    if kind is not ProbeKind.UPROBE:
        return None
    return CallPoints(binary="/usr/bin/shop", enter="serve", exit="serve")


@pytest.mark.usefixtures("without_bcc")
def test_response_time_is_answered_without_bcc_in_few_buckets() -> None:
    """However fine the signals' buckets are, an answer has at most 64, and loses no count."""
    fine = tuple((1.024 * 1.06**number, 2) for number in range(300))
    responses = Histogram(count=600, sum=9e6, p50=50, p90=90, p99=99, max=fine[-1][0], hist=fine)
    line = line_with("comm:server")
    (own,) = line.workloads
    line = line.model_copy(
        update={"workloads": (own.model_copy(update={"response_us": responses}),)}
    )
    view = asyncio.run(
        Probing().run(ProbeRequest(kind=ProbeKind.RUNQLAT, workload="comm:server"), line)
    )
    response = view.histograms[1]
    assert response.title == "from a wakeup to the next sleep"
    assert len(response.buckets) <= 64
    assert sum(each.count for each in response.buckets) == 600
    assert response.buckets[-1].upper == fine[-1][0]


@pytest.mark.usefixtures("without_bcc")
@pytest.mark.parametrize("kind", [each for each in ProbeKind if each is not ProbeKind.RUNQLAT])
def test_other_probes_name_what_is_missing(kind: ProbeKind) -> None:
    """They have no substitute: the fault names the missing part and what remains."""
    line: SignalsLine = line_with("comm:server")
    with pytest.raises(Fault) as raised:
        asyncio.run(Probing().run(ProbeRequest(kind=kind, points=points_for(kind)), line))
    assert raised.value.type is FaultType.MISSING_TOOL
    assert "python3-bpfcc" in raised.value.why
    assert "what remains" in raised.value.hint


# ---------------------------------------------------------------- whose threads


def test_a_workload_becomes_numbers(tmp_path: Path) -> None:
    """Its processes become numbers, and so do the bytes of its name; hostile names are no
    exception."""
    tree = Tree(tmp_path)
    name = '";}/*\\n'
    tree.write(10, [Task(10, name), Task(11, "x")])
    tree.write(20, [Task(20, "other")])
    of = whose(f"comm:{name}", tmp_path)
    assert of.whose == THE_NAME
    assert of.processes == (10,)
    assert of.name_low == int.from_bytes(name.encode()[:8].ljust(8, b"\0"), "little")
    assert whose(None, tmp_path).whose == EVERYBODY


def test_the_running_process_is_found() -> None:
    """This process is among the processes of its own workload."""
    assert os.getpid() in whose(str(workload_of(os.getpid()))).processes


@pytest.mark.parametrize("id", ["comm:no such process", "cgroup:/no/such", "other", "nonsense"])
def test_what_is_not_there_is_a_fault(tmp_path: Path, id: str) -> None:
    """A workload without processes, an ambiguous one, and a text that is no id give faults."""
    with pytest.raises(Fault):
        whose(id, tmp_path)


# ---------------------------------------------------------------- the child


def test_the_child_is_asked_by_one_line_and_answers_with_one(tmp_path: Path) -> None:
    """It gets kind, seconds and numbers; its result is checked."""
    script = f"read line; echo \"$line\" > {tmp_path}/asked; echo '{json.dumps(FOUND)}'"
    found = looked(stand_in(tmp_path, script))
    assert (found.seconds, found.lost) == (2.0, 3)
    assert found.calls == (("read", 10, 5000, 900, 1),)
    asked = json.loads((tmp_path / "asked").read_text())
    assert (asked["kind"], asked["seconds"], asked["whose"]) == ("syscalls", 1, EVERYBODY)


def test_a_child_that_fails_says_why(tmp_path: Path) -> None:
    """Its last words are the reason, and the rest is in the material."""
    script = "echo 'Traceback' >&2; echo \"ModuleNotFoundError: No module named 'bcc'\" >&2; exit 1"
    fault = refused(stand_in(tmp_path, script))
    assert fault.type is FaultType.CHILD_FAILED
    assert "No module named 'bcc'" in fault.why


@pytest.mark.parametrize(
    "script",
    [
        "echo no json",
        'echo \'{"found": {"calls": [["read", -1, 0, 0, 0]]}}\'',
        'echo \'{"found": {"unknown": 1}}\'',
        "head -c 6000000 /dev/zero | tr '\\0' x",
        "true",
    ],
)
def test_nonsense_from_the_child_is_a_fault(tmp_path: Path, script: str) -> None:
    """Another shape, wrong values, a line of megabytes and a missing line give no answer and no
    crash."""
    assert refused(stand_in(tmp_path, f"read line; {script}")).type is FaultType.CHILD_FAILED


def test_a_probe_that_is_given_up_leaves_no_child(tmp_path: Path) -> None:
    """When the request is cancelled, the child ends even if it ignores signals; then others may
    probe."""
    os.mkfifo(tmp_path / "here")
    script = f"trap '' TERM; echo $$ > {tmp_path}/here; while :; do sleep 0.1; done"
    python = stand_in(tmp_path, script)

    async def given_up() -> int:
        task = asyncio.create_task(probe(BccProbe.SYSCALLS, Whose(), 30, python=python))
        pid = int(await asyncio.to_thread((tmp_path / "here").read_text))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return pid

    pid = asyncio.run(given_up())
    assert not Path(f"/proc/{pid}").exists()


def test_one_probe_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second request hears that the first one still runs."""
    monkeypatch.setattr(kinds, "missing", lambda kind: [])
    begun = asyncio.Event()

    async def slow(*_: object) -> ProbeFindings:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(probing, "probe", slow)

    async def both() -> Fault:
        runs = Probing()
        first = asyncio.create_task(runs.run(ProbeRequest(kind=ProbeKind.FUTEX), None))
        await begun.wait()
        with pytest.raises(Fault) as raised:
            await runs.run(ProbeRequest(kind=ProbeKind.RUNQLAT), None)
        first.cancel()
        return raised.value

    assert asyncio.run(both()).type is FaultType.BUSY


# ---------------------------------------------------------------- the answer


def told(kind: ProbeKind, **found: object) -> str:
    """The whole answer, as one text."""
    request = ProbeRequest(kind=kind, seconds=2)
    return answer(
        request, ProbeFindings.model_validate({"seconds": 2.0, **found}), 2.5
    ).model_dump_json()


def test_percentiles_lie_within_their_buckets() -> None:
    """The counts are by power of two of microseconds; without counts there are none."""
    counts = [0] * 40
    counts[3], counts[10] = 99, 1
    view = histogram("x", counts)
    assert view.count == 100
    assert 4 < view.p50 <= 8
    assert 4 < view.p99 <= 8
    assert [(each.upper, each.count) for each in view.buckets] == [(8.0, 99), (1024.0, 1)]
    assert histogram("x", [0] * 40).p99 == 0


def test_off_cpu_time_is_told_by_reason() -> None:
    """Time is summed by its reason: a class of system calls, or a CPU."""
    text = told(
        ProbeKind.OFFCPU,
        reasons=[
            [1, "futex", "worker", 10, 6_000_000, 900_000, 0],
            [0, "", "worker", 5, 3_000_000, 900_000, 0],
            [2, "fsync", "flusher", 1, 1_000_000, 1_000_000, 0],
        ],
    )
    assert "60% of its time off the CPU was for locks" in text
    assert "30% of its time off the CPU was for a CPU" in text
    assert '"uninterruptible","storage","fsync"' in text


def test_chains_of_wakeups_are_followed() -> None:
    """The strongest wakeups in a row make a chain, and a circle ends."""
    found = ProbeFindings.model_validate(
        {
            "pairs": [
                ["irq/9", "reader", 1, 1, 1, 50],
                ["reader", "worker", 1, 1, 1, 40],
                ["worker", "writer", 1, 1, 1, 30],
                ["worker", "reader", 1, 1, 1, 2],
            ]
        }
    )
    assert chains_of(found)[0] == (["irq/9", "reader", "worker", "writer"], 30)
    idle = ProbeFindings.model_validate(
        {"pairs": [["swapper/0", "a", 1, 4, 4, 5], ["swapper/1", "a", 3, 8, 7, 6]]}
    )
    view = answer(ProbeRequest(kind=ProbeKind.WAKEUPS), idle, 1.0)
    assert view.tables[0].rows == [["(idle CPU)", "a", 11.0, 0.0, 0.0]]
    around = ProbeFindings.model_validate(
        {"pairs": [["a", "b", 1, 1, 1, 5], ["b", "a", 1, 1, 1, 5]]}
    )
    assert chains_of(around)[0] == (["a", "b", "a"], 5)


def test_functions_that_could_not_be_read_are_said_to_be() -> None:
    """Samples have function, thread and library; the answer says what the daemon may not see."""
    text = told(
        ProbeKind.ONCPU,
        places=[["cc1", "", "", False, 90], ["cc1", "do_page_fault", "kernel", True, 104]],
        kernel_told=False,
        unread=2,
        hertz=97,
    )
    assert "kept 1.00 CPUs busy, 54% of it in the kernel" in text
    assert "CAP_SYSLOG" in text
    assert "CAP_SYS_PTRACE" in text


def test_a_contended_lock_is_told() -> None:
    """The answer has waiters, waits and time of each place, and no address."""
    text = told(
        ProbeKind.FUTEX,
        locks=[["worker", 155, 4, 111, 533_757_226, 21_377_361, 2]],
        lengths=[0] * 13 + [111] + [0] * 26,
        wakes=120,
    )
    assert "111 waits, 533.8 ms in all, on 1 places" in text
    assert "most waiters of one are 4" in text
    assert '"#1"' in text


def nothing_but(at: int, count: int) -> list[int]:
    """Counts in only one bucket."""
    return [count if number == at else 0 for number in range(40)]


def test_response_time_is_split_by_thread_name() -> None:
    """From a wakeup to the next sleep: mean, CPU time, and the waits after the wakeup and after
    losing the CPU, for each name and for all."""
    found = ProbeFindings.model_validate(
        {
            "after_wakeup": nothing_but(10, 200),
            "after_preemption": nothing_but(12, 900),
            "responses": nothing_but(17, 200),
            "answers": [
                ["worker", 100, 10_000_000_000, 200_000_000, 1_000_000_000, 4_000_000_000],
                ["messenger", 100, 20_000_000, 900_000, 10_000_000, 0],
            ],
        }
    )
    view = answer(ProbeRequest(kind=ProbeKind.RUNQLAT, seconds=2), found, 2.0)
    said = " ".join(view.summary)
    assert "10% is waiting after the wakeup and 40% after losing the CPU" in said
    assert [each.title for each in view.histograms][-1] == "from a wakeup to the next sleep"
    (worker, messenger) = view.tables[1].rows
    assert worker == ["worker", 100.0, 100_000.0, 200_000.0, 50_000.0, 10.0, 40.0]
    assert messenger[4] == 100.0


def test_a_chain_is_told_from_its_first_wakeup_to_its_last_sleep() -> None:
    """The most common paths come first, with their share of time in wait for a CPU. Paths that were
    cut, or are longer than their names, are marked; names cannot act."""
    path = [["web", "db", "\x1b[31m"], 3, False, 90, 900_000_000, 20_000_000, 225_000_000]
    endless = [["ping", "pong"] * 4, 16, True, 10, 100_000_000, 10_000_000, 25_000_000]
    found = ProbeFindings.model_validate(
        {
            "seconds": 2.0,
            "paths": [endless, path],
            "roots": [
                ["web", 90, 900_000_000, 20_000_000, 225_000_000],
                ["ping", 10, 100_000_000, 10_000_000, 25_000_000],
            ],
            "chain_times": nothing_but(14, 100),
            "links": [0, 0, 0, 90, *[0] * 12, 10],
            "cut": 10,
            "alone": 7,
        }
    )
    view = answer(ProbeRequest(kind=ProbeKind.CHAINS, seconds=2), found, 2.0)
    told_of = " ".join(view.summary)
    assert "50 chains a second" in told_of
    assert "25% of that time their threads waited for a CPU" in told_of
    assert "10 were cut at 16 threads" in told_of
    paths, roots = view.tables
    assert paths.rows[0][:4] == ["web > db > \\x1b[31m", 3.0, "no", 90.0]
    assert str(paths.rows[1][0]).endswith("pong > …")
    assert paths.rows[1][2] == "yes"
    assert roots.rows[0] == ["web", 90.0, 10_000.0, 20_000.0, 25.0]
    times, threads = view.histograms
    assert times.unit == "us"
    assert (threads.unit, threads.p50, threads.p99) == ("threads", 3, 16)


def test_waits_that_a_preempted_holder_made_longer_are_told() -> None:
    """The answer says for how much of the waiters' time the holder had no CPU, its name, and how
    the holder is known; waits with an unknown holder are separate."""
    holders = [
        ["writer", 10, 80_000_000, 10, 5, 40_000_000, 9_000_000],
        ["reader", 10, 20_000_000, 0, 0, 0, 0],
    ]
    found = ProbeFindings.model_validate(
        {
            "seconds": 2.0,
            "holders": holders,
            "lost_lengths": nothing_but(13, 5),
            "others": [3, 7_000_000],
        }
    )
    view = answer(ProbeRequest(kind=ProbeKind.PREEMPTED_LOCKS, seconds=2), found, 2.0)
    told_of = " ".join(view.summary)
    assert "20 waits for locks, 100.0 ms in all: in 5 of them" in told_of
    assert "for 40% of the waiters' time" in told_of
    assert "in 50% of these waits memory named the holder" in told_of
    assert "3 waits more, 7.0 ms, have no known holder" in told_of
    assert view.tables[0].rows[0] == ["writer", 10.0, 80.0, 5.0, 40.0, 9.0, 50.0, 100.0]
    assert view.histograms[0].count == 5
    assert any("inferred" in note for note in view.notes)


def test_tables_are_short() -> None:
    """The first rows are shown, and the others are counted."""
    rows = [[f"call{n}", 1, 1, 1, 0] for n in range(300)]
    request = ProbeRequest(kind=ProbeKind.SYSCALLS, seconds=2)
    view = answer(request, ProbeFindings.model_validate({"calls": rows}), 2.0)
    for table in view.tables:
        assert len(table.rows) <= 20
    assert view.tables[1].left_out == 300 - len(view.tables[1].rows)
    assert len(view.model_dump_json()) < 8000
