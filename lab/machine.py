# SPDX-License-Identifier: GPL-2.0-or-later
"""One QEMU machine: its arguments, its ports, and a boot from start to end."""

import socket
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from lab import initramfs
from lab.cache import Root
from lab.chroot import entering
from lab.topology import GuestTopology
from process import Fault, FaultType, Fixed, Limit
from process.run import tail
from process.stream import Reader, stream

GUEST_FILES = Path(__file__).parent / "guest"
# How much of the console's end is kept, bytes.
CONSOLE_BYTES = 65536
CONSOLE_LINES = 30
# An instruction counts as this many ns, as a power of two: all CPUs of the guest together do 250
# million a second, about what an emulator achieves in that time.
INSTRUCTION_SHIFT = 2
# With counted instructions the CPUs take turns: each may run for its share of the time to the
# machine's next timer, so a timer every so many µs limits two CPUs' turns to half of that.
TIMER_US = 100
# When an emulated kernel calls a CPU stuck. The host may keep a CPU of the guest waiting for longer
# than the kernel's own limits (21 s, 10 s), and since 7.0 the kernel then ejects any running
# sched_ext scheduler. sched_ext's own watchdog finds a scheduler that lets tasks wait, in 30 s.
STALL_LIMITS = (
    "rcupdate.rcu_cpu_stall_timeout=120",
    # Jiffies: the warning about a slow grace period of RCU tasks; the default is ten seconds.
    "rcupdate.rcu_task_stall_info=30000",
    # Seconds; a soft lockup is twice that.
    "watchdog_thresh=40",
    "sysctl.kernel.hung_task_timeout_secs=600",
)
# The kernel's first message of a panic.
PANIC = "Kernel panic - not syncing: "


class Accelerator(StrEnum):
    KVM = "kvm"
    # QEMU's own emulation, one host thread for each guest CPU.
    TCG = "tcg"
    # The same in one thread, with a clock that counts instructions: other load on the host makes
    # nothing late in the guest, it only takes longer. For measurements in the guest.
    COUNTED = "counted"


class Mode(StrEnum):
    """The initramfs's modes; the same words are in guest/init."""

    PROBE = "probe"
    PLAIN = "plain"
    SYSTEMD = "systemd"


class Port(StrEnum):
    """The guest's channels to the host; the same words are in guest/init and guest/perform."""

    STDOUT = "stdout"
    STDERR = "stderr"
    CONTROL = "control"
    RESULTS = "results"


