# SPDX-License-Identifier: GPL-2.0-or-later
"""What tests of the whole daemon share."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.house import Play, Story, house


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Runs a story with its own daemon; `tables` are those of the daemon's configuration."""

    def to_end(story: Story, **tables: Any) -> None:
        async def whole() -> None:
            async with house(tmp_path, monkeypatch, **tables) as home:
                await story(home)

        asyncio.run(whole())

    return to_end
