# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile sources are refused within limits; nothing is read and nothing is left behind."""

import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bpf.build.diagnostics import MAX_MESSAGES
from bpf.build.sources import MAX_SOURCE_BYTES
from bpf.static.check import check_source
from process import Fault, FaultType

from .sample import HEAD, said, scheduler

SECRET = "/etc/shadow"  # noqa: S105 - a path
PASTE = "#define PASTE(a, b) a##b\n"


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users may enter; those that pytest makes may be closed to them."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f'#include "{SECRET}"', "may not be included"),
        (f"#include <{SECRET}>", "may not be included"),
        ('#include "../../../../etc/passwd"', "may not be included"),
        ("#include <scx/../../../../etc/passwd>", "may not be included"),
        ("#include <stdio.h>", "may not be included"),
        (f'#inc\\\nlude "{SECRET}"', "may not be included"),
        (f'#inc\\  \nlude "{SECRET}"', "may not be included"),
        (f'/* */ # /* x */ include /* y */ "{SECRET}"', "may not be included"),
        (f'#define FILE "{SECRET}"\n#include FILE', "computed"),
        (f'%:include "{SECRET}"', "digraph"),
        (f'??=include "{SECRET}"', "trigraph"),
        ("#include_next <scx/common.bpf.h>", "#include_next"),
        (f'#import "{SECRET}"', "#import"),
        ('#include "sample.bpf.c"', "may not be included"),
        (f'char a[] = {{\n#embed "{SECRET}"\n}};', "#embed"),
        (f'#if __has_include("{SECRET}")\n#endif', "__has_include"),
        (f'#if __has_embed("{SECRET}")\n#endif', "__has_embed"),
        ("static char when[] = __TIME__;", "__TIME__"),
        (f'__asm__(".incbin \\"{SECRET}\\"");', "inline assembly"),
        (f'__as\\\nm__(".incbin \\"{SECRET}\\"");', "inline assembly"),
        (f'asm("" ".incbin \\"{SECRET}\\"");', "inline assembly"),
        (f'{PASTE}PASTE(as, m)(".incbin \\"{SECRET}\\"");', "inline assembly"),
        (f'#define A asm\nA(".incbin \\"{SECRET}\\"");', "inline assembly"),
        ('#pragma clang section text=".evil"', "#pragma"),
        ("#pragma clang attribute push(__attribute__((used)), apply_to = any(function))", "#prag"),
        ('_Pragma("clang section text=\\".evil\\"")', "_Pragma"),
        ('#line 1 "other.c"', "#line"),
        ('# 1 "other.c"', "#line"),
        ("#unknown", "#unknown"),
        ("/* \u202e */", "invisible character U+202E"),
        ("\0", "invisible character U+0000"),
        ('static char text[] = R"x(\n)x";', "raw string"),
        ('void other(void) __attribute__((alias("sample_init")));', "'alias'"),
        ('__attribute__((section(".init_array"))) static int x;', "'.init_array'"),
    ],
)
def test_tricks_are_seen_for_what_they_are(line: str, message: str) -> None:
    """Any spelling of an include, an assembly or a directive is refused at its line."""
    text = scheduler(before=f"/* here */ \n{line}")
    first = next(each for each in said(text) if each.severity == "error")
    assert message in first.message
    assert first.hint
    at = text[: text.index("/* here */")].count("\n") + 1
    assert at < first.line <= at + 1 + line.count("\n")


def test_nothing_is_said_of_what_stands_in_strings_and_comments() -> None:
    """Words count only where they are code."""
    quoted = (
        '/* #include "/etc/shadow" asm __has_include */\n// asm %:\nstatic char x[] = "asm %:";'
    )
    assert said(scheduler(before=quoted)) == ()


def _bomb(times: int) -> str:
    lines = ["#define A0 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1"]
    lines += [f"#define A{at} {' + '.join([f'A{at - 1}'] * 8)}" for at in range(1, times)]
    return "\n".join([*lines, f"static long bomb = A{times - 1};"])


