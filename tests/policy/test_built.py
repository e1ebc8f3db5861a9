# SPDX-License-Identifier: GPL-2.0-or-later
"""Every accepted program compiles without a message and passes the kernel's verifier."""

from pathlib import Path

import pytest

from scheduler_library.policy.compiler import CompiledPolicy, compile_policy
from tests.target import Target

from .programs import MACHINE
from .sample import build, sample, varied, verify

# All tests together have half an hour; run the thousand by hand after a change of the compiler.
COMPILED = 25
VERIFIED = (12, pytest.param(1000, marks=pytest.mark.long))
# As many are drawn at least, and the most different of them taken.
DRAWN = 100


def test_accepted_programs_compile_without_a_warning(target: Target, tmp_path: Path) -> None:
    """clang has no message about the C of a generated program, not even a warning."""
    drawn = sample(DRAWN, start=1000)
    assert build(target, varied(drawn, COMPILED), tmp_path) == (COMPILED, [])


# Texts that could confuse our own quoting, each as a pattern and as a name.
ODD = ("/a/*/b", "*/", "/*", "??=", "??/", "a\\\\", '\\"', "%s%n", "{{ x }}", "//", "'", "*?*")
# Single lines that once did not compile, or compiled to something else.
ONCE_BROKEN = (
    "weight 200",
    "order by -weight",
    "pid < weight { idle }",
    "preempt; nice < 0 { latency }",
    'slice if(comm = "a" or thread_name = "b", 1ms, 2ms)',
    'order by if(comm ~ "a*", nice, age / 1s)',
    "c slice { return nice < 0 ? ms(1) : wakeups > 5 ? ms(2) : age > 5 ? ms(3) : cpu_share; }",
    "c order { return 1; // the end\n}",
    "pid < 10000000000 { idle }",
    "policy != batch or policy = batch { idle }",
    "kthread or 281474976710657 < if(kthread, 2, 5) { idle }",
)


def test_odd_texts_compile_without_a_warning(target: Target, tmp_path: Path) -> None:
    """Comment signs, trigraphs, quotes and templates in a glob do not disturb the C."""
    policies = [
        f'{field} ~ "{text}" {{ slice if({field} = "{text}", 1ms, 2ms) }}'
        for field in ("comm", "cgroup")
        for text in ODD
    ]
    assert build(target, map(_compiled, [*policies, *ONCE_BROKEN]), tmp_path)[1] == []


def _compiled(text: str) -> CompiledPolicy:
    found = compile_policy(text, machine=MACHINE)
    assert isinstance(found, CompiledPolicy)
    return found


@pytest.mark.vm
@pytest.mark.parametrize("count", VERIFIED)
def test_accepted_programs_pass_the_verifier(count: int, target: Target, tmp_path: Path) -> None:
    """A real kernel's verifier accepts the object of every generated program; of a few of them all
    words of the language are tried."""
    objects = tmp_path / "objects"
    objects.mkdir()
    assert build(target, varied(sample(max(count, DRAWN)), count), objects) == (count, [])
    assert verify(objects, tmp_path) == []
