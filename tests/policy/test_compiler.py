# SPDX-License-Identifier: GPL-2.0-or-later
"""The compiler's output for a policy: its C, its parameters, and what userspace has to supply."""

import re

import pytest
from hypothesis import HealthCheck, given, settings

from scheduler_library.manifest import EntryKind, ParameterType, Unit, When
from scheduler_library.policy.compiler import CompiledPolicy, Use, compile_policy
from scheduler_library.policy.facts import PolicyFacts, UserSelector
from scheduler_library.policy.formatter import format_policy
from scheduler_library.policy.syntax import PolicyProgram

from .programs import MACHINE, programs

slowly = settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))


def compiled(text: str) -> CompiledPolicy:
    found = compile_policy(text, machine=MACHINE)
    assert isinstance(found, CompiledPolicy)
    return found


def code(text: str) -> str:
    """The C of a policy without its comments and without the text in its strings."""
    return re.sub(
        r'/\*.*?\*/|"(?:[^"\\\n]|\\.)*"',
        lambda found: '""' if found[0][0] == '"' else " ",
        compiled(text).source,
        flags=re.DOTALL,
    )


def lines_of(text: str) -> list[str]:
    """The lines of the C, with every run of blanks as one."""
    return [" ".join(line.split()) for line in compiled(text).source.splitlines()]


# ---------------------------------------------------------------- the same for the same


@slowly
@given(programs())
def test_the_same_policy_gives_the_same_bytes(program: PolicyProgram) -> None:
    """Compiling twice, or from the canonical form, gives identical bytes."""
    text = format_policy(program)
    assert compile_policy(text, machine=MACHINE) == compile_policy(text, machine=MACHINE)
    assert compiled(compiled(text).text).source == compiled(text).source


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("slice 3ms", "  slice\t3000us ;\n"),
        ("slice 3ms", "slice 0.003s # three"),
        ("cpus 0-2,5", "cpus 5, 2,0-1"),
        ("share <= 20%", "share <= 20.0%"),
        ("order by wait", "order by ((wait)) asc"),
        ("order by wait + 1ms * 2", "order by wait + (1ms * 2)"),
        ('comm ~ "a" { idle }; * { latency }', 'comm ~ "a"{idle}\n\n*{latency;}'),
        ("* { tier latency }", "* { latency }"),
        ("nice > 5 { idle; slice 5ms }", "nice > 5 {\n\tidle\n\tslice 5ms\n}\n"),
    ],
)
def test_equivalent_texts_are_the_same_candidate(text: str, other: str) -> None:
    """White space, redundant parentheses, units and the order of ranges make no difference."""
    assert compiled(other).name == compiled(text).name
    assert compiled(other).text == compiled(text).text


def test_different_policies_have_different_names() -> None:
    """Policies with different meanings are different candidates."""
    texts = ["slice 3ms", "slice 4ms", "* { slice 3ms }", "order fifo", "order by wait desc"]
    assert len({compiled(text).name for text in texts}) == len(texts)


def test_a_name_is_legal_everywhere() -> None:
    """The name is valid for a library entry, and the kernel accepts the scheduler's name."""
    found = compiled("slice 3ms")
    assert re.fullmatch(r"policy-[0-9a-f]{8}", found.name)
    assert found.manifest.name == found.name
    shown = re.search(r'\.name\s*= "([^"]*)"', found.source)
    assert shown is not None
    # bpf_obj_name_cpy() refuses all others.
    assert re.fullmatch(r"[A-Za-z0-9_.]{1,127}", shown[1])


# ---------------------------------------------------------------- parameters


@slowly
@given(programs())
def test_every_parameter_is_a_volatile_global_with_its_default(program: PolicyProgram) -> None:
    """Every parameter in the manifest can be set while the scheduler runs, and starts with its
    default."""
    found = compiled(format_policy(program))
    globals_ = dict(re.findall(r"^volatile u64 ([a-z0-9_]+) = (\d+);$", found.source, re.MULTILINE))
    assert {each.name: str(each.default) for each in found.manifest.params} == globals_
    assert found.manifest.kind is EntryKind.POLICY
    for each in found.manifest.params:
        assert each.type is ParameterType.INT
        assert each.when is When.LIVE
        # It is used, not only declared, and no other name of the same scope hides it.
        assert len(re.findall(rf"\b{each.name}\b", found.source)) > 1
        assert not re.search(
            rf"\b[us](?:64|32) {each.name}\b(?! = \d+;$)", found.source, re.MULTILINE
        )


def test_parameters_say_what_they_are() -> None:
    """Times, shares and weights of rules are parameters with unit, bounds and the rule's number."""
    policy = 'comm ~ "a" { slice 20ms; weight 300 }; nice > 5 { share <= 20% }; * { slice 1ms }'
    found = {each.name: each for each in compiled(policy).manifest.params}
    assert found["rule1_slice_ns"].default == 20_000_000
    assert (found["rule1_slice_ns"].min, found["rule1_slice_ns"].max) == (50_000, 100_000_000)
    assert found["rule1_slice_ns"].unit is Unit.NS
    assert (found["rule1_weight"].default, found["rule1_weight"].max) == (300, 10_000)
    assert found["rule2_share_percent"].unit is Unit.PERCENT
    assert (found["rule2_share_percent"].min, found["rule2_share_percent"].max) == (1, 99)
    assert found["rule3_slice_ns"].default == 1_000_000


