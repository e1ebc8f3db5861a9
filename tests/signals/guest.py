# SPDX-License-Identifier: GPL-2.0-or-later
"""The scenarios of test_guest.py, on the real kernel, run as root in the lab.

Prints one JSON object, scenario -> observations. Nothing is judged here.
"""

import asyncio
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bpf.common.workload_id import workload_of
from bpf.signals.source import (
    PROGRAM,
    Processes,
    ProcessExec,
    ProcessExit,
    SignalsLine,
    SignalsSource,
)
from process import LineChild, run, start_lines
from tests.signals import activations

HERE = Path(__file__).parent
CGROUPS = Path("/sys/fs/cgroup")
BPFFS = Path("/sys/fs/bpf")
# Far above the length of any scenario: lines come on request.
NEVER_S = 3000.0
PR_SET_NAME = 15
HOSTILE = (b'"}]\n\\u0041\xff', "naïve 🐢".encode(), b"\x01\x7f<script>")
# More names than accounts (at least 128).
CROWD = 200

GLOBAL_QUEUE = """
struct sched_ext_ops { char name[128]; };
char LICENSE[] __attribute__((section("license"), used)) = "GPL";
struct sched_ext_ops global_queue __attribute__((section(".struct_ops.link"), used)) = {
    .name = "global_queue",
};
"""


def _restless(
    name: bytes, *, pause_s: float = 0.002, before: Callable[[], None] | None = None
) -> int:
    """A process with this name that wakes up over and over; it first runs `before`."""
    pid = os.fork()
    if pid:
        return pid
    try:
        if before:
            before()
        ctypes.CDLL(None).prctl(PR_SET_NAME, name, 0, 0, 0)
        while True:
            time.sleep(pause_s)
    finally:
        os._exit(1)


@contextmanager
def running(*pids: int) -> Iterator[None]:
    """These processes end with the block."""
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


async def _flushed(source: SignalsSource, seconds: float) -> SignalsLine:
    """A line of only the next `seconds`."""
    lines = source.lines()
    await source.flush()
    await anext(lines)
    await asyncio.sleep(seconds)
    await source.flush()
    return await anext(lines)


async def names() -> object:
    """Workloads with hostile names: in the root cgroup, and as cgroups."""
    if not (CGROUPS / "cgroup.procs").exists():
        run(["mount", "-t", "cgroup2", "cgroup2", CGROUPS], timeout=10)
    folders = [os.fsencode(CGROUPS) + b"/" + name.replace(b"\n", b"-") for name in HOSTILE]

    def enter(folder: bytes) -> Callable[[], None]:
        def move() -> None:
            os.mkdir(folder)  # noqa: PTH102 - bytes
            with open(folder + b"/cgroup.procs", "w") as file:  # noqa: PTH123
                file.write(str(os.getpid()))

        return move

    loose = [_restless(name) for name in HOSTILE]
    inside = [_restless(b"inside", before=enter(folder)) for folder in folders]
    with running(*loose, *inside):
        async with SignalsSource(NEVER_S) as source:
            line = await _flushed(source, 1)
            said = {pid: str(workload_of(pid)) for pid in (*loose, *inside)}
    for folder in folders:
        os.rmdir(folder)  # noqa: PTH106
    return {
        "ids": [each.id for each in line.workloads],
        "loose": [said[pid] for pid in loose],
        "inside": [said[pid] for pid in inside],
    }


async def moves() -> object:
    """A process that changes its cgroup, and one that executes another program, within one
    interval."""
    folder = CGROUPS / "moved"
    folder.mkdir()
    pid = _restless(b"mover")
    with running(pid):
        async with SignalsSource(NEVER_S) as source:
            lines = source.lines()
            await source.flush()
            await anext(lines)
            (folder / "cgroup.procs").write_text(str(pid))
            run(["sleep", "0.01"], timeout=10)
            await asyncio.sleep(0.5)
            await source.flush()
            line = await anext(lines)
    folder.rmdir()
    return [each.id for each in line.workloads]


