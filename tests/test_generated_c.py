# SPDX-License-Identifier: GPL-2.0-or-later
"""The C files of docs/generated-c are the compiler's current output for their policies.

python -m tests.test_generated_c        # writes them again, after a change of the compiler
"""

from pathlib import Path

import pytest

from scheduler_library.policy.compiler import CompiledPolicy, TargetMachine, compile_policy

FOLDER = Path(__file__).parents[1] / "docs" / "generated-c"
GUIDE = FOLDER.parent / "policy-language.md"
# File to the cookbook's line.
SHOWN = {
    "plain": "slice 3ms",
    "compilers": 'comm ~ "cc1*|ld|rustc" { slice 20ms; order fifo }; * { slice 3ms }',
    "service": "avg_run < 2ms and wakeups > 20 { latency; preempt; slice 1ms }",
    "share": 'comm ~ "hog*" { share <= 20% }',
    "longest-first": "order by expected_runtime desc; slice 10ms",
}


def made(line: str) -> str:
    found = compile_policy(line, machine=TargetMachine(nr_cpus=64, users=lambda _: None))
    assert isinstance(found, CompiledPolicy)
    return found.source


@pytest.mark.parametrize("name", SHOWN)
def test_the_c_in_the_docs_is_what_the_compiler_makes(name: str) -> None:
    """Each file is, byte for byte, the C of its line."""
    shown = (FOLDER / f"{name}.bpf.c").read_text()
    assert shown == made(SHOWN[name]), "run: python -m tests.test_generated_c"


@pytest.mark.parametrize("name", SHOWN)
def test_the_lines_are_in_the_cookbook(name: str) -> None:
    """A reader of the C finds its line, and its purpose, in the guide."""
    assert f"```policy\n{SHOWN[name]}\n```" in GUIDE.read_text()


if __name__ == "__main__":
    for name, line in SHOWN.items():
        (FOLDER / f"{name}.bpf.c").write_text(made(line))
