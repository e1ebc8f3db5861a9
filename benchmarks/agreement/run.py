# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole comparison: prepare, measure on the real kernel, predict, publish.

Takes about half an hour, and needs the lab if the kernel has no sched_ext. Emulated, its clock
counts instructions, so other work of the host has no effect. On real hardware the machine has to be
idle otherwise.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.agreement.plan import KernelRun
from benchmarks.agreement.predict import predict
from benchmarks.agreement.prepare import CPUS, Bench, prepare
from benchmarks.agreement.report import comparisons, publish
from benchmarks.agreement.schedulers import schedulers
from benchmarks.agreement.workloads import WORKLOADS
from bpf.build import cache, vmlinux
from lab.chroot import in_root
from lab.machine import Accelerator, Port
from lab.recipe import recipe_for
from lab.root import ensure
from lab.tree import copy_files, files_of, project_root
from lab.vm import run_in_lab
from process import Fault, FaultType, run
from simulator.calibration import Costs, Rounds, costs_of

REPETITIONS = 3
LIMIT_S = 3600.0
LATE = ((50, "in the median"), (90, "in one of ten"), (99, "in one of a hundred"))
# Its place in the guest's copy of the tree.
FOLDER = "agreement"
Say = Callable[[str], None]


@dataclass
class KernelResults:
    """The runs on the real kernel. `ext_costs`: the costs under sched_ext."""

    costs: Costs | None = None
    ext_costs: Costs | None = None
    runs: list[KernelRun] = field(default_factory=list)
    _rest: bytes = b""

    def feed(self, data: bytes) -> None:
        """Read the guest's output while it runs."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in map(json.loads, lines):
            if "rounds" in line:
                self.costs = costs_of(Rounds.model_validate(line["rounds"]))
            elif "ext_rounds" in line:
                self.ext_costs = costs_of(Rounds.model_validate(line["ext_rounds"]))
            elif "run" in line:
                self.runs.append(KernelRun(**line["run"]))


def keep_measured(file: Path, measured: KernelResults, bench: Bench, about: str) -> None:
    """The runs on the real kernel as JSON, for a closer look or a new prediction."""
    kept = {
        "about": about,
        "scenarios": {each.workload: bench.scenarios[each.workload] for each in measured.runs},
        "costs": measured.costs.model_dump() if measured.costs else None,
        "ext_costs": measured.ext_costs.model_dump() if measured.ext_costs else None,
        "runs": [each.__dict__ for each in measured.runs],
    }
    file.write_text(json.dumps(kept) + "\n", encoding="utf-8")


def read_measured(file: Path, bench: Bench) -> tuple[KernelResults, str]:
    """The stored runs, and the line about them.

    Raises:
        Fault: BAD_REQUEST if it is something else, or has other workloads than today's.
    """
    try:
        kept = json.loads(file.read_text("utf-8"))
        costs = Costs.model_validate(kept["costs"])
        ext_costs = Costs.model_validate(kept["ext_costs"])
        runs = [KernelRun(**each) for each in kept["runs"]]
        about, scenarios = str(kept["about"]), kept["scenarios"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Fault(
            FaultType.BAD_REQUEST,
            "this is no result of the comparison",
            where=str(file),
            why=str(error),
            hint="name a file that --json has written",
        ) from None
    stale = [name for name, digest in scenarios.items() if bench.scenarios.get(name) != digest]
    if stale:
        raise Fault(
            FaultType.BAD_REQUEST,
            f"these workloads are others by now: {', '.join(stale)}",
            where=str(file),
            hint="measure them again (--workloads)",
        )
    return KernelResults(costs, ext_costs, runs), about


def joined(before: KernelResults, after: KernelResults) -> KernelResults:
    """The workloads of `after` replace those of the same name. The costs are those of the first:
    with a clock that counts instructions they are always the same."""
    anew = {each.workload for each in after.runs}
    kept = [each for each in before.runs if each.workload not in anew]
    return KernelResults(before.costs, before.ext_costs, [*kept, *after.runs])


def lab_btf(say: Say) -> Path:
    """The types of the lab's kernel; as C they go into the cache."""
    root = ensure(recipe_for(project_root()), say)
    header = vmlinux.header_path(cache.folder(), root.btf)
    if not header.exists():
        words = ["bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux", "format", "c"]
        dump = in_root(root.tree, words, timeout=120, btf=root.btf)
        cache.write(header, vmlinux.complete(dump.text).encode())
    return root.btf