async def crowd() -> object:
    """More names than accounts; then one more name after the others have gone."""
    async with SignalsSource(NEVER_S, max_workloads=100) as source:
        pids = [_restless(b"c%03d" % number, pause_s=0.3) for number in range(CROWD)]
        with running(*pids):
            during = await _flushed(source, 3)
        late = _restless(b"latecomer")
        with running(late):
            # One silent interval frees the accounts; the next assigns them again.
            for _ in range(3):
                after = await _flushed(source, 0.5)
    return {
        "listed": len(during.workloads),
        "left_out": during.left_out,
        "other": any(each.id == "other" for each in during.workloads),
        "lost": during.lost + after.lost,
        "after": [each.id for each in after.workloads],
    }


async def faster() -> object:
    """The interval gets shorter while the program runs."""
    async with SignalsSource(NEVER_S) as source:
        await source.set_interval(0.2)
        lines = source.lines()
        got = [await anext(lines) for _ in range(3)]
    return [line.t_ns for line in got]


BURN = "import sys,time\nwhile time.process_time() < {}: pass\n"
# Four threads that burn CPU time, even when their process ends.
THREADED = """
import os, threading, time
def burn():
    while True: pass
for _ in range(4): threading.Thread(target=burn, daemon=True).start()
while time.process_time() < 0.4: time.sleep(0.01)
os._exit(0)
"""
# A child that never executes another program burns CPU time.
FORKED = """
import os, time
if os.fork() == 0:
    while time.process_time() < 0.1: pass
    os._exit(0)
os.wait()
"""


def _summary(each: ProcessExec | ProcessExit) -> dict[str, object]:
    return {"kind": type(each).__name__, **each.model_dump()}


def _resident_kb(pid: int | None) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(each for each in status.splitlines() if each.startswith("VmRSS")).split()[1])


async def _told(which: Processes, work: Callable[[], object]) -> dict[str, object]:
    """The reports about the processes of `work`, the immediate ones, and the lines around them."""
    told: list[ProcessExec | ProcessExit] = []
    async with SignalsSource(NEVER_S, on_process=told.append) as source:
        lines = source.lines()
        await source.set_processes(which)
        await source.flush()
        await anext(lines)
        told.clear()
        following = asyncio.ensure_future(anext(lines))
        result = await asyncio.to_thread(work)
        await asyncio.sleep(1)
        at_once = len(told)
        await source.flush()
        line = await following
        resident = _resident_kb(source.pid)
    return {
        "told": [_summary(each) for each in told],
        "at_once": at_once,
        "result": result,
        "lost": [line.lost_execs, line.lost_exits],
        "exits": {each.id: each.exits for each in line.workloads},
        "resident_kb": resident,
    }


def _some_processes() -> dict[str, int]:
    """Processes that end in every way; their ids."""
    python = sys.executable
    pids = {}
    for name, words in (
        ("burner", [python, "-c", BURN.format(0.3), "part-07", "naïve 🐢"]),
        ("failed", [python, "-c", BURN.format(0.1) + "sys.exit(3)"]),
        ("killed", [python, "-c", BURN.format(0.1) + "import os; os.kill(os.getpid(), 9)"]),
        ("threaded", [python, "-c", THREADED]),
        ("forked", [python, "-c", FORKED]),
        ("idle", ["/bin/sleep", "0"]),
        ("long", ["/bin/sleep", "0", *["0" * 30] * 10]),
        ("hostile", [b"/bin/sh", b"-c", b": '\"\\'", b"", b"\xff\n", b"end"]),
    ):
        process = subprocess.Popen(words)
        process.wait()
        pids[name] = process.pid
    return pids


async def processes() -> object:
    """Reports of single processes to a reader that wants all of them, and to one that wants
    none."""
    return {
        "all": await _told(Processes.ALL, _some_processes),
        "exits": await _told(Processes.EXITS, _some_processes),
        "none": await _told(Processes.NONE, lambda: run(["/bin/true"], timeout=10).status),
    }


def _stampede() -> None:
    """Many execs at once."""
    each = "i=0; while [ $i -lt 400 ]; do /bin/true & i=$((i+1)); done; wait"
    run(["sh", "-c", each], timeout=90)


