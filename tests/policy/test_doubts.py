# SPDX-License-Identifier: GPL-2.0-or-later
"""Parts of a policy without effect are reported with their place; what may be meant is accepted."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab.tree import project_root
from scheduler_library.learning.templates import templates
from scheduler_library.policy.compiler import CompiledPolicy, compile_policy
from scheduler_library.policy.globs import meet, within
from scheduler_library.policy.syntax import Binary, Expression, Name, Text, Type, walk
from scheduler_library.policy.trouble import Doubt
from scheduler_library.policy.typecheck import Types
from scheduler_library.policy.units import LARGEST
from scheduler_library.policy.values import OF_FACTS, Values
from tests.policy_lab import cookbook

from .programs import MACHINE, expressions
from .test_arithmetic import KNOWN, evaluate

ROOT = project_root()
slowly = settings(deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))


def doubts(text: str) -> tuple[Doubt, ...]:
    found = compile_policy(text, machine=MACHINE)
    assert isinstance(found, CompiledPolicy)
    return found.doubts


# A policy, the column, and the message about it.
NEVER: list[tuple[str, int, str]] = [
    ("nice > 50 { idle }", 1, "from -20 to 19"),
    ("nice < -20 { idle }", 1, "from -20 to 19"),
    ("nice >= -20 { idle }", 1, "always true"),
    ("nice + 20 < 0 { idle }", 1, "from 0 to 39"),
    ("cpu_share > 80 { idle }", 1, "cpu_share > 80%"),
    ("cpu_share > 1.5 { idle }", 1, "from 0% to 100%"),
    ("uid = -1 { idle }", 1, "`uid` is from 0"),
    ("kthread and uid < 0 { idle }", 13, "never true"),
    ("pid = 0 { idle }", 1, "`pid` is from 1"),
    ("weight > 20000 { idle }", 1, "from 1 to 10000"),
    ("wakeups < 0 { idle }", 1, "never true"),
    ("wait < 0ms { idle }", 1, "no time is below 0"),
    ("wait >= 0s { idle }", 1, "always true"),
    ("nice > 50% { idle }", 8, "`nice` is a number, and `50%` is a part"),
    ("nice = 0-5 { idle }", 9, "nice >= 0 and nice <= 5"),
    ("nice > 50 or kthread { idle }", 1, "never true"),
    ("not nice > 50 { idle }", 5, "never true"),
    ("order by if(nice > 50, 1s, wait)", 13, "never true"),
    ("slice if(kthread and not kthread, 1ms, 2ms)", 22, "never true where `kthread` is"),
]
CONTRADICTIONS: list[tuple[str, int, str]] = [
    ("nice > 5 and nice < 0 { idle }", 14, "`nice < 0` is never true where `nice > 5` is"),
    ("nice > 5 and nice < 7 and nice != 6 { idle }", 1, "contradict each other"),
    ("nice < 0 and nice + 1 > 5 { idle }", 14, "never true where"),
    ("nice < 0 and (nice > 5 or nice = 3) { idle }", 15, "never true where"),
    ('comm = "a" and comm = "b" { idle }', 16, "never true where"),
    ('comm ~ "a*" and comm ~ "b*" { idle }', 17, "never true where"),
    ('comm ~ "ab*" and not comm ~ "a*" { idle }', 18, "never true where"),
    ('cgroup ~ "/a/*" and cgroup ~ "/b/*" { idle }', 21, "never true where"),
    ("policy = batch and policy = idle { idle }", 20, "never true where"),
    ("kthread and not kthread { idle }", 13, "never true where"),
    ('uid = 0 and user = "batch" { idle }', 13, "never true where"),
    ("nice > 5 or nice <= 5 { idle }", 1, "true of every task"),
]
RULES: list[tuple[str, int, str]] = [
    ('comm ~ "a*" { idle }; comm ~ "ab*" { latency }', 23, "rule 2 is never reached"),
    ("nice > 5 { idle }; nice > 10 { latency }", 20, "rule 2 is never reached"),
    ("nice > 5 { idle }; nice <= 5 { latency }; * { slice 1ms }", 43, "rule 3 is never"),
    ("kthread { idle }; not kthread { latency }; uid = 1 { slice 1ms }", 44, "rule 3 is"),
    ('comm ~ "a" { }', 14, "the braces of rule 1 are empty"),
    ('comm ~ "a" { slice 3ms }', 20, "rule 1 changes nothing"),
    ('slice 5ms; comm ~ "a" { slice 5ms }', 31, "rule 1 changes nothing"),
    ('comm ~ "a" { tier normal; weight 100 }', 19, "rule 1 changes nothing"),
    ("* { }", 1, "says nothing"),
    ("weight 300", 8, "`weight 300` applies to everybody"),
    ("latency", 1, "`latency` applies to everybody"),
    ("* { idle }", 5, "`idle` applies to everybody"),
    ("share <= 20%", 10, "`share <= 20%` applies to everybody"),
]
PATTERNS: list[tuple[str, int, str]] = [
    ('unit = "app-*.service" { latency }', 8, 'unit ~ "app-*.service"'),
    ('comm != "a*" { idle }', 9, 'not comm ~ "a*"'),
    ('comm = "a|b" { idle }', 8, 'comm ~ "a|b"'),
    ('cmd = "redis*" { idle }', 7, 'cmd ~ "redis*"'),
    ('cgroup ~ "user.slice" { latency }', 10, 'cgroup ~ "/user.slice/*"'),
    ('cgroup ~ "system.slice/*" { latency }', 10, 'cgroup ~ "/system.slice/*"'),
    ('cgroup = "a" { latency }', 10, "begins with `/`"),
    ('cgroup ~ "/user.slice/" { latency }', 10, "no path ends with `/`"),
    ('cgroup ~ "/user.slice" { latency }', 10, 'cgroup ~ "/user.slice/*"'),
    ('cgroup ~ "/sys/fs/cgroup/a*" { latency }', 10, 'cgroup ~ "/a*"'),
    ('cgroup ~ "/a//b" { latency }', 10, 'cgroup ~ "/a/b"'),
    ('unit ~ "a/b" { idle }', 8, "has no `/`"),
    ('unit = "x.timer" { idle }', 8, 'unit = "x.service"'),
    ('unit = "user.slice" { idle }', 8, 'cgroup ~ "*/user.slice/*"'),
    ('comm ~ "/usr/bin/redis*" { idle }', 8, 'comm ~ "redis"'),
    ('comm ~ "redis --port*" { idle }', 8, "cmd ~"),
    ('comm ~ "^cc1.*$" { idle }', 8, 'comm ~ "cc1*"'),
    ('comm ~ "(gcc|ld)" { idle }', 8, 'comm ~ "gcc|ld"'),
    ('cmd ~ ".*ffmpeg.*" { idle }', 7, 'cmd ~ "*ffmpeg*"'),
    ('comm ~ "{cc1,ld}*" { idle }', 8, 'comm ~ "cc1*|ld*"'),
    ('comm ~ "a | b" { idle }', 8, 'comm ~ "a|b"'),
    ('comm ~ "cc1,ld" { idle }', 8, 'comm ~ "cc1|ld"'),
    ('comm ~ "!a" { idle }', 8, 'not comm ~ "a"'),
]
FORMULAS: list[tuple[str, int, str]] = [
    ("order by vtime / 0", 18, "a division by zero gives zero"),
    ("order by vtime / (2 - 2)", 19, "a division by zero gives zero"),
    ("order by vtime / nice", 18, "can be 0"),
    ("order by 5", 10, "same place"),
    ("order by wait - wait", 10, "same place"),
    ("order by nice * 0", 10, "same place"),
    ("slice clamp(wait, 8ms, 1ms)", 19, "clamp(wait, 1ms, 8ms)"),
    ("slice clamp(1ms, 2ms, 8ms)", 7, "is always `2ms`"),
    ("slice min(wait, 0ms)", 7, "is always `0s`"),
    ("slice -wait", 7, "always 50us"),
    ("slice 200ms + wait", 7, "always 100ms"),
]


@pytest.mark.parametrize(
    ("text", "column", "words"), [*NEVER, *CONTRADICTIONS, *RULES, *PATTERNS, *FORMULAS]
)
def test_what_has_no_effect_is_told_with_its_place(text: str, column: int, words: str) -> None:
    """A condition, rule, pattern or formula that nobody can mean is compiled and reported."""
    first = doubts(text)[0]
    assert first.column == column, first.report()
    assert words in first.report()
    line, caret = first.shown
    assert text.startswith(line)
    assert caret.index("^") == column - 1


@pytest.mark.parametrize(
    "text",
    [
        "nice >= 19 { idle }",
        "nice > -20 and nice < 19 { idle }",
        'comm ~ "a*" and comm ~ "*b" { idle }',
        'comm ~ "a*" and not comm ~ "ab*" { idle }',
        'comm ~ "a" { }; * { idle }',
        'comm ~ "a" { share <= 20% }; comm ~ "b" { share <= 20% }',
        "nice > 5 { idle }; nice > 0 { slice 5ms }",
        'comm ~ "ab*" { idle }; comm ~ "a*" { latency }',
        'unit = "redis" and unit = "redis.service" { latency }',
        'unit ~ "redis.*" { latency }',
        'cgroup ~ "*user.slice*" { latency }',
        'cgroup ~ "/user.slice/*" { latency }',
        'cmd ~ "*main.*" { idle }',
        'cmd = "sh -c ls *.c | wc" { idle }',
        'comm ~ "Web Content" { latency }',
        'comm ~ "tmux: server" { latency }',
        "order by vtime / max(nice, 1)",
        "order by if(nice != 0, vtime / nice, vtime)",
        "order by avg_run / (avg_run + avg_sleep)",
        "order by wait / wakeups",
        "slice clamp(wait / 4, 0ms, 8ms)",
        "slice max(wait, 1ms)",
        "uid >= 1000 and uid < 2000 { weight 50 }",
        "slice 20 ms; nice > 5 { idle }",
        "latency; nice > 5 { idle }",
    ],
)
def test_what_may_be_meant_is_left_alone(text: str) -> None:
    """A policy that does what it says gets no message."""
    assert [each.report() for each in doubts(text)] == []


def _documented() -> list[str]:
    found = [*cookbook.lines()]
    for page in [ROOT / "docs/policy-language.md", *(ROOT / "mcp_server/guides").glob("policy*")]:
        blocks = re.findall(r"```policy\n(.*?)\n```", page.read_text("utf-8"), re.DOTALL)
        found += [line for block in blocks for line in block.split("\n")]
    for path in Path(ROOT / "scheduler_library/schedulers").glob("*/*.policy"):
        found.append(path.read_text("utf-8"))
    for workload in ("comm:web", "cgroup:/system.slice/redis.service"):
        for tags in (["latency-sensitive"], ["uneven-jobs"], ["batch"]):
            found += [each.policy for each in templates(tags, workload)]
    return found


@pytest.mark.parametrize("text", _documented())
def test_what_we_write_ourselves_gives_no_doubt(text: str) -> None:
    """No line of the guides, of the library or of the advisors gets a warning."""
    found = compile_policy(text, machine=MACHINE)
    assert [each.report() for each in found.doubts] == []


def test_a_doubt_in_a_longer_policy_has_its_line() -> None:
    """In a policy of several lines the warning says which line."""
    (found,) = doubts("slice 1ms\nnice > 50 { idle }\n")
    assert (found.line, found.column, found.where) == (2, 1, "line 2, column 1")


# ---------------------------------------------------------------- never more than is so

_TASKS = st.fixed_dictionaries(
    {
        name: st.integers(bounds.low, min(bounds.high, LARGEST))
        | st.sampled_from(
            [n for n in (bounds.low, 0, 1, 19, 100, 1000, bounds.high) if n in bounds]
        )
        for name, bounds in OF_FACTS.items()
        if name in KNOWN
    }
    | {"kthread": st.integers(0, 1)}
)


def _numeric(expression: Expression) -> bool:
    return not any(isinstance(each, Text) for each in walk(expression)) and all(
        each.name in KNOWN for each in walk(expression) if isinstance(each, Name)
    )


@slowly
@given(
    st.sampled_from((Type.TIME, Type.COUNT, Type.RATIO)).flatmap(expressions).filter(_numeric),
    _TASKS,
)
def test_a_formula_is_within_its_bounds(formula: Expression, task: dict[str, int]) -> None:
    """No task has a value of the formula outside of the bounds that we state for it."""
    found = Values(Types(""), MACHINE.users).bounds(formula)
    assert evaluate(formula, task).number in found


@slowly
@given(expressions(Type.TRUTH).filter(_numeric), _TASKS)
def test_what_is_true_of_a_task_is_never_called_impossible(
    condition: Expression, task: dict[str, int]
) -> None:
    """A condition that holds for some task is possible; one that fails for some task is not always
    true."""
    values = Values(Types(""), MACHINE.users)
    if evaluate(condition, task).number:
        assert values.possible(condition)
    else:
        assert values.possible(unless=(condition,))


_PIECES = st.text("ab*?", max_size=5)


@slowly
@given(_PIECES, _PIECES, st.text("abc", max_size=5))
def test_globs_meet_wherever_a_text_matches_both(first: str, second: str, text: str) -> None:
    """If a text matches two globs, they meet; if one glob is within another, its matches match the
    other."""
    from fnmatch import fnmatchcase

    both = fnmatchcase(text, first) and fnmatchcase(text, second)
    assert meet(first, second) or not both
    if within(first, (second,)) and fnmatchcase(text, first):
        assert fnmatchcase(text, second)


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [("ab*", "a*"), ("abc", "a?c"), ("a?*", "a*"), ("*", "**"), ("a*b", "a*"), ("?", "*")],
)
def test_a_narrower_glob_is_within_the_wider(narrow: str, wide: str) -> None:
    """Each of these globs is found to be within the other, and not the other way round."""
    assert within(narrow, (wide,))
    assert within(wide, (narrow,)) is (wide == "**")


def test_two_texts_are_compared_only_with_their_own_field() -> None:
    """Texts of two different fields do not contradict each other."""
    both = Binary(
        "and",
        Binary("=", Name("comm"), Text("a")),
        Binary("=", Name("thread_name"), Text("b")),
    )
    assert Values(Types(""), MACHINE.users).possible(both)
