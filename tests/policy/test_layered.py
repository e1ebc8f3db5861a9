# SPDX-License-Identifier: GPL-2.0-or-later
"""Rules after `use scx_layered` become its layer file; rules that cannot are refused."""

import json
from typing import Any

import pytest

from process import Fault, FaultType
from scheduler_library.layers import check_layers
from scheduler_library.policy.compiler import Use, compile_policy

from .programs import MACHINE

REST = {"name": "rest", "matches": [[]], "kind": {"Open": {"slice_us": 3000}}}


def layers(rules: str) -> list[dict[str, Any]]:
    found = compile_policy(f"use scx_layered; {rules}", machine=MACHINE)
    assert isinstance(found, Use)
    assert found.parameters["layers"] == found.layers == check_layers(found.layers)
    made: list[dict[str, Any]] = json.loads(found.layers)
    return made


def test_a_policy_of_three_rules_is_a_layer_file() -> None:
    """The file has names, alternatives, kinds and settings, as scx_layered reads them."""
    text = (
        'cgroup ~ "/system.slice/redis*" or comm ~ "redis*" { latency; preempt; slice 500us }; '
        "nice > 5 and uid = 1000 { weight 50; share <= 30%; order fifo }; * { slice 5ms }"
    )
    assert layers(text) == [
        {
            "name": "rule 1",
            "comment": 'cgroup ~ "/system.slice/redis*" or comm ~ "redis*" '
            "{ latency; preempt; slice 500us }",
            "matches": [[{"CgroupPrefix": "system.slice/redis"}], [{"PcommPrefix": "redis"}]],
            "kind": {"Open": {"slice_us": 500, "preempt": True}},
        },
        {
            "name": "rule 2",
            "comment": "nice > 5 and uid = 1000 { weight 50; share <= 30%; order fifo }",
            "matches": [[{"NiceAbove": 5}, {"UIDEquals": 1000}]],
            "kind": {
                "Grouped": {
                    "util_range": [0.8, 0.9],
                    "cpus_range_frac": [0.0, 0.3],
                    "slice_us": 3000,
                    "weight": 50,
                    "fifo": True,
                }
            },
        },
        {"name": "rest", "matches": [[]], "kind": {"Open": {"slice_us": 5000}}},
    ]


def test_what_is_said_for_everybody_is_in_each_layer() -> None:
    """Properties outside of rules hold for all layers, and a rule's own property overrides them."""
    first, rest = layers("slice 4ms; order fifo; kthread { slice 1ms }")
    assert first["kind"] == {"Open": {"slice_us": 1000, "fifo": True}}
    assert rest["kind"] == {"Open": {"slice_us": 4000, "fifo": True}}


@pytest.mark.parametrize(
    ("selector", "matches"),
    [
        ('comm ~ "a*|b*"', [[{"PcommPrefix": "a"}], [{"PcommPrefix": "b"}]]),
        ('not comm ~ "a*|b*"', [[{"PcommPrefixExclude": "a"}, {"PcommPrefixExclude": "b"}]]),
        ('thread_name ~ "w*"', [[{"CommPrefix": "w"}]]),
        ('comm = "fifteen-letters"', [[{"PcommPrefix": "fifteen-letters"}]]),
        ('cgroup ~ "/a/*"', [[{"CgroupPrefix": "a/"}]]),
        ('cgroup ~ "*redis*"', [[{"CgroupContains": "redis"}]]),
        ('cgroup ~ "*x.service"', [[{"CgroupSuffix": "x.service/"}]]),
        ('cgroup = "/a.b"', [[{"CgroupRegex": r"^/sys/fs/cgroup/a\.b$"}]]),
        ('cgroup ~ "/a/*/b?"', [[{"CgroupRegex": "^/sys/fs/cgroup/a/.*/b.$"}]]),
        ("nice < 5", [[{"NiceBelow": 5}]]),
        ("nice >= -5", [[{"NiceAbove": -6}]]),
        ("nice <= 5", [[{"NiceBelow": 6}]]),
        ("5 < nice", [[{"NiceAbove": 5}]]),
        ("not nice = 0", [[{"NiceBelow": 0}], [{"NiceAbove": 0}]]),
        ('user = "batch"', [[{"UIDEquals": 1001}]]),
        ("pid = 7 or tgid = 8", [[{"PIDEquals": 7}], [{"TGIDEquals": 8}]]),
        ("kthread", [[{"IsKthread": True}]]),
        ("avg_run < 2ms", [[{"AvgRuntime": [0, 2000]}]]),
        ("avg_run >= 2ms", [[{"AvgRuntime": [2000, 2**64 - 1]}]]),
        (
            "kthread and (nice > 1 or uid = 0)",
            [[{"IsKthread": True}, {"NiceAbove": 1}], [{"IsKthread": True}, {"UIDEquals": 0}]],
        ),
        (
            'not (kthread and nice > 1 or comm ~ "a*") or kthread',
            None,
        ),
    ],
)
def test_selectors_become_alternatives_of_conditions(
    selector: str, matches: list[list[dict[str, Any]]] | None
) -> None:
    """`and`, `or` and `not` are expanded; a condition that cannot be negated is refused."""
    text = f"{selector} {{ weight 50 }}"
    if matches is None:
        with pytest.raises(Fault, match="all but kernel threads"):
            layers(text)
        return
    first, rest = layers(text)
    assert first["matches"] == matches
    assert rest == REST


