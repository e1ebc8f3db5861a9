# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens to the task on each path through enqueue: whether it is queued, and only once."""

from dataclasses import dataclass, replace

from tree_sitter import Node

from bpf.static.names import is_offered
from bpf.static.syntax import (
    INSERTS,
    CallSite,
    Function,
    ParsedSource,
    bare,
    calls_in,
    text_of,
    walk,
)

# Keeps the task, or ends the scheduler with a message: the task is not forgotten.
_KEEPS = INSERTS | {
    "scx_bpf_error",
    "scx_bpf_exit",
    "bpf_map_push_elem",
    "bpf_map_update_elem",
    "bpf_list_push_back",
    "bpf_list_push_front",
    "bpf_list_push_back_impl",
    "bpf_list_push_front_impl",
    "bpf_rbtree_add",
    "bpf_rbtree_add_impl",
    "bpf_ringbuf_output",
    "bpf_ringbuf_submit",
    "bpf_kptr_xchg",
    "scx_bpf_dsq_move",
    "scx_bpf_dsq_move_vtime",
    "bpf_obj_new",
}


@dataclass(frozen=True)
class Way:
    """A path up to some point. `inserts`: rows of certain insertions of the task.

    `doubted`: it runs under a test for a NULL pointer, which may never be.
    """

    kept: bool = False
    inserts: tuple[int, ...] = ()
    doubted: bool = False


@dataclass(frozen=True)
class Ways:
    """All paths that leave a function, with the row where they do."""

    ends: tuple[tuple[Way, int], ...]


class _Unclear(Exception):
    """The function uses goto."""


class _Walker:
    def __init__(self, source: ParsedSource, function: Function) -> None:
        self.source = source
        self.function = function
        self.task = function.parameters[0] if function.parameters else ""
        self.ends: set[tuple[Way, int]] = set()
        self.breaks: list[set[Way]] = []
        self.steps = 0

    def run(self) -> Ways:
        last = self.statement(self.function.body, frozenset({Way()}))
        row = self.function.body.end_point[0]
        self.ends |= {(way, row) for way in last}
        return Ways(tuple(sorted(self.ends, key=lambda each: (each[1], str(each[0])))))

    def expression(self, node: Node | None, ways: frozenset[Way]) -> frozenset[Way]:
        """What the calls in an expression do to the task."""
        if node is None:
            return ways
        for call in calls_in(node, self.function):
            if call.name in INSERTS and not _conditional(call.node, node):
                if self._about_the_task(call):
                    ways = frozenset(
                        replace(way, kept=True, inserts=(*way.inserts, call.row)[:3])
                        for way in ways
                    )
                else:
                    ways = frozenset(replace(way, kept=True) for way in ways)
            elif call.name in _KEEPS or keeps(self.source, call.name) or not self._known(call):
                ways = frozenset(replace(way, kept=True) for way in ways)
        return ways

    def _known(self, call: CallSite) -> bool:
        """Whether a function is ours or the source's; the compiler knows the effect of others."""
        return call.name in self.source.functions or is_offered(call.name)

    def _about_the_task(self, call: CallSite) -> bool:
        arguments = call.arguments
        return bool(arguments) and text_of(bare(arguments[0])) == self.task != ""

    def statement(self, node: Node | None, ways: frozenset[Way]) -> frozenset[Way]:
        """The paths that continue after a statement."""
        self.steps += 1
        if self.steps > 20_000 or len(ways) > 64:
            raise _Unclear
        if node is None or not ways:
            return ways
        match node.type:
            case "compound_statement":
                for each in node.named_children:
                    ways = self.statement(each, ways)
                return ways
            case "if_statement":
                return self._if(node, ways)
            case "return_statement":
                ways = self.expression(node, ways)
                self.ends |= {(way, node.start_point[0]) for way in ways}
                return frozenset()
            case "for_statement" | "while_statement" | "do_statement":
                return self._loop(node, ways)
            case "switch_statement":
                return self._switch(node, ways)
            case "break_statement":
                if self.breaks:
                    self.breaks[-1] |= ways
                return frozenset()
            case "continue_statement":
                if self.breaks:
                    self.breaks[-1] |= ways
                return frozenset()
            case "goto_statement" | "labeled_statement" | "ERROR":
                raise _Unclear
            case _:
                return self.expression(node, ways)

    def _if(self, node: Node, ways: frozenset[Way]) -> frozenset[Way]:
        condition = node.child_by_field_name("condition")
        ways = self.expression(condition, ways)
        other = node.child_by_field_name("alternative")
        if other is not None and other.type == "else_clause":
            other = next((each for each in other.named_children if each.type != "comment"), None)
        yes, no = ways, ways
        null = tests_null(condition)
        if null is True:
            yes = frozenset(replace(way, doubted=True) for way in ways)
        elif null is False:
            no = frozenset(replace(way, doubted=True) for way in ways)
        elif condition is not None and self._asks(condition):
            # A source that calls its own function may know more than we do.
            yes = no = frozenset(replace(way, doubted=True) for way in ways)
        if self._off(condition):
            yes = frozenset()
        yes = self.statement(node.child_by_field_name("consequence"), yes)
        return yes | self.statement(other, no)

    def _asks(self, condition: Node) -> bool:
        return any(
            call.name in self.source.functions for call in calls_in(condition, self.function)
        )

    def _off(self, condition: Node | None) -> bool:
        """Whether a condition first tests a parameter whose own value is 0."""
        node = bare(condition)
        while node is not None and node.type == "binary_expression":
            if text_of(node.child_by_field_name("operator")) != "&&":
                return False
            node = bare(node.child_by_field_name("left"))
        return node is not None and self.source.globals.get(text_of(node)) == 0

    def _loop(self, node: Node, ways: frozenset[Way]) -> frozenset[Way]:
        for name in ("initializer", "condition"):
            ways = self.expression(node.child_by_field_name(name), ways)
        self.breaks.append(set())
        body = self.statement(node.child_by_field_name("body"), ways)
        left = body | frozenset(self.breaks.pop())
        # Whether a loop's body runs is checked elsewhere: here it is assumed to run.
        kept = any(way.kept for way in left) and not all(way.kept for way in ways)
        skipped = frozenset(replace(way, kept=way.kept or kept) for way in ways)
        once = frozenset(replace(way, inserts=(), kept=way.kept or kept) for way in left)
        return skipped | once

    def _switch(self, node: Node, ways: frozenset[Way]) -> frozenset[Way]:
        ways = self.expression(node.child_by_field_name("condition"), ways)
        body = node.child_by_field_name("body")
        self.breaks.append(set())
        running: frozenset[Way] = frozenset()
        default = False
        for case in body.named_children if body else []:
            if case.type != "case_statement":
                running = self.statement(case, running)
                continue
            default |= case.child_by_field_name("value") is None
            running |= ways
            for each in case.named_children:
                if each != case.child_by_field_name("value"):
                    running = self.statement(each, running)
        left = running | frozenset(self.breaks.pop())
        return left if default else left | ways


