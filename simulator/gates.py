# SPDX-License-Identifier: GPL-2.0-or-later
"""The gates that need no kernel with sched_ext: static check, build, simulation.

    python -m simulator.gates --source FILE --out FOLDER [--set NAME=VALUE]… [--btf FILE]
                              [--headers FOLDER]
    python -m simulator.gates --source FILE --object FILE …      the simulation alone

The program prints a line of JSON for each event: `{"started": GATE}`, `{"progress": GATE, "text":
…, "done": k, "of": n}`, a gate's answer (`GateOutcome`), or `{"fault": …}` if a gate could not do
its work. It is a separate program so that its memory is freed with it, so that it can be ended at
any moment, and so that a command that may import none of this can use it.
"""

import argparse
import json
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from bpf.build.diagnostics import Diagnostic
from bpf.build.objects import build_object
from bpf.build.sources import own_headers
from bpf.build.vmlinux import BTF
from process import Fault, FaultType, fault_of, named_path
from process.effort import inherit
from simulator import verdict_cache

if TYPE_CHECKING:
    from simulator.simulated_objective import SimulatedObjective
    from simulator.stress_verdict import Finding, RecordedWorkload

STATIC, BUILD, SIMULATE = "static", "build", "simulate"
# Random seed for the recorded workload; any value would do, equal seeds give equal results.
SEED = 1
# A kernel's types are some megabytes, which a small daemon need not hold at once.
_CHUNK_BYTES = 256 * 1024
# Faults about the candidate; all others are about this machine.
_ABOUT_THE_CANDIDATE = {
    FaultType.VERIFIER_REFUSED,
    FaultType.NOT_BPF,
    FaultType.LOAD_FAILED,
    FaultType.BAD_PARAMETER,
    FaultType.BUILD_FAILED,
    FaultType.TOO_LARGE,
    FaultType.TIMEOUT,
}


@dataclass(frozen=True)
class GateRemark:
    """One message of a gate; line and column count from 1, 0 if there is none."""

    severity: str
    message: str
    file: str = ""
    line: int = 0
    column: int = 0
    cause: str = ""
    fix: str = ""


@dataclass(frozen=True)
class JudgedBy:
    """How a recorded workload is judged: the id of the workload in question, its objective, and the
    guards of others, each an id or a glob and a text. Empty: by the kind of each.
    """

    workload: str = ""
    objective: str = ""
    guards: tuple[tuple[str, str], ...] = ()

    @property
    def text(self) -> str:
        return json.dumps(asdict(self)) if self != JudgedBy() else ""


@dataclass(frozen=True)
class GateOutcome:
    """A gate's answer; the fields are those of `GateResult` in the daemon's API."""

    gate: str
    passed: bool
    seconds: float
    skipped: str = ""
    reused: bool = False
    messages: tuple[GateRemark, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)


def skipped(gate: str, why: str, *, passed: bool) -> GateOutcome:
    """The answer of a gate that was not run."""
    return GateOutcome(gate, passed, 0.0, skipped=why)


def refused(gate: str, fault: Fault, seconds: float) -> GateOutcome:
    """A fault as a gate's answer.

    Raises:
        Fault: the same one, if it is not about the candidate.
    """
    if fault.type not in _ABOUT_THE_CANDIDATE:
        raise fault
    first = GateRemark("error", fault.what, fault.where, cause=fault.why, fix=fault.hint)
    rest = (GateRemark("note", line) for line in fault.details)
    return GateOutcome(gate, False, seconds, messages=(first, *rest))


def _diagnosed(
    gate: str, found: Sequence[Diagnostic], seconds: float, *, passed: bool
) -> GateOutcome:
    messages = tuple(
        GateRemark(each.severity, each.message, each.file, each.line, each.column, fix=each.hint)
        for each in found
    )
    return GateOutcome(gate, passed, seconds, messages=messages, figures={"seconds": seconds})


@lru_cache(maxsize=4)
def _names_sched_ext(btf: Path, time_ns: int) -> bool:
    wanted, before = b"\0sched_ext_ops\0", b""
    with btf.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            if wanted in before + chunk:
                return True
            before = chunk[-len(wanted) :]
    return False


