# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles a policy to one readable BPF C file. The same text gives the same file."""

import hashlib
import re
import textwrap
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from process import Fault, FaultType
from scheduler_library.cpu_list import cpu_list
from scheduler_library.manifest import EntryKind, Manifest, Parameter, ParameterType, Unit, When
from scheduler_library.policy.c_block import Body
from scheduler_library.policy.cpu_sets import CpuSets
from scheduler_library.policy.doubts import doubts
from scheduler_library.policy.emit import Emitter, Glob, glob_steps
from scheduler_library.policy.facts import PolicyFacts
from scheduler_library.policy.formatter import format_policy
from scheduler_library.policy.layered import layer_file
from scheduler_library.policy.parser import in_other_words, parse
from scheduler_library.policy.plan import (
    LONGEST_SLICE_NS,
    SHORTEST_SLICE_NS,
    Class,
    PolicyPlan,
    Queue,
    QueueOrder,
    TargetMachine,
    expression_text,
    plan,
)
from scheduler_library.policy.syntax import (
    CBlock,
    Expression,
    Order,
    PolicyProgram,
    Reach,
    Tier,
    UseLine,
)
from scheduler_library.policy.trouble import Doubt, PolicyRefusal, place_of, refuse
from scheduler_library.policy.typecheck import Types
from scheduler_library.policy.units import LARGEST
from scheduler_library.policy.values import Bounds
from scheduler_library.policy.vocabulary import FACTS

__all__ = ["CompiledPolicy", "TargetMachine", "Use", "compile_policy"]

_TEMPLATES = Path(__file__).parent / "templates"
# Selectors that the daemon resolves have one bit each in a u64.
MOST_SELECTORS = 64
# Marks the number of a line from a C block; no policy contains this character.
_MARK = "\x02"
_MARKED = re.compile(f"{_MARK}([0-9]+):([0-9]+){_MARK}")
# The setting that contains a scheduler's layers (external.py).
LAYERS = "layers"
# Width of the policy in the file's first comment.
_WIDTH = 90


@dataclass(frozen=True)
class BodyLine:
    """The origin of a line of the C: a C block of the policy, as it was written.

    `source_line` is that of the C; its first character, behind the tab that we put before it, is at
    `line` and `column` of the policy. All count from 1.
    """

    source_line: int
    line: int
    column: int


@dataclass(frozen=True)
class CompiledPolicy:
    """A policy as a scheduler.

    `text` is its canonical form, `name` a legal library name made from that, `source` the whole C
    file, `manifest` describes its live parameters, and `facts` lists what userspace has to supply
    while it runs. `cpus` is one more than the highest CPU that it names, 0 if none. `doubts` are
    about the text as it was written, and `body_lines` lead from the C to its C blocks.
    """

    text: str
    name: str
    source: str
    manifest: Manifest
    facts: PolicyFacts
    cpus: int = 0
    doubts: tuple[Doubt, ...] = ()
    body_lines: tuple[BodyLine, ...] = ()


@dataclass(frozen=True)
class Use:
    """`use NAME key=value …`: a library or installed scheduler, and its settings as written.

    `text` is the canonical form. Rules after it become `layers`, a layer file, which is also in the
    settings; `doubts` are about them.
    """

    name: str
    parameters: dict[str, str]
    text: str = field(default="", compare=False)
    doubts: tuple[Doubt, ...] = ()
    layers: str = ""


