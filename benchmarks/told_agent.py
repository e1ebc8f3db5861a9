# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent with an advisor that proposes what it is given; everything else is real.

    python -m benchmarks.told_agent [PROPOSAL]

A proposal is `library NAME` or `policy TEXT`. Without one it is the episode's goal.
"""

import asyncio
import contextlib
import sys

from agent.advisor import Advice, EpisodeResult, Proposal, Situation
from agent.loop import Loop
from agent.main import connect


class ScriptedAdvisor:
    """Proposes one thing, once."""

    name = "told"

    def __init__(self, proposal: str) -> None:
        self._proposal = proposal

    async def propose(self, situation: Situation) -> Advice:
        kind, _, text = (self._proposal or situation.episode.goal).partition(" ")
        if situation.tried or situation.refused:
            return Advice((), "that was all")
        return Advice((Proposal(text, policy=text if kind == "policy" else ""),), "as told")

    async def learn(self, result: EpisodeResult) -> str:
        return ""


if __name__ == "__main__":
    told = ScriptedAdvisor(" ".join(sys.argv[1:]))
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(Loop(connect, told, most_trials=1).run())
