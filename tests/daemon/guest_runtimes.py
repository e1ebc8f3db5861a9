# SPDX-License-Identifier: GPL-2.0-or-later
"""What the real daemon learns of real processes and tells real schedulers; played in the lab by
test_runtimes_lab.py.

    python -m tests.daemon.guest_runtimes

Prints what was seen as one line of JSON; the tests judge it.
"""

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from bpf.build.objects import build_object
from bpf.runner import process as runner
from bpf.signals.source import SignalsSource
from daemon.api.models import CandidateRequest, HoldRequest
from daemon.lifecycle.attachment import ExitReason, Loadable
from daemon.lifecycle.loader import Loaded, Loader
from daemon.lifecycle.process_facts import ProcessFactsSource, asks_runtime
from daemon.signals.watch import Watch
from scheduler_library.catalog import load_catalog
from scheduler_library.history import FILE
from scheduler_library.policy.facts import PolicyFacts, UserSelector
from tests.daemon.running import Place, Running, running
from tests.waiting import until as in_time

# The guest is ours alone.
PLACE = Path("/var/tmp/runtimes")  # noqa: S108
CGROUPS = Path("/sys/fs/cgroup")
LIMIT_S = 60.0
BURN = "import time\nwhile time.process_time() < {seconds}: pass\n"
SELECTED = """
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, u32);
	__type(value, u64);
} selected SEC(".maps");
"""
SELECTORS = (
    UserSelector(0, "cmd", ("* -c *burner*",)),
    UserSelector(1, "unit", ("render",)),
    UserSelector(63, "cmd", ("sleep 1234",)),
)
# CPU time of the jobs, seconds; to look into a map takes half a second here.
RUNS = {"short": 1.5, "long": 4.0}
Seen = dict[str, Any]


