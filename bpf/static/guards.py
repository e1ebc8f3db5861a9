# SPDX-License-Identifier: GPL-2.0-or-later
"""The condition under which a place in a function is reached, as far as its text shows."""

import re
from collections.abc import Iterator

from tree_sitter import Node

from bpf.static.syntax import Function, ParsedSource, bare, text_of, walk

# PF_KTHREAD, before and after the preprocessor, and the names of functions that test it.
_KERNEL_THREAD = re.compile(r"PF_KTHREAD|0x0*200000\b|\w*kthread\w*", re.IGNORECASE)
_DEEPEST = 4


def only_for_kernel_threads(
    source: ParsedSource, function: Function, node: Node, depth: int = 0
) -> bool:
    """Whether a place is reached only for kernel threads.

    That is inside `if (p->flags & PF_KTHREAD)`, after `if (!(p->flags & PF_KTHREAD)) return`, or in
    a function that is only called from such places.
    """
    for condition, holds in _conditions(node, function.body):
        if any(asked == holds for asked in _asks(condition, function)):
            return True
    calls = [call for call in source.calls if call.name == function.name]
    return (
        bool(calls)
        and depth < _DEEPEST
        and all(only_for_kernel_threads(source, c.function, c.node, depth + 1) for c in calls)
    )


def _conditions(node: Node, body: Node) -> Iterator[tuple[Node, bool]]:
    """The conditions at a place, and whether they are true there."""
    inner = node
    while inner != body and inner.parent is not None:
        parent = inner.parent
        if parent.type in ("if_statement", "conditional_expression"):
            condition = parent.child_by_field_name("condition")
            if condition is not None and inner != condition:
                yield condition, inner == parent.child_by_field_name("consequence")
        elif parent.type == "binary_expression" and inner == parent.child_by_field_name("right"):
            left = parent.child_by_field_name("left")
            sign = text_of(parent.child_by_field_name("operator"))
            if left is not None and sign in ("&&", "||"):
                yield left, sign == "&&"
        elif parent.type == "compound_statement":
            before = inner.prev_named_sibling
            while before is not None:
                condition = before.child_by_field_name("condition")
                if before.type == "if_statement" and condition is not None and _leaves(before):
                    yield condition, False
                before = before.prev_named_sibling
        inner = parent


def _leaves(statement: Node) -> bool:
    """Whether an `if` without `else` ends in a return."""
    then = statement.child_by_field_name("consequence")
    if then is None or statement.child_by_field_name("alternative") is not None:
        return False
    last = then
    while last.type == "compound_statement" and last.named_children:
        last = last.named_children[-1]
    return last.type in ("return_statement", "goto_statement", "continue_statement")


def _asks(condition: Node, function: Function) -> Iterator[bool]:
    """For each part of a condition about kernel threads: whether it is true for one.

    If `a && b` is true both hold, if `a || b` is false neither does.
    """
    node = bare(condition)
    if node is None:
        return
    if node.type == "call_expression" and text_of(node).startswith("__builtin_expect"):
        listed = node.child_by_field_name("arguments")
        if listed is not None and listed.named_children:
            yield from _asks(listed.named_children[0], function)
        return
    if node.type == "unary_expression" and text_of(node).startswith("!"):
        argument = node.child_by_field_name("argument")
        if argument is not None:
            yield from (not each for each in _asks(argument, function))
        return
    if node.type == "binary_expression":
        sign = text_of(node.child_by_field_name("operator"))
        left, right = (node.child_by_field_name(each) for each in ("left", "right"))
        if sign in ("&&", "||") and left is not None and right is not None:
            for each in (left, right):
                yield from (said for said in _asks(each, function) if said == (sign == "&&"))
            return
        if sign in ("==", "!=") and text_of(bare(right)) in ("0", "false"):
            if left is not None:
                yield from (said == (sign == "!=") for said in _asks(left, function))
            return
    text = text_of(node)
    if node.type == "identifier":
        text = _value(text, function)
    if _KERNEL_THREAD.search(text):
        yield True


def _value(name: str, function: Function) -> str:
    """The value of a function's variable, if it is assigned once; else its name."""
    given = []
    for node in walk(function.body):
        if node.type == "init_declarator":
            named, value = node.child_by_field_name("declarator"), node.child_by_field_name("value")
        elif node.type == "assignment_expression":
            named, value = node.child_by_field_name("left"), node.child_by_field_name("right")
        else:
            continue
        if text_of(named) == name:
            given.append(text_of(value))
    return given[0] if len(given) == 1 else name
