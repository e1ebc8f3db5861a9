# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole programs of the policy language, as syntax trees, for property tests.

Every program drawn here is meant to be accepted. Rules that cannot follow the ones before them
(never reached, more promised than there is) are left out while drawing. Any other refusal is a
defect and fails the test that draws.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from hypothesis import strategies as st

from process import Fault
from scheduler_library.cpu_list import ranges_of
from scheduler_library.policy.compiler import TargetMachine, compile_policy
from scheduler_library.policy.formatter import format_policy
from scheduler_library.policy.plan import LONGEST_SLICE_NS, SHORTEST_SLICE_NS
from scheduler_library.policy.syntax import (
    Binary,
    CBlock,
    CgroupsIgnored,
    Cpus,
    CpuSet,
    CpuSetKind,
    Expression,
    FunctionCall,
    Hook,
    Literal,
    Name,
    Order,
    OrderBy,
    PolicyProgram,
    Preempt,
    Property,
    Reach,
    ReachOf,
    Rule,
    Share,
    Slice,
    SmtAvoided,
    Sticky,
    Text,
    Tier,
    TierOf,
    Type,
    Unary,
    UseLine,
    Weight,
    walk,
)
from scheduler_library.policy.units import LARGEST
from scheduler_library.policy.vocabulary import FACTS, FIELDS, POLICIES
from scheduler_library.topology import SpeedSource, Topology

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[T]], T]

NR_CPUS = 8
USERS = {"root": 0, "nobody": 65534, "batch": 1001}
# Two nodes, the second with two LLCs; two CPUs to a core; a fast core in each node.
TOPOLOGY = Topology(
    online=frozenset(range(NR_CPUS)),
    nodes={0: frozenset(range(4)), 1: frozenset(range(4, 8))},
    llcs=(frozenset(range(4)), frozenset((4, 5)), frozenset((6, 7))),
    cores=tuple(frozenset((cpu, cpu + 1)) for cpu in range(0, NR_CPUS, 2)),
    fast=frozenset((0, 1, 4, 5)),
    fast_by=SpeedSource.CAPACITY,
)
MACHINE = TargetMachine(NR_CPUS, USERS.get, topology=lambda: TOPOLOGY)

MOST_RULES = 8
DEEPEST = 3
# Why a rule cannot stand beside the others, in the words of the refusal.
CLASHES = (
    "can never be reached",
    "contradicts rule",
    "are promised",
    # A rule's own `preempt`, if everybody is in the tier idle.
    "`preempt` contradicts `idle`",
    "`preempt` has nobody to take a CPU from",
)

BODIES = (
    "return ms(3);",
    "return avg_run > ms(1) ? ms(8) : ms(1);",
    "s64 half = (u64)clamp(wait, 0, ms(50)) / 2, most = ms(9);\n\treturn min(half + us(50), most);",
    '/* a brace } and a quote " in a comment */ return p->prio < 100 ? us(200) : ms(2);',
    "return slept > ran && p->scx.weight >= 100 ? ms(4) : us(700); // the end",
    "switch (p->policy) {\ncase 3:\n\treturn ms(20);\ndefault:\n\treturn ms(2);\n}",
    "u32 cpu = bpf_get_smp_processor_id();\n\treturn scx_bpf_task_cpu(p) == cpu ? ms(1) : ms(2);",
    "if (expected_runtime) { return max(expected_runtime, us(60)); }\nreturn scx_bpf_now() & 255;",
)

_PRINTABLE = "".join(map(chr, range(32, 127)))
# Characters that could confuse C, globs or our own quoting, more often than others.
_ODD = '*?/\\"|%{};# ~+()'
_letters = st.one_of(
    st.sampled_from("abcdefgz-_.019"), st.sampled_from(_ODD), st.sampled_from(_PRINTABLE)
)


def _named(words: dict[str, Any], type_: Type) -> list[Name]:
    return [Name(name) for name, word in words.items() if word.type is type_]


# ---------------------------------------------------------------- texts


def texts(longest: int) -> st.SearchStrategy[str]:
    """The right side of `=` for a field, taken literally."""
    return st.text(_letters, min_size=1, max_size=longest)


def globs(longest: int) -> st.SearchStrategy[str]:
    """One to three patterns of at most this many characters, without counting stars."""
    part = st.text(
        _letters.filter(lambda each: each not in "|["), min_size=1, max_size=longest
    ).filter(lambda text: len(text.replace("*", "")) <= longest)
    return st.lists(part, min_size=1, max_size=3).map("|".join)


@st.composite
def _matches(draw: Draw[Any]) -> Expression:
    field = draw(st.sampled_from([n for n, word in FIELDS.items() if word.type is Type.TEXT]))
    equality = draw(st.sampled_from(("=", "!=")))
    if field == "policy":
        word = draw(st.sampled_from(sorted(POLICIES)))
        return Binary(equality, Name(field), draw(st.sampled_from((Name(word), Text(word)))))
    if field == "user":
        return Binary(equality, Name(field), Text(draw(st.sampled_from(sorted(USERS)))))
    longest = 15 if field in ("comm", "thread_name") else 40
    if draw(st.booleans()):
        return Binary("~", Name(field), Text(draw(globs(longest))))
    return Binary(equality, Name(field), Text(draw(texts(longest))))


