# SPDX-License-Identifier: GPL-2.0-or-later
"""Habits from other tools and languages, and how to write them here.

It is used only after a refusal, so nothing here decides what a policy means. Each entry is a
pattern; if it covers the place of the refusal, its own place, words and hint replace the general
ones.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from scheduler_library.policy import units
from scheduler_library.policy.syntax import Type
from scheduler_library.policy.trouble import suggestion
from scheduler_library.policy.vocabulary import ELSEWHERE, FIELDS, NAME_BYTES, REST, WORDS

# How far from the place of a refusal a habit is searched for, characters.
LONGEST = 1000
# kernel/sched/core.c, sched_prio_to_weight, from nice -20 to 19; 1024 is our 100.
_WEIGHT_OF_NICE = (
    *(88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916),
    *(9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277),
    *(1024, 820, 655, 526, 423, 335, 272, 215, 172, 137),
    *(110, 87, 70, 56, 45, 36, 29, 23, 18, 15),
)

# What a word processor or another keyboard makes of the intended character.
TYPED = {
    **dict.fromkeys("\u201c\u201d\u201e\u00ab\u00bb", 'a plain double quote: "'),
    **dict.fromkeys("\u2018\u2019\u201a", 'a plain double quote: "'),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "a plain minus: -"),
    **dict.fromkeys("\u00a0\u2009\u202f\u3000\u200b\ufeff", "a plain blank"),
    **dict.fromkeys("\u00b5\u03bc", "us, for microseconds"),
    **dict.fromkeys("\u2026", "two comparisons for a range: nice >= 0 and nice <= 5"),
    **dict.fromkeys("\u2192\u21d2", "braces around the properties: nice > 5 { idle }"),
    "\u2264": "<=",
    "\u2265": ">=",
    "\u2260": "!=",
    "\u00d7": "*",
    "\u00f7": "/",
}

Say = Callable[[re.Match[str]], str]


@dataclass(frozen=True)
class Habit:
    """One habit from elsewhere.

    `hint` is built from the match; the refusal is at the group `here` if the pattern has one, else
    where the match begins. `typed` ones are also searched for if a policy parses, but its parts do
    not fit.
    """

    pattern: re.Pattern[str]
    what: str
    hint: Say
    typed: bool = False


@dataclass(frozen=True)
class Better:
    """A refusal in words for somebody with this habit, and its place."""

    at: int
    what: str
    hint: str


def _hint(template: str) -> Say:
    """The template with the groups of the match in it: `{1}` or `{name}`."""

    def say(found: re.Match[str]) -> str:
        groups = ["", *(each or "" for each in found.groups())]
        named = {name: each or "" for name, each in found.groupdict().items()}
        return template.format(*groups, **named)

    return say


def _habit(pattern: str, what: str, hint: str | Say, *, typed: bool = False) -> Habit:
    say = _hint(hint) if isinstance(hint, str) else hint
    return Habit(re.compile(pattern), what, say, typed)


# ------------------------------------------------------------ values


def _weight_of_nice(found: re.Match[str]) -> str:
    nice = max(-20, min(19, int(found["number"])))
    return (
        f"write `weight {max(1, round(_WEIGHT_OF_NICE[nice + 20] * 100 / 1024))}`, which is what "
        f"nice {nice} is worth"
    )


def _weight_of_shares(found: re.Match[str]) -> str:
    weight = max(1, min(10_000, round(int(found["number"]) * 100 / 1024)))
    return f"write `weight {weight}`; 100 is usual"


def _share_of_quota(found: re.Match[str]) -> str:
    quota, period = found["quota"], found["period"]
    of_one = ""
    if quota and quota.isdigit() and period and int(period):
        of_one = f"{round(int(quota) * 100 / int(period))}% of one CPU here"
    elif quota and quota.endswith("%"):
        of_one = f"{quota} of one CPU there"
    example = "write for example `share <= 20%`, a part of all CPUs together"
    return f"{example} ({of_one}, to be divided by the number of CPUs)" if of_one else example


def _cpus(found: re.Match[str]) -> str:
    groups = found.groupdict()
    numbers = re.sub(r"\s*(?:\.\.=?|:)\s*", "-", groups.get("cpus") or groups.get("value") or "")
    numbers = re.sub(r"(?<=\d)[\s,]+(?=\d)", ",", numbers.strip())
    return f"write `cpus {numbers}`" if re.fullmatch(r"[\d,-]*\d", numbers) else CPUS


def _mask(found: re.Match[str]) -> str:
    mask = int(found["mask"][-64:], 16)
    numbers = ",".join(str(cpu) for cpu in range(mask.bit_length()) if mask >> cpu & 1)
    return f"write `cpus {numbers}`" if numbers else CPUS


def _policy_word(found: re.Match[str]) -> str:
    return {
        "idle": "write `idle`: those run when nobody else wants to",
        "batch": "write `slice 20ms`: long slices, few switches",
        "other": "write `tier normal`",
        "normal": "write `tier normal`",
    }.get(
        found["class"].lower(),
        "write `latency; preempt`: real-time tasks are not scheduled by sched_ext at all",
    )


def _range(found: re.Match[str]) -> str:
    field = found["field"]
    if field == "cpus":
        return f"write `cpus {found['low']}-{found['high']}`"
    if field == "slice":
        return (
            f"write a formula with bounds: slice clamp(wait / 4, {found['low']}, {found['high']})"
        )
    field = field if field in WORDS else "nice"
    return f"write `{field} >= {found['low']} and {field} <= {found['high']}`"


def _range_or_list(found: re.Match[str]) -> str:
    """`in [a, b]`: for ids these two are meant, for amounts the values between them."""
    if found["field"] in ("uid", "pid", "tgid") and "," in found["here"]:
        return f"write `{found['field']} = {found['low']} or {found['field']} = {found['high']}`"
    return _range(found)


def _listed(found: re.Match[str]) -> str:
    field, values = found["field"], found["values"]
    texts = re.findall(r'"([^"]*)"|\'([^\']*)\'', values)
    names = [one or other for one, other in texts] or re.findall(r"[\w.-]+", values)
    if field == "user" and names:
        choices = [f'user = "{name}"' for name in names]
        return f"write `{' or '.join(choices)}`"
    if texts:
        joined = "|".join(one or other for one, other in texts)
        return f'alternatives are in one text: {field} ~ "{joined}"'
    words = re.findall(r"-?[A-Za-z0-9_.*?]+", values)
    if not words:
        return 'alternatives are in one text: comm ~ "a|b"'
    if FIELDS.get(field) and field not in ("uid", "pid", "tgid", "policy"):
        return f'alternatives are in one text: {field} ~ "{"|".join(words)}"'
    return f"write `{' or '.join(f'{field} = {word}' for word in words)}`"


def _text_operator(found: re.Match[str]) -> str:
    field, text = found["field"], found["text"] or found["re"] or "name"
    operator = found["here"].lower().replace("_", "").replace(" ", "")
    negated = "not " if operator.startswith(("not", "!", "doesnot", "isnot")) else ""
    operator = operator.removeprefix("not").removeprefix("doesnot")
    if operator in ("contains", "includes", "has"):
        text = f"*{text}*"
    elif operator.startswith("start") or operator == "beginswith":
        text = f"{text}*"
    elif operator.startswith("end"):
        text = f"*{text}"
    elif operator == "like" or operator == "ilike":
        text = text.replace("%", "*").replace("_", "?")
    else:
        text = glob_of_regex(text)
    return f'write `{negated}{field} ~ "{text}"`: globs, in which `*` is any text'


def _equality(found: re.Match[str]) -> str:
    operator = found["here"].lower().replace("_", "").replace(" ", "")
    right = found["right"] or "…"
    sign = {
        **dict.fromkeys(("is", "eq", "equals", "==", "===", "equal"), "="),
        **dict.fromkeys(("ne", "neq", "isnot", "<>", "!==", "isnt", "=!", "~="), "!="),
        "lt": "<",
        "le": "<=",
        "lte": "<=",
        "gt": ">",
        "ge": ">=",
        "gte": ">=",
        "=<": "<=",
        "=>": ">=",
        "above": ">",
        "below": "<",
        "under": "<",
        "over": ">",
    }.get(operator, "=")
    field = FIELDS.get(found["field"])
    if field and field.type is Type.TEXT and found["field"] != "policy" and right.isalnum():
        right = f'"{right}"'
    name = "equality is written with one `=`: " if operator in ("==", "===") else "write "
    return f"{name}{found['field']} {sign} {right}"


def _time(found: re.Match[str]) -> str:
    parts = re.findall(r"([0-9.]+)\s*([A-Za-z]+)", found["here"])
    if len({unit for _, unit in parts}) < len(parts):
        return "keep one of the two"
    total = sum(units.in_ns(number, unit) or 0 for number, unit in parts)
    return f"write one number with one unit: {units.written_ns(total)}" if total else _UNITS


def _separated(found: re.Match[str]) -> str:
    first, second, unit = found["a"], found["b"], found["unit"]
    whole = first + re.sub(r"\D", "", second) + unit
    if found["here"][len(first)] == "," and second.isdigit() and len(second) != 3:
        return f"a fraction has a point: {first}.{second}{unit}"
    return f"write {whole}"


def _exponent(found: re.Match[str]) -> str:
    if len(found["exponent"]) > 2:
        return _UNITS
    number = Decimal(found["digits"]) * 10 ** int(found["exponent"])
    return f"write it out: {number.to_integral_value():f}{found['unit']}"


def _property_value(found: re.Match[str]) -> str:
    name, value = found["name"], found["value"].strip().rstrip(",")
    if name in ("llc", "local"):
        return f"write `{name}` alone"
    if name == "cpus":
        return _cpus(found)
    sign = "a colon" if found["here"] == ":" else "a sign"
    return f"write it without {sign}: {name} {value or '…'}"


def _switched(found: re.Match[str]) -> str:
    name, off = found["name"], (found["value"] or "").lower() in ("false", "no", "off", "0")
    return f"leave `{name}` out" if off else f"write `{name}` alone"


def _kthread(found: re.Match[str]) -> str:
    no = found["value"].lower() in ("false", "no", "0", "off", "n")
    if found["sign"] in ("!=", "is not", "<>"):
        no = not no
    return f"it is a condition by itself: {'not ' if no else ''}kthread {{ … }}"


def _quoted_text(found: re.Match[str]) -> str:
    field, sign, text = found["field"], found["sign"], found["text"]
    if field == "user" and text.isdigit():
        return f"write uid {sign} {text}"
    sign = "~" if "*" in text and sign == "=" else sign
    return f'put it in quotes: {field} {sign} "{text}"'


def _compared_how(found: re.Match[str]) -> str:
    sign = "=" if found["field"] in ("user", "policy") else "~"
    text = found["text"] if found["field"] == "policy" else f'"{found["text"]}"'
    return f"write what is compared, and how: {found['field']} {sign} {text}"


def _selected_by_name(found: re.Match[str]) -> str:
    text = found["text"]
    known = [*WORDS, *ELSEWHERE, *REST, "if", "not", "and", "or", "use", "c"]
    if text in known or text in _PROPERTY.split("|") or not text.strip("*?-_.0123456789"):
        return ""
    if text.isidentifier() and suggestion(text, known, ""):
        return ""
    if text.startswith("/") and re.search(r"\.(?:slice|service|scope)", text):
        return f'write `cgroup ~ "{text}*"`'
    name = text.rpartition("/")[2] or "name"
    return f'write `comm ~ "{name[:NAME_BYTES]}"`'


def _lower(found: re.Match[str]) -> str:
    return f"words are in lower case: {found['here'].lower()}"


def _braces(found: re.Match[str]) -> str:
    selector = found["selector"].strip()
    if selector in WORDS:
        value = (found["rest"] or "").split("{")[0].strip().strip("\"'};, ") or "…"
        texts = WORDS[selector].type is Type.TEXT
        compared = f'{selector} ~ "{value}"' if texts else f"{selector} = {value}"
        return f"write a comparison, and properties in braces: {compared} {{ … }}"
    properties = re.split(r":|\belse\b", found["rest"] or "")[0]
    properties = properties.strip().rstrip("};])").removesuffix("end").strip().lstrip("{").strip()
    inside = f" {properties} " if properties and len(properties) < 60 else " … "
    selector = selector if len(selector) < 60 else 'comm ~ "name*"'
    return f"put the properties in braces: {selector} {{{inside}}}"


def glob_of_regex(text: str) -> str:
    """Roughly what a regular expression means, as a glob. Nothing relies on it: it is a
    suggestion.
    """
    parts = []
    for each in _alternatives(text):
        anchored_start, anchored_end = each.startswith("^"), each.endswith("$")
        part = each.removeprefix("^").removesuffix("$")
        part = re.sub(r"\\([.\-/+*?])", "\x00\\1", part)
        part = re.sub(r"\.[*+]\??|\\[dw][*+]?|\[[^\]]*\][*+]?", "*", part)
        part = re.sub(r"(?<!\x00)\.", "?", part).replace("\x00", "")
        part = re.sub(r"[()]", "", part)
        regular = part != each or anchored_start or anchored_end
        if regular and not anchored_start and not part.startswith("*"):
            part = f"*{part}"
        if regular and not anchored_end and not part.endswith("*"):
            part = f"{part}*"
        parts.append(re.sub(r"\*+", "*", part))
    return "|".join(parts)


def _alternatives(text: str) -> list[str]:
    """The alternatives that a regular expression or a shell's braces join, if that is simple."""
    found = re.fullmatch(r"(\^?)([^(){}]*)(?:\(([^()]*)\)|\{([^{}]*)\})([^(){}]*?)(\$?)", text)
    if found is None:
        return text.split("|")
    middle = found[3].split("|") if found[3] is not None else found[4].split(",")
    return [f"{found[1]}{found[2]}{each}{found[5]}{found[6]}" for each in middle]


