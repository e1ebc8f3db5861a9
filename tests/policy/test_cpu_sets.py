# SPDX-License-Identifier: GPL-2.0-or-later
"""CPU sets by topology: resolved on the machine that a policy is compiled for."""

import re

import pytest

from process import Fault
from scheduler_library.policy.compiler import CompiledPolicy, TargetMachine, compile_policy
from scheduler_library.topology import Topology

from .programs import MACHINE, TOPOLOGY, USERS

UNIFORM = TargetMachine(8, USERS.get)


def compiled(text: str, machine: TargetMachine = MACHINE) -> CompiledPolicy:
    found = compile_policy(text, machine=machine)
    assert isinstance(found, CompiledPolicy)
    return found


def body(text: str, machine: TargetMachine = MACHINE) -> str:
    """The C without comments and without the policy's name."""
    source = re.sub(r"/\*.*?\*/", " ", compiled(text, machine).source, flags=re.DOTALL)
    return re.sub(r"policy_[0-9a-f]{8}", "policy", source)


# See TOPOLOGY.
SAME = [
    ("cpus fast", "cpus 0-1,4-5"),
    ("cpus slow", "cpus 2-3,6-7"),
    ("cpus node 1", "cpus 4-7"),
    ("cpus llc 2", "cpus 6-7"),
    ("cpus llc 0,2", "cpus 0-3,6-7"),
    ("cpus llc 1-2", "cpus 4-7"),
    ("cpus fast and node 1", "cpus 4-5"),
    ("cpus fast and llc 0 and 1-7", "cpus 1"),
    ("cpus node 0 and 0,4", "cpus 0"),
]


@pytest.mark.parametrize(("by_topology", "by_number"), SAME)
def test_a_set_is_the_numbers_of_its_cpus(by_topology: str, by_number: str) -> None:
    """The C is the one that the numbers give."""
    assert body(by_topology) == body(by_number)
    assert compiled(by_topology).cpus == compiled(by_number).cpus
    rules = 'comm ~ "a" {{ {} }}; nice > 5 {{ {}; idle }}'
    assert body(rules.format(by_topology, by_topology)) == body(rules.format(by_number, by_number))


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("cpus   node\t1 , 0 and  fast", "cpus fast and node 0-1"),
        ("cpus 0-3 and llc 0 and slow", "cpus slow and llc 0 and 0-3"),
        ("cpus llc 2,0,1", "cpus llc 0-2"),
        ("smt  avoid", "smt avoid"),
    ],
)
def test_each_set_has_one_spelling(written: str, canonical: str) -> None:
    """Speed, nodes, caches, numbers: whatever the order was."""
    assert compiled(written).text == canonical


def test_rules_with_the_same_cpus_share_a_queue_however_they_name_them() -> None:
    """What counts is where the tasks may run."""
    source = compiled('comm ~ "a" { cpus node 1 }; comm ~ "b" { cpus 4-7 }').source
    assert "rule 1, rule 2" in source


REFUSED = [
    ("cpus llc 9", 6, "no LLC 9", "llc 0 (CPUs 0-3), llc 1 (CPUs 4-5) or llc 2 (CPUs 6-7)"),
    ("cpus llc 0-9", 6, "no LLC 3", "llc 2 (CPUs 6-7)"),
    ("cpus node 2", 6, "no NUMA node 2", "node 0 (CPUs 0-3) or node 1 (CPUs 4-7)"),
    ("cpus fast and node 7,0", 15, "no NUMA node 7", "node 1 (CPUs 4-7)"),
    ("cpus node 0-999999999", 6, "no NUMA node 2", "node 1"),
    ("cpus fast and llc 2", 6, "has no CPU", "a CPU in common"),
    ("cpus node 0 and 4-7", 6, "has no CPU", "a CPU in common"),
    ("cpus fast and 8", 6, "no CPU 8", "CPUs 0 to 7"),
    ("cpus fast and slow", 15, "both fast and slow", "one of the two"),
    ("cpus node 0 and node 1", 17, "twice", "joined by commas"),
    ("cpus 0 and 1", 12, "twice", "joined by commas"),
    ("cpus node 99999999999999999999", 11, "is not a NUMA node", ""),
    ("cpus llc 2-1", 10, "ends before it begins", ""),
    ("cpus fast; llc", 12, "`cpus fast` cannot be combined with `llc`", "one of the two"),
    ("smt avoid; sticky", 12, "`smt avoid` contradicts `sticky`", "one of the two"),
    ("smt avoid; smt avoid", 16, "given twice", "one SMT"),
    ("use scx_layered; smt avoid", 22, "`smt avoid`", ""),
]