def compile_policy(text: str, *, machine: TargetMachine) -> CompiledPolicy | Use:
    """Compile a policy for this machine.

    Raises:
        Fault: BAD_POLICY, with column, expectation and suggestion.
    """
    parsed = parse(text)
    if isinstance(parsed, UseLine):
        return _use(text, parsed, machine)
    _, found_doubts = _checked(text, parsed, machine)
    # The written text is checked, for the columns; the canonical form is compiled, so that the same
    # policy gives the same file, including comments, however it was written.
    canonical = format_policy(parsed)
    written = _blocks(parsed)
    parsed = parse(canonical)
    assert not isinstance(parsed, UseLine)
    starts = {
        block.at: text.index(block.body, original.at)
        for block, original in zip(_blocks(parsed), written, strict=True)
    }
    found = plan(canonical, parsed, machine)
    name = f"policy-{hashlib.sha256(canonical.encode()).hexdigest()[:8]}"
    emitter = Emitter(machine, Types(canonical))
    context = _Context(emitter, found).build()
    if len(emitter.selectors) > MOST_SELECTORS:
        raise Fault(
            FaultType.BAD_POLICY,
            f"{len(emitter.selectors)} selectors are for cmd, cgroup or unit",
            where="column 1",
            why=f"expected at most {MOST_SELECTORS}",
            hint='join patterns of one rule: cmd ~ "a*|b*"',
        )
    shown = [line for part in canonical.splitlines() for line in textwrap.wrap(part, _WIDTH)]
    source = (
        _environment()
        .get_template("scheduler.bpf.c.j2")
        .render(
            name=name,
            policy_lines=[_commented(line) for line in shown],
            **context,
        )
    )
    tunables = tuple(each.parameter for each in emitter.tunables.values())
    source, body_lines = _unmarked(re.sub(r"\n{3,}", "\n\n", source), text, starts)
    return CompiledPolicy(
        canonical,
        name,
        source,
        _manifest(name, canonical, tunables),
        PolicyFacts(tuple(emitter.selectors), "expected_runtime" in emitter.facts),
        max((each.cpus.ranges[-1][1] + 1 for each in found.queues if each.cpus), default=0),
        found_doubts,
        body_lines,
    )


def _checked(
    text: str, program: PolicyProgram, machine: TargetMachine
) -> tuple[PolicyPlan, tuple[Doubt, ...]]:
    """The meaning of a program, checked as it was written, and the doubts about it."""
    try:
        said = plan(text, program, machine)
    except PolicyRefusal as fault:
        raise in_other_words(text, fault) from None
    found = doubts(
        text,
        program,
        users=machine.users,
        slices=Bounds(SHORTEST_SLICE_NS, LONGEST_SLICE_NS),
        settings=said.settings,
        cpu_sets=lambda: CpuSets(machine.topology(), machine.nr_cpus, machine.simulated),
    )
    return said, found


def _use(text: str, line: UseLine, machine: TargetMachine) -> Use:
    canonical, parameters = format_policy(line), dict(line.parameters)
    if line.program is None:
        return Use(line.name, parameters, canonical)
    said, found = _checked(text, line.program, machine)
    if LAYERS in parameters:
        raise refuse(
            text,
            line.at,
            f"there are rules, and `{LAYERS}`",
            expected="one of the two",
            hint="the rules are written as layers: leave the setting out",
        )
    layers = layer_file(text, line.program, said.settings, machine)
    return Use(line.name, {**parameters, LAYERS: layers}, canonical, found, layers)


def _blocks(program: PolicyProgram) -> list[CBlock]:
    """All C blocks, in the order they are written."""
    properties = [*program.defaults, *(each for rule in program.rules for each in rule.properties)]
    return [each for each in properties if isinstance(each, CBlock)]


def _marked(body: Body) -> str:
    """The body's code, each line behind a mark that identifies it."""
    return "\n".join(
        f"{_MARK}{body.at}:{number}{_MARK}{line}" if line.strip() else line
        for number, line in enumerate(body.code.split("\n"))
    )


def _unmarked(source: str, text: str, starts: dict[int, int]) -> tuple[str, tuple[BodyLine, ...]]:
    """The C without its marks, and where in the policy `text` the marked lines came from.

    `starts` has each body's offset in it, by the place in the marks.
    """
    found: list[BodyLine] = []
    lines = source.split("\n")
    for number, line in enumerate(lines):
        if mark := _MARKED.search(line):
            start = starts[int(mark[1])]
            for _ in range(int(mark[2])):
                start = text.index("\n", start) + 1
            place = place_of(text, start)
            found.append(BodyLine(number + 1, place.line, place.column))
            lines[number] = line.replace(mark[0], "")
    return "\n".join(lines), tuple(found)


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - this is C, and what goes in is quoted by ourselves
    )