def without_types(btf: Path = BTF) -> str:
    """Why nothing can be built with this kernel's types; empty if it can."""
    try:
        status = btf.stat()
        # A device may have no end.
        if stat.S_ISREG(status.st_mode) and _names_sched_ext(btf, status.st_mtime_ns):
            return ""
    except OSError as error:
        return f"the kernel's types (BTF) cannot be read: {btf}: {error.strerror}"
    return f"the kernel's types in {btf} have no sched_ext"


def static_known(
    source: Path, *, headers: Sequence[Path] = (), cache_folder: Path | None = None
) -> GateOutcome | None:
    """The static check's earlier answer about exactly this source."""
    return _kept(lambda: verdict_cache.static_question(source, headers), cache_folder)


def static_answer(
    source: Path,
    found: Sequence[Diagnostic],
    seconds: float,
    *,
    headers: Sequence[Path] = (),
    cache_folder: Path | None = None,
) -> GateOutcome:
    """The findings as the gate's answer; a pass is stored.

    Raises:
        Fault: STATE.
    """
    passed = not any(each.severity == "error" for each in found)
    answer = _diagnosed(STATIC, found, seconds, passed=passed)
    if passed:
        verdict_cache.keep(
            verdict_cache.static_question(source, headers), asdict(answer), cache_folder
        )
    return answer


def static(
    source: Path, *, headers: Sequence[Path] = (), cache_folder: Path | None = None
) -> GateOutcome:
    """The checks that run nothing of the source; a pass is stored.

    Raises:
        Fault: the check cannot do its work.
    """
    start = time.monotonic()
    if known := static_known(source, headers=headers, cache_folder=cache_folder):
        return known
    from bpf.static.check import check_source  # imported late: it may load a parser

    try:
        found = check_source(source, headers=headers)
    except Fault as fault:
        return refused(STATIC, fault, time.monotonic() - start)
    seconds = time.monotonic() - start
    return static_answer(source, found, seconds, headers=headers, cache_folder=cache_folder)


def build(
    source: Path,
    out: Path,
    *,
    headers: Sequence[Path] = (),
    btf: Path = BTF,
    cache_folder: Path | None = None,
) -> tuple[GateOutcome, Path | None]:
    """clang, confined. Returns the answer and the object, which is in `out`.

    Raises:
        Fault: the compiler cannot do its work.
    """
    start = time.monotonic()
    if why := without_types(btf):
        return skipped(BUILD, why, passed=False), None
    try:
        built = build_object(source, out, headers=headers, btf=btf, cache_folder=cache_folder)
    except Fault as fault:
        return refused(BUILD, fault, time.monotonic() - start), None
    answer = _diagnosed(BUILD, built.diagnostics, time.monotonic() - start, passed=built.ok)
    return replace(answer, reused=built.cached), built.object


def remembered(
    source: Path,
    object: Path,
    parameters: Mapping[str, str],
    *,
    trace: Path | None = None,
    cpus: Sequence[int] = (),
    headers: Sequence[Path] = (),
    cache_folder: Path | None = None,
    judged: JudgedBy | None = None,
) -> GateOutcome | None:
    """The answer of an earlier simulation of exactly the same."""
    return _kept(
        lambda: verdict_cache.question(
            source, object, parameters, trace, cpus, headers, _words_of(judged, trace)
        ),
        cache_folder,
    )


def _words_of(judged: JudgedBy | None, trace: Path | None) -> str:
    """Without a recording it makes no difference."""
    return judged.text if judged and trace else ""


def _kept(question: Callable[[], str], cache_folder: Path | None) -> GateOutcome | None:
    try:
        found = verdict_cache.recall(question(), cache_folder)
        if found is None:
            return None
        messages = tuple(GateRemark(**each) for each in found.pop("messages"))
        return replace(GateOutcome(**found, messages=messages), reused=True)
    except (OSError, TypeError, KeyError):
        return None


