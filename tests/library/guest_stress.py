# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the lab: each scheduler under hackbench, stress-ng and CPU hotplug.

    python tests/library/guest_stress.py [--seconds 60] [--schedulers fifo,fair,…]

Prints one JSON line for each scheduler. A monitor in this process sleeps 100 ms at a time and
notes how late it wakes up. The latest wakeup must stay below the watchdog's 5 s. Nothing is
retried.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

PINS = Path("/sys/fs/bpf")
KERNEL = Path("/sys/kernel/sched_ext")
PERIOD_S = 0.1
# A person at the machine would call it dead after this; the kernel's watchdog is set to the same.
STARVED_S = 5.0
# None of them real-time: stress-ng --mutex is, and on the CPUs that hotplug leaves it would
# keep every task of every other class from running, which says nothing of a scheduler.
STRESSORS = (
    *("--cpu", "3", "--fork", "1", "--switch", "1"),
    *("--futex", "1", "--nanosleep", "1", "--affinity", "1"),
)


def out(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
    return done.stdout


class Monitor(threading.Thread):
    """Wakes up every 100 ms; `latest_s` is how late the latest wakeup was."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.latest_s = 0.0
        self.wakeups = 0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            due = time.monotonic() + PERIOD_S
            time.sleep(PERIOD_S)
            self.latest_s = max(self.latest_s, time.monotonic() - due)
            self.wakeups += 1

    def end(self) -> None:
        self._over.set()
        self.join(STARVED_S * 4)


@contextlib.contextmanager
def load(seconds: float) -> Iterator[list[int]]:
    """hackbench over and over, and stressors of many kinds; returns the count of hackbench runs."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    stress = subprocess.Popen(
        ["stress-ng", "--timeout", str(int(seconds) + 60), *STRESSORS],
        start_new_session=True,
        **quiet,  # type: ignore[call-overload]
    )
    over = threading.Event()
    runs = [0]

    def again() -> None:
        while not over.is_set():
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    ["hackbench", "-g", "2", "-l", "200"],
                    timeout=seconds + 30,
                    check=False,
                    **quiet,  # type: ignore[call-overload]
                )
                runs[0] += 1

    runner = threading.Thread(target=again, daemon=True)
    runner.start()
    try:
        yield runs
    finally:
        over.set()
        os.killpg(stress.pid, signal.SIGKILL)
        stress.wait()
        runner.join()


def hotplug(dice: random.Random) -> None:
    """Take one CPU other than the first offline, and online again."""
    cpus = sorted(Path("/sys/devices/system/cpu").glob("cpu[1-9]*/online"))
    chosen = dice.choice(cpus)
    chosen.write_text("0")
    time.sleep(dice.uniform(0.2, 1.0))
    chosen.write_text("1")


def stress(name: str, objects: Path, seconds: float) -> dict[str, object]:
    """Strain one scheduler; return what happened."""
    before = int((KERNEL / "enable_seq").read_text())
    out("bpftool", "struct_ops", "register", str(objects / f"{name}.bpf.o"), str(PINS))
    dice = random.Random(name)  # noqa: S311 - repeatable, not secret
    monitor = Monitor()
    monitor.start()
    plugs = 0
    begin = time.monotonic()
    with load(seconds) as runs:
        while time.monotonic() - begin < seconds:
            # There is no event to wait for: this needs time under load.
            time.sleep(1.0)
            hotplug(dice)
            plugs += 1
            if (KERNEL / "state").read_text().strip() != "enabled":
                break
        state = (KERNEL / "state").read_text().strip()
        ops = KERNEL / "root" / "ops"
        seen = ops.read_text().strip() if ops.exists() else ""
        lasted = time.monotonic() - begin
    monitor.end()
    (PINS / f"{name}_ops").unlink(missing_ok=True)
    while (KERNEL / "state").read_text().strip() != "disabled":
        time.sleep(0.01)
    return {
        "scheduler": name,
        "state": state,
        "in_force": seen,
        "enabled_times": int((KERNEL / "enable_seq").read_text()) - before,
        "seconds": round(lasted, 1),
        "hotplugs": plugs,
        "hackbench_runs": runs[0],
        "monitor_wakeups": monitor.wakeups,
        "monitor_latest_s": round(monitor.latest_s, 3),
    }


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
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--schedulers", default="fifo,fair,latency,batch,locality,jobs")
    options = parser.parse_args()
    objects = options.objects or built()
    if not os.path.ismount(PINS):
        out("mount", "-t", "bpf", "bpf", str(PINS))
    # The monitor has no privilege: it is an ordinary task of the scheduler under test.
    for name in options.schedulers.split(","):
        sys.stdout.write(json.dumps(stress(name, objects, options.seconds)) + "\n")
        sys.stdout.flush()
    messages = [line for line in out("dmesg").splitlines() if "sched_ext" in line or "BUG" in line]
    sys.stdout.write(json.dumps({"kernel": messages}) + "\n")


if __name__ == "__main__":
    main()