@pytest.mark.parametrize(("text", "column", "what", "expected"), REFUSED)
def test_what_the_machine_lacks_is_refused_with_what_it_has(
    text: str, column: int, what: str, expected: str
) -> None:
    """The refusal has its column, and lists what there is."""
    with pytest.raises(Fault) as caught:
        compile_policy(text, machine=MACHINE)
    fault = caught.value
    assert fault.where == f"column {column}", fault.report()
    assert what in fault.what, fault.report()
    assert expected in fault.why, fault.report()
    assert fault.hint, fault.report()


def test_a_machine_with_many_caches_lists_their_numbers() -> None:
    """A message is no page."""
    llcs = tuple(frozenset((cpu,)) for cpu in range(64))
    big = Topology(frozenset(range(64)), llcs=llcs)
    with pytest.raises(Fault, match="no LLC 64") as caught:
        compiled("cpus llc 64", TargetMachine(64, USERS.get, topology=lambda: big))
    assert "llc 0-63" in caught.value.why


def test_the_simulated_machine_is_named() -> None:
    """Whoever simulates fewer CPUs is not told that their own machine lacks them."""
    small = TargetMachine(4, USERS.get, simulated=True, topology=lambda: TOPOLOGY.below(4))
    with pytest.raises(Fault, match="no NUMA node 1 in the simulated machine") as caught:
        compiled("cpus node 1", small)
    assert "--cpus" in caught.value.hint


@pytest.mark.parametrize("text", ["cpus fast", "cpus slow", "cpus node 0", "cpus llc 0"])
def test_on_a_uniform_machine_a_set_is_everybody_and_says_so(text: str) -> None:
    """A portable policy is taken everywhere; where CPUs are alike, it is as if it said nothing."""
    rule = f'comm ~ "a" {{ {text}; slice 5ms }}'
    assert body(rule, UNIFORM) == body('comm ~ "a" { slice 5ms }', UNIFORM)
    (doubt,) = compiled(rule, UNIFORM).doubts
    assert doubt.severity == "note"
    assert doubt.column == 19
    assert "changes nothing on this machine" in doubt.what
    speed = "equally fast" in doubt.why
    assert speed is text.endswith(("fast", "slow"))


def test_a_set_that_does_not_narrow_another_says_so() -> None:
    """The part that changes nothing is named, and the rest counts."""
    (doubt,) = compiled("cpus fast and 0-3", UNIFORM).doubts
    assert "`fast`" in doubt.what
    assert body("cpus fast and 0-3", UNIFORM) == body("cpus 0-3", UNIFORM)


def test_sets_that_tell_cpus_apart_are_not_doubted() -> None:
    """Here they mean something."""
    assert compiled('comm ~ "a" { cpus fast and llc 0; smt avoid }').doubts == ()


def test_a_policy_that_names_no_set_does_not_ask_for_the_topology() -> None:
    """Reading it takes time on a large machine."""

    def unasked() -> Topology:
        raise AssertionError("nobody needs it")

    machine = TargetMachine(8, USERS.get, topology=unasked)
    assert compiled('comm ~ "a" { cpus 0-3 }; * { llc; slice 3ms }', machine).doubts == ()


# ---------------------------------------------------------------- smt avoid


def test_without_smt_nothing_is_avoided_and_that_is_said() -> None:
    """Where no core has siblings, the C is that without the property."""
    assert body("slice 3ms; smt avoid", UNIFORM) == body("slice 3ms", UNIFORM)
    (doubt,) = compiled("slice 3ms; smt avoid", UNIFORM).doubts
    assert (doubt.severity, doubt.column) == ("note", 16)
    assert "SMT is off or absent" in doubt.why


def test_only_tasks_of_the_rule_avoid_siblings() -> None:
    """Others start as the kernel would have it."""
    source = body('comm ~ "a" { smt avoid }; comm ~ "b" { idle }')
    assert "return t->class == 0;" in source
    assert "if (avoids_smt(t))" in source
    assert "avoids_smt" not in body("smt avoid")


def test_a_set_of_cpus_is_looked_through_for_whole_cores_first() -> None:
    """The rule's own CPUs, whole cores before siblings; others' set is not looked through twice."""
    source = body('comm ~ "a" { cpus fast; smt avoid }; comm ~ "b" { cpus slow }')
    assert "scx_bpf_get_idle_smtmask" in source
    assert "whole_in_0" in source
    assert "whole_in_1" not in source


@pytest.mark.parametrize(
    ("text", "avoiding"),
    [('sticky; comm ~ "a" { smt avoid }', 0), ('smt avoid; comm ~ "a" { sticky }', 1)],
)
def test_a_rule_replaces_what_it_contradicts(text: str, avoiding: int) -> None:
    """`sticky` for everybody and `smt avoid` in a rule are no contradiction, nor the reverse."""
    assert f"return t->class == {avoiding};" in body(text)
