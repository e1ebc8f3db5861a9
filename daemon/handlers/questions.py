# SPDX-License-Identifier: GPL-2.0-or-later
"""A workload as the beliefs are asked about it: what it is like, and what is complained about."""

from collections.abc import Callable

from daemon.api.models import Degradation, EpisodeView
from daemon.memory.beliefs import BeliefQuestion
from daemon.understanding.profiles import Profiles


class Questions:
    """What is asked of the beliefs for a workload, or for that of an episode."""

    def __init__(
        self,
        profiles: Profiles,
        degraded: Callable[[], list[Degradation]],
    ) -> None:
        self._profiles = profiles
        self._degraded = degraded

    def about(self, workload: str) -> BeliefQuestion:
        """A workload as it is now, with what is complained about."""
        degraded = [each for each in self._degraded() if each.workload == workload]
        return BeliefQuestion(
            self._profiles.profile(workload), _complaint(degraded[0] if degraded else None)
        )

    def about_episode(self, episode: EpisodeView) -> BeliefQuestion:
        """The workload as it was when the episode was opened; as it is now, where that was not
        recorded."""
        seen = episode.profile or self._profiles.profile(episode.workload)
        if episode.goal and episode.objective:
            # What the goal means says more than its words do.
            return BeliefQuestion(seen, episode.objective)
        return BeliefQuestion(seen, _complaint(episode.trigger), episode.goal)


def _complaint(of: Degradation | None) -> str:
    """The objective that is broken, else the signal that rose, which nobody declared."""
    return (of.objective or f"a rise of {of.signal}") if of else ""
