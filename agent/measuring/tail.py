# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines that are added to a file, through its rotation: a new file in its place, or a cut one.

What a file holds before it is opened first is not read. What is written between the last look and
a cut (`copytruncate`) is lost, as it is for everybody.
"""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Callable
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Self

from process import Fault, FaultType

# Between two looks, seconds.
LOOK_S = 0.25
# Read in one look, bytes; and how far behind one may be before the rest is left out.
CHUNK_BYTES = 1 << 20
MOST_BEHIND_BYTES = 64 << 20
# Of a line. What is longer is cut there.
LINE_BYTES = 16_384


class Tail:
    """One file, wherever its name leads at the moment.

    Args:
        place: answers with the file's path, each time that one looks; None while there is none.
    """

    def __init__(self, place: Callable[[], Path | None]) -> None:
        self._place = place
        self._file: FileIO | None = None
        self._rest = b""
        self._cut = False
        self._first = True
        self.skipped_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._file is not None:
            self._file.close()

    def look(self) -> list[bytes]:
        """The whole lines that were added since the last look, at most a megabyte of them.

        Raises:
            Fault: NOT_FOUND or NOT_ALLOWED where the file cannot be opened at the first look; a
                file that goes away later is waited for.
        """
        if self._file is None and not self._open():
            return []
        lines = self._read()
        if not lines and self._moved():
            # What was written to the old one until now has been read.
            self._end_of_file()
            if self._open():
                lines = self._read()
        return lines

    def _open(self) -> bool:
        path = self._place()
        if path is None:
            # Whatever comes is new.
            self._first = False
            return False
        try:
            # A pipe would wait for whoever writes to it.
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if self._first:
                raise _unreadable(path, error) from None
            return False
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Fault(FaultType.BAD_CONFIG, "this is not a regular file", where=str(path))
        file = os.fdopen(descriptor, "rb", buffering=0)
        if self._first:
            file.seek(0, os.SEEK_END)
        self._first = False
        self._file = file
        return True

    def _read(self) -> list[bytes]:
        file = self._file
        if file is None:
            return []
        size = os.fstat(file.fileno()).st_size
        place = file.tell()
        if size < place:
            self._rest, self._cut = b"", False
            place = file.seek(0)
        if size - place > MOST_BEHIND_BYTES:
            self.skipped_bytes += size - CHUNK_BYTES - place
            file.seek(size - CHUNK_BYTES)
            # It lies within some line.
            self._rest, self._cut = b"", True
        return self._lines(file.read(CHUNK_BYTES) or b"")

    def _lines(self, read: bytes) -> list[bytes]:
        *whole, rest = (self._rest + read).split(b"\n")
        if self._cut and whole:
            # The end of a line whose beginning was dealt with.
            whole, self._cut = whole[1:], False
        if len(rest) > LINE_BYTES:
            if not self._cut:
                whole.append(rest)
            self._cut, rest = True, b""
        self._rest = rest
        return [line[:LINE_BYTES] for line in whole]

    def _moved(self) -> bool:
        """Whether the name leads to another file by now."""
        path = self._place()
        if path is None or self._file is None:
            return False
        try:
            now = path.stat()
        except OSError:
            return False
        own = os.fstat(self._file.fileno())
        return (now.st_dev, now.st_ino) != (own.st_dev, own.st_ino)

    def _end_of_file(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file, self._rest, self._cut = None, b"", False


def follow(tail: Tail) -> AsyncGenerator[str, None]:
    """Its lines from now on as they come, for ever.

    Raises:
        Fault: the file cannot be read, now or later.
    """
    tail.look()
    return _lines_of(tail)


async def _lines_of(tail: Tail) -> AsyncGenerator[str, None]:
    with tail:
        while True:
            try:
                lines = await asyncio.to_thread(tail.look)
            except OSError as error:
                raise Fault(
                    FaultType.STATE, "the file cannot be read", why=str(error.strerror or error)
                ) from None
            for line in lines:
                yield line.decode("utf-8", "replace").rstrip("\r")
            if not lines:
                await asyncio.sleep(LOOK_S)


def _unreadable(path: Path, error: OSError) -> Fault:
    if isinstance(error, PermissionError):
        return Fault(
            FaultType.NOT_ALLOWED,
            "the file may not be read",
            where=str(path),
            why=error.strerror or "",
            hint="give the user schedpilot-agent the file's group: SupplementaryGroups=adm in "
            "`systemctl edit schedpilot-agent`; below /home it needs ProtectHome=read-only, too",
        )
    return Fault(
        FaultType.NOT_FOUND,
        "the file cannot be opened",
        where=str(path),
        why=error.strerror or str(error),
        hint="check its path; /home and /root are hidden from the service (ProtectHome=), and "
        "/tmp is its own (PrivateTmp=)",
    )
