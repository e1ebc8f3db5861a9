# SPDX-License-Identifier: GPL-2.0-or-later
"""The proposed lines are legal and canonical, and name only the workload."""

import pytest

from scheduler_library.learning.templates import (
    all_lines,
    bad_for,
    name_of,
    quoted,
    selector,
    shape,
    templates,
)
from scheduler_library.policy.compiler import CompiledPolicy, TargetMachine, compile_policy

MACHINE = TargetMachine(nr_cpus=4, users=lambda name: None)
TAGS = [
    ["throughput", "contended"],
    ["latency-sensitive", "short-bursts"],
    ["interactive"],
    ["uneven-jobs", "batch"],
    ["batch", "cpu-bound"],
    [],
]
NAMES = [
    "comm:web",
    "cgroup:/system.slice/redis.service",
    'cgroup:/a "b" { idle } ; * { idle } # c',
    "cgroup:/x; use fifo",
    'comm:"} * {"',
]


@pytest.mark.parametrize("tags", TAGS)
@pytest.mark.parametrize("workload", NAMES)
def test_a_line_compiles_as_it_is_written(tags: list[str], workload: str) -> None:
    """Each line is in its canonical form, so its name as a scheduler is known without a compiler; a
    hostile name stays a string in it, whatever it contains."""
    for each in templates(tags, workload):
        compiled = compile_policy(each.policy, machine=MACHINE)
        assert isinstance(compiled, CompiledPolicy)
        assert compiled.text == each.policy
        assert compiled.name == name_of(each.policy)


def test_a_hostile_name_selects_itself_and_says_nothing_else() -> None:
    """The rules are the same, whatever the name of the workload is."""
    shapes = {
        shape(each.policy)
        for workload in NAMES
        for each in templates(["latency-sensitive"], workload)
    }
    assert {each.removeprefix("comm ").removeprefix("cgroup ") for each in shapes} == {
        '= "…" { latency; preempt; slice 500us }; * { slice 3ms }'
    }


@pytest.mark.parametrize(
    "workload",
    [
        "comm:ünïcode",
        "comm:new\nline",
        "comm:esc\\x1b",
        "comm:",
        "cgroup:/",
        "comm:longer-than-a-name",
        "cgroup:/" + "a" * 300,
        "kthread:kworker",
        "other",
    ],
)
def test_what_the_language_cannot_hold_gets_no_line(workload: str) -> None:
    """If a name cannot be written, or may not be the whole name, nothing is guessed."""
    assert selector(workload) is None
    assert templates(["latency-sensitive"], workload) == []


def test_quotes_are_escaped() -> None:
    """The one character that could end a string is escaped."""
    assert quoted('a"b') == '"a\\"b"'


def test_uneven_jobs_get_the_longest_first() -> None:
    """The line is the one that a person would write."""
    found = [each.policy for each in templates(["uneven-jobs", "batch"], "comm:make")]
    assert found == ["order by expected_runtime desc", "slice 20ms"]


@pytest.mark.parametrize("tags", TAGS)
@pytest.mark.parametrize("workload", NAMES)
def test_whatever_is_proposed_is_among_all_lines(tags: list[str], workload: str) -> None:
    """Every line that an advisor could propose is in the list, once, so that it can be proven
    ahead."""
    ahead = [each.policy for each in all_lines([workload])]
    assert {each.policy for each in templates(tags, workload)} <= set(ahead)
    assert len(ahead) == len(set(ahead))
    assert {each.policy for each in all_lines()} <= set(ahead)


@pytest.mark.parametrize(
    ("policy", "bad"),
    [
        ("slice 20ms", True),
        ("order by expected_runtime desc", True),
        ('comm = "x" { latency }; * { slice 20ms }', False),
        ('comm = "x" { slice 20ms }; * { slice 3ms }', False),
        ("slice 3ms", False),
        ('comm = "x" { slice 20ms }', False),
        ('comm = "slice 20ms" { idle }', False),
    ],
)
def test_a_policy_says_what_it_is_bad_for(policy: str, bad: bool) -> None:
    """Long slices, or an order of jobs for everybody, are bad for programs that wait for
    answers."""
    assert ("latency-sensitive" in bad_for(policy)) == bad