CPUS = "write for example: cpus 0-3,6, or: cpus fast, cpus node 0, cpus llc 0"
_UNITS = "write for example 500us, 3ms or 20%"
_LATENCY = (
    "write `latency; preempt` for tasks that should go first, `idle` for tasks that should go "
    "last, or `weight 300`"
)
_FIELD = "|".join(WORDS)
_FACT = "|".join(
    name for name, word in WORDS.items() if word.type in (Type.COUNT, Type.RATIO, Type.TIME)
)
_PROPERTY = "slice|order|latency|idle|tier|weight|share|cpus|smt|preempt|local|llc|sticky|cgroups"
_TEXT = "|".join(name for name, word in WORDS.items() if word.type is Type.TEXT)
_NUMBER = r"-?[0-9][0-9.]*[A-Za-z%]*"
_QUOTED = r'"(?:[^"\\\n]|\\.)*"'

# What elsewhere names CPUs by the machine's topology.
_FAST = (
    r"(?i:(?:fast|fastest|big|p|perf|performance|prime|gold|preferred|favou?red|turbo)[-_ ]?cores?"
    r"|cpu_core|big|prime|performance|perf|fastest|preferred|favou?red|turbo|intel_core)"
)
_SLOW = (
    r"(?i:(?:slow|little|small|e|efficien(?:t|cy)|lp[-_]?e|silver|weak|slowest)[-_ ]?cores?"
    r"|cpu_atom|little|small|efficien(?:t|cy)|slowest|intel_atom)"
)
_NODE = r"numa[-_ ]?nodes?|numa|nodes?|sockets?|packages?|dies?"
_LLC = r"l[23](?:[-_ ]?caches?)?|caches?|ccxs?|ccds?|clusters?"
_OF_SET = r"[-_ ]*[:=]?[ \t]*(?P<numbers>\d+(?:-\d+)?(?:[ \t,]+\d+(?:-\d+)?)*)?(?!\w)"
_SET = r"(?:fast\b|slow\b|(?:node\s+|llc\s+)?\d[\d,-]*(?!\w))"


