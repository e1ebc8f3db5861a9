# SPDX-License-Identifier: GPL-2.0-or-later
"""What a switch costs on machines of 2 to 512 CPUs, by the simulator's model of cache lines.

Each CPU has the same to do, whatever the size of the machine. So a scheduler that shares nothing
among all CPUs costs the same everywhere. Under one load CPUs are often idle, so what counts is how
idle ones are found; under the other they never are, and what counts is how tasks are queued.
docs/simulator.md explains the model.
"""

import asyncio
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.simulator_speed import lab_types
from bpf.build.objects import build_object
from lab.tree import project_root
from process import Fault, FaultType
from scheduler_library.policy.compiler import CompiledPolicy, TargetMachine, compile_policy
from simulator.build import Variant, build_native
from simulator.run import NativeScheduler, SharedPlace, SharingFigures, simulate
from simulator.scenario import (
    MS,
    US,
    Repeat,
    Run,
    Scenario,
    SimulatedMachine,
    Sleep,
    Task,
    Wait,
    Wake,
)

SIZES = (2, 8, 32, 128, 512)
# The goal compares these two.
SMALL, LARGE = 8, 512
LLC_CPUS, NODE_CPUS, CORE_CPUS = 8, 64, 2
# Small machines run for longer, so that they switch as often as one of 64 CPUs.
DURATION_NS = 200 * MS
ENOUGH_CPUS = 64
LIMIT_S = 300.0
LIBRARY = ("fifo", "fair", "latency", "batch", "locality", "jobs")
POLICY = "slice 3ms"
GLOBAL, DEFAULT = "one queue for all", "the kernel's default"
# How many places of each scheduler are listed.
LISTED = 8


def machine(cpus: int) -> SimulatedMachine:
    """Caches of 8 CPUs, nodes of 64, two CPUs of a core; as far as that fits."""
    return SimulatedMachine(
        cpus,
        llc_cpus=min(cpus, LLC_CPUS),
        core_cpus=CORE_CPUS,
        node_cpus=min(cpus, NODE_CPUS),
    )


@dataclass(frozen=True)
class Load:
    """Tasks for each four CPUs: those that never sleep, and pairs in which one wakes the other."""

    hogs: int
    pairs: int


PARTLY, CROWDED = "partly busy", "crowded"
# Idle for 38 % of the time, and never.
LOADS = {PARTLY: Load(hogs=1, pairs=8), CROWDED: Load(hogs=4, pairs=4)}


