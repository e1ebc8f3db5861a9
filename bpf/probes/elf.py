# SPDX-License-Identifier: GPL-2.0-or-later
"""The places of functions and markers (USDT) in a program, in the kernel's form: offsets in its
file.

Reads ELF of 64 bits, little-endian, according to elf(5); markers in the format of SystemTap's
<sys/sdt.h>. A file may be damaged or made to confuse: sizes are bounded, and whatever does not fit
is a fault, never a crash.
"""

import difflib
import mmap
import os
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bpf.common.elf_sections import (
    DYNAMIC_SYMBOLS,
    NOTES,
    SYMBOLS,
    Buffer,
    ElfError,
    ElfSection,
    content,
    linked,
    read_header,
    read_sections,
    symbols,
    unpack,
)
from process import Fault, FaultType, printable

# Larger files are not read: the largest browsers have 500 MB.
LARGEST_BYTES = 4 << 30
# Limits on places of one marker, which the compiler may have copied, and on functions of one name.
MOST_PLACES = 64
DEBUG_FILES = Path("/usr/lib/debug/.build-id")
_FUNCTION = 2
_LOAD, _EXECUTABLE = 1, 1
# type, flags, offset, address, physical address, size in the file, …
_SEGMENT = struct.Struct("<IIQQQQQQ")


@dataclass(frozen=True)
class MarkerPlace:
    """`offset` in the file; `counter`: that of the marker's semaphore, which is above 0 while
    somebody observes; 0 if it has none.
    """

    offset: int
    counter: int = 0


