# SPDX-License-Identifier: GPL-2.0-or-later
"""ELF files of anybody: what is in them is found, and what does not fit is a typed error."""

import contextlib
import mmap
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpf.common.elf_sections import (
    LARGEST_SECTION_BYTES,
    NOTES,
    SYMBOLS,
    ElfError,
    ElfSection,
    content,
    linked,
    read_header,
    read_sections,
    symbols,
    text_at,
)
from bpf.kernel.callbacks import object_callbacks, program_callbacks
from bpf.probes.elf import ElfProgram, MarkerPlace, opened
from process import Fault

BASE = 0x400000
MARKER = b"prov\0mark\0\0"
STRINGS = b"\0work\0"
NAMES = b"\0.text\0.symtab\0.strtab\0.note.stapsdt\0.shstrtab\0"
# Numbers that damaged and hostile files have in their headers.
ODD = st.sampled_from(
    [0, 1, 63, 64, 4095, 1 << 31, (1 << 32) - 1, 1 << 62, 1 << 63, (1 << 63) + 64, (1 << 64) - 1]
) | st.integers(0, (1 << 64) - 1)


def program() -> bytes:
    """A small executable with the function `work` and the marker `prov:mark`, both at 0x400100."""
    text_at, address = 0x100, BASE + 0x100
    text = b"\x90" * 16
    note = struct.pack("<III", 8, 24 + len(MARKER), 3) + b"stapsdt\0"
    note += struct.pack("<QQQ", address, 0, 0) + MARKER
    note += bytes(-len(note) % 4)
    table = bytes(24) + struct.pack("<IBBHQQ", 1, 2, 0, 1, address, 16)
    parts = {"text": text, "symtab": table, "strtab": STRINGS, "note": note, "names": NAMES}
    at, places = text_at, {}
    for name, part in parts.items():
        places[name] = at
        at += len(part)
    rows = [(0,) * 10] + [
        (NAMES.index(name + b"\0"), kind, 0, place, places[key], len(parts[key]), link, 0, 1, 0)
        for name, key, kind, place, link in (
            (b".text", "text", 1, address, 0),
            (b".symtab", "symtab", SYMBOLS, 0, 3),
            (b".strtab", "strtab", 3, 0, 0),
            (b".note.stapsdt", "note", NOTES, 0, 0),
            (b".shstrtab", "names", 3, 0, 0),
        )
    ]
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, BASE, BASE, at, at, 0x1000)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, address, 64, at, 0, 64, 56, 1, 64, 6, 5)
    whole = (head + segment).ljust(text_at, b"\0") + b"".join(parts.values())
    return whole + b"".join(struct.pack("<IIQQQQIIQQ", *row) for row in rows)


WHOLE = program()


def test_sections_are_found_with_their_contents() -> None:
    """Names, types, contents and symbols are those of the file."""
    sections = read_sections(WHOLE, read_header(WHOLE))
    assert [each.name for each in sections] == [b"", *NAMES.strip(b"\0").split(b"\0")]
    table = next(each for each in sections if each.type == SYMBOLS)
    strings = linked(WHOLE, sections, table)
    assert strings == STRINGS
    (work,) = [each for each in symbols(WHOLE, table) if each.section]
    assert text_at(strings, work.name_at) == b"work"
    assert work.value == BASE + 0x100


def test_functions_and_markers_of_a_program_are_found() -> None:
    """Both are offsets in the file."""
    found = ElfProgram(Path("small"), WHOLE)
    assert found.functions("work") == found.markers("prov:mark") == [MarkerPlace(0x100)]


def test_a_file_without_names_has_sections_without_names() -> None:
    """Number 0 for the table of names means that there is none."""
    harmed = bytearray(WHOLE)
    harmed[62:64] = bytes(2)
    sections = read_sections(bytes(harmed), read_header(bytes(harmed)))
    assert {each.name for each in sections} == {b""}


@pytest.mark.parametrize("size", [len(WHOLE) + 1, LARGEST_SECTION_BYTES + 1, 1 << 63])
@pytest.mark.parametrize("offset", [0, 1 << 31, 1 << 63, (1 << 64) - 1])
def test_contents_beyond_the_file_are_an_error(offset: int, size: int) -> None:
    """Nothing is cut to what happens to be there, and nothing is allocated for it."""
    with pytest.raises(ElfError):
        content(WHOLE, ElfSection(b".text", 1, 0, offset, size, 0, 0))