# ---------------------------------------------------------------- numbers

_times = st.one_of(
    st.sampled_from((0, 1, 50_000, 500_000, 3_000_000, 1_500_000_000)), st.integers(0, LARGEST)
).map(lambda value: Literal(value, Type.TIME))
_counts = st.one_of(st.integers(0, 200), st.integers(0, LARGEST)).map(
    lambda value: Literal(value, Type.COUNT)
)
_ratios = st.builds(
    lambda value, percent: Literal(value, Type.RATIO, percent),
    st.one_of(st.integers(0, 3000), st.integers(0, LARGEST)),
    st.booleans(),
)
_LEAVES = {
    Type.TIME: st.one_of(_times, st.sampled_from(_named(FACTS, Type.TIME))),
    Type.COUNT: st.one_of(
        _counts, st.sampled_from(_named(FACTS, Type.COUNT) + _named(FIELDS, Type.COUNT))
    ),
    Type.RATIO: st.one_of(_ratios, st.sampled_from(_named(FACTS, Type.RATIO))),
    Type.TRUTH: st.one_of(_matches(), st.sampled_from(_named(FIELDS, Type.TRUTH))),
}
# Operator, left, right: how each type can be made.
_MADE_OF = {
    Type.TIME: (
        *((sign, Type.TIME, Type.TIME) for sign in "+-"),
        *(("*", Type.TIME, other) for other in (Type.COUNT, Type.RATIO)),
        *(("*", other, Type.TIME) for other in (Type.COUNT, Type.RATIO)),
        *(("/", Type.TIME, other) for other in (Type.COUNT, Type.RATIO)),
    ),
    Type.COUNT: tuple((sign, Type.COUNT, Type.COUNT) for sign in "+-*"),
    Type.RATIO: (
        *((sign, Type.RATIO, Type.RATIO) for sign in "+-*/"),
        *((sign, Type.COUNT, Type.RATIO) for sign in "+-*/"),
        *((sign, Type.RATIO, Type.COUNT) for sign in "+-*/"),
        ("/", Type.TIME, Type.TIME),
        ("/", Type.COUNT, Type.COUNT),
    ),
    Type.TRUTH: (
        *(
            (operator, type_, type_)
            for operator in ("<", "<=", ">", ">=", "=", "!=")
            for type_ in (Type.TIME, Type.COUNT, Type.RATIO)
        ),
        ("<", Type.COUNT, Type.RATIO),
        (">=", Type.RATIO, Type.COUNT),
    ),
}


@st.composite
def expressions(draw: Draw[Any], type_: Type, depth: int = DEEPEST) -> Expression:
    """An expression of this type, with at most `depth` nested operators or calls."""
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        leaf: Expression = draw(_LEAVES[type_])
        return leaf

    def some(wanted: Type) -> Expression:
        found: Expression = draw(expressions(wanted, depth - 1))
        return found

    if type_ is Type.TRUTH:
        match draw(st.sampled_from(("compare", "compare", "match", "and", "or", "not"))):
            case "match":
                matched: Expression = draw(_LEAVES[type_])
                return matched
            case "not":
                return Unary("not", some(type_))
            case "and" | "or" as operator:
                return Binary(operator, some(type_), some(type_))
    else:
        match draw(st.sampled_from(("operator", "operator", "-", "min", "max", "clamp", "if"))):
            case "-":
                return Unary("-", some(type_))
            case "min" | "max" as function:
                return FunctionCall(function, (some(type_), some(type_)))
            case "clamp":
                return FunctionCall("clamp", (some(type_), some(type_), some(type_)))
            case "if":
                return FunctionCall("if", (some(Type.TRUTH), some(type_), some(type_)))
    operator, left, right = draw(st.sampled_from(_MADE_OF[type_]))
    first, second = some(left), some(right)
    if type_ is Type.TRUTH and first == second:
        # A comparison of something with itself is refused.
        second = Binary("+", second, second)
    return Binary(operator, first, second)


# ---------------------------------------------------------------- properties

_slices = st.one_of(
    st.integers(SHORTEST_SLICE_NS, LONGEST_SLICE_NS).map(
        lambda value: Slice(Literal(value, Type.TIME))
    ),
    # A formula of only numbers has bounds; one that uses facts of the task is clamped to them.
    expressions(Type.TIME)
    .filter(lambda found: any(isinstance(each, Name | Text) for each in walk(found)))
    .map(Slice),
    st.sampled_from(BODIES).map(lambda body: CBlock(Hook.SLICE, body)),
)
_orders = st.one_of(
    st.sampled_from((OrderBy(Order.VTIME), OrderBy(Order.FIFO))),
    st.builds(
        lambda value, descending: OrderBy(Order.BY, value, descending),
        st.sampled_from((Type.TIME, Type.COUNT, Type.RATIO)).flatmap(expressions),
        st.booleans(),
    ),
    st.sampled_from(BODIES).map(lambda body: CBlock(Hook.ORDER, body)),
)


