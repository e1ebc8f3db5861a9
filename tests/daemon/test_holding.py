# SPDX-License-Identifier: GPL-2.0-or-later
"""Holding an installed scheduler on a fake kernel: who loaded it, who left, and when."""

import asyncio
import re
import shlex
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bpf.kernel import sysfs
from bpf.kernel.sysfs import KernelState
from bpf.runner.process import Runner
from daemon.lifecycle import attachment, confirmation
from daemon.lifecycle.attachment import (
    Attachment,
    ExitReason,
    ExternalAttachment,
    Loadable,
    hold,
    thrown_out,
)
from daemon.lifecycle.confirmation import Confirmation, holds_scheduler, judge
from process import Fault, FaultType
from process.pace import Fixed

Result = TypeVar("Result")
OPS = "flash_1.1.4_x86_64_unknown_linux_gnu"
LINK = "pos:\t0\nflags:\t02000000\nlink_type:\tstruct_ops\nlink_id:\t7\nmap_id:\t12\n"


@dataclass
class Kernel:
    """A fake `/sys/kernel/sched_ext`, and a `/proc` with the objects that processes hold.

    `steps` happen one at a time, each just before the kernel's state is read.
    """

    folder: Path
    steps: list[Callable[[], None]] = field(default_factory=list)

    @property
    def root(self) -> Path:
        return self.folder / "sched_ext"

    @property
    def proc(self) -> Path:
        return self.folder / "proc"

    def set(self, state: str, ops: str = "", seq: int = 1) -> None:
        (self.root / "root").mkdir(parents=True, exist_ok=True)
        self.proc.mkdir(exist_ok=True)
        for name, value in (("root/ops", ops), ("enable_seq", seq), ("state", state)):
            # In one operation, because the program reads it, too.
            draft = self.folder / "draft"
            draft.write_text(f"{value}\n")
            draft.replace(self.root / name)

    def to(self, state: str, ops: str = "", seq: int = 1) -> Callable[[], None]:
        return lambda: self.set(state, ops, seq)

    def program(self, body: str, name: str = "scx_flash") -> Loadable:
        """A scheduler's program. `holds` stands for the object that keeps the scheduler loaded; the
        program writes the kernel's state at its start to `seen`."""
        path = self.folder / name
        fdinfo = f"{shlex.quote(str(self.proc))}/$$/fdinfo"
        path.write_text(
            f"#!/bin/sh\ncat {shlex.quote(str(self.root))}/state > {self.folder}/seen\n"
            f"holds() {{ mkdir -p {fdinfo}; printf '{LINK}' > {fdinfo}/9; }}\n{body}\n"
        )
        path.chmod(0o755)
        return Loadable("c-1", name, command=(str(path),))

    @property
    def seen(self) -> str:
        path = self.folder / "seen"
        return path.read_text().strip() if path.exists() else ""


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel(tmp_path)
    kernel.set("disabled")
    read = sysfs.read

    def stepping(root: Path = sysfs.ROOT) -> KernelState:
        if kernel.steps:
            kernel.steps.pop(0)()
        return read(root)

    monkeypatch.setattr(sysfs, "read", stepping)
    monkeypatch.setattr(confirmation, "POLL_S", 0.001)
    monkeypatch.setattr(attachment, "EXTERNAL_POLL_S", 0.01)
    return kernel


def run(work: Coroutine[Any, Any, Result]) -> Result:
    return asyncio.run(work)


def held(
    kernel: Kernel, what: Loadable, then: Callable[[Attachment], Coroutine[Any, Any, Result]]
) -> Result:
    """Load it, do something with it, and unload it."""

    async def work() -> Result:
        scheduler = await hold(what, lease_s=10, sysfs_root=kernel.root, proc=kernel.proc)
        try:
            return await then(scheduler)
        finally:
            kernel.steps.clear()
            kernel.set("disabled")
            await scheduler.detach()

    return run(work())


def refused(kernel: Kernel, what: Loadable) -> Fault:
    with pytest.raises(Fault) as caught:
        run(hold(what, lease_s=10, sysfs_root=kernel.root, proc=kernel.proc))
    return caught.value


async def name_of(scheduler: Attachment) -> str:
    return scheduler.ops


# ---------------------------------------------------------------- what confirms it


BEFORE = KernelState(state="disabled", enable_seq=4)


