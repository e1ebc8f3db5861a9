# SPDX-License-Identifier: GPL-2.0-or-later
"""Which callbacks of `struct sched_ext_ops` a scheduler has, and which ones a kernel knows.

A scheduler's are read from its compiled object: each callback is a relocation in the section of the
scheduler's struct. A third-party scheduler carries its object inside its program, and it is found
there. Objects and programs are anybody's: what does not fit gives `None`, never a crash.
"""

import mmap
import stat
import struct
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from bpf.common.elf_sections import (
    RELOCATIONS,
    SYMBOLS,
    Buffer,
    ElfError,
    ElfSection,
    content,
    linked,
    read_header,
    read_sections,
    symbols,
    text_at,
)
from bpf.kernel.btf import KIND_DATASEC, KIND_STRUCT, KIND_VAR, Btf

OPS = "sched_ext_ops"
# Where a scheduler's struct may be. One with `?` is loaded only on request.
_SECTIONS = (b".struct_ops.link", b".struct_ops", b"?.struct_ops.link", b"?.struct_ops")
# An object of 64 bits, little-endian, not yet linked (ET_REL), for BPF (EM_BPF).
_BEGINS = b"\x7fELF\x02\x01\x01"
_KIND, _MACHINE = 1, 247
_KIND_AND_MACHINE = struct.pack("<HH", _KIND, _MACHINE)
_MOST_SECTIONS = 4096
# The largest schedulers have some megabytes; a program has one object, or a few.
_LARGEST_OBJECT = 64 << 20
_LARGEST_PROGRAM = 1 << 30
_MOST_OBJECTS = 16


def kernel_callbacks(btf: bytes) -> frozenset[str]:
    """The members of a kernel's `struct sched_ext_ops`; empty without sched_ext. Pure.

    Raises:
        ValueError: it is not BTF.
    """
    types = Btf(btf)
    places = types.places_of(OPS)
    for each in types.types(KIND_STRUCT):
        if each.name_at in places:
            return frozenset(types.members(each).values())
    return frozenset()


@lru_cache(maxsize=2)
def _callbacks_of(btf: Path, size: int, time_ns: int) -> frozenset[str]:
    return kernel_callbacks(btf.read_bytes())


def read_kernel_callbacks(btf: Path) -> frozenset[str] | None:
    """Those of the kernel with this BTF; None if it cannot be read. 0.3 s the first time."""
    try:
        about = btf.stat()
        return _callbacks_of(btf, about.st_size, about.st_mtime_ns)
    except (OSError, ValueError):
        return None


def object_callbacks(data: bytes) -> frozenset[str] | None:
    """The callbacks that a compiled scheduler sets. Pure.

    None if it cannot be read, or has no scheduler. Of an object with several schedulers only those
    that each of them sets.
    """
    try:
        return _object_callbacks(data)
    except (ValueError, LookupError, StopIteration, struct.error):
        return None


def _object_callbacks(data: bytes) -> frozenset[str] | None:
    sections = object_sections(data)
    types = Btf(content(data, next(each for each in sections if each.name == b".BTF")))
    places = types.places_of(OPS)
    members: dict[int, dict[int, str]] = {}
    variables: dict[int, tuple[str, int]] = {}
    of_section: dict[bytes, list[int]] = {}
    for each in types.types(KIND_STRUCT, KIND_VAR, KIND_DATASEC):
        if each.kind == KIND_STRUCT and each.name_at in places:
            members[each.number] = types.members(each)
        elif each.kind == KIND_VAR:
            variables[each.number] = types.name(each.name_at), each.reference
        elif each.kind == KIND_DATASEC:
            named = types.name(each.name_at).encode()
            of_section[named] = [number for number, _, _ in struct.iter_unpack("=III", each.tail)]
    found: list[frozenset[str]] = []
    for index, section in enumerate(sections):
        if section.name not in _SECTIONS:
            continue
        places_of = _symbols(data, sections, index)
        relocated = _relocated(data, sections, index)
        for number in of_section.get(section.name, ()):
            name, type_number = variables[number]
            if type_number not in members:
                continue
            begin = places_of[name]
            at = {each - begin for each in relocated}
            # A place that is no callback of this one belongs to another scheduler of the section.
            found.append(
                frozenset(named for offset, named in members[type_number].items() if offset in at)
            )
    return frozenset.intersection(*found) if found else None


def object_sections(data: bytes) -> tuple[ElfSection, ...]:
    """The sections of a compiled scheduler.

    Raises:
        ElfError: it is no BPF object, or damaged.
    """
    header = read_header(data)
    if (header.kind, header.machine) != (_KIND, _MACHINE):
        raise ElfError("not a BPF object")
    if header.sections > _MOST_SECTIONS:
        raise ElfError("it has too many sections")
    return read_sections(data, header)


def _symbols(data: bytes, sections: tuple[ElfSection, ...], index: int) -> dict[str, int]:
    """Where each symbol of a section begins in it."""
    table = next(each for each in sections if each.type == SYMBOLS)
    strings = linked(data, sections, table)
    return {
        text_at(strings, each.name_at).decode("ascii", "replace"): each.value
        for each in symbols(data, table)
        if each.section == index and each.name_at
    }


def _relocated(data: bytes, sections: tuple[ElfSection, ...], index: int) -> frozenset[int]:
    """The offsets in a section that the loader fills with the address of a program."""
    return frozenset(
        offset
        for table in sections
        if table.type == RELOCATIONS and table.info == index
        for offset, _ in struct.iter_unpack("<QQ", content(data, table))
    )


def _objects_in(program: Buffer) -> Iterator[bytes]:
    """The BPF objects that are embedded in a program."""
    at = -1
    for _ in range(_MOST_OBJECTS):
        while (at := program.find(_BEGINS, at + 1)) >= 0:
            if program[at + 16 : at + 20] == _KIND_AND_MACHINE:
                break
        if at < 0:
            return
        # The headers of its sections are at its end.
        try:
            header = read_header(program[at : at + 64])
        except ElfError:
            return
        size = header.sections_at + header.section_bytes * header.sections
        if size <= _LARGEST_OBJECT:
            yield program[at : at + size]


def program_callbacks(program: Buffer) -> frozenset[str] | None:
    """The callbacks of the scheduler that a program carries; None if none can be read.

    If it carries several schedulers, only those that each of them sets.
    """
    found = [object_callbacks(each) for each in _objects_in(program)]
    known = [each for each in found if each is not None]
    return frozenset.intersection(*known) if known else None


def read_object_callbacks(path: Path) -> frozenset[str] | None:
    """Those of a compiled scheduler; None if they cannot be read.

    Only of an ordinary file of a bounded size: what is named may be a device that never ends.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode) or about.st_size > _LARGEST_OBJECT:
            return None
        with path.open("rb") as file:
            return object_callbacks(file.read(_LARGEST_OBJECT))
    except OSError:
        return None


@lru_cache(maxsize=64)
def _program_callbacks(path: Path, size: int, time_ns: int) -> frozenset[str] | None:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as program:
        return program_callbacks(program)


def read_program_callbacks(path: Path) -> frozenset[str] | None:
    """Those of an installed scheduler's program; None if they cannot be read."""
    try:
        about = path.stat()
        if not 0 < about.st_size <= _LARGEST_PROGRAM:
            return None
        return _program_callbacks(path, about.st_size, about.st_mtime_ns)
    except (OSError, ValueError):
        return None
