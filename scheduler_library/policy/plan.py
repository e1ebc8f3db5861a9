# SPDX-License-Identifier: GPL-2.0-or-later
"""The meaning of a policy: classes of tasks, and the queues they wait in.

Every rule is a class, and there is one for the rest. Classes that order their tasks in the same
way, in the same tier, on the same CPUs and without a share of their own wait in one queue. Rules
that contradict themselves, can never be reached or need what this machine lacks are refused here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property

from process import Fault, FaultType
from scheduler_library.policy.c_block import Body, check_body
from scheduler_library.policy.cpu_sets import CpuSets
from scheduler_library.policy.formatter import format_expression, format_property
from scheduler_library.policy.syntax import (
    Binary,
    CBlock,
    CgroupsIgnored,
    Cpus,
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
    Weight,
    walk,
)
from scheduler_library.policy.trouble import refuse
from scheduler_library.policy.typecheck import COMPARISONS, Types, start
from scheduler_library.policy.units import written
from scheduler_library.policy.values import Values
from scheduler_library.policy.vocabulary import FACTS
from scheduler_library.topology import Topology

# A shorter slice costs more in switches than it gives; with a longer one others wait long for their
# turn.
SHORTEST_SLICE_NS = 50_000
LONGEST_SLICE_NS = 100_000_000
DEFAULT_SLICE_NS = 3_000_000
# The part of the machine that lower tiers keep, however much the higher ones want, percent.
NORMAL_KEEPS = 20
IDLE_KEEPS = 2
# The part that tasks without an expected runtime keep beside those ordered by one, percent.
UNKNOWN_KEEPS = 30
# Limit for operators and functions in one formula: a BPF program has a stack of 512 bytes for all
# values that clang keeps.
MOST_OPERATORS = 32
# Limit for the sum of all guaranteed parts, percent; the rest keeps things moving.
MOST_PROMISED = 95
# The verifier follows every queue's own order on every path: sixty are too many for it.
MOST_QUEUES = 16


@dataclass(frozen=True)
class TargetMachine:
    """The data for checking names and CPU numbers.

    `nr_cpus` counts possible CPUs; `users` returns the id of a user, None for an unknown one.
    `topology` is asked only for policies that need it. `simulated`: it is not this machine;
    messages say so.
    """

    nr_cpus: int
    users: Callable[[str], int | None]
    simulated: bool = False
    topology: Callable[[], Topology] = field(default=Topology)


@dataclass(frozen=True)
class QueueOrder:
    """The order within a queue; `value` is an expression, or a C body, with BY only."""

    order: Order = Order.VTIME
    value: Expression | None = None
    body: Body | None = None
    descending: bool = False

    @property
    def learned(self) -> bool:
        """Whether tasks have a place only once their runtime is known."""
        if self.body is not None:
            return "expected_runtime" in self.body.facts
        return self.value is not None and "expected_runtime" in facts_of(self.value)


@dataclass(frozen=True)
class Queue:
    """One dispatch queue for each LLC, or one for each CPU. `number` counts from 0.

    `keeps` and `most` are percents of the machine: guaranteed, and not to be exceeded while others
    wait; 0 and 100 by default. `classes` names the rules, for comments.
    """

    number: int
    tier: Tier
    key: QueueOrder
    reach: Reach | None
    cpus: Cpus | None
    keeps: int
    most: int
    classes: tuple[str, ...] = ()
    # Where tasks of `key.learned` wait while nothing is known about them.
    unknown: int = -1


@dataclass(frozen=True)
class Class:
    """The tasks of one rule. `number` counts rules from 1; 0 is the rest without a rule."""

    number: int
    source: str
    selector: Expression | None
    slice: Expression | Body
    # Whether the rule sets it itself; else it is shared by all rules that do not.
    own_slice: bool
    weight: int
    preempt: bool
    sticky: bool
    queue: int
    # Whether its tasks start on a whole idle core before a sibling of a busy CPU.
    avoids_smt: bool = False


@dataclass(frozen=True)
class PolicyPlan:
    """All classes in the order of checking, the last one taking the rest; all queues.

    `settings` are the properties of each class by what they set, including those for everybody.
    """

    classes: tuple[Class, ...]
    queues: tuple[Queue, ...]
    settings: tuple[Mapping[str, Property], ...] = ()
    # Whether cpu.weight, cpu.idle and cpu.max have no effect.
    ignores_cgroups: bool = False


def facts_of(expression: Expression) -> frozenset[str]:
    """The facts that an expression names."""
    return frozenset(each.name for each in walk(expression) if isinstance(each, Name)) & set(FACTS)


def plan(text: str, program: PolicyProgram, machine: TargetMachine) -> PolicyPlan:
    """Check a whole program, and return its plan.

    Raises:
        Fault: BAD_POLICY.
    """
    if not program.defaults and not program.rules:
        raise Fault(
            FaultType.BAD_POLICY,
            "the policy says nothing",
            where="column 1",
            why="expected a property or a rule",
            hint="write for example: slice 3ms",
        )
    return _Planner(text, machine).plan(program)


class _Planner:
    def __init__(self, text: str, machine: TargetMachine) -> None:
        self._text = text
        self._machine = machine
        self._types = Types(text)
        self._queues: list[Queue] = []
        # The classes with a share of their own, whose queue nobody else uses.
        self._own: set[int] = set()

    def plan(self, program: PolicyProgram) -> PolicyPlan:
        defaults = self._settings(program.defaults)
        self._check_cgroups(program.rules)
        self._check_reachable(program.rules)
        has_rest = any(rule.selector is None for rule in program.rules)
        rules = [
            (number, rule.selector, self._rule_text(rule), self._settings(rule.properties))
            for number, rule in enumerate(program.rules, 1)
        ]
        if not has_rest:
            said = "; ".join(map(format_property, program.defaults))
            rules.append((0, None, f"* {{ {said} }}" if said else "* { }", {}))
        merged = [(n, sel, src, own, _merged(defaults, own)) for n, sel, src, own in rules]
        tiers = {_tier(settings) for *_, settings in merged}
        classes = [
            self._class(number, selector, source, settings, tiers, own_slice="slice" in own)
            for number, selector, source, own, settings in merged
        ]
        self._check_preempting(program, [(own, _tier(all_)) for *_, own, all_ in merged], tiers)
        queues = self._with_unknown()
        if len(queues) > MOST_QUEUES:
            raise refuse(
                self._text,
                program.rules[-1].at if program.rules else 0,
                f"the rules need {len(queues)} queues",
                expected=f"at most {MOST_QUEUES}",
                hint=(
                    "rules with the same order, tier and CPUs, and without a share of their own, "
                    "have one queue together"
                ),
            )
        promised = sum(queue.keeps for queue in queues)
        if promised > MOST_PROMISED:
            places = [each for each in self._properties(program) if isinstance(each, Share)]
            raise refuse(
                self._text,
                max((each.at for each in places if each.at_least), default=0),
                f"{promised}% of the machine are promised",
                expected=f"at most {MOST_PROMISED}%",
                hint=f"ask for less; tier normal keeps {NORMAL_KEEPS}% below latency, and idle "
                f"{IDLE_KEEPS}%, and tasks of unknown runtime {UNKNOWN_KEEPS}%",
            )
        settings = tuple(settings for *_, settings in merged)
        return PolicyPlan(tuple(classes), tuple(queues), settings, "cgroups" in defaults)

    def _check_cgroups(self, rules: tuple[Rule, ...]) -> None:
        for rule in rules:
            for each in rule.properties:
                if isinstance(each, CgroupsIgnored):
                    raise refuse(
                        self._text,
                        each.at,
                        "`cgroups ignore` is in a rule",
                        expected="it before the rules, for everybody",
                        hint="control groups divide the machine among all tasks or none: write "
                        "`cgroups ignore; ...`",
                    )

    def _properties(self, program: PolicyProgram) -> list[Property]:
        return [*program.defaults, *(each for rule in program.rules for each in rule.properties)]

    def _rule_text(self, rule: Rule) -> str:
        return " ".join(self._text[rule.at : rule.end].split())

    # ------------------------------------------------------------ selectors

    def _check_reachable(self, rules: tuple[Rule, ...]) -> None:
        taken = [None if rule.selector is None else _Taken(rule.selector) for rule in rules]
        for number, rule in enumerate(rules):
            if rule.selector is not None:
                self._types.require(
                    rule.selector,
                    Type.TRUTH,
                    "a selector says which tasks",
                    'write for example: comm ~ "name*" { … }, or * { … } for all the rest',
                )
                self._check_values(rule.selector)
            for earlier, tasks in enumerate(taken[:number], 1):
                if tasks is None:
                    raise refuse(
                        self._text,
                        rule.at,
                        f"rule {number + 1} can never be reached",
                        expected="nothing after the rule for `*`",
                        hint=f"put it before rule {earlier}: the first that matches wins",
                    )
                if rule.selector is not None and rule.selector in tasks:
                    same = rules[earlier - 1].properties == rule.properties
                    raise refuse(
                        self._text,
                        rule.at,
                        f"rule {number + 1} can never be reached"
                        if same
                        else f"rule {number + 1} contradicts rule {earlier}",
                        expected=f"tasks that rule {earlier} does not take already",
                        hint="the first rule that matches wins: join the two, or put the narrower "
                        "one first",
                    )

    def _check_values(self, expression: Expression) -> None:
        """User names must exist, a comparison must depend on something, a formula must end."""
        operators = [
            each
            for each in walk(expression)
            if isinstance(each, FunctionCall)
            or (isinstance(each, Binary | Unary) and each.operator in "+-*/")
        ]
        if len(operators) > MOST_OPERATORS:
            raise refuse(
                self._text,
                operators[MOST_OPERATORS].at,
                f"there are {len(operators)} operators and functions in this formula",
                expected=f"at most {MOST_OPERATORS}",
                hint="write a simpler one, or several rules",
            )
        for each in walk(expression):
            match each:
                case Binary(operator, left, right) if operator in COMPARISONS and left == right:
                    raise refuse(
                        self._text,
                        each.at,
                        "both sides of this comparison are the same",
                        expected="something that differs between tasks",
                        hint="leave the comparison out; `*` selects everybody",
                    )
                case Binary("=" | "!=", Name("user"), Text(user)) if (
                    self._machine.users(user) is None
                ):
                    raise refuse(
                        self._text,
                        each.right.at,
                        f"there is no user {user[:40]!r}",
                        expected="a user of this machine",
                        hint="`getent passwd` lists them; or give the number: uid = 1000",
                    )

    # ------------------------------------------------------------ properties

    def _settings(self, properties: tuple[Property, ...]) -> dict[str, Property]:
        """The properties of one rule by what they set; nothing twice, nothing contradictory."""
        found: dict[str, Property] = {}
        for each in properties:
            key = _sets(each)
            if key in found:
                raise refuse(
                    self._text,
                    each.at,
                    f"`{format_property(each)}` contradicts `{format_property(found[key])}`"
                    if found[key] != each
                    else f"`{format_property(each)}` is given twice",
                    expected=f"one {key} for each rule",
                    hint="keep one of the two",
                )
            found[key] = each
            self._check(each)
        most, least = found.get("upper share"), found.get("lower share")
        if isinstance(most, Share) and isinstance(least, Share) and most.percent < least.percent:
            raise refuse(
                self._text,
                max(most.at, least.at),
                f"at least {least.percent}% and at most {most.percent}% cannot both be",
                hint="swap the two",
            )
        return found

    def _check(self, each: Property) -> None:
        match each:
            case Slice(value):
                self._types.require(
                    value, Type.TIME, "the length of a slice", "write for example: slice 3ms"
                )
                self._check_values(value)
                length = self._constant(value)
                if length is not None and not SHORTEST_SLICE_NS <= length <= LONGEST_SLICE_NS:
                    sign = "-" if length < 0 else ""
                    shown = written(Literal(abs(length), Type.TIME))
                    raise refuse(
                        self._text,
                        start(value),
                        f"a slice of {sign}{shown} is out of bounds",
                        expected="50us to 100ms",
                        hint=(
                            "shorter ones cost more in switches than they give; longer ones make "
                            "everybody wait"
                        ),
                    )
            case OrderBy(Order.BY, value):
                assert value is not None
                found = self._types.of(value)
                if found not in (Type.TIME, Type.COUNT, Type.RATIO):
                    raise refuse(
                        self._text,
                        each.at,
                        f"tasks cannot be ordered by {found.value}",
                        expected="a time or a number",
                        hint="write for example: order by avg_run, or order by if(nice < 0, 0, 1)",
                    )
                self._check_values(value)
            case CBlock(_, body):
                check_body(self._text, each.at, body, frozenset(FACTS))
            case Cpus():
                self._resolved(each)

    def _resolved(self, cpus: Cpus) -> Cpus | None:
        """The CPUs by number; None for all of the machine."""
        topology = self._topology if cpus.sets else Topology()
        sets = CpuSets(topology, self._machine.nr_cpus, self._machine.simulated)
        return sets.resolve(self._text, cpus)

    @cached_property
    def _topology(self) -> Topology:
        return self._machine.topology()

    def _constant(self, value: Expression) -> int | None:
        """The value of a formula that contains only numbers."""
        if any(isinstance(each, Name | Text) for each in walk(value)):
            return None
        found = Values(self._types, self._machine.users).bounds(value)
        return found.low if found.constant else None

    def _check_preempting(
        self,
        program: PolicyProgram,
        classes: list[tuple[dict[str, Property], Tier]],
        tiers: set[Tier],
    ) -> None:
        """A preempting rule needs somebody below it: another rule, or a default in some rule."""
        lowest = max(tiers, key=list(Tier).index)
        useless = [
            own["preemption"] for own, tier in classes if "preemption" in own and tier is lowest
        ]
        if all(tier is lowest for _, tier in classes):
            useless += [each for each in program.defaults if isinstance(each, Preempt)]
        if useless:
            raise refuse(
                self._text,
                useless[0].at,
                "`preempt` has nobody to take a CPU from",
                expected="a rule or a rest in a lower tier",
                hint='put them in the tier latency, too: comm ~ "name*" { latency; preempt }; '
                "or others in the tier idle",
            )

    # ------------------------------------------------------------ classes and queues

    def _class(
        self,
        number: int,
        selector: Expression | None,
        source: str,
        settings: dict[str, Property],
        tiers: set[Tier],
        *,
        own_slice: bool,
    ) -> Class:
        self._check_combination(settings)
        slice_ = settings.get("slice", Slice(Literal(DEFAULT_SLICE_NS, Type.TIME)))
        weight = settings.get("weight", Weight(100))
        assert isinstance(weight, Weight)
        assert isinstance(slice_, Slice | CBlock)
        return Class(
            number,
            source,
            selector,
            slice_.value if isinstance(slice_, Slice) else self._body(slice_),
            own_slice,
            weight.value,
            "preemption" in settings,
            "stickiness" in settings,
            self._queue(number, settings, tiers),
            "SMT" in settings and self._topology.smt,
        )

    def _check_combination(self, settings: dict[str, Property]) -> None:
        cpus, reach, sticky = (settings.get(key) for key in ("CPU set", "reach", "stickiness"))
        preempt = settings.get("preemption")
        if cpus is not None and (reach is not None or sticky is not None):
            other = reach or sticky
            assert other is not None
            raise refuse(
                self._text,
                max(cpus.at, other.at),
                f"`{format_property(cpus)}` cannot be combined with `{format_property(other)}`",
                expected="one of the two",
                hint="a set of CPUs has one queue, which all of them share",
            )
        smt = settings.get("SMT")
        if sticky is not None and smt is not None:
            raise refuse(
                self._text,
                max(sticky.at, smt.at),
                "`smt avoid` contradicts `sticky`",
                expected="one of the two",
                hint="sticky returns a task to its CPU, even if a sibling of that one is busy",
            )
        if sticky is not None and reach == ReachOf(Reach.LLC):
            raise refuse(
                self._text,
                max(sticky.at, reach.at if reach else 0),
                "`sticky` contradicts `llc`",
                expected="one of the two",
                hint="sticky keeps a task on its CPU; llc lets every CPU of its cache run it",
            )
        if preempt is not None and _tier(settings) is Tier.IDLE:
            raise refuse(
                self._text,
                preempt.at,
                "`preempt` contradicts `idle`",
                expected="a tier above others",
                hint="nobody below the tier idle runs whose CPU could be taken",
            )

    def _body(self, block: CBlock) -> Body:
        return check_body(self._text, block.at, block.body, frozenset(FACTS))

    def _key(self, settings: dict[str, Property]) -> QueueOrder:
        match settings.get("order"):
            case OrderBy(order, value, descending):
                return QueueOrder(order, value, None, descending)
            case CBlock() as block:
                return QueueOrder(Order.BY, None, self._body(block))
        return QueueOrder()

    def _queue(self, number: int, settings: dict[str, Property], tiers: set[Tier]) -> int:
        """The number of the queue for these settings; made if there is none like it."""
        tier = _tier(settings)
        most, least = settings.get("upper share"), settings.get("lower share")
        reach, cpus = settings.get("reach"), settings.get("CPU set")
        keeps = 0
        if tier is Tier.NORMAL and Tier.LATENCY in tiers:
            keeps = NORMAL_KEEPS
        elif tier is Tier.IDLE and len(tiers) > 1:
            keeps = IDLE_KEEPS
        limit = most.percent if isinstance(most, Share) else 100
        if isinstance(least, Share):
            keeps = least.percent
        own = isinstance(most, Share) or isinstance(least, Share)
        name = f"rule {number}" if number else "the rest"
        wanted = Queue(
            len(self._queues),
            tier,
            self._key(settings),
            # `llc` is what every queue is.
            Reach.LOCAL if reach == ReachOf(Reach.LOCAL) or "stickiness" in settings else None,
            self._resolved(cpus) if isinstance(cpus, Cpus) else None,
            min(keeps, limit),
            limit,
            (name,),
        )
        for queue in self._queues:
            alike = (queue.tier, queue.key, queue.reach, queue.cpus)
            same = alike == (wanted.tier, wanted.key, wanted.reach, wanted.cpus)
            if same and not own and queue.number not in self._own:
                joined = (*queue.classes, name)
                self._queues[queue.number] = replace(queue, classes=joined)
                return queue.number
        self._queues.append(wanted)
        if own:
            self._own.add(wanted.number)
        return wanted.number

    def _with_unknown(self) -> list[Queue]:
        """The queues, split if tasks are ordered by a value that may be unknown; guarantees are
        shared.

        A tier's guaranteed part counts once, however many queues it has; a rule's own share is not
        divided.
        """
        queues = list(self._queues)
        for queue in self._queues:
            if queue.key.learned:
                number = len(queues)
                keeps = max(queue.keeps, UNKNOWN_KEEPS * queue.most // 100)
                queues.append(
                    Queue(
                        number,
                        queue.tier,
                        QueueOrder(),
                        None,
                        queue.cpus,
                        keeps,
                        queue.most,
                        tuple(f"{each}, of unknown runtime" for each in queue.classes),
                    )
                )
                queues[queue.number] = replace(queue, unknown=number)
        for tier, total in ((Tier.NORMAL, NORMAL_KEEPS), (Tier.IDLE, IDLE_KEEPS)):
            sharing = [
                q
                for q in self._queues
                if q.tier is tier and q.keeps == total and q.number not in self._own
            ]
            for queue in sharing if len(sharing) > 1 else ():
                part = max(1, total // len(sharing))
                queues[queue.number] = replace(queues[queue.number], keeps=part)
        return queues


def _sets(each: Property) -> str:
    """What a property sets; one rule sets each at most once."""
    match each:
        case Slice() | CBlock(Hook.SLICE):
            return "slice"
        case OrderBy() | CBlock(Hook.ORDER):
            return "order"
        case TierOf():
            return "tier"
        case Weight():
            return "weight"
        case Share(_, at_least):
            return "lower share" if at_least else "upper share"
        case Cpus():
            return "CPU set"
        case Preempt():
            return "preemption"
        case ReachOf():
            return "reach"
        case Sticky():
            return "stickiness"
        case SmtAvoided():
            return "SMT"
        case CgroupsIgnored():
            return "cgroups"
    raise AssertionError(each)


def _merged(defaults: dict[str, Property], own: dict[str, Property]) -> dict[str, Property]:
    """A rule's own properties, and for the rest those for everybody.

    A rule's own CPU set replaces `local`, `llc` and `sticky` of the defaults, and the other way
    round: they cannot be combined, and the nearer one is meant. The same holds for `sticky` and
    `llc` or `smt avoid`; and a rule for the tier idle preempts nobody, whatever the others do.
    """
    kept = dict(defaults)
    if "CPU set" in own:
        kept.pop("reach", None)
        kept.pop("stickiness", None)
    if "reach" in own or "stickiness" in own:
        kept.pop("CPU set", None)
    if own.get("reach") == ReachOf(Reach.LLC):
        kept.pop("stickiness", None)
    if "stickiness" in own and kept.get("reach") == ReachOf(Reach.LLC):
        kept.pop("reach")
    if "stickiness" in own:
        kept.pop("SMT", None)
    if "SMT" in own:
        kept.pop("stickiness", None)
    if own.get("tier") == TierOf(Tier.IDLE):
        kept.pop("preemption", None)
    return kept | own


def _tier(settings: dict[str, Property]) -> Tier:
    found = settings.get("tier")
    return found.tier if isinstance(found, TierOf) else Tier.NORMAL


def _alternatives(selector: Expression) -> list[Expression]:
    """The alternatives that `or` joins."""
    found, waiting = [], [selector]
    while waiting:
        match waiting.pop():
            case Binary("or", left, right):
                waiting += [right, left]
            case each:
                found.append(each)
    return found


class _Taken:
    """The tasks that one selector surely takes."""

    def __init__(self, selector: Expression) -> None:
        parts = _alternatives(selector)
        self._whole = frozenset(parts)
        self._texts = [each for each in parts if isinstance(each, Binary)]

    def __contains__(self, selector: Expression) -> bool:
        """Whether it takes every task that `selector` would."""
        match selector:
            case Binary("or"):
                return all(each in self for each in _alternatives(selector))
            case Binary("and", left, right):
                return selector in self._whole or left in self or right in self
        return selector in self._whole or any(_takes(each, selector) for each in self._texts)


def _takes(first: Binary, second: Expression) -> bool:
    """Whether the first of two comparisons with a text takes everything that the second would."""
    match first, second:
        case (
            Binary("~" | "=" as wide, Name(field), Text(patterns)),
            Binary("~" | "=" as narrow, Name(other), Text(names)),
        ) if field == other:
            globs = patterns.split("|")
            for name in names.split("|") if narrow == "~" else [names]:
                fixed = narrow == "=" or not set(name) & set("*?")
                if wide == "=" and not (fixed and name == patterns):
                    return False
                matched = fixed and any(fnmatchcase(name, glob) for glob in globs)
                if wide == "~" and not matched and not (narrow == "~" and name in globs):
                    return False
            return True
    return False


def expression_text(value: Expression | Body) -> str:
    """An expression or body in the form for a comment."""
    return f"c {{ {value.code} }}" if isinstance(value, Body) else format_expression(value)
