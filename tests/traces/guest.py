# SPDX-License-Identifier: GPL-2.0-or-later
"""The scenes of test_recorder_lab.py: recordings on the real kernel, run as root in the lab.

Prints one JSON object, scene -> observations, and leaves the traces in /out. Nothing is judged
here.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bpf.paths import helper
from daemon.api.models import RecordingRequest
from process import Fault
from tests.daemon.running import Place, running
from tests.traces import guest_perf

OUT = Path("/out")
CGROUPS = Path("/sys/fs/cgroup")
PR_SET_NAME = 15
HOSTILE = b'"}\n\\ \xff]'


class Recording:
    """The recorder as a child, which has begun to record."""

    def __init__(self, name: str, *words: str) -> None:
        self.file = OUT / f"{name}.trace.gz"
        self._child = subprocess.Popen(
            [helper("schedpilot-recorder"), "--output", self.file, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.began = self._next()

    def _next(self) -> dict[str, dict[str, object]]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"the recorder ended with {self._child.wait()}")
        found: dict[str, dict[str, object]] = json.loads(line)
        return found

    def end(self, *, stop: bool) -> dict[str, object]:
        """Its last message, after it was told to stop or stopped by itself."""
        if stop:
            assert self._child.stdin is not None
            self._child.stdin.close()
        while "done" not in (said := self._next()):
            pass
        return {**said["done"], "status": self._child.wait()}


def _cpu_ns(pid: int) -> int:
    """CPU time of the process's threads, by the kernel's count."""
    return sum(
        int(each.read_text().split()[0]) for each in Path(f"/proc/{pid}/task").glob("*/schedstat")
    )


def _child(work: Callable[[], None]) -> int:
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            work()
        os._exit(0)
    return pid


@contextlib.contextmanager
def _ended(*pids: int) -> Iterator[None]:
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _named(name: bytes) -> None:
    ctypes.CDLL(None).prctl(PR_SET_NAME, name, 0, 0, 0)


def _burn() -> None:
    _named(b"burner")
    os.nice(5)
    while True:
        pass


def _periodic() -> None:
    _named(HOSTILE)
    os.sched_setaffinity(0, {1})
    while True:
        time.sleep(0.01)
        until = time.thread_time() + 0.002
        while time.thread_time() < until:
            pass


def _pair() -> tuple[int, int]:
    """Two processes that pass a byte back and forth, with some work between."""
    to, fro = os.pipe(), os.pipe()

    def play(read: int, write: int, name: bytes, first: bool) -> None:
        _named(name)
        if first:
            os.write(write, b".")
        while os.read(read, 1):
            until = time.thread_time() + 0.001
            while time.thread_time() < until:
                pass
            os.write(write, b".")

    one = _child(lambda: play(fro[0], to[1], b"ping", True))
    two = _child(lambda: play(to[0], fro[1], b"pong", False))
    for each in (*to, *fro):
        os.close(each)
    return one, two


def phases() -> object:
    """Four processes that end in every way, and their CPU time by the kernel's count."""
    pids = {"burner": _child(_burn), "periodic": _child(_periodic)}
    pids["ping"], pids["pong"] = _pair()
    with _ended(*pids.values()):
        time.sleep(0.3)
        outer = {name: _cpu_ns(pid) for name, pid in pids.items()}
        recording = Recording("phases")
        before = {name: _cpu_ns(pid) for name, pid in pids.items()}
        for _ in range(3):
            subprocess.run(["/bin/sh", "-c", "true & wait"], check=True)
        time.sleep(3)
        after = {name: _cpu_ns(pid) for name, pid in pids.items()}
        done = recording.end(stop=True)
        # For a process that runs alone the kernel updates it only at the next tick.
        time.sleep(0.05)
        last = {name: _cpu_ns(pid) for name, pid in pids.items()}
    return {
        "pids": pids,
        # Between two readings inside of the recording, and between two readings around it.
        "cpu_ns": {name: [after[name] - before[name], last[name] - outer[name]] for name in pids},
        "done": done,
    }


def scoped() -> object:
    """One cgroup of two is recorded, with its new processes."""
    if not (CGROUPS / "cgroup.procs").exists():
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", CGROUPS], check=True)
    folder = CGROUPS / "watched" / "inner"
    folder.mkdir(parents=True)

    def inside() -> None:
        (folder / "cgroup.procs").write_text(str(os.getpid()))
        while True:
            subprocess.run(["/bin/sleep", "0.05"], check=True)

    pids = (_child(inside), _child(_periodic))
    with _ended(*pids):
        time.sleep(0.5)
        done = Recording("scoped", "--seconds", "1", "--cgroup", "/watched").end(stop=False)
    return {"done": done}


def bounded() -> object:
    """A bound on tasks and a bound on records, under a storm of short processes."""

    def storm() -> None:
        while True:
            subprocess.run(["/bin/sh", "-c", "true & true & wait"], check=True)

    pid = _child(storm)
    with _ended(pid):
        few = Recording("few", "--seconds", "1", "--most-tasks", "5").end(stop=False)
        short = Recording("short", "--seconds", "30", "--most-records", "50").end(stop=False)
    return {"few": few, "short": short}


def refused() -> object:
    """Nothing is overwritten, and a cgroup has to exist."""
    words: list[list[str]] = [["--output", "/out/phases.trace.gz"], ["--output", "/out/x"]]
    words[1] += ["--cgroup", "/nowhere"]
    found = []
    for each in words:
        done = subprocess.run(
            [helper("schedpilot-recorder"), *each], check=False, capture_output=True, text=True
        )
        found.append([done.returncode, done.stderr])
    return found


def through_the_daemon() -> object:
    """The command asks a real daemon; a second command hears that the daemon is busy."""
    folder = Path(tempfile.mkdtemp())
    pids = _pair()
    with _ended(*pids), running(Place(folder)) as daemon:
        words = [sys.executable, "-m", "cli.main", "record", "--seconds", "2", "--json"]
        env = {**os.environ, "SCHEDPILOT_RUN_DIR": str(daemon.place.run)}
        asked = subprocess.Popen(
            [*words, "-o", "/out/command.trace.gz"], env=env, stdout=subprocess.PIPE, text=True
        )
        with daemon.control() as client:
            while not (found := client.recordings()):
                time.sleep(0.1)
            try:
                client.record(RecordingRequest(seconds=1))
                busy = ""
            except Fault as fault:
                busy = fault.type.value
            said = asked.communicate()[0]
            scoped = client.record(RecordingRequest(seconds=60, workload="comm:ping"))
            stopped = client.stop_recording(scoped.id)
    return {
        "status": asked.returncode,
        "said": json.loads(said),
        "first": found[0].state.value,
        "busy": busy,
        "stopped": stopped.model_dump(mode="json"),
        "kept": sorted(each.name for each in (daemon.place.state / "traces").iterdir()),
    }


def main() -> None:
    OUT.mkdir(exist_ok=True)
    scenes = (phases, scoped, bounded, refused, through_the_daemon, guest_perf.recordings)
    json.dump({scene.__name__: scene() for scene in scenes}, sys.stdout)


if __name__ == "__main__":
    main()