def _manifest(name: str, text: str, parameters: tuple[Parameter, ...]) -> Manifest:
    shown = " ".join(text.split())
    return Manifest(
        name=name,
        summary=shown if len(shown) <= 200 else f"{shown[:197]}...",
        description=f"Compiled from the policy: {shown[:3900]}",
        algorithm="as the policy says (docs/policy-language.md)",
        tags=("policy",),
        kind=EntryKind.POLICY,
        source=f"{name}.policy",
        requires=("kernel >= 6.12",),
        origin="schedpilot",
        license="GPL-2.0-only",
        params=parameters,
    )


def _commented(text: str) -> str:
    """A text that cannot end the comment around it."""
    return text.replace("*/", "* /").replace("/*", "/ *")


def _quoted(text: str) -> str:
    """A C string of printable ASCII, without trigraphs and escapes."""
    return '"' + "".join(f"\\{each}" if each in '"\\?' else each for each in text) + '"'


class _Context:
    """The template's input. Every value is made here, so that the template only places it."""

    def __init__(self, emitter: Emitter, found: PolicyPlan) -> None:
        self._emitter = emitter
        self._plan = found
        # The words of all C from the policy itself.
        self._code: list[str] = []
        self._slice_of_all: tuple[str, str, list[tuple[str, str]]] | None = None

    def build(self) -> dict[str, Any]:
        queues = [self._queue(each) for each in self._plan.queues]
        classes = [self._class(index, each) for index, each in enumerate(self._plan.classes)]
        strays = self._strays(queues)
        self._shared_tunables(queues)
        facts = self._emitter.facts
        code = "\n".join(self._code)
        globs = [self._glob(key, each) for key, each in self._emitter.globs.items()]
        reaches = {each.reach for each in self._plan.queues}
        cpus = any(queue["cpus"] for queue in queues)
        preempting = any(each.preempt for each in self._plan.classes)
        sleeps = bool(facts & {"slept", "avg_sleep"})
        words = set(re.findall(r"\b([a-z]+)\(", code))
        calls = words & {"min", "max", "clamp", "plus", "minus", "times", "over", "us", "ms"}
        if any(queue["order"] == Order.BY for queue in queues):
            calls.add("bound")
        return {
            "queues": queues,
            "classes": classes,
            "strays": strays,
            "tiers": self._tiers(queues),
            "tunables": [
                {"comment": each.comment, "parameter": each.parameter}
                for each in self._emitter.tunables.values()
            ],
            "selectors": [
                {
                    "bit": each.bit,
                    "field": each.field,
                    "shown": _commented("|".join(each.patterns)),
                }
                for each in self._emitter.selectors
            ],
            "facts": facts,
            "names": _names("\n".join(each["condition"] for each in classes)),
            "globs": globs,
            "glob_words": {step for glob in globs for step, _ in glob["steps"]},
            "calls": calls,
            "source_words": {each for each in ("nice_of(p)", "uid(p)") if each in code},
            "shortest_slice": SHORTEST_SLICE_NS,
            "longest_slice": LONGEST_SLICE_NS,
            "queue_mask": _mask(len(queues)),
            "several": len(queues) > 1,
            "keeping": any(queue["keeps"] for queue in queues),
            "limited": any(queue["most"] < 100 for queue in queues),
            "preempting": preempting,
            "preempt_test": self._preempt_test(),
            "per_cpu": Reach.LOCAL in reaches,
            "any_cpus": cpus,
            # Whether some wakeups go elsewhere than where the kernel would send them.
            "placed": cpus or any(queue["sticky"] for queue in queues),
            "avoids_smt": self._avoids_smt_test(),
            "count_cpus": cpus or preempting or reaches != {None},
            "grouped": not self._plan.ignores_cgroups,
            "needs_selected": bool(self._emitter.selectors),
            "needs_tgid": bool(self._emitter.selectors) or "expected_runtime" in facts,
            "burst": bool(facts & {"ran", "avg_run", "cpu_share"}),
            "sleeps": sleeps,
            "wakes": sleeps or bool(facts & {"wakeups", "cpu_share"}),
            "averages": bool(facts & {"avg_run", "avg_sleep", "wakeups", "cpu_share", "slept"}),
        }

    # ------------------------------------------------------------ classes

    def _class(self, index: int, each: Class) -> dict[str, Any]:
        prefix = f"rule{each.number}_" if each.number else ""
        where = f" (rule {each.number})" if each.number else ""
        condition = ""
        if each.selector is not None:
            condition = self._emitter.condition(each.selector, f"{prefix}when")
            self._code.append(condition)
        code, function, names = self._slice(each, f"{prefix}slice" if each.own_slice else "slice")
        simple = not function and re.fullmatch(r"\(s64\)[a-z0-9_]+", code)
        weight = 100
        weight_name = ""
        if each.weight != 100:
            weight = each.weight
            weight_name = self._emitter.tunable(
                Parameter(
                    # Not `weight` alone: the C has locals of that name.
                    name=f"{prefix or 'rest_'}weight",
                    type=ParameterType.INT,
                    default=each.weight,
                    min=1,
                    max=10_000,
                    description=f"The weight {each.weight} in the policy.",
                    when=When.LIVE,
                ),
                f"Live. The weight {each.weight} in the policy.",
            )
        return {
            "index": index,
            "condition": condition,
            "shown": _commented(each.source),
            "where": where,
            "slice_shown": _commented(" ".join(expression_text(each.slice).split())),
            "slice_function": "" if simple else function or f"return {code};",
            "slice_locals": names,
            "slice": code if simple else f"slice_{index}(p, t)",
            "weight": weight,
            "weight_tunable": weight_name,
            "queue": each.queue,
        }

    def _slice(self, each: Class, prefix: str) -> tuple[str, str, list[tuple[str, str]]]:
        """The C of a slice; slices that rules do not set themselves are made once for all."""
        if not each.own_slice and self._slice_of_all is not None:
            return self._slice_of_all
        found = self._value(each.slice, prefix, SHORTEST_SLICE_NS, LONGEST_SLICE_NS)
        if not each.own_slice:
            self._slice_of_all = found
        return found

    def _value(
        self, value: Expression | Body, prefix: str, lowest: int, highest: int
    ) -> tuple[str, str, list[tuple[str, str]]]:
        """The C of an expression; or a body, with the facts that it names as locals."""
        if isinstance(value, Body):
            self._emitter.facts.update(value.facts)
            names = [(name, FACTS[name].c) for name in sorted(value.facts)]
            self._code += [value.code, *(code for _, code in names)]
            return "", textwrap.indent(_marked(value), "\t").strip(), names
        code = self._emitter.number(value, prefix, lowest, highest)
        self._code.append(code)
        return code, _with_names(code), []

    def _preempt_test(self) -> str:
        which = [index for index, each in enumerate(self._plan.classes) if each.preempt]
        return " || ".join(f"t->class == {index}" for index in which) or "false"

    def _avoids_smt_test(self) -> str:
        """The C of whether a task avoids busy siblings; "" if none does."""
        which = [index for index, each in enumerate(self._plan.classes) if each.avoids_smt]
        if len(which) == len(self._plan.classes):
            return "true"
        return " || ".join(f"t->class == {index}" for index in which)

    # ------------------------------------------------------------ queues

    def _queue(self, each: Queue) -> dict[str, Any]:
        about = ", ".join(each.classes)
        order = each.key.order
        code, function = "", ""
        names: list[tuple[str, str]] = []
        shown = str(order)
        if order is Order.BY:
            value = each.key.value if each.key.value is not None else each.key.body
            assert value is not None
            code, function, names = self._value(value, self._order_prefix(each), 0, LARGEST)
            shown = " ".join(expression_text(value).split())
            shown += " desc" if each.key.descending else ""
        sticky = any(c.sticky for c in self._plan.classes if c.queue == each.number)
        patient = order is not Order.VTIME or each.tier is Tier.IDLE or each.most < 100
        owner = self._limit_owner(each)
        return {
            "number": each.number,
            "tier": str(each.tier),
            "about": about,
            "order": str(order),
            "descending": each.key.descending,
            "key_shown": _commented(shown),
            "key_function": function or f"return {code};",
            "key_locals": names,
            "reach": str(each.reach) if each.reach else "",
            "sticky": sticky,
            "avoids_smt": any(c.avoids_smt for c in self._plan.classes if c.queue == owner.number),
            "cpus": each.cpus,
            "cpus_shown": cpu_list(each.cpus.ranges) if each.cpus else "",
            "cpus_test": " || ".join(_range_test(*pair) for pair in each.cpus.ranges)
            if each.cpus
            else "",
            "keeps": each.keeps,
            "keeps_tunable": self._percent(each, "keeps", each.keeps) if each.keeps else "",
            "most": each.most,
            "limits_own": owner is each,
            "most_tunable": self._percent(each, "share", each.most)
            if each.most < 100 and owner is each
            else "",
            "belongs": " || ".join(
                f"t->queue == QUEUE_{q.number}"
                for q in (each, *self._plan.queues)
                if q is each or q.number == each.unknown
            ),
            "unknown": each.unknown,
            # If an order or share was given, a late turn is short and comes later; for jobs, whose
            # order is all that counts, later still.
            "late": "job_wait_ns"
            if each.key.learned
            else "late_wait_ns"
            if patient
            else "max_wait_ns",
            "briefly": "true" if patient else "false",
            "may": f"here->left[QUEUE_{owner.number}] > 0 && " if each.most < 100 else "",
        }

    def _limit_owner(self, each: Queue) -> Queue:
        """A queue and the one for its tasks of unknown runtime share one part of the machine."""
        return next((q for q in self._plan.queues if q.unknown == each.number), each)

    def _order_prefix(self, each: Queue) -> str:
        numbers = [c.number for c in self._plan.classes if c.queue == each.number]
        return f"rule{numbers[0]}_order" if numbers and numbers[0] else "order"

    def _percent(self, each: Queue, word: str, value: int) -> str:
        numbers = [c.number for c in self._plan.classes if c.queue == each.number]
        prefix = f"rule{numbers[0]}_" if numbers and numbers[0] else ""
        prefix = prefix if numbers else f"queue{each.number}_"
        meaning = "at most" if word == "share" else "at least"
        about = f"{', '.join(each.classes)}: {meaning} this much of the machine"
        return self._emitter.tunable(
            Parameter(
                name=f"{prefix}{word}_percent",
                type=ParameterType.INT,
                default=value,
                min=1,
                max=99,
                unit=Unit.PERCENT,
                description=f"{about}."[:200],
                when=When.LIVE,
            ),
            f"Live. {about}, percent.",
        )

    def _strays(self, queues: list[dict[str, Any]]) -> int:
        """The queue for tasks that may run on no CPU of their set; made if needed."""
        if not any(queue["cpus"] for queue in queues):
            return -1
        for queue in queues:
            plain = queue["order"] == Order.VTIME and not queue["reach"] and not queue["cpus"]
            if plain and queue["tier"] == Tier.NORMAL and queue["most"] == 100:
                return int(queue["number"])
        stray = self._queue(
            Queue(
                len(queues),
                Tier.NORMAL,
                QueueOrder(),
                None,
                None,
                0,
                100,
                ("tasks that may run on none of their CPUs",),
            )
        )
        queues.append(stray)
        return int(stray["number"])

    def _tiers(self, queues: list[dict[str, Any]]) -> list[dict[str, Any]]:
        tiers: list[dict[str, Any]] = [
            {"name": str(tier), "queues": [q for q in queues if q["tier"] == str(tier)]}
            for tier in Tier
        ]
        for tier in tiers:
            tier["several"] = len(tier["queues"]) > 1
        return [tier for tier in tiers if tier["queues"]]

    def _shared_tunables(self, queues: list[dict[str, Any]]) -> None:
        """The tunables of every policy, or of most."""
        self._emitter.tunable(
            _time(
                "credit_ns", 3_000_000, 0, 1_000_000_000, "A sleeper is at most this far behind."
            ),
            "Live. A task that slept may be at most this far behind the clock, ns of virtual time.",
        )
        self._emitter.tunable(
            _time(
                "max_wait_ns",
                800_000_000,
                50_000_000,
                2_000_000_000,
                "No task should wait much longer than this for its turn.",
            ),
            "Live. No task should wait much longer than this for its turn, ns.",
        )
        if any(queue["unknown"] >= 0 for queue in queues):
            self._emitter.tunable(
                _time(
                    "least_job_ns",
                    10_000_000,
                    1,
                    10_000_000_000,
                    "Processes expected to take less are treated as of unknown runtime.",
                ),
                "Live. Processes expected to take less are treated as of unknown runtime, ns.",
            )
            self._emitter.tunable(
                _time(
                    "job_wait_ns",
                    5_000_000_000,
                    50_000_000,
                    8_000_000_000,
                    "No task of known expected runtime should wait much longer than this.",
                ),
                "Live. No task of known expected runtime should wait much longer than this, ns.",
            )
        if any(queue["late"] == "late_wait_ns" for queue in queues):
            self._emitter.tunable(
                _time(
                    "late_wait_ns",
                    2_000_000_000,
                    50_000_000,
                    3_000_000_000,
                    "The same, if an order, a share or the tier idle was given.",
                ),
                "Live. The same, if an order, a share or the tier idle was given, ns.",
            )

    # ------------------------------------------------------------ globs

    @staticmethod
    def _glob(key: str, glob: Glob) -> dict[str, Any]:
        wild = key.startswith("~")
        steps = glob_steps(glob.pattern, wild)
        return {
            "function": glob.function,
            "shown": _commented(f"{'~' if wild else '='} {glob.pattern}"),
            "wild": wild,
            "steps": [(step, {"c": _quoted(part), "length": len(part)}) for step, part in steps],
            "returns": bool(steps) and steps[-1][0] in ("end", "last"),
        }