def _numbers(found: re.Match[str]) -> str:
    """The numbers of a set as they are written here."""
    return re.sub(r"[ \t,]+", ",", found["numbers"] or "0")


# ------------------------------------------------------------ what begins an item

# Beside `"…" {`, a word at the beginning of a property or rule. First match wins.
_ITEMS = (
    _habit(
        r"//(?P<text>[^\n]*)",
        "comments do not begin with `//`",
        "a comment begins with `#`: #{text}",
    ),
    _habit(
        r"/\*(?P<text>.*?)(?:\*/|$)",
        "comments are not within `/* */`",
        "a comment begins with `#` and ends with the line: #{text}",
    ),
    _habit(
        r"--\s*(?P<text>[^\n]*)",
        "comments do not begin with `--`",
        "a comment begins with `#`: # {text}",
    ),
    _habit(
        r"(?:cpus?|ncpus|nr_cpus|cpu_share|cpu_usage)\s*(?:[<>]=?|[:=])?\s*(?P<number>\d+)\s*%",
        "a part of the machine is a share",
        "write `share <= {number}%` or `share >= {number}%`",
    ),
    # cgroup v2 and v1, systemd
    _habit(
        r"(?:cpu\.weight|CPUWeight|StartupCPUWeight|cpu_weight)\s*[:=]?\s*(?P<number>\d+)",
        "`{0}` is a setting of cgroups",
        "write `weight {number}`",
    ),
    _habit(
        r"(?:cpu\.weight\.nice)\s*[:=]?\s*(?P<number>-?\d+)",
        "`{0}` is a setting of cgroups",
        _weight_of_nice,
    ),
    _habit(
        r"(?:cpu\.shares|CPUShares|cpu_shares)\s*[:=]?\s*(?P<number>\d+)",
        "`{0}` is a setting of cgroups",
        _weight_of_shares,
    ),
    _habit(
        r"(?:cpu\.max|cpu\.cfs_quota_us|CPUQuota|cpu_quota|cpu_max|cpu\.max\.burst)"
        r"\s*[:=]?\s*\"?(?P<quota>\d+%?|max)?[\s,]*(?P<period>\d+)?",
        "`{0}` is a setting of cgroups",
        _share_of_quota,
    ),
    _habit(r"cpu\.idle\b", "`{0}` is a setting of cgroups", "write `idle`"),
    _habit(
        r"cpu\.uclamp\.\w+|uclamp\w*|util_(?:min|max)",
        "`{0}` is about the frequency of CPUs, which a policy does not set",
        "write `latency` for tasks that should not wait",
    ),
    _habit(
        r"(?:cpuset\.cpus|cpuset(?!\.mems)|AllowedCPUs|CPUAffinity|CPUSet|cpu_set|cpulist|cpu-list|cpumask)"
        r"(?:\.\w+)*\s*[:=]?\s*\"?(?P<cpus>[\d,.: \t-]*)",
        "`{0}` is not how CPUs are chosen here",
        _cpus,
    ),
    _habit(
        r"cpu\.\w+(?:\.\w+)*",
        "a policy does not set `{0}`",
        "write for example `weight 300`, `share <= 20%`, `cpus 0-3` or `idle`",
    ),
    _habit(
        r"(?:taskset|numactl)\b(?:\s+-\S+)*\s*=?(?P<cpus>[\d,.:-]*)",
        "`{0}` is a command",
        _cpus,
    ),
    # topology
    _habit(
        rf"(?:cpus?|cores?)\s*[:=]?\s*(?P<here>\"?(?:{_FAST})\b\"?)",
        "'{here}' is not a set of CPUs",
        "write `cpus fast`",
    ),
    _habit(
        rf"(?:cpus?|cores?)\s*[:=]?\s*(?P<here>\"?(?:{_SLOW})\b\"?)",
        "'{here}' is not a set of CPUs",
        "write `cpus slow`",
    ),
    _habit(
        rf"cpus?\s*[:=]?\s*(?P<here>\"?(?:{_NODE}){_OF_SET})",
        "a NUMA node is written as `node` and its number",
        lambda found: f"write `cpus node {_numbers(found)}`",
    ),
    _habit(
        rf"cpus?\s*[:=]?\s*(?P<here>\"?(?:llcs?|{_LLC}){_OF_SET})",
        "a last-level cache is written as `llc` and its number",
        lambda found: f"write `cpus llc {_numbers(found)}`",
    ),
    _habit(
        r"cpus\s+(?P<here>not\s+(?P<speed>fast|slow)\b)",
        "a set of CPUs has no `not`",
        lambda found: f"write `cpus {'slow' if found['speed'] == 'fast' else 'fast'}`",
    ),
    _habit(
        rf"cpus\s+(?=[^;}}\n]*[a-z])(?P<first>{_SET}(?:\s+and\s+{_SET})*)\s+(?P<here>(?P<second>{_SET}))",
        "two sets stand side by side",
        "write `cpus {first} and {second}` for the CPUs that are in both",
    ),
    _habit(
        rf"cpus\s+(?=[^;}}\n]*[a-z]){_SET}\s*(?P<here>,|or\b|[|+&]+)",
        "sets are not joined by `{here}`",
        "`and` narrows a set, as in `cpus fast and node 0`; only numbers are added up, by commas",
    ),
    _habit(
        rf"(?:{_NODE}){_OF_SET}",
        "there is no property `{0}`",
        lambda found: f"write `cpus node {_numbers(found)}`",
    ),
    _habit(
        rf"(?:{_LLC}|llc(?=[-_ :=]*\d)){_OF_SET}",
        "there is no property `{0}`",
        lambda found: f"write `cpus llc {_numbers(found)}`",
    ),
    _habit(
        r"fast\b",
        "there is no property `fast`",
        "write `cpus fast` for fast CPUs; `latency` for tasks that should go first",
    ),
    _habit(
        r"slow\b",
        "there is no property `slow`",
        "write `cpus slow` for slow CPUs; `idle` for tasks that should run when nobody else wants "
        "to",
    ),
    _habit(rf"(?:{_FAST})\b", "there is no property `{0}`", "write `cpus fast`"),
    _habit(rf"(?:{_SLOW})\b", "there is no property `{0}`", "write `cpus slow`"),
    _habit(
        r"smt\s*[:=]?\s*(?P<here>\"?(?:on|true|yes|1|allow(?:ed)?|any|use)\b\"?)",
        "`smt` is followed by `avoid`, or left out",
        "leave it out: without `smt avoid` a task may start on any idle CPU",
    ),
    _habit(
        r"smt\s*[:=]?\s*(?P<here>\"?(?:off|false|no|never|0|disabled?|avoided|forbid\w*)\b\"?)",
        "`smt` is followed by `avoid`",
        "write `smt avoid`: a whole idle core goes before the sibling of a busy CPU",
    ),
    _habit(
        r"(?:(?:no|not|avoid|without|disable|skip)[-_ ]*(?:smt|ht|hyper[-_ ]?thread\w*|siblings?)"
        r"|ht|hyper[-_ ]?thread\w*|siblings?|core[-_ ]?sched\w*|core[-_ ]?cookie"
        r"|(?:prefer[-_ ]?|whole[-_ ]?|full[-_ ]?)?idle[-_ ]?(?:smt|cores?)|whole[-_ ]?cores?)\b",
        "there is no property `{0}`",
        "write `smt avoid`: a whole idle core goes before the sibling of a busy CPU",
    ),
    _habit(
        r"(?:pin(?:ned)?|affinity|bind|core|cores|cpu|on|only|isolate|restrict|exclusive|smp_affinity)"
        r"\b(?:\s+(?:to|on|cpus?|cores?))*\s*[:=]?\s*[\[\"(]?(?P<cpus>[\d,.: \t-]*)",
        "there is no property `{0}`",
        _cpus,
    ),
    _habit(
        r"(?:CPUSchedulingPolicy|SchedulingPolicy|policy|sched_policy|scheduler|sched|class|chrt)"
        r"\s*[:= ]\s*\"?(?:SCHED_)?(?P<class>[A-Za-z]+)\"?(?!.*[{])",
        "a policy does not change the scheduling policy of a task",
        _policy_word,
    ),
    _habit(
        r"(?:SCHED_|sched_)(?P<class>[A-Za-z]+)\b",
        "a policy does not change the scheduling policy of a task",
        _policy_word,
    ),
    _habit(
        r"(?P<class>batch)\b(?!\w)",
        "there is no property `{0}`",
        _policy_word,
    ),
    _habit(
        r"(?:re|set_)?nice(?:ness)?\s*[:=]?\s*(?:-n\s*)?\+?(?P<number>-?\d+)\s*(?=[;}\n]|$)",
        "a policy does not set nice",
        _weight_of_nice,
    ),
    _habit(
        rf"(?P<field>{_FACT})\s*(?P<here>(?P<number>-?\s*\d+(?:\.\d+)?[A-Za-z%]*))(?=\s*\{{)",
        "`{field}` is compared with nothing",
        "write a comparison: {field} = {number}, or: {field} > {number}",
        typed=True,
    ),
    _habit(
        r"(?:Nice)\s*=?\s*(?P<number>-?\d+)",
        "`{0}` is a setting of systemd",
        _weight_of_nice,
    ),
    _habit(
        r"(?:IOWeight|IOSchedulingClass|io\.weight|ionice|io_weight)\b",
        "`{0}` is about disks, and this is about CPUs",
        "write `weight 300` for CPU time",
    ),
    _habit(
        r"(?:memory\.\w+|cpuset\.mems|MemoryMax|MemoryHigh|memory|mem)\b",
        "`{0}` is about memory, and this is about CPUs",
        "leave it out; cgroups limit memory",
    ),
    # who goes first
    _habit(
        r"(?:deadline|runtime|period|dl_\w+|edf)\b",
        "there are no deadlines here",
        "write `latency; preempt` for tasks that should go first, and `slice 1ms` for short turns",
    ),
    _habit(
        r"(?:priority|prio|rtprio|static_prio|rt_priority|CPUSchedulingPriority|oom_score_adj|urgency"
        r"|importance|level|rank)\b",
        "there are no priorities here; there are tiers and weights",
        _LATENCY,
    ),
    _habit(
        r"(?:rt|realtime|real_time|real-time|high|highest|urgent|critical|interactive|foreground"
        r"|low[-_]?latency|fast|first|boost|important|important|latency[-_]nice|LatencyNice"
        r"|latency[-_]sensitive|latency[-_]critical|responsive)\b",
        "there is no property `{0}`",
        "write `latency` for tasks that should go first; `latency; preempt` also interrupts others",
    ),
    _habit(
        r"(?:low|lowest|background|best[-_]?effort|last|deprioriti[sz]e|bulk|slow|be)\b",
        "there is no property `{0}`",
        "write `idle` for tasks that should run when nobody else wants to",
    ),
    _habit(
        r"tier\s*[:=]?\s*\"?(?P<here>(?!(?:latency|normal|idle)\b)\w+)\"?",
        "'{here}' is not a tier",
        "write `latency`, `tier normal` or `idle`",
        typed=True,
    ),
    _habit(
        r"(?:no[-_ ]?|not\s+|!\s*)(?P<name>preempt|sticky|local|llc|latency|idle)\w*",
        "`{name}` is said or left out",
        "leave it out",
    ),
    _habit(
        r"(?P<name>latency|idle|preempt|sticky|local|llc)\s*[:=]?\s*"
        r"(?P<here>\"?(?P<value>true|yes|on|false|no|off|1|0|always|never)\b\"?)",
        "`{name}` takes no value",
        _switched,
    ),
    _habit(
        r"(?P<name>latency|idle)\s*[:=<]*\s*(?P<here>-?\d[\w.%]*)",
        "`{name}` takes no value",
        "write `{name}` alone: it is a tier, and all in it go before or after others",
    ),
    _habit(
        r"preempt(?:ion|ive|ible|s)\b|interrupt\b|kick\b",
        "there is no property `{0}`",
        "write `preempt`, with `latency` before it",
    ),
    # amounts
    _habit(
        r"slice\s*(?P<here>[=~]+)\s*\"(?P<text>[^\"]*)\"",
        "`slice` is the length of a turn here, not a part of systemd",
        'write `cgroup ~ "/{text}/*"`',
    ),
    _habit(
        r"(?P<name>slice|order|tier|cpus|llc|local)\s*(?P<here>:=|:|=|~|[<>]=?)\s*\"?(?P<value>[^;{}\n\"]*)",
        "a property is written without `{here}`",
        _property_value,
    ),
    _habit(
        r"(?:quantum|time[-_]?slice|granularity|min_granularity\w*|sched_slice|slice_(?P<unit>ns|us|ms)"
        r"|base_slice\w*|rr_interval|RRTimeslice)\s*[:=]?\s*(?P<number>[0-9.]+)?(?P<own>[a-z]*)",
        "there is no property `{0}`",
        lambda found: (
            f"write `slice {found['number']}{found['unit'] or found['own'] or 'ms'}`"
            if found["number"]
            else "write for example: slice 3ms"
        ),
    ),
    _habit(
        r"(?:limit|cap|quota|throttle|bandwidth|max|maximum|at\s+most|max_share|cpu_limit|cpulimit)"
        r"\s*(?:[:=]|<=)?\s*(?P<number>\d+)?\s*%?",
        "there is no property `{0}`",
        lambda found: f"write `share <= {found['number'] or 20}%`: so much of the machine at most",
    ),
    _habit(
        r"(?:reserve|guarantee|min|minimum|at\s+least|min_share|reservation|floor|entitle\w*)"
        r"\s*(?:[:=]|>=)?\s*(?P<number>\d+)?\s*%?",
        "there is no property `{0}`",
        lambda found: f"write `share >= {found['number'] or 50}%`: so much of the machine at least",
    ),
    _habit(
        r"(?P<name>share)\s*(?P<here>[:=<>]|==|<\s|of\s)?\s*(?P<value>\d+\s*%?)",
        "`share` needs `<=` or `>=`",
        lambda found: (
            f"write `share <= {found['value'].rstrip('%').rstrip()}%` or "
            f"`share >= {found['value'].rstrip('%').rstrip()}%`"
        ),
    ),
    _habit(
        r"weight\s*[:=]?\s*(?P<here>(?:x\s*(?P<a>\d+)|(?P<b>\d+)\s*x))\b",
        "`{here}` is not a weight",
        lambda found: (
            f"write `weight {int(found['a'] or found['b']) * 100}`: 100 is what others have"
        ),
        typed=True,
    ),
    _habit(
        r"(?:weights?|weigh|tickets|share_weight)\s*[:=]?\s*(?P<number>\d+)(?=\s*(?:[;}\n#]|$))",
        "a weight is written without a sign",
        "write `weight {number}`",
    ),
    _habit(
        r"weight\s*[:=]?\s*(?P<here>[-+A-Za-z\"][\w\"]*)",
        "`{here}` is not a weight",
        "write a whole number from 1 to 10000, as in `weight 300`; 100 is usual",
    ),
    # orders
    _habit(
        r"(?P<here>vtime|vruntime|eevdf|cfs|fair)\b(?=\s*(?:[;}\n]|$))",
        "there is no property `{here}`",
        "write `order vtime`",
    ),
    _habit(
        r"(?P<here>rr|fcfs|round_robin)\b(?=\s*(?:[;}\n]|$))",
        "there is no property `{here}`",
        "write `order fifo`",
    ),
    _habit(
        r"order\s+by\s+[\[(]?\s*(?P<fact>\w+)(?:\s+(?:asc|desc))?\s*(?P<here>,|then\b)",
        "an order has one value",
        "write one formula, such as: order by if(nice < 0, 0s, wait)",
    ),
    _habit(
        r"(?P<name>slice|order\s+by)\s+\(?(?P<condition>[^?;{}\n]+?)\)?\s*(?P<here>\?)\s*"
        r"(?P<first>[^:;{}\n]+?)\s*:\s*(?P<second>[^;{}\n]+)",
        "there is no operator `?`",
        "write `{name} if({condition}, {first}, {second})`",
    ),
    _habit(
        r"(?P<name>slice|order\s+by)\s+(?P<here>if)\s+(?P<condition>[^;{}\n]+?)\s+then\s+"
        r"(?P<first>[^;{}\n]+?)\s+else\s+(?P<second>[^;{}\n]+?)(?:\s+end)?(?=\s*(?:[;}\n]|$))",
        "`if` is a function here",
        "write `{name} if({condition}, {first}, {second})`",
    ),
    _habit(
        r"(?P<name>slice|order\s+by)\s+(?P<here>if)\s*\((?P<condition>[^,;{}\n]+)\)\s*"
        r"(?P<first>[^;{}\n]+?)\s+else\s+(?P<second>[^;{}\n]+?)(?=\s*(?:[;}\n]|$))",
        "`if` is a function here",
        "write `{name} if({condition}, {first}, {second})`",
    ),
    _habit(
        r"order\s*[:=]?\s*(?:by\s+)?(?P<here>\"?(?:vruntime|eevdf|cfs|fair|bvt|wfq|lottery|stride)\"?)\b",
        "there is no order `{here}`",
        "write `order vtime`: the task with the least CPU time for its weight goes first",
    ),
    _habit(
        r"order\s*[:=]?\s*(?:by\s+)?(?P<here>\"?(?:fcfs|rr|round[-_ ]?robin|arrival|queue)\"?)\b",
        "there is no order `{here}`",
        "write `order fifo`: first come, first served",
    ),
    _habit(
        r"order\s*[:=]?\s*(?:by\s+)?(?P<here>\"?(?:sjf|srtf|srpt|shortest\w*|spt|ljf|lpt|longest\w*)\"?)\b",
        "there is no order `{here}`",
        "write `order by expected_runtime` for the shortest job first, with `desc` for the longest",
    ),
    _habit(
        r"order\s*[:=]?\s*(?:by\s+)?(?P<here>\"?(?:edf|deadline|priority|prio)\"?)\b",
        "there is no order `{here}`",
        "write `order by` and a fact, as in `order by avg_run`; tiers say who goes first",
    ),
    _habit(
        r"order\s+(?P<here>(?P<way>asc|desc))\w*\s+by\s+(?P<fact>[^;{}\n]*)",
        "the direction of an order comes last",
        "write `order by {fact} {way}`",
    ),
    _habit(
        rf"order\s*[:=]?\s*(?P<here>(?:asc|desc|ascending|descending)?\s*"
        rf"\b(?P<fact>(?:{_FIELD})\b))",
        "an order by a fact has `by`",
        "write `order by {fact}`",
    ),
    _habit(
        r"order\s+by\s+(?P<fact>.+?)\s+(?P<here>(?P<down>descending|decreasing|reversed?|DESC"
        r"|down|high\w*|largest\w*)|ascending|increasing|ASC|up|low\w*|smallest\w*)\b",
        "`{here}` is not a direction",
        lambda found: (
            f"write `order by {found['fact']} {'desc' if found['down'] else 'asc'}`; `asc` is "
            "smallest first, `desc` largest first"
        ),
    ),
    _habit(
        r"(?:sort|prioriti[sz]e|order_by|orderby|order-by|schedule)\b\s*(?:by\b)?\s*(?P<fact>\w*)",
        "there is no property `{0}`",
        lambda found: f"write `order by {found['fact'] if found['fact'] in WORDS else 'avg_run'}`",
    ),
    # sets
    _habit(
        r"cpus?\s*[:=]?\s*(?P<here>\"?0x(?P<mask>[0-9a-fA-F]+)\"?)",
        "CPUs are written as numbers and ranges",
        _mask,
    ),
    _habit(
        r"cpus?\s*(?P<here>[:=]?\s*[\[{(\"']?\s*(?P<cpus>\d[\d,.: \t-]*))",
        "CPUs are written as numbers and ranges",
        _cpus,
    ),
    _habit(
        r"cpus?\s*[:=]?\s*(?P<here>all|any|every|!\S+|-\S*)",
        "'{here}' is not a set of CPUs",
        "write the intended CPUs, as in: cpus 0-3,6; without `cpus` all are used",
    ),
    # other words for an item
    _habit(
        r"(?:run|use|execute|only)\s+(?:only\s+)?(?:on\s+|cpus?\s+|cores?\s+)+"
        r"(?P<cpus>\d[\d,.: \t-]*)",
        "there is no property `{0}`",
        _cpus,
    ),
    _habit(
        r"(?P<here>\"?(?P<text>[\w./*?@-]+)\"?)(?=\s*(?:\{|:\s|(?:slice|latency|idle|weight|cpus)\b))",
        "a selector is a comparison",
        _selected_by_name,
        typed=True,
    ),
    _habit(
        r"(?P<here>(?:task|p|args|ctx|process|proc|curr|next|prev|self|this)(?:\.|->|_)|[$@%])(?P<field>[a-z_]+)",
        "facts and fields stand alone",
        lambda found: f"write {found['field']}" if found["field"] in WORDS else "",
    ),
    _habit(
        r"(?:set|let|return|var|apply|give|make|const|assign|assign)\s+(?P<rest>[^;{}\n]*)",
        "there is no property `{0}`",
        "a property stands alone: {rest}",
    ),
    _habit(
        r"(?P<name>order|tier|weight|share|cpus)\s*(?P<here>\"(?P<value>[^\"\n]*)\")",
        "only texts to compare with are in quotes",
        "write it without: {name} {value}",
    ),
    _habit(
        r"use\s+(?P<name>[A-Za-z][\w-]*)[^,;{}\n]*(?P<here>,)",
        "settings are separated by blanks",
        "write for example: use {name} performance=true slice_us=3000",
    ),
    _habit(
        r"(?P<here>(?:use|load|run|start)\s+\"?(?P<name>[A-Za-z][\w-]*)\"?\s+(?P<dash>--?)"
        r"(?P<option>[a-z][\w-]*)[ =]?(?P<value>[^\s;{}]*))",
        "options are written without dashes",
        lambda found: (
            f"write `use {found['name']} "
            f"{found['option'].replace('-', '_')}={found['value'] or 'true'}`"
        ),
    ),
    _habit(
        r"(?:use|load|run|start|scheduler|import|include|exec)\b\s*[:=]?\s*\"(?P<name>[A-Za-z][\w-]*)\"",
        "the name of a scheduler is written without quotes",
        "write `use {name}`",
    ),
    _habit(
        r"(?:load|run|start|import|include|exec)\s+(?P<name>[A-Za-z][\w-]*)",
        "there is no property `{0}`",
        "write `use {name}`",
    ),
    _habit(
        r"(?:if|when|unless|while)\s*\((?P<selector>[^{},\n]*)\)\s*(?=\{|then\b)",
        "a rule begins with its selector, and the first that matches wins",
        "write {selector} {{ … }}",
        typed=True,
    ),
    _habit(
        r"(?P<here>NOT|Not)\b",
        "there is no operator `{here}`",
        _lower,
    ),
    _habit(
        r"(?:else\s*if|elif|elsif|elseif|unless|when|where|if|match|for|case|rule|select|from)\b"
        r"\s*[(]?\s*(?P<selector>[^{};\n]*?)[)]?\s*(?=[{:;\n}]|then\b|$)",
        "a rule begins with its selector, and the first that matches wins",
        "a rule begins with its selector: nice > 5 {{ idle }}; then the next rule",
    ),
    _habit(
        r"(?:else|default|otherwise|all|any|rest|others?|everything|everyone|everybody|_)\b"
        r"\s*(?::|=>|->|\{)?",
        "the rest is `*`",
        "`*` matches everybody else: * {{ slice 3ms }}",
    ),
)

