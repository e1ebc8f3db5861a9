# SPDX-License-Identifier: GPL-2.0-or-later
"""At every end, the demo says what was reached, why it stopped and what to do."""

from pathlib import Path

import pytest

from daemon.api.models import (
    Arm,
    Decision,
    Direction,
    TrialState,
    TrialView,
    VerdictView,
    WindowView,
)
from demo.account import Book, DemoAccount, DemoStep, Relay, read, told


def trial(state: TrialState, scheduler: str = "latency") -> TrialView:
    windows = [
        WindowView(arm=arm, started=0, ended=6, value=value)
        for arm, value in ((Arm.BASELINE, 80.0), (Arm.CANDIDATE, 20.0))
    ]
    verdict = VerdictView(
        decision=Decision.KEEP,
        ratio=0.25,
        low=0.2,
        high=0.3,
        confidence=0.95,
        gain=0.75,
        reason="better",
        early=True,
        windows_baseline=1,
        windows_candidate=1,
    )
    return TrialView(
        id="t-1",
        state=state,
        candidate="c-1",
        scheduler=scheduler,
        workload="comm:redis-server",
        objective="redis-p99",
        direction=Direction.LOWER,
        unit="ms",
        at=1.0,
        windows=windows,
        verdict=verdict if state is TrialState.KEPT else None,
        reason="it was worse",
    )


def whole() -> DemoAccount:
    account = DemoAccount(
        kept=trial(TrialState.KEPT).model_dump(mode="json"),
        bad=trial(TrialState.ROLLED_BACK, "crawl").model_dump(mode="json"),
    )
    for step in DemoStep:
        account = account.after(step)
    return account


def test_a_whole_demo_says_what_was_kept_and_what_was_rolled_back() -> None:
    """After a success the figures are readable, and no problem is mentioned."""
    said = "\n".join(told(whole()))
    assert "kept: latency, tried in 2 windows" in said
    assert "75% shorter" in said
    assert "70% to 80% better" in said
    assert "crawl was rolled back" in said
    assert "stopped" not in said


@pytest.mark.parametrize("steps", range(len(DemoStep)))
def test_a_demo_that_stopped_says_how_far_it_came_why_and_what_to_do(steps: int) -> None:
    """This holds for every step."""
    account = DemoAccount()
    for step in list(DemoStep)[:steps]:
        account = account.after(step)
    said = told(account, "the guest was silent")
    lines = dict(line.strip().split(":", 1) for line in said[1:])
    assert not account.whole
    assert lines["stopped"].strip() == "the guest was silent"
    assert len(lines["to do"].strip()) > 20
    for step in list(DemoStep)[:steps]:
        assert step.value in lines["reached"]


def test_the_demos_own_words_come_before_what_was_seen_outside() -> None:
    """The scene knows best why it stopped."""
    said = "\n".join(told(DemoAccount(why="nothing was kept"), "status 1"))
    assert "stopped: nothing was kept" in said


def test_what_was_reached_is_known_outside_at_every_moment(tmp_path: Path) -> None:
    """The account is beside the transcript, which is passed on without it."""
    shown = bytearray()
    relay = Relay(tmp_path, shown.extend)
    book = Book(lambda line: relay(line.encode()))
    assert read(tmp_path) == DemoAccount()
    relay(b"  1.0s  the daemon watches\n  2.0s  a ne")
    relay(b"ighbour moves in\n")
    book.write(whole())
    assert read(tmp_path) == whole()
    assert shown == b"  1.0s  the daemon watches\n  2.0s  a neighbour moves in\n"
    (tmp_path / "account.json").write_text("{")
    assert read(tmp_path) == DemoAccount()
