# SPDX-License-Identifier: GPL-2.0-or-later
"""A scheduler's C as a tree, and the facts for the rules.

Attributes are removed before parsing, because the grammar accepts them in few places; their names
and sections are kept. If the parser gives up on a part, `complete` is False, and rules do not rely
on the absence of anything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

import tree_sitter_c
from tree_sitter import Language, Node, Parser

from bpf.static.expand import Expanded

DEEPEST = 400
_ATTRIBUTE = re.compile(r"\b__attribute__\s*\(\(|\b__attribute\s*\(\(|\b__declspec\s*\(")
_NAMED = re.compile(r'(?:^|,)\s*(?:clang::|gnu::)?(\w+)\s*(?:\(\s*"?([^"(),]*)"?)?')
# Words that have no meaning for the rules after expansion.
_EMPTY = re.compile(r"\b(?:__extension__|__restrict(?:__)?|__volatile__|__inline(?:__)?)\b")

INSERTS = frozenset(
    {
        "scx_bpf_dsq_insert",
        "scx_bpf_dsq_insert_vtime",
        "scx_bpf_dispatch",
        "scx_bpf_dispatch_vtime",
        "__COMPAT_scx_bpf_dsq_insert",
        "__COMPAT_scx_bpf_dsq_insert_vtime",
    }
)
CONSUMES = frozenset(
    {
        "scx_bpf_dsq_move_to_local",
        "__scx_dsq_move_to_local",
        "scx_bpf_consume",
        "bpf_iter_scx_dsq_next",
        "scx_bpf_dsq_reenq",
    }
)
MOVES_BETWEEN = frozenset(
    {
        "scx_bpf_dsq_move",
        "scx_bpf_dsq_move_vtime",
        "scx_bpf_dispatch_from_dsq",
        "scx_bpf_dispatch_vtime_from_dsq",
    }
)


@dataclass(frozen=True)
class Attribute:
    name: str
    value: str
    row: int


@dataclass(frozen=True)
class CallSite:
    """A call by name, and the function in which it stands."""

    name: str
    node: Node
    function: "Function"

    @property
    def arguments(self) -> list[Node]:
        found = self.node.child_by_field_name("arguments")
        return [each for each in found.named_children if each.type != "comment"] if found else []

    @property
    def row(self) -> int:
        return self.node.start_point[0]


@dataclass(frozen=True, eq=False)
class Function:
    """`parameters` are their names, `declared` the same with their types; `result` is a type."""

    name: str
    parameters: tuple[str, ...]
    body: Node
    row: int
    declared: tuple[str, ...] = ()
    result: str = ""

    @cached_property
    def calls(self) -> tuple[CallSite, ...]:
        return tuple(calls_in(self.body, self))


@dataclass(frozen=True)
class Ops:
    """One struct sched_ext_ops: its members' initialisers."""

    name: str
    row: int
    members: dict[str, Node]


@dataclass
class ParsedSource:
    """The definitions of a source."""

    expanded: Expanded
    root: Node
    complete: bool
    attributes: tuple[Attribute, ...]
    functions: dict[str, Function] = field(default_factory=dict)
    ops: list[Ops] = field(default_factory=list)
    constants: dict[str, int] = field(default_factory=dict)
    # Global variables' first values.
    globals: dict[str, int] = field(default_factory=dict)
    # Functions that are declared but not defined, and the row.
    declared: dict[str, int] = field(default_factory=dict)

    @cached_property
    def calls(self) -> tuple[CallSite, ...]:
        return tuple(call for each in self.functions.values() for call in each.calls)

    @cached_property
    def kernel(self) -> frozenset[str]:
        """Functions that the source declares as the kernel's."""
        rows = {each.row for each in self.attributes if each.value == ".ksyms"}
        return frozenset(name for name, row in self.declared.items() if row in rows)

    def callback(self, member: str) -> Function | None:
        """The function of the first scheduler's callback."""
        for ops in self.ops:
            node = ops.members.get(member)
            name = text_of(bare(node)) if node else ""
            if name in self.functions:
                return self.functions[name]
        return None

    def place(self, row: int) -> tuple[str, int]:
        return self.expanded.place(row)


def text_of(node: Node | None) -> str:
    return (node.text or b"").decode("utf-8", "replace") if node else ""


