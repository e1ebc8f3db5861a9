# SPDX-License-Identifier: GPL-2.0-only
"""Runs inside the lab: the figures on the schedulers' pages, one JSON line each.

    python tests/library/guest_figures.py OBJECTS [--rounds N] [--only redis,batch,jobs,pipe]

OBJECTS is a folder with NAME.bpf.o for each scheduler. Every comparison alternates between
the kernel's default and the schedulers within one boot, so that what the host does to the
emulation hits all of them alike; only the ratios mean anything.
"""

import argparse
import contextlib
import json
import os
import re
import signal
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


def redis(objects: Path, rounds: int, names: list[str]) -> None:
    """Request latency of redis beside four CPU hogs, milliseconds, as its own client saw it."""
    server = ["redis-server", "--port", "7777", "--save", "", "--appendonly", "no"]
    client = "redis-benchmark -p 7777 -c 4 -n {} -t get --csv"
    with children(server, ["stress-ng", "--cpu", "4", "--timeout", HOG_SECONDS]):
        while (
            "PONG"
            not in subprocess.run(
                ["redis-cli", "-p", "7777", "ping"], capture_output=True, text=True, check=False
            ).stdout
        ):
            time.sleep(0.1)
        for _ in range(rounds):
            for name in names:
                with loaded(name, objects):
                    out(*client.format(300).split())
                    rows = out(*client.format(4000).split()).splitlines()
                row = next(line for line in rows if line.startswith('"GET"'))
                figures = [float(x) for x in re.findall(r'"([\d.]+)"', row)]
                keys = ("requests_per_s", "mean_ms", "min_ms", "p50_ms", "p95_ms", "p99_ms")
                say(bench="redis", scheduler=name, **dict(zip(keys, figures, strict=False)))


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
    """A child that waits until all copies of `write_end` are closed, then uses CPU time."""
    pid = os.fork()
    if pid == 0:
        os.close(write_end)
        os.read(read_end, 1)
        # CPU time, not wall time: a job is the same work whoever else runs.
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
            file.write(f"map update name expected_runtime key {key} value {value}\n")
        file.flush()
        out("bpftool", "batch", "file", file.name)


def jobs(objects: Path, rounds: int, short_s: float = 0.25) -> None:
    """Makespan and mean completion of one long and 39 short jobs, seconds.

    The long one takes as long as the other CPUs need for all the short ones, so the bound
    max(longest, total / CPUs) can be met, but only if it starts at once and is never held up.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("objects", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="redis,batch,pipe,jobs")
    options = parser.parse_args()
    if not os.path.ismount(PINS):
        out("mount", "-t", "bpf", "bpf", str(PINS))
    for bench in options.only.split(","):
        if bench == "redis":
            redis(options.objects, options.rounds, [DEFAULT, "latency", "fair", "crawl"])
        elif bench == "batch":
            batch(options.objects, options.rounds, [DEFAULT, "batch", "fair", "locality"])
        elif bench == "pipe":
            names = [DEFAULT, "fifo", "fair", "latency", "batch", "locality"]
            pipe(options.objects, options.rounds, names)
        else:
            jobs(options.objects, options.rounds)


if __name__ == "__main__":
    main()
