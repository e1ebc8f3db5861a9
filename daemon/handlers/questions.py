# SPDX-License-Identifier: GPL-2.0-or-later
"""A workload as a query for the beliefs: its profile, and the complaint about it."""

from collections.abc import Callable

from daemon.api.models import Degradation, EpisodeView
from daemon.memory.beliefs import BeliefQuestion
from daemon.understanding.profiles import Profiles


class Questions:
    """The query for a workload, or for an episode's."""

    def __init__(
        self,
        profiles: Profiles,
        degraded: Callable[[], list[Degradation]],
    ) -> None:
        self._profiles = profiles
        self._degraded = degraded

    def about(self, workload: str) -> BeliefQuestion:
        """A workload in its current state, with the complaint about it."""
        degraded = [each for each in self._degraded() if each.workload == workload]
        return BeliefQuestion(
            self._profiles.profile(workload), _complaint(degraded[0] if degraded else None)
        )

    def about_episode(self, episode: EpisodeView) -> BeliefQuestion:
        """The workload as it was when the episode was opened; in its current state, if that was not
        recorded.
        """
        seen = episode.profile or self._profiles.profile(episode.workload)
        if episode.goal and episode.objective:
            # The goal's meaning says more than its words.
            return BeliefQuestion(seen, episode.objective)
        return BeliefQuestion(seen, _complaint(episode.trigger), episode.goal)


def _complaint(of: Degradation | None) -> str:
    """The broken objective, else the signal that rose without being declared."""
    return (of.objective or f"a rise of {of.signal}") if of else ""
