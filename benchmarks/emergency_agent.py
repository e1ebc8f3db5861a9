# SPDX-License-Identifier: GPL-2.0-only
"""The agent with an advisor that does as the episode's goal says; everything else is as it is.

    python -m benchmarks.emergency_agent

A goal is `library NAME` or `policy TEXT`.
"""

import asyncio
import contextlib

from agent.advisor import Advice, EpisodeResult, Proposal, Situation
from agent.loop import Loop
from agent.main import connect


class Told:
    """Proposes one thing, once."""

    name = "told"

    async def propose(self, situation: Situation) -> Advice:
        kind, _, text = situation.episode.goal.partition(" ")
        if situation.tried or situation.refused:
            return Advice((), "that was all")
        return Advice((Proposal(text, policy=text if kind == "policy" else ""),), "as told")

    async def learn(self, result: EpisodeResult) -> str:
        return ""


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(Loop(connect, Told(), most_trials=1).run())
