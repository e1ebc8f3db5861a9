# SPDX-License-Identifier: GPL-2.0-or-later
"""clang's messages, and how we report them."""

import pytest

from bpf.build.diagnostics import parse
from bpf.build.kit import known_names

RENAMED = {
    "scx_bpf_dispatch": "scx_bpf_dsq_insert()",
    "scx_bpf_dispatch_vtime": "scx_bpf_dsq_insert_vtime()",
    "scx_bpf_consume": "scx_bpf_dsq_move_to_local()",
    "scx_bpf_dispatch_from_dsq": "scx_bpf_dsq_move()",
    "scx_bpf_dispatch_vtime_from_dsq": "scx_bpf_dsq_move_vtime()",
    "scx_bpf_dispatch_from_dsq_set_slice": "scx_bpf_dsq_move_set_slice()",
    "scx_bpf_dispatch_from_dsq_set_vtime": "scx_bpf_dsq_move_set_vtime()",
    "__COMPAT_scx_bpf_dispatch_from_dsq": "scx_bpf_dsq_move()",
}


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_an_old_name_is_answered_with_the_new_one(old: str, new: str) -> None:
    """Without our header the names of 6.12 are unknown, and clang's own suggestion is left out."""
    text = (
        f"a.bpf.c:6:66: error: call to undeclared function '{old}'; ISO C99 and later do not "
        "support implicit function declarations [-Wimplicit-function-declaration]\n"
        "a.bpf.c:6:66: note: did you mean 'scx_bpf_sub_dispatch'?\n"
        "vmlinux.h:135091:13: note: 'scx_bpf_sub_dispatch' declared here\n"
    )
    (found,) = parse(text, known=known_names())
    assert new in found.hint
    assert "<scx/common.bpf.h>" in found.hint


def test_a_name_of_our_headers_asks_for_the_header() -> None:
    """A header that exists and is not included is not reported as missing."""
    text = "a.bpf.c:3:1: error: call to undeclared function 'scx_bpf_dsq_insert_vtime'; x"
    (found,) = parse(text, known=known_names())
    assert found.hint == "include <scx/common.bpf.h> first, which declares it"


@pytest.mark.parametrize(
    "line",
    [
        "struct sched_ext_ops ops = { .enqueue = my_enqueue, .name = 1 };",
        "\t.enqueue\t= my_enqueue,",
        "\t.enqueue = my_enqueue",
    ],
)
def test_a_callback_without_its_cast_is_named(line: str) -> None:
    """The hint has the text to write, for the callback that contains the message's place."""
    said = (
        f"a.bpf.c:2:{line.index('my_enqueue') + 1}: error: incompatible function pointer types "
        "initializing 'void (*)(struct task_struct *, u64)' with an expression of type "
        "'void (unsigned long long *)' [-Wincompatible-function-pointer-types]"
    )
    (found,) = parse(said, files={"a.bpf.c": f"\n{line}\n".encode()})
    assert ".enqueue = (void *)my_enqueue" in found.hint
