# SPDX-License-Identifier: GPL-2.0-or-later
"""Run a scheduler through a scenario, confined, and return the results."""

import difflib
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bpf.build.vmlinux import BTF
from process import (
    Fault,
    FaultType,
    ResourceLimits,
    Sandbox,
    first_problem,
    sandboxed,
    write_output,
)
from process.run import tail
from process.sandbox import hand_out
from simulator.build import Variant, engine_for
from simulator.scenario import Scenario

# The place of a candidate's crash, in the engine's messages.
_ADDRESS = re.compile(rb" at \+(0x[0-9a-f]{1,16})")
# Wall time limit of one simulation. A good candidate takes about a second for a usual scenario.
RUN_LIMIT_S = 120.0
_LIMITS = ResourceLimits(memory=4 << 30, cpu=100, file=64 << 20)
_MOST_LISTED = 40
_SET = re.compile(r"[A-Za-z_]\w{0,100}(?:\[\d{1,4}\]|\.max_entries)?=(?:true|false|-?\d{1,20})")


class Ended(IntEnum):
    """Why a scheduler ended; from 64 on the numbers are the kernel's scx_exit_kind."""

    CRASHED = 1
    NOT_MODELLED = 2
    BAD_PARAMETER = 3
    BY_ITSELF = 65
    BY_KERNEL = 66
    ERROR = 1024
    ERROR_BY_ITSELF = 1025
    STALL = 1026
    REENQUEUED = 1027


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ObservedWait(_Figures):
    """The engine's observations about the longest wait of a group, at its end or while it went on.

    `place` is where the task stood: in no queue (`nowhere`), in a CPU's own (`local`, `queue` is
    the CPU), in the `global` one, or in one that the scheduler created (`queue` is its number).
    `passed` others left that queue before it, the last one `taken_ns` ago. `fate` says whether
    dispatch() takes it when all running tasks are out of the way. Lists of CPUs: those online that
    may run the task, and those that may but are `offline`; which online ones called dispatch() in
    the second half of the wait (`asked`); which looked into its queue in that time, or ever; which
    idled, or ran one task without a break (`held`), for at least half of the wait. `holder` is the
    task that ran longest: dispatch() `extended` its slice, or the slice is `endless`.
    """

    task: str
    ns: int
    ended: bool
    place: Literal["nowhere", "local", "global", "created"]
    queue: int = 0
    passed: int = 0
    taken_ns: int = 0
    fate: Literal["unknown", "taken", "left"] = "unknown"
    allowed: tuple[int, ...] = ()
    offline: tuple[int, ...] = ()
    asked: tuple[int, ...] = ()
    looked: tuple[int, ...] = ()
    ever: tuple[int, ...] = ()
    idle: tuple[int, ...] = ()
    held: tuple[int, ...] = ()
    holder: str = ""
    held_ns: int = 0
    extended: bool = False
    endless: bool = False


class Ejection(_Figures):
    """How the candidate was ended early; the message has the kernel's words.

    `dump` is the output of its own dump callbacks after an error, `variables` the settable ones if
    an unknown one was set, `wait` that of the task that the watchdog found.
    """

    kind: Ended
    code: int
    at_ns: int
    message: str
    dump: str = ""
    wait: ObservedWait | None = None
    variables: tuple[str, ...] = ()


class Lengths(_Figures):
    """Durations in ns: exact percentiles, each the smallest value that this share does not exceed.

    `open` of the `count` had not ended: they count with their time so far.
    """

    count: int
    open: int
    mean: int
    p50: int
    p75: int
    p90: int
    p95: int
    p99: int
    p99_9: int
    max: int


class GroupFigures(_Figures):
    """The figures of one group of tasks. Delays are from wakeup to running, including the switch.

    An activation is a task's time from its wakeup to its next sleep or its end: `response_ns` are
    the durations, `completions` is how many ended. For those that ended `burst_ns` is the CPU time,
    `waited_ns` and `preempted_ns` are the sums of the waits after the wakeup and after a
    preemption. `turnaround_ns` is from a task's start to its exit, for tasks that exit. `spun_ns`
    is CPU time spent waiting for locks; `began_ns`: when the first began.

    `longest_wait_ns` includes tasks that still waited at the end. `makespan_ns` and
    `mean_completion_ns` (of each task since it began) are None unless all have ended. `fairness` is
    Jain's index over CPU time by weight: 1 is fair, 1/tasks the opposite.
    """

    name: str
    tasks: int
    finished: int
    cycles: int
    run_ns: int
    wakeups: int
    delay_p50_ns: int
    delay_p99_ns: int
    delay_max_ns: int
    longest_wait_ns: int
    switches: int
    migrations: int
    makespan_ns: int | None
    mean_completion_ns: int | None
    fairness: float
    wait: ObservedWait | None = None
    began_ns: int = 0
    spun_ns: int = 0
    completions: int = 0
    waited_ns: int = 0
    preempted_ns: int = 0
    delay_ns: Lengths | None = None
    response_ns: Lengths | None = None
    burst_ns: Lengths | None = None
    turnaround_ns: Lengths | None = None


