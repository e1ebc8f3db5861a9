# SPDX-License-Identifier: GPL-2.0-or-later
"""The type of each expression: a time, a count, a ratio, a condition. Refuses what does not fit."""

import re

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
from scheduler_library.policy.trouble import PolicyRefusal, listing, refuse, suggestion
from scheduler_library.policy.vocabulary import (
    ELSEWHERE,
    FACTS,
    FIELDS,
    FUNCTIONS,
    NAME_BYTES,
    NAMES,
    POLICIES,
    REST,
    WORDS,
    FieldSource,
)

NUMBERS = (Type.COUNT, Type.RATIO)
COMPARISONS = ("<", "<=", ">", ">=", "=", "!=")
TRUTHS = ("and", "or")
COMPARE = 'write a comparison, such as: nice > 5 or comm = "name"'


class Types:
    """The types of one policy's expressions; `text` is for messages."""

    def __init__(self, text: str) -> None:
        self._text = text

    def require(self, expression: Expression, wanted: Type, what: str, hint: str) -> None:
        """Raises:
        Fault: BAD_POLICY where the expression is anything else.
        """
        found = self.of(expression)
        if found is not wanted:
            raise refuse(
                self._text,
                start(expression),
                f"this is {found.value}",
                expected=f"{wanted.value}: {what}",
                hint=hint,
            )

    def of(self, expression: Expression) -> Type:
        """The type of an expression.

        Raises:
            Fault: BAD_POLICY with the column of the part that does not fit.
        """
        match expression:
            case Literal(_, type_):
                return type_
            case Text():
                return Type.TEXT
            case Name(name):
                return self._name(name, expression.at)
            case Unary("not", operand):
                self.require(operand, Type.TRUTH, "what `not` turns round", COMPARE)
                return Type.TRUTH
            case Unary(_, operand):
                return self._number(operand, "what a minus sign is put before")
            case FunctionCall(function, arguments):
                return self._call(function, arguments, expression.at)
            case Binary(operator, left, right):
                if operator in TRUTHS:
                    for each in (left, right):
                        self.require(each, Type.TRUTH, f"each side of `{operator}`", COMPARE)
                    return Type.TRUTH
                if operator == "~" or self._is_text(left) or self._is_text(right):
                    self._match(operator, left, right, expression.at)
                    return Type.TRUTH
                if operator in COMPARISONS:
                    self._same(left, right, f"`{operator}`")
                    return Type.TRUTH
                return self._arithmetic(operator, left, right)
        raise AssertionError(expression)

    # ------------------------------------------------------------ names

    def _name(self, name: str, at: int) -> Type:
        word = WORDS.get(name)
        if word is None:
            raise refuse(
                self._text,
                at,
                f"there is no fact {name!r}",
                expected=listing([*FACTS, *FIELDS]),
                hint="`*` matches everybody else: * { slice 3ms }"
                if name.lower() in REST
                else ELSEWHERE.get(name.lower())
                or suggestion(name, WORDS, "see docs/policy-language.md for what each means"),
            )
        return word.type

    def _is_text(self, expression: Expression) -> bool:
        if isinstance(expression, Name):
            word = WORDS.get(expression.name)
            return word is not None and word.type is Type.TEXT
        return isinstance(expression, Text)

    def _match(self, operator: str, left: Expression, right: Expression, at: int) -> None:
        """`field ~ "globs"`, `field = "text"`, `policy = batch`."""
        texts = [name for name, word in FIELDS.items() if word.type is Type.TEXT]
        if not isinstance(left, Name) or not self._is_text(left):
            if isinstance(left, Name) and left.name not in WORDS:
                self._name(left.name, left.at)
            if isinstance(left, Name) and isinstance(right, Text):
                raise self._quoted_number(operator, left, right)
            raise refuse(
                self._text,
                start(left),
                f"{left.name!r} has no text to compare"
                if isinstance(left, Name)
                else "the left side of a text comparison is a selector's field",
                expected=f"on the left of `{operator}`: {listing(texts)}",
                hint='write for example: comm ~ "name*"; numbers have =, !=, <, <=, > and >=',
            )
        if operator not in ("~", "=", "!="):
            raise refuse(
                self._text,
                at,
                f"texts cannot be compared with `{operator}`",
                expected="~, = or !=",
                hint=f'write for example: {left.name} ~ "name*"',
            )
        if left.name == "policy":
            word = right.name if isinstance(right, Name) else ""
            word = right.value if isinstance(right, Text) else word
            if operator == "~":
                raise refuse(
                    self._text,
                    at,
                    "policies are not matched by globs",
                    expected="= or !=",
                    hint="write for example: policy = batch or policy = idle",
                )
            if word not in POLICIES:
                raise refuse(
                    self._text,
                    start(right),
                    f"{word!r} is not a scheduling policy of these tasks"
                    if word
                    else "this is not a scheduling policy",
                    expected=listing(POLICIES),
                    hint=_policy_hint(word, right),
                )
            return
        if not isinstance(right, Text):
            shown = right.name if isinstance(right, Name) else "..."
            raise refuse(
                self._text,
                start(right),
                f"{left.name!r} is compared with a text",
                expected="a quoted text",
                hint=f'put it in quotes: {left.name} {operator} "{shown}"',
            )
        if FIELDS[left.name].seen is FieldSource.COMPILER and operator == "~":
            raise refuse(
                self._text,
                at,
                "user names are not matched by globs",
                expected="= or !=",
                hint='write for example: user = "batch" or user = "build"',
            )
        self._patterns(left.name, operator, right)

    def _quoted_number(self, operator: str, left: Name, right: Text) -> PolicyRefusal:
        """The refusal of a text where a number is expected."""
        hint = {
            "uid": f'write user = "{_in_quotes(right.value)}" for a name',
            "kthread": "it is a condition by itself: kthread { … }",
        }.get(left.name, "write for example: nice > 5, or: wait > 3ms")
        if re.fullmatch(r"-?[0-9.]+(?:[a-z]+|%)?", right.value):
            sign = "=" if operator == "~" else operator
            hint = f"write it without quotes: {left.name} {sign} {right.value}"
        return refuse(
            self._text,
            right.at,
            f"{left.name!r} has no text to compare",
            expected=WORDS[left.name].type.value,
            hint=hint,
        )

    def _patterns(self, field: str, operator: str, text: Text) -> None:
        patterns = text.value.split("|") if operator == "~" else [text.value]
        if not all(patterns):
            raise refuse(
                self._text,
                text.at,
                "a pattern is empty",
                expected="something between the quotes and on both sides of `|`",
                hint="`*` alone matches every name",
            )
        longest = max(patterns, key=len)
        if len(longest) > 200 or len(patterns) > 32:
            raise refuse(
                self._text,
                text.at,
                "there are too many patterns, or one is too long",
                expected="at most 32 patterns of 200 characters",
                hint="split them over two rules",
            )
        if operator == "~" and "[" in text.value:
            raise refuse(
                self._text,
                text.at,
                "globs have no `[`",
                expected="`*`, `?` and `|`",
                hint='name what you mean: "cc1|cc2", or use ?',
            )
        for each in patterns if field in NAMES else ():
            fixed = each.replace("*", "") if operator == "~" else each
            if len(fixed) > NAME_BYTES:
                cut = each[:NAME_BYTES] if fixed == each else ""
                raise refuse(
                    self._text,
                    text.at,
                    f"no task is ever called {each[:60]!r}",
                    expected=f"at most {NAME_BYTES} characters, which is what the kernel keeps "
                    "of a name",
                    hint=(
                        f"write the name as the kernel cuts it: {field} {operator} "
                        f'"{_in_quotes(cut)}"'
                    )
                    if cut
                    else "shorten it, or match the whole command line: cmd ~ ...",
                )

    # ------------------------------------------------------------ numbers

    def _number(self, expression: Expression, what: str) -> Type:
        found = self.of(expression)
        if found not in (Type.TIME, *NUMBERS):
            raise refuse(
                self._text,
                start(expression),
                f"this is {found.value}",
                expected=f"{what}: a number or a time",
                hint="see the facts in docs/policy-language.md",
            )
        return found

    def _same(self, left: Expression, right: Expression, where: str) -> Type:
        """The type of two values that are compared, added or chosen from."""
        first, second = self._number(left, where), self._number(right, where)
        return self._alike((left, first), (right, second), where)

    def _alike(
        self, one: tuple[Expression, Type], other_one: tuple[Expression, Type], where: str
    ) -> Type:
        """The type of two values whose types are known."""
        (left, first), (right, second) = one, other_one
        if first is second:
            return first
        if first in NUMBERS and second in NUMBERS:
            return Type.RATIO
        time, other = (left, right) if first is Type.TIME else (right, left)
        shown = time.name if isinstance(time, Name) else "the other side"
        raise refuse(
            self._text,
            start(other),
            f"this is {(second if other is right else first).value}, and {shown} is a time",
            expected=f"a time on both sides of {where}",
            hint="give the number a unit: 500us, 3ms, 2s"
            if isinstance(other, Literal)
            else "divide one time by another to get a ratio",
        )

    def _arithmetic(self, operator: str, left: Expression, right: Expression) -> Type:
        if operator in "+-":
            return self._same(left, right, f"`{operator}`")
        first = self._number(left, f"the left of `{operator}`")
        second = self._number(right, f"the right of `{operator}`")
        if operator == "*":
            if first is second is Type.TIME:
                raise refuse(
                    self._text,
                    start(right),
                    "a time cannot be multiplied by a time",
                    expected="a number or a ratio on one side",
                    hint="divide, or leave one of the units out",
                )
            if Type.TIME in (first, second):
                return Type.TIME
            return Type.COUNT if first is second is Type.COUNT else Type.RATIO
        if second is Type.TIME:
            if first is not Type.TIME:
                raise refuse(
                    self._text,
                    start(right),
                    f"{first.value} cannot be divided by a time",
                    expected="a time on the left, too",
                    hint="`wakeups` is the only frequency in the language",
                )
            return Type.RATIO
        return Type.TIME if first is Type.TIME else Type.RATIO

    def _call(self, function: str, arguments: tuple[Expression, ...], at: int) -> Type:
        wanted = FUNCTIONS.get(function)
        if wanted is None:
            raise refuse(
                self._text,
                at,
                f"there is no function {function!r}",
                expected=listing(FUNCTIONS),
                hint=suggestion(function, FUNCTIONS, "facts are written without parentheses"),
            )
        if len(arguments) != wanted:
            raise refuse(
                self._text,
                at,
                f"{function!r} is given {len(arguments)}",
                expected=f"{wanted} arguments",
                hint={
                    "clamp": "write clamp(value, least, most)",
                    "if": "write if(condition, value, otherwise)",
                }.get(function, f"write {function}(a, b)"),
            )
        if function == "if":
            self.require(arguments[0], Type.TRUTH, "the first argument of `if`", COMPARE)
            return self._same(arguments[1], arguments[2], "`if`")
        # Each argument is checked once: otherwise nested calls would take for ever.
        where = f"`{function}`"
        found = self._number(arguments[0], where)
        for each in arguments[1:]:
            found = self._alike((arguments[0], found), (each, self._number(each, where)), where)
        return found


def _policy_hint(word: str, right: Expression) -> str:
    """What to write instead of an unknown policy."""
    short = word.lower().removeprefix("sched_")
    if isinstance(right, Literal):
        named = next((name for name, number in POLICIES.items() if number == right.value), "")
        short = named or {1: "fifo", 2: "rr", 6: "deadline"}.get(right.value, "")
    if short in ("fifo", "rr", "rt", "deadline", "realtime"):
        return "real-time and deadline tasks are not scheduled by sched_ext at all"
    if short in ("other", "fair", "default", "cfs", "eevdf"):
        return "write policy = normal"
    if short in POLICIES:
        return f"write policy = {short}"
    return suggestion(short, POLICIES, "write for example: policy = batch")


def _in_quotes(text: str) -> str:
    """A text as it is written between quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"')


def start(expression: Expression) -> int:
    """Where an expression begins."""
    return start(expression.left) if isinstance(expression, Binary) else expression.at
