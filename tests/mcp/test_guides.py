# SPDX-License-Identifier: GPL-2.0-or-later
"""The guides for models are short, and every example is right."""

import re
from pathlib import Path

import pytest

from benchmarks.mcp_sizes import tokens_in
from bpf.static.check import check_source
from mcp_server.resources import guide
from scheduler_library.policy.compiler import compile_policy
from scheduler_library.policy.vocabulary import FACTS, FIELDS, FUNCTIONS
from tests.policy.programs import MACHINE
from tests.target import Target

POLICY, SCHED_EXT = guide("policy-language.md"), guide("sched-ext.md")
LINES = [
    line
    for block in re.findall(r"```policy\n(.*?)```", POLICY, re.DOTALL)
    for line in block.splitlines()
]


@pytest.mark.parametrize("line", LINES)
def test_each_example_is_a_policy(line: str) -> None:
    """The compiler accepts every line that the guide shows."""
    assert compile_policy(line, machine=MACHINE)


def test_the_policy_guide_is_short() -> None:
    """A model reads the guide before it writes a line, so it must be worth its length."""
    assert tokens_in(POLICY) <= 2000
    assert len(LINES) >= 12


def test_the_policy_guide_is_complete() -> None:
    """The guide names every fact, every field and every function of the language."""
    for name in [*FACTS, *FIELDS, *FUNCTIONS]:
        assert f"`{name}" in POLICY, name


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The C of the guide, as a model would send it."""
    (source,) = re.findall(r"```c\n(.*?)```", SCHED_EXT, re.DOTALL)
    file = tmp_path_factory.mktemp("guide") / "mine.bpf.c"
    file.write_text(source)
    return file


def test_the_scheduler_in_the_guide_has_no_faults(scheduler: Path) -> None:
    """The static check finds nothing wrong with it."""
    assert check_source(scheduler) == ()


def test_the_scheduler_in_the_guide_builds(scheduler: Path, target: Target, tmp_path: Path) -> None:
    """clang makes an object of it, without a warning."""
    built = target.build(scheduler, tmp_path / "mine.bpf.o")
    assert built.ok, built.diagnostics
    assert not built.diagnostics