@st.composite
def cpu_sets(draw: Draw[Any]) -> Cpus:
    """Some of the machine's CPUs: by number, by topology, or both with a CPU in common."""
    named: list[tuple[CpuSet, frozenset[int]]] = []
    if draw(st.booleans()):
        speed = draw(st.sampled_from((CpuSetKind.FAST, CpuSetKind.SLOW)))
        fast = speed is CpuSetKind.FAST
        named.append((CpuSet(speed), TOPOLOGY.fast if fast else TOPOLOGY.slow))
    for kind, there in (
        (CpuSetKind.NODE, dict(TOPOLOGY.nodes)),
        (CpuSetKind.LLC, dict(enumerate(TOPOLOGY.llcs))),
    ):
        if draw(st.integers(0, 2)) == 0:
            numbers = draw(st.sets(st.sampled_from(sorted(there)), min_size=1))
            cpus = frozenset[int]().union(*(there[each] for each in numbers))
            named.append((CpuSet(kind, ranges_of(numbers)), cpus))
    common = frozenset(range(NR_CPUS))
    sets: list[CpuSet] = []
    for each, cpus in named:
        if common & cpus:
            common &= cpus
            sets.append(each)
    if sets and draw(st.booleans()):
        return Cpus((), tuple(sets))
    one = draw(st.sampled_from(sorted(common)))
    chosen = draw(st.sets(st.integers(0, NR_CPUS - 1))) | {one}
    return Cpus(ranges_of(chosen), tuple(sets))


@st.composite
def properties(draw: Draw[Any], *, least: int = 0) -> tuple[Property, ...]:
    """Properties of one rule, at least this many, in any order, without contradictions."""
    found: list[Property] = []

    def perhaps(strategy: st.SearchStrategy[Any]) -> None:
        if draw(st.integers(0, 2)) == 0:
            found.append(draw(strategy))

    perhaps(_slices)
    perhaps(_orders)
    perhaps(st.sampled_from(tuple(TierOf(tier) for tier in Tier)))
    perhaps(st.integers(1, 10_000).map(Weight))
    perhaps(st.integers(1, 20).map(lambda percent: Share(percent, at_least=True)))
    perhaps(st.integers(20, 99).map(lambda percent: Share(percent, at_least=False)))
    place = draw(st.sampled_from(("", "", "cpus", "local", "llc", "sticky", "local; sticky")))
    if place == "cpus":
        found.append(draw(cpu_sets()))
    elif place:
        found += [
            Sticky() if word == "sticky" else ReachOf(Reach(word)) for word in place.split("; ")
        ]
    if "sticky" not in place:
        perhaps(st.just(SmtAvoided()))
    if TierOf(Tier.IDLE) not in found:
        perhaps(st.just(Preempt()))
    if len(found) < least:
        found.append(draw(st.one_of(_slices, st.just(OrderBy(Order.FIFO)))))
    return tuple(draw(st.permutations(found)))


# ---------------------------------------------------------------- programs


def _stands(program: PolicyProgram) -> bool:
    """Whether the program is accepted; an unexpected refusal is raised."""
    try:
        compile_policy(format_policy(program), machine=MACHINE)
    except Fault as fault:
        if any(each in fault.what for each in CLASHES):
            return False
        raise AssertionError(f"{format_policy(program)}\n{fault.report()}") from fault
    return True


@st.composite
def programs(draw: Draw[Any]) -> PolicyProgram:
    """A program that this machine accepts, of at most eight rules."""
    everybody = draw(properties(least=1))
    if draw(st.integers(0, 3)) == 0:
        everybody = (*everybody, CgroupsIgnored())
    program = PolicyProgram(everybody, ())
    if not _stands(program):
        program = PolicyProgram((OrderBy(Order.FIFO),), ())
    for _ in range(draw(st.integers(0, MOST_RULES))):
        rule = Rule(draw(expressions(Type.TRUTH)), draw(properties()))
        longer = PolicyProgram(program.defaults, (*program.rules, rule))
        if _stands(longer):
            program = longer
    if draw(st.booleans()):
        longer = PolicyProgram(program.defaults, (*program.rules, Rule(None, draw(properties()))))
        if _stands(longer):
            program = longer
    if program.rules and draw(st.booleans()):
        shorter = PolicyProgram((), program.rules)
        if _stands(shorter):
            program = shorter
    return program


_words = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
use_lines = st.builds(
    UseLine,
    st.from_regex(r"[A-Za-z][A-Za-z0-9_-]{0,20}", fullmatch=True),
    st.lists(
        st.tuples(_words, st.text([*set(_PRINTABLE) - set(' ;{}="#')], min_size=1, max_size=12)),
        max_size=4,
        unique_by=lambda pair: pair[0],
    ).map(tuple),
)
