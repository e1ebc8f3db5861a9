# SPDX-License-Identifier: GPL-2.0-or-later
"""Sources into objects, by the real clang: good ones, broken ones and hostile ones."""

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bpf.build import cache, vmlinux
from bpf.build.objects import MAX_SOURCE_BYTES, BuildResult
from process import Fault, FaultType

from .conftest import SCHEDULERS, Target

Compile = Callable[[str], BuildResult]
SOUND = ("plain", "stall", "error", "refuse", "eject_enabling")
INCLUDE = "#include <scx/common.bpf.h>\n"


@pytest.mark.parametrize("name", SOUND)
def test_a_scheduler_compiles(compiled: Compile, name: str) -> None:
    """A scheduler with the usual names compiles without a message from clang."""
    result = compiled(name)
    assert result.diagnostics == ()
    assert result.require().read_bytes().startswith(b"\x7fELF")
    assert "clang" in result.clang


def test_a_second_build_comes_from_the_cache(target: Target, tmp_path: Path) -> None:
    """The same source for the same kernel is not compiled twice; the object is the same."""
    source = SCHEDULERS / "plain.bpf.c"
    first = target.build(source, tmp_path / "a").require().read_bytes()
    again = target.build(source, tmp_path / "b")
    assert again.cached
    assert again.require().read_bytes() == first


def test_errors_say_where_and_what_was_meant(compiled: Compile) -> None:
    """Each error has file, line and column, and a misspelt kfunc gets the right name."""
    result = compiled("broken")
    assert not result.ok
    errors = [each for each in result.diagnostics if each.severity == "error"]
    assert [(each.file, each.line, each.column) for each in errors] == [
        ("broken.bpf.c", 9, 2),
        ("broken.bpf.c", 10, 9),
    ]
    assert "scx_bpf_dsq_insert" in errors[0].hint
    with pytest.raises(Fault) as caught:
        result.require()
    assert caught.value.type is FaultType.BUILD_FAILED
    assert caught.value.where == "broken.bpf.c:9:2"


def test_messages_do_not_name_the_cache(compiled: Compile) -> None:
    """Messages name our headers as they are included, not by their place on disk."""
    files = {each.file for each in compiled("broken").diagnostics}
    assert files == {"broken.bpf.c", "scx/compat.bpf.h", "vmlinux.h"}


@pytest.mark.parametrize("path", ["/etc/shadow", "/etc/passwd", "/proc/self/environ"])
def test_files_of_the_host_cannot_be_included(target: Target, tmp_path: Path, path: str) -> None:
    """A source cannot pull in a file of the host, not even one that everybody may read."""
    result = target.build(f'{INCLUDE}#include "{path}"\n', tmp_path)
    assert not result.ok
    assert "file not found" in result.diagnostics[0].message


def test_files_of_the_host_cannot_be_assembled_in(target: Target, tmp_path: Path) -> None:
    """The assembler's directive for reading a file cannot do that either."""
    result = target.build(
        f'{INCLUDE}asm(".incbin \\"/etc/passwd\\"");\nchar _license[] SEC("license") = "GPL";\n',
        tmp_path,
    )
    assert not result.ok


def test_a_huge_source_is_refused_unread(target: Target, tmp_path: Path) -> None:
    """A file of 50 MB is refused by its size."""
    source = tmp_path / "huge.bpf.c"
    with source.open("wb") as file:
        file.truncate(50 << 20)
    for each in (source, "x" * (MAX_SOURCE_BYTES + 1)):
        with pytest.raises(Fault) as caught:
            target.build(each, tmp_path)
        assert caught.value.type is FaultType.TOO_LARGE


def test_endless_expansion_ends(target: Target, tmp_path: Path) -> None:
    """A source that includes itself endlessly ends with an error from clang."""
    result = target.build(f'{INCLUDE}#include "candidate.bpf.c"\n', tmp_path)
    assert not result.ok


def test_a_name_is_no_path(target: Target, tmp_path: Path) -> None:
    """A name that leads to another folder is refused before anything is written."""
    for name in ("../up.bpf.c", "/abs.bpf.c", "-o", "a b.c", ""):
        if name:
            with pytest.raises(Fault) as caught:
                target.build(INCLUDE, tmp_path / "out", name=name)
            assert caught.value.type is FaultType.BAD_NAME
    assert not (tmp_path / "out").exists()


def test_a_missing_source_is_named(target: Target, tmp_path: Path) -> None:
    """A missing source is a fault with its name."""
    with pytest.raises(Fault) as caught:
        target.build(tmp_path / "absent.bpf.c", tmp_path)
    assert caught.value.type is FaultType.NOT_FOUND
    assert "absent" in caught.value.where


def test_the_cache_is_ours_alone_to_write(compiled: Compile, target: Target) -> None:
    """The confined compiler cannot change what it reads."""
    compiled("plain")
    for path in target.cache.rglob("*"):
        mode = path.stat()
        assert not mode.st_mode & (stat.S_IWGRP | stat.S_IWOTH), path
        assert mode.st_uid == os.geteuid()


def test_a_private_umask_does_not_lock_the_compiler_out(target: Target, tmp_path: Path) -> None:
    """A service's umask of 077 makes no difference for the compiler's user."""
    made = vmlinux.header_path(target.cache, target.btf)
    base = target.cache / "private"
    before = os.umask(0o077)
    try:
        cache.write(base / made.relative_to(target.cache), made.read_bytes())
        private = replace(target, cache=base)
        assert private.build(SCHEDULERS / "plain.bpf.c", tmp_path).ok
    finally:
        os.umask(before)
