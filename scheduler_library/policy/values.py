# SPDX-License-Identifier: GPL-2.0-or-later
"""The bounds of a formula's values, and whether a condition can be true for any task.

Bounds are computed as the C computes values (templates/arithmetic.c.j2): whole numbers, ratios in
thousandths, saturating ends, division by zero gives zero. They may be wider than the real range,
but never narrower, so whatever is called impossible here is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from scheduler_library.policy import globs
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
from scheduler_library.policy.units import RATIO_SCALE
from scheduler_library.policy.vocabulary import NAME_BYTES, NAMES, POLICIES, WORDS

# Values saturate here (arithmetic.c.j2).
LARGEST = 1 << 60
# Limit of steps in the search for a task for which a condition is true; then it counts as possible.
MOST_STEPS = 500
# How many patterns are checked together; with more, something is assumed to be left.
MOST_PATTERNS = 8


@dataclass(frozen=True)
class Bounds:
    """All whole numbers from `low` to `high`; none if `low` is the larger."""

    low: int
    high: int

    @property
    def empty(self) -> bool:
        return self.low > self.high

    @property
    def constant(self) -> bool:
        return self.low == self.high

    def __contains__(self, value: int) -> bool:
        return self.low <= value <= self.high

    def __and__(self, other: "Bounds") -> "Bounds":
        return Bounds(max(self.low, other.low), min(self.high, other.high))

    def __or__(self, other: "Bounds") -> "Bounds":
        if self.empty or other.empty:
            return other if self.empty else self
        return Bounds(min(self.low, other.low), max(self.high, other.high))


_TIME = Bounds(0, LARGEST)
# The range of a fact, from the kernel and our own bookkeeping. Process ids end at PID_MAX_LIMIT,
# and 0 is the idle task, which no scheduler sees; the largest user id means "none".
OF_FACTS: dict[str, Bounds] = {
    **{name: _TIME for name, word in WORDS.items() if word.type is Type.TIME},
    "wakeups": Bounds(0, 1_000_000_000),
    "weight": Bounds(1, 10_000),
    "nice": Bounds(-20, 19),
    "cpu_share": Bounds(0, RATIO_SCALE),
    "uid": Bounds(0, (1 << 32) - 2),
    "pid": Bounds(1, 4_194_304),
    "tgid": Bounds(1, 4_194_304),
}


@dataclass(frozen=True)
class Assumptions:
    """The assumptions about a task during an analysis.

    `numbers` by expression, `texts` by field: patterns of which each matches one, and those that
    match none. `truths` of names that are conditions by themselves.
    """

    numbers: dict[Expression, Bounds] = field(default_factory=dict)
    unequal: dict[Expression, frozenset[int]] = field(default_factory=dict)
    any_of: dict[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    none_of: dict[str, tuple[str, ...]] = field(default_factory=dict)
    truths: dict[str, bool] = field(default_factory=dict)


class Values:
    """The bounds and conditions of one policy's expressions."""

    def __init__(self, types: Types, users: Callable[[str], int | None]) -> None:
        self._types = types
        self._users = users

    # ------------------------------------------------------------ numbers

    def bounds(self, expression: Expression, known: Assumptions | None = None) -> Bounds:
        """The bounds of a number, in ns, as a count or in thousandths."""
        known = known or Assumptions()
        found = self._computed(expression, known)
        narrower = known.numbers.get(expression)
        return found & narrower if narrower else found

    def _computed(self, expression: Expression, known: Assumptions) -> Bounds:
        match expression:
            case Literal(value):
                return Bounds(value, value)
            case Name(name):
                return OF_FACTS.get(name, Bounds(-LARGEST, LARGEST))
            case Unary(_, operand):
                inner = self.bounds(operand, known)
                return Bounds(-inner.high, -inner.low)
            case FunctionCall("if", (condition, first, second)):
                wanted = self._types.of(expression)
                found = Bounds(1, 0)
                for chosen, holds in ((first, True), (second, False)):
                    inside = self.assume(condition, known, holds=holds)
                    if inside is not None:
                        found |= self._as(chosen, wanted, inside)
                return found
            case FunctionCall(function, arguments):
                wanted = self._types.of(expression)
                return _called(function, [self._as(each, wanted, known) for each in arguments])
            case Binary("*", left, right):
                return self._product(left, right, known)
            case Binary("/", left, right):
                return self._quotient(left, right, known)
            case Binary("-", left, right) if left == right:
                return Bounds(0, 0)
            case Binary(operator, left, right) if operator in "+-":
                wanted = self._types.of(expression)
                a, b = self._as(left, wanted, known), self._as(right, wanted, known)
                if operator == "-":
                    b = Bounds(-b.high, -b.low)
                return _bound(Bounds(a.low + b.low, a.high + b.high))
        return Bounds(-LARGEST, LARGEST)

    def _as(self, expression: Expression, wanted: Type, known: Assumptions) -> Bounds:
        found = self.bounds(expression, known)
        if wanted is Type.RATIO and self._types.of(expression) is Type.COUNT:
            return _bound(Bounds(found.low * RATIO_SCALE, found.high * RATIO_SCALE))
        return found

    def _product(self, left: Expression, right: Expression, known: Assumptions) -> Bounds:
        a, b = self.bounds(left, known), self.bounds(right, known)
        found = _bound(_corners(a, b, lambda x, y: x * y))
        types = (self._types.of(left), self._types.of(right))
        if types.count(Type.RATIO) and Type.COUNT not in types:
            return _over(found, Bounds(RATIO_SCALE, RATIO_SCALE))
        return found

    def _quotient(self, left: Expression, right: Expression, known: Assumptions) -> Bounds:
        a, b = self.bounds(left, known), self.bounds(right, known)
        above, below = self._types.of(left), self._types.of(right)
        scale = RATIO_SCALE
        if below is Type.COUNT and above is not Type.COUNT:
            scale = 1
        elif above is Type.COUNT and below is Type.RATIO:
            scale = RATIO_SCALE * RATIO_SCALE
        return _over(_bound(Bounds(a.low * scale, a.high * scale)), b)

    # ------------------------------------------------------------ conditions

    def possible(self, *conditions: Expression, unless: Iterable[Expression] = ()) -> bool:
        """Whether there can be a task for which all these are true, and none of `unless`.

        Also True if it would take too long to find out.
        """
        wanted = [(each, True) for each in conditions] + [(each, False) for each in unless]
        return self._satisfied(wanted, Assumptions(), [MOST_STEPS])

    def assume(
        self, condition: Expression, known: Assumptions, *, holds: bool
    ) -> Assumptions | None:
        """What is known about a task if the condition holds (or does not); None: it cannot."""
        parts: list[tuple[Expression, bool]] = [(condition, holds)]
        found: Assumptions | None = known
        while parts and found is not None:
            expression, wanted = parts.pop(0)
            match expression:
                case Unary("not", operand):
                    parts.insert(0, (operand, not wanted))
                case Binary("and" | "or" as operator, left, right):
                    if (operator == "and") is wanted:
                        parts[:0] = [(left, wanted), (right, wanted)]
                    elif not self._satisfied([(expression, wanted)], found, [MOST_STEPS]):
                        return None
                case _:
                    found = self._narrowed(expression, wanted, found)
        return found

    def _satisfied(
        self, wanted: list[tuple[Expression, bool]], known: Assumptions, steps: list[int]
    ) -> bool:
        """Whether all can hold at once; alternatives are tried one after the other."""
        choices: list[tuple[Expression, bool]] = []
        waiting = list(wanted)
        plain: list[tuple[Expression, bool]] = []
        while waiting:
            expression, holds = waiting.pop(0)
            match expression:
                case Unary("not", operand):
                    waiting.insert(0, (operand, not holds))
                case Binary("and" | "or" as operator, left, right):
                    if (operator == "and") is holds:
                        waiting[:0] = [(left, holds), (right, holds)]
                    else:
                        choices.append((expression, holds))
                case _:
                    plain.append((expression, holds))
        # Twice, because a later condition may narrow what an earlier one is computed from.
        for expression, holds in [*plain, *plain] if len(plain) > 1 else plain:
            steps[0] -= 1
            if steps[0] < 0:
                return True
            narrowed = self._narrowed(expression, holds, known)
            if narrowed is None:
                return False
            known = narrowed
        if not choices:
            return True
        (chosen, holds), rest = choices[0], choices[1:]
        assert isinstance(chosen, Binary)
        return any(
            self._satisfied([(each, holds), *rest], known, steps)
            for each in (chosen.left, chosen.right)
        )

    def _narrowed(
        self, expression: Expression, holds: bool, known: Assumptions
    ) -> Assumptions | None:
        """What is known once a comparison holds, or does not; None if that is impossible."""
        match expression:
            case Name(name):
                if known.truths.get(name, holds) is not holds:
                    return None
                return replace(known, truths={**known.truths, name: holds})
            case Binary(operator, Name(name), right) if WORDS[name].type is Type.TEXT:
                return self._text(name, operator, right, holds, known)
            case Binary(operator, left, right):
                return self._compared(operator, left, right, holds, known)
        return known

    def _text(
        self, name: str, operator: str, right: Expression, holds: bool, known: Assumptions
    ) -> Assumptions | None:
        assert isinstance(right, Name | Text)
        word = right.name if isinstance(right, Name) else right.value
        holds = holds if operator != "!=" else not holds
        if name == "user":
            number = self._users(word)
            return known if number is None else _equal(Name("uid"), number, holds, known)
        if name == "policy":
            return _equal(Name("policy"), POLICIES[word], holds, known)
        if operator != "~" and not holds and set(word) & set("*?"):
            # As a glob it would exclude more than itself.
            return known
        patterns = tuple(word.split("|")) if operator == "~" else (word,)
        return _texts(name, patterns, holds, known)

    def _compared(
        self, operator: str, left: Expression, right: Expression, holds: bool, known: Assumptions
    ) -> Assumptions | None:
        sign = operator if holds else _NEGATED[operator]
        types = (self._types.of(left), self._types.of(right))
        wanted = Type.RATIO if Type.RATIO in types else types[0]
        a, b = self._as(left, wanted, known), self._as(right, wanted, known)
        if a.empty or b.empty:
            return None
        if sign == "=":
            if (a & b).empty:
                return None
        elif sign == "!=":
            if a.constant and a == b:
                return None
        elif not _ordered(sign, a, b):
            return None
        # Only values compared in their own unit are narrowed: a count in thousandths loses nothing,
        # and gains nothing either.
        for one, other, how in ((left, b, sign), (right, a, _TURNED[sign])):
            if self._types.of(one) is not wanted or isinstance(one, Literal):
                continue
            if how in ("=", "!=") and other.constant:
                narrowed = _equal(one, other.low, how == "=", known, self.bounds(one, known))
            elif how == "!=":
                continue
            else:
                narrowed = _limited(one, self.bounds(one, known) & _side(how, other), known)
            if narrowed is None:
                return None
            known = narrowed
        return known


