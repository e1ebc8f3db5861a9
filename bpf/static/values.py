# SPDX-License-Identifier: GPL-2.0-or-later
"""The constants that an expression may have, through variables and parameters, if that is certain.

Numbers stay numbers; names of the kernel's constants (SCX_DSQ_GLOBAL) stay names.
"""

import re

from tree_sitter import Node

from bpf.static.syntax import Function, ParsedSource, bare, constant, text_of, walk

Values = frozenset[int | str]
_KERNEL = re.compile(r"SCX_\w+")
_DEEPEST = 6
_PASSED = ("argument_list", "initializer_pair", "cast_expression", "pointer_expression")


def values_of(
    source: ParsedSource,
    function: Function,
    node: Node | None,
    *,
    variables: bool = False,
    depth: int = 0,
) -> Values | None:
    """All values that an expression may have; None if that cannot be determined.

    Args:
        variables: use a global variable's first value, which userspace may change.
    """
    node = bare(node)
    if node is None or depth > _DEEPEST:
        return None
    number = constant(source, node)
    if number is not None:
        return frozenset({number})

    def of(inner: Node | None) -> Values | None:
        return values_of(source, function, inner, variables=variables, depth=depth + 1)

    if node.type == "identifier":
        name = text_of(node)
        if _KERNEL.fullmatch(name):
            return frozenset({name})
        if name in function.parameters:
            return _parameter(source, function, name, variables, depth)
        return _variable(source, function, name, variables, depth)
    if node.type == "conditional_expression":
        return _both(
            of(node.child_by_field_name("consequence")), of(node.child_by_field_name("alternative"))
        )
    if node.type == "binary_expression" and "SCX_DSQ_" in text_of(node):
        return frozenset({"SCX_DSQ_LOCAL_ON"})
    return None


def _both(one: Values | None, other: Values | None) -> Values | None:
    return None if one is None or other is None else one | other


def _parameter(
    source: ParsedSource, function: Function, name: str, variables: bool, depth: int
) -> Values | None:
    """The callers' arguments; those of the kernel's callbacks are unknown."""
    if _assigned(function, name) or _as_value(source, function.name):
        return None
    at = function.parameters.index(name)
    found: Values | None = frozenset()
    calls = [call for call in source.calls if call.name == function.name]
    if not calls:
        return None
    for call in calls:
        arguments = call.arguments
        if len(arguments) <= at or found is None:
            return None
        found = _both(
            found,
            values_of(source, call.function, arguments[at], variables=variables, depth=depth + 1),
        )
    return found


def _as_value(source: ParsedSource, name: str) -> bool:
    """Whether a function is passed as a value, so that others may call it."""
    for node in walk(source.root):
        passed = node.parent is not None and node.parent.type in _PASSED
        if passed and node.type == "identifier" and text_of(node) == name:
            return True
    return False


def _assigned(function: Function, name: str) -> list[Node | None]:
    """The values assigned to a variable; None for anything but a plain assignment."""
    found: list[Node | None] = []
    for node in walk(function.body):
        if node.type == "assignment_expression":
            if text_of(node.child_by_field_name("left")) == name:
                plain = text_of(node.child_by_field_name("operator")) == "="
                found.append(node.child_by_field_name("right") if plain else None)
        elif node.type == "init_declarator":
            if text_of(node.child_by_field_name("declarator")) == name:
                found.append(node.child_by_field_name("value"))
        elif node.type in ("update_expression", "pointer_expression"):
            argument = node.child_by_field_name("argument")
            if text_of(argument) == name and not text_of(node).startswith("*"):
                found.append(None)
    return found


def _variable(
    source: ParsedSource, function: Function, name: str, variables: bool, depth: int
) -> Values | None:
    given = _assigned(function, name)
    if not given:
        # Userspace has to set a 0.
        if variables and source.globals.get(name):
            return frozenset({source.globals[name]})
        return None
    if name in source.globals:
        return None
    found: Values | None = frozenset()
    for each in given:
        found = _both(
            found, values_of(source, function, each, variables=variables, depth=depth + 1)
        )
    return found