# ------------------------------------------------------------ what stands anywhere in an item

_ANYWHERE = (
    _habit(
        r"\bkthread\s*(?P<here>(?P<sign>=|==|!=|<>|is\s+not|is|~|)\s*\"?"
        r"(?P<value>true|false|yes|no|on|off|[01yn])\b\"?)",
        "`kthread` is not compared with anything",
        _kthread,
        typed=True,
    ),
    _habit(
        r"(?P<here>//(?P<text>[^\n]*))",
        "comments do not begin with `//`",
        "a comment begins with `#`: #{text}",
    ),
    _habit(
        r"(?P<here>/\*(?P<text>.*?)(?:\*/|$))",
        "comments are not within `/* */`",
        "a comment begins with `#` and ends with the line: #{text}",
    ),
    _habit(
        r"(?<=\s)(?P<here>--\s(?P<text>[^\n]*))",
        "comments do not begin with `--`",
        "a comment begins with `#`: # {text}",
        typed=True,
    ),
    _habit(
        rf"\b(?P<field>\w+)\s+(?:(?:not\s+)?(?:in|between|from)\s+|[=~]=?\s*)?[\[(]?\s*"
        rf"(?P<here>(?P<low>{_NUMBER})\s*\.\.+[=<]?\s*(?P<high>{_NUMBER}))",
        "a range is written as two comparisons",
        _range,
    ),
    _habit(
        rf"\b(?P<field>\w+)\s+(?P<here>(?:between|from|in)\s+[\[(]?\s*(?P<low>{_NUMBER})\s*"
        rf"(?:\.\.+=?|-|and|to|,)\s*(?P<high>{_NUMBER})\s*[\])]?)(?=\s*(?:[{{;\n]|and\b|or\b|$))",
        "a range or a choice is written as two comparisons",
        _range_or_list,
    ),
    _habit(
        rf"\b(?P<low>{_NUMBER})\s*<=?\s*(?P<field>\w+)\s*(?P<here><=?)\s*(?P<high>{_NUMBER})",
        "comparisons are not chained",
        _range,
    ),
    _habit(
        r"\b(?P<field>\w+)\s*(?P<here>(?:not\s+)?\b(?:in|any|one\s+of|among)\b\s*"
        r"(?P<values>[\[({]?[^{};\n]*[\])}]?))",
        "alternatives are not written as a list",
        _listed,
    ),
    _habit(
        r"\b(?P<field>\w+)\s*[~=]=?\s*(?P<here>[\[(](?P<values>[^{};\n]*))",
        "alternatives are not written as a list",
        _listed,
    ),
    _habit(
        rf"\b(?P<field>\w+)\s*[~=]=?\s*(?P<values>{_QUOTED}\s*(?P<here>,|\|(?!\|))[^{{}};\n]*)",
        "alternatives are not written as a list",
        _listed,
    ),
    _habit(
        rf"\b(?P<field>{_TEXT})\s*(?P<here>(?:~|=|!=)\s*(?:not\b|!)|(?:not\b|!)\s*(?:~|=(?!=)))\s*"
        rf"\"(?P<text>(?:[^\"\\\n]|\\.)*)\"",
        "`not` stands before a comparison",
        'write not {field} ~ "{text}"',
    ),
    _habit(
        rf"\b(?P<field>{_TEXT})\s*(?:~|=)\s*\"(?P<one>[^\"\n]*)\"\s+or\s+(?:~|=)?\s*"
        rf"(?P<here>\"(?P<two>[^\"\n]*)\")",
        "this is a text",
        'alternatives are in one text: {field} ~ "{one}|{two}"',
        typed=True,
    ),
    _habit(
        rf"\b(?P<field>{_TEXT})\s*(?:~|=)\s*\"(?P<one>[^\"\n]*)\"\s+or\s+(?P<here>[~=]\s*"
        rf"\"(?P<two>[^\"\n]*)\")",
        "each comparison has two sides",
        'alternatives are in one text: {field} ~ "{one}|{two}"',
    ),
    _habit(
        rf"(?P<field>\b(?:{_FIELD}))(?P<here>\(\s*\))",
        "facts and fields are not functions",
        "they are written without parentheses: {field}",
    ),
    _habit(
        rf"\b(?P<field>{_TEXT})\s+(?P<here>\"?(?!(?:in|is|not|like|and|or|matches|contains)\b)"
        rf"(?P<text>[\w.*/@-]+)\"?)(?=\s*(?:\{{|and\b|or\b|$))",
        "'{field}' is compared with nothing",
        _compared_how,
    ),
    _habit(
        r"\b(?P<field>\w+)(?:\s*|\.)(?P<here>=~|!~|~~|~\*|=\*|~=|(?:(?:does\s+)?not\s+|is\s+)?"
        r"\b(?:matches|match|like|ilike|contains?|includes|has|starts?_?[wW]ith|begins_?[wW]ith"
        r"|ends?_?[wW]ith|glob|regexp?|rlike)\b)\s*\(?\s*(?:\"(?P<text>(?:[^\"\\\n]|\\.)*)\"|/(?P<re>[^/\n]*)/)?",
        "texts are compared with `~`, `=` or `!=`",
        _text_operator,
    ),
    _habit(
        rf"\b(?P<field>\w+)\s*(?P<here>===?|!==|<>|=<|=!|=>(?=\s*-?\d)|\b(?:is\s+not|is|isnt|equals?|eq|"
        rf"neq?|lte?|gte?|le|ge|above|below|under|over)\b)\s*(?P<right>{_QUOTED}|[\w.%-]+)?",
        "there is no operator `{here}`",
        _equality,
    ),
    _habit(
        r"\b(?P<field>comm|thread_name|cmd|cgroup|unit|user)\s*(?P<sign>~|!?=)\s*"
        r"(?P<here>(?P<text>[^\s\"'`{};]+))\s*",
        "'{field}' is compared with a text",
        _quoted_text,
        typed=True,
    ),
    _habit(r"(?P<here>&&?)", "there is no operator `{here}`", "write `and`"),
    _habit(
        r"(?P<here>\|\|?)",
        "there is no operator `{here}`",
        'write `or`; or within the quotes of one text: "a|b"',
    ),
    _habit(
        r"(?P<here>!(?!=))",
        "there is no operator `!`",
        "write `not`, or `!=` for unequal",
    ),
    _habit(
        r"(?P<here>\b(?:AND|OR|NOT|And|Or|Not)\b)",
        "there is no operator `{here}`",
        _lower,
    ),
    _habit(
        r"(?P<here>(?P<digits>\d+(?:\.\d+)?)[eE]\+?(?P<exponent>\d+)(?P<unit>[a-z]*))\b",
        "numbers have no exponent",
        _exponent,
    ),
    _habit(
        r"(?P<here>(?:[0-9.]+[A-Za-z]+[ \t]*){2,})",
        "a time is one number with one unit",
        _time,
    ),
    _habit(
        r"(?P<here>(?P<a>\d+)[,_'](?P<b>\d[\d_,']*)(?P<unit>[a-z%]*))\b",
        "digits are not separated",
        _separated,
    ),
    _habit(
        r"(?P<here>0x[0-9A-Fa-f]+)",
        "numbers are decimal",
        lambda found: f"write {int(found['here'], 16)}",
    ),
    _habit(
        r"(?P<here>(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>(?!(?:ns|us|ms|s)\b)[A-Za-z]+))\b",
        "`{here}` has an unknown unit",
        lambda found: units.instead(found["number"], found["unit"]),
    ),
    _habit(
        r"(?<![\d)\w])(?P<here>\+\s*(?P<number>\d[\w.%]*))",
        "a number has no plus sign",
        "write {number}",
    ),
    _habit(
        r"(?<![\d)\w])(?P<here>\.(?P<number>\d[\w.%]*))",
        "a number begins with a digit",
        "write 0.{number}",
    ),
    _habit(
        r"(?P<here>'(?P<text>[^'\n]*)'?|`(?P<other>[^`\n]*)`?)",
        "these are not the quotes of texts",
        lambda found: f'texts are in double quotes: "{found["text"] or found["other"] or "name*"}"',
    ),
    _habit(
        rf"\b(?P<field>uid)\s*(?P<sign>!?=)\s*(?P<here>(?!(?:{_FIELD}|min|max|clamp|if)\b)(?P<text>[a-z_][\w-]*))",
        "'uid' is compared with a number",
        'write user {sign} "{text}" for a name',
        typed=True,
    ),
    _habit(
        r"(?P<number>\d+)\s*(?P<here>/\s*s(?:ec\w*)?\b|per\s+s\w*|hz\b|Hz\b)",
        "a frequency is a number",
        "write {number}: wakeups are counted in a second",
        typed=True,
    ),
    _habit(
        r"(?P<percent>\d+\s*%)\s+(?P<here>of)\s+(?P<fact>\w+)",
        "there is no operator `of`",
        "write {percent} * {fact}",
    ),
    _habit(
        r"(?P<here>\*\*|<<|>>|\^|\bdiv\b|\bmod\b|(?<=[\w)]\s)%(?=\s*\w)|\bxor\b)",
        "there is no operator `{here}`",
        "there are `+`, `-`, `*`, `/`, comparisons, `and`, `or`, `not`, min, max, clamp and if",
    ),
    _habit(
        r"(?P<here>\b(?P<word>[a-z_]+)\(\s*\))",
        "there is no function '{word}'",
        "there are min, max, clamp and if",
    ),
    _habit(
        r"(?P<here>\$\{?\w+\}?)",
        "there are no variables",
        "write the value itself: uid = 1000",
    ),
    _habit(
        rf"^\s*(?!(?:{_PROPERTY}|c)\b)(?P<selector>.*?(?:[\"*\w)]))\s*(?P<here>::?(?!=)|=>|->|\bthen\b|\bdo\b|\?)\s*(?P<rest>[^\n]*)",
        "a rule's properties are in braces",
        _braces,
    ),
    _habit(
        rf"^(?!(?:{_PROPERTY}|c)\b)(?P<selector>.*?[\"*\w)])\s+(?P<here>(?:[\[(]|begin\b|do\b)?\s*(?P<rest>(?:{_PROPERTY})\b[^{{}}\n]*))",
        "a rule's properties are in braces",
        _braces,
    ),
    _habit(
        rf"^(?!(?:{_PROPERTY}|c)\b)(?P<selector>.*?[\"*\w)])\s*(?P<here>;)\s*(?P<rest>[^\n]*)",
        "a selector stands alone here",
        _braces,
    ),
    _habit(
        r"(?P<here>,)",
        "there is no list of properties or rules here",
        "put `;` or a new line between two properties or rules",
    ),
)

