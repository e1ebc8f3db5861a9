# SPDX-License-Identifier: GPL-2.0-or-later
"""Tries a scheduler in a virtual machine before it runs on a real one.

The guest does the work (canary_guest.py); the host judges the results here, because it can tell a
kernel that locked up from one that never booted.
"""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lab import accelerator, kernels, tools
from lab.cache import Root
from lab.machine import Accelerator, Port
from lab.recipe import recipe_for
from lab.tree import project_root
from lab.vm import run_in_lab
from process import Fault, FaultType
from process.run import tail

OBJECT = "candidate.bpf.o"
# Where the guest finds the files of a run (guest/init).
GUEST_FILES = Path("/run/lab/files")
# SCX_EXIT_ERROR_STALL (enum scx_exit_kind).
STALL = 1026
NO_CPU_STALLED = re.compile(r"stall on CPUs? ?\(\s*\)")
# If a wakeup is later than this, seconds, a person would call the machine dead.
STARVED_S = 5.0
# Memory of the guest and its virtual machine, bytes.
MEMORY = "2G"
LEAST_FREE_BYTES = 3 << 30
# Time beside the load: loading and verifying, the kernel's own 30 s watchdog, and detaching.
BESIDE_S = 90.0
BOOTING_S = 120.0
# How many outcomes are kept for each root.
MOST_KEPT = 256
# A guest that ends without a message may be the emulation's fault; it is retried once.
ATTEMPTS = 2


@dataclass(frozen=True)
class CanaryPlace:
    """Whether a machine boots here: `why` not, or with which kernel and accelerator."""

    why: str = ""
    kernel: str = ""
    accelerator: str = ""


@dataclass(frozen=True)
class CanaryRemark:
    """An observation about the scheduler; `severity` as in compiler messages."""

    severity: str
    message: str
    cause: str = ""
    fix: str = ""


