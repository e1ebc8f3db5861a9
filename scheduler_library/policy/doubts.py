# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts of a policy that are probably mistakes: conditions that are never or always true, rules
that are never reached or change nothing, patterns in another language's spelling, formulas without
effect.

All of it is compiled: each is a rule or a number like others. But nobody writes it on purpose, so
it is reported, with the place and what to write.
"""

from collections.abc import Callable, Iterator, Mapping

from scheduler_library.policy import patterns
from scheduler_library.policy.cpu_sets import CpuSets
from scheduler_library.policy.formatter import (
    format_cpu_set,
    format_expression,
    format_property,
)
from scheduler_library.policy.syntax import (
    Binary,
    Cpus,
    CpuSetKind,
    Expression,
    FunctionCall,
    Literal,
    Name,
    Order,
    OrderBy,
    PolicyProgram,
    Property,
    Rule,
    Share,
    Slice,
    SmtAvoided,
    Text,
    Tier,
    TierOf,
    Type,
    Unary,
    Weight,
)
from scheduler_library.policy.trouble import Doubt, doubt
from scheduler_library.policy.typecheck import COMPARISONS, Types, start
from scheduler_library.policy.units import RATIO_SCALE, written
from scheduler_library.policy.values import OF_FACTS, Assumptions, Bounds, Values
from scheduler_library.policy.vocabulary import FIELDS

# How much of the written text is shown, characters.
_SHOWN = 60


def doubts(
    text: str,
    program: PolicyProgram,
    *,
    users: Callable[[str], int | None],
    slices: Bounds,
    settings: tuple[Mapping[str, Property], ...],
    cpu_sets: Callable[[], CpuSets],
) -> tuple[Doubt, ...]:
    """All doubts about a checked program, in the order of their places.

    `settings` are those of each rule and of the rest, including the ones for everybody; `slices` is
    the range in which every slice is kept, ns; `cpu_sets` are asked only if the program has some.
    """
    found = list(_Doubting(text, program, users, slices, cpu_sets).all(settings))
    return tuple(sorted(found, key=lambda each: (each.line, each.column)))


class _Doubting:
    """One pass over a program."""

    def __init__(
        self,
        text: str,
        program: PolicyProgram,
        users: Callable[[str], int | None],
        slices: Bounds,
        cpu_sets: Callable[[], CpuSets],
    ) -> None:
        self._text = text
        self._program = program
        self._types = Types(text)
        self._values = Values(self._types, users)
        self._slices = slices
        self._cpu_sets = cpu_sets

    def all(self, settings: tuple[Mapping[str, Property], ...]) -> Iterator[Doubt]:
        for rule in self._program.rules:
            if rule.selector is not None:
                yield from self._selector(rule.selector)
        yield from self._unreached()
        for each in self._program.defaults:
            yield from self._property(each)
        for rule in self._program.rules:
            for each in rule.properties:
                yield from self._property(each)
        yield from self._without_effect(settings)

    def _doubt(self, at: int, what: str, why: str, hint: str, *, certain: bool = True) -> Doubt:
        return doubt(self._text, at, what, why=why, hint=hint, certain=certain)

    # ------------------------------------------------------------ conditions

    def _selector(self, selector: Expression) -> Iterator[Doubt]:
        found = list(self._condition(selector, Assumptions()))
        yield from found
        if not found and not self._values.possible(unless=(selector,)):
            yield self._doubt(
                start(selector),
                f"`{_shown(selector)}` is true of every task",
                "so this rule applies to everybody",
                "write `*` for everybody, or a comparison that differs between tasks",
            )

    def _condition(self, expression: Expression, known: Assumptions) -> Iterator[Doubt]:
        """The doubts about one condition and its parts."""
        match expression:
            case Unary("not", operand):
                yield from self._condition(operand, known)
            case Binary("and" | "or", left, right):
                before = list(self._condition(left, known)) + list(self._condition(right, known))
                yield from before
                if not before and expression.operator == "and":
                    yield from self._contradiction(expression, known)
            case Binary(operator, left, right) if operator in COMPARISONS or operator == "~":
                inside = [*self._numbers(left, known), *self._numbers(right, known)]
                yield from inside
                if not inside:
                    yield from self._comparison(expression, known)

    def _comparison(self, expression: Binary, known: Assumptions) -> Iterator[Doubt]:
        operator, left, right = expression.operator, expression.left, expression.right
        if isinstance(left, Name) and isinstance(right, Text) and FIELDS.get(left.name):
            yield from self._patterns(left.name, operator, right)
            return
        if _is_a_range(expression):
            assert isinstance(right, Binary)
            name, low, high = map(format_expression, (left, right.left, right.right))
            yield self._doubt(
                right.at,
                f"`{low} - {high}` is a subtraction",
                f"`{name}` is compared with one number",
                f"a range is written as two comparisons: {name} >= {low} and {name} <= {high}",
            )
            return
        for one, other in ((left, right), (right, left)):
            if isinstance(one, Literal) and one.percent and self._types.of(other) is Type.COUNT:
                yield self._doubt(
                    one.at,
                    f"`{_shown(other)}` is a number, and `{_shown(one)}` is a part",
                    f"{_shown(one)} is {one.value / RATIO_SCALE:g} here",
                    "write the number itself, or compare cpu_share with the part",
                )
                return
        never = self._values.assume(expression, known, holds=True) is None
        always = self._values.assume(expression, known, holds=False) is None
        if never or always:
            why, hint = self._bounds_in_words(expression, known)
            yield self._doubt(
                start(expression),
                f"`{_shown(expression)}` is {'never true' if never else 'always true'}",
                why,
                hint,
            )

    def _bounds_in_words(self, expression: Binary, known: Assumptions) -> tuple[str, str]:
        """Why a comparison of numbers can have only one result, and what to write."""
        left, right = expression.left, expression.right
        fact, other = (left, right) if not isinstance(left, Literal) else (right, left)
        bounds = self._values.bounds(fact, known)
        type_ = self._types.of(fact)
        if isinstance(fact, Name) and fact.name == "cpu_share":
            hint = "write a part of one CPU: cpu_share > 80%"
            if isinstance(other, Literal) and other.type is Type.COUNT and 0 < other.value <= 100:
                hint = (
                    f"a number of percents has its sign: cpu_share {expression.operator} "
                    f"{other.value}%"
                )
            return "`cpu_share` is a part of one CPU, from 0% to 100%", hint
        if isinstance(fact, Name) and fact.name in OF_FACTS:
            low, high = _value(bounds.low, type_), _value(bounds.high, type_)
            if type_ is Type.TIME:
                return (
                    f"`{fact.name}` is a time, and no time is below 0",
                    "write for example: wait > 3ms",
                )
            return (
                f"`{fact.name}` is from {low} to {high}",
                "compare it with a number in between, or leave the comparison out",
            )
        low, high = _value(bounds.low, type_), _value(bounds.high, type_)
        is_ = f"always {low}" if bounds.constant else f"from {low} to {high}"
        return (
            f"`{_shown(fact)}` is {is_}",
            "compare it with what it can be, or leave the comparison out",
        )

    def _contradiction(self, expression: Binary, known: Assumptions) -> Iterator[Doubt]:
        """Two conditions joined by `and`, each of which can be true, but not both."""
        if self._values.assume(expression, known, holds=True) is not None:
            return
        parts = _joined(expression, "and")
        for number, each in enumerate(parts):
            for before in parts[:number]:
                both = Binary("and", before, each)
                if self._values.assume(both, known, holds=True) is None:
                    yield self._doubt(
                        start(each),
                        f"`{_shown(each)}` is never true where `{_shown(before)}` is",
                        "so these two together select nobody",
                        "write `or` where either will do; a range is: nice >= 0 and nice <= 5",
                    )
                    return
        yield self._doubt(
            start(expression),
            f"`{_shown(expression)}` is never true",
            "its conditions contradict each other",
            "leave one of them out, or write `or`",
        )

    def _patterns(self, field: str, operator: str, right: Text) -> Iterator[Doubt]:
        found = patterns.doubtful(field, operator, right.value)
        if found is not None:
            yield self._doubt(right.at, found.what, found.why, found.hint)

    # ------------------------------------------------------------ rules

    def _unreached(self) -> Iterator[Doubt]:
        """Rules whose tasks are all taken by several before them, or by one that is wider."""
        before: list[Expression] = []
        for number, rule in enumerate(self._program.rules, 1):
            wanted = () if rule.selector is None else (rule.selector,)
            alone = self._values.possible(*wanted)
            if before and alone and not self._values.possible(*wanted, unless=before):
                yield self._doubt(
                    rule.at,
                    f"rule {number} is never reached",
                    "the rules before it take all of its tasks: the first that matches wins",
                    "put it before them, or make their selectors narrower",
                )
            if rule.selector is not None:
                before.append(rule.selector)

    def _without_effect(self, settings: tuple[Mapping[str, Property], ...]) -> Iterator[Doubt]:
        rules = self._program.rules
        for number, rule in enumerate(rules):
            own = settings[number]
            others = settings[number + 1 :]
            shared = any(isinstance(each, Share) for each in own.values())
            if (
                rule.selector is not None
                and not shared
                and all(_same(own, each) for each in others)
            ):
                yield self._unchanging(number + 1, rule)
        said = [
            *self._program.defaults,
            *(each for rule in rules for each in rule.properties),
        ]
        yield from self._same_for_all(said, settings)
        alone = not self._program.defaults and len(rules) == 1
        if alone and rules[0].selector is None and not rules[0].properties:
            yield self._doubt(
                rules[0].at,
                "this policy says nothing about anybody",
                "the braces are empty",
                "write properties into them: * { slice 3ms }",
            )

    def _unchanging(self, number: int, rule: Rule) -> Doubt:
        why = "its tasks are treated as all those are that no rule before it takes"
        if not rule.properties:
            return self._doubt(
                rule.end - 1,
                f"the braces of rule {number} are empty",
                why,
                'write properties into them: comm ~ "name*" { slice 3ms }',
            )
        what = "; ".join(format_property(each) for each in rule.properties)
        return self._doubt(
            rule.properties[0].at,
            f"rule {number} changes nothing: `{what[:_SHOWN]}`",
            why,
            "write what is to be different for these tasks, or leave the rule out",
        )

    def _same_for_all(
        self, said: list[Property], settings: tuple[Mapping[str, Property], ...]
    ) -> Iterator[Doubt]:
        """Properties that only make sense beside others, if there are no others."""
        tiers = {each.get("tier", TierOf(Tier.NORMAL)) for each in settings}
        weights = {each.get("weight", Weight(100)) for each in settings}
        for each in said:
            shown = format_property(each)
            match each:
                case TierOf(Tier.LATENCY | Tier.IDLE) if len(tiers) == 1:
                    yield self._doubt(
                        each.at,
                        f"`{shown}` applies to everybody",
                        "a tier goes before or after others, and there are no others",
                        f'apply it to some: comm ~ "name*" {{ {shown} }}',
                    )
                case Weight() if len(weights) == 1:
                    yield self._doubt(
                        each.at,
                        f"`{shown}` applies to everybody",
                        "a weight is a part beside others, and all have the same",
                        f'apply it to some: comm ~ "name*" {{ {shown} }}',
                    )
                case Share() if len(settings) == 1:
                    yield self._doubt(
                        each.at,
                        f"`{shown}` applies to everybody",
                        "a share is a part beside others, and there are no others",
                        f'apply it to some: comm ~ "name*" {{ {shown} }}',
                    )

    # ------------------------------------------------------------ the machine

    def _everywhere(self, cpus: Cpus) -> Iterator[Doubt]:
        """Sets that are all CPUs here. On another machine they need not be, so it is a note."""
        here = self._cpu_sets()
        for each in cpus.sets:
            if not here.is_everywhere(self._text, each):
                continue
            shown = format_cpu_set(each)
            speed = each.kind in (CpuSetKind.FAST, CpuSetKind.SLOW)
            yield self._doubt(
                each.at,
                f"`{shown}` changes nothing on {here.machine}",
                "all its CPUs are equally fast" if speed else "it is all CPUs that are online",
                "leave it, if the policy is also for machines on which CPUs differ",
                certain=False,
            )

    def _without_siblings(self, each: SmtAvoided) -> Iterator[Doubt]:
        here = self._cpu_sets()
        if not here.topology.smt:
            yield self._doubt(
                each.at,
                f"`smt avoid` changes nothing on {here.machine}",
                "each of its cores has one CPU: SMT is off or absent",
                "leave it, if the policy is also for machines with SMT",
                certain=False,
            )

    # ------------------------------------------------------------ formulas

    def _property(self, each: Property) -> Iterator[Doubt]:
        match each:
            case Cpus():
                yield from self._everywhere(each) if each.sets else ()
            case SmtAvoided():
                yield from self._without_siblings(each)
            case Slice(value):
                found = list(self._numbers(value, Assumptions()))
                yield from found
                if not found and not isinstance(value, Literal):
                    yield from self._length(value)
            case OrderBy(Order.BY, value):
                assert value is not None
                found = list(self._numbers(value, Assumptions()))
                yield from found
                bounds = self._values.bounds(value)
                if bounds.constant and not any(each.severity == "warning" for each in found):
                    yield self._doubt(
                        start(value),
                        f"everybody has the same place in this order: `{_shown(value)}` is always "
                        f"{_value(bounds.low, self._types.of(value))}",
                        "so the first to come goes first",
                        "write `order fifo`, or a formula of facts: order by avg_run",
                    )

    def _length(self, value: Expression) -> Iterator[Doubt]:
        bounds, least, most = self._values.bounds(value), self._slices.low, self._slices.high
        end = most if bounds.low > most else least if bounds.high < least else None
        if end is not None:
            limit = _value(end, Type.TIME)
            yield self._doubt(
                start(value),
                f"this slice is always {limit}",
                f"`{_shown(value)}` is never within {_value(least, Type.TIME)} to "
                f"{_value(most, Type.TIME)}, the range of all slices",
                f"write `slice {limit}`, or a formula with values in between",
            )

    def _numbers(self, expression: Expression, known: Assumptions) -> Iterator[Doubt]:
        """The doubts about a number and its parts, given that `known` holds."""
        match expression:
            case FunctionCall("if", (condition, first, second)):
                yield from self._condition(condition, known)
                for value, holds in ((first, True), (second, False)):
                    inside = self._values.assume(condition, known, holds=holds)
                    if inside is not None:
                        yield from self._numbers(value, inside)
                return
            case FunctionCall(function, arguments):
                for each in arguments:
                    yield from self._numbers(each, known)
                yield from self._called(function, arguments, expression, known)
            case Binary(operator, left, right) if operator in "+-*/":
                yield from self._numbers(left, known)
                yield from self._numbers(right, known)
                if operator == "/":
                    yield from self._divided(right, known)
            case Unary(_, operand):
                yield from self._numbers(operand, known)

    def _divided(self, by: Expression, known: Assumptions) -> Iterator[Doubt]:
        bounds = self._values.bounds(by, known)
        if bounds == Bounds(0, 0):
            yield self._doubt(
                start(by),
                f"`{_shown(by)}` is always 0",
                "and a division by zero gives zero",
                "divide by something else, or leave the division out",
            )
        elif bounds.low < 0 < bounds.high and 0 not in known.unequal.get(by, ()):
            yield self._doubt(
                start(by),
                f"`{_shown(by)}` can be 0",
                "and a division by zero gives zero",
                f"divide by something above 0: max({_shown(by)}, {_least(self._types.of(by))})",
                certain=False,
            )

    def _called(
        self,
        function: str,
        arguments: tuple[Expression, ...],
        call: FunctionCall,
        known: Assumptions,
    ) -> Iterator[Doubt]:
        bounds = [self._values.bounds(each, known) for each in arguments]
        scales = [
            RATIO_SCALE
            if self._types.of(call) is Type.RATIO and self._types.of(each) is Type.COUNT
            else 1
            for each in arguments
        ]
        bounds = [Bounds(b.low * s, b.high * s) for b, s in zip(bounds, scales, strict=True)]
        if any(each.empty for each in bounds):
            return
        if function == "clamp":
            value, least, most = bounds
            if least.low > most.high:
                yield self._doubt(
                    start(arguments[1]),
                    f"the least, `{_shown(arguments[1])}`, is above the most, "
                    f"`{_shown(arguments[2])}`",
                    "so values are never between them",
                    f"swap the two: clamp({_shown(arguments[0])}, {_shown(arguments[2])}, "
                    f"{_shown(arguments[1])})",
                )
            elif value.high <= least.low or value.low >= most.high:
                yield self._always(call, arguments[1 if value.high <= least.low else 2])
            return
        first, second = bounds
        below = first.high <= second.low
        above = first.low >= second.high
        if below or above:
            chosen = below if function == "min" else above
            yield self._always(call, arguments[0 if chosen else 1])

    def _always(self, call: FunctionCall, argument: Expression) -> Doubt:
        return self._doubt(
            start(call),
            f"`{_shown(call)}` is always `{_shown(argument)}`",
            "the other values never count",
            f"write {_shown(argument)} alone, or other bounds",
        )


def _is_a_range(expression: Binary) -> bool:
    match expression:
        case Binary("=" | "!=", Name(), Binary("-", Literal(), Literal())):
            return True
    return False


def _same(one: Mapping[str, Property], other: Mapping[str, Property]) -> bool:
    """Whether two rules treat their tasks alike."""
    usual: dict[str, Property] = {
        "order": OrderBy(Order.VTIME),
        "tier": TierOf(Tier.NORMAL),
        "weight": Weight(100),
        "slice": Slice(Literal(3_000_000, Type.TIME)),
    }
    return {**usual, **one} == {**usual, **other}


def _joined(expression: Expression, operator: str) -> list[Expression]:
    if isinstance(expression, Binary) and expression.operator == operator:
        return _joined(expression.left, operator) + _joined(expression.right, operator)
    return [expression]


def _shown(expression: Expression) -> str:
    text = format_expression(expression)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def _value(number: int, type_: Type) -> str:
    return ("-" if number < 0 else "") + written(Literal(abs(number), type_))


def _least(type_: Type) -> str:
    return {Type.TIME: "1us", Type.RATIO: "0.001"}.get(type_, "1")
