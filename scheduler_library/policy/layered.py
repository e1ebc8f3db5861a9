# SPDX-License-Identifier: GPL-2.0-or-later
"""The rules of a policy as the layer file of scx_layered: `use scx_layered; RULES`.

A layer is a list of alternatives, each a list of conditions, and a kind with settings (scx_layered
1.1.4, src/config.rs and match_one() in src/bpf/main.bpf.c). A rule that layers cannot express is
refused at its column, with what to write; nothing is left out or approximated.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scheduler_library.layers import CONDITIONS, MOST_ALTERNATIVES, MOST_LAYERS, check_layers
from scheduler_library.policy.formatter import format_expression, format_property, format_rule
from scheduler_library.policy.plan import DEFAULT_SLICE_NS, TargetMachine
from scheduler_library.policy.syntax import (
    Binary,
    CBlock,
    CgroupsIgnored,
    Expression,
    Hook,
    Literal,
    Name,
    Order,
    OrderBy,
    PolicyProgram,
    Preempt,
    Property,
    Rule,
    Share,
    Slice,
    Text,
    Tier,
    TierOf,
    Type,
    Unary,
    Weight,
)
from scheduler_library.policy.trouble import PolicyRefusal, refuse
from scheduler_library.policy.typecheck import Types, start
from scheduler_library.policy.values import Values
from scheduler_library.policy.vocabulary import NAME_BYTES

# The number of cgroup regular expressions that scx_layered takes (MAX_CGROUP_REGEXES).
MOST_REGEXES = 16
# They are matched against the whole path in the file system.
MOUNTED = "/sys/fs/cgroup"
# A layer gets another CPU if its own are used more than the upper of these, and gives one back
# below the lower; as in the examples of scx_layered.
UTIL_RANGE = [0.8, 0.9]
LONGEST_COMMENT = 200
_ALWAYS: list[list[dict[str, Any]]] = [[]]
_MOST_U64 = (1 << 64) - 1
_CONDITIONS = (
    'comm or thread_name ~ "name*", cgroup, nice, uid, user, pid, tgid, kthread, avg_run < 2ms'
)
_PROPERTIES = "slice, weight, share, order vtime or fifo, latency with preempt"
_NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "=": "!=", "!=": "="}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}


def layer_file(
    text: str,
    program: PolicyProgram,
    settings: tuple[Mapping[str, Property], ...],
    machine: TargetMachine,
) -> str:
    """The layers, as JSON in one line, checked.

    Args:
        settings: those of each rule and of the rest (see `Plan.settings`).

    Raises:
        Fault: BAD_POLICY, at the column of the part that layers cannot express.
    """
    made = _Layers(text, machine)
    rules = [*program.rules]
    if not rules or rules[-1].selector is not None:
        rules.append(Rule(None, ()))
    if len(rules) > MOST_LAYERS:
        raise refuse(
            text,
            program.rules[MOST_LAYERS - 1].at,
            f"there are {len(rules)} layers, including the one for the rest",
            expected=f"at most {MOST_LAYERS}",
            hint='join rules with the same properties: comm ~ "a*|b*"',
        )
    layers = [
        made.layer(number, rule, each)
        for number, (rule, each) in enumerate(zip(rules, settings, strict=True), 1)
    ]
    return check_layers(json.dumps(layers))


@dataclass
class _Layers:
    """Turns the rules of one policy into layers."""

    text: str
    machine: TargetMachine
    regexes: int = 0

    def layer(self, number: int, rule: Rule, settings: Mapping[str, Property]) -> dict[str, object]:
        if rule.selector is None:
            return {"name": "rest", "matches": _ALWAYS, "kind": self._kind(rule, settings)}
        matches = self._alternatives(rule.selector, holds=True)
        if len(matches) > MOST_ALTERNATIVES:
            raise self._too_many(rule.selector)
        if max(map(len, matches)) > len(CONDITIONS):
            raise self._refuse(
                rule.selector,
                "this selector has too many conditions that must hold together",
                f"at most {len(CONDITIONS)}",
                "leave out those that follow from others",
            )
        comment = format_rule(rule)
        return {
            "name": f"rule {number}",
            "comment": comment if len(comment) <= LONGEST_COMMENT else f"{comment[:197]}...",
            "matches": matches,
            "kind": self._kind(rule, settings),
        }

    # ------------------------------------------------------------ selectors

    def _refuse(self, at: Expression | int, what: str, expected: str, hint: str) -> PolicyRefusal:
        place = at if isinstance(at, int) else start(at)
        return refuse(self.text, place, what, expected=expected, hint=hint)

    def _too_many(self, selector: Expression) -> PolicyRefusal:
        return self._refuse(
            selector,
            "this selector has too many alternatives, written out",
            f"at most {MOST_ALTERNATIVES} for each layer",
            "write shorter globs, or several rules",
        )

    def _alternatives(self, expression: Expression, *, holds: bool) -> list[list[dict[str, Any]]]:
        """A condition, or its negation, as alternatives of conditions that all hold."""
        match expression:
            case Unary("not", operand):
                return self._alternatives(operand, holds=not holds)
            case Binary("and" | "or" as operator, left, right):
                first = self._alternatives(left, holds=holds)
                second = self._alternatives(right, holds=holds)
                alike = (operator == "or") is holds
                count = len(first) + len(second) if alike else len(first) * len(second)
                # None of them is removed again, and each operator may double them.
                if count > MOST_ALTERNATIVES:
                    raise self._too_many(expression)
                if alike:
                    return [*first, *second]
                return [[*a, *b] for a in first for b in second]
            case Name("kthread"):
                if not holds:
                    # IsKthread(false) matches kernel threads, too: only the flag's presence counts.
                    raise self._refuse(
                        expression,
                        "a layer cannot be for all but kernel threads",
                        "a layer for kernel threads, before this one",
                        "the first rule that matches wins: kthread { … }; then the others",
                    )
                return [[{"IsKthread": True}]]
            case Binary(operator, Name(field), Text(text)):
                return self._text(expression, field, operator, text, holds)
            case Binary(operator, left, right):
                return self._compared(expression, operator, left, right, holds)
        raise AssertionError(expression)

    def _text(
        self, whole: Binary, field: str, operator: str, text: str, holds: bool
    ) -> list[list[dict[str, Any]]]:
        holds = holds if operator != "!=" else not holds
        if field == "user" and holds:
            return [[{"UIDEquals": self.machine.users(text) or 0}]]
        if field in ("comm", "thread_name"):
            word = "PcommPrefix" if field == "comm" else "CommPrefix"
            globs = text.split("|") if operator == "~" else [text]
            names = [self._beginning(whole, field, operator, each, holds) for each in globs]
            if holds:
                return [[{word: each}] if each else [] for each in names]
            return [[{f"{word}Exclude": each} for each in names]]
        if field == "cgroup" and holds:
            globs = text.split("|") if operator == "~" else [text]
            return [self._cgroup(whole, operator, each) for each in globs]
        raise self._inexpressible(whole, field, text)

    def _inexpressible(self, whole: Expression, field: str, text: str) -> PolicyRefusal:
        last = re.sub(r"[|*?].*", "", text.strip("*")) or "name"
        hint = {
            "unit": f'match the path of its cgroup: cgroup ~ "*/{last}*"',
            "cmd": 'match the name, comm ~ "name*", or the cgroup, cgroup ~ "/path*"',
            "cgroup": "the first rule that matches wins: put one for that cgroup before this one",
            "user": "the first rule that matches wins: put one for that user before this one",
            "policy": "match by nice, name or cgroup",
        }.get(field, "match by nice, name or cgroup")
        return self._refuse(
            whole, f"no layer can match `{format_expression(whole)}`", _CONDITIONS, hint
        )

    def _beginning(self, whole: Binary, field: str, operator: str, glob: str, holds: bool) -> str:
        """The prefix that a glob stands for; scx_layered knows nothing else about names."""
        fixed = glob.rstrip("*") if operator == "~" else glob
        exact = fixed == glob and len(glob) < NAME_BYTES
        wild = operator == "~" and set(fixed) & set("*?")
        if exact or wild or (not holds and not fixed):
            name = re.split(r"[*?]", fixed)[0] or "name"
            negated = "" if holds else "not "
            raise self._refuse(
                whole.right,
                "a layer matches the beginning of a name, and no other part of it",
                "a glob with one `*` at its end",
                f'write {negated}{field} ~ "{name}*"',
            )
        return fixed

    def _cgroup(self, whole: Binary, operator: str, glob: str) -> list[dict[str, Any]]:
        """scx_layered's path of `/a/b` is `a/b/`."""
        wild = operator == "~"
        if wild and not glob.strip("*"):
            return []
        if wild and re.fullmatch(r"/[^*?]+\*", glob):
            return [{"CgroupPrefix": glob[1:-1]}]
        if wild and re.fullmatch(r"\*[^*?/]([^*?]*[^*?/])?\*", glob):
            return [{"CgroupContains": glob[1:-1]}]
        if wild and re.fullmatch(r"\*[^*?/][^*?]*", glob):
            return [{"CgroupSuffix": f"{glob[1:]}/"}]
        self.regexes += 1
        if self.regexes > MOST_REGEXES:
            raise self._refuse(
                whole.right,
                "there are too many cgroup patterns that are neither a prefix nor a suffix",
                f"at most {MOST_REGEXES}",
                'write for example: cgroup ~ "/path*"',
            )
        parts = {"*": ".*", "?": "."} if wild else {}
        inside = "".join(parts.get(each, re.escape(each)) for each in glob)
        return [{"CgroupRegex": f"^{MOUNTED}{inside}$"}]

    def _compared(
        self, whole: Binary, operator: str, left: Expression, right: Expression, holds: bool
    ) -> list[list[dict[str, Any]]]:
        sign = operator if holds else _NEGATED[operator]
        if not isinstance(left, Name):
            left, right, sign = right, left, _TURNED[sign]
        value = Values(Types(self.text), self.machine.users).bounds(right)
        names = [each for each in (left, right) if isinstance(each, Name)]
        if isinstance(left, Name) and len(names) == 1 and value.constant:
            number = value.low
            ids = {"uid": "UIDEquals", "pid": "PIDEquals", "tgid": "TGIDEquals"}
            if left.name == "nice":
                return _nice(sign, number)
            if left.name in ids and sign == "=" and number >= 0:
                return [[{ids[left.name]: number}]]
            if left.name == "avg_run" and sign not in ("=", "!="):
                us, rest = divmod(max(0, number), 1000)
                least = us + (1 if rest or sign in (">", "<=") else 0)
                return [[{"AvgRuntime": [0, least] if sign[0] == "<" else [least, _MOST_U64]}]]
        field = left.name if isinstance(left, Name) else ""
        hint = {
            "uid": "write uid = 1000, or several with `or`",
            "pid": "write pid = 1, or several with `or`",
            "tgid": "write tgid = 1, or several with `or`",
            "avg_run": "compare it with a time: avg_run < 2ms",
            "nice": "compare it with a number: nice > 5",
        }.get(field, "match by nice, name or cgroup")
        raise self._refuse(
            whole, f"no layer can match `{format_expression(whole)}`", _CONDITIONS, hint
        )

    # ------------------------------------------------------------ properties

    def _kind(self, rule: Rule, settings: Mapping[str, Property]) -> dict[str, object]:
        said: dict[str, object] = {"slice_us": DEFAULT_SLICE_NS // 1000}
        shares = [0.0, 1.0]
        preempts = any(isinstance(each, Preempt) for each in settings.values())
        for each in settings.values():
            match each:
                case Slice(Literal(value, Type.TIME)):
                    said["slice_us"] = value // 1000
                case OrderBy(Order.FIFO):
                    said["fifo"] = True
                case OrderBy(Order.VTIME) | TierOf(Tier.NORMAL):
                    pass
                case Weight(value):
                    said["weight"] = value
                case Share(percent, at_least):
                    shares[0 if at_least else 1] = percent / 100
                case Preempt():
                    said["preempt"] = True
                case TierOf(Tier.LATENCY) if preempts:
                    pass
                case _:
                    raise self._unsaid(each)
        if shares == [0.0, 1.0]:
            return {"Open": said}
        return {"Grouped": {"util_range": UTIL_RANGE, "cpus_range_frac": shares, **said}}

    def _unsaid(self, each: Property) -> PolicyRefusal:
        """The refusal of a property that layers do not have."""
        hint = "leave it out, or write the policy without `use`"
        match each:
            case TierOf(Tier.LATENCY):
                hint = "a layer goes first by preempting: write `latency; preempt`"
            case TierOf():
                hint = "no layer waits for all others: write `weight 1`"
            case Slice() | CBlock(Hook.SLICE):
                hint = "all tasks of a layer have one slice length: slice 3ms"
            case CgroupsIgnored():
                hint = "leave it out: layers know no cpu.weight and no cpu.max"
            case OrderBy() | CBlock():
                hint = "write `order vtime` or `order fifo`"
        at = start(each.value) if isinstance(each, Slice) else each.at
        shown = " ".join(format_property(each).split())
        return self._refuse(at, f"no layer has `{shown[:60]}`", _PROPERTIES, hint)


def _nice(sign: str, number: int) -> list[list[dict[str, Any]]]:
    """A comparison of nice as alternatives."""
    if sign == "=":
        return [[{"NiceEquals": number}]]
    if sign == "!=":
        return [[{"NiceBelow": number}], [{"NiceAbove": number}]]
    if sign in ("<", "<="):
        return [[{"NiceBelow": number + (sign == "<=")}]]
    return [[{"NiceAbove": number - (sign == ">=")}]]