def bare(node: Node | None) -> Node | None:
    """Without parentheses, casts and the & before a function."""
    while node is not None:
        if node.type == "parenthesized_expression" and len(node.named_children) == 1:
            node = node.named_children[0]
        elif node.type == "cast_expression":
            node = node.child_by_field_name("value")
        elif node.type == "pointer_expression" and text_of(node).startswith("&"):
            node = node.child_by_field_name("argument")
        else:
            return node
    return None


def walk(node: Node) -> Iterator[Node]:
    """A node and all below it, in the order of the text, without recursion."""
    stack = [node]
    while stack:
        each = stack.pop()
        yield each
        stack.extend(reversed(each.children))


def calls_in(node: Node, function: Function) -> Iterator[CallSite]:
    for each in walk(node):
        if each.type == "call_expression":
            name = bare(each.child_by_field_name("function"))
            if name is not None and name.type == "identifier":
                # A flavour of a kernel function (libbpf's ___suffix) is the same function.
                yield CallSite(text_of(name).partition("___")[0] or text_of(name), each, function)


def too_deep(expanded: Expanded) -> int | None:
    """The row at which brackets are nested deeper than anybody writes; None if there is none."""
    depth = 0
    for row, line in enumerate(expanded.lines):
        for each in re.finditer(r'"(?:[^"\\]|\\.)*"|[(\[{]|[)\]}]', line):
            if each[0] in "([{":
                depth += 1
                if depth > DEEPEST:
                    return row
            elif each[0] in ")]}":
                depth -= 1
    return None


def read(expanded: Expanded) -> ParsedSource:
    """Parse; the source's brackets are not nested too deeply."""
    text, attributes = _without_attributes(expanded.text)
    text = _EMPTY.sub(lambda each: " " * len(each[0]), text)
    tree = Parser(Language(tree_sitter_c.language())).parse(text.encode())
    root = tree.root_node
    source = ParsedSource(expanded, root, not root.has_error, attributes)
    for node in walk(root):
        match node.type:
            case "function_definition":
                _function(source, node)
            case "enumerator_list":
                _enumerators(source, node)
            case "declaration":
                _declaration(source, node)
    return source


def _without_attributes(text: str) -> tuple[str, tuple[Attribute, ...]]:
    found: list[Attribute] = []
    parts: list[str] = []
    last = 0
    for start in _ATTRIBUTE.finditer(text):
        if start.start() < last:
            continue
        end = _closing(text, start.end(), start[0].count("("))
        row = text.count("\n", 0, start.start())
        inner = text[start.end() : end].rstrip(")").strip()
        inner = re.sub(r'"\s*"', "", inner)  # adjacent strings are one
        inner = inner + ")" * max(inner.count("(") - inner.count(")"), 0)
        found += (
            Attribute(each[1].strip("_"), (each[2] or "").strip(), row)
            for each in _NAMED.finditer(_flat(inner))
        )
        parts.append(text[last : start.start()])
        parts.append(re.sub(r"[^\n]", " ", text[start.start() : end]))
        last = end
    parts.append(text[last:])
    return "".join(parts), tuple(found)


def _flat(inner: str) -> str:
    """Without the text in brackets within an attribute's arguments."""
    return re.sub(r"\(([^()]*)\([^()]*\)[^()]*\)", r"(\1)", inner)


def _closing(text: str, at: int, depth: int) -> int:
    for each in re.compile(r'"(?:[^"\\\n]|\\.)*"|[()]').finditer(text, at):
        depth += {"(": 1, ")": -1}.get(each[0], 0)
        if depth == 0:
            return each.end()
    return len(text)


def _function(source: ParsedSource, node: Node) -> None:
    declarator = node.child_by_field_name("declarator")
    while declarator is not None and declarator.type != "function_declarator":
        declarator = declarator.child_by_field_name("declarator")
    body = node.child_by_field_name("body")
    if declarator is None or body is None:
        return
    name = text_of(declarator.child_by_field_name("declarator"))
    listed = declarator.child_by_field_name("parameters")
    given = [each for each in (listed.named_children if listed else []) if text_of(each) != "void"]
    source.functions[name] = Function(
        name,
        tuple(_name_of(each) for each in given),
        body,
        declarator.start_point[0],
        tuple(" ".join(text_of(each).split()) for each in given),
        text_of(node.child_by_field_name("type")),
    )


