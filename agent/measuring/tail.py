# SPDX-License-Identifier: GPL-2.0-or-later
"""The lines that are added to a file, through its rotation: a new file in its place, or a truncated
one.

Content from before the first opening is not read. Lines written between the last read and a
truncation (`copytruncate`) are lost, as they are for every reader.
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

# Polling interval, seconds.
LOOK_S = 0.25
# Bytes per read; and how far behind the reader may be before the rest is skipped.
CHUNK_BYTES = 1 << 20
MOST_BEHIND_BYTES = 64 << 20
# Longest line; longer ones are cut there.
LINE_BYTES = 16_384


class Tail:
    """One file, at the place where its name leads at the moment.

    Args:
        place: returns the file's path at each look; None if there is none yet.
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
        """The whole lines that were added since the last read, at most a megabyte of them.

        Raises:
            Fault: NOT_FOUND or NOT_ALLOWED if the file cannot be opened at the first look; a file
                that goes away later is waited for.
        """
        if self._file is None and not self._open():
            return []
        lines = self._read()
        if not lines and self._moved():
            # Everything written to the old file until now has been read.
            self._end_of_file()
            if self._open():
                lines = self._read()
        return lines

    def _open(self) -> bool:
        path = self._place()
        if path is None:
            # In this case all its content is new.
            self._first = False
            return False
        try:
            # Opening a pipe would wait for its writer.
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
            # The place lies within some line.
            self._rest, self._cut = b"", True
        return self._lines(file.read(CHUNK_BYTES) or b"")

    def _lines(self, read: bytes) -> list[bytes]:
        *whole, rest = (self._rest + read).split(b"\n")
        if self._cut and whole:
            # The end of a line whose beginning was already handled.
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
