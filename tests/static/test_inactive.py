# SPDX-License-Identifier: GPL-2.0-or-later
"""Code that the preprocessor leaves out is not checked; code that it keeps is, at any depth."""

import pytest

from .sample import GOOD_ENQUEUE, said, scheduler

BAD = '#include "../other.h"\n'


@pytest.mark.parametrize(
    "lines",
    [
        f"#if 0\n{BAD}#endif",
        f"#ifdef LSP\n{BAD}#endif",
        f"#ifndef __bpf__\n{BAD}#endif",
        f"#if defined(LSP) || !defined(__bpf__)\n{BAD}#endif",
        f"#if 1\nstatic int used;\n#elif 1\n{BAD}#endif",
        f"#if 1\n#else\n{BAD}#endif",
        f"#define YES 1\n#if YES\n#else\n# if 1\n{BAD}# endif\n#endif",
        f"#if 0 /* over\nlines */\n{BAD}#endif",
        f"#if \\\n0\n{BAD}#endif",
        '#if 0\nasm("nop"); __has_include; %:\n#line 7\n#unknown\n#endif',
        "#ifdef LSP\nstatic void f(void) { bpf_send_signal(9); printf(1); nowhere(); }\n#endif",
        "#if 0\nno C at all: it's a sentence\n#endif",
    ],
)
def test_what_is_left_out_is_not_judged(lines: str) -> None:
    """An include, a word, a directive or a call in an inactive branch gives no finding."""
    assert said(scheduler(before=lines)) == ()


@pytest.mark.parametrize(
    "lines",
    [
        f"#if 1\n{BAD}#endif",
        f"#ifdef __bpf__\n{BAD}#endif",
        f"#if 0\n#else\n{BAD}#endif",
        f"#if 0\n#elif defined(__bpf__)\n{BAD}#endif",
        f"#if 0\n{BAD}#endif\n{BAD}",
        f"#define LSP\n#ifdef LSP\n# if 0\n# else\n{BAD}# endif\n#endif",
        f"#ifdef SCX_COMMON_BPF_H\n{BAD}#endif",
        # using the marks' own syntax hides nothing
        f"#if 0\n#pragma schedpilot 1\n#endif\n#if 1\n{BAD}#endif",
    ],
)
def test_what_is_compiled_is_judged(lines: str) -> None:
    """An include in an active branch is refused at its line."""
    text = scheduler(before=lines)
    found = [each for each in said(text) if "may not be included" in each.message]
    active = text[: text.rindex(BAD)].count("\n") + 1
    assert [each.line for each in found] == [active]


def test_a_branch_that_a_macros_argument_swallows_hides_no_assembly() -> None:
    """If a macro loses the marks, its output is checked again."""
    lines = '#define SECOND(a, b) b\nSECOND(\n#if 1\n1, asm("nop");\n#endif\n)'
    found = said(scheduler(GOOD_ENQUEUE, before=lines))
    assert any("assembly" in each.message for each in found if each.severity == "error")