def _name_of(node: Node) -> str:
    """The name that a declarator declares."""
    found = node.child_by_field_name("declarator")
    while found is not None and found.type not in ("identifier", "field_identifier"):
        inner = found.child_by_field_name("declarator")
        if inner is None:
            inner = next(
                (each for each in found.named_children if "declarator" in each.type
                 or each.type == "identifier"),
                None,
            )  # fmt: skip
        found = inner
    return text_of(found)


def _enumerators(source: ParsedSource, node: Node) -> None:
    value = -1
    for each in node.named_children:
        if each.type != "enumerator":
            continue
        given = each.child_by_field_name("value")
        if given is not None:
            number = constant(source, given)
            if number is None:
                return
            value = number
        else:
            value += 1
        source.constants[text_of(each.child_by_field_name("name"))] = value


def _declaration(source: ParsedSource, node: Node) -> None:
    top = node.parent is not None and node.parent.type in ("translation_unit", "ERROR")
    type_node = node.child_by_field_name("type")
    struct = ""
    if type_node is not None and type_node.type == "struct_specifier":
        struct = text_of(type_node.child_by_field_name("name"))
    for each in node.named_children:
        if each.type == "function_declarator" and top:
            source.declared[_name_of(node)] = node.start_point[0]
        if each.type != "init_declarator":
            continue
        name, value = _name_of(each), each.child_by_field_name("value")
        if struct.startswith("sched_ext_ops") and value is not None:
            source.ops.append(Ops(name, each.start_point[0], _members(value)))
        elif top and value is not None:
            number = constant(source, value)
            if number is not None:
                source.globals[name] = number
    if top and re.match(r"(?:static\s+)?(?:const\s+volatile|volatile\s+const)\b", text_of(node)):
        # Without a value it is 0, until userspace sets it.
        for each in node.named_children:
            if each.type == "identifier":
                source.globals[text_of(each)] = 0
    if top and "extern" in text_of(node)[:20]:
        source.declared[_name_of(node)] = node.start_point[0]


def _members(value: Node) -> dict[str, Node]:
    found = {}
    for pair in value.named_children:
        if pair.type == "initializer_pair":
            designator = pair.child_by_field_name("designator")
            given = pair.child_by_field_name("value")
            if designator is not None and given is not None:
                found[text_of(designator).lstrip(".")] = given
    return found


_LITERAL = re.compile(r"([-+]?)(0[xX][0-9a-fA-F]+|0[bB][01]+|\d+)[uUlL]*")


def constant(source: ParsedSource, node: Node | None, depth: int = 0) -> int | None:
    """The value of a constant expression; None if it is not constant, or only the
    kernel knows it.
    """
    node = bare(node)
    if node is None or depth > 50:
        return None
    if node.type == "number_literal":
        found = _LITERAL.fullmatch(text_of(node))
        if found is None:
            return None
        digits = found[2]
        octal = len(digits) > 1 and digits.isdigit() and digits[0] == "0"
        if octal and re.search("[89]", digits):
            return None
        number = int(digits, 8 if octal else 0)
        return -number if found[1] == "-" else number
    if node.type == "identifier":
        return source.constants.get(text_of(node))
    if node.type == "unary_expression":
        inner = constant(source, node.child_by_field_name("argument"), depth + 1)
        sign = text_of(node.child_by_field_name("operator"))
        if inner is None or sign not in "-+~":
            return None
        return {"-": -inner, "+": inner, "~": ~inner}[sign]
    if node.type == "binary_expression":
        left = constant(source, node.child_by_field_name("left"), depth + 1)
        right = constant(source, node.child_by_field_name("right"), depth + 1)
        return _binary(text_of(node.child_by_field_name("operator")), left, right)
    return None


def _binary(sign: str, left: int | None, right: int | None) -> int | None:
    if left is None or right is None or abs(left) > 1 << 64 or abs(right) > 1 << 64:
        return None
    match sign:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "|":
            return left | right
        case "&":
            return left & right
        case "/" if right:
            return left // right
        case "<<" if 0 <= right < 64:
            return left << right
        case ">>" if 0 <= right < 64:
            return left >> right
    return None
