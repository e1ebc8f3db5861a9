# SPDX-License-Identifier: GPL-2.0-or-later
"""Output files that a user named: a file that cannot be written is a fault.

An existing file is rewritten in place, so that a device, a pipe or a link stays one.
"""

import stat
from pathlib import Path

from process.fault import Fault, FaultType


def require_writable(path: Path, what: str) -> None:
    """Check before minutes of work whether the file can be written; leaves nothing behind.

    Args:
        what: what the file will be (`the report`), for the fault.

    Raises:
        Fault: STATE.
    """
    try:
        try:
            there = stat.S_IFMT(path.stat().st_mode)
        except FileNotFoundError:
            # Also a link whose target does not exist yet.
            target = path.resolve()
            with path.open("ab"):
                pass
            target.unlink(missing_ok=True)
            return
        # Opening a pipe would wait for a reader.
        if there in (stat.S_IFREG, stat.S_IFDIR):
            with path.open("ab"):
                pass
    except (OSError, ValueError, RuntimeError) as error:
        raise _unwritable(path, what, error) from None


def write_output(path: Path, data: bytes, what: str) -> None:
    """Write the requested file.

    Raises:
        Fault: STATE.
    """
    try:
        path.write_bytes(data)
    except (OSError, ValueError) as error:
        raise _unwritable(path, what, error) from None


def _unwritable(path: Path, what: str, error: Exception) -> Fault:
    return Fault(
        FaultType.STATE,
        f"{what} cannot be written",
        where=str(path),
        why=getattr(error, "strerror", None) or str(error),
        hint="name a file in a folder that you may write, on a disk with room",
    )
