# SPDX-License-Identifier: GPL-2.0-only
"""One QEMU machine: its arguments, its ports, and a boot from start to end."""

import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from lab import initramfs
from lab.cache import Root
from process import Fault, FaultType
from process.run import tail
from process.stream import Reader, stream

GUEST_FILES = Path(__file__).parent / "guest"
# How much of the console's end is kept, bytes.
CONSOLE_BYTES = 65536
CONSOLE_LINES = 40
# What the kernel prints first when it gives up.
PANIC = b"Kernel panic - not syncing: "


class Accelerator(StrEnum):
    KVM = "kvm"
    # QEMU's own emulation, one host thread for each guest CPU.
    TCG = "tcg"


class Mode(StrEnum):
    """What the initramfs does; the same words in guest/init."""

    PROBE = "probe"
    PLAIN = "plain"
    SYSTEMD = "systemd"


class Port(StrEnum):
    """The guest's channels to the host; the same words in guest/init and guest/perform."""

    STDOUT = "stdout"
    STDERR = "stderr"
    CONTROL = "control"
    RESULTS = "results"


@dataclass(frozen=True)
class Machine:
    """What to boot. `memory` as QEMU writes it (`2G`); `disks` are never written to."""

    root: Root
    accelerator: Accelerator
    mode: Mode
    cpus: int = 2
    memory: str = "2G"
    disks: tuple[Path, ...] = ()
    # Shell script that is the command; none when probing.
    command: str = ""
    want_results: bool = False
    # Added to the kernel's command line, such as `isolcpus=1`.
    kernel_arguments: tuple[str, ...] = ()


def arguments(machine: Machine, initrd: Path, ports: Mapping[Port | None, int]) -> list[str]:
    """QEMU's command line. `ports` gives the descriptor of each port, None the console's."""
    kernel_line = [
        "console=ttyS0",
        # A panic reboots at once, and -no-reboot turns that into the end of QEMU.
        "panic=-1",
        "loglevel=4",
        # Emulated and nested clocks fail the kernel's own cross-check under load.
        "tsc=reliable",
        "no_timer_check",
    ]
    if machine.mode is Mode.SYSTEMD:
        kernel_line += ["systemd.show_status=0", "systemd.log_target=journal"]
    kernel_line += machine.kernel_arguments
    accelerated = machine.accelerator is Accelerator.KVM
    words = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot"]
    words += ["-display", "none", "-machine", "q35,usb=off,smbus=off"]
    words += ["-accel", "kvm" if accelerated else "tcg,thread=multi"]
    words += ["-cpu", "host" if accelerated else "max"]
    words += ["-smp", str(machine.cpus), "-m", machine.memory]
    words += ["-kernel", str(machine.root.kernel), "-initrd", str(initrd)]
    words += ["-append", " ".join(kernel_line)]
    words += ["-device", "virtio-serial-pci"]
    for port, fd in ports.items():
        words += ["-chardev", f"socket,id={port or 'console'},fd={fd}"]
        if port is None:
            words += ["-serial", "chardev:console"]
        else:
            words += ["-device", f"virtserialport,chardev={port},name={port}"]
    for number, disk in enumerate(machine.disks):
        # A comma in an option value is written twice.
        file = str(disk).replace(",", ",,")
        words += ["-drive", f"if=none,id=disk{number},format=raw,snapshot=on,file={file}"]
        words += ["-device", f"virtio-blk-pci,drive=disk{number}"]
    return words


def initramfs_for(machine: Machine) -> bytes:
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
    if machine.want_results:
        entries.append(initramfs.binary("lab/want-results", b""))
    return initramfs.archive(entries)


@dataclass(frozen=True)
class End:
    """How a boot ended: the guest's own word, if it gave one, and what QEMU said."""

    # Exit status of the command, or None when the guest ended without telling.
    status: int | None
    # The console's last lines, and from the panic on where there was one.
    console: tuple[str, ...]
    panic: tuple[str, ...]
    error: str


def boot(
    machine: Machine,
    *,
    timeout: float,
    outputs: Mapping[Port, Callable[[bytes], None]],
    on_begin: Callable[[], None] | None = None,
) -> End:
    """Boot the machine and relay its ports until it ends.

    Args:
        machine: what to boot.
        timeout: seconds from now to the end.
        outputs: what gets the bytes of a port, as they come.
        on_begin: called when the guest starts the command.

    Raises:
        Fault: MISSING_TOOL, or TIMEOUT with the console's last lines.
    """
    console = bytearray()
    errors = bytearray()
    control = bytearray()
    status: list[int] = []

    def keep(buffer: bytearray) -> Callable[[bytes], None]:
        def reader(data: bytes) -> None:
            buffer.extend(data)
            del buffer[:-CONSOLE_BYTES]

        return reader

    def on_control(data: bytes) -> bool:
        control.extend(data)
        while b"\n" in control:
            line, _, rest = bytes(control).partition(b"\n")
            control[:] = rest
            word, _, value = line.decode("ascii", "replace").partition(" ")
            if word == "begin" and on_begin:
                on_begin()
            if word == "end" and value.isdigit():
                status.append(int(value))
                return True
        return False

    def ignore(_: bytes) -> None:
        return None

    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="schedpilot-lab-"))
        initrd = Path(folder) / "initramfs"
        initrd.write_bytes(initramfs_for(machine))
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
            else:
                readers[ours.fileno()] = outputs.get(port, ignore)
        command = arguments(machine, initrd, theirs)
        try:
            stream(
                command,
                readers,
                pass_fds=list(theirs.values()),
                timeout=timeout,
                on_error=keep(errors),
            )
        except Fault as fault:
            if fault.type is not FaultType.TIMEOUT:
                raise
            raise Fault(
                FaultType.TIMEOUT,
                f"the lab's command did not end within {timeout:g} s",
                where="guest",
                hint="raise --timeout, or find out what it waits for; the guest was ended",
                details=_lines(console),
            ) from None
    error = bytes(errors).decode("utf-8", "replace").strip()
    told = console.find(PANIC)
    return End(
        status[0] if status else None,
        _lines(console),
        _lines(console[told:], CONSOLE_BYTES)[:CONSOLE_LINES] if told >= 0 else (),
        error,
    )


def _lines(console: bytearray, count: int = CONSOLE_LINES) -> tuple[str, ...]:
    return tail(bytes(console).replace(b"\r", b""), count)


def failure(end: End) -> Fault:
    """The fault for a machine that ended without the command's exit status."""
    if end.panic:
        return Fault(
            FaultType.LAB,
            "the lab's kernel panicked",
            where="guest",
            why=end.panic[0].removeprefix(PANIC.decode()),
            hint="the console from the panic on is above",
            details=end.panic,
        )
    return Fault(
        FaultType.LAB,
        "the lab's machine ended before the command did",
        where="guest",
        why=end.error or "QEMU gave no reason",
        hint="the console's last lines, if any, are above",
        details=end.console,
    )
