# SPDX-License-Identifier: GPL-2.0-or-later
"""What the whole daemon does on a pretended machine: it watches, tries, keeps and takes away."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.api.models import EventKind, TrialState
from tests.daemon.house import House, house

Play = Callable[..., None]


@pytest.fixture
def play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Play:
    """Plays a story in a house of its own."""

    def to_end(story: Callable[[House], Awaitable[None]], **tables: dict[str, Any]) -> None:
        async def whole() -> None:
            async with house(tmp_path, monkeypatch, **tables) as home:
                await story(home)

        asyncio.run(whole())

    return to_end


def test_a_better_scheduler_is_kept(play: Play) -> None:
    """A trial that shows a clear gain ends with the candidate in the kernel, to stay."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("better", 4000.0))
        assert view.state is TrialState.RUNNING
        await home.until_over()
        assert home.state(view) is TrialState.KEPT
        assert home.loader.loaded is not None
        assert (home.loader.runs, home.loader.loaded.why) == ("better", "kept")
        assert len(home.told(EventKind.KEPT)) == 1

    play(story)
