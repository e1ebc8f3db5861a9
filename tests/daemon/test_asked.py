# SPDX-License-Identifier: GPL-2.0-or-later
"""Episodes that a person asks for."""

from typing import Any

import pytest

from daemon.api.models import CloseRequest, EpisodeState, Event, EventKind, ProfileView
from daemon.lifecycle.episodes import Episode, Episodes
from process import Fault, FaultType

WORKLOAD = "comm:x"


class Told:
    """What the daemon would publish and store."""

    def __init__(self) -> None:
        self.kinds: list[EventKind] = []
        self.stored: list[EpisodeState] = []

    def publish(self, kind: EventKind, message: str, **fields: Any) -> Event:
        self.kinds.append(kind)
        return Event(seq=len(self.kinds), at=1.0, kind=kind, message=message)

    def changed(self, episode: Episode) -> None:
        self.stored.append(episode.state)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def episodes(told: Told) -> Episodes:
    return Episodes(publish=told.publish, on_change=told.changed)


def profile() -> ProfileView:
    return ProfileView(workload=WORKLOAD, tags=["batch"])


def test_what_a_person_asks_for_is_an_advisors_to_deal_with(episodes: Episodes, told: Told) -> None:
    """The episode is open, has its goal, and is announced like any other; its advisor closes it."""
    episode = episodes.begin_asked(WORKLOAD, "answer sooner", profile())
    assert episodes.open is episode
    assert not episode.by_hand
    view = episode.view()
    assert (view.goal, view.trigger, view.state) == ("answer sooner", None, EpisodeState.OPEN)
    episodes.close(episode, CloseRequest(summary="done", advisor="claude"))
    assert told.kinds == [EventKind.EPISODE_OPENED, EventKind.EPISODE_CLOSED]
    assert told.stored[-1] is EpisodeState.CLOSED
    assert episodes.open is None


def test_one_episode_is_open_at_a_time(episodes: Episodes) -> None:
    """A second request waits for the end of the first."""
    first = episodes.begin_asked(WORKLOAD, "sooner", profile())
    with pytest.raises(Fault) as busy:
        episodes.begin_asked(WORKLOAD, "sooner still", profile())
    assert busy.value.type is FaultType.BUSY
    assert first.id in str(busy.value)


def test_what_a_person_does_is_by_hand(episodes: Episodes) -> None:
    """No advisor works on the record of a trial by hand."""
    assert episodes.begin_by_hand(WORKLOAD, "by hand", None).by_hand
    assert episodes.open is None
