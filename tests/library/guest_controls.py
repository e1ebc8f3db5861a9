# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the lab: what control groups get under one scheduler after another.

    python -m tests.library.guest_controls --objects FOLDER [--seconds 10] [SCHEDULER…]

`default` is the kernel's own scheduler; another NAME is FOLDER/NAME.bpf.o. Prints one JSON line
for each. A scene makes control groups, fills them with tasks, and reads their CPU time from
cpu.stat.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from bpf.kernel import sysfs
from bpf.runner.lines import Exited
from bpf.runner.process import Runner

GROUPS = Path("/sys/fs/cgroup")
HOG = "while :; do :; done"
# Runs for about 2 ms, then sleeps for 3 ms.
SLEEPER = (
    "import time\nwhile True:\n until = time.thread_time() + 0.002\n"
    " while time.thread_time() < until: pass\n time.sleep(0.003)"
)
# Joins a group, works for a moment, and moves to another.
BRIEFLY_THEN_MOVE = (
    'echo 0 >"$0/cgroup.procs"; i=0; while [ $i -lt 300 ]; do i=$((i+1)); done; '
    'echo 0 >"$1/cgroup.procs"'
)
DEFAULT = "default"
# Longer than all scenes under one scheduler.
LEASE_S = 600.0


def out(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
    return done.stdout


@contextlib.asynccontextmanager
async def loaded(name: str, objects: Path) -> AsyncIterator[list[str]]:
    """The scheduler in force, and any error it reported; afterwards the kernel's own takes over."""
    trouble: list[str] = []
    if name == DEFAULT:
        yield trouble
        return
    # bpftool would do only without timers: they end with the process that loaded the scheduler.
    async with await Runner.start(objects / f"{name}.bpf.o", lease_s=LEASE_S) as runner:
        watch = asyncio.create_task(_note_exit(runner, trouble))
        yield trouble
        if (seen := sysfs.read()).state != "enabled":
            trouble.append(f"at the end the kernel says: {seen.state} {seen.ops}")
            await asyncio.wait([watch], timeout=2)
        watch.cancel()


async def _note_exit(runner: Runner, trouble: list[str]) -> None:
    exits = (each async for each in runner.events() if isinstance(each, Exited))
    async for event in exits:
        trouble.append(f"{event.explain()}\n{event.dump}")  # noqa: PERF401 - as soon as it comes


class Scene:
    """Control groups and their tasks, all of which are gone at the end."""

    def __init__(self) -> None:
        self._made: list[Path] = []
        self._tasks: list[subprocess.Popen[bytes]] = []

    def group(self, path: str, **files: str | int) -> Path:
        """A group, with values for its files: `cpu_weight=100`."""
        place = GROUPS / path
        place.mkdir()
        self._made.append(place)
        (place.parent / "cgroup.subtree_control").write_text("+cpu")
        for name, value in files.items():
            (place / name.replace("_", ".", 1)).write_text(str(value))
        return place

    def run(self, group: Path, *argv: str, count: int = 1) -> None:
        join = ["sh", "-c", 'echo 0 >"$0/cgroup.procs" && exec "$@"', str(group)]
        for _ in range(count):
            self._tasks.append(
                subprocess.Popen([*join, *argv], stdout=subprocess.DEVNULL, start_new_session=True)
            )

    def hogs(self, group: Path, count: int) -> None:
        self.run(group, "sh", "-c", HOG, count=count)

    def forget(self, place: Path) -> None:
        """Forget a group that has been removed."""
        self._made.remove(place)

    def end(self) -> None:
        for task in self._tasks:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(task.pid, signal.SIGKILL)
            task.wait()
        for place in reversed(self._made):
            remove(place)


def remove(place: Path) -> None:
    """Remove a group: it is busy until the last of its tasks has been reaped."""
    until = time.monotonic() + 60
    while True:
        try:
            place.rmdir()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.01)


def used_s(group: Path) -> float:
    lines = (group / "cpu.stat").read_text().splitlines()
    return int(dict(line.split() for line in lines)["usage_usec"]) / 1e6


def usage(groups: Mapping[str, Path], seconds: float, settle: float = 1.0) -> dict[str, float]:
    """CPUs that each group had over this time."""
    # This needs time under load: no event ends it.
    time.sleep(settle)
    before = {name: used_s(group) for name, group in groups.items()}
    began = time.monotonic()
    time.sleep(seconds)
    lasted = time.monotonic() - began
    return {
        name: round((used_s(group) - before[name]) / lasted, 4) for name, group in groups.items()
    }


def weights(scene: Scene, seconds: float) -> dict[str, float]:
    groups = {
        str(weight): scene.group(f"w{weight}", cpu_weight=weight) for weight in (100, 300, 900)
    }
    for group in groups.values():
        scene.hogs(group, 2)
    return usage(groups, seconds)


