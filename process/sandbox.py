# SPDX-License-Identifier: GPL-2.0-or-later
"""Confinement for programs that read text from a model or a stranger.

bubblewrap gives the child its own namespaces (no network, no other processes, a file system with
only the paths named here), `prlimit` bounds its time, memory and files, and a root caller becomes
an unprivileged user first. Used for clang, the static check and the simulator.
"""

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from process.effort import Priority, current
from process.pace import Fixed
from process.run import Completed, ResourceLimits, called, run

# The user that builds generated code; systemd/sysusers creates it. Without an installed service (a
# checkout, the lab) `nobody` stands in.
BUILD_USER = "schedpilot-build"

SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc/alternatives", "/etc/ld.so.cache")


@dataclass(frozen=True)
class Sandbox:
    """What a confined child may see. Everything else is absent.

    `read` and `write` are existing host paths, mounted at the same path inside.
    """

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    cwd: Path = Path("/")
    limits: ResourceLimits = field(
        default_factory=lambda: ResourceLimits(memory=4 << 30, cpu=60, file=64 << 20, processes=0)
    )


def _drop() -> list[str]:
    """The prefix with which root becomes the build user for good."""
    if os.geteuid() != 0:
        return []
    try:
        user = pwd.getpwnam(BUILD_USER)
    except KeyError:
        user = pwd.getpwnam("nobody")
    return [
        "setpriv",
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        "--no-new-privs",
        "--inh-caps=-all",
        "--",
    ]


def _ordinary() -> list[str]:
    """The prefix that gives a child of the high-priority daemon an ordinary priority.

    None if the child belongs to work that has its own priority (`process.effort`), or our parent
    does.
    """
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    own = current() is not None or nice == Priority.URGENT.value
    return ["nice", "-n", str(-nice)] if nice < 0 and not own else []


def build_user_id() -> tuple[int, int] | None:
    """User and group id of the confined child if the caller is root, else None."""
    if os.geteuid() != 0:
        return None
    try:
        user = pwd.getpwnam(BUILD_USER)
    except KeyError:
        user = pwd.getpwnam("nobody")
    return user.pw_uid, user.pw_gid


def hand_out(folder: Path) -> None:
    """Give the confined child, which is another user if we are root, access to a folder.

    It uses the group, so that the service, which has neither CAP_CHOWN nor CAP_DAC_OVERRIDE, can
    hand the folder out (it is a member) and read and remove the child's files in it.
    """
    user = build_user_id()
    if user is not None:
        os.chown(folder, -1, user[1])
        folder.chmod(0o770)


def confined(argv: Sequence[str | Path], box: Sandbox) -> list[str]:
    """The command with everything that confines it, except its limits."""
    binds: list[str] = []
    for path in SYSTEM:
        binds += ["--ro-bind-try", path, path]
    for each in box.read:
        binds += ["--ro-bind", str(each), str(each)]
    for each in box.write:
        binds += ["--bind", str(each), str(each)]
    return [
        *_ordinary(),
        *_drop(),
        "bwrap",
        "--unshare-all",
        # No new session: the child already has one without a terminal, and a second one would be
        # its own autogroup, in which its priority would count against nobody.
        "--die-with-parent",
        "--tmpfs",
        "/tmp",  # noqa: S108 - the empty one inside the sandbox
        "--dev",
        "/dev",
        *binds,
        "--chdir",
        str(box.cwd),
        "--",
        *(str(word) for word in argv),
    ]


def sandboxed(
    argv: Sequence[str | Path],
    box: Sandbox,
    *,
    timeout: float | Fixed,
    name: str = "",
    check: bool = False,
    input: bytes | None = None,
) -> Completed:
    """Run a child that can reach only what `box` names. Other arguments as for `run`.

    Raises:
        Fault: MISSING_TOOL, TIMEOUT, or (with `check`) CHILD_FAILED.
    """
    return run(
        confined(argv, box),
        timeout=timeout,
        name=name or called(argv),
        input=input,
        limits=box.limits,
        check=check,
    )
