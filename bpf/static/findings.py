# SPDX-License-Identifier: GPL-2.0-or-later
"""Common parts of the rules: a finding with its place, and the lookup of calls."""

from collections.abc import Callable, Iterator

from tree_sitter import Node

from bpf.build.diagnostics import Diagnostic, Severity
from bpf.static.syntax import CallSite, Function, ParsedSource

MOVES = ("scx_bpf_dsq_move_to_local", "scx_bpf_consume")
Rule = Callable[[ParsedSource], Iterator[Diagnostic]]


def say(source: ParsedSource, row: int, severity: Severity, message: str, hint: str) -> Diagnostic:
    file, line = source.place(row)
    return Diagnostic(file, line, 0, severity, message, hint)


def named(source: ParsedSource, calls: frozenset[str]) -> list[CallSite]:
    return [call for call in source.calls if call.name in calls]


def argument(call: CallSite, at: int) -> Node | None:
    arguments = call.arguments
    return arguments[at] if len(arguments) > at else None


def reach(source: ParsedSource, function: Function, seen: set[str]) -> Iterator[CallSite]:
    """The calls of a function and of those that it calls."""
    if function.name in seen:
        return
    seen.add(function.name)
    for call in function.calls:
        yield call
        inner = source.functions.get(call.name)
        if inner is not None:
            yield from reach(source, inner, seen)
