# SPDX-License-Identifier: GPL-2.0-or-later
"""What rules are made of: a finding with its place, and looking calls up."""

from collections.abc import Callable, Iterator

from tree_sitter import Node

from bpf.build.diagnostics import Diagnostic, Severity
from bpf.static.syntax import Call, Function, Source

MOVES = ("scx_bpf_dsq_move_to_local", "scx_bpf_consume")
Rule = Callable[[Source], Iterator[Diagnostic]]


def say(source: Source, row: int, severity: Severity, message: str, hint: str) -> Diagnostic:
    file, line = source.place(row)
    return Diagnostic(file, line, 0, severity, message, hint)


def named(source: Source, calls: frozenset[str]) -> list[Call]:
    return [call for call in source.calls if call.name in calls]


def argument(call: Call, at: int) -> Node | None:
    arguments = call.arguments
    return arguments[at] if len(arguments) > at else None


def reach(source: Source, function: Function, seen: set[str]) -> Iterator[Call]:
    """The calls of a function and of those that it calls."""
    if function.name in seen:
        return
    seen.add(function.name)
    for call in function.calls:
        yield call
        inner = source.functions.get(call.name)
        if inner is not None:
            yield from reach(source, inner, seen)