@pytest.mark.parametrize(
    ("rules", "column", "words"),
    [
        ('comm = "redis" { weight 20 }', 8, 'comm ~ "redis*"'),
        ('comm ~ "*redis" { weight 20 }', 8, "the beginning of a name"),
        ('unit = "redis.service" { weight 20 }', 1, 'cgroup ~ "*/redis.service*"'),
        ('nice > 5 and cmd ~ "*x*" { weight 20 }', 14, "no layer can match"),
        ("not kthread { weight 20 }", 5, "the first rule that matches wins"),
        ("wakeups > 20 { weight 20 }", 1, "no layer can match"),
        ("uid > 20 { weight 20 }", 1, "uid = 1000"),
        ('not cgroup ~ "/a*" { weight 20 }', 5, "before this one"),
        ("policy = batch { weight 20 }", 1, "no layer can match"),
        ("nice > wakeups { weight 20 }", 1, "no layer can match"),
        ("kthread { idle }", 11, "weight 1"),
        ("kthread { latency }", 11, "latency; preempt"),
        ("kthread { cpus 0-3 }", 16, "no layer has `cpus 0-3`"),
        ("slice wait / 4", 7, "one slice length"),
        ("order by wait", 10, "order fifo"),
        ("local", 1, "no layer has `local`"),
        ("kthread { c slice { return 1; } }", 20, "one slice length"),
        (" or ".join(f"pid = {n}" for n in range(1, 40)) + " { weight 20 }", 1, "at most 32"),
        (
            " and ".join(["(nice > 1 or uid = 1)"] * 40) + " { weight 20 }",
            2,
            "too many alternatives",
        ),
        ("; ".join(f"nice = {n} {{ weight 20 }}" for n in range(17)), 366, "at most 16"),
    ],
)
def test_what_no_layer_can_be_is_refused_at_its_column(rules: str, column: int, words: str) -> None:
    """The refusal says what to write instead."""
    before = len("use scx_layered; ")
    with pytest.raises(Fault) as caught:
        layers(rules)
    assert caught.value.type is FaultType.BAD_POLICY
    assert caught.value.where == f"column {before + column}", caught.value.report()
    assert words in caught.value.report()


def test_rules_and_a_layer_file_are_not_given_at_once() -> None:
    """Nobody could know which of the two counts."""
    with pytest.raises(Fault, match="there are rules, and `layers`"):
        compile_policy("use scx_layered layers=/x; kthread { weight 2 }", machine=MACHINE)


def test_only_a_scheduler_with_layers_takes_rules() -> None:
    """Rules after another scheduler's `use` would be lost."""
    with pytest.raises(Fault, match="'kthread' is not expected here") as caught:
        compile_policy("use scx_lavd; kthread { weight 2 }", machine=MACHINE)
    assert caught.value.where == "column 15"
    assert "scx_layered" in caught.value.hint


def test_the_canonical_form_has_the_rules() -> None:
    """A loosely written policy becomes one line with the same layers."""
    loose = "use scx_layered  verbose=true\n\n# why\nkthread {weight 20}\n* { slice 5 ms }\n"
    found = compile_policy(loose, machine=MACHINE)
    assert isinstance(found, Use)
    canonical = "use scx_layered verbose=true; kthread { weight 20 }; * { slice 5ms }"
    assert found.text == canonical
    assert compile_policy(canonical, machine=MACHINE) == found


def test_rules_of_layers_are_doubted_as_others_are() -> None:
    """A rule that can never match is reported here, too."""
    found = compile_policy("use scx_layered; nice > 50 { weight 2 }", machine=MACHINE)
    assert [each.column for each in found.doubts] == [18]
