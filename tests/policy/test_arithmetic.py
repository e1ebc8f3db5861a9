# SPDX-License-Identifier: GPL-2.0-or-later
"""The C of formulas, compiled for this machine, compared with whole numbers of any size."""

import ctypes
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from process import run
from scheduler_library.policy.compiler import CompiledPolicy, compile_policy
from scheduler_library.policy.formatter import format_expression
from scheduler_library.policy.syntax import (
    Binary,
    Expression,
    FunctionCall,
    Literal,
    Name,
    Text,
    Type,
    Unary,
    walk,
)
from scheduler_library.policy.vocabulary import WORDS

from .programs import MACHINE, expressions

# docs/policy-language.md: values are bounded, and ratios have three decimals.
LARGEST = 1 << 60
SCALE = 1000
TIMES = ("vtime", "wait", "ran", "slept", "avg_run", "avg_sleep", "age")
COUNTS = ("wakeups", "weight", "nice", "uid", "pid", "tgid")
KNOWN = (*TIMES, *COUNTS, "cpu_share", "kthread")
# A task as the functions see it: each of its facts is a field, whatever the kernel calls it.
BEFORE = f"""\
#include <stdbool.h>
#include <stdint.h>
typedef int64_t s64;
typedef uint64_t u64;
#define PF_KTHREAD 1
#define __noinline static /* the C library has a times(), too */
struct task_ctx {{ s64 {", ".join(KNOWN)}; }};
struct task_struct {{ s64 pid, tgid, flags, uid, nice, age; struct {{ s64 weight; }} scx; }};
#define avg_run_of(t) ((t)->avg_run)
#define wakeups_of(t) ((t)->wakeups)
#define cpu_share_of(t) ((t)->cpu_share)
#define nice_of(p) ((p)->nice)
#define age_of(p) ((p)->age)
#define uid(p) ((p)->uid)
"""
AFTER = f"""
s64 value(const s64 *facts)
{{
	struct task_ctx t = {{ {", ".join(f".{name} = facts[{i}]" for i, name in enumerate(KNOWN))} }};
	struct task_struct p = {{
		.pid = t.pid, .tgid = t.tgid, .flags = t.kthread, .uid = t.uid, .nice = t.nice,
		.age = t.age, .scx.weight = t.weight,
	}};

	return bound(key_0(&p, &t));
}}
"""


def _bound(value: int) -> int:
    return max(-LARGEST, min(LARGEST, value))


def _over(a: int, b: int) -> int:
    """Division rounds towards zero; a division by zero gives zero."""
    if b == 0:
        return 0
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


@dataclass(frozen=True)
class Value:
    """A time in ns, a count, a ratio in thousandths, or a truth value."""

    number: int
    type: Type

    def of(self, type_: Type) -> int:
        if type_ is Type.RATIO and self.type is Type.COUNT:
            return _bound(self.number * SCALE)
        return self.number


def _product(a: Value, b: Value) -> Value:
    number = _bound(a.number * b.number)
    if Type.RATIO not in (a.type, b.type):
        return Value(number, Type.TIME if Type.TIME in (a.type, b.type) else Type.COUNT)
    if Type.COUNT in (a.type, b.type):
        return Value(number, Type.RATIO)
    return Value(_over(number, SCALE), Type.TIME if Type.TIME in (a.type, b.type) else Type.RATIO)


def _quotient(a: Value, b: Value) -> Value:
    if b.type is Type.COUNT and a.type is not Type.COUNT:
        return Value(_over(a.number, b.number), a.type)
    scale = SCALE * SCALE if (a.type, b.type) == (Type.COUNT, Type.RATIO) else SCALE
    type_ = Type.TIME if a.type is Type.TIME and b.type is not Type.TIME else Type.RATIO
    return Value(_over(_bound(a.number * scale), b.number), type_)