def _names(code: str) -> list[str]:
    """Which names of a task this C reads."""
    return sorted(set(re.findall(r"\bname_is_\d+\((comm|thread_name)\)", code)))


def _with_names(code: str) -> str:
    """The body of a function that returns `code`, if that reads a name of the task."""
    names = _names(code)
    if not names:
        return ""
    where = {"comm": "BPF_CORE_READ(p, group_leader)->comm", "thread_name": "p->comm"}
    lines = [
        *(f"char {name}[16] = {{}};" for name in names),
        "",
        *(f"bpf_probe_read_kernel({name}, sizeof({name}), {where[name]});" for name in names),
        f"return {code};",
    ]
    return "\n\t".join(lines).replace("\n\t\n", "\n\n")


def _time(name: str, default: int, lowest: int, highest: int, description: str) -> Parameter:
    return Parameter(
        name=name,
        type=ParameterType.INT,
        default=default,
        min=lowest,
        max=highest,
        unit=Unit.NS,
        description=description,
        when=When.LIVE,
    )


def _range_test(first: int, last: int) -> str:
    if first == last:
        return f"cpu == {first}"
    return f"(cpu >= {first} && cpu <= {last})" if first else f"(cpu >= 0 && cpu <= {last})"


def _mask(count: int) -> int:
    """The smallest 2^n - 1 that is not below the number of any of `count` queues."""
    return (1 << max(1, (count - 1).bit_length())) - 1