def _recursion(depth: int) -> str:
    """The equivalent of template recursion in C: macros that make one another be read again."""
    lines = [
        f"#define E{at}(...) " + f"E{at + 1}(" * 4 + "__VA_ARGS__" + ")" * 4 for at in range(depth)
    ]
    return "\n".join(
        [*lines, f"#define E{depth}(...) __VA_ARGS__, __VA_ARGS__", "int z[] = {E0(1)};"]
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (scheduler(before=_bomb(12)), "is too large"),
        (scheduler(before=_recursion(16)), "is too large"),
        (HEAD + f"int d = {'(' * 100_000}1{')' * 100_000};\n", "nested"),
        (HEAD + "__attribute__((" * 20_000 + "\n", "nested"),
        (HEAD + 'asm("nop");\n' * 50_000, "inline assembly"),
    ],
    ids=["macro bomb", "macro recursion", "brackets", "attributes", "many errors"],
)
def test_what_grows_without_end_is_refused_within_limits(
    tmp_path: Path,
    open_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    message: str,
) -> None:
    """Size, depth and number are bounded in time, memory and messages, and no file stays."""
    source = tmp_path / "sample.bpf.c"
    source.write_text(text)
    # A separate folder, because other tests make and remove their folders meanwhile.
    monkeypatch.setattr(tempfile, "tempdir", str(open_folder))
    found = check_source(source)
    assert message in found[0].message
    assert len(found) <= MAX_MESSAGES
    assert not list(open_folder.iterdir())
    # A child of ours may have 2 GiB; the peak resident memory of any is far below.
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 2 << 20


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "static void f(int a)\n{\n" + "if (a) ; else " * 5_000 + ";\n}\n",
        HEAD + "int d = " + "1 ? 2 : " * 5_000 + "1;\n",
        HEAD + "/*" * 300_000,
        HEAD + 'char *a = "' + "\\" * 200_000 + "\n",
        "#if 1\n" * 60_000 + "#endif\n" * 60_000 + HEAD,
    ],
    ids=["else", "conditions", "comment", "string", "#if"],
)
def test_odd_sources_are_read_to_an_end(text: str) -> None:
    """A source that is deep or broken in other ways gives findings or none, and never a crash."""
    assert all(each.message for each in said(text))


def test_fifty_megabytes_are_not_read(tmp_path: Path) -> None:
    """A source above the limit is refused because of its size."""
    source = tmp_path / "sample.bpf.c"
    with source.open("wb") as file:
        file.truncate(50 << 20)
    found = check_source(source)
    assert [each.severity for each in found] == ["error"]
    assert f"{MAX_SOURCE_BYTES >> 20} MiB" in found[0].message


def test_only_an_ordinary_file_is_read(tmp_path: Path) -> None:
    """The check follows no link, waits for no pipe and reads no device."""
    secret = tmp_path / "secret.c"
    secret.write_text(scheduler())
    link, pipe, folder = (tmp_path / f"{each}.bpf.c" for each in ("link", "pipe", "folder"))
    link.symlink_to(secret)
    os.mkfifo(pipe)
    folder.mkdir()
    for path, why in ((link, "symbolic link"), (pipe, "a pipe"), (folder, "a folder")):
        found = check_source(path)
        assert [each.severity for each in found] == ["error"], path
        assert why in found[0].message


@pytest.mark.parametrize("name", ["a b.c", "-x.c", "sample.h", "..c", "x\ny.c", "$(id).c"])
def test_names_lead_nowhere(tmp_path: Path, name: str) -> None:
    """A file whose name cannot be a source's name is refused before it is opened."""
    found = check_source(tmp_path / name)
    assert "not a file name" in found[0].message
    assert found[0].file.isprintable()


def test_a_source_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    """A missing candidate has no findings."""
    with pytest.raises(Fault) as fault:
        check_source(tmp_path / "absent.bpf.c")
    assert fault.value.type is FaultType.NOT_FOUND


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are refused with their line."""
    source = tmp_path / "sample.bpf.c"
    source.write_bytes(HEAD.encode() + b"/* \xff */\n")
    (found,) = check_source(source)
    assert (found.line, found.message) == (5, "the source is not text in UTF-8")


def test_headers_come_by_name_and_are_judged_as_well(tmp_path: Path) -> None:
    """A header beside the source may be included; its findings have its own name."""
    source, header = tmp_path / "sample.bpf.c", tmp_path / "own.h"
    source.write_text(scheduler(before='#include "own.h"'))
    header.write_text("#define THREE 3\n")
    assert check_source(source, headers=(header,)) == ()
    header.write_text(f'#define THREE 3\n#include "{SECRET}"\n')
    (found,) = check_source(source, headers=(header,))
    assert (found.file, found.line) == ("own.h", 2)
