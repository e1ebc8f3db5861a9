# SPDX-License-Identifier: GPL-2.0-or-later
"""An episode for somebody who deals with it by themselves, from the first look to the last word.

An `agent.advisor.Advisor` only thinks, and the loop acts on its proposals. A model acts through
the MCP server's tools, so it is given the episode whole, and hands it on when it cannot go on.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent.connection import Actor, Reader
from agent.episode import Finished, Spent
from daemon.api.models import EpisodeView


@dataclass(frozen=True)
class Delegation:
    """One episode, and what there is to deal with it. `spent` is added to as it is spent.

    `actor` is for the record (steps, advice), and not for acting.
    """

    episode: EpisodeView
    reader: Reader
    actor: Actor
    finished: Finished
    spent: Spent
    most_trials: int
    clock: Callable[[], float] = time.time


class HandedOn(Exception):
    """The episode is not dealt with; somebody else takes it. The text says why."""


class EpisodeRunner(Protocol):
    """Somebody who deals with whole episodes."""

    @property
    def name(self) -> str:
        """Recorded with the episode; lower case, digits and dashes."""
        ...

    async def prepare(self) -> None:
        """Whatever takes its time and can be done before there is an episode."""
        ...

    async def close(self) -> None:
        """Nothing of it is left running."""
        ...

    async def deal(self, delegation: Delegation) -> str:
        """Deal with the episode; what came of it, for people.

        Raises:
            HandedOn: it did not come to an end; nothing of it is under way.
            Fault: UNREACHABLE, where the daemon is gone.
        """
        ...
