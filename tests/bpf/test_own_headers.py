# SPDX-License-Identifier: GPL-2.0-or-later
"""Headers beside a source: which are its own, and what the gates do with them."""

from pathlib import Path

import pytest

from bpf.build.sources import MAX_SOURCE_BYTES, own_headers
from process import Fault, FaultType
from simulator import gates, verdict_cache
from tests.target import Target

SOURCE = """\
#include <scx/common.bpf.h>
#include "mine.h"

char _license[] SEC("license") = "GPL";

void BPF_STRUCT_OPS(own_enqueue, struct task_struct *p, u64 enq_flags)
{
	scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, MINE, enq_flags);
}
SCX_OPS_DEFINE(own_ops, .enqueue = (void *)own_enqueue, .name = "own");
"""


def written(folder: Path, **headers: str) -> Path:
    for name, text in headers.items():
        (folder / f"{name}.h").write_text(text)
    source = folder / "own.bpf.c"
    source.write_text(SOURCE)
    return source


def test_headers_are_found_through_one_another(tmp_path: Path) -> None:
    """Its own headers are those beside it that it or one of them includes."""
    source = written(
        tmp_path, mine='#include "deeper.h"\n', deeper='#include "mine.h"\n', unused=""
    )
    assert [each.name for each in own_headers(source, tmp_path)] == ["deeper.h", "mine.h"]


def test_nothing_else_is_read(tmp_path: Path) -> None:
    """Other folders, links, the kernel's types and too many headers are refused."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (tmp_path / "above.h").write_text("")
    source = written(folder, mine='#include "../above.h"\n#include "vmlinux.h"\n', vmlinux="")
    assert [each.name for each in own_headers(source, folder)] == ["mine.h"]
    (folder / "mine.h").write_text("/" * MAX_SOURCE_BYTES + "\n")
    with pytest.raises(Fault) as raised:
        own_headers(source, folder)
    assert raised.value.type is FaultType.TOO_LARGE
    (folder / "mine.h").unlink()
    (folder / "mine.h").symlink_to(tmp_path / "above.h")
    with pytest.raises(Fault) as raised:
        own_headers(source, folder)
    assert raised.value.type is FaultType.BAD_REQUEST


def test_the_gates_take_them_and_tell_them_apart(target: Target, tmp_path: Path) -> None:
    """Static check and build pass with the header, report its place on failure, and are remembered
    by its text."""
    source = written(tmp_path, mine="#define MINE SCX_SLICE_DFL\n")
    headers = own_headers(source, tmp_path)
    before = verdict_cache.static_question(source, headers)
    assert gates.static(source, headers=headers, cache_folder=target.cache).passed
    built, object = gates.build(
        source, tmp_path / "out", headers=headers, btf=target.btf, cache_folder=target.cache
    )
    assert built.passed
    assert object is not None
    (tmp_path / "mine.h").write_text("\n#define MINE SCX_SLICE_DFLT\n")
    assert verdict_cache.static_question(source, headers) != before
    wrong, _ = gates.build(
        source, tmp_path / "out", headers=headers, btf=target.btf, cache_folder=target.cache
    )
    assert not wrong.passed
    assert "SCX_SLICE_DFLT" in wrong.messages[0].message


def test_a_header_that_is_not_there_is_named(target: Target, tmp_path: Path) -> None:
    """The message says which folder was searched, and what a daemon's candidate does instead."""
    answer = gates.static(written(tmp_path), cache_folder=target.cache)
    (error,) = (each for each in answer.messages if each.severity == "error")
    assert "no such file beside the source" in error.message
    assert "one text" in error.fix
    assert error.line == 2