async def stampede() -> object:
    """More execs than may be reported in a second, if the machine is fast enough."""
    seen = await _told(Processes.ALL, _stampede)
    execs = sum(each["kind"] == "ProcessExec" for each in seen.pop("told"))  # type: ignore[attr-defined]
    return {**seen, "execs": execs}


async def ends() -> object:
    """Exit statuses: its input ends; nobody reads its output; a wrong option."""
    eof = run([PROGRAM], timeout=30, check=False)
    deaf = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: ASYNC220
    assert deaf.stdin
    assert deaf.stdout
    deaf.stdout.close()
    deaf.stdin.write(b"flush\nflush\n")
    deaf.stdin.flush()
    wrong = run([PROGRAM, "--interval", "nan"], timeout=30, check=False)
    confused = run([PROGRAM], timeout=30, check=False, input=b"interval -1\nwhat\n" + b"x" * 999)
    return {
        "eof": [eof.status, eof.text],
        "deaf": deaf.wait(30),
        "wrong": [wrong.status, wrong.text, wrong.error_text],
        "confused": [confused.status, confused.text, confused.error_text],
    }


def _built_global_queue() -> Path:
    """The scheduler as an object file, with bpffs mounted."""
    source = Path("/tmp/global_queue.bpf.c")  # noqa: S108 - the guest's own
    source.write_text(GLOBAL_QUEUE)
    built = source.with_suffix(".o")
    run(["clang", "-O2", "-g", "-target", "bpf", "-c", source, "-o", built], timeout=120)
    if not os.path.ismount(BPFFS):
        run(["mount", "-t", "bpf", "bpf", BPFFS], timeout=10)
    return built


async def _compared(source: SignalsSource, hooks: LineChild) -> object:
    """Hogs and messengers, measured in both ways at once."""
    lines, answers = source.lines(), hooks.lines()
    await source.flush()
    await anext(lines)
    await hooks.send("take")
    await anext(answers)
    hogs = [subprocess.Popen(["yes"], stdout=subprocess.DEVNULL) for _ in range(5)]  # noqa: ASYNC220
    await asyncio.sleep(6)
    for hog in hogs:
        hog.kill()
        hog.wait()
    run(["hackbench", "-g", "2", "-l", "60"], timeout=120)
    await source.flush()
    line = await anext(lines)
    await hooks.send("take")
    independent = json.loads(await anext(answers))
    seen = {}
    for name in ("yes", "hackbench"):
        ours = line.workload(f"comm:{name}")
        assert ours
        seen[name] = {
            "waits": [ours.delay_us.count, independent[name]["count"]],
            "waited_us": [ours.delay_us.sum, independent[name]["sum_us"]],
            "migrations": ours.migrations,
            "involuntary": ours.involuntary,
            "wakeups": ours.wakeups,
        }
    sched_ext = line.machine.sched_ext
    return {"workloads": seen, "sched_ext": sched_ext.model_dump() if sched_ext else None}


async def accuracy() -> object:
    """Compared with hooks on wakeups: under the kernel's own scheduler, and under a sched_ext
    scheduler whose single queue moves nearly every waiting task between CPUs."""
    hooks = await start_lines(["/usr/bin/python3", HERE / "wakeup_hooks.py"])
    global_queue = _built_global_queue()
    try:
        await anext(hooks.lines())
        async with SignalsSource(NEVER_S) as source:
            default = await _compared(source, hooks)
            run(["bpftool", "struct_ops", "register", global_queue, BPFFS], timeout=60)
            queued = await _compared(source, hooks)
            (BPFFS / "global_queue").unlink()
    finally:
        await hooks.end()
    return {"default": default, "global_queue": queued}


SCENARIOS = (
    names,
    moves,
    crowd,
    faster,
    processes,
    stampede,
    ends,
    *activations.SCENARIOS,
    accuracy,
)


async def main() -> None:
    """Run each scenario, or those on the command line."""
    seen = {}
    for scenario in SCENARIOS:
        if not sys.argv[1:] or scenario.__name__ in sys.argv[1:]:
            seen[scenario.__name__] = await scenario()
    print(json.dumps(seen))


asyncio.run(main())