_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "!=", "!=": "="}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}


def _ordered(sign: str, a: Bounds, b: Bounds) -> bool:
    """Whether some value of one can have this relation to some value of the other."""
    return {
        "<": a.low < b.high,
        "<=": a.low <= b.high,
        ">": a.high > b.low,
        ">=": a.high >= b.low,
    }[sign]


def _side(sign: str, other: Bounds) -> Bounds:
    """The values that have this relation to some value of `other`."""
    return {
        "<": Bounds(-LARGEST, other.high - 1),
        "<=": Bounds(-LARGEST, other.high),
        ">": Bounds(other.low + 1, LARGEST),
        ">=": Bounds(other.low, LARGEST),
        "=": other,
    }[sign]


def _limited(expression: Expression, found: Bounds, known: Assumptions) -> Assumptions | None:
    """With an expression within these bounds, without the values that it cannot have."""
    no = known.unequal.get(expression, frozenset())
    while not found.empty and found.low in no:
        found = Bounds(found.low + 1, found.high)
    while not found.empty and found.high in no:
        found = Bounds(found.low, found.high - 1)
    if found.empty:
        return None
    return replace(known, numbers={**known.numbers, expression: found})


def _equal(
    expression: Expression, number: int, holds: bool, known: Assumptions, own: Bounds | None = None
) -> Assumptions | None:
    possible = (
        own
        or known.numbers.get(expression)
        or OF_FACTS.get(getattr(expression, "name", ""), Bounds(0, max(POLICIES.values())))
    )
    if expression in known.numbers:
        possible &= known.numbers[expression]
    if holds:
        return _limited(expression, possible & Bounds(number, number), known)
    no = known.unequal.get(expression, frozenset()) | {number}
    if expression == Name("policy") and set(POLICIES.values()) <= no:
        return None
    found = replace(known, unequal={**known.unequal, expression: no})
    return _limited(expression, possible, found)


