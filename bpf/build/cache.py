# SPDX-License-Identifier: GPL-2.0-or-later
"""Cache of headers from BTF, precompiled headers and objects.

Everybody may read it, because clang runs as a user without rights; only we may write. All of it can
be deleted at any time.
"""

import os
import shutil
import tempfile
from pathlib import Path

from process import Fault, FaultType

SYSTEM = Path("/var/cache/schedpilot")


def make(folder: Path) -> None:
    """Make a folder, and missing ones above it, readable for everybody.

    Independent of the umask: a service's is often 077, and the compiler is another user.

    Raises:
        Fault: STATE if one of them cannot be made, or something else is in its place.
    """
    try:
        missing = [each for each in (folder, *folder.parents) if not each.is_dir()]
        for each in reversed(missing):
            each.mkdir(exist_ok=True)
            each.chmod(0o755)
    except OSError as error:
        raise Fault(
            FaultType.STATE,
            "the cache folder cannot be made",
            where=str(error.filename or folder),
            why=error.strerror or "",
            hint="free space, or name a folder that you may write",
        ) from None


def folder(base: Path | None = None) -> Path:
    """The cache: the system's for root, else the user's. Made if it does not exist.

    Raises:
        Fault: STATE if it cannot be made or written.
    """
    if base is None:
        if os.geteuid() == 0 or os.access(SYSTEM, os.W_OK):
            base = SYSTEM
        else:
            home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
            base = Path(home) / "schedpilot"
    make(base)
    return base


def write(path: Path, data: bytes) -> None:
    """Write a whole file that everybody may read; others see all of it or nothing.

    Raises:
        Fault: STATE if the file system refuses.
    """
    try:
        make(path.parent)
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
            Path(name).chmod(0o644)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Fault(
            FaultType.STATE,
            "a file of the cache cannot be written",
            where=str(path),
            why=error.strerror or "",
            hint="free space, or make the folder writable",
        ) from None


def prune(parent: Path, keep: int) -> None:
    """Keep the newest entries of a folder, as far as they can be counted and removed."""
    try:
        entries = sorted(parent.iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)
    except OSError:
        return
    for each in entries[keep:]:
        if each.is_dir():
            shutil.rmtree(each, ignore_errors=True)
        else:
            each.unlink(missing_ok=True)