def scenario(cpus: int, load: Load) -> Scenario:
    """What the machine has to do."""
    pairs = load.pairs * cpus // 4
    ask = (Sleep(MS, 500 * US), Run(100 * US, 50 * US), Wake("answer"), Repeat())
    answer = (Wait(), Run(100 * US, 50 * US), Repeat())
    return Scenario(
        "cost_curve",
        (
            Task(
                "hogs",
                (Run(10 * MS, 2 * MS), Repeat()),
                comm="hog",
                count=max(1, load.hogs * cpus // 4),
            ),
            Task("pairs", ask, name="ask", comm="ask", count=pairs),
            Task("pairs", answer, name="answer", comm="answer", count=pairs),
        ),
        machine(cpus),
        duration_ns=DURATION_NS * max(1, ENOUGH_CPUS // cpus),
    )


async def measure() -> dict[str, object]:
    """Costs for each load, scheduler and size, and where they come from at the largest."""
    return await asyncio.to_thread(_measure)


def _measure() -> dict[str, object]:
    with tempfile.TemporaryDirectory(prefix="schedpilot-curve-") as place:
        bench = _Bench(Path(place))
        curves: dict[str, dict[str, list[dict[str, float]]]] = {}
        places: dict[str, dict[str, list[str]]] = {}
        for called, load in LOADS.items():
            curves[called], places[called] = {}, {}
            for name in (*LIBRARY, POLICY, GLOBAL, DEFAULT):
                sharings = [bench.sharing(name, scenario(cpus, load)) for cpus in SIZES]
                curves[called][name] = [
                    point(cpus, each) for cpus, each in zip(SIZES, sharings, strict=True)
                ]
                places[called][name] = [
                    described(each, sharings[-1]) for each in sharings[-1].sites[:LISTED]
                ]
        grown = {called: growth(each) for called, each in curves.items()}
        return {"curves": curves, "growth": grown, "places": places}


def point(cpus: int, sharing: SharingFigures) -> dict[str, float]:
    """Costs for each switch, those of wakeups included, and for each wakeup alone."""
    both = (sharing.in_wakeups, sharing.elsewhere)
    switches, wakeups = max(sharing.switches, 1), max(sharing.wakeups, 1)
    waits = sum(each.lock_wait_ns + each.line_wait_ns for each in both)
    return {
        "cpus": cpus,
        "ns": round(sum(each.ns for each in both) / switches, 1),
        "wait_ns": round(waits / switches, 1),
        "shared_stores": round(sum(each.shared_stores for each in both) / switches, 3),
        "shared_loads": round(sum(each.shared_loads for each in both) / switches, 3),
        "wakeup_ns": round(sharing.in_wakeups.ns / wakeups, 1),
        "wakeup_shared_stores": round(sharing.in_wakeups.shared_stores / wakeups, 3),
        "wakeup_shared_loads": round(sharing.in_wakeups.shared_loads / wakeups, 3),
    }


def growth(curves: Mapping[str, Sequence[Mapping[str, float]]]) -> dict[str, float]:
    """How many times as much a switch costs on the large machine as on the small one."""
    return {
        name: round(
            next(each["ns"] for each in points if each["cpus"] == LARGE)
            / next(each["ns"] for each in points if each["cpus"] == SMALL),
            2,
        )
        for name, points in curves.items()
    }


def described(place: SharedPlace, sharing: SharingFigures) -> str:
    """`clock at virtual_time.bpf.h:48: 1.02 stores, 0.00 loads, 310 ns`, all for each switch."""
    offset = f"+{place.offset}" if place.offset else ""
    switches = max(sharing.switches, 1)
    return (
        f"{place.name}{offset}{place.place}: {place.shared_stores / switches:.2f} stores, "
        f"{place.shared_loads / switches:.2f} loads, {place.ns / switches:.0f} ns"
    )


class _Bench:
    """Builds for the lab's kernel, whose types any host can have."""

    def __init__(self, folder: Path) -> None:
        folder.chmod(0o755)
        self.folder = folder
        self.btf = lab_types(folder)
        self._made: dict[str, NativeScheduler] = {}

    def sharing(self, name: str, load: Scenario) -> SharingFigures:
        cpus = load.machine.cpus
        candidate = None if name == DEFAULT else self._built(name, cpus)
        figures = simulate(
            candidate,
            load,
            btf=self.btf,
            cache_folder=self.folder,
            variant=Variant.LINES,
            limit_s=LIMIT_S,
        )
        if figures.ejection is not None or figures.sharing is None:
            why = figures.ejection.message if figures.ejection else "no lines were counted"
            raise Fault(
                FaultType.CHILD_FAILED,
                f"{name} did not last on {cpus} simulated CPUs",
                why=why,
                hint="schedpilot simulate shows more",
            )
        return figures.sharing

    def _built(self, name: str, cpus: int) -> NativeScheduler:
        source, called = self._source(name, cpus)
        if called not in self._made:
            native = build_native(
                source,
                self.folder,
                name=f"{called}.bpf.c",
                btf=self.btf,
                cache_folder=self.folder,
                variant=Variant.LINES,
            )
            built = build_object(
                source,
                self.folder,
                name=f"{called}.bpf.c",
                btf=self.btf,
                cache_folder=self.folder,
            )
            self._made[called] = NativeScheduler(native.require(), built.require())
        return self._made[called]

    def _source(self, name: str, cpus: int) -> tuple[Path | str, str]:
        if name == GLOBAL:
            return Path(__file__).with_name("global_fifo.bpf.c"), "global_fifo"
        if name in LIBRARY:
            folder = project_root() / "scheduler_library" / "schedulers" / name
            return folder / f"{name}.bpf.c", name
        compiled = compile_policy(name, machine=TargetMachine(cpus, lambda _: None))
        if not isinstance(compiled, CompiledPolicy):
            raise Fault(FaultType.BUILD_FAILED, "the policy does not compile", where=name)
        return compiled.source, f"policy_{cpus}"


def report(result: Mapping[str, Any]) -> str:
    """The whole curves as tables, and the places that cost most at the largest size."""
    parts = [_table(called, result) for called in LOADS]
    for called in LOADS:
        for name, places in result["places"][called].items():
            listed = [f"  {each}" for each in places]
            parts.append("\n".join([f"{name}, {called}, {LARGE} CPUs, for each switch:", *listed]))
    return "\n\n".join(parts)


def _table(called: str, result: Mapping[str, Any]) -> str:
    head = [f"a switch, {called}", *(f"{cpus} CPUs" for cpus in SIZES), f"{LARGE} : {SMALL}"]
    lines = [head, ["---"] * len(head)]
    for name, points in result["curves"][called].items():
        cells = [
            f"{each['ns']:.0f} ns; {each['shared_stores']:.1f}, {each['shared_loads']:.1f}"
            for each in points
        ]
        title = name if name in (GLOBAL, DEFAULT) else f"`{name}`"
        lines.append([title, *cells, f"x{result['growth'][called][name]:.2f}"])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def draw(result: Mapping[str, Any], path: Path) -> None:
    """The curves as SVG.

    Raises:
        Fault: MISSING_TOOL.
    """
    try:
        import matplotlib  # late: only the extra [report] has it
    except ImportError:
        raise Fault(
            FaultType.MISSING_TOOL,
            "matplotlib is needed for the plot",
            hint="pip install 'schedpilot[report]'",
        ) from None
    matplotlib.use("svg")
    # The same figures give the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "schedpilot", "svg.fonttype": "none"})
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(2, 2, figsize=(12, 9), constrained_layout=True)
    for row, called in zip(grid, LOADS, strict=True):
        for name, points in result["curves"][called].items():
            style = {GLOBAL: "k--", DEFAULT: "k:"}.get(name, "-")
            cpus = [each["cpus"] for each in points]
            lines = [each["shared_stores"] + each["shared_loads"] for each in points]
            row[0].plot(cpus, [each["ns"] for each in points], style, marker=".", label=name)
            row[1].plot(cpus, lines, style, marker=".", label=name)
        row[0].set(yscale="log", title=f"{called}: cost of a switch, ns")
        row[1].set(title=f"{called}: lines from other caches, for each switch")
        for panel in row:
            panel.set(xscale="log", xlabel="CPUs")
            panel.set_xticks(SIZES, [str(cpus) for cpus in SIZES])
            panel.minorticks_off()
    grid[0][0].legend(fontsize="small")
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)