def simulate(
    source: Path,
    object: Path,
    parameters: Mapping[str, str],
    *,
    trace: Path | None = None,
    cpus: Sequence[int] = (),
    headers: Sequence[Path] = (),
    btf: Path = BTF,
    cache_folder: Path | None = None,
    on_scenario: Callable[[str, int, int], None] | None = None,
    facts: str = "",
    judged: JudgedBy | None = None,
) -> GateOutcome:
    """The stress set, also on machines of `cpus`, and the recorded workload if there is one.

    Args:
        judged: how the recorded workload is judged.
        facts: JSON, the facts about the recorded tasks that a policy needs; determined by its
            source.

    A pass is remembered. A failure is not: this machine may have been too busy to finish in time.

    Raises:
        Fault: the simulator cannot do its work.
    """
    from simulator.stress_verdict import prove

    known = remembered(
        source,
        object,
        parameters,
        trace=trace,
        cpus=cpus,
        headers=headers,
        cache_folder=cache_folder,
        judged=judged,
    )
    if known is not None:
        return known
    # The remembered answer for the stress set alone stands: the recorded workload is left to do.
    before = (
        remembered(
            source, object, parameters, cpus=cpus, headers=headers, cache_folder=cache_folder
        )
        if trace
        else None
    )
    start = time.monotonic()
    try:
        proof = prove(
            source,
            object,
            parameters,
            cache_folder=cache_folder,
            recorded=_recorded(trace, facts, cache_folder, judged or JudgedBy()) if trace else None,
            headers=headers,
            btf=btf,
            on_scenario=on_scenario,
            cpus=cpus,
            stressed=before is None,
        )
    except Fault as fault:
        return refused(SIMULATE, fault, time.monotonic() - start)
    answer = GateOutcome(
        SIMULATE,
        proof.passed,
        time.monotonic() - start,
        messages=tuple(_remark(each) for each in proof.findings),
        figures=proof.figures,
    )
    if before is not None:
        answer = _both(before, answer)
    if answer.passed:
        name = verdict_cache.question(
            source, object, parameters, trace, cpus, headers, _words_of(judged, trace)
        )
        verdict_cache.keep(name, asdict(answer), cache_folder)
    return answer


def _recorded(
    trace: Path, facts: str, cache_folder: Path | None, judged: JudgedBy
) -> "RecordedWorkload":
    """The recording, on a machine with this machine's costs, and how it is judged."""
    from simulator.calibration import calibrated
    from simulator.simulated_objective import parse_simulated_guard, parse_simulated_objective
    from simulator.stress_verdict import RecordedWorkload
    from simulator.told import RequestedFacts
    from simulator.traces import machine_for, read_trace, replay_of

    recording = read_trace(trace)
    base = calibrated(os.cpu_count() or 1, cache_folder=cache_folder)
    replay = replay_of(recording, machine_for(recording, base), SEED)
    notes: list[str] = []

    def read(
        text: str, parse: "Callable[[str], SimulatedObjective]"
    ) -> "SimulatedObjective | None":
        # The daemon may measure more than is known here; that is not the candidate's fault.
        try:
            found = parse(text)
        except Fault as fault:
            notes.append(f"nothing is predicted of `{text[:200]}`: {fault.why}")
            return None
        notes.extend(found.notes)
        return found if found.terms else None

    objective = read(judged.objective, parse_simulated_objective) if judged.objective else None
    guards: dict[str, SimulatedObjective] = {}
    for pattern, text in judged.guards:
        guard = read(text, parse_simulated_guard)
        ids = (each for each in replay.workloads.items() if fnmatchcase(each[1], pattern))
        guards |= {name: guard for name, id in ids if guard and id != judged.workload}
    group = next((name for name, id in replay.workloads.items() if id == judged.workload), "")
    if judged.workload and not group:
        notes.append(
            "the workload that it is for is not in the recording: nothing is predicted for it"
        )
        # Not a group's name: a mean over all others would look like an answer.
        group = judged.workload
    return RecordedWorkload(
        RequestedFacts.read(facts).scenario(replay.scenario), group, objective, guards, tuple(notes)
    )


# These figures of the two parts of a simulation are added up.
_ADDED = ("scenarios", "of", "events")


def _both(stress: GateOutcome, recorded: GateOutcome) -> GateOutcome:
    """The remembered result of the stress set, plus the result of the recorded workload."""
    old, new = stress.figures, recorded.figures
    added = {name: old.get(name, 0.0) + new.get(name, 0.0) for name in _ADDED}
    waits = [figures.get("longest_wait_ms", 0.0) for figures in (old, new)]
    kept = {"score": old.get("score", 0.0), "longest_wait_ms": max(waits)}
    told = (*recorded.messages, *stress.messages)
    worst = tuple(sorted(told, key=lambda each: each.severity != "error"))
    return replace(recorded, messages=worst, figures={**old, **new, **added, **kept})


