# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate `verify`: the kernel's verifier, with nothing attached; an acceptance is stored.

The same kernel gives the same answer for the same object with the same parameters, also after a
restart or a reboot. The program that shows the object, and everything that decides the answer, are
part of the question.
"""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Mapping
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from bpf.build.kit import digest
from bpf.build.vmlinux import BTF, btf_digest
from bpf.kernel import sysfs
from bpf.paths import helper
from bpf.runner import process as runner
from bpf.runner.lines import Verified
from daemon.api.models import Gate, GateResult, ParameterValue
from process import Fault, Priority, at_priority
from process.effort import current
from simulator import gates as work
from simulator import verdict_cache

NO_SCHED_EXT = "this kernel has no sched_ext (it takes 6.12 or later with CONFIG_SCHED_CLASS_EXT=y)"


class Verifier(Protocol):
    """Shows an object to the kernel; raises Fault if it is refused."""

    def __call__(
        self, object: Path, *, parameters: Mapping[str, ParameterValue]
    ) -> Awaitable[Verified]: ...


@lru_cache(maxsize=2)
def _program(path: Path, size: int, time_ns: int) -> str:
    return digest(path.read_bytes())


def _runner() -> str:
    """Changes with the program that shows objects to the verifier."""
    path = helper("schedpilot-runner")
    about = path.stat()
    return _program(path, about.st_size, about.st_mtime_ns)


def question(object: Path, parameters: Mapping[str, ParameterValue], through: str) -> str:
    """The key under which the verifier's answer about an object is stored.

    `through` identifies the program that shows objects to it.

    Raises:
        Fault: UNSUPPORTED without BTF.
        OSError: the object cannot be read.
    """
    kernel = os.uname()
    return digest(
        "verify",
        kernel.release,
        kernel.version,
        kernel.machine,
        btf_digest(BTF),
        through,
        object.read_bytes(),
        json.dumps(dict(parameters), sort_keys=True),
    )


def _recall(name: str, cache: Path) -> tuple[GateResult, str] | None:
    kept = verdict_cache.recall(name, cache)
    if kept is None or not isinstance(kept.get("ops"), str):
        return None
    seconds = kept.get("seconds")
    took = float(seconds) if isinstance(seconds, int | float) else 0.0
    result = GateResult(
        gate=Gate.VERIFY, passed=True, seconds=took, reused=True, figures={"seconds": took}
    )
    return result, str(kept["ops"])


async def verify_gate(
    object: Path,
    parameters: Mapping[str, ParameterValue],
    *,
    cache: Path,
    sysfs_root: Path = sysfs.ROOT,
    verifier: Verifier | None = None,
) -> tuple[GateResult, str]:
    """The answer, and the name of the ops.

    Raises:
        Fault: the verifier cannot be asked.
    """
    if not sysfs.read(sysfs_root).supported:
        return result_of(work.skipped(Gate.VERIFY, NO_SCHED_EXT, passed=False)), ""
    # A given one (in tests) must be identified by the caller.
    through = await asyncio.to_thread(_runner) if verifier is None else ""
    name = await asyncio.to_thread(question, object, parameters, through)
    known = await asyncio.to_thread(_recall, name, cache)
    if known is not None:
        return known
    start = time.monotonic()
    try:
        verified = await _asked(object, parameters, verifier or runner.verify)
    except Fault as fault:
        return result_of(work.refused(Gate.VERIFY, fault, time.monotonic() - start)), ""
    seconds = time.monotonic() - start
    await asyncio.to_thread(
        verdict_cache.keep, name, {"ops": verified.ops, "seconds": seconds}, cache
    )
    result = GateResult(
        gate=Gate.VERIFY, passed=True, seconds=seconds, figures={"seconds": seconds}
    )
    return result, verified.ops


async def _asked(
    object: Path, parameters: Mapping[str, ParameterValue], verifier: Verifier
) -> Verified:
    now = current()
    if now is None or now.priority is not Priority.AHEAD:
        return await verifier(object, parameters=dict(parameters))
    now.check()
    # It takes milliseconds and holds the kernel's locks meanwhile: at idle priority it might get no
    # turn, and everybody would wait for the locks.
    with at_priority(Priority.ORDINARY):
        return await verifier(object, parameters=dict(parameters))


def result_of(answer: work.GateOutcome) -> GateResult:
    """The simulator's messages in the API's form."""
    return GateResult.model_validate(asdict(answer))
