# SPDX-License-Identifier: GPL-2.0-or-later
"""One selftest's scheduler through static check, build and simulation."""

import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from bpf.static.check import check_source
from process import Fault
from simulator.build import build_native
from simulator.run import Ejection, Ended, NativeScheduler, simulate
from simulator.scenario import (
    SCENARIOS,
    Repeat,
    Run,
    S,
    Scenario,
    SimulatedMachine,
    Sleep,
    Task,
    Yield,
)
from simulator.stress_verdict import prove
from tests.selftests.known import CPUS, Case, Verdict, expected
from tests.target import Target

# What the tests themselves run on a machine: tasks that come, sleep, wake, compute and go.
WORKLOADS = ("service", "ping_pong", "fork_storm", "hogs", "pinned")
# The workload that shows most; it runs for every change.
QUICK = ("service",)
SECONDS = 2


@dataclass(frozen=True)
class Result:
    """The expectation and the gates' answer. `said` is the first message against the scheduler."""

    case: Case
    expected: Verdict
    found: Verdict
    gate: str
    said: str

    @property
    def agrees(self) -> bool:
        """Whether no scheduler that runs is refused, and none that fails is passed."""
        if self.expected is Verdict.REFUSED:
            # The kernel's verifier refuses it; here it may only show when it runs.
            return self.found in (Verdict.REFUSED, Verdict.ERROR)
        if self.expected is Verdict.ERROR:
            return self.found in (Verdict.REFUSED, Verdict.ERROR)
        return self.found is self.expected


def _files(folder: Path, case: Case, place: Path) -> tuple[Path, tuple[Path, ...]]:
    """The source as it is compiled, and the headers beside it that it includes."""
    source = place / f"{case.scheduler}.bpf.c"
    source.write_text(case.source(folder))
    names = re.findall(r'^#include "([\w.]+)"', source.read_text(), re.MULTILINE)
    return source, tuple(folder / name for name in names)


def _scenarios(case: Case, workloads: Sequence[str]) -> list[Scenario]:
    machine = SimulatedMachine(CPUS, node_cpus=CPUS // 2 if case.scheduler == "numa" else 0)
    names = ("hotplug",) if case.scheduler == "hotplug" else workloads
    made = [SCENARIOS[name](machine) for name in names]
    steps = (Run(200_000), Yield(), Sleep(100_000), Repeat())
    made.append(Scenario("yields", (Task("yields", steps, count=3 * CPUS),), machine))
    return [replace(each, duration_ns=min(each.duration_ns, SECONDS * S)) for each in made]


def _verdict(ejection: Ejection | None) -> Verdict:
    if ejection is None:
        return Verdict.RUNS
    if ejection.kind in (Ended.BY_ITSELF, Ended.BY_KERNEL):
        return Verdict.EXITS
    return Verdict.ERROR


@dataclass(frozen=True)
class Made:
    """One source after static check and compilers. `candidate` is None if a gate refuses it."""

    candidate: NativeScheduler | None
    gate: str = ""
    said: str = ""


def make(folder: Path, case: Case, target: Target, place: Path) -> Made:
    """Check and build the source of a case; other settings may share it."""
    source, headers = _files(folder, case, place)
    for each in check_source(source, headers=headers):
        if each.severity == "error":
            return Made(None, "static", each.message)
    built = target.build(source, place, headers=headers)
    if built.object is None:
        return Made(None, "build", next((each.message for each in built.diagnostics), ""))
    try:
        native = build_native(
            source, place, headers=headers, btf=target.btf, cache_folder=target.cache
        )
        return Made(NativeScheduler(native.require(), built.object))
    except Fault as fault:
        return Made(None, "simulate", str(fault))


def through(
    folder: Path, case: Case, made: Made, target: Target, workloads: Sequence[str] = WORKLOADS
) -> Result:
    """The verdict of the gates that need no kernel, under workloads like those of the tests."""
    wanted = expected(folder, case)
    if made.candidate is None:
        return Result(case, wanted, Verdict.REFUSED, made.gate, made.said)
    candidate = replace(made.candidate, parameters=tuple(case.parameters.items()))
    for scenario in _scenarios(case, workloads):
        try:
            ejection = simulate(
                candidate, scenario, btf=target.btf, cache_folder=target.cache
            ).ejection
        except Fault as fault:
            return Result(case, wanted, Verdict.ERROR, "simulate", str(fault))
        if ejection is not None:
            said = f"{scenario.name}: {ejection.message}"
            return Result(case, wanted, _verdict(ejection), "simulate", said)
    return Result(case, wanted, Verdict.RUNS, "", "")


def judged(
    folder: Path, wanted: Sequence[Case], target: Target, place: Path, workloads: Sequence[str]
) -> Iterator[Result]:
    """Every case, in order; as many at once as there are CPUs."""
    place.chmod(0o755)
    sources = {case.source(folder): case for case in wanted}
    places = {text: place / str(number) for number, text in enumerate(sources)}
    for each in places.values():
        each.mkdir(mode=0o755)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        made = {
            text: pool.submit(make, folder, case, target, places[text])
            for text, case in sources.items()
        }

        def one(case: Case) -> Result:
            return through(folder, case, made[case.source(folder)].result(), target, workloads)

        yield from pool.map(one, wanted)


def stressed(folder: Path, case: Case, target: Target, place: Path) -> Sequence[str]:
    """The messages of the whole stress set against it; empty if it passes."""
    source, headers = _files(folder, case, place)
    built = target.build(source, place, headers=headers)
    if built.object is None:
        return ["it is not built"]
    try:
        proof = prove(
            source,
            built.object,
            case.parameters,
            headers=headers,
            btf=target.btf,
            cache_folder=target.cache,
        )
    except Fault as fault:
        return [str(fault)]
    if proof.passed:
        return []
    return [f"{each.scenario}: {each.message}" for each in proof.findings] or ["refused"]
