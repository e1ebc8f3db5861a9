# SPDX-License-Identifier: GPL-2.0-or-later
"""The commands of the README are ones that make understands."""

import os
from pathlib import Path

import pytest

from process import run

ROOT = Path(__file__).parents[1]
VARIABLE = "SCHEDPILOT_LAB_KERNEL"


@pytest.mark.parametrize("target", ["demo", "test", "check", "docs", "bench"])
def test_make_can_say_what_it_would_do(target: str) -> None:
    """The Makefile is read without an error, and has each target that documents name."""
    assert run(["make", "--dry-run", target], cwd=ROOT, timeout=60, env=dict(os.environ)).text


@pytest.mark.parametrize(
    ("words", "inherited", "kernel"),
    [
        ((), "", ""),
        ((), "6.18", "6.18"),
        (("KERNEL=6.17",), "", "6.17"),
        (("KERNEL=6.17",), "6.18", "6.17"),
    ],
)
def test_the_kernel_of_the_lab_reaches_the_tests(
    words: tuple[str, ...], inherited: str, kernel: str
) -> None:
    """`KERNEL=` is what the tests see in their environment, before what make was started with."""
    environ = {**os.environ, VARIABLE: inherited}
    environ.pop("KERNEL", None)
    shown = ["--eval", f"shown:;@printenv {VARIABLE}; true", "shown"]
    done = run(["make", "--no-print-directory", *words, *shown], cwd=ROOT, timeout=60, env=environ)
    assert done.text.strip() == kernel
