# SPDX-License-Identifier: GPL-2.0-or-later
"""The message about a missing program names its package."""

from pathlib import Path

import pytest

from lab import tools
from process import FaultType


@pytest.mark.parametrize("program", sorted(tools.PACKAGE_OF))
def test_a_missing_program_is_named_with_its_package(program: str, tmp_path: Path) -> None:
    """Each fault says which program is missing and which command installs it."""
    fault = tools.missing((program,), path=str(tmp_path))
    assert fault is not None
    assert fault.type is FaultType.MISSING_TOOL
    assert program in fault.what
    assert tools.PACKAGE_OF[program] in fault.hint
    assert fault.hint.startswith("apt-get install ")


def test_a_program_that_is_there_is_no_fault(tmp_path: Path) -> None:
    """If every program exists, nothing is reported."""
    program = tmp_path / "mke2fs"
    program.touch(0o755)
    assert tools.missing(("mke2fs",), path=str(tmp_path)) is None


def test_each_program_that_is_driven_has_a_package() -> None:
    """Every program that the lab runs has a package to name if it is missing."""
    driven = {*tools.TO_BUILD, *tools.TO_BUILD_KERNEL, *tools.TO_RUN}
    assert driven == set(tools.PACKAGE_OF)
