# SPDX-License-Identifier: GPL-2.0-or-later
"""Where tasks go: every queue is created and served, every path through enqueue queues once."""

import re
from collections.abc import Iterator

from bpf.build.diagnostics import Diagnostic
from bpf.static.findings import MOVES, Rule, argument, named, reach, say
from bpf.static.paths import ways_through
from bpf.static.syntax import CONSUMES, INSERTS, MOVES_BETWEEN, CallSite, ParsedSource, walk
from bpf.static.values import values_of


def _queues(source: ParsedSource) -> Iterator[Diagnostic]:
    creates = named(source, frozenset({"scx_bpf_create_dsq"}))
    consumes = named(source, CONSUMES)
    inserts = named(source, INSERTS)
    if not source.complete or not source.ops:
        return
    taken = _known(source, consumes, 0)
    given = _given(source)
    made = _known(source, creates, 0)
    for call in creates:
        ids = values_of(source, call.function, argument(call, 0))
        if ids is None:
            if not consumes:
                own = None if given is None else any(isinstance(each, int) for each in given)
                yield _unserved(source, call, "the queues that are created here", filled=own)
            continue
        for each in sorted(ids - {name for name in ids if isinstance(name, str)}, key=str):
            if taken is not None and each not in taken:
                used = None if given is None else each in given
                yield _unserved(source, call, f"the queue {each}", filled=used)
    if made is None:
        return
    for call in inserts:
        ids = values_of(source, call.function, argument(call, 1))
        for each in sorted(ids or (), key=str):
            if isinstance(each, int) and each not in made:
                yield say(
                    source, call.row, "error",
                    f"tasks are put into the queue {each}, which is never created",
                    f"call scx_bpf_create_dsq({each}, -1) in init, and return its error; or use "
                    "SCX_DSQ_GLOBAL, which always exists",
                )  # fmt: skip


def _given(source: ParsedSource) -> frozenset[int | str] | None:
    """All queues that tasks are put into; None if that cannot be determined."""
    inserted = _known(source, named(source, INSERTS), 1)
    moved = _known(source, named(source, MOVES_BETWEEN), 2)
    return None if inserted is None or moved is None else inserted | moved


def _unserved(
    source: ParsedSource, call: CallSite, what: str, *, filled: bool | None
) -> Diagnostic:
    """`filled`: whether tasks are put there; None if that cannot be determined."""
    if filled is False:
        return say(
            source, call.row, "note",
            f"nobody uses {what}: no task is put there and none taken out", "do not create it",
        )  # fmt: skip
    waits = "; tasks are put into it and they would" if filled else ": a task in it would"
    return say(
        source, call.row, "error" if filled else "warning",
        f"nobody takes tasks out of {what}{waits} wait for ever",
        "take from it in dispatch with scx_bpf_dsq_move_to_local(), or do not create it",
    )  # fmt: skip


def _known(source: ParsedSource, calls: list[CallSite], at: int) -> frozenset[int | str] | None:
    """All possible values of an argument in these calls; None if that cannot be determined."""
    found: set[int | str] = set()
    for call in calls:
        values = values_of(source, call.function, argument(call, at))
        if values is None:
            return None
        found |= values
    return frozenset(found)


def _enqueue(source: ParsedSource) -> Iterator[Diagnostic]:
    function = source.callback("enqueue")
    if function is None or not source.complete:
        return
    ways = ways_through(source, function)
    if ways is None:
        return
    hint = (
        "insert the task on every path through enqueue: scx_bpf_dsq_insert(p, SCX_DSQ_GLOBAL, "
        "SCX_SLICE_DFL, enq_flags) is right if nothing better is known"
    )
    reported: set[int] = set()
    for way, row in ways.ends:
        if not way.kept and row not in reported:
            reported.add(row)
            if way.doubted:
                yield say(
                    source, row, "warning",
                    "enqueue returns here without queueing the task; should it ever, the task is "
                    "lost",
                    hint,
                )  # fmt: skip
            else:
                yield say(
                    source, row, "error",
                    "enqueue ends here without queueing the task, which is lost then", hint,
                )  # fmt: skip
    twice = {way.inserts[:2] for way, _ in ways.ends if len(way.inserts) > 1}
    for first, second in sorted(twice):
        yield say(
            source, second, "error",
            f"the task is inserted a second time (first in line {source.place(first)[1]})",
            "return after the first insert, or put the second one into an else",
        )  # fmt: skip


def _priority(source: ParsedSource) -> Iterator[Diagnostic]:
    """Two queues served in a fixed order with nothing else in dispatch."""
    function = source.callback("dispatch")
    if function is None or not source.complete:
        return
    takes = [call for call in function.calls if call.name in MOVES]
    others = [
        each
        for each in walk(function.body)
        if each.type in ("update_expression", "assignment_expression", "for_statement",
                         "while_statement", "do_statement", "switch_statement")
    ]  # fmt: skip
    helpers = [call for call in function.calls if call.name in source.functions]
    ids = [values_of(source, function, argument(call, 0)) for call in takes]
    if len(takes) < 2 or others or helpers or any(each is None for each in ids):
        return
    if re.search(r"bpf_timer_start|dsq_move\s*\(|dsq_vtime\s*=", source.expanded.text):
        return
    yield say(
        source, takes[1].row, "warning",
        "this queue is served only while the one before it is empty: who waits in it can starve",
        "give it a turn after so many tasks of the other, or when its first has waited too long; "
        "or use one queue ordered by vtime",
    )  # fmt: skip


def _results(source: ParsedSource) -> Iterator[Diagnostic]:
    """Results that must be checked but are discarded."""
    for call in source.calls:
        parent = call.node.parent
        if (
            call.name == "scx_bpf_create_dsq"
            and parent is not None
            and parent.type == "expression_statement"
        ):
            yield say(
                source, call.row, "warning",
                "the result of creating the queue is not checked",
                "return the error: `s32 err = scx_bpf_create_dsq(id, -1); if (err) return err;`",
            )  # fmt: skip


def _leaks(source: ParsedSource) -> Iterator[Diagnostic]:
    """Queues made for tasks that come and go, and never destroyed."""
    if any(call.name == "scx_bpf_destroy_dsq" for call in source.calls):
        return
    for member in ("init_task", "enable", "cgroup_init"):
        function = source.callback(member)
        for call in reach(source, function, set()) if function else ():
            if call.name == "scx_bpf_create_dsq":
                yield say(
                    source, call.row, "error",
                    f"{member} creates a queue each time and nothing ever destroys one: kernel "
                    "memory grows without end",
                    "call scx_bpf_destroy_dsq() in the callback that ends it (exit_task, disable, "
                    "cgroup_exit), or create a fixed set of queues in init",
                )  # fmt: skip


RULES: tuple[Rule, ...] = (
    _queues,
    _enqueue,
    _priority,
    _results,
    _leaks,
)