@dataclass(frozen=True)
class LabMachine:
    """What to boot. `memory` in QEMU's format (`2G`); `disks` are never written to.

    `cpus` that are just a number are all alike, and nothing is said of what they share.
    """

    root: Root
    accelerator: Accelerator
    mode: Mode
    cpus: int | GuestTopology = 2
    memory: str = "2G"
    disks: tuple[Path, ...] = ()
    # Shell script that runs the command; None for a probe.
    command: str = ""
    want_results: bool = False
    # Added to the kernel's command line, such as `isolcpus=1`.
    kernel_arguments: tuple[str, ...] = ()
    # Files for the guest's /run/lab/files, by name.
    files: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many CPUs it has."""
        return self.cpus.cpus if isinstance(self.cpus, GuestTopology) else self.cpus


# Paths inside QEMU's own root: its inputs, and its scratch space for the throw-away layers over the
# disks.
INITRD = "/tmp/initramfs"  # noqa: S108
KERNEL = "/tmp/kernel"  # noqa: S108
DISK = "/tmp/disk"  # noqa: S108
SCRATCH = "/var/tmp"  # noqa: S108


def arguments(
    machine: LabMachine, folder: Path, ports: Mapping[Port | None, int]
) -> list[str | Path]:
    """QEMU's command line: the root's own QEMU, which sees only what it is given.

    Args:
        machine: what to boot.
        folder: contains `initramfs`, and QEMU writes there.
        ports: the descriptor of each port; None is the console.
    """
    words = entering(machine.root.tree)
    words += ["--dev-bind-try", "/dev/kvm", "/dev/kvm", "--bind", folder, SCRATCH]
    words += ["--ro-bind", folder / "initramfs", INITRD, "--ro-bind", machine.root.kernel, KERNEL]
    for number, disk in enumerate(machine.disks):
        words += ["--ro-bind", disk, f"{DISK}{number}"]
    return [*words, "--", *_emulator(machine, ports)]


def _emulator(machine: LabMachine, ports: Mapping[Port | None, int]) -> list[str]:
    kernel_line = [
        "console=ttyS0",
        # A panic reboots at once, and -no-reboot turns that into the end of QEMU.
        "panic=-1",
        "loglevel=4",
        # Emulated and nested clocks fail the kernel's own cross-check under load.
        "tsc=reliable",
        "no_timer_check",
        # Otherwise the kernel would test its own ciphers, during seconds of the first work's CPU
        # time.
        "cryptomgr.notests=1",
    ]
    if machine.accelerator is not Accelerator.KVM:
        kernel_line += STALL_LIMITS
    if machine.mode is Mode.SYSTEMD:
        kernel_line += ["systemd.show_status=0", "systemd.log_target=journal"]
    kernel_line += machine.kernel_arguments
    accelerated = machine.accelerator is Accelerator.KVM
    counted = machine.accelerator is Accelerator.COUNTED
    words = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot"]
    words += ["-display", "none", "-machine", "q35,usb=off,smbus=off"]
    words += ["-accel", "kvm" if accelerated else f"tcg,thread={'single' if counted else 'multi'}"]
    if counted:
        words += ["-icount", f"shift={INSTRUCTION_SHIFT},sleep=off,align=off"]
        # A network filter has such a timer, on a network without a peer.
        words += ["-netdev", "hubport,id=turns,hubid=0"]
        words += ["-object", f"filter-buffer,id=timer,netdev=turns,interval={TIMER_US}"]
    words += _cpus(machine)
    words += ["-kernel", KERNEL, "-initrd", INITRD]
    words += ["-append", " ".join(kernel_line)]
    words += ["-device", "virtio-serial-pci"]
    for port, fd in ports.items():
        words += ["-chardev", f"socket,id={port or 'console'},fd={fd}"]
        if port is None:
            words += ["-serial", "chardev:console"]
        else:
            words += ["-device", f"virtserialport,chardev={port},name={port}"]
    if machine.root.other:
        words += ["-device", "nvme,id=disks,serial=lab"]
    for number in range(len(machine.disks)):
        file = f"{DISK}{number}"
        words += ["-drive", f"if=none,id=disk{number},format=raw,snapshot=on,file={file}"]
        if machine.root.other:
            words += ["-device", f"nvme-ns,drive=disk{number},nsid={number + 1}"]
        else:
            words += ["-device", f"virtio-blk-pci,drive=disk{number}"]
    return words


def _disk_names(machine: LabMachine) -> str:
    """The names of the disks in the guest, in their order.

    Another kernel than the root's own may come without modules, and has only NVMe built in.
    """
    if machine.root.other:
        return " ".join(f"nvme0n{number + 1}" for number in range(len(machine.disks)))
    return " ".join(f"vd{chr(ord('a') + number)}" for number in range(len(machine.disks)))


def _cpus(machine: LabMachine) -> list[str]:
    model = "host" if machine.accelerator is Accelerator.KVM else "max"
    if not isinstance(machine.cpus, GuestTopology):
        return ["-cpu", model, "-smp", str(machine.cpus), "-m", machine.memory]
    if model == "max":
        # As QEMU's own CPU, which is an AMD one, it does not say what shares a cache.
        model = "max,vendor=GenuineIntel"
    return ["-cpu", model, *machine.cpus.words(machine.memory)]


def initramfs_for(machine: LabMachine) -> bytes:
    """The initramfs of this boot: busybox, modules, and the run's own scripts."""
    root = machine.root
    modules = (root.modules / "order").read_text()
    entries = [
        *(initramfs.folder(name) for name in ("dev", "proc", "sys", "run", "root", "bin")),
        *(initramfs.folder(name) for name in ("modules", "lab")),
        initramfs.CONSOLE,
        initramfs.binary("bin/busybox", root.busybox.read_bytes(), 0o755),
        initramfs.script("init", (GUEST_FILES / "init").read_text()),
        initramfs.binary("lab/modules", modules.encode()),
        initramfs.binary("lab/mode", machine.mode.encode()),
        initramfs.binary("lab/disks", _disk_names(machine).encode()),
    ]
    entries += [
        initramfs.binary(f"modules/{name}", (root.modules / name).read_bytes())
        for name in modules.split()
    ]
    if machine.mode is not Mode.PROBE:
        entries += [
            initramfs.script(f"lab/{name}", (GUEST_FILES / name).read_text())
            for name in ("start", "perform")
        ]
        entries.append(initramfs.script("lab/command", machine.command))
        unit = (GUEST_FILES / "schedpilot-lab.service").read_bytes()
        entries.append(initramfs.binary("lab/schedpilot-lab.service", unit))
    if machine.files:
        entries.append(initramfs.folder("lab/files"))
    entries += [initramfs.binary(f"lab/files/{name}", data) for name, data in machine.files.items()]
    if machine.want_results:
        entries.append(initramfs.binary("lab/want-results", b""))
    return initramfs.archive(entries)


@dataclass(frozen=True)
class End:
    """How a boot ended: the guest's own status, if it sent one, and what the host saw."""

    # Exit status of the command, or None if the guest ended without reporting one.
    status: int | None
    # Seconds from the start of QEMU to the start of the command, or None if it never started.
    begun_s: float | None
    # Whether the time limit ended it.
    overdue: bool
    # The console's last lines; after a kernel panic, those around it.
    console: tuple[str, ...]
    # The kernel's cause of its panic; empty if there was none.
    panic: str
    # QEMU's own messages.
    error: str
    # How long was waited, and why that may have been too short; in words.
    waited: str = ""

    @property
    def never_came_up(self) -> bool:
        """Whether the guest failed during boot, before the command could play a part.

        QEMU's own complaint (a bad option, no memory) does not count, because it would come again.
        """
        return self.begun_s is None and self.status is None and not self.error


