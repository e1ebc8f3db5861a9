# SPDX-License-Identifier: GPL-2.0-or-later
"""The schedulers beside this file, compiled for the lab's kernel."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bpf.build.objects import BuildResult
from tests.target import Target as Target

SCHEDULERS = Path(__file__).parent / "schedulers"


@pytest.fixture
def compiled(target: Target, tmp_path: Path) -> Callable[[str], BuildResult]:
    """Compiles one of the schedulers beside this file, by name."""
    return lambda name: target.build(SCHEDULERS / f"{name}.bpf.c", tmp_path)
