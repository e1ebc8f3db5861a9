# SPDX-License-Identifier: GPL-2.0-or-later
"""What can be checked without a daemon: the scheduler's C, and the gates that need no kernel.

Child programs of other parts do the work; the command imports none of them.
"""

import asyncio
import json as json_format
import os
import sys
import tempfile
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.exits import ExitCode
from cli.following import ProgressLine, showing
from cli.formats import titled
from cli.gates import show_gate
from cli.output import as_json, note, say
from daemon.api.models import (
    CandidateRequest,
    CandidateView,
    Gate,
    GateMessage,
    GateResult,
    ParameterValue,
)
from daemon.api.origin import Origin, in_policy
from process import Completed, Fault, FaultType, run, start_lines

# Time limit for the policy compiler, seconds: an emulated machine is slow.
COMPILE_S = 120.0
TYPES_S = 120.0
# How much of the output of a failed child is shown.
LAST_LINES = 20
SCHED_EXT = Path("/sys/kernel/sched_ext")
ANOTHER_KERNEL = "it is built for another kernel, whose machine is not known"
NO_VERIFIER = "no daemon answers, and only it may show a scheduler to the kernel's verifier"


@dataclass(frozen=True)
class Made:
    """A scheduler's C and its attributes; `seconds` is the time that compiling took."""

    name: str
    kind: str
    source: str
    parameters: dict[str, ParameterValue]
    policy: str = ""
    seconds: float = 0.0
    messages: tuple[GateMessage, ...] = ()
    origin: Origin = field(default_factory=dict)


def compiled(
    request: CandidateRequest,
    target: str,
    settings: Sequence[str],
    options: Sequence[str],
    *,
    capture: bool,
) -> Completed:
    """Have a child process compile a policy or read an entry of the library."""
    if request.source is not None:
        raise Fault(FaultType.BAD_REQUEST, "this is C already", where=target)
    words = [*options, *(f"--set={each}" for each in settings)]
    if request.cpus:
        # Sets of CPUs may be written for the largest machine that is simulated.
        words.append(f"--cpus={max(*request.cpus, os.cpu_count() or 1)}")
    if request.library is not None:
        words += ["--library", request.library]
    # Passed on standard input, since it may be longer than an argument can be.
    return run(
        [sys.executable, "-P", "-m", "scheduler_library.policy.command", *words],
        timeout=COMPILE_S,
        input=(request.policy or "").encode(),
        env=dict(os.environ),
        check=False,
        capture=capture,
    )


def show_c(
    request: CandidateRequest, target: str, settings: Sequence[str], options: Sequence[str]
) -> ExitCode:
    """Print the C or the canonical text; the child inherits our standard output."""
    return _exit(compiled(request, target, settings, options, capture=False))


def _exit(done: Completed) -> ExitCode:
    return ExitCode(done.status) if done.status in set(ExitCode) else ExitCode.FAULT


def prove(
    request: CandidateRequest,
    target: str,
    settings: Sequence[str],
    *,
    btf: Path | None,
    headers: Path | None,
    why: str,
    json: bool,
) -> ExitCode:
    """Show each gate as it answers. NO if one refuses the candidate, else UNREACHABLE.

    Args:
        btf: types of the kernel to build for, if not this machine's.
        headers: the folder of the source's own headers.
        why: why there is no daemon.
    """
    if request.source is not None:
        made = Made(request.name or "candidate", "bpf", request.source, dict(request.parameters))
    else:
        done = compiled(request, target, settings, ["--emit-c", "--json"], capture=True)
        if done.status != 0:
            for line in done.error_text.splitlines():
                note(line, "red" if line.startswith("error: ") else "")
            return _exit(done)
        made = _made(json_format.loads(done.stdout), request)
    if not json:
        for line in made.policy.splitlines():
            say(line, "bold")
    with showing(f"proving {made.name}") as progress:
        results = asyncio.run(_gates(made, btf, headers, request, progress, quiet=json))
    failed = any(not each.passed and not each.skipped for each in results)
    view = CandidateView(
        id="",
        name=made.name,
        kind="policy" if made.policy else "bpf",
        parameters=made.parameters,
        policy=made.policy,
        gates=results,
    )
    if json:
        as_json(view)
    elif failed:
        say(f"{titled(made.name, made.parameters)} is not proven", "red")
    if not failed:
        note(f"this is as far as it goes without a daemon: {why}", "yellow")
    return ExitCode.NO if failed else ExitCode.UNREACHABLE


def _made(document: Mapping[str, Any], request: CandidateRequest) -> Made:
    return Made(
        document["name"],
        "policy" if document["policy"] else "bpf",
        document["source"],
        document["values"],
        document["policy"],
        document["seconds"]["compile"],
        tuple(GateMessage.model_validate(each) for each in document["messages"]),
        {
            each["source_line"]: (each["line"], each["column"])
            for each in document.get("body_lines", ())
        },
    )