def _remark(found: "Finding") -> GateRemark:
    return GateRemark(
        found.severity,
        f"{found.scenario}: {found.message}",
        found.file or "",
        found.line or 0,
        cause=found.cause,
        fix=found.fix,
    )


# ---------------------------------------------------------------- as a program


def say(**line: object) -> None:
    """One line, written at once. With several threads: one write each."""
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _pass(asked: argparse.Namespace, values: Mapping[str, str]) -> None:
    """The gates in their order, up to the first that fails."""
    object: Path | None = asked.object
    headers = own_headers(asked.source, asked.headers) if asked.headers else ()
    if object is None:
        # In parallel: the compiler has better messages for a misspelt name.
        with ThreadPoolExecutor(1) as pool:
            say(started=STATIC)
            checking = pool.submit(static, asked.source, headers=headers, cache_folder=asked.cache)
            say(started=BUILD)
            built, object = build(
                asked.source,
                asked.out,
                headers=headers,
                btf=asked.btf,
                cache_folder=asked.cache,
            )
            checked = checking.result()
        say(**asdict(checked))
        say(**asdict(built))
        if object is None or not checked.passed:
            return
    say(started=SIMULATE)

    def progress(scenario: str, done: int, of: int) -> None:
        say(progress=SIMULATE, text=f"scenario {scenario}", done=done, of=of)

    answer = simulate(
        asked.source,
        object,
        values,
        trace=asked.trace,
        cpus=asked.cpus,
        headers=headers,
        btf=asked.btf,
        cache_folder=asked.cache,
        on_scenario=progress,
        facts=asked.facts,
        judged=asked.judged,
    )
    say(**asdict(answer))


def _guard(text: str) -> tuple[str, str]:
    # An id may contain a `=`, an objective does not.
    id, sign, objective = text.rpartition("=")
    if not sign:
        raise argparse.ArgumentTypeError("a guard is ID=TEXT")
    return id, objective


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m simulator.gates", allow_abbrev=False)
    parser.add_argument("--source", type=named_path, required=True, metavar="FILE", help="the C")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=named_path, metavar="FOLDER", help="file for the object")
    what.add_argument(
        "--object", type=named_path, metavar="FILE", help="it was checked and built before"
    )
    parser.add_argument(
        "--trace", type=named_path, metavar="FILE", help=("also simulate this recording")
    )
    parser.add_argument("--cpus", type=_sizes, default=(), metavar="N,…", help="machines, too")
    parser.add_argument(
        "--btf", type=named_path, default=BTF, metavar="FILE", help="kernel types to build for"
    )
    parser.add_argument(
        "--cache", type=named_path, metavar="FOLDER", help="use this instead of the usual one"
    )
    parser.add_argument(
        "--headers", type=named_path, metavar="FOLDER", help="folder of the source's own headers"
    )
    parser.add_argument("--facts", default="", metavar="JSON", help="the facts that a policy needs")
    parser.add_argument(
        "--workload", default="", metavar="ID", help=("the workload of the trace that it is for")
    )
    parser.add_argument("--objective", default="", help="that workload's objective")
    parser.add_argument(
        "--guard",
        action="append",
        default=[],
        type=_guard,
        metavar="ID=TEXT",
        help="what another workload must keep; ID may be a glob",
    )
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    asked = parser.parse_args(words)
    values = dict(each.partition("=")[::2] for each in asked.set)
    asked.judged = JudgedBy(asked.workload, asked.objective, tuple(asked.guard))
    inherit()
    # SIGTERM unwinds as Ctrl-C does, so that an ended run removes its files.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        _pass(asked, values)
    except BrokenPipeError:
        # The reader is gone. Buffered output is discarded.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (Fault, OSError) as error:
        fault = fault_of(error)
        say(
            fault={
                "type": fault.type.value,
                "what": fault.what,
                "where": fault.where,
                "why": fault.why,
                "hint": fault.hint,
                "details": list(fault.details),
            }
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
