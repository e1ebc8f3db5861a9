# SPDX-License-Identifier: GPL-2.0-only
"""The gates a candidate passes before it may meet the host.

Each answers with pass or fail, figures, and messages that a person or a model can act on.
A gate never raises for what is wrong with the candidate; a `Fault` from here means that the
gate itself could not do its work. The one exception is a policy that is refused: there is no
candidate then that a gate could speak of.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bpf import runner
from bpf.build import build_object
from daemon.api.models import Gate, GateMessage, GateResult, ParameterValue
from process import Fault, FaultType
from scheduler_library.this_machine import compile_here

if TYPE_CHECKING:
    from scheduler_library.policy.compiler import Compiled, Use

# Faults that speak of the candidate; every other one speaks of this machine.
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
class Proof:
    """What the gates found, and the object when there is one."""

    results: tuple[GateResult, ...]
    object: Path | None = None
    ops: str = ""

    @property
    def proven(self) -> bool:
        return bool(self.results) and all(result.passed for result in self.results)


def refusal(gate: Gate, fault: Fault, seconds: float) -> GateResult:
    """A fault as the answer of a gate.

    Raises:
        Fault: the same one, where it does not speak of the candidate.
    """
    if fault.type not in _ABOUT_THE_CANDIDATE:
        raise fault
    first = GateMessage(
        severity="error", message=fault.what, file=fault.where, cause=fault.why, fix=fault.hint
    )
    rest = [GateMessage(severity="note", message=line) for line in fault.details]
    return GateResult(gate=gate, passed=False, seconds=seconds, messages=[first, *rest])


async def compile_gate(text: str) -> "tuple[GateResult, Compiled | Use]":
    """The policy's compiler.

    Raises:
        Fault: BAD_POLICY, with the column and what was expected there.
    """
    start = time.monotonic()
    compiled = await asyncio.to_thread(compile_here, text)
    seconds = time.monotonic() - start
    result = GateResult(
        gate=Gate.COMPILE, passed=True, seconds=seconds, figures={"seconds": seconds}
    )
    return result, compiled


async def build_gate(source: Path, out: Path, cache: Path) -> tuple[GateResult, Path | None]:
    """clang, confined. Returns the answer and the object file, which is in `out`."""
    start = time.monotonic()
    try:
        built = await asyncio.to_thread(build_object, source, out, cache_folder=cache)
    except Fault as fault:
        return refusal(Gate.BUILD, fault, time.monotonic() - start), None
    messages = [
        GateMessage(
            severity=each.severity,
            message=each.message,
            file=each.file,
            line=each.line,
            column=each.column,
            fix=each.hint,
        )
        for each in built.diagnostics
    ]
    seconds = time.monotonic() - start
    result = GateResult(
        gate=Gate.BUILD,
        passed=built.ok,
        seconds=seconds,
        messages=messages,
        figures={"seconds": seconds},
    )
    return result, built.object


async def verify_gate(
    object: Path, parameters: Mapping[str, ParameterValue]
) -> tuple[GateResult, str]:
    """The kernel's verifier, nothing attached. Returns the answer and the name of the ops."""
    start = time.monotonic()
    try:
        verified = await runner.verify(object, parameters=dict(parameters))
    except Fault as fault:
        return refusal(Gate.VERIFY, fault, time.monotonic() - start), ""
    seconds = time.monotonic() - start
    result = GateResult(
        gate=Gate.VERIFY, passed=True, seconds=seconds, figures={"seconds": seconds}
    )
    return result, verified.ops