def test_a_weight_for_all_is_not_hidden_by_a_local_variable() -> None:
    """`weight 200` multiplies the kernel's weight by the parameter, not by itself."""
    (name,) = (p.name for p in compiled("weight 200").manifest.params if "weight" in p.name)
    assert f"weight = weight * {name} / 100;" in code("weight 200")
    assert name != "weight"


def test_a_share_of_its_own_is_not_divided_among_its_tier() -> None:
    """The share that the tier normal keeps below latency is divided among its queues, 20 % in all;
    a rule that asks for 20 % gets all of it."""
    line = 'comm ~ "a" { latency }; comm ~ "b" { share >= 20% }; comm ~ "c" { order fifo }'
    keeps = {p.name: p.default for p in compiled(line).manifest.params if "keeps" in p.name}
    assert keeps == {"rule2_keeps_percent": 20, "rule3_keeps_percent": 10, "keeps_percent": 10}


# ---------------------------------------------------------------- only what is used

# A word of the C, and a policy that needs it; `slice 3ms` needs none of them.
PARTS = [
    ("OWED_NS", 'comm ~ "a" { latency }'),
    ("owed", 'comm ~ "a" { share >= 20% }'),
    ("left", 'comm ~ "a" { share <= 20% }'),
    ("SCX_KICK_PREEMPT", 'comm ~ "a" { latency; preempt }'),
    ("take_cpu", 'comm ~ "a" { latency; preempt }'),
    ("cpu_ctx", 'comm ~ "a" { latency; preempt }'),
    ("nr_cpus", "local"),
    ("steal_from_cpus", "local"),
    ("in_cpus_0", "cpus 0-3"),
    ("online_0", "cpus 0-3"),
    ("selected", 'cmd ~ "a" { idle }'),
    ("expected_runtime", "order by expected_runtime"),
    ("exit_task", "order by expected_runtime"),
    ("name_is_1", 'comm ~ "a" { idle }'),
    ("group_leader", 'comm ~ "a" { idle }'),
    ("find", 'comm ~ "a*b*c" { idle }'),
    ("bool last", 'comm ~ "*a" { idle }'),
    ("key_0", "order by wait"),
    ("weight_in", "nice > 5 { idle }"),
    ("late_wait_ns", "order fifo"),
    ("t->wait", "order by wait"),
    ("avg_sleep", "order by avg_sleep"),
    ("woke_at", "order by wakeups"),
    ("nice_of", "nice > 5 { idle }"),
    ("age_of", "order by age"),
    ("uid", "uid = 1000 { idle }"),
    ("times", "slice wait * 2"),
    ("over", "slice wait / 2"),
    ("clamp", "slice clamp(wait, 1ms, 2ms)"),
    ("rest_weight", "weight 200"),
]


@pytest.mark.parametrize(("word", "policy"), PARTS)
def test_a_part_is_there_only_where_it_is_used(word: str, policy: str) -> None:
    """The C of a policy has only the parts that it needs."""
    sought = re.compile(rf"(?<![a-z0-9_]){re.escape(word)}(?:_task)?(?![a-z0-9_])", re.IGNORECASE)
    assert sought.search(code(policy)) or word in code(policy)
    assert not sought.search(code("slice 3ms"))


def test_a_slice_of_all_is_made_once() -> None:
    """Rules without their own slice share the expression and its parameters."""
    names = [
        each.name for each in compiled("slice wait / 4 + 1ms; nice > 5 { idle }").manifest.params
    ]
    assert [name for name in names if "slice" in name] == ["slice_ns"]


# ---------------------------------------------------------------- comments and texts


@pytest.mark.parametrize(
    "glob",
    ["/a/*/b", "*/", "/*", "/**/", "*//*", "??=", "??/", "a\\\\", '\\"', "%s%n", "{{ x }}", "{% y"],
)
def test_no_text_ends_a_comment_or_a_string(glob: str) -> None:
    """Text between the quotes of a policy stays within the C's comments and strings."""
    word = re.compile(r"[A-Za-z_]+")
    for field in ("comm", "cgroup"):
        asked = f'{field} ~ "{glob}" {{ slice if({field} = "{glob}", 1ms, 2ms) }}'
        usual = f'{field} ~ "a*b*c|*d|e*|f" {{ slice if({field} = "g", 1ms, 2ms) }}'
        assert "*/" not in code(asked)
        assert "/*" not in code(asked)
        assert set(word.findall(code(asked))) <= set(word.findall(code(usual)))


