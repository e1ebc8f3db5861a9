# SPDX-License-Identifier: GPL-2.0-only
"""A scheduler beside the kernel's default one, on a recorded workload or on the stress set.

    python -m simulator.offline --source FILE.bpf.c [--trace FILE | --scenario NAME] …
    python -m simulator.offline [--trace FILE | --scenario NAME] …   # how many CPUs that takes

A program of its own, so that the command `schedpilot simulate` needs to import nothing of this.
It needs no daemon and no privileges. Standard output has one JSON document (`Comparison`), the
same bytes for the same input and seed; the exit status is 3 where the scheduler was ejected, 1
after a fault, which is told on standard error.
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

from bpf.build import build_object
from bpf.sources import own_headers
from bpf.vmlinux import BTF, btf_digest
from process import Fault, FaultType, fault_of, named_path, printable, require_writable
from simulator.build import build_native
from simulator.calibration import calibrated
from simulator.run import Candidate, Ejection, Figures, GroupFigures, simulate
from simulator.scenario import MAX_CPUS, S, Scenario
from simulator.stress import STRESS, STRESS_MACHINE
from simulator.told import Told
from simulator.traces import machine_for, read_trace, replay_of
from simulator.waits import cause_of

EJECTED = 3

# What is compared of each group: the figure, and whether more of it is better.
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
}


@dataclass(frozen=True)
class Group:
    """One group under both. `ratios` are candidate over default, of what both have."""

    name: str
    workload: str
    default: dict[str, float | int | None]
    candidate: dict[str, float | int | None]
    ratios: dict[str, float]


@dataclass(frozen=True)
class ToldEjection:
    """An ejection, with what it comes from and what to do."""

    kind: int
    at_ns: int
    message: str
    cause: str
    fix: str


@dataclass(frozen=True)
class Compared:
    """One scenario. `default` and `candidate` are the whole machine's figures."""

    name: str
    cpus: int
    ejection: ToldEjection | None
    default: dict[str, int]
    candidate: dict[str, int]
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Comparison:
    """All of it. `notes` say what is not as it was recorded."""

    scheduler: str
    parameters: dict[str, str]
    seed: int
    workload: str
    notes: tuple[str, ...]
    ejected: bool
    scenarios: tuple[Compared, ...]


def _seconds(figures: Figures) -> float:
    return figures.time_ns / S


def _of_group(group: GroupFigures, seconds: float) -> dict[str, float | int | None]:
    found: dict[str, float | int | None] = group.model_dump()
    del found["name"], found["wait"]
    # Times through its steps, or tasks that ended; where all have, in the time that took.
    if group.makespan_ns:
        seconds = group.makespan_ns / S
    found["throughput"] = round(group.cycles / seconds, 3) if seconds else 0.0
    return found


def _ratio(ours: float | None, theirs: float | None) -> float | None:
    if ours is None or theirs is None:
        return None
    if not theirs:
        return None if ours else 1.0
    return round(ours / theirs, 4)


def _group(
    ours: GroupFigures, theirs: GroupFigures, seconds: tuple[float, float], id: str
) -> Group:
    candidate, default = _of_group(ours, seconds[0]), _of_group(theirs, seconds[1])
    found = {name: _ratio(candidate[name], default[name]) for name in METRICS}
    ratios = {name: ratio for name, ratio in found.items() if ratio is not None}
    return Group(ours.name, id, default, candidate, ratios)


def _told(ejection: Ejection | None) -> ToldEjection | None:
    if ejection is None:
        return None
    why = cause_of(ejection)
    return ToldEjection(int(ejection.kind), ejection.at_ns, ejection.message, why.cause, why.fix)


def _machine_figures(figures: Figures) -> dict[str, int]:
    return {
        "time_ns": figures.time_ns,
        "run_ns": figures.run_ns,
        "idle_ns": figures.idle_ns,
        "switches": figures.switches,
    }


