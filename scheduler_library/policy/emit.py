# SPDX-License-Identifier: GPL-2.0-or-later
"""Expressions and selectors in C.

Every number is an s64: a time in ns, a count, or a ratio in thousandths. The arithmetic is
saturating (templates/arithmetic.c.j2), so no policy can overflow or divide by zero.
"""

from dataclasses import dataclass, field

from scheduler_library.manifest import Parameter, ParameterType, Unit, When
from scheduler_library.policy.facts import UserSelector
from scheduler_library.policy.plan import TargetMachine
from scheduler_library.policy.syntax import (
    Binary,
    Expression,
    FunctionCall,
    Literal,
    Name,
    Text,
    Type,
    Unary,
)
from scheduler_library.policy.typecheck import Types
from scheduler_library.policy.units import LARGEST, RATIO_SCALE, written
from scheduler_library.policy.vocabulary import FACTS, POLICIES, WORDS

_COMPARISON = {"=": "==", "!=": "!=", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass(frozen=True)
class Tunable:
    """A number of the policy that can be set while it runs."""

    parameter: Parameter
    comment: str


@dataclass(frozen=True)
class Glob:
    """A pattern for names of up to 15 bytes, as its parts between the stars."""

    function: str
    pattern: str


@dataclass
class Emitter:
    """Turns expressions into C, and records what they need."""

    machine: TargetMachine
    types: Types
    facts: set[str] = field(default_factory=set)
    tunables: dict[str, Tunable] = field(default_factory=dict)
    globs: dict[str, Glob] = field(default_factory=dict)
    selectors: list[UserSelector] = field(default_factory=list)

    def number(self, expression: Expression, prefix: str, lowest: int, highest: int) -> str:
        """The C of a number; its times become tunables named after `prefix`, within
        these bounds.
        """
        return self._number(expression, (prefix, lowest, highest))

    def condition(self, expression: Expression, prefix: str) -> str:
        """The C of a condition, without parentheses around the whole."""
        return self._condition(expression, (prefix, 0, LARGEST))

    def tunable(self, parameter: Parameter, comment: str) -> str:
        """The name of a new tunable like this one."""
        self.tunables[parameter.name] = Tunable(parameter, comment)
        return parameter.name

    # ------------------------------------------------------------ numbers

    def _number(self, expression: Expression, owner: tuple[str, int, int]) -> str:
        match expression:
            case Literal(value, Type.TIME):
                return f"(s64){self._time(expression, owner)}"
            case Literal(value):
                return str(value)
            case Name(name):
                if name in FACTS:
                    self.facts.add(name)
                return WORDS[name].c
            case Unary(_, operand):
                return f"-{self._atom(operand, owner)}"
            case FunctionCall("if", (condition, first, second)):
                wanted = self.types.of(expression)
                return (
                    f"({self._condition(condition, owner)} ? {self._as(first, wanted, owner)} : "
                    f"{self._as(second, wanted, owner)})"
                )
            case FunctionCall(function, arguments):
                wanted = self.types.of(expression)
                return f"{function}({', '.join(self._as(a, wanted, owner) for a in arguments)})"
            case Binary(operator, left, right) if operator in "+-":
                wanted = self.types.of(expression)
                a, b = (self._as(each, wanted, owner) for each in (left, right))
                return f"{'plus' if operator == '+' else 'minus'}({a}, {b})"
            case Binary("*", left, right):
                return self._product(left, right, owner)
            case Binary("/", left, right):
                return self._quotient(left, right, owner)
        raise AssertionError(expression)

    def _atom(self, expression: Expression, owner: tuple[str, int, int]) -> str:
        return f"({self._number(expression, owner)})"

    def _as(self, expression: Expression, wanted: Type, owner: tuple[str, int, int]) -> str:
        """The expression in thousandths, if it is a count where a ratio is wanted."""
        found = self.types.of(expression)
        if wanted is Type.RATIO and found is Type.COUNT:
            if isinstance(expression, Literal):
                return str(expression.value * RATIO_SCALE)
            return f"times({self._number(expression, owner)}, {RATIO_SCALE})"
        return self._number(expression, owner)

    def _product(self, left: Expression, right: Expression, owner: tuple[str, int, int]) -> str:
        first, second = self._number(left, owner), self._number(right, owner)
        ratios = [self.types.of(left), self.types.of(right)].count(Type.RATIO)
        if not ratios:
            return f"times({first}, {second})"
        # A count times a ratio stays in thousandths; anything else divides them out once.
        if Type.COUNT in (self.types.of(left), self.types.of(right)):
            return f"times({first}, {second})"
        return f"over(times({first}, {second}), {RATIO_SCALE})"

    def _quotient(self, left: Expression, right: Expression, owner: tuple[str, int, int]) -> str:
        first, second = self._number(left, owner), self._number(right, owner)
        above, below = self.types.of(left), self.types.of(right)
        if below is Type.COUNT and above is not Type.COUNT:
            return f"over({first}, {second})"
        if above is Type.COUNT and below is Type.RATIO:
            return f"over(times({first}, {RATIO_SCALE * RATIO_SCALE}), {second})"
        return f"over(times({first}, {RATIO_SCALE}), {second})"

    def _time(self, literal: Literal, owner: tuple[str, int, int]) -> str:
        """The variable for a literal time."""
        prefix, lowest, highest = owner
        name, number = f"{prefix}_ns", 1
        while name in self.tunables:
            number += 1
            name = f"{prefix}_{number}_ns"
        return self.tunable(
            Parameter(
                name=name,
                type=ParameterType.INT,
                default=literal.value,
                min=min(lowest, literal.value),
                max=max(highest, literal.value),
                unit=Unit.NS,
                description=f"The {written(literal)} in the policy.",
                when=When.LIVE,
            ),
            f"Live. The {written(literal)} in the policy, ns.",
        )

    # ------------------------------------------------------------ conditions

    def _condition(self, expression: Expression, owner: tuple[str, int, int]) -> str:
        match expression:
            case Name(name):
                return WORDS[name].c
            case Unary("not", operand):
                return f"!({self._condition(operand, owner)})"
            case Binary("and" | "or" as operator, left, right):
                sign = "&&" if operator == "and" else "||"
                return f"({self._condition(left, owner)}) {sign} ({self._condition(right, owner)})"
            case Binary(operator, Name(field_), right) if WORDS[field_].type is Type.TEXT:
                return self._match(operator, field_, right)
            case Binary(operator, left, right):
                types = (self.types.of(left), self.types.of(right))
                wanted = Type.RATIO if Type.RATIO in types else types[0]
                a, b = (self._as(each, wanted, owner) for each in (left, right))
                return f"{a} {_COMPARISON[operator]} {b}"
        raise AssertionError(expression)

    def _match(self, operator: str, name: str, right: Expression) -> str:
        if name == "policy":
            word = right.name if isinstance(right, Name) else getattr(right, "value", "")
            return f"p->policy {_COMPARISON[operator]} {POLICIES[word]}"
        assert isinstance(right, Text)
        if name == "user":
            return f"uid(p) {_COMPARISON[operator]} {self.machine.users(right.value) or 0}"
        patterns = right.value.split("|") if operator == "~" else [right.value]
        negated = "!" if operator == "!=" else ""
        if name in ("comm", "thread_name"):
            tests = [f"{self._glob(each, operator == '~')}({name})" for each in patterns]
            either = " || ".join(tests)
            return f"{negated}({either})" if len(tests) > 1 or negated else either
        return f"{negated}(t->selected & {1 << self._bit(name, tuple(patterns), operator)}ULL)"

    def _glob(self, pattern: str, is_glob: bool) -> str:
        key = f"{'~' if is_glob else '='}{pattern}"
        if key not in self.globs:
            self.globs[key] = Glob(f"name_is_{len(self.globs) + 1}", pattern)
        return self.globs[key].function

    def _bit(self, name: str, patterns: tuple[str, ...], operator: str) -> int:
        """The bit of a selector that the daemon resolves; equal selectors share one bit."""
        if operator != "~":
            # The daemon matches only by globs.
            patterns = tuple(_literally(each) for each in patterns)
        for each in self.selectors:
            if (each.field, each.patterns) == (name, patterns):
                return each.bit
        self.selectors.append(UserSelector(len(self.selectors), name, patterns))
        return len(self.selectors) - 1


def _literally(text: str) -> str:
    """A glob that matches exactly this text."""
    return "".join(f"[{each}]" if each in "*?[" else each for each in text)


def glob_steps(pattern: str, is_glob: bool) -> list[tuple[str, str]]:
    """A pattern as steps over a name: `at` the place, or `find` the next place, then `end`.

    Leftmost matching of each part between stars finds a match whenever there is one.
    """
    if not is_glob:
        return [("at", pattern), ("end", "")]
    first, *rest = pattern.split("*")
    steps = [("at", first)] if first else []
    if not rest:
        return [*steps, ("end", "")]
    steps += [("find", part) for part in rest[:-1] if part]
    return [*steps, ("last", rest[-1])] if rest[-1] else steps