def lab_types() -> Path | None:
    """The types of the lab's kernel, if a lab was built."""
    done = run(
        [sys.executable, "-P", "-m", "lab", "types"],
        timeout=TYPES_S,
        env=dict(os.environ),
        check=False,
    )
    return Path(done.text.strip()) if done.status == 0 else None


async def _gates(
    made: Made,
    btf: Path | None,
    headers: Path | None,
    request: CandidateRequest,
    progress: ProgressLine,
    *,
    quiet: bool,
) -> list[GateResult]:
    """Run every gate that needs no daemon, up to the first that refuses it."""
    results: list[GateResult] = []

    def take(result: GateResult) -> None:
        results.append(result)
        if not quiet:
            show_gate(result)

    if made.policy:
        figures = {"seconds": made.seconds}
        take(
            GateResult(
                gate=Gate.COMPILE,
                passed=True,
                seconds=made.seconds,
                messages=list(made.messages),
                figures=figures,
            )
        )
    elsewhere = btf is not None
    if btf is None and not await asyncio.to_thread(SCHED_EXT.is_dir):
        btf = await asyncio.to_thread(lab_types)
    with tempfile.TemporaryDirectory(prefix="schedpilot-check-") as place:
        source = Path(place, f"{made.name}.bpf.c")
        await asyncio.to_thread(source.write_text, made.source)
        words = ["--source", str(source), "--out", place, *(["--btf", str(btf)] if btf else [])]
        words += [f"--headers={headers}"] if headers else []
        words += [f"--set={name}={_word(value)}" for name, value in made.parameters.items()]
        if request.cpus:
            words.append(f"--cpus={','.join(map(str, request.cpus))}")
        async with aclosing(_lines("simulator.gates", words)) as lines:
            async for line in lines:
                if "fault" in line:
                    raise _fault(line["fault"])
                if "started" in line:
                    progress.stage(f"{made.name}: {line['started']}")
                elif "progress" in line:
                    done = f"{line['done']} of {line['of']}"
                    progress.stage(f"{made.name}: {line['progress']}, {done}: {line['text']}")
                else:
                    take(in_policy(GateResult.model_validate(line), made.origin))
        object = Path(place, f"{made.name}.bpf.o")
        if all(each.passed for each in results):
            progress.stage(f"{made.name}: controls")
            take(await _controls(object, None if elsewhere else btf, elsewhere=elsewhere))
        if all(each.passed for each in results):
            take(GateResult(gate=Gate.VERIFY, passed=False, seconds=0, skipped=NO_VERIFIER))
            if request.canary:
                progress.stage(f"{made.name}: canary")
                take(await _canary(object, made))
    return results


async def _controls(object: Path, btf: Path | None, *, elsewhere: bool) -> GateResult:
    """What this machine's cgroups use, and whether the scheduler honours it."""
    if elsewhere:
        return GateResult(gate=Gate.CONTROLS, passed=True, seconds=0, skipped=ANOTHER_KERNEL)
    words = [f"--object={object}", *([f"--btf={btf}"] if btf else [])]
    async with aclosing(_lines("daemon.gates.controls", words)) as lines:
        async for line in lines:
            return GateResult.model_validate(line)
    raise Fault(FaultType.CHILD_FAILED, "the gate controls gave no answer")


async def _canary(object: Path, made: Made) -> GateResult:
    words = ["canary", f"--object={object}"]
    words += [f"--set={name}={_word(value)}" for name, value in made.parameters.items()]
    said: list[str] = []
    async with aclosing(_lines("lab", words, said)) as lines:
        async for line in lines:
            return GateResult(
                gate=Gate.CANARY,
                passed=line["passed"],
                seconds=line["figures"].get("seconds", 0.0),
                reused=line["reused"],
                messages=[GateMessage.model_validate(each) for each in line["messages"]],
                figures=line["figures"],
            )
    why = said[-1].removeprefix("error: ") if said else "the lab gave no answer"
    return GateResult(gate=Gate.CANARY, passed=False, seconds=0, skipped=why)


async def _lines(
    module: str, words: Sequence[str], said: list[str] | None = None
) -> AsyncGenerator[dict[str, Any], None]:
    """The JSON lines that another part of the project prints, as they come; `said` gets all other
    lines.

    Raises:
        Fault: CHILD_FAILED if it fails, unless `said` is given.
    """
    errors: list[str] = [] if said is None else said
    child = await start_lines(
        [sys.executable, "-P", "-m", module, *words],
        env=dict(os.environ),
        on_error_line=errors.append,
    )
    try:
        async for raw in child.lines():
            yield json_format.loads(raw)
        status = await child.wait()
    finally:
        await child.end()
    if said is None and status != 0:
        raise Fault(
            FaultType.CHILD_FAILED,
            f"{module} ended with status {status}",
            details=tuple(errors[-LAST_LINES:]),
        )


def _word(value: ParameterValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _fault(raw: Mapping[str, Any]) -> Fault:
    """Rebuilds a fault that a child reported."""
    return Fault(
        FaultType(raw["type"]),
        raw["what"],
        where=raw["where"],
        why=raw["why"],
        hint=raw["hint"],
        details=tuple(raw["details"]),
    )