def compared(
    scenario: Scenario, ours: Figures, theirs: Figures, workloads: dict[str, str]
) -> Compared:
    """Both runs of one scenario, side by side."""
    seconds = (_seconds(ours), _seconds(theirs))
    groups = tuple(
        _group(mine, default, seconds, workloads.get(mine.name, ""))
        for mine, default in zip(ours.groups, theirs.groups, strict=True)
    )
    return Compared(
        scenario.name,
        scenario.machine.cpus,
        _told(ours.ejection),
        _machine_figures(theirs),
        _machine_figures(ours),
        groups,
    )


@dataclass(frozen=True)
class Work:
    """What is simulated, and what to say of it."""

    workload: str
    scenarios: tuple[Scenario, ...]
    workloads: dict[str, str]
    notes: tuple[str, ...]


def work_for(asked: argparse.Namespace) -> Work:
    """What is to be simulated, with what the scheduler is told of its tasks.

    Raises:
        Fault: NOT_FOUND, and whatever the trace raises.
    """
    found, told = _asked_for(asked), Told.read(asked.facts)
    return replace(
        found,
        scenarios=tuple(told.scenario(each) for each in found.scenarios),
        notes=(*found.notes, *told.notes(found.scenarios)),
    )


def _asked_for(asked: argparse.Namespace) -> Work:
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
        return Work("trace", (replay.scenario,), dict(replay.workloads), replay.notes)
    names = [asked.scenario] if asked.scenario else list(STRESS)
    if names[0] not in STRESS:
        raise Fault(
            FaultType.NOT_FOUND,
            f"there is no scenario {names[0][:40]!a}",
            hint=f"there are: {', '.join(STRESS)}",
        )
    made = tuple(STRESS[name](machine).seeded(asked.seed) for name in names)
    return Work(asked.scenario or "stress", made, {}, ())


def require_types(btf: Path) -> None:
    """Refuse a kernel whose types have no sched_ext, before clang does so at length.

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
    """Build the scheduler and run it, and the default, through what is asked for.

    Raises:
        Fault: whatever the build, the trace, or a simulation raises.
    """
    require_types(asked.btf)
    work = work_for(asked)
    if asked.perfetto and len(work.scenarios) > 1:
        raise Fault(
            FaultType.BAD_REQUEST,
            "a Perfetto trace is of one scenario",
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
        candidate = Candidate(native, built, tuple(sorted(parameters.items())))

        def one(job: tuple[Candidate | None, Scenario]) -> Figures:
            picture = asked.perfetto if job[0] else None
            return simulate(
                job[0], job[1], btf=asked.btf, cache_folder=asked.cache, perfetto=picture
            )

        jobs = [(each, scenario) for scenario in work.scenarios for each in (candidate, None)]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            figures = list(pool.map(one, jobs))
    pairs = zip(work.scenarios, figures[::2], figures[1::2], strict=True)
    found = tuple(compared(each, ours, theirs, work.workloads) for each, ours, theirs in pairs)
    return Comparison(
        scheduler=asked.name,
        parameters=parameters,
        seed=asked.seed,
        workload=work.workload,
        notes=work.notes,
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
        "--source", type=named_path, help="the scheduler's C; without it: the machine"
    )
    parser.add_argument("--headers", type=named_path, help="where the source's own headers are")
    parser.add_argument("--name", default="candidate", help="what to call it")
    what.add_argument("--trace", type=named_path, help="a recorded workload, or one for rt-app")
    what.add_argument("--scenario", metavar="NAME", help="one of the stress set")
    parser.add_argument("--cpus", type=_cpus, default=0)
    parser.add_argument("--seed", type=_seed, default=1)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--facts", default="", metavar="JSON", help="what a policy is to be told")
    parser.add_argument("--btf", type=named_path, default=BTF, help="of the kernel to compile for")
    parser.add_argument("--cache", type=named_path, help="where built things are kept")
    parser.add_argument("--perfetto", type=named_path, metavar="FILE", help="how the candidate ran")
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
