# SPDX-License-Identifier: GPL-2.0-or-later
"""Compares a scheduler with the kernel's default one, on a recorded workload or on the stress set.

    python -m simulator.compare --source FILE.bpf.c [--trace FILE | --scenario NAME] …
    python -m simulator.compare [--trace FILE | --scenario NAME] …   # how many CPUs that takes

It is a separate program, so that the command `schedpilot simulate` need not import any of this. It
needs no daemon and no privileges. Standard output has one JSON document (`Comparison`), the same
bytes for the same input and seed; the exit status is 3 if the scheduler was ejected, 1 after a
fault, which is reported on standard error.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bpf.build.objects import build_object
from bpf.build.sources import own_headers
from bpf.build.vmlinux import BTF, btf_digest
from process import Fault, FaultType, fault_of, named_path, printable, require_writable
from simulator.build import build_native
from simulator.calibration import calibrated
from simulator.controls import CONTROLS
from simulator.run import (
    Ejection,
    GroupFigures,
    Lengths,
    NativeScheduler,
    SimulationFigures,
    simulate,
)
from simulator.scenario import MAX_CPUS, SCENARIOS, S, Scenario
from simulator.simulated_objective import (
    MEASURES,
    SimulatedObjective,
    guarded,
    joint,
    parse_simulated_objective,
    scored,
    usual_objective,
)
from simulator.stress import STRESS, STRESS_MACHINE
from simulator.told import RequestedFacts
from simulator.traces import machine_for, read_trace, replay_of
from simulator.waits import cause_of

EJECTED = 3

# The compared figures of each group, and whether more is better.
METRICS = {
    "makespan_ns": False,
    "mean_completion_ns": False,
    "throughput": True,
    "delay_p50_ns": False,
    "delay_p99_ns": False,
    "delay_max_ns": False,
    "longest_wait_ns": False,
    "fairness": True,
    "switches": False,
    "migrations": False,
    **{key: each.more for key, each in MEASURES.items()},
}


# A figure; for distributions, their fields by name (`count`, `open`, `mean`, `p50` … `max`).
Shown = float | int | None | dict[str, float]


@dataclass(frozen=True)
class Group:
    """One group under both.

    `ratios` are candidate over default, for the figures that both have. `objective` judges it:
    `times` is how many times better the whole is, below 1 worse, None if that is unknown.
    """

    name: str
    workload: str
    default: dict[str, Shown]
    candidate: dict[str, Shown]
    ratios: dict[str, float]
    objective: str
    times: float | None


@dataclass(frozen=True)
class ToldEjection:
    """An ejection, with its cause and a fix."""

    kind: int
    at_ns: int
    message: str
    cause: str
    fix: str


@dataclass(frozen=True)
class ScenarioComparison:
    """One scenario. `default` and `candidate` are the whole machine's figures."""

    name: str
    cpus: int
    ejection: ToldEjection | None
    default: dict[str, int]
    candidate: dict[str, int]
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Comparison:
    """The whole comparison. `notes` say what differs from the recording."""

    scheduler: str
    parameters: dict[str, str]
    seed: int
    workload: str
    notes: tuple[str, ...]
    ejected: bool
    scenarios: tuple[ScenarioComparison, ...]


def _seconds(figures: SimulationFigures) -> float:
    return figures.time_ns / S


def _of_group(group: GroupFigures, seconds: float) -> dict[str, Shown]:
    found: dict[str, Shown] = group.model_dump(exclude={"name", "wait", *_LENGTHS})
    for name, title in _LENGTHS.items():
        lengths = getattr(group, name)
        found[title] = None if lengths is None else _microseconds(lengths)
    for name in ("waited", "preempted", "spun"):
        found[f"{name}_us"] = getattr(group, f"{name}_ns") / 1e3
    for name, key in (("completions_per_s", "completions"), ("makespan_s", "makespan")):
        value = MEASURES[key].value(group, seconds)
        # If it was not reached, the time so far is used for the comparison and not shown.
        reached = key != "makespan" or group.makespan_ns is not None
        found[name] = round(value, 6) if value is not None and reached else None
    # Repetitions of its steps, or tasks that ended; if all have, the time they took.
    if group.makespan_ns:
        seconds = group.makespan_ns / S
    found["throughput"] = round(group.cycles / seconds, 3) if seconds else 0.0
    return found


_LENGTHS = {
    "response_ns": "response_us",
    "burst_ns": "burst_us",
    "turnaround_ns": "turnaround_us",
    "delay_ns": "delay_us",
}


