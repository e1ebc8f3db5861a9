# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs programs of the guest's root on the host at native speed.

Everything compiled or installed for the guest is made here, not under emulation (about 15 times
slower), and QEMU itself is the root's: the host's may be years older. bubblewrap gives the program
the guest's files, no network unless requested, and the guest kernel's types in place of the running
kernel's, so that a build that reads /sys/kernel/btf/vmlinux builds for the guest.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.recipe import VENV
from process import Completed, run
from process.run import called

GUEST_PATH = f"{VENV}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def entering(root: Path, *, writable: bool = False, network: bool = False) -> list[str | Path]:
    """The prefix of a command that should have `root` as its root.

    More of bubblewrap's options may follow, then `--` and the command.
    """
    words: list[str | Path] = ["bwrap", "--die-with-parent", "--unshare-pid", "--unshare-ipc"]
    words += ["--bind" if writable else "--ro-bind", root, "/"]
    words += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]  # noqa: S108 - its own
    if not network:
        words += ["--unshare-net"]
    return words


def in_root(
    root: Path,
    argv: Sequence[str],
    *,
    timeout: float,
    name: str = "",
    writable: bool = False,
    network: bool = False,
    binds: Mapping[Path, str] | None = None,
    btf: Path | None = None,
    cwd: str = "/",
    env: Mapping[str, str] | None = None,
    check: bool = True,
    capture: bool = True,
) -> Completed:
    """Run `argv` with `root` as its root.

    Args:
        root: the unpacked root.
        writable: whether the root itself may be changed (only while it is built).
        network: share the host's network.
        binds: host folders and the writable paths at which the program sees them.
        btf: stands in for /sys/kernel/btf/vmlinux.
        cwd: inside the root.

    Raises:
        Fault: see `process.run`.
    """
    command = entering(root, writable=writable, network=network)
    if btf:
        command += ["--tmpfs", "/sys", "--ro-bind", btf, "/sys/kernel/btf/vmlinux"]
    if network:
        command += ["--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf"]
    for source, target in (binds or {}).items():
        command += ["--bind", source, target]
    command += ["--chdir", cwd, "--", *argv]
    return run(
        command,
        timeout=timeout,
        name=name or called(argv),
        env={"PATH": GUEST_PATH, "HOME": "/root", **(env or {})},
        check=check,
        capture=capture,
    )
