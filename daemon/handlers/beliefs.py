# SPDX-License-Identifier: GPL-2.0-or-later
"""The beliefs about schedulers, and what speaks against trying one."""

import asyncio
from dataclasses import replace

from daemon.api.models import LearnedView
from daemon.gates.candidates import Candidates
from daemon.handlers.episodes import EpisodesHandler
from daemon.handlers.questions import Questions
from daemon.memory.beliefs import Beliefs
from daemon.memory.lessons import Lessons


class BeliefsHandler:
    def __init__(
        self,
        *,
        beliefs: Beliefs,
        lessons: Lessons,
        questions: Questions,
        candidates: Candidates,
        episodes: EpisodesHandler,
    ) -> None:
        self._beliefs = beliefs
        self._lessons = lessons
        self._questions = questions
        self._candidates = candidates
        self._episodes = episodes

    async def learned(self, workload: str, episode: str) -> LearnedView:
        met = self._questions.about(workload) if workload else None
        if episode:
            met = self._questions.about_episode(await self._episodes.episode(episode))
        return await asyncio.to_thread(self._beliefs.view, met, self._lessons.all())

    async def warnings(
        self, candidate: str, workload: str, episode: str, objective: str = ""
    ) -> list[str]:
        """What speaks against trying a candidate on a workload, or on an episode's."""
        if not workload and not episode:
            return []
        met = (
            self._questions.about_episode(await self._episodes.episode(episode))
            if episode
            else self._questions.about(workload)
        )
        if objective:
            met = replace(met, complaint=objective, goal="")
        held = self._candidates.get(candidate)
        said = await asyncio.to_thread(self._beliefs.warning, met, held.name, held.policy)
        return [f"{held.name}: {said}"] if said else []