def _texts(
    name: str, patterns: tuple[str, ...], holds: bool, known: Assumptions
) -> Assumptions | None:
    """With a field that matches one of these patterns, or none of them."""
    if holds:
        any_of = (*known.any_of.get(name, ()), patterns)
        none_of = known.none_of.get(name, ())
    else:
        any_of = known.any_of.get(name, ())
        none_of = (*known.none_of.get(name, ()), *patterns)
    # A pattern that matches one of several is enough for a contradiction, if none of them is left.
    for index, each in enumerate(any_of):
        left = [
            one
            for one in each
            if not _too_long(name, one)
            and not globs.within(one, none_of[:MOST_PATTERNS])
            # A unit has two names, with and without its suffix: each may match another pattern.
            and (
                name == "unit"
                or all(
                    any(globs.meet(one, two) for two in other)
                    for place, other in enumerate(any_of)
                    if place != index
                )
            )
        ]
        if not left:
            return None
    if holds:
        return replace(known, any_of={**known.any_of, name: any_of})
    # Every task has a name. A value that the daemon looks up may be unknown, and then matches
    # nothing.
    if name in NAMES and any(not pattern.strip("*") for pattern in none_of):
        return None
    return replace(known, none_of={**known.none_of, name: none_of})


def _too_long(name: str, pattern: str) -> bool:
    return name in NAMES and len(pattern.replace("*", "")) > NAME_BYTES


