# SPDX-License-Identifier: GPL-2.0-or-later
"""From text to tree and back; broken text never causes more than a refusal."""

import random
import string

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from process import Fault, FaultType
from scheduler_library.policy.compiler import compile_policy
from scheduler_library.policy.formatter import format_policy
from scheduler_library.policy.parser import parse
from scheduler_library.policy.syntax import PolicyProgram, UseLine

from .programs import MACHINE, programs, use_lines

# Drawing a program checks it once for each rule, so one example takes time.
slowly = settings(deadline=None, suppress_health_check=list(HealthCheck))


@slowly
@given(programs())
def test_a_program_survives_being_written_and_read(program: PolicyProgram) -> None:
    """Parsing a formatted program gives the same program."""
    assert parse(format_policy(program)) == program


@given(use_lines)
def test_a_use_line_survives_being_written_and_read(line: UseLine) -> None:
    """Parsing a formatted `use` line gives the same line."""
    assert parse(format_policy(line)) == line


def _loosely(text: str, chance: random.Random) -> str:
    """The same policy with other white space, comments and separators; its C is unchanged."""
    if " c " in f" {text}" or '"' in text:
        return f"  {text} # as it was\n"
    loose = text.replace("; ", chance.choice((";", " ;; ", "\n", " # why\n\t")))
    for sign in "(){},+*":
        loose = loose.replace(sign, chance.choice((sign, f" {sign} ", f"{sign}\t")))
    return loose


@slowly
@given(programs(), st.randoms(use_true_random=False))
def test_formatting_twice_changes_nothing_more(
    program: PolicyProgram, chance: random.Random
) -> None:
    """A policy has one canonical form, however it is written."""
    canonical = format_policy(program)
    once = format_policy(parse(_loosely(canonical, chance)))
    assert once == canonical
    assert format_policy(parse(once)) == once


def _answer(text: str) -> None:
    """Check that the answer to a text is a policy, or a refusal that helps."""
    fault = None
    try:
        compile_policy(text, machine=MACHINE)
    except Fault as refused:
        fault = refused
    if fault is not None:
        assert fault.type is FaultType.BAD_POLICY, fault.report()
        assert "column " in fault.where, fault.report()
        assert fault.hint, fault.report()


_PIECES = st.sampled_from(
    (
        *("slice", "order", "by", "asc", "desc", "vtime", "fifo", "latency", "idle", "tier"),
        *("normal", "weight", "share", "cpus", "preempt", "local", "llc", "sticky", "use"),
        *("fast", "slow", "node 0", "smt avoid", "cpus fast and", "and llc 1", "node", "avoid"),
        *("c slice {", "c order {", "return", "wait", "comm", "cmd", "nice", "cpu_share", "if"),
        *("min", "clamp", "and", "or", "not", "kthread", "policy", "batch", "3ms", "20%", "1.5"),
        *("0-3", "7", "*", "{", "}", "(", ")", ",", ";", "\n", "#", "~", "=", "!=", "<=", ">="),
        *('"a*|b"', '"', "\\", "'", "/*", "*/", "//", "+", "-", "/", "\t", "\r", "\x00", "é"),
    )
)


@settings(deadline=None, max_examples=1000)
@given(st.one_of(st.text(), st.text(string.printable), st.lists(_PIECES).map(" ".join)))
@example("")
@example("#")
@example("\n;\n")
@example("c slice {")
@example("c slice { } }")
@example('comm ~ "')
@example("use")
@example("use x a=#b")
@example("use x a = b")
@example("slice 3ms }")
def test_any_text_is_a_policy_or_refused_with_its_column(text: str) -> None:
    """Whatever somebody types, the answer is a scheduler or a refusal that helps."""
    _answer(text)


@settings(deadline=None, max_examples=1000)
@given(st.binary())
def test_any_bytes_are_a_policy_or_refused_with_its_column(data: bytes) -> None:
    """This also holds for bytes that are no text at all."""
    _answer(data.decode("latin-1"))


@slowly
@given(programs(), st.data())
def test_a_policy_with_a_slip_is_a_policy_or_refused(
    program: PolicyProgram, data: st.DataObject
) -> None:
    """A valid policy with a piece removed, inserted or doubled is a policy or is refused."""
    text = format_policy(program)
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 12)))
    new = data.draw(st.one_of(st.just(""), st.just(text[start:end] * 2), _PIECES))
    _answer(text[:start] + new + text[end:])
