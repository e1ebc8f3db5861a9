# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a command as a workload of its own, so that the daemon can tell it from everything else."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def placed(command: Sequence[str]) -> Iterator[str]:
    """The workload id of this process's children while the block runs.

    They get their own cgroup if one can be made; else the id is that of this process's cgroup, or
    the command's name in the root cgroup.
    """
    own = _own_cgroup()
    made = CGROUPS / own.strip("/") / f"schedpilot-tune-{os.getpid()}"
    try:
        # Without this file it is not cgroup v2, and a folder in it would be just a folder.
        (made.parent / "cgroup.controllers").stat()
        made.mkdir()
        (made / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        with contextlib.suppress(OSError):
            made.rmdir()
        yield f"cgroup:{own}" if own != "/" else f"comm:{Path(command[0]).name[:15]}"
        return
    try:
        yield f"cgroup:/{made.relative_to(CGROUPS)}"
    finally:
        with contextlib.suppress(OSError):
            (CGROUPS / own.strip("/") / "cgroup.procs").write_text(str(os.getpid()))
            made.rmdir()


def _own_cgroup() -> str:
    for line in Path("/proc/self/cgroup").read_text("utf-8", "surrogateescape").splitlines():
        if line.startswith("0::"):
            return line.removeprefix("0::") or "/"
    return "/"
