# SPDX-License-Identifier: GPL-2.0-or-later
"""The canonical form of a policy: one spelling for everything that parses to the same tree."""

from scheduler_library.cpu_list import cpu_list
from scheduler_library.policy import units
from scheduler_library.policy.syntax import (
    Binary,
    CBlock,
    CgroupsIgnored,
    Cpus,
    CpuSet,
    Expression,
    FunctionCall,
    Literal,
    Name,
    Order,
    OrderBy,
    PolicyProgram,
    Preempt,
    Property,
    ReachOf,
    Rule,
    Share,
    Slice,
    SmtAvoided,
    Sticky,
    Text,
    Tier,
    TierOf,
    Unary,
    UseLine,
    Weight,
)

# How strongly operators bind, from weakest to strongest.
_BINDS = {"or": 1, "and": 2, "not": 3, "~": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "=": 4, "!=": 4}
_BINDS |= {"+": 5, "-": 5, "*": 6, "/": 6}
_SIGN = 7
_ATOM = 8


def format_policy(policy: PolicyProgram | UseLine) -> str:
    """One line of text (more only if a C body has them) that parses to `policy`."""
    if isinstance(policy, UseLine):
        line = " ".join(["use", policy.name, *(f"{k}={v}" for k, v in policy.parameters)])
        return f"{line}; {format_policy(policy.program)}" if policy.program else line
    items = [format_property(each) for each in policy.defaults]
    return "; ".join([*items, *map(format_rule, policy.rules)])


def format_rule(rule: Rule) -> str:
    selector = "*" if rule.selector is None else format_expression(rule.selector)
    inside = "; ".join(map(format_property, rule.properties))
    return f"{selector} {{ {inside} }}" if inside else f"{selector} {{ }}"


def format_property(each: Property) -> str:
    match each:
        case Slice(value):
            return f"slice {format_expression(value)}"
        case OrderBy(Order.BY, value, descending):
            assert value is not None
            return f"order by {format_expression(value)}{' desc' if descending else ''}"
        case OrderBy(order):
            return f"order {order}"
        case TierOf(Tier.NORMAL):
            return "tier normal"
        case TierOf(tier):
            return str(tier)
        case Weight(value):
            return f"weight {value}"
        case Share(percent, at_least):
            return f"share {'>=' if at_least else '<='} {percent}%"
        case Cpus(ranges, sets):
            numbers = [cpu_list(ranges)] if ranges else []
            return f"cpus {' and '.join([*map(format_cpu_set, sets), *numbers])}"
        case Preempt():
            return "preempt"
        case ReachOf(reach):
            return str(reach)
        case Sticky():
            return "sticky"
        case SmtAvoided():
            return "smt avoid"
        case CgroupsIgnored():
            return "cgroups ignore"
        case CBlock(hook, body):
            # A comment to the end of the line would swallow the brace.
            end = "\n" if "//" in body.rpartition("\n")[2] else " "
            return f"c {hook} {{ {body}{end}}}"
    raise AssertionError(each)


def format_cpu_set(each: CpuSet) -> str:
    return f"{each.kind} {cpu_list(each.numbers)}" if each.numbers else str(each.kind)


def format_expression(expression: Expression) -> str:
    """An expression with no more parentheses than it needs."""
    return _format(expression)[0]


def _format(expression: Expression) -> tuple[str, int]:
    """The text, and how strongly its outermost operator binds."""
    match expression:
        case Literal():
            return units.written(expression), _ATOM
        case Text(value):
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"', _ATOM
        case Name(name):
            return name, _ATOM
        case FunctionCall(function, arguments):
            return f"{function}({', '.join(map(format_expression, arguments))})", _ATOM
        case Unary("not", operand):
            return f"not {_inside(operand, _BINDS['not'])}", _BINDS["not"]
        case Unary(operator, operand):
            return f"{operator}{_inside(operand, _SIGN)}", _SIGN
        case Binary(operator, left, right):
            binds = _BINDS[operator]
            # Comparisons do not chain; the others group from the left.
            first = _inside(left, binds + 1 if binds == _BINDS["="] else binds)
            return f"{first} {operator} {_inside(right, binds + 1)}", binds
    raise AssertionError(expression)


def _inside(expression: Expression, least: int) -> str:
    text, binds = _format(expression)
    return text if binds >= least else f"({text})"