def _microseconds(lengths: Lengths) -> dict[str, float]:
    return {
        name: value if name in ("count", "open") else value / 1e3
        for name, value in lengths.model_dump().items()
    }


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    if ours is None or theirs is None:
        return None
    if not theirs:
        return None if ours else 1.0
    return round(ours / theirs, 4)


def _group(
    ours: GroupFigures,
    theirs: GroupFigures,
    seconds: tuple[float, float],
    id: str,
    objective: SimulatedObjective,
) -> Group:
    candidate, default = _of_group(ours, seconds[0]), _of_group(theirs, seconds[1])
    ratios: dict[str, float] = {}
    for name in METRICS:
        measure = MEASURES.get(name)
        pair = (
            (measure.value(ours, seconds[0]), measure.value(theirs, seconds[1]))
            if measure
            else (_plain(candidate[name]), _plain(default[name]))
        )
        ratio = _ratio(*pair)
        if ratio is not None:
            ratios[name] = ratio
    terms = scored(objective, ours, theirs, seconds)
    times = joint(terms)
    return Group(
        ours.name,
        id,
        default,
        candidate,
        ratios,
        objective.title,
        None if times is None else round(times, 4),
    )


def _plain(value: Shown) -> float | None:
    return None if isinstance(value, dict) else value


def _told(ejection: Ejection | None) -> ToldEjection | None:
    if ejection is None:
        return None
    why = cause_of(ejection)
    return ToldEjection(int(ejection.kind), ejection.at_ns, ejection.message, why.cause, why.fix)


def _machine_figures(figures: SimulationFigures) -> dict[str, int]:
    return {
        "time_ns": figures.time_ns,
        "run_ns": figures.run_ns,
        "idle_ns": figures.idle_ns,
        "switches": figures.switches,
    }


def compared(
    scenario: Scenario,
    ours: SimulationFigures,
    theirs: SimulationFigures,
    workloads: dict[str, str],
    objective: SimulatedObjective | None = None,
) -> ScenarioComparison:
    """Both runs of one scenario, side by side; without an objective each group is judged by its
    kind.
    """
    seconds = (_seconds(ours), _seconds(theirs))
    groups = tuple(
        _group(
            mine,
            default,
            seconds,
            workloads.get(mine.name, ""),
            guarded(objective) if objective else usual_objective(default),
        )
        for mine, default in zip(ours.groups, theirs.groups, strict=True)
    )
    return ScenarioComparison(
        scenario.name,
        scenario.machine.cpus,
        _told(ours.ejection),
        _machine_figures(theirs),
        _machine_figures(ours),
        groups,
    )


@dataclass(frozen=True)
class ComparisonWork:
    """What to simulate, and the notes about it."""

    workload: str
    scenarios: tuple[Scenario, ...]
    workloads: dict[str, str]
    notes: tuple[str, ...]


def work_for(asked: argparse.Namespace) -> ComparisonWork:
    """What to simulate, with the facts about its tasks that the scheduler needs.

    Raises:
        Fault: NOT_FOUND, and those of reading the trace.
    """
    found, told = _asked_for(asked), RequestedFacts.read(asked.facts)
    return replace(
        found,
        scenarios=tuple(told.scenario(each) for each in found.scenarios),
        notes=(*found.notes, *told.notes(found.scenarios)),
    )


def _asked_for(asked: argparse.Namespace) -> ComparisonWork:
    machine = calibrated(asked.cpus or STRESS_MACHINE.cpus, cache_folder=asked.cache)
    if not asked.cpus:
        machine = replace(machine, llc_cpus=STRESS_MACHINE.llc_cpus)
    if asked.trace is not None:
        trace = read_trace(asked.trace)
        replay = replay_of(trace, machine_for(trace, machine, asked.cpus), asked.seed)
        if not replay.scenario.tasks:
            raise Fault(
                FaultType.BAD_REQUEST,
                "there is no task in it that can be simulated",
                where=str(asked.trace),
                why="; ".join(replay.notes),
            )
        return ComparisonWork("trace", (replay.scenario,), dict(replay.workloads), replay.notes)
    # Beside the stress set the usual workloads, and those of resource controls.
    known = {**SCENARIOS, **STRESS, **CONTROLS}
    names = [asked.scenario] if asked.scenario else list(STRESS)
    if names[0] not in known:
        raise Fault(
            FaultType.NOT_FOUND,
            f"there is no scenario {names[0][:40]!a}",
            hint=f"there are: {', '.join(known)}",
        )
    made = tuple(known[name](machine).seeded(asked.seed) for name in names)
    return ComparisonWork(asked.scenario or "stress", made, {}, ())


