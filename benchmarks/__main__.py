# SPDX-License-Identifier: GPL-2.0-or-later
"""`make bench`: measure every claim of docs/benchmarks.md in one run, and print the table.

Runs in the lab, or on this machine if its kernel has sched_ext and we are root. `--only agreement`
runs by itself: it compares the simulator with the kernel and writes docs/agreement.*.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import (
    agent_cost,
    cgroups_delay,
    cost_curve,
    emergency,
    emergency_native,
    kept_is_wanted,
    mcp_sizes,
    policy_steps_native,
    schbench,
    simulator_speed,
)
from benchmarks.agreement.run import agreement
from benchmarks.guest import MEASUREMENTS, machine
from benchmarks.learning import measure as learning
from benchmarks.table import markdown, rows
from bpf.kernel import sysfs
from lab import accelerator
from lab.machine import Accelerator, Port
from lab.recipe import recipe_for
from lab.root import ensure
from lab.tree import project_root
from lab.vm import run_in_lab
from process import Fault, measure, run

# Ends a guest that hangs. All measurements took an hour, emulated on two busy CPUs.
LIMIT_S = 7200.0
AGREEMENT = "agreement"
KEPT_IS_WANTED = "kept_is_wanted"
COST_CURVE = "cost_curve"
# These run schbench, if it is installed.
WITH_SCHBENCH = {KEPT_IS_WANTED, "own_numbers"}
# These need nothing of the kernel, so they run on the host: emulation would measure the emulator.
ON_THE_HOST = {
    "cgroups_delay": cgroups_delay.measure,
    "simulator_speed": simulator_speed.measure,
    COST_CURVE: cost_curve.measure,
    "policy_steps_native": policy_steps_native.measure,
    "emergency_native": emergency_native.measure,
    "learning": learning.measure,
    "mcp_sizes": mcp_sizes.measure,
    "agent_cost": agent_cost.measure_beside,
}


def say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


class Collected:
    """The results of the guest so far, from the JSON lines of its standard output."""

    def __init__(self) -> None:
        self.machine: dict[str, Any] = {}
        self.results: dict[str, dict[str, Any]] = {}
        self.faults: dict[str, str] = {}
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for raw in lines:
            line = json.loads(raw)
            if "machine" in line:
                self.machine = line["machine"]
                continue
            took = f"{line['name']}: {line['took_s']:g} s"
            if "fault" in line:
                self.faults[line["name"]] = line["fault"]
                say(f"{took}, and failed\n{line['fault']}")
            else:
                self.results[line["name"]] = line["result"]
                say(took)

    def missing(self, names: Sequence[str]) -> list[str]:
        return [each for each in names if each not in self.results and each not in self.faults]


def sent_along(names: Sequence[str]) -> dict[str, bytes]:
    """The programs that some measurements use and the lab's root does not have."""
    if not WITH_SCHBENCH & set(names):
        return {}
    try:
        return {schbench.NAME: schbench.find().read_bytes()}
    except Fault as fault:
        say(f"without schbench: {fault}")
        return {}


def here(names: Sequence[str]) -> Collected:
    """Measure on this machine's own kernel."""
    run(["make", "-s", "-C", "bpf"], timeout=300)
    collected = Collected()
    done = run([sys.executable, "-m", "benchmarks.guest", *names], timeout=LIMIT_S)
    collected.feed(done.stdout)
    return collected


def in_lab(names: Sequence[str]) -> Collected:
    """Measure in the lab, in one boot; results from before a failure are kept."""
    collected = Collected()

    def on_output(port: Port, data: bytes) -> None:
        if port is Port.STDOUT:
            collected.feed(data)
        else:
            sys.stderr.buffer.write(data)
            sys.stderr.flush()

    try:
        run_in_lab(
            ["python", "-m", "benchmarks.guest", *names],
            systemd=True,
            timeout=LIMIT_S,
            on_output=on_output,
            files=sent_along(names),
            progress=lambda line: say(f"lab: {line}"),
        )
    except Fault as fault:
        if not collected.results:
            raise
        say(fault.report())
    return collected


def on_the_host(names: Sequence[str], collected: Collected) -> None:
    """Measure what needs no sched_ext; failures are reported with the rest."""
    for name in names:
        began = time.monotonic()
        try:
            collected.results[name] = asyncio.run(ON_THE_HOST[name]())
        except Fault as fault:
            collected.faults[name] = fault.report()
            say(fault.report())
        say(f"{name}: {time.monotonic() - began:.0f} s")


def emulation() -> str:
    """How the lab runs on this machine."""
    kind = accelerator.chosen(ensure(recipe_for(project_root()), lambda line: say(f"lab: {line}")))
    return "under software emulation (TCG)" if kind is Accelerator.TCG else "with KVM"