# ---------------------------------------------------------------- arithmetic


def _bound(found: Bounds) -> Bounds:
    if found.empty:
        return found
    return Bounds(max(-LARGEST, min(LARGEST, found.low)), max(-LARGEST, min(LARGEST, found.high)))


def _corners(a: Bounds, b: Bounds, of: Callable[[int, int], int]) -> Bounds:
    if a.empty or b.empty:
        return Bounds(1, 0)
    values = [of(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return Bounds(min(values), max(values))


def _divided(a: int, b: int) -> int:
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _over(a: Bounds, b: Bounds) -> Bounds:
    """Division towards zero, with divisors below, above, and equal to zero."""
    found = Bounds(0, 0) if 0 in b and not a.empty else Bounds(1, 0)
    for part in (b & Bounds(-(1 << 63), -1), b & Bounds(1, 1 << 63)):
        if not part.empty:
            found |= _corners(a, part, _divided)
    return found


def _called(function: str, values: Sequence[Bounds]) -> Bounds:
    if any(each.empty for each in values):
        return Bounds(1, 0)
    lows, highs = [each.low for each in values], [each.high for each in values]
    if function == "min":
        return Bounds(min(lows), min(highs))
    if function == "max":
        return Bounds(max(lows), max(highs))
    # As in the C: a value above `most` becomes `most`, else it is not below `least`; so `least` may
    # win, but only for values that are not above `most`.
    value, least, most = values
    found = Bounds(1, 0)
    if value.high > most.low:
        found |= Bounds(most.low, most.high)
    if value.low <= most.high:
        found |= Bounds(max(value.low, least.low), max(min(value.high, most.high), least.high))
    return found