def require_types(btf: Path) -> None:
    """Refuse a kernel whose types have no sched_ext, before clang fails with many messages.

    Raises:
        Fault: UNSUPPORTED.
    """
    btf_digest(btf)
    try:
        types = btf.read_bytes()
    except OSError as error:
        raise fault_of(error) from None
    if b"\0sched_ext_ops\0" not in types:
        raise Fault(
            FaultType.UNSUPPORTED,
            "schedulers cannot be compiled for this kernel",
            where=str(btf),
            why="its types (BTF) have no sched_ext",
            hint="build the lab once (`schedpilot lab build`), and its kernel's are used; or name "
            "another kernel's with --btf FILE",
        )


def compare(asked: argparse.Namespace) -> Comparison:
    """Build the scheduler and run it, and the default, through the requested scenarios.

    Raises:
        Fault: those of the build, the trace and the simulations.
    """
    objective = parse_simulated_objective(asked.objective) if asked.objective else None
    require_types(asked.btf)
    work = work_for(asked)
    if asked.perfetto and len(work.scenarios) > 1:
        raise Fault(
            FaultType.BAD_REQUEST,
            "a Perfetto trace shows one scenario",
            hint="choose one with --scenario NAME, or a --trace",
        )
    if asked.perfetto:
        require_writable(asked.perfetto, "the Perfetto trace")
    parameters = dict(each.partition("=")[::2] for each in asked.set)
    with tempfile.TemporaryDirectory(prefix="schedpilot-offline-") as place:
        folder = Path(place)
        folder.chmod(0o755)
        name = f"{asked.name}.bpf.c"
        headers = own_headers(asked.source, asked.headers) if asked.headers else ()
        built = build_object(
            asked.source,
            folder,
            name=name,
            headers=headers,
            btf=asked.btf,
            cache_folder=asked.cache,
        ).require()
        native = build_native(
            asked.source,
            folder,
            name=name,
            headers=headers,
            btf=asked.btf,
            cache_folder=asked.cache,
        ).require()
        candidate = NativeScheduler(native, built, tuple(sorted(parameters.items())))

        def one(job: tuple[NativeScheduler | None, Scenario]) -> SimulationFigures:
            picture = asked.perfetto if job[0] else None
            return simulate(
                job[0], job[1], btf=asked.btf, cache_folder=asked.cache, perfetto=picture
            )

        jobs = [(each, scenario) for scenario in work.scenarios for each in (candidate, None)]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            figures = list(pool.map(one, jobs))
    pairs = zip(work.scenarios, figures[::2], figures[1::2], strict=True)
    found = tuple(
        compared(each, ours, theirs, work.workloads, objective) for each, ours, theirs in pairs
    )
    return Comparison(
        scheduler=asked.name,
        parameters=parameters,
        seed=asked.seed,
        workload=work.workload,
        notes=(*work.notes, *(objective.notes if objective else ())),
        ejected=any(each.ejection is not None for each in found),
        scenarios=found,
    )


def _cpus(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) <= MAX_CPUS:
        raise argparse.ArgumentTypeError(f"a machine has 1 to {MAX_CPUS} CPUs")
    return int(text)


def _seed(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text[:30]) >= 1 << 64:
        raise argparse.ArgumentTypeError("a seed is a number of 64 bits")
    return int(text)


def _asked(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="schedpilot simulate", allow_abbrev=False)
    what = parser.add_mutually_exclusive_group()
    parser.add_argument(
        "--source", type=named_path, help="the scheduler's C; without it: print the machine"
    )
    parser.add_argument("--headers", type=named_path, help="folder of the source's own headers")
    parser.add_argument("--name", default="candidate", help="its name")
    what.add_argument("--trace", type=named_path, help="a recorded workload, or one for rt-app")
    what.add_argument("--scenario", metavar="NAME", help="one scenario of the stress set")
    parser.add_argument("--cpus", type=_cpus, default=0)
    parser.add_argument("--seed", type=_seed, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--objective", default="", help="the objective for all groups")
    parser.add_argument("--facts", default="", metavar="JSON", help="the facts that a policy needs")
    parser.add_argument("--btf", type=named_path, default=BTF, help="kernel to compile for")
    parser.add_argument("--cache", type=named_path, help="folder for build results")
    parser.add_argument(
        "--perfetto", type=named_path, metavar="FILE", help=("write the candidate's timeline here")
    )
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    asked = _asked(words)
    try:
        if asked.source is None:
            print(
                json.dumps({"cpus": max(each.machine.cpus for each in work_for(asked).scenarios)})
            )
            return 0
        found = compare(asked)
    except (Fault, OSError) as error:
        for line in fault_of(error).report().split("\n"):
            print(printable(line), file=sys.stderr)
        return 1
    try:
        print(json.dumps(asdict(found), indent=1))
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return EJECTED if found.ejected else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
