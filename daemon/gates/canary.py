# SPDX-License-Identifier: GPL-2.0-or-later
"""The gate `canary`: the candidate in a virtual machine, on a real kernel, under real load.

`schedpilot lab canary` does the work and stores it, in an unprivileged child. This decides whether
it is asked.
"""

import contextlib
import os
import pwd
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from daemon.api.models import Gate, GateMessage, GateResult
from daemon.config import Canary, GatesTable
from daemon.gates.proof import GateListener
from process import Fault, FaultType, start_lines
from process.sandbox import BUILD_USER, build_user_id

KVM = Path("/dev/kvm")
# In the cache: a lab root that the daemon may use, and the unprivileged child's own cache.
ROOTS, OWN = "lab", "canary"
# Variables that name the lab's root and its checkout (lab/cache.py, lab/tree.py).
_HANDED_ON = ("SCHEDPILOT_LAB_CACHE", "SCHEDPILOT_LAB_TREE", "HOME", "XDG_CACHE_HOME")
_LAST_LINES = 10


class _Said(BaseModel):
    """The lab's output."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class CanaryPlace(_Said):
    """Whether a machine boots here: `why` not, or with which kernel and accelerator."""

    why: str = ""
    kernel: str = ""
    accelerator: str = ""


class CanaryOutcome(_Said):
    """The result for a scheduler there."""

    kernel: str
    accelerator: str
    passed: bool
    messages: list[GateMessage]
    figures: dict[str, float]
    exit_kind: int = 0
    exit_message: str = ""
    reused: bool = False


def reason_to_skip(setting: Canary, place: CanaryPlace | None, *, asked: bool, kvm: bool) -> str:
    """Why no machine is booted for a candidate; empty if one is.

    Args:
        place: the lab's answer; None if it has not been asked.
        asked: somebody requested this gate by hand.
        kvm: whether the hardware can boot it.
    """
    if setting is Canary.OFF and not asked:
        return "it is switched off in the configuration ([gates] canary)"
    if not kvm and not asked:
        return f"no KVM here ({KVM} is missing), and under emulation it would take minutes"
    if place is None:
        return ""
    if place.why:
        return f"no virtual machine boots here: {place.why}"
    if place.accelerator != "kvm" and not asked:
        return "KVM does not boot a kernel here, and under emulation it would take minutes"
    return ""


def _skipped(why: str, *, asked: bool) -> GateResult:
    # A caller who asked for it gets no message that it passed.
    return GateResult(gate=Gate.CANARY, passed=not asked, seconds=0.0, skipped=why)


async def canary_gate(
    object: Path,
    values: Mapping[str, str],
    settings: GatesTable,
    *,
    cache: Path,
    asked: bool,
    told: GateListener,
) -> GateResult:
    """Try it in a virtual machine, if one boots; otherwise say why not. Raises nothing."""
    kvm = os.access(KVM, os.F_OK)
    if why := reason_to_skip(settings.canary, None, asked=asked, kvm=kvm):
        return _skipped(why, asked=asked)
    start = time.monotonic()
    try:
        environ = _environment(cache)
        place = CanaryPlace.model_validate_json(await _lab(environ))
        if why := reason_to_skip(settings.canary, place, asked=asked, kvm=kvm):
            return _skipped(why, asked=asked)
        told.started(Gate.CANARY)
        words = [f"--object={object}", f"--seconds={settings.canary_s:g}"]
        words += [f"--set={name}={value}" for name, value in values.items()]
        outcome = CanaryOutcome.model_validate_json(await _lab(environ, *words))
    except Fault as fault:
        return _skipped(f"the virtual machine failed: {fault}", asked=asked)
    except ValidationError:
        return _skipped("the lab's answer is not understood", asked=asked)
    return GateResult(
        gate=Gate.CANARY,
        passed=outcome.passed,
        seconds=time.monotonic() - start,
        reused=outcome.reused,
        messages=_explained(outcome),
        figures=outcome.figures,
    )


def _explained(outcome: CanaryOutcome) -> list[GateMessage]:
    """Its messages; an ejection gets the simulator's explanation of the kernel's message."""
    if not outcome.messages or not outcome.exit_message:
        return outcome.messages
    # Imported late: few canaries end like this, and the simulator's modules cost memory.
    from simulator.explain import explain
    from simulator.run import Ejection, Ended

    if outcome.exit_kind not in set(Ended):
        return outcome.messages
    means = explain(
        Ejection(kind=Ended(outcome.exit_kind), code=0, at_ns=0, message=outcome.exit_message)
    )
    first, *rest = outcome.messages
    return [first.model_copy(update={"cause": means.cause, "fix": means.fix}), *rest]


def _environment(cache: Path) -> dict[str, str]:
    """Where the child finds the lab's root, and where it may store files derived from it."""
    environ = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    if (cache / ROOTS).is_dir():
        environ.setdefault("SCHEDPILOT_LAB_CACHE", str(cache / ROOTS))
    user = build_user_id()
    if user is not None:
        own = cache / OWN
        with contextlib.suppress(OSError):
            own.mkdir(exist_ok=True)
            os.chown(own, -1, user[1])
            own.chmod(0o770)
        environ["XDG_CACHE_HOME"] = str(own)
    return environ


async def _lab(environ: Mapping[str, str], *words: str) -> bytes:
    """The output of `schedpilot lab canary`.

    Raises:
        Fault: CHILD_FAILED with its report.
    """
    said: list[str] = []
    child = await start_lines(
        [*_unprivileged(), sys.executable, "-P", "-m", "lab", "canary", *words],
        env=environ,
        on_error_line=said.append,
    )
    try:
        async for raw in child.lines():
            if raw.startswith(b"{"):
                return raw
        status = await child.wait()
    finally:
        await child.end()
    raise Fault(
        FaultType.CHILD_FAILED,
        next((each[7:] for each in said if each.startswith("error: ")), "")
        or (said[-1] if said else f"it ended with status {status}"),
        details=tuple(said[-_LAST_LINES:]),
    )


def _unprivileged() -> list[str]:
    """The command prefix with which root becomes the build user, in the groups it has (`kvm`)."""
    death = ["setpriv", "--pdeathsig", "TERM"]
    if os.geteuid() != 0:
        return [*death, "--"]
    try:
        user = pwd.getpwnam(BUILD_USER)
    except KeyError:
        user = pwd.getpwnam("nobody")
    ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
    return [*death, *ids, "--no-new-privs", "--inh-caps=-all", "--"]