def cpu_model() -> str:
    """The CPU's model name."""
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def compare(native: bool, keep: Path | None, again: Path | None, workloads: Sequence[str]) -> int:
    """Compare the simulator with the kernel; the page is written whatever the result is."""
    try:
        way = "on this machine's own kernel" if native else f"in the lab, {emulation()}"
        if way.endswith("(TCG)"):
            way += " by a clock that counts instructions"
        kernel = platform.release() if native else ensure(recipe_for(project_root()), say).release
        if not again and not workloads:
            say(f"comparing {way}; this takes half an hour of a machine that is otherwise idle")
        date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        about = f"Measured {date} {way}: kernel {kernel} (host: {os.cpu_count()} × {cpu_model()})."
        said = agreement(native, about, say, keep=keep, again=again, workloads=workloads)
        sys.stdout.write(said + "\n")
    except Fault as fault:
        say(fault.report())
        return 1
    return 0


def _with_count(name: str, episodes: int) -> str:
    return f"{name}={episodes}" if name == "emergency" else name


def main() -> int:
    words = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    choices = sorted([*MEASUREMENTS, *ON_THE_HOST, AGREEMENT])
    words.add_argument("--only", action="append", choices=choices, metavar="NAME")
    words.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    words.add_argument(
        "--from",
        dest="again",
        type=Path,
        metavar="FILE",
        help=f"of {AGREEMENT}: predict anew what such a file says, measure nothing",
    )
    words.add_argument(
        "--workloads",
        default="",
        metavar="NAME,…",
        help=f"of {AGREEMENT}: measure these alone; with --from in place of theirs in that file",
    )
    words.add_argument(
        "--episodes",
        type=int,
        default=emergency.EPISODES,
        metavar="N",
        help="of each kind that `emergency` has (default: %(default)s)",
    )
    options = words.parse_args()
    names = options.only or [*MEASUREMENTS, *ON_THE_HOST]
    if KEPT_IS_WANTED in names:
        try:
            schbench.find()
        except Fault as fault:
            say(f"not measured: {KEPT_IS_WANTED}\n{fault.report()}")
            if options.only:
                return 1
            names = [name for name in names if name != KEPT_IS_WANTED]
    in_guest = [name for name in names if name in MEASUREMENTS]
    os.chdir(project_root())
    native = sysfs.read().supported and os.geteuid() == 0
    if AGREEMENT in names:
        if len(names) > 1:
            words.error(f"{AGREEMENT} is measured by itself")
        chosen = [each for each in options.workloads.split(",") if each]
        return compare(native, options.json, options.again, chosen)
    say(f"measuring {', '.join(names)}; under emulation all of it takes about an hour")
    began = time.monotonic()
    try:
        collected = Collected()
        if in_guest:
            asked = [_with_count(name, options.episodes) for name in in_guest]
            collected = here(asked) if native else in_lab(asked)
            if "emergency" in collected.results:
                # The same piece of work here shows how much slower the guest is.
                collected.results["emergency"]["native_piece_cpu_s"] = measure().cpu_s
        on_the_host([name for name in names if name in ON_THE_HOST], collected)
        way = "on this machine's own kernel" if native else f"in the lab, {emulation()}"
    except Fault as fault:
        say(fault.report())
        return 1
    if not in_guest:
        collected.machine, way = machine(), "on this machine"
    about = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "way": way,
        "host_cpu": f"{os.cpu_count()} × {cpu_model()}",
        **collected.machine,
        "minutes": round((time.monotonic() - began) / 60, 1),
    }
    sys.stdout.write(
        f"Measured {about['date']} {way}: kernel {about.get('kernel')}, {about.get('cpus')} CPUs "
        f"(host: {about['host_cpu']}), Python {about.get('python')}, clang {about.get('clang')}, "
        f"in {about['minutes']:g} minutes.\n\n{markdown(rows(collected.results))}\n"
    )
    if KEPT_IS_WANTED in collected.results:
        found = kept_is_wanted.last_line(collected.results[KEPT_IS_WANTED]["scenes"])
        sys.stdout.write(f"\n{found}\n")
    if COST_CURVE in collected.results:
        curve = collected.results[COST_CURVE]
        sys.stdout.write(f"\n{cost_curve.report(curve)}\n")
        try:
            cost_curve.draw(curve, project_root() / "docs" / "cost_curve.svg")
        except Fault as fault:
            say(fault.report())
    if options.json:
        figures = {"about": about, "results": collected.results, "faults": collected.faults}
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    missing = [*collected.faults, *collected.missing(names)]
    if missing:
        say(f"not measured: {', '.join(missing)}")
    return 1 if missing else 0


if __name__ == "__main__":
    raise SystemExit(main())