def test_a_section_without_bytes_in_the_file_is_empty() -> None:
    """Its size says nothing about the file."""
    assert content(WHOLE, ElfSection(b".bss", 8, 0, 1 << 63, 1 << 63, 0, 0)) == b""


def test_sections_that_share_the_whole_file_are_an_error() -> None:
    """Reading each of them would read the file as often."""
    harmed = bytearray(WHOLE)
    for number in range(1, 6):
        at = len(WHOLE) - (6 - number) * 64
        struct.pack_into("<QQ", harmed, at + 24, 0, len(WHOLE))
    with pytest.raises(ElfError, match="larger than the file"):
        read_sections(bytes(harmed), read_header(bytes(harmed)))


def everything(data: bytes) -> None:
    """Read all that anybody reads from a file; only the errors that are promised may come."""
    try:
        sections = read_sections(data, read_header(data))
        for each in sections:
            content(data, each)
            for symbol in symbols(data, each):
                text_at(linked(data, sections, each), symbol.name_at)
    except ElfError:
        pass
    object_callbacks(data)
    program_callbacks(data)
    for ask in (ElfProgram.functions, ElfProgram.markers):
        for name in ("work", "prov:mark"):
            with contextlib.suppress(Fault):
                ask(ElfProgram(Path("damaged"), data), name)


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 8), st.sampled_from("HIQ"), ODD), max_size=4))
def test_odd_numbers_are_a_typed_error(changes: list[tuple[int, str, int]]) -> None:
    """Whatever stands at any place of the file, whether or not it is aligned."""
    harmed = bytearray(WHOLE)
    for at, size, value in changes:
        layout = struct.Struct(f"<{size}")
        layout.pack_into(harmed, at, value & ((1 << 8 * layout.size) - 1))
    everything(bytes(harmed))


HEADERS = range(len(WHOLE) - 6 * 64, len(WHOLE), 8)


@given(st.sampled_from([*range(16, 120, 8), *HEADERS]), ODD, ODD)
def test_odd_headers_are_a_typed_error(at: int, value: int, beside: int) -> None:
    """The same, where offsets and sizes are: in pairs, which have to be checked together."""
    harmed = bytearray(WHOLE)
    struct.pack_into("<QQ", harmed, min(at, len(harmed) - 16), value, beside)
    everything(bytes(harmed))
    # An object is looked for in a program by other headers than in a file of its own.
    harmed[16:20] = struct.pack("<HH", 1, 247)
    everything(bytes(harmed))


@given(st.integers(0, len(WHOLE)))
def test_a_file_may_end_anywhere(end: int) -> None:
    """What is cut off is damaged, and never a crash."""
    everything(WHOLE[:end])


@given(st.sampled_from([*range(16, 120, 8), *HEADERS]), ODD)
def test_a_mapped_file_is_read_like_its_bytes(at: int, value: int) -> None:
    """A map has other limits for places than bytes have; the answers are the same."""
    harmed = bytearray(WHOLE)
    struct.pack_into("<Q", harmed, at, value)

    def answer(data: bytes | mmap.mmap) -> object:
        try:
            return ElfProgram(Path("mapped"), data).functions("work")
        except Fault as fault:
            return fault.why

    with mmap.mmap(-1, len(harmed)) as mapped:
        mapped[:] = bytes(harmed)
        assert answer(mapped) == answer(bytes(harmed))


def test_a_program_that_claims_too_much_is_a_fault() -> None:
    """The fault names the file; a sparse file of the largest size costs no memory."""
    with tempfile.NamedTemporaryFile() as file:
        harmed = bytearray(WHOLE)
        struct.pack_into("<QQ", harmed, len(WHOLE) - 4 * 64 + 24, 0, 3 << 30)
        file.write(harmed)
        file.truncate(4 << 30)
        file.flush()
        with opened(Path(file.name)) as found, pytest.raises(Fault) as caught:
            found.functions("work")
    assert "too large" in caught.value.why
    assert caught.value.where == file.name