def boot(
    machine: LabMachine,
    *,
    timeout: float | Fixed,
    boot_timeout: float,
    outputs: Mapping[Port, Callable[[bytes], None]],
) -> End:
    """Boot the machine and relay its ports until it ends, by itself or by a limit.

    Args:
        machine: what to boot.
        timeout: seconds from the start of QEMU to its end; longer on a slow machine, unless
            `Fixed`.
        boot_timeout: seconds within which the command must have begun, if shorter; likewise.
        outputs: the functions that get a port's bytes as they come.

    Raises:
        Fault: MISSING_TOOL.
    """
    console = bytearray()
    errors = bytearray()
    control = bytearray()
    status: list[int] = []
    begun: list[float] = []
    # Bytes of results that came, and that the guest has sent; unknown before its end.
    came, sent = 0, -1
    started = time.monotonic()
    whole, booting = Limit(timeout), Limit(boot_timeout)

    def deadline() -> float:
        left = whole.left()
        if left > 0 and not begun:
            left = min(left, booting.left())
        # A limit that is reached lies in the past: "now" would move with each call.
        return time.monotonic() + left if left > 0 else 0.0

    def keep(buffer: bytearray) -> Callable[[bytes], None]:
        def reader(data: bytes) -> None:
            buffer.extend(data)
            del buffer[:-CONSOLE_BYTES]

        return reader

    def on_results(data: bytes) -> bool:
        nonlocal came
        came += len(data)
        if reader := outputs.get(Port.RESULTS):
            reader(data)
        return 0 <= sent <= came

    def on_control(data: bytes) -> bool:
        nonlocal sent
        control.extend(data)
        while b"\n" in control:
            line, _, rest = bytes(control).partition(b"\n")
            control[:] = rest
            word, _, value = line.decode("ascii", "replace").partition(" ")
            if word == "begin":
                begun.append(time.monotonic() - started)
            ended, _, size = value.partition(" ")
            if word == "end" and ended.isdigit() and size.isdigit():
                status.append(int(ended))
                sent = int(size)
                return came >= sent
        return False

    def ignore(_: bytes) -> None:
        return None

    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="schedpilot-lab-"))
        (Path(folder) / "initramfs").write_bytes(initramfs_for(machine))
        readers: dict[int, Reader] = {}
        theirs: dict[Port | None, int] = {}
        for port in (None, *Port):
            ours, peer = socket.socketpair()
            stack.enter_context(ours)
            theirs[port] = peer.detach()
            if port is None:
                readers[ours.fileno()] = keep(console)
            elif port is Port.CONTROL:
                readers[ours.fileno()] = on_control
            elif port is Port.RESULTS:
                readers[ours.fileno()] = on_results
            else:
                readers[ours.fileno()] = outputs.get(port, ignore)
        overdue = False
        try:
            stream(
                arguments(machine, Path(folder), theirs),
                readers,
                pass_fds=list(theirs.values()),
                on_error=keep(errors),
                deadline=deadline,
            )
        except Fault as fault:
            if fault.type is not FaultType.TIMEOUT:
                raise
            overdue = True
    lines, panic = evidence(bytes(console))
    return End(
        status[0] if status else None,
        begun[0] if begun else None,
        overdue,
        lines,
        panic,
        bytes(errors).decode("utf-8", "replace").strip(),
        (whole if begun else booting).words(),
    )


def evidence(console: bytes) -> tuple[tuple[str, ...], str]:
    """The console's important lines, and the cause of the panic if there was one.

    Depending on its kind, the trace of a crash stands before the kernel's word "panic" or after it.
    """
    lines = tail(console.replace(b"\r", b""), CONSOLE_BYTES)
    for number, line in enumerate(lines):
        if PANIC in line:
            around = lines[max(0, number - CONSOLE_LINES) : number + CONSOLE_LINES]
            return around, line.partition(PANIC)[2]
    return lines[-CONSOLE_LINES:], ""


def failure(end: End) -> Fault:
    """The fault for a machine that ended without the command's exit status."""
    if end.panic:
        what, why = "the lab's kernel panicked", end.panic
    elif end.overdue and end.begun_s is None:
        what, why = "the lab's guest did not come up", f"it did not boot within {end.waited}"
    elif end.overdue:
        return Fault(
            FaultType.TIMEOUT,
            f"the lab's command did not finish within {end.waited}",
            where="guest",
            hint="raise --timeout, or find out what the command waits for; the guest was ended",
            details=end.console,
        )
    else:
        what = "the lab's machine ended before the command did"
        why = end.error or "QEMU gave no reason"
    return Fault(
        FaultType.LAB,
        what,
        where="guest",
        why=why,
        hint="the console's last lines, if any, are above",
        details=end.console,
    )