def levels(scene: Scene, seconds: float) -> dict[str, float]:
    """100 beside 400; the 400 is divided into 100 and 300."""
    low = scene.group("low", cpu_weight=100)
    high = scene.group("high", cpu_weight=400)
    groups = {
        "low": low,
        "high": high,
        "high/100": scene.group("high/a", cpu_weight=100),
        "high/300": scene.group("high/b", cpu_weight=300),
    }
    for name in ("low", "high/100", "high/300"):
        scene.hogs(groups[name], 2)
    return usage(groups, seconds)


def mixed(scene: Scene, seconds: float) -> dict[str, float]:
    """100 with hogs only, 400 with a hog and tasks that sleep."""
    groups = {
        "100": scene.group("m100", cpu_weight=100),
        "400": scene.group("m400", cpu_weight=400),
    }
    scene.hogs(groups["100"], 2)
    scene.hogs(groups["400"], 1)
    scene.run(groups["400"], sys.executable, "-c", SLEEPER, count=3)
    return usage(groups, seconds, settle=3.0)


def idle(scene: Scene, seconds: float) -> dict[str, float]:
    groups = {"idle": scene.group("idle", cpu_idle=1), "usual": scene.group("usual")}
    for group in groups.values():
        scene.hogs(group, 2)
    return usage(groups, seconds)


def changed(scene: Scene, seconds: float) -> dict[str, float]:
    """A quota is written a hundred times under load, and is 50 % at the end."""
    group = scene.group("changed")
    scene.hogs(group, 2)
    scene.run(group, "hackbench", "-g", "1", "-l", "100000")
    for at in range(100):
        (group / "cpu.max").write_text(("max", "5000 100000", "20000", "200000 50000")[at % 4])
        time.sleep(seconds / 100)
    (group / "cpu.max").write_text("50000 100000")
    return usage({"changed": group}, seconds)


def churn(scene: Scene, seconds: float) -> dict[str, float]:
    """Groups come, get a task that runs and moves on, and go, while hackbench runs in another
    group."""
    busy = scene.group("busy", cpu_weight=200)
    scene.run(busy, "hackbench", "-g", "1", "-l", "1000000")
    until, made = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        nested = scene.group(f"churn{made}", cpu_max="30000 100000")
        inner = scene.group(f"churn{made}/inner", cpu_weight=300)
        task = subprocess.Popen(["sh", "-c", BRIEFLY_THEN_MOVE, str(inner), str(busy)])
        task.wait()
        for place in (inner, nested):
            remove(place)
            scene.forget(place)
        made += 1
    return {"made and removed": float(2 * made)}


def deep(scene: Scene, seconds: float) -> dict[str, float]:
    """A thousand groups, four deep; two leaves at the far ends compete, 100 beside 300."""
    for first in range(10):
        scene.group(f"d{first}")
        for second in range(10):
            scene.group(f"d{first}/{second}")
            for third in range(9):
                scene.group(f"d{first}/{second}/{third}")
    leaves = {
        "100": scene.group("d0/0/0/leaf", cpu_weight=100),
        "300": scene.group("d0/0/0/other", cpu_weight=300),
        "far": scene.group("d9/9/8/leaf"),
    }
    for group in leaves.values():
        scene.hogs(group, 2)
    return usage(leaves, seconds)


Play = Callable[[Scene, float], dict[str, float]]


def _quota(percent: int) -> Play:
    def scene_of(scene: Scene, seconds: float) -> dict[str, float]:
        groups = {"limited": scene.group("limited", cpu_max=f"{percent * 1000} 100000")}
        scene.hogs(groups["limited"], 3)
        return usage(groups, seconds)

    return scene_of


def crowded(scene: Scene, seconds: float) -> dict[str, float]:
    """A quota of 20 % beside hogs without one: they get what the limited group may not use."""
    groups = {
        "limited": scene.group("limited", cpu_max="20000 100000"),
        "free": scene.group("free"),
    }
    for group in groups.values():
        scene.hogs(group, 2)
    return usage(groups, seconds)


SCENES: dict[str, Play] = {
    "weights": weights,
    "levels": levels,
    "mixed": mixed,
    "idle": idle,
    "quota 20": _quota(20),
    "quota 50": _quota(50),
    "quota 150": _quota(150),
    "crowded": crowded,
    "changed": changed,
    "churn": churn,
    "deep": deep,
}


def play(made: Play, seconds: float) -> dict[str, float]:
    scene = Scene()
    try:
        return made(scene, seconds)
    finally:
        scene.end()


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--scenes", default=",".join(SCENES))
    parser.add_argument("schedulers", nargs="+")
    options = parser.parse_args()
    if not (GROUPS / "cgroup.procs").exists():
        out("mount", "-t", "cgroup2", "cgroup2", str(GROUPS))
    for name in options.schedulers:
        found: dict[str, object] = {}
        async with loaded(name, options.objects) as trouble:
            for each in options.scenes.split(","):
                found[each] = await asyncio.to_thread(play, SCENES[each], options.seconds)
        found["trouble"] = trouble
        sys.stdout.write(json.dumps({"scheduler": name} | found) + "\n")
        sys.stdout.flush()
    messages = [line for line in out("dmesg").splitlines() if "sched_ext" in line or "BUG" in line]
    sys.stdout.write(json.dumps({"kernel": messages}) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