def evaluate(expression: Expression, facts: dict[str, int]) -> Value:
    """The value of a formula for a task, according to the guide."""
    match expression:
        case Literal(value, type_):
            return Value(value, type_)
        case Name(name):
            return Value(facts[name], WORDS[name].type)
        case Unary("not", operand):
            return Value(not evaluate(operand, facts).number, Type.TRUTH)
        case Unary(_, operand):
            found = evaluate(operand, facts)
            return Value(-found.number, found.type)
        case FunctionCall("if", (condition, *others)):
            first, second = (evaluate(each, facts) for each in others)
            type_ = Type.RATIO if first.type is not second.type else first.type
            chosen = first if evaluate(condition, facts).number else second
            return Value(chosen.of(type_), type_)
        case FunctionCall(function, arguments):
            found_all = [evaluate(each, facts) for each in arguments]
            types = {each.type for each in found_all}
            type_ = types.pop() if len(types) == 1 else Type.RATIO
            numbers = [each.of(type_) for each in found_all]
            if function != "clamp":
                return Value({"min": min, "max": max}[function](numbers), type_)
            value, least, most = numbers
            return Value(most if value > most else max(value, least), type_)
        case Binary(operator, left, right):
            a, b = evaluate(left, facts), evaluate(right, facts)
            if operator in ("and", "or"):
                both = bool(a.number) and bool(b.number)
                either = bool(a.number) or bool(b.number)
                return Value(both if operator == "and" else either, Type.TRUTH)
            if operator == "*":
                return _product(a, b)
            if operator == "/":
                return _quotient(a, b)
            type_ = Type.RATIO if a.type is not b.type else a.type
            x, y = a.of(type_), b.of(type_)
            if operator in "+-":
                return Value(_bound(x + y if operator == "+" else x - y), type_)
            truth = {"<": x < y, "<=": x <= y, ">": x > y, ">=": x >= y, "=": x == y}
            return Value(truth.get(operator, x != y), Type.TRUTH)
    raise AssertionError(expression)


def _computes(expression: Expression) -> bool:
    """Whether it uses only numbers, which the stand-in for a task has."""
    parts = walk(expression)
    return not any(isinstance(each, Text) for each in parts) and all(
        each.name in KNOWN for each in parts if isinstance(each, Name)
    )


FORMULAS = st.sampled_from((Type.TIME, Type.COUNT, Type.RATIO)).flatmap(expressions)
FACTS = st.fixed_dictionaries(
    {
        **dict.fromkeys(TIMES, st.integers(0, 10**10) | st.integers(0, 1 << 50)),
        **dict.fromkeys(COUNTS, st.integers(1, 10_000)),
        "nice": st.integers(-20, 19),
        "cpu_share": st.integers(0, 1000),
        "kthread": st.integers(0, 1),
    }
)


@pytest.mark.skipif(not shutil.which("clang-19"), reason="clang-19 compiles the C")
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(FORMULAS.filter(_computes), st.lists(FACTS, min_size=5, max_size=5))
def test_formulas_have_the_value_that_the_guide_promises(
    formula: Expression, tasks: list[dict[str, int]]
) -> None:
    """Values are scaled, bounded and divided as the guide says, whatever the facts are."""
    policy = compile_policy(f"order by {format_expression(formula)}", machine=MACHINE)
    assert isinstance(policy, CompiledPolicy)
    functions = re.findall(
        r"^(?:static|__noinline) [su]64 "
        r"(?:bound|min|max|clamp|plus|minus|size_of|times|over|key_0)\(.*?^}",
        policy.source,
        re.DOTALL | re.MULTILINE,
    )
    numbers = re.findall(r"^volatile u64 order\w* = \d+;$", policy.source, re.MULTILINE)
    limit = re.findall(r"^#define LARGEST .*$", policy.source, re.MULTILINE)
    with tempfile.TemporaryDirectory(prefix="schedpilot-formula-") as place:
        source, library = Path(place, "formula.c"), Path(place, "formula.so")
        source.write_text("\n".join([BEFORE, *limit, *numbers, *functions, AFTER]))
        run(["clang-19", "-shared", "-fPIC", "-fwrapv", source, "-o", library], timeout=60)
        value = ctypes.CDLL(str(library)).value
        value.restype = ctypes.c_int64
        for task in tasks:
            facts = (ctypes.c_int64 * len(KNOWN))(*(task[name] for name in KNOWN))
            assert value(facts) == _bound(evaluate(formula, task).number), policy.text