class ElfProgram:
    """One executable or library. Use `opened`.

    Raises:
        Fault: BAD_REQUEST, from every method: it is not such a file, or is damaged.
    """

    def __init__(self, path: Path, data: Buffer) -> None:
        self._path = path
        self._data = data
        try:
            header = read_header(data)
            if header.segments and header.segment_bytes != _SEGMENT.size:
                raise ElfError("its headers are not as they should be")
            self._segments = [
                unpack(_SEGMENT, data, header.segments_at + _SEGMENT.size * number)
                for number in range(header.segments)
            ]
            self._sections = read_sections(data, header)
        except ElfError as error:
            raise self._wrong(str(error)) from None

    def functions(self, name: str) -> list[MarkerPlace]:
        """Where the function begins.

        Raises:
            Fault: NOT_FOUND with the nearest names, UNSUPPORTED for one whose return cannot be
                observed safely.
        """
        if any(each.name in (b".gopclntab", b".note.go.buildid") for each in self._sections):
            raise Fault(
                FaultType.UNSUPPORTED,
                "this program is written in Go",
                where=str(self._path),
                why="Go moves stacks, and a probe of a return crashes a program that does",
                hint="use a number that the program itself provides: its metrics page (`scrape`)",
            )
        addresses = self._addresses(name)
        if not addresses and (debug := self._debug_file()) is not None:
            with opened(debug) as other:
                # At the same addresses; its contents are left out.
                addresses = other._addresses(name)
        if not addresses:
            raise self._absent(name, self._names(), "function")
        if len(addresses) > MOST_PLACES:
            raise self._wrong(f"it has {len(addresses)} functions {name!r}")
        return [MarkerPlace(self._offset(each, executable=True)) for each in sorted(addresses)]

    def markers(self, name: str) -> list[MarkerPlace]:
        """The place of a marker, `provider:name`.

        Raises:
            Fault: NOT_FOUND with the nearest names.
        """
        found: list[MarkerPlace] = []
        others: set[str] = set()
        for marker, address, semaphore in self._notes():
            if marker == name:
                counter = self._offset(semaphore, executable=False) if semaphore else 0
                found.append(MarkerPlace(self._offset(address, executable=True), counter))
            elif len(others) < 5000:
                others.add(marker)
        if not found:
            raise self._absent(name, sorted(others), "marker")
        if len(found) > MOST_PLACES:
            raise self._wrong(f"it has {len(found)} places of the marker {name!r}")
        return found

    def _tables(self) -> Iterator[tuple[ElfSection, bytes]]:
        """Each table of symbols, and its strings."""
        for table in self._sections:
            if table.type in (SYMBOLS, DYNAMIC_SYMBOLS):
                try:
                    yield table, linked(self._data, self._sections, table)
                except ElfError as error:
                    raise self._wrong(str(error)) from None

    def _functions(self, table: ElfSection) -> Iterator[tuple[int, int]]:
        """Where the name of each function begins, and its address."""
        try:
            for each in symbols(self._data, table):
                if each.type == _FUNCTION and each.section:
                    yield each.name_at, each.value
        except ElfError as error:
            raise self._wrong(str(error)) from None

    def _addresses(self, name: str) -> set[int]:
        """All functions of this name, from all symbol tables."""
        wanted = name.encode() + b"\0"
        found: set[int] = set()
        for table, strings in self._tables():
            # A name may be the end of a longer one: linkers share them.
            places: set[int] = set()
            at = strings.find(wanted)
            while at >= 0 and len(places) < 4096:
                places.add(at)
                at = strings.find(wanted, at + 1)
            if places:
                found |= {
                    value for place, value in self._functions(table) if place in places and value
                }
        return found

    def _names(self) -> list[str]:
        """Functions, for a message; only some if there are many."""
        found: set[str] = set()
        for table, strings in self._tables():
            for place, _ in self._functions(table):
                if len(found) >= 20_000:
                    break
                end = strings.find(b"\0", place, place + 200)
                found.add(strings[place : max(end, place)].decode("utf-8", "replace"))
        return sorted(found - {""})

    def _notes(self) -> Iterator[tuple[str, int, int]]:
        """Each marker: `provider:name`, its address, and its semaphore's (0: none)."""
        base_now = next(
            (each.address for each in self._sections if each.name == b".stapsdt.base"), 0
        )
        for section in self._sections:
            if section.type != NOTES or section.name != b".note.stapsdt":
                continue
            raw = self._content(section)
            at = 0
            while at + 12 <= len(raw):
                name_size, size, kind = struct.unpack_from("<III", raw, at)
                begin = at + 12 + (name_size + 3) // 4 * 4
                at = begin + (size + 3) // 4 * 4
                if kind != 3 or size < 24 or begin + size > len(raw):
                    continue
                address, base, semaphore = struct.unpack_from("<QQQ", raw, begin)
                words = raw[begin + 24 : begin + size].split(b"\0", 2)
                if len(words) < 2:
                    continue
                # As the linker left it: prelink may have moved everything since.
                moved = base_now - base if base_now else 0
                marker = b":".join(words[:2]).decode("utf-8", "replace")
                yield marker, address + moved, semaphore + moved if semaphore else 0

    def _offset(self, address: int, *, executable: bool) -> int:
        for type_, flags, offset, begin, _, size, _, _ in self._segments:
            if type_ != _LOAD or not begin <= address < begin + size:
                continue
            if executable and not flags & _EXECUTABLE:
                continue
            if address - begin + offset < len(self._data):
                return address - begin + offset
        raise self._wrong("an address in it is not in what is loaded of it")

    def _debug_file(self) -> Path | None:
        """The file that Debian's `…-dbgsym` installs for it, by its build id."""
        for section in self._sections:
            if section.name == b".note.gnu.build-id" and section.size <= 256:
                id_ = self._content(section)[16:].hex()
                path = DEBUG_FILES / id_[:2] / f"{id_[2:]}.debug"
                return path if len(id_) > 4 and path.is_file() else None
        return None

    def _content(self, section: ElfSection) -> bytes:
        try:
            return content(self._data, section)
        except ElfError as error:
            raise self._wrong(str(error)) from None

    def _wrong(self, why: str) -> Fault:
        return Fault(
            FaultType.BAD_REQUEST, "this program cannot be probed", where=str(self._path), why=why
        )

    def _absent(self, name: str, names: list[str], what: str) -> Fault:
        near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
        said = "nearest" if near else "such as"
        some = ", ".join(printable(each) for each in near or names[:3])
        return Fault(
            FaultType.NOT_FOUND,
            f"the program has no {what} {name!r}",
            where=str(self._path),
            why=f"it has {len(names)}{f'; {said}: {some}' if some else ''}",
            hint="the names are in `readelf -n FILE` (markers)"
            if what == "marker"
            else "the names are in `nm -D FILE`; those of a stripped program come with its debug "
            "symbols (…-dbgsym)",
        )


class opened:  # noqa: N801 - reads as a word
    """A program as a context manager.

    Raises:
        Fault: NOT_FOUND, NOT_ALLOWED or BAD_REQUEST.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> ElfProgram:
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            denied = isinstance(error, PermissionError)
            raise Fault(
                FaultType.NOT_ALLOWED if denied else FaultType.NOT_FOUND,
                "the program cannot be opened",
                where=str(self._path),
                why=error.strerror or str(error),
                hint=(
                    "the daemon must be able to see and read it: /home and /tmp are hidden from "
                    "its service (ProtectHome=, PrivateTmp=), and it may read what everybody may"
                ),
            ) from None
        try:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode) or not 64 <= about.st_size <= LARGEST_BYTES:
                raise Fault(
                    FaultType.BAD_REQUEST, "this is not a program", where=str(self._path),
                    why="it is not a regular file, or has an implausible size",
                )  # fmt: skip
            self._data = mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
        finally:
            os.close(descriptor)
        try:
            return ElfProgram(self._path, self._data)
        except BaseException:
            self._data.close()
            raise

    def __exit__(self, *error: object) -> None:
        self._data.close()