def measure_in_lab(bench: Bench, tree: Path, words: Sequence[str], say: Say) -> KernelResults:
    """Run guest.py in the lab; `tree` gets a copy of this checkout with the bench in it."""
    measured = KernelResults()
    checkout = project_root()
    copy_files(checkout, files_of(checkout), tree)
    (tree / FOLDER).mkdir()
    for file in bench.folder.iterdir():
        if file.is_file():
            target = tree / FOLDER / file.name
            target.write_bytes(file.read_bytes())
            target.chmod(file.stat().st_mode & 0o777)

    def on_output(port: Port, data: bytes) -> None:
        if port is Port.STDOUT:
            measured.feed(data)
        else:
            sys.stderr.buffer.write(data)
            sys.stderr.flush()

    run_in_lab(
        ["python", "-m", "benchmarks.agreement.guest", FOLDER, *words],
        cpus=CPUS,
        emulation=Accelerator.COUNTED,
        timeout=LIMIT_S,
        on_output=on_output,
        tree=tree,
        progress=say,
    )
    return measured


def measure_here(bench: Bench, words: Sequence[str]) -> KernelResults:
    """Run guest.py on this machine's own kernel."""
    measured = KernelResults()
    run(["make", "-s", "-C", "bpf"], timeout=300)
    module = ["-m", "benchmarks.agreement.guest"]
    measured.feed(run([sys.executable, *module, bench.folder, *words], timeout=LIMIT_S).stdout)
    return measured


def agreement(
    native: bool,
    about: str,
    say: Say,
    *,
    keep: Path | None = None,
    again: Path | None = None,
    workloads: Sequence[str] = (),
) -> str:
    """Measure, predict, and write docs/agreement.*; returns the verdicts.

    Args:
        native: measure on this machine's own kernel instead of the lab's.
        about: the line that says when and where.
        keep: the file for the runs on the real kernel, as JSON.
        again: such a file. Nothing is measured; its runs are predicted again.
        workloads: measure only these; with `again`, they replace the ones in that file.

    Raises:
        Fault: what building, the lab and the simulator raise; CHILD_FAILED without runs.
    """
    if unknown := [name for name in workloads if name not in WORKLOADS]:
        raise Fault(
            FaultType.BAD_REQUEST,
            f"there is no workload {unknown[0]!r}",
            hint=f"there are: {', '.join(WORKLOADS)}",
        )
    words = [str(REPETITIONS), *(workloads or WORKLOADS)]
    with tempfile.TemporaryDirectory(prefix="schedpilot-agreement-") as place:
        work = Path(place)
        # Confined programs run as another user.
        work.chmod(0o755)
        btf = vmlinux.BTF if native else lab_btf(say)
        bench = prepare(work / "bench", schedulers(CPUS), REPETITIONS, btf, None)
        before, then = read_measured(again, bench) if again else (None, "")
        if before and not workloads:
            measured, about = before, then
        else:
            measured = (
                measure_here(bench, words)
                if native
                else measure_in_lab(bench, work / "tree", words, say)
            )
        if before and workloads:
            measured = joined(before, measured)
            about = f"{then} {', '.join(f'`{name}`' for name in workloads)}: {about}"
        if keep:
            keep_measured(keep, measured, bench, about)
        if not measured.runs or measured.costs is None or measured.ext_costs is None:
            raise Fault(FaultType.CHILD_FAILED, "nothing was measured", hint="see what it said")
        costs = (measured.costs, measured.ext_costs)
        wanted = [(each.scheduler, each.workload, each.repetition) for each in measured.runs]
        predictions = predict(bench, *costs, wanted, btf, None)
    found = comparisons(measured.runs, predictions)
    return publish(project_root() / "docs", found, f"{about}\n\n{said_of(*costs)}")


def said_of(costs: Costs, ext_costs: Costs) -> str:
    """The costs in words."""
    late = costs.late_ns or (0,)
    shares = ", ".join(f"{late[len(late) * at // 100] / 1000:g} µs {of}" for at, of in LATE)
    shown = {"tick": costs.tick_ns, "switch": costs.switch_ns, "cross": costs.cross_ns}
    known = ", ".join(f"{name} {ns / 1000:g} µs" for name, ns in shown.items() if ns is not None)
    noise = max(costs.noise, ext_costs.noise)
    busy = costs.noisy or ext_costs.noisy
    noisy = " **The machine was busy with something else.**" if busy else ""
    return (
        f"Costs there: {known}, `switch` under sched_ext {ext_costs.switch_ns / 1000:g} µs; timers "
        f"late by {shares}; the rounds differ by a factor of {noise:.2f} at most.{noisy}"
    )