def test_the_policy_is_in_the_first_comment() -> None:
    """A reader of the C sees the policy line, and which rule each part serves."""
    policy = 'comm ~ "cc1*" { slice 20ms; order fifo }; * { slice 3ms }'
    found = lines_of(policy)
    assert found[:5] == [
        # REUSE-IgnoreStart
        "/* SPDX-License-Identifier: GPL-2.0-only */",
        # REUSE-IgnoreEnd
        "/*",
        f"* {compiled(policy).name}: made by schedpilot from the policy",
        "*",
        f"* {compiled(policy).text}",
    ]
    assert '/* comm ~ "cc1*" { slice 20ms; order fifo } */' in found
    assert "case 0: /* slice 20ms (rule 1) */" in found
    assert "default: /* slice 3ms (rule 2) */" in found


# ---------------------------------------------------------------- for userspace


def test_selectors_that_the_kernel_cannot_see_are_facts() -> None:
    """cmd, cgroup and unit are passed on with one bit each; equal ones share a bit."""
    found = compiled(
        'cmd ~ "ffmpeg *|x264*" and comm ~ "a" { idle };'
        'unit = "a*b[?.service" or cgroup != "/x" { latency };'
        'cmd ~ "ffmpeg *|x264*" and nice > 3 { weight 50 }'
    )
    assert found.facts == PolicyFacts(
        (
            UserSelector(0, "cmd", ("ffmpeg *", "x264*")),
            UserSelector(1, "unit", ("a[*]b[[][?].service",)),
            UserSelector(2, "cgroup", ("/x",)),
        )
    )
    assert "(t->selected & 1ULL)" in found.source
    assert "(t->selected & 2ULL)" in found.source
    assert "!(t->selected & 4ULL)" in found.source


@pytest.mark.parametrize(
    "policy",
    [
        "order by expected_runtime desc",
        "slice clamp(expected_runtime / 10, 1ms, 20ms)",
        "expected_runtime > 2s { idle }",
        "c order { return expected_runtime; }",
    ],
)
def test_whoever_asks_for_the_expected_runtime_is_told_it(policy: str) -> None:
    """If a policy uses the expected runtime, userspace has to supply it."""
    assert compiled(policy).facts == PolicyFacts((), expected_runtime=True)
    assert "} expected_runtime SEC" in compiled(policy).source


def test_most_policies_need_nothing_from_userspace() -> None:
    """A policy about things that the kernel knows asks for no facts and has no maps for them."""
    policy = 'comm ~ "a" { latency }; user = "batch" { idle }; kthread { weight 200 }'
    assert compiled(policy).facts == PolicyFacts()
    assert "uid(p) == 1001" in compiled(policy).source


def test_use_names_a_scheduler_and_its_settings() -> None:
    """A `use` line is no program: name and settings come back as they were written."""
    text = " use scx_lavd performance=true slice=3ms path=/a/b-c\n"
    assert compile_policy(text, machine=MACHINE) == Use(
        "scx_lavd", {"performance": "true", "slice": "3ms", "path": "/a/b-c"}
    )
    assert compile_policy("use fair", machine=MACHINE) == Use("fair", {})


# ---------------------------------------------------------------- what a rule says comes first


@pytest.mark.parametrize(
    ("policy", "same"),
    [
        ("local; * { cpus 0 }", "* { cpus 0 }"),
        ("cpus 0; * { local }", "* { local }"),
        ("llc; * { sticky }", "* { sticky }"),
        ("sticky; * { llc }", "* { llc }"),
        ("order fifo; * { order by wait }", "* { order by wait }"),
        ("slice 1ms; * { slice 2ms }", "* { slice 2ms }"),
        ("idle; * { latency }", "* { latency }"),
        (
            "preempt; nice < 0 { latency }; * { idle }",
            "nice < 0 { latency; preempt }; * { idle }",
        ),
    ],
)
def test_what_a_rule_says_comes_before_what_is_said_for_all(policy: str, same: str) -> None:
    """A rule's own property replaces one for all that it contradicts or cannot be combined with."""

    def bare(text: str) -> str:
        return re.sub(r"policy.[0-9a-f]{8}", "", " ".join(code(text).split()))

    assert bare(policy) == bare(same)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("c slice { return ms(1); }", [(1, 11)]),
        ("slice 1ms\nkthread { c order {\n  s64 x = wait;\n\n  return x;\n} }", [(3, 3), (5, 1)]),
        (
            "kthread { c slice { return ms(1); } }; * { c slice { return ms(2); } }",
            [(1, 21), (1, 54)],
        ),
    ],
)
def test_lines_of_c_blocks_are_known_by_their_place(
    text: str, lines: list[tuple[int, int]]
) -> None:
    """Each line from a C block leads to the place where it was written, after our own tab."""
    found = compiled(text)
    source, written = found.source.splitlines(), text.splitlines()
    places = {(each.line, each.column): each.source_line for each in found.body_lines}
    assert sorted(places) == lines
    for (line, column), number in places.items():
        taken = source[number - 1].removeprefix("\t")
        assert written[line - 1][column - 1 :].startswith(taken)
    assert "\x02" not in found.source
