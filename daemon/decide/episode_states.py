# SPDX-License-Identifier: GPL-2.0-or-later
"""The life cycle of an episode. Every change of its state goes through `EPISODE_LIFE`."""

from enum import StrEnum

from daemon.api.models import EpisodeState
from daemon.decide.life_cycle import LifeCycle


class EpisodeChange(StrEnum):
    """The causes of an episode's changes of state."""

    DEGRADED = "a workload is served worse"
    ASKED = "a person asks for it"
    TRIED_BY_HAND = "a person starts a trial"
    CLOSED = "its advisor closes it"
    TRIAL_ENDED = "the trial by hand ends"
    ABANDONED = "no advisor deals with it in time"
    INTERRUPTED = "the daemon ended before it did"


_OPEN, _CLOSED = EpisodeState.OPEN, EpisodeState.CLOSED

EPISODE_LIFE = LifeCycle(
    "episode",
    (
        (None, EpisodeChange.DEGRADED, _OPEN),
        (None, EpisodeChange.ASKED, _OPEN),
        (None, EpisodeChange.TRIED_BY_HAND, _OPEN),
        (_OPEN, EpisodeChange.CLOSED, _CLOSED),
        (_OPEN, EpisodeChange.TRIAL_ENDED, _CLOSED),
        (_OPEN, EpisodeChange.ABANDONED, _CLOSED),
        (_OPEN, EpisodeChange.INTERRUPTED, _CLOSED),
    ),
)