@pytest.mark.parametrize(
    ("now", "holds", "word"),
    [
        (KernelState("disabled", "", enable_seq=4), False, Confirmation.NOT_YET),
        (KernelState("enabling", OPS, enable_seq=4), True, Confirmation.NOT_YET),
        # The previous one, whose name is still shown while it leaves.
        (KernelState("disabling", "lavd", enable_seq=4), False, Confirmation.NOT_YET),
        (KernelState("enabled", "lavd", enable_seq=4), False, Confirmation.NOT_YET),
        (KernelState("enabled", OPS, enable_seq=4), True, Confirmation.NOT_YET),
        # Another one that came in between.
        (KernelState("enabled", "lavd", enable_seq=5), False, Confirmation.ANOTHER),
        (KernelState("enabled", "lavd", enable_seq=5), True, Confirmation.ANOTHER),
        # The same scheduler, loaded by somebody else.
        (KernelState("enabled", OPS, enable_seq=5), False, Confirmation.ANOTHER),
        (KernelState("enabled", OPS, enable_seq=5), True, Confirmation.OURS),
        (KernelState("enabled", "flash", enable_seq=5), True, Confirmation.OURS),
        (KernelState("enabled", OPS, enable_seq=6), True, Confirmation.OURS),
        # If nobody may see what a process holds, the name decides.
        (KernelState("enabled", OPS, enable_seq=5), None, Confirmation.OURS),
        # It left and another one came.
        (KernelState("enabled", "", enable_seq=5), True, Confirmation.ANOTHER),
    ],
)
def test_only_ours_confirms_it(now: KernelState, holds: bool | None, word: Confirmation) -> None:
    """Only our own scheduler counts, and only if it was newly enabled."""
    assert judge(BEFORE, now, "scx_flash", holds) is word


def test_a_program_with_a_name_of_its_own_is_known_by_what_it_holds() -> None:
    """If the program's name does not show the scheduler's, the object that it holds decides."""
    now = KernelState("enabled", "mine", enable_seq=5)
    assert judge(BEFORE, now, "my-program", holds=False) is Confirmation.NOT_YET
    assert judge(BEFORE, now, "my-program", holds=True) is Confirmation.OURS


def test_who_holds_a_scheduler_is_seen(tmp_path: Path) -> None:
    """A BPF link of the right type counts, even if a child of the program has it."""
    for pid, session, info in ((7, 7, "pos:\t0\n"), (8, 7, LINK), (9, 9, LINK), (5, 5, "x")):
        folder = tmp_path / str(pid) / "fdinfo"
        folder.mkdir(parents=True)
        (folder / "3").write_text(info)
        (folder.parent / "stat").write_text(f"{pid} (a) (b) S 1 {session} {session} 0\n")
    assert holds_scheduler(7, tmp_path) is True
    assert holds_scheduler(9, tmp_path) is True
    assert holds_scheduler(5, tmp_path) is False
    # A process that has ended holds nothing.
    assert holds_scheduler(6, tmp_path) is False


# ---------------------------------------------------------------- who is there before


def test_it_is_confirmed_under_its_own_name(kernel: Kernel) -> None:
    """A scheduler in an empty kernel is held under the name that the kernel shows."""
    what = kernel.program("holds; exec sleep 600")
    kernel.steps = [lambda: None, kernel.to("enabling", OPS), kernel.to("enabled", OPS, 2)]
    assert held(kernel, what, name_of) == OPS


def test_one_that_is_leaving_is_waited_for(kernel: Kernel) -> None:
    """The program starts only when the previous scheduler has left the kernel completely."""
    kernel.set("disabling", "lavd", 3)
    what = kernel.program("holds; exec sleep 600")
    wait = kernel.to("disabling", "lavd", 3)
    kernel.steps = [wait, wait, wait, kernel.to("disabled", "", 3), kernel.to("enabled", OPS, 4)]
    assert held(kernel, what, name_of) == OPS
    assert kernel.seen in ("disabled", "enabled")


def test_another_that_is_still_leaving_confirms_nothing(kernel: Kernel) -> None:
    """If the count rose before the previous one was gone, that does not count for the next one."""
    kernel.set("disabling", "lavd", 3)
    what = kernel.program("exit 1")
    kernel.steps = [kernel.to("disabling", "lavd", 4), kernel.to("disabled", "", 4)]
    assert refused(kernel, what).type is FaultType.LOAD_FAILED


def test_one_that_stays_is_left_alone(kernel: Kernel) -> None:
    """The fault names a scheduler that somebody else loaded, and the program never starts."""
    kernel.set("enabling", "lavd_1.1.4", 1)
    kernel.steps = [lambda: None, kernel.to("enabled", "lavd_1.1.4", 2)]
    fault = refused(kernel, kernel.program("holds; exec sleep 600"))
    assert fault.type is FaultType.FOREIGN_SCHEDULER
    assert "lavd_1.1.4" in fault.why
    assert kernel.seen == ""


