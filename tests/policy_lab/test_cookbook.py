# SPDX-License-Identifier: GPL-2.0-or-later
"""The guide's cookbook on the host: every line is a policy, and every policy a BPF object."""

from pathlib import Path

import pytest

from scheduler_library.policy.formatter import format_policy
from scheduler_library.policy.parser import parse
from scheduler_library.policy.syntax import PolicyProgram
from tests.policy_lab.cookbook import compiled, lines
from tests.policy_lab.guest_effects import SCENES
from tests.target import Target

LINES = lines()


def test_there_are_at_least_twenty_lines_and_none_twice() -> None:
    """The cookbook has at least 20 different lines."""
    assert len(LINES) >= 20
    assert len({compiled(line).name for line in LINES}) == len(LINES)


@pytest.mark.parametrize("line", LINES)
def test_a_line_is_read_and_written_back(line: str) -> None:
    """A line of the cookbook parses to a program, and its canonical form parses to the same one."""
    program = parse(line)
    assert isinstance(program, PolicyProgram)
    assert parse(format_policy(program)) == program


@pytest.mark.parametrize("line", LINES)
def test_a_line_compiles_without_a_warning(line: str, target: Target, tmp_path: Path) -> None:
    """The C of a line becomes an object without a message from clang."""
    policy = compiled(line)
    result = target.build(policy.source, tmp_path, name=f"{policy.name}.bpf.c")
    result.require()
    assert result.diagnostics == ()


def test_every_line_has_its_effect_shown_in_the_lab() -> None:
    """Each line, and nothing else, has a scene that shows what its text promises."""
    assert {scene.line for scene in SCENES.values()} == set(LINES)
