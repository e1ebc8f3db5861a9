# SPDX-License-Identifier: GPL-2.0-or-later
"""A command as a workload of its own, so that the daemon can tell it from all else."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


@contextlib.contextmanager
def placed(command: Sequence[str]) -> Iterator[str]:
    """The id of the workload that children of this process are, for the length of the block.

    A cgroup of their own where one can be made: else that of this process, or in the root
    cgroup the command's name.
    """
    own = _own_cgroup()
    made = CGROUPS / own.strip("/") / f"schedpilot-tune-{os.getpid()}"
    try:
        # Where this is missing it is no cgroup2, and a folder in it would be just a folder.
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