def test_one_that_never_leaves_is_not_waited_for_for_ever(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a scheduler hangs while it leaves, the fault has its name."""
    monkeypatch.setattr(confirmation, "SETTLE_S", Fixed(0.05))
    kernel.set("disabling", "lavd", 3)
    fault = refused(kernel, kernel.program("exec sleep 600"))
    assert fault.type is FaultType.FOREIGN_SCHEDULER
    assert "'lavd', was still leaving" in fault.why
    assert kernel.seen == ""


def test_our_own_wait_too(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler of ours goes to the kernel only when the previous one has left."""
    states: list[str] = []

    async def start(*_: object, **__: object) -> Runner:
        states.append((kernel.root / "state").read_text().strip())
        raise Fault(FaultType.LOAD_FAILED, "enough seen")

    monkeypatch.setattr(Runner, "start", start)
    wait = kernel.to("disabling", "lavd", 3)
    kernel.steps = [wait, wait, kernel.to("disabled", "", 3)]
    refused(kernel, Loadable("c-1", "fair", "fair", object=Path("fair.bpf.o")))
    assert states == ["disabled"]


# ---------------------------------------------------------------- who comes meanwhile


def test_another_that_comes_meanwhile_is_named(kernel: Kernel) -> None:
    """If somebody else was faster, the fault says who, and their scheduler is not taken for
    ours."""
    what = kernel.program(
        "while [ ! -e " + str(kernel.folder / "go") + " ]; do sleep 0.01; done; exit 1"
    )
    kernel.steps = [
        lambda: None,
        kernel.to("enabled", "lavd", 2),
        lambda: (kernel.folder / "go").touch(),
    ]
    fault = refused(kernel, what)
    assert fault.type is FaultType.FOREIGN_SCHEDULER
    assert "'lavd'" in fault.why


def test_the_same_scheduler_of_somebody_else_is_not_ours(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second scx_flash that somebody starts at the same moment is not confirmed as ours."""
    monkeypatch.setattr(attachment, "EXTERNAL_START_S", Fixed(0.5))
    fdinfo = f"{kernel.proc}/$$/fdinfo"
    what = kernel.program(f"mkdir -p {fdinfo}; echo 'pos:\t0' > {fdinfo}/1; exec sleep 600")
    kernel.steps = [lambda: None, kernel.to("enabled", OPS, 2)]
    deadline = refused(kernel, what)
    assert deadline.type is FaultType.FOREIGN_SCHEDULER
    assert OPS in deadline.why


def test_one_that_is_thrown_out_on_its_way_in_is_told(kernel: Kernel) -> None:
    """A scheduler that the kernel ejects while it enables it was never held; the fault has the
    kernel's reason."""
    what = kernel.program(
        "holds; echo 'EXIT: runnable task stall (a[1] failed to run)' >&2; exit 0"
    )
    kernel.steps = [
        lambda: None,
        kernel.to("enabling", OPS, 1),
        kernel.to("disabling", OPS, 1),
        kernel.to("disabled", "", 1),
    ]
    fault = refused(kernel, what)
    assert fault.type is FaultType.EJECTED
    assert "runnable task stall" in fault.why


def test_one_that_never_comes_is_ended(kernel: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that does nothing ends after its time, and the fault has its last words."""
    monkeypatch.setattr(attachment, "EXTERNAL_START_S", Fixed(0.5))
    pid = kernel.folder / "pid"
    fault = refused(kernel, kernel.program(f"echo $$ > {pid}; echo 'thinking' >&2; exec sleep 600"))
    assert fault.type is FaultType.LOAD_FAILED
    # On a busy machine it notices the end of the time later.
    (waited_s,) = re.findall(r"was not enabled within ([\d.]+) s", fault.what)
    assert float(waited_s) >= 0.5
    assert fault.details == ("thinking",)
    assert not Path(f"/proc/{pid.read_text().strip()}").exists()


# ---------------------------------------------------------------- why it did not start


def test_the_last_words_are_the_cause(kernel: Kernel) -> None:
    """If a program ends, the fault has its words, their meaning and a remedy."""
    body = """cat >&2 <<'END'
17:36:35 [INFO] scx_flash 1.1.4 x86_64-unknown-linux-gnu SMT off
Error: sched_ext_ops.dump() missing, kernel too old?

Stack backtrace:
   0: anyhow::error::<impl anyhow::Error>::msg
END
exit 1"""
    fault = refused(kernel, kernel.program(body))
    assert fault.what == "scx_flash ended with status 1 before it was enabled"
    assert fault.type is FaultType.UNSUPPORTED
    assert "sched_ext_ops.dump() missing" in fault.why
    assert "newer kernel" in fault.hint
    assert not any("anyhow" in line for line in fault.details)


def test_what_goes_to_standard_output_counts_too(kernel: Kernel) -> None:
    """Some programs write their errors there."""
    fault = refused(kernel, kernel.program("echo 'Error: No layer spec'; exit 1", "scx_layered"))
    assert fault.type is FaultType.BAD_PARAMETER
    assert "layers" in fault.hint


def test_a_flood_of_words_is_cut(kernel: Kernel) -> None:
    """However much a program prints, the fault stays short and harmless."""
    fault = refused(
        kernel, kernel.program("yes \"$(printf 'a\\033[31m%1000s')\" | head -n 5000 >&2; exit 3")
    )
    text = fault.report()
    assert len(text) < 10_000
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("body", "type"),
    [
        ("echo 'Error: whatever' >&2; exit 1", FaultType.LOAD_FAILED),
        ("kill -KILL $$", FaultType.LOAD_FAILED),
        (
            "echo 'BPF program load failed: Invalid argument' >&2; exit 1",
            FaultType.VERIFIER_REFUSED,
        ),
    ],
)
def test_not_to_start_is_no_reason_for_quarantine(
    kernel: Kernel, body: str, type: FaultType
) -> None:
    """Usually the machine lacks something, and the scheduler did nothing wrong."""
    what = kernel.program(body)
    fault = refused(kernel, what)
    assert fault.type is type
    assert not thrown_out(what, fault)


def test_what_the_kernel_threw_out_is_another_matter(kernel: Kernel) -> None:
    """An ejection while it was enabled counts against it, and so does the verifier's against
    ours."""
    what = kernel.program("echo 'EXIT: runtime error (bad)' >&2; exit 1")
    assert thrown_out(what, refused(kernel, what))
    ours = Loadable("c-1", "fair", "fair", object=Path("fair.bpf.o"))
    assert thrown_out(ours, Fault(FaultType.VERIFIER_REFUSED, "no"))
    assert not thrown_out(ours, Fault(FaultType.LOAD_FAILED, "no"))


# ---------------------------------------------------------------- while it is held


def test_its_end_has_its_reason(kernel: Kernel) -> None:
    """If the kernel ejects a scheduler later, its end has the kernel's words."""
    go = kernel.folder / "go"
    what = kernel.program(
        f"holds; while [ ! -e {go} ]; do sleep 0.01; done; "
        "echo 'EXIT: runnable task stall (redis[7] failed to run for 30s)' >&2; exit 0"
    )
    kernel.steps = [lambda: None, kernel.to("enabled", OPS, 2)]

    async def end(scheduler: Attachment) -> str:
        go.touch()
        gone = await scheduler.gone()
        assert gone.by_kernel
        return gone.reason

    assert "runnable task stall (redis[7]" in held(kernel, what, end)


def test_a_program_that_fails_was_not_thrown_out(kernel: Kernel) -> None:
    """If a program ends by its own error a moment after it was enabled, this does not count against
    it."""
    go = kernel.folder / "go"
    what = kernel.program(
        f"holds; while [ ! -e {go} ]; do sleep 0.01; done; "
        "echo 'Error: creating \"/run/scx\"' >&2; exit 1"
    )
    kernel.steps = [lambda: None, kernel.to("enabled", OPS, 2)]

    async def end(scheduler: Attachment) -> ExitReason:
        go.touch()
        return await scheduler.gone()

    gone = held(kernel, what, end)
    assert not gone.by_kernel
    assert 'creating "/run/scx"' in gone.reason


def test_one_that_stays_without_its_scheduler_is_ended(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the kernel has let go of a scheduler and its program stays, this is reported, and the
    program is ended."""
    monkeypatch.setattr(attachment, "EXTERNAL_WATCH_S", 0.01)
    monkeypatch.setattr(attachment, "EXTERNAL_LOST_S", 0.05)
    kernel.steps = [lambda: None, kernel.to("enabled", OPS, 2)]

    async def eject(scheduler: Attachment) -> str:
        kernel.steps.clear()
        kernel.set("disabled", "", 2)
        gone = await scheduler.gone()
        assert gone.by_kernel
        return gone.reason

    assert "no longer in the kernel" in held(kernel, kernel.program("holds; exec sleep 600"), eject)


def test_taking_it_out_waits_for_the_kernel(kernel: Kernel) -> None:
    """When it is unloaded, the kernel's own scheduler is back before anything else happens."""
    what = kernel.program("holds; exec sleep 600")
    kernel.steps = [lambda: None, kernel.to("enabled", OPS, 2)]

    async def work() -> str:
        scheduler = await hold(what, lease_s=10, sysfs_root=kernel.root, proc=kernel.proc)
        assert isinstance(scheduler, ExternalAttachment)
        leaving = kernel.to("disabling", OPS, 2)
        kernel.set("disabling", OPS, 2)
        kernel.steps = [leaving, leaving, leaving, kernel.to("disabled", "", 2)]
        await scheduler.detach()
        assert not (await scheduler.gone()).by_kernel
        return (kernel.root / "state").read_text().strip()

    assert run(work()) == "disabled"
