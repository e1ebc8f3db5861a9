# SPDX-License-Identifier: GPL-2.0-or-later
"""The sections of an ELF file of 64 bits, little-endian, according to elf(5). Pure.

Files are anybody's: every offset and size in them is checked against the file before it is used,
and what does not fit is an `ElfError`, nothing else.
"""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass

Buffer = bytes | mmap.mmap

SYMBOLS, RELOCATIONS, NOTES, DYNAMIC_SYMBOLS = 2, 9, 7, 11
_WEAK = 2
# Has a size, but no bytes in the file (SHT_NOBITS): `.bss`, and most of a file of debug symbols.
_EMPTY = 8
_MAGIC = b"\x7fELF\x02\x01"
# Version, entry, flags and its own size are skipped.
_HEADER = struct.Struct("<HH12xQQ6xHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
# A larger section is not copied into memory; the largest browsers have 500 MB in all.
LARGEST_SECTION_BYTES = 512 << 20
# No linker writes a longer name of a section; those of symbols are cut by their readers.
_LONGEST_NAME = 4096


class ElfError(ValueError):
    """The file is not ELF of this kind, or is damaged."""


@dataclass(frozen=True, slots=True)
class ElfHeader:
    """Where the tables of a file are, and how many entries they have."""

    kind: int
    machine: int
    segments_at: int
    sections_at: int
    segment_bytes: int
    segments: int
    section_bytes: int
    sections: int
    names_index: int


@dataclass(frozen=True, slots=True)
class ElfSection:
    name: bytes
    type: int
    address: int
    offset: int
    size: int
    link: int
    info: int


@dataclass(frozen=True, slots=True)
class ElfSymbol:
    """`name_at` is its place in the table of strings; `section` the number of its section, 0: it is
    not defined here. A `weak` one need not be defined anywhere.
    """

    name_at: int
    type: int
    section: int
    value: int
    weak: bool = False


def unpack(layout: struct.Struct, data: Buffer, at: int) -> tuple[int, ...]:
    """The numbers at a place of the file.

    Raises:
        ElfError: they are not wholly in it.
    """
    if not 0 <= at <= len(data) - layout.size:
        raise ElfError("it is cut off")
    return layout.unpack_from(data, at)


def read_header(data: Buffer) -> ElfHeader:
    """Raises ElfError."""
    if data[: len(_MAGIC)] != _MAGIC:
        raise ElfError("this is not a program of 64 bits, little-endian (ELF)")
    return ElfHeader(*unpack(_HEADER, data, 16))


def read_sections(data: Buffer, header: ElfHeader) -> tuple[ElfSection, ...]:
    """All sections, in order; without a table of names each has the name "".

    Raises:
        ElfError: a header or a name is not as it should be. Other contents are not looked at.
    """
    if not header.sections:
        return ()
    if header.section_bytes != _SECTION.size:
        raise ElfError("its headers are not as they should be")
    raw = [
        unpack(_SECTION, data, header.sections_at + _SECTION.size * number)
        for number in range(header.sections)
    ]
    unnamed = [ElfSection(b"", each[1], *each[3:8]) for each in raw]
    # Sections do not overlap; thousands that are each the whole file would be read that often.
    if sum(each.size for each in unnamed if each.type != _EMPTY) > 2 * len(data):
        raise ElfError("its sections are larger than the file")
    if not header.names_index:
        return tuple(unnamed)
    if header.names_index >= len(raw):
        raise ElfError("it has no table of names")
    names = content(data, unnamed[header.names_index])
    return tuple(ElfSection(text_at(names, each[0]), each[1], *each[3:8]) for each in raw)


def content(data: Buffer, section: ElfSection) -> bytes:
    """The bytes of a section; none for one that has no bytes in the file.

    Raises:
        ElfError: it is not wholly in the file, or is too large to be read.
    """
    if section.type == _EMPTY:
        return b""
    if section.size > LARGEST_SECTION_BYTES:
        raise ElfError("a section of it is too large")
    if section.offset > len(data) - section.size:
        raise ElfError("it is cut off")
    return bytes(data[section.offset : section.offset + section.size])


def linked(data: Buffer, sections: tuple[ElfSection, ...], section: ElfSection) -> bytes:
    """The contents of the section that this one refers to: a table of symbols' strings.

    Raises:
        ElfError: there is none, or it is not in the file.
    """
    if section.link >= len(sections):
        raise ElfError("a table of symbols has no names")
    return content(data, sections[section.link])


def symbols(data: Buffer, table: ElfSection) -> Iterator[ElfSymbol]:
    """The symbols of a table; an incomplete last one is left out.

    Raises:
        ElfError: the table is not in the file.
    """
    raw = content(data, table)
    whole = memoryview(raw)[: len(raw) // _SYMBOL.size * _SYMBOL.size]
    for name_at, info, _, section, value, _ in _SYMBOL.iter_unpack(whole):
        yield ElfSymbol(name_at, info & 15, section, value, info >> 4 == _WEAK)


def text_at(strings: bytes, at: int) -> bytes:
    """The text that begins there in a table of strings.

    Raises:
        ElfError: it does not end, or is longer than names are.
    """
    end = strings.find(b"\0", at, at + _LONGEST_NAME)
    if end < 0:
        raise ElfError("a name in it does not end")
    return strings[at:end]
