# SPDX-License-Identifier: GPL-2.0-or-later
"""A served fake daemon for each test that wants one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.fake import Served, serving


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "run") as served:
        yield served