class CgroupFigures(_Figures):
    """The CPU time of a cgroup's tasks (`own_run_ns`), and with those of the cgroups below.

    As cpu.stat has it, for the default scheduler: `throttled_ns` is how long its tasks waited for
    its next period, summed over the CPUs; `periods` are those in which it had work,
    `throttled_periods` those in which its quota was not enough. All 0 under a candidate, whose
    throttling nobody but itself sees.
    """

    path: str
    own_run_ns: int
    run_ns: int
    throttled_ns: int = 0
    periods: int = 0
    throttled_periods: int = 0


class SharingCosts(_Figures):
    """What the work of scheduling cost by the model of engine/lines.c, in total.

    `ns` is everything: 1 for each load and store, what lines took that came from another core of
    the last-level cache (`near_ns`) or from another one (`far_ns`; so many `shared_loads` and
    `shared_stores`), how long locks were held apart from that (`held_ns`), and waiting for locks
    and for lines that others were getting.
    """

    ns: int
    loads: int
    stores: int
    locks: int
    shared_loads: int
    shared_stores: int
    near_ns: int
    far_ns: int
    held_ns: int
    lock_wait_ns: int
    line_wait_ns: int


class SharedPlace(_Figures):
    """A variable, map or line of the kernel (in brackets) that CPUs share, by the code's place.

    `offset` is that within the variable or the element, bytes. `place` is " at FILE:LINE"; or
    " in ops.CALLBACK()" where a kfunc does it that this callback calls; or empty where the kernel
    does it by itself. `ns` includes `wait_ns`.
    """

    name: str
    offset: int
    place: str
    lock: bool
    shared_loads: int
    shared_stores: int
    ns: int
    wait_ns: int


class SharingFigures(_Figures):
    """Costs of wakeups, and of all the rest, from `from_ns` on; and where most come from."""

    from_ns: int
    wakeups: int
    switches: int
    in_wakeups: SharingCosts
    elsewhere: SharingCosts
    sites: tuple[SharedPlace, ...]


class SimulationFigures(_Figures):
    """The whole machine's figures, and each group's in the order of the scenario.

    `cgroups` has the root and then the scenario's, in its order; none if it has only the root.

    `exiting_not_found`: how often a candidate that wants exiting tasks (SCX_OPS_ENQ_EXITING) looked
    for one by its pid, which no longer leads to it.

    `sharing` is there if the engine counted cache lines (Variant.LINES).

    `forks_refused`: how many tasks the candidate refused. `trace_cut_ns`: the trace ends there
    because it was too large; None if it is complete.
    """

    scheduler: str
    seed: int
    cpus: int
    time_ns: int
    run_ns: int
    idle_ns: int
    switches: int
    events: int
    ringbuf_bytes: int
    exiting_not_found: int = 0
    trace_cut_ns: int | None = None
    forks_refused: int = 0
    ejection: Ejection | None
    groups: tuple[GroupFigures, ...]
    cgroups: tuple[CgroupFigures, ...] = ()
    sharing: SharingFigures | None = None

    def group(self, name: str) -> GroupFigures:
        return next(each for each in self.groups if each.name == name)

    def cgroup(self, path: str) -> CgroupFigures:
        return next(each for each in self.cgroups if each.path == path)


@dataclass(frozen=True)
class NativeScheduler:
    """A scheduler in the simulator's form: native code, and the BPF object of the same source.

    `parameters` set global variables of the scheduler before it starts, as its userspace would:
    `name`, `name[index]`, or `map.max_entries`.
    """

    library: Path
    object: Path
    parameters: tuple[tuple[str, str], ...] = ()


def simulate(
    candidate: NativeScheduler | None,
    scenario: Scenario,
    *,
    btf: Path = BTF,
    cache_folder: Path | None = None,
    perfetto: Path | None = None,
    variant: Variant = Variant.PLAIN,
    limit_s: float = RUN_LIMIT_S,
) -> SimulationFigures:
    """Run a candidate, or the model of the kernel's own scheduler if it is None.

    Args:
        perfetto: file for a timeline for ui.perfetto.dev.
        variant: of the engine; the candidate's library must be of the same one. SANITIZED ends the
            candidate at its first bad access, LINES adds `sharing` to the figures.
        limit_s: wall time after which the simulation is given up.

    Raises:
        Fault: BAD_REQUEST if a scenario is out of bounds, BAD_PARAMETER, TIMEOUT, CHILD_FAILED, and
            those of `engine_for`. An ejected candidate is a result, not a fault.
    """
    try:
        figures = SimulationFigures.model_validate_json(
            run_engine(
                candidate,
                scenario,
                btf=btf,
                cache_folder=cache_folder,
                perfetto=perfetto,
                variant=variant,
                limit_s=limit_s,
            )
        )
    except ValidationError as error:
        raise Fault(
            FaultType.CHILD_FAILED,
            "the simulator's answer cannot be read",
            why=first_problem(error),
            hint="the candidate may have overwritten the engine's memory: look for wild pointers",
        ) from None
    if figures.ejection is not None and figures.ejection.kind is Ended.BAD_PARAMETER:
        raise _no_such(figures.ejection.message, figures.ejection.variables)
    return figures