# ------------------------------------------------------------ looking

_PART = re.compile(
    r"""(?P<quoted>"(?:[^"\\\n]|\\.)*"?)|(?P<comment>#[^\n]*)|(?P<between>[;\n{}])|.""", re.DOTALL
)


def better(text: str, at: int, *, typed: bool) -> Better | None:
    """The words to use instead of a refusal at the offset `at`, if a habit explains it.

    `text` is the policy with its C bodies hidden. `typed`: it parsed, but its parts do not fit
    together; few habits can be distinguished from a typing error then.
    """
    start, end, quoted = _item(text, at)
    if at - start > LONGEST:
        return None
    item, place = text[start:end], at - start
    for each in _ITEMS:
        if typed and not each.typed:
            continue
        found = each.pattern.match(item)
        if found and _reaches(item, found.end(), place) and each.hint(found):
            return _said(each, found, start)
    for each in _ANYWHERE:
        if typed and not each.typed:
            continue
        for found in each.pattern.finditer(item):
            first = _place(found)
            inside = any(begin < start + first < last for begin, last in quoted)
            begun = found.start() if typed else first
            if not inside and begun <= place <= found.end() and each.hint(found):
                return _said(each, found, start)
    return None


def _item(text: str, at: int) -> tuple[int, int, list[tuple[int, int]]]:
    """The property, or the rule up to its brace, that contains `at`; and the quoted parts in it.

    It ends with the line, so that the text after a selector is included.
    """
    start = 0
    quoted: list[tuple[int, int]] = []
    for part in _PART.finditer(text, 0, at + 1):
        if part["between"] and part.end() <= at:
            start, quoted = part.end(), []
        elif part["quoted"]:
            quoted.append(part.span())
    while start < at and text[start] in " \t\r":
        start += 1
    end = text.find("\n", max(start, at))
    return start, min(end if end >= 0 else len(text), at + LONGEST), quoted


def _reaches(item: str, end: int, at: int) -> bool:
    """Whether only blanks are between the end of the match and the place of the refusal."""
    return at <= end or not item[end:at].strip()


def _place(found: re.Match[str]) -> int:
    return found.start("here") if found.groupdict().get("here") is not None else found.start()


def _said(habit: Habit, found: re.Match[str], start: int) -> Better:
    here = found[0][_place(found) - found.start() :]
    groups = {name: each or "" for name, each in found.groupdict().items()}
    words = re.split(r"[\s:=]", here, maxsplit=1)[0][:40]
    return Better(start + _place(found), habit.what.format(words, **groups), habit.hint(found))
