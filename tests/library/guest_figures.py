# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the lab: the figures on the schedulers' pages, one JSON line each.

    python tests/library/guest_figures.py [--rounds N] [--only redis,batch,jobs,pipe]

Every comparison alternates between the kernel's default and the schedulers within one boot, so
that interference from the host affects all of them equally. Only the ratios mean anything.
"""

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

PINS = Path("/sys/fs/bpf")
STATE = Path("/sys/kernel/sched_ext/state")
DEFAULT = "default"
HOG_SECONDS = "600"


def say(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


def out(*argv: str, timeout: float = 120) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=True)
    return done.stdout + done.stderr


@contextlib.contextmanager
def loaded(name: str, objects: Path) -> Iterator[None]:
    """The scheduler is in force within the block; `default` is the kernel's own."""
    if name == DEFAULT:
        yield
        return
    out("bpftool", "struct_ops", "register", str(objects / f"{name}.bpf.o"), str(PINS))
    try:
        yield
        if STATE.read_text().strip() != "enabled":
            raise SystemExit(f"{name} was ejected")
    finally:
        (PINS / f"{name}_ops").unlink()
        while STATE.read_text().strip() != "disabled":
            time.sleep(0.01)


@contextlib.contextmanager
def children(*commands: list[str]) -> Iterator[None]:
    started = [
        subprocess.Popen(
            argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        for argv in commands
    ]
    try:
        yield
    finally:
        for child in started:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _answer_times(path: str, seconds: float, period_s: float = 0.010) -> list[float]:
    """Ask redis at a steady rate; times count from when a request was due, so no stall is
    hidden."""
    times = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        due = time.monotonic()
        end = due + seconds
        # The clock ends it too: a very slow server would never get through all requests.
        while due < end and time.monotonic() < end + seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            connection.sendall(b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n")
            answer = b""
            while not answer.endswith(b"\r\n"):
                answer += connection.recv(4096)
            times.append(time.monotonic() - due)
            due += period_s
    return times


def redis(objects: Path, rounds: int, names: list[str]) -> None:
    """Answer times of redis at 100 requests a second beside four CPU hogs, milliseconds."""
    path = "/tmp/figures-redis.sock"  # noqa: S108 - the guest is thrown away
    server = ["redis-server", "--port", "0", "--unixsocket", path, "--save", ""]
    with children(server, ["stress-ng", "--cpu", "4", "--timeout", HOG_SECONDS]):
        while not Path(path).exists():
            time.sleep(0.1)
        for _ in range(rounds):
            for name in names:
                with loaded(name, objects):
                    _answer_times(path, 2.0)
                    times = sorted(_answer_times(path, 8.0))
                p50, p90, p99 = (1000 * times[int(len(times) * q)] for q in (0.5, 0.9, 0.99))
                say(
                    bench="redis",
                    scheduler=name,
                    requests=len(times),
                    p50_ms=round(p50, 2),
                    p90_ms=round(p90, 2),
                    p99_ms=round(p99, 2),
                    max_ms=round(times[-1] * 1000, 2),
                )


def batch(objects: Path, rounds: int, names: list[str]) -> None:
    """Work done by six compressors on two CPUs in a fixed time, operations a second."""
    for _ in range(rounds):
        for name in names:
            with loaded(name, objects):
                text = out("stress-ng", "--zlib", "6", "--timeout", "8", "--metrics-brief")
            found = re.search(r"zlib\s+(\d+)\s+([\d.]+)", text)
            assert found, text
            say(bench="batch", scheduler=name, operations_per_s=int(found[1]) / float(found[2]))


def pipe(objects: Path, rounds: int, names: list[str]) -> None:
    """hackbench, seconds."""
    for _ in range(rounds):
        for name in names:
            with loaded(name, objects):
                text = out("hackbench", "-g", "4", "-l", "200")
            found = re.search(r"Time: ([\d.]+)", text)
            assert found, text
            say(bench="pipe", scheduler=name, seconds=float(found[1]))


def _forked(length_s: float, read_end: int, write_end: int) -> int:
    """A child that waits until all copies of `write_end` are closed, and then uses CPU time."""
    pid = os.fork()
    if pid == 0:
        os.close(write_end)
        os.read(read_end, 1)
        # CPU time, not wall time: a job is the same amount of work, whatever else runs.
        while time.process_time() < length_s:
            pass
        os._exit(0)
    return pid


def _expect(lengths_s: dict[int, float]) -> None:
    """Fill the scheduler's map: process id → expected CPU time, ns."""
    with tempfile.NamedTemporaryFile("w", suffix=".bpftool") as file:
        for pid, seconds in lengths_s.items():
            key = " ".join(str(b) for b in pid.to_bytes(4, "little"))
            value = " ".join(str(b) for b in int(seconds * 1e9).to_bytes(8, "little"))
            # The kernel cuts names of maps to 15 characters.
            file.write(f"map update name {'expected_runtime'[:15]} key {key} value {value}\n")
        file.flush()
        out("bpftool", "batch", "file", file.name)


def jobs(objects: Path, rounds: int, short_s: float = 0.25) -> None:
    """Makespan and mean completion of one long and 39 short jobs, seconds.

    The long job takes as long as the other CPUs need for all the short ones. The bound
    max(longest, total / CPUs) can be met, but only if the long job starts at once and is never
    held up.
    """
    cpus = os.cpu_count() or 1
    lengths = [short_s] * 39 + [39 * short_s / max(cpus - 1, 1)]
    bound = max(max(lengths), sum(lengths) / cpus)
    for _ in range(rounds):
        for name in (DEFAULT, "jobs"):
            with loaded(name, objects):
                read_end, write_end = os.pipe()
                children_of = {}
                for length in lengths:
                    children_of[_forked(length, read_end, write_end)] = length
                if name == "jobs":
                    _expect(children_of)
                begin = time.monotonic()
                os.close(write_end)
                ends = []
                for _ in lengths:
                    os.wait()
                    ends.append(time.monotonic() - begin)
                os.close(read_end)
            say(
                bench="jobs",
                scheduler=name,
                makespan_s=round(max(ends), 3),
                bound_s=round(bound, 3),
                mean_completion_s=round(statistics.mean(ends), 3),
            )


def built() -> Path:
    """Build every scheduler of the library and the demo; return the folder of the objects."""
    from bpf.build.objects import build_object  # late: not needed if the objects are given
    from scheduler_library.catalog import load_catalog

    objects = Path(tempfile.mkdtemp())
    for entry in load_catalog(operator=[Path("demo/schedulers")]):
        if entry.source:
            result = build_object(entry.source, objects)
            result.require()
            if result.diagnostics:
                raise SystemExit(f"{entry.name} compiles, but with warnings: {result.diagnostics}")
    return objects


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=Path, help="folder with NAME.bpf.o; else they are built")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="redis,batch,pipe,jobs")
    options = parser.parse_args()
    objects = options.objects or built()
    if not os.path.ismount(PINS):
        out("mount", "-t", "bpf", "bpf", str(PINS))
    for bench in options.only.split(","):
        if bench == "redis":
            redis(objects, options.rounds, [DEFAULT, "latency", "fair", "crawl"])
        elif bench == "batch":
            batch(objects, options.rounds, [DEFAULT, "batch", "fair", "locality"])
        elif bench == "pipe":
            names = [DEFAULT, "fifo", "fair", "latency", "batch", "locality"]
            pipe(objects, options.rounds, names)
        else:
            jobs(objects, options.rounds)


if __name__ == "__main__":
    main()
