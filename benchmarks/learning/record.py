# SPDX-License-Identifier: GPL-2.0-or-later
"""Record the gain of each scheduler on each workload, in the simulator.

    python -m benchmarks.learning.record > benchmarks/learning/gains.json

It runs all of the library's own schedulers, and the policy lines that the advisor may propose, on
each workload with several seeds. The gains are over the model of the kernel's default. It takes
some minutes. The replayed episodes take their gains from what it prints.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.learning.workloads import WORKLOADS, Workload
from bpf.build.objects import build_object
from scheduler_library.catalog import load_catalog
from scheduler_library.learning.templates import templates
from scheduler_library.manifest import EntryKind
from scheduler_library.policy.compiler import CompiledPolicy, TargetMachine, compile_policy
from simulator.build import build_native
from simulator.run import NativeScheduler, SimulationFigures, simulate
from simulator.scenario import SimulatedMachine
from tests.target import lab_target

SEEDS = (1, 2, 3, 4)
MACHINE = SimulatedMachine(4, 2)


@dataclass(frozen=True)
class GainRecorder:
    """Builds and runs for the lab's kernel, whose types any host can have."""

    folder: Path
    btf: Path

    def build(self, name: str, source: str) -> NativeScheduler:
        file = f"{name}.bpf.c"
        options = {"name": file, "btf": self.btf, "cache_folder": self.folder}
        native = build_native(source, self.folder, **options).require()  # type: ignore[arg-type]
        built = build_object(source, self.folder, **options).require()  # type: ignore[arg-type]
        return NativeScheduler(native, built)

    def run(
        self, candidate: NativeScheduler | None, workload: Workload, seed: int
    ) -> SimulationFigures:
        scenario = replace(workload.make(MACHINE), seed=seed)
        return simulate(candidate, scenario, btf=self.btf, cache_folder=self.folder)


def _library() -> Iterator[tuple[str, str]]:
    for entry in load_catalog():
        if entry.manifest.kind is EntryKind.BPF and entry.source is not None:
            yield entry.name, entry.source.read_text()


def _gain(workload: Workload, ours: SimulationFigures, theirs: SimulationFigures) -> float | None:
    """In the unit of a verdict: 0.25 is a quarter better. None if it was ejected or never ended."""
    value, base = workload.value(ours), workload.value(theirs)
    if ours.ejection is not None or value is None or not base:
        return None
    ratio = value / base
    return round(ratio - 1 if workload.metric == "throughput" else 1 - ratio, 4)


def record(recorder: GainRecorder) -> dict[str, object]:
    library = {name: recorder.build(name, source) for name, source in _library()}
    lines: dict[str, NativeScheduler] = {}
    workloads: dict[str, object] = {}
    gains: dict[str, dict[str, list[float | None]]] = {}
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for name, workload in WORKLOADS.items():
            sys.stderr.write(f"{name}\n")
            default = list(pool.map(lambda seed: recorder.run(None, workload, seed), SEEDS))  # noqa: B023
            tags, id = workload.tags(default[0]), f"comm:{workload.comm}"
            for template in templates(tags, id):
                if template.policy not in lines:
                    lines[template.policy] = _line(recorder, template.policy)
            offered = {each.policy: lines[each.policy] for each in templates(tags, id)}
            gains[name] = {}
            for arm, candidate in {**library, **offered}.items():
                runs = pool.map(lambda seed: recorder.run(candidate, workload, seed), SEEDS)  # noqa: B023
                gains[name][arm] = [
                    _gain(workload, ours, theirs)
                    for ours, theirs in zip(runs, default, strict=True)
                ]
            workloads[name] = {
                "workload": id,
                "metric": workload.metric,
                "tags": tags,
                "figures": _told(workload.profile(default[0]).model_dump()),
            }
    return {
        "made by": "python -m benchmarks.learning.record > benchmarks/learning/gains.json",
        "seeds": len(SEEDS),
        "workloads": workloads,
        "gains": gains,
    }


def _told(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 3) for name, value in figures.items() if value}


def _line(recorder: GainRecorder, policy: str) -> NativeScheduler:
    compiled = compile_policy(policy, machine=TargetMachine(MACHINE.cpus, lambda _: None))
    assert isinstance(compiled, CompiledPolicy)
    return recorder.build(compiled.name, compiled.source)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="schedpilot-gains-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        found = record(GainRecorder(folder, lab_target(folder).btf))
    # One line for each scheduler and workload, so that a diff is readable.
    text = json.dumps(found, indent=1)
    sys.stdout.write(_flat(text) + "\n")


def _flat(text: str) -> str:
    """Lists of numbers and words on one line."""
    out: list[str] = []
    depth = 0
    for line in text.splitlines():
        bare = line.strip()
        if depth:
            out[-1] = out[-1].rstrip() + bare if bare.startswith("]") else f"{out[-1]}{bare} "
        else:
            out.append(line)
        if bare.endswith("["):
            depth += 1
        elif bare.startswith("]"):
            depth -= 1
    return "\n".join(out)


if __name__ == "__main__":
    main()
