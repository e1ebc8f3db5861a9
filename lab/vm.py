# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs one command on a real sched_ext kernel and brings back its files."""

import io
import shlex
import tarfile
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import accelerator, tools
from lab.cache import Progress
from lab.machine import Accelerator, End, LabMachine, Mode, Port, boot, failure
from lab.recipe import recipe_for
from lab.root import ensure
from lab.topology import GuestTopology
from lab.tree import disk, project_root
from process import Fault, FaultType, Fixed, measure
from process.run import tail

# How much of the command's output a fault repeats.
OUTPUT_LINES = 20
# Seconds within which the guest must be up: about ten times the time of an emulated boot on an idle
# machine with two CPUs.
BOOT_S = {Mode.PLAIN: 60.0, Mode.SYSTEMD: 150.0}
# The factor by which one thread takes longer, on a crowded machine.
BOOT_COUNTED = 3.0
# An emulated CPU costs the host's two their time from the first moment on.
BOOT_CPUS = 4
BOOT_ATTEMPTS = 3

# Gets the port (`Port.STDOUT` or `Port.STDERR`) and the bytes, as the command writes them.
OnOutput = Callable[[Port, bytes], None]


@dataclass(frozen=True)
class LabResult:
    """A command that ended in the guest.

    `start_s` is the wall time from the start of QEMU to the start of the command, `wall_s`
    that to the end of the machine, both in seconds.
    """

    status: int
    stdout: bytes
    stderr: bytes
    start_s: float
    wall_s: float

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        return self.stderr.decode("utf-8", "replace")


def run_in_lab(
    cmd: Sequence[str],
    *,
    cpus: int | GuestTopology = 2,
    memory: str = "2G",
    systemd: bool = False,
    timeout: float | Fixed = 600.0,
    out: Path | None = None,
    on_output: OnOutput | None = None,
    tree: Path | None = None,
    kernel: str | None = None,
    kernel_arguments: Sequence[str] = (),
    files: Mapping[str, bytes] | None = None,
    emulation: Accelerator | None = None,
    progress: Progress = lambda _: None,
) -> LabResult:
    """Boot the lab, run `cmd` as root in /tree (a scratch copy of the project), power off.

    Args:
        cmd: program and arguments, in the guest.
        cpus: guest CPUs, alike or in a topology.
        memory: guest memory in QEMU's format, such as `2G`.
        systemd: run real systemd as PID 1, and the command once multi-user.target is up.
        timeout: seconds from the start of the machine to its end (if it came up); longer if this
            machine is slow or busy, unless it is `Fixed`.
        out: folder that gets the files from the guest's /out.
        on_output: gets the output as it comes.
        tree: the checkout; default: this package's own.
        kernel: another kernel than the root's own, see `lab.root.ensure`.
        kernel_arguments: added to the kernel's command line.
        files: files for /run/lab/files in the guest, by name.
        emulation: how to emulate, if the machine has to be emulated; `TCG` by default.
        progress: gets a line for each long step before the boot.

    Raises:
        Fault: MISSING_TOOL; TIMEOUT; LAB if the guest panicked or QEMU ended early; BUILD_FAILED if
            the C helpers do not build.
    """
    tools.require(tools.TO_RUN)
    checkout = tree.resolve() if tree else project_root()
    root = ensure(recipe_for(checkout), progress, kernel)
    tree_disk = disk(root, checkout)
    way = accelerator.chosen(root)
    machine = LabMachine(
        root,
        emulation or way if way is Accelerator.TCG else way,
        Mode.SYSTEMD if systemd else Mode.PLAIN,
        cpus=cpus,
        memory=memory,
        disks=(root.image, tree_disk, *root.kernel_disks),
        command=f"#!/bin/sh\nexec {shlex.join(cmd)}\n",
        want_results=out is not None,
        kernel_arguments=tuple(kernel_arguments),
        files=files or {},
    )
    kept = {Port.STDOUT: bytearray(), Port.STDERR: bytearray()}

    def relay(port: Port) -> Callable[[bytes], None]:
        def reader(data: bytes) -> None:
            kept[port].extend(data)
            if data and on_output:
                on_output(port, data)

        return reader

    with tempfile.TemporaryFile(prefix="schedpilot-lab-") as results:

        def keep_results(data: bytes) -> None:
            results.write(data)

        outputs = {
            Port.STDOUT: relay(Port.STDOUT),
            Port.STDERR: relay(Port.STDERR),
            Port.RESULTS: keep_results,
        }
        if words := measure().words():
            progress(words)
        started = time.monotonic()
        end = _boot_for_certain(machine, timeout, outputs, progress)
        wall_s = time.monotonic() - started
        if end.status is None:
            fault = failure(end)
            if on_output is None:
                # Nobody has seen the command's output before the trouble.
                fault.details += (
                    *(f"stdout: {line}" for line in tail(bytes(kept[Port.STDOUT]), OUTPUT_LINES)),
                    *(f"stderr: {line}" for line in tail(bytes(kept[Port.STDERR]), OUTPUT_LINES)),
                )
            raise fault
        if out is not None:
            results.seek(0)
            _unpack(results, out)
    return LabResult(
        end.status,
        bytes(kept[Port.STDOUT]),
        bytes(kept[Port.STDERR]),
        start_s=wall_s if end.begun_s is None else end.begun_s,
        wall_s=wall_s,
    )


def _boot_for_certain(
    machine: LabMachine,
    timeout: float | Fixed,
    outputs: Mapping[Port, Callable[[bytes], None]],
    progress: Progress,
) -> End:
    """Boot until the command has begun once; it is never started a second time.

    An emulated guest on a crowded machine sometimes crashes during boot, before anything of ours
    runs. That says nothing about the command.
    """
    boot_timeout = BOOT_S[machine.mode]
    if machine.accelerator is Accelerator.COUNTED:
        boot_timeout *= BOOT_COUNTED
    boot_timeout *= max(1, machine.count / BOOT_CPUS)
    end = boot(machine, timeout=timeout, boot_timeout=boot_timeout, outputs=outputs)
    for _ in range(BOOT_ATTEMPTS - 1):
        if not end.never_came_up:
            break
        progress(f"booting again: {failure(end).report()}")
        end = boot(machine, timeout=timeout, boot_timeout=boot_timeout, outputs=outputs)
    return end


def _unpack(results: io.BufferedRandom, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=results, mode="r|") as archive:
            # The filter refuses files outside `out`, devices and special modes.
            archive.extractall(out, filter="data")
    except tarfile.TarError as trouble:
        raise Fault(
            FaultType.LAB,
            "cannot bring back what the command left in /out",
            where=str(out),
            why=str(trouble),
            hint="leave plain files, folders and links there",
        ) from None
