# SPDX-License-Identifier: GPL-2.0-or-later
"""The syntax tree of the policy language: what was written, and where.

Nodes are compared without their place, so that a text and its formatted form are equal. `at` is an
offset into the text, in characters; -1 for a node that nobody wrote.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from scheduler_library.cpu_list import Ranges


class Type(StrEnum):
    """The type of an expression."""

    TIME = "a time"
    COUNT = "a whole number"
    RATIO = "a ratio"
    TEXT = "a text"
    TRUTH = "a condition"


def _place() -> int:
    """A field for the place, which comparisons ignore."""
    return field(default=-1, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Literal:
    """A number: ns of a time, a plain count, or a ratio in thousandths."""

    value: int
    type: Type
    # Whether a ratio was written with a percent sign.
    percent: bool = False
    at: int = _place()


@dataclass(frozen=True)
class Text:
    """A quoted text, without its quotes and escapes."""

    value: str
    at: int = _place()


@dataclass(frozen=True)
class Name:
    """A fact, a selector's field, or a word such as `batch`."""

    name: str
    at: int = _place()


@dataclass(frozen=True)
class Binary:
    """`+ - * /`, a comparison, `~`, `and` or `or`. `at` is the operator's place."""

    operator: str
    left: "Expression"
    right: "Expression"
    at: int = _place()


@dataclass(frozen=True)
class Unary:
    """`-` or `not`."""

    operator: str
    operand: "Expression"
    at: int = _place()


@dataclass(frozen=True)
class FunctionCall:
    """`min, max, clamp, if`."""

    function: str
    arguments: tuple["Expression", ...]
    at: int = _place()


Expression = Literal | Text | Name | Binary | Unary | FunctionCall


@dataclass(frozen=True)
class Slice:
    value: Expression
    at: int = _place()


class Order(StrEnum):
    """The order of a queue."""

    VTIME = "vtime"
    FIFO = "fifo"
    BY = "by"


@dataclass(frozen=True)
class OrderBy:
    """`order vtime`, `order fifo`, `order by EXPR [asc|desc]`; `value` only with BY."""

    order: Order
    value: Expression | None = None
    descending: bool = False
    at: int = _place()


class Tier(StrEnum):
    """Who goes first, from first to last. The words of the language, and `normal`."""

    LATENCY = "latency"
    NORMAL = "normal"
    IDLE = "idle"


@dataclass(frozen=True)
class TierOf:
    tier: Tier
    at: int = _place()


@dataclass(frozen=True)
class Weight:
    """Replaces 100, the weight of a task of nice 0."""

    value: int
    at: int = _place()


@dataclass(frozen=True)
class Share:
    """A part of the machine in percent: at most that much, or at least."""

    percent: int
    at_least: bool
    at: int = _place()


class CpuSetKind(StrEnum):
    """What a set of CPUs is named after, in the order of the canonical form."""

    FAST = "fast"
    SLOW = "slow"
    NODE = "node"
    LLC = "llc"


@dataclass(frozen=True)
class CpuSet:
    """CPUs by the machine's topology: the fast ones, the slow ones, those of NUMA nodes or
    last-level caches (`numbers`).
    """

    kind: CpuSetKind
    numbers: Ranges = ()
    at: int = _place()


@dataclass(frozen=True)
class Cpus:
    """The CPUs that are in `ranges` and in all of `sets`; each of the two may be empty, which does
    not narrow anything. `sets` are ascending, each kind once.
    """

    ranges: Ranges = ()
    sets: tuple[CpuSet, ...] = ()
    at: int = _place()


@dataclass(frozen=True)
class Preempt:
    at: int = _place()


class Reach(StrEnum):
    """Which CPUs share a queue."""

    LOCAL = "local"
    LLC = "llc"


@dataclass(frozen=True)
class ReachOf:
    reach: Reach
    at: int = _place()


@dataclass(frozen=True)
class Sticky:
    at: int = _place()


@dataclass(frozen=True)
class SmtAvoided:
    """`smt avoid`: a whole idle core before the sibling of a busy CPU."""

    at: int = _place()


@dataclass(frozen=True)
class CgroupsIgnored:
    """`cgroups ignore`: cpu.weight, cpu.idle and cpu.max have no effect."""

    at: int = _place()


class Hook(StrEnum):
    """What a C body can decide."""

    SLICE = "slice"
    ORDER = "order"


@dataclass(frozen=True)
class CBlock:
    """`c HOOK { BODY }`."""

    hook: Hook
    body: str
    at: int = _place()


Property = (
    Slice
    | OrderBy
    | TierOf
    | Weight
    | Share
    | Cpus
    | Preempt
    | ReachOf
    | Sticky
    | SmtAvoided
    | CgroupsIgnored
    | CBlock
)


@dataclass(frozen=True)
class Rule:
    """`SELECTOR { … }`; no selector is `*`. `end` is the offset behind the closing brace."""

    selector: Expression | None
    properties: tuple[Property, ...]
    at: int = _place()
    end: int = _place()


@dataclass(frozen=True)
class PolicyProgram:
    """Properties for everybody, then rules; the first that matches wins."""

    defaults: tuple[Property, ...] = ()
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True)
class UseLine:
    """`use NAME key=value …`; the values as written. `program` is what follows it."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    program: "PolicyProgram | None" = None
    at: int = _place()


def walk(expression: Expression) -> list[Expression]:
    """The expression and all its parts, outermost first."""
    found: list[Expression] = [expression]
    match expression:
        case Binary(_, left, right):
            found += walk(left) + walk(right)
        case Unary(_, operand):
            found += walk(operand)
        case FunctionCall(_, arguments):
            for each in arguments:
                found += walk(each)
    return found