def _no_such(setting: str, variables: tuple[str, ...]) -> Fault:
    """The parameter that does not exist, or does not take that value."""
    name = re.split(r"[=\[.]", setting)[0]
    near = difflib.get_close_matches(name, variables, n=1, cutoff=0.5)
    what = f"the scheduler has no parameter {name!r}"
    why = f"the nearest is {near[0]!r}" if near else ""
    if ".max_entries=" in setting:
        what, why = f"the scheduler has no map {name!r}", ""
    elif name in variables:
        what, why = (
            f"{setting} cannot be set",
            "only arrays have an index, and it must be within their size",
        )
    listed = ", ".join(variables[:_MOST_LISTED]) + (", …" if variables[_MOST_LISTED:] else "")
    return Fault(
        FaultType.BAD_PARAMETER,
        what,
        why=why,
        hint=f"its parameters are: {listed}" if variables else "it has no parameters",
    )


def run_engine(
    candidate: NativeScheduler | None,
    scenario: Scenario,
    *,
    btf: Path = BTF,
    cache_folder: Path | None = None,
    perfetto: Path | None = None,
    variant: Variant = Variant.PLAIN,
    limit_s: float = RUN_LIMIT_S,
) -> bytes:
    """Like `simulate`, but returns the engine's own JSON: the same bytes for the same seed."""
    text = scenario.text()
    parameters: Mapping[str, str] = dict(candidate.parameters) if candidate else {}
    for name, value in parameters.items():
        if not _SET.fullmatch(f"{name}={value}"):
            raise Fault(
                FaultType.BAD_PARAMETER,
                f"{name}={value} cannot be set",
                hint="a variable of the scheduler and an integer, true or false",
            )
    engine = engine_for(btf, cache_folder=cache_folder, variant=variant)
    with tempfile.TemporaryDirectory(prefix="schedpilot-simulate-") as place:
        work = Path(place)
        files = {"scenario": text.encode()}
        words: list[str | Path] = [engine.program, "--scenario", "scenario"]
        if candidate:
            files |= {
                "candidate.so": candidate.library.read_bytes(),
                "candidate.bpf.o": candidate.object.read_bytes(),
            }
            words += ["--library", "./candidate.so", "--object", "candidate.bpf.o"]
        if perfetto:
            files["trace"] = b""
            words += ["--trace", "trace"]
        for name, value in parameters.items():
            words += ["--set", f"{name}={value}"]
        for name, data in files.items():
            (work / name).write_bytes(data)
            (work / name).chmod(0o666 if name == "trace" else 0o644)
        hand_out(work)
        box = Sandbox(
            read=(engine.program, work),
            write=(work / "trace",) if perfetto else (),
            cwd=work,
            # Sanitizers map terabytes that they never touch.
            limits=replace(_LIMITS, memory=0) if variant is Variant.SANITIZED else _LIMITS,
        )
        done = sandboxed(words, box, timeout=limit_s)
        if done.status != 0:
            raise Fault(
                FaultType.CHILD_FAILED,
                "the simulation ended without an answer",
                where=f"scenario {scenario.name}",
                why=_why(done.status, done.error_text),
                hint="simulate a shorter scenario, or look for wild pointers in the candidate",
                details=tail(done.stderr),
            )
        if perfetto:
            write_output(perfetto, (work / "trace").read_bytes(), "the Perfetto trace")
        lines = _lines_of(work, sorted(set(_ADDRESS.findall(done.stdout))))
        return _ADDRESS.sub(lambda found: lines.get(found[1], b""), done.stdout)


def _lines_of(work: Path, places: list[bytes]) -> dict[bytes, bytes]:
    """The source lines of places in the library, for the ends of messages; of those with one."""
    if not places:
        return {}
    box = Sandbox(read=(work,), cwd=work, limits=_LIMITS)
    words = ["addr2line", "-s", "-e", "candidate.so", *(place.decode() for place in places)]
    try:
        done = sandboxed(words, box, timeout=20)
    except Fault:  # no binutils: the messages stay without them
        return {}
    found = [line.partition(" (")[0].strip() for line in done.text.splitlines()]
    return {
        place: f" at {line}".encode()
        for place, line in zip(places, found, strict=False)
        if re.fullmatch(r"[\w.-]+:\d+", line)
    }


def _why(status: int, said: str) -> str:
    if status in (128 + 24, -24):
        return "it took too much CPU time"
    if status > 128 or status < 0:
        return f"signal {status - 128 if status > 128 else -status}"
    return said.strip().splitlines()[-1] if said.strip() else f"status {status}"


__all__ = [
    "CgroupFigures",
    "Ejection",
    "Ended",
    "GroupFigures",
    "Lengths",
    "NativeScheduler",
    "SharedPlace",
    "SharingCosts",
    "SharingFigures",
    "SimulationFigures",
    "run_engine",
    "simulate",
]
