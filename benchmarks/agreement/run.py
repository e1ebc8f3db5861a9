# SPDX-License-Identifier: GPL-2.0-only
"""The whole comparison: prepare, measure on the real kernel, predict, publish.

Needs a quiet machine for about ten minutes, and the lab where the kernel has no sched_ext.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.agreement.plan import Run
from benchmarks.agreement.predict import predict
from benchmarks.agreement.prepare import CPUS, Bench, prepare
from benchmarks.agreement.report import comparisons, publish
from benchmarks.agreement.workloads import WORKLOADS
from bpf import cache, vmlinux
from lab.chroot import in_root
from lab.machine import Port
from lab.recipe import recipe_for
from lab.root import ensure
from lab.tree import copy_files, files_of, project_root
from lab.vm import run_in_lab
from process import Fault, FaultType, run
from simulator.calibration import Costs

REPETITIONS = 3
LIMIT_S = 1200.0
# In the copy of the tree that the guest gets.
FOLDER = "agreement"
Say = Callable[[str], None]


@dataclass
class Measured:
    """What the real kernel did."""

    costs: Costs | None = None
    runs: list[Run] = field(default_factory=list)
    _rest: bytes = b""

    def feed(self, data: bytes) -> None:
        """Take the guest's output as it comes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in map(json.loads, lines):
            if "costs" in line:
                self.costs = Costs.model_validate(line["costs"])
            elif "run" in line:
                self.runs.append(Run(**line["run"]))

    def text(self) -> str:
        """All of it as JSON, for whoever wants to look closer."""
        costs = self.costs.model_dump() if self.costs else None
        return json.dumps({"costs": costs, "runs": [each.__dict__ for each in self.runs]}) + "\n"


def lab_btf(say: Say) -> Path:
    """The types of the lab's kernel; as C they are put into the cache."""
    root = ensure(recipe_for(project_root()), say)
    header = cache.folder() / "btf" / vmlinux.btf_digest(root.btf) / "vmlinux.h"
    if not header.exists():
        words = ["bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux", "format", "c"]
        dump = in_root(root.tree, words, timeout=120, btf=root.btf)
        cache.write(header, vmlinux.complete(dump.text).encode())
    return root.btf


def measure_in_lab(bench: Bench, tree: Path, words: Sequence[str], say: Say) -> Measured:
    """Run guest.py in the lab; `tree` gets a copy of this checkout with the bench in it."""
    measured = Measured()
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
        timeout=LIMIT_S,
        on_output=on_output,
        tree=tree,
        progress=say,
    )
    return measured


def measure_here(bench: Bench, words: Sequence[str]) -> Measured:
    """Run guest.py on this machine's own kernel."""
    measured = Measured()
    run(["make", "-s", "-C", "bpf"], timeout=300)
    module = ["-m", "benchmarks.agreement.guest"]
    measured.feed(run([sys.executable, *module, bench.folder, *words], timeout=LIMIT_S).stdout)
    return measured


def agreement(native: bool, about: str, say: Say, keep: Path | None = None) -> str:
    """Measure, predict, and write docs/agreement.*; returns the verdicts.

    Args:
        native: on this machine's own kernel instead of the lab's.
        about: the line that says when and where.
        keep: gets what the real kernel did, as JSON.

    Raises:
        Fault: what building, the lab and the simulator raise; CHILD_FAILED without runs.
    """
    words = [str(REPETITIONS), *WORKLOADS]
    with tempfile.TemporaryDirectory(prefix="schedpilot-agreement-") as place:
        work = Path(place)
        # What runs confined is another user.
        work.chmod(0o755)
        btf = vmlinux.BTF if native else lab_btf(say)
        bench = prepare(work / "bench", REPETITIONS, btf, None)
        if native:
            measured = measure_here(bench, words)
        else:
            measured = measure_in_lab(bench, work / "tree", words, say)
        if not measured.runs or measured.costs is None:
            raise Fault(FaultType.CHILD_FAILED, "nothing was measured", hint="see what it said")
        if keep:
            keep.write_text(measured.text(), encoding="utf-8")
        predictions = predict(bench, measured.costs, REPETITIONS, btf, None)
    found = comparisons(measured.runs, predictions)
    costs = ", ".join(f"{name[:-3]} {ns / 1000:g} µs" for name, ns in measured.costs)
    return publish(project_root() / "docs", found, f"{about}\n\nCosts there: {costs}.")