def burner(seconds: float, name: str) -> "subprocess.Popen[bytes]":
    """A process that uses this much CPU time; `name` makes it another job."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", BURN.format(seconds=seconds), "burner", name]
    )


def entries(name: str) -> dict[int, int]:
    """The content of the kernel's map with this name, by process id."""
    dump = subprocess.run(
        ["bpftool", "-j", "map", "dump", "name", name[:15]],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    try:
        listed = json.loads(dump)
    except ValueError:
        return {}
    if not isinstance(listed, list):
        return {}
    return {each["formatted"]["key"]: each["formatted"]["value"] for each in listed}


def until(found: Callable[[], Any]) -> Any:
    """The first answer with content; after the time limit, the last answer."""
    return in_time(found, LIMIT_S)


def stored() -> list[list[Any]]:
    """What the daemon has stored so far."""
    path = PLACE / "state" / FILE
    with closing(sqlite3.connect(path, timeout=5)) as database:
        # The daemon's own compiler is learned of, too.
        rows = database.execute("SELECT * FROM runtimes WHERE program LIKE 'python%'").fetchall()
    return [list(row) for row in rows]


def listening(daemon: Running) -> None:
    """Wait until the signals program runs: it does not see processes that began before."""
    with daemon.observe() as client:
        assert until(lambda: client.signals().line)


def hold_jobs(daemon: Running) -> None:
    with daemon.control() as client:
        view = client.create_candidate(CandidateRequest(library="jobs"))
        assert view.proven, view
        client.hold(HoldRequest(candidate=view.id))


def expectation_of(process: "subprocess.Popen[bytes]") -> int:
    """The expected runtime that the scheduler has for a running process; 0 if it ended without
    one."""
    answer = until(
        lambda: entries("expected_runtime").get(process.pid) or (process.poll() is not None and -1)
    )
    return max(int(answer or 0), 0)


def learning() -> Seen:
    """Two runs of the same command, then a restart of the daemon, then a third run."""
    place = Place(
        PLACE,
        # Emulated, the simulator's engine alone takes a minute to compile.
        {"daemon": {"autonomy": "auto", "interval_s": 0.5}, "gates": {"simulate": False}},
    )
    seen: Seen = {}
    with running(place) as daemon:
        listening(daemon)
        for name in RUNS:
            rerun(name).wait()
        seen["stored"] = until(lambda: len(rows := stored()) >= 2 and rows)
        hold_jobs(daemon)
        seen["second"] = seen_burners()
        with daemon.control() as client:
            client.release("enough")
    with running(place) as daemon:
        listening(daemon)
        hold_jobs(daemon)
        seen["third"] = seen_burners()
    return seen


def rerun(name: str) -> "subprocess.Popen[bytes]":
    """A process with the same command line each time."""
    return burner(RUNS[name], name)


def seen_burners() -> Seen:
    """The expected runtime of each job that ran before, and of a new one."""
    seen: Seen = {}
    for name in ("long", "short"):
        process = rerun(name)
        seen[name] = expectation_of(process)
        seen[f"{name}_left"] = process.pid
        process.wait()
    unknown = subprocess.Popen(["sh", "-c", "while :; do :; done"])
    time.sleep(1)
    seen["unknown"] = entries("expected_runtime").get(unknown.pid, 0)
    unknown.kill()
    unknown.wait()
    held = entries("expected_runtime")
    for name in ("long", "short"):
        seen[f"{name}_left"] = seen[f"{name}_left"] in held
    return seen


@contextmanager
def in_unit(name: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process in the cgroup of a unit."""
    if not (CGROUPS / "cgroup.procs").exists():
        subprocess.run(["mount", "-t", "cgroup2", "cgroup2", CGROUPS], check=True)
    folder = CGROUPS / name
    folder.mkdir()
    process = subprocess.Popen(
        ["sleep", "100"],
        preexec_fn=lambda: (folder / "cgroup.procs").write_text(str(os.getpid())) and None,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        folder.rmdir()


async def masks() -> Seen:
    """The masks of processes that existed at the load, and of later ones."""
    fifo = load_catalog(PLACE / "state").get("fifo")
    assert fifo.source
    built = build_object(
        fifo.source.read_text() + SELECTED,
        PLACE / "own",
        name="masks.bpf.c",
        cache_folder=PLACE / "cache",
    )
    assert built.object, built.diagnostics

    async def gone(loaded: Loaded, why: ExitReason) -> None:
        raise AssertionError(why.reason)

    async def nothing(observation: object) -> None: ...

    process_facts = ProcessFactsSource(
        known=(), store=lambda learned: None, listen=lambda which: watch.set_processes(which)
    )
    watch = Watch(
        start=lambda interval_s: SignalsSource(interval_s, on_process=process_facts.take),
        interval_s=0.5,
        processes=process_facts.wanted,
        scheduler=lambda: "",
        on_observation=nothing,
        on_trouble=print,
    )
    loader = Loader(
        lease_s=20,
        on_gone=gone,
        on_attached=process_facts.loaded,
        on_none_attached=process_facts.unloaded,
    )
    listening = asyncio.create_task(watch.run())

    async def mask_of(pid: int) -> int | None:
        """Wait until it exists."""
        found = await asyncio.to_thread(until, lambda: pid in entries("selected"))
        return entries("selected")[pid] if found else None

    early = burner(100.0, "early")
    seen: Seen = {}
    with in_unit("render.service") as inside:
        facts = PolicyFacts(selectors=SELECTORS)
        await loader.load(Loadable("c", "masks", object=built.object, facts=facts), "operator")
        seen["early"] = await mask_of(early.pid)
        seen["inside"] = await mask_of(inside.pid)
        late, other = subprocess.Popen(["sleep", "1234"]), subprocess.Popen(["sleep", "4321"])  # noqa: ASYNC220
        seen["late"] = await mask_of(late.pid)
        seen["other"] = await mask_of(other.pid)
        described = await runner.describe(built.object)
        seen["asks_runtime"] = asks_runtime(described)
        for each in (early, late, other):
            each.kill()
            each.wait()
    await loader.close()
    await process_facts.close()
    listening.cancel()
    await asyncio.wait([listening])
    return seen


def main() -> None:
    shutil.rmtree(PLACE, ignore_errors=True)
    seen = learning()
    print(json.dumps({"learning": seen, "masks": asyncio.run(masks())}), flush=True)


if __name__ == "__main__":
    main()