def _conditional(call: Node, within: Node) -> bool:
    """Whether a call in an expression may not happen: after && or ||, or in a branch of ?:."""
    node = call
    while node.parent is not None and node != within:
        parent = node.parent
        if parent.type == "conditional_expression":
            return node != parent.child_by_field_name("condition")
        if parent.type == "binary_expression":
            sign = text_of(parent.child_by_field_name("operator"))
            if sign in ("&&", "||") and node == parent.child_by_field_name("right"):
                return True
        if parent.type in ("if_statement", "for_statement", "while_statement"):
            return True
        node = parent
    return False


def tests_null(condition: Node | None) -> bool | None:
    """True for `!p` and `p == NULL`, False for `p`; None for anything else."""
    node = bare(condition)
    if node is None:
        return None
    if node.type == "call_expression" and text_of(node).startswith(("unlikely", "likely")):
        return None
    # __builtin_expect(!!(x), 0), as unlikely(x) expands to
    if node.type == "call_expression":
        name = text_of(node.child_by_field_name("function"))
        listed = node.child_by_field_name("arguments")
        if name == "__builtin_expect" and listed and listed.named_children:
            inner = text_of(listed.named_children[0]).replace(" ", "")
            return inner.startswith("!!(!") or None
        return None
    if node.type == "unary_expression" and text_of(node).startswith("!"):
        argument = bare(node.child_by_field_name("argument"))
        return True if argument is not None and argument.type in _POINTERS else None
    if node.type == "binary_expression":
        text = text_of(node).replace(" ", "")
        if text.endswith(("==((void*)0)", "==NULL", "==0")):
            return True
        if text_of(node.child_by_field_name("operator")) == "||":
            sides = [tests_null(node.child_by_field_name(each)) for each in ("left", "right")]
            return True if True in sides else None
    if node.type == "identifier":
        return False
    if node.type == "assignment_expression":
        return False
    return None


_POINTERS = ("identifier", "assignment_expression", "field_expression", "call_expression")


def keeps(source: ParsedSource, name: str, seen: frozenset[str] = frozenset()) -> bool:
    """Whether a function of the source keeps a task in some way, itself or through others."""
    function = source.functions.get(name)
    if function is None or name in seen or len(seen) > 8:
        return False
    return any(
        call.name in _KEEPS or keeps(source, call.name, seen | {name}) for call in function.calls
    ) or _stores(function)


def _stores(function: Function) -> bool:
    """Whether it stores one of its parameters in memory: its own kind of queue."""
    for node in walk(function.body):
        if node.type != "assignment_expression":
            continue
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        stored = left is not None and left.type in ("field_expression", "subscript_expression")
        if stored and text_of(bare(right)) in function.parameters:
            return True
    return False


def ways_through(source: ParsedSource, function: Function) -> Ways | None:
    """All paths through a function that gets a task; None if they cannot be determined."""
    try:
        return _Walker(source, function).run()
    except (_Unclear, RecursionError):
        return None
