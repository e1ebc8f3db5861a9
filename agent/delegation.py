# SPDX-License-Identifier: GPL-2.0-or-later
"""Hands a whole episode to a runner, which handles it from the first look to its summary.

An `agent.advisor.Advisor` only thinks, and the loop acts on its proposals. A model acts through the
MCP server's tools, so it gets the whole episode, and hands it on if it cannot go on.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent.connection import ActingClient, ReadingClient
from agent.episode import Finished, Spent
from daemon.api.models import EpisodeView


@dataclass(frozen=True)
class Delegation:
    """One episode, and everything needed to handle it. `spent` is increased as costs arise.

    `actor` is for the record (steps, advice), not for acting.
    """

    episode: EpisodeView
    reader: ReadingClient
    actor: ActingClient
    finished: Finished
    spent: Spent
    most_trials: int
    clock: Callable[[], float] = time.time


class HandedOn(Exception):
    """The episode is not handled; somebody else takes it. The text gives the reason."""


class EpisodeRunner(Protocol):
    """Handles whole episodes."""

    @property
    def name(self) -> str:
        """Recorded with the episode; lower case, digits and dashes."""
        ...

    async def prepare(self) -> None:
        """Do slow work that is possible before there is an episode."""
        ...

    async def close(self) -> None:
        """End everything that still runs."""
        ...

    async def deal(self, delegation: Delegation) -> str:
        """Handle the episode; returns the result in words for people.

        Raises:
            HandedOn: it could not be finished; none of its work is still running.
            Fault: UNREACHABLE, if the daemon is gone.
        """
        ...
