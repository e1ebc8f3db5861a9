# SPDX-License-Identifier: GPL-2.0-or-later
import ctypes

import pytest

from tests.signals.native import build


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The kernel half of the signals program, built natively."""
    return build(tmp_path_factory.mktemp("native"))