@dataclass(frozen=True)
class CanaryOutcome:
    """The result for one scheduler.

    `exit_kind` and `exit_message` are the kernel's own, if it ejected the scheduler. `reused`: the
    result is from an earlier run of exactly the same scheduler.
    """

    kernel: str
    accelerator: str
    passed: bool
    messages: tuple[CanaryRemark, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    exit_kind: int = 0
    exit_message: str = ""
    reused: bool = False


def find_place(tree: Path | None = None) -> CanaryPlace:
    """Find out whether and how a virtual machine boots here; the first time by booting one."""
    try:
        tools.require(tools.TO_RUN)
        root = kernels.find(recipe_for(tree or project_root()))
        free = _free_bytes()
        if free < LEAST_FREE_BYTES:
            return CanaryPlace(
                f"only {free >> 20} MiB of memory are free, it takes {MEMORY} and more"
            )
        return CanaryPlace("", root.release, accelerator.chosen(root).value)
    except Fault as fault:
        return CanaryPlace(f"{fault} ({fault.hint})" if fault.hint else str(fault))
    except OSError as error:
        return CanaryPlace(f"the lab's root cannot be read: {error}")


def _free_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def try_out(
    object: Path, parameters: Sequence[str], *, seconds: float, tree: Path | None = None
) -> CanaryOutcome:
    """Boot, load the scheduler, put it under load for this many seconds, and judge.

    A scheduler that was tried on this kernel before is not tried again.

    Args:
        object: the BPF object.
        parameters: `NAME=VALUE` words, set before loading.
        seconds: duration of the load, including a few idle seconds.

    Raises:
        Fault: LAB or similar if no machine boots; STATE if the object cannot be read.
    """
    place = find_place(tree)
    if place.why:
        raise Fault(FaultType.LAB, "no virtual machine boots here", why=place.why)
    root = kernels.find(recipe_for(tree or project_root()))
    try:
        data = object.read_bytes()
    except OSError as error:
        raise Fault(
            FaultType.STATE, "the object cannot be read", where=str(object), why=str(error)
        ) from None
    kept = _kept(root, data, parameters, seconds)
    if known := _recall(kept):
        return known
    for left in reversed(range(ATTEMPTS)):
        lines, trouble = _boot(data, parameters, seconds, tree)
        if trouble is None or place.accelerator != Accelerator.TCG or not left:
            break
    messages = judge(lines, trouble)
    tried = next((line for line in lines if line["event"] == "tried"), {})
    ended = tried.get("ended") or {}
    outcome = CanaryOutcome(
        place.kernel,
        place.accelerator,
        not any(each.severity == "error" for each in messages),
        messages,
        tried.get("figures", {}),
        int(ended.get("kind", 0)),
        str(ended.get("message", "")),
    )
    # A machine that died may be the emulation's fault.
    if trouble is None:
        _keep(kept, outcome)
    return outcome


def _boot(
    data: bytes, parameters: Sequence[str], seconds: float, tree: Path | None
) -> tuple[list[dict[str, Any]], Fault | None]:
    """The guest's output, and how it ended if not by itself."""
    said = bytearray()

    def keep(port: Port, raw: bytes) -> None:
        if port is Port.STDOUT:
            said.extend(raw)

    command = ["python", "-m", "lab.canary_guest", str(GUEST_FILES / OBJECT), f"{seconds:g}"]
    trouble = None
    try:
        done = run_in_lab(
            [*command, *parameters],
            cpus=max(2, min(4, os.cpu_count() or 1)),
            memory=MEMORY,
            timeout=BOOTING_S + BESIDE_S + 2 * seconds,
            on_output=keep,
            tree=tree,
            files={OBJECT: data},
        )
        if done.status != 0:
            trouble = Fault(
                FaultType.CHILD_FAILED,
                f"the guest's part ended with status {done.status}",
                details=tail(done.stderr),
            )
    except Fault as fault:
        trouble = fault
    return _lines(bytes(said)), trouble


def _kept(root: Root, data: bytes, parameters: Sequence[str], seconds: float) -> Path:
    """Where this question's result is stored: with the root, which has one kernel."""
    digest = hashlib.sha256(json.dumps([sorted(parameters), f"{seconds:g}"]).encode())
    # The judging code belongs to the question.
    judges = [Path(__file__), Path(__file__).with_name("canary_guest.py")]
    for part in (data, *(each.read_bytes() for each in judges)):
        digest.update(hashlib.sha256(part).digest())
    return root.scratch("canaries") / f"{digest.hexdigest()}.json"


def _recall(kept: Path) -> CanaryOutcome | None:
    try:
        found = json.loads(kept.read_bytes())
        messages = tuple(CanaryRemark(**each) for each in found.pop("messages"))
        return replace(CanaryOutcome(**found, messages=messages), reused=True)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(kept: Path, outcome: CanaryOutcome) -> None:
    with tempfile.NamedTemporaryFile("w", dir=kept.parent, prefix=".new-", delete=False) as file:
        json.dump(asdict(outcome), file)
    Path(file.name).replace(kept)
    old = sorted(kept.parent.glob("*.json"), key=lambda each: each.stat().st_mtime)
    for each in old[:-MOST_KEPT]:
        each.unlink(missing_ok=True)


def _lines(said: bytes) -> list[dict[str, Any]]:
    """The complete lines of the guest's output."""
    return [json.loads(line) for line in said.split(b"\n")[:-1] if line.startswith(b"{")]


def judge(lines: Sequence[Mapping[str, Any]], trouble: Fault | None) -> tuple[CanaryRemark, ...]:
    """The findings against a scheduler.

    Args:
        lines: the guest's output, parsed.
        trouble: how the machine ended, if it did not end by itself.

    Raises:
        Fault: `trouble` if the scheduler was never active; LAB if the machine stood still.
    """
    said = {str(line["event"]): line for line in lines}
    if spoiled := _stood_still(said.get("tried", {}).get("ended") or said.get("failed", {})):
        raise spoiled
    if failed := said.get("failed"):
        return (
            CanaryRemark(
                "error",
                f"the kernel did not accept it: {failed['message']}",
                str(failed["cause"]),
                str(failed["hint"]),
            ),
            *(CanaryRemark("note", line) for line in _tail(str(failed.get("log", "")))),
        )
    if "attached" not in said:
        raise trouble or Fault(
            FaultType.CHILD_FAILED, "the guest ended without a message about the scheduler"
        )
    tried = said.get("tried")
    if tried is None:
        why = str(trouble) if trouble else "the guest ended early"
        return (
            CanaryRemark(
                "error",
                "the machine did not survive it",
                why,
                "look for CPUs that spin in the scheduler, and for tasks that are never queued",
            ),
            *(CanaryRemark("note", line) for line in (trouble.details if trouble else ())),
        )
    return (*_ended(tried), *_stuck(tried), *_late(tried))


def _stood_still(ended: Mapping[str, Any]) -> Fault | None:
    """The fault for an ejection that the scheduler did not cause: a stall for which the kernel
    names no CPU means that the host did not run this machine.
    """
    words = " ".join(str(ended.get(name, "")) for name in ("reason", "message", "cause"))
    if not NO_CPU_STALLED.search(words):
        return None
    return Fault(
        FaultType.LAB,
        "the virtual machine could not be measured",
        why=f"it stood still, and none of its CPUs was the cause: {words.strip()}",
        hint="try again with less load on this machine; nothing is held against the scheduler",
    )


def _tail(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()][-20:]


def _ended(tried: Mapping[str, Any]) -> list[CanaryRemark]:
    ended = tried["ended"]
    if ended is None:
        if not tried["figures"]["restarts"]:
            return []
        return [
            CanaryRemark(
                "warning",
                "the kernel ended it when a CPU went offline, and it was loaded again",
                "it has no callbacks for CPUs that come and go",
                "define ops.cpu_online and ops.cpu_offline; then it is kept across hotplug",
            )
        ]
    after = tried["figures"]["seconds"]
    if ended["event"] == "detached":
        remark = CanaryRemark(
            "error",
            f"its lease ran out after {after:g} s of load",
            "an ordinary process did not get the CPU for seconds, so it could not renew the lease",
            "bound how long a task can wait: with slices, and by draining all queues",
        )
        return [remark]
    reason = ended.get("reason") or ended.get("kind_name") or "no reason given"
    said = f": {ended['message']}" if ended.get("message") else ""
    cause, fix = _why_ended(ended)
    return [
        CanaryRemark(
            "error", f"the kernel ejected it after {after:g} s: {reason}{said}", cause, fix
        ),
        *(CanaryRemark("note", line) for line in tried["dump"] if line.strip()),
    ]


def _why_ended(ended: Mapping[str, Any]) -> tuple[str, str]:
    """Cause and fix of an ejection."""
    if ended.get("kind") == STALL:
        return (
            "a runnable task did not run in time: it is in no queue, or in one that no CPU "
            "drains, or others always go first",
            "queue every task that ops.enqueue gets, drain every queue in ops.dispatch, and bound "
            "how long one can wait",
        )
    return (
        "the scheduler did something that the kernel refuses, or ended itself"
    ), "correct what it names"


def _stuck(tried: Mapping[str, Any]) -> list[CanaryRemark]:
    log = [str(line) for line in tried["kernel_log"]]
    if not log:
        return []
    return [
        CanaryRemark(
            "error",
            "the kernel's log reports a lockup",
            log[0],
            "shorten loops in callbacks, and queue every task that is enqueued",
        ),
        *(CanaryRemark("note", line) for line in log[1:]),
    ]


def _late(tried: Mapping[str, Any]) -> list[CanaryRemark]:
    late = tried["figures"]["latest_wakeup_s"]
    if late < STARVED_S:
        return []
    return [
        CanaryRemark(
            "error",
            f"an ordinary task was woken up {late:.1f} s late",
            "something else always ran before it",
            "bound how long a task can wait: let those that wait longest go first now and then",
        )
    ]
