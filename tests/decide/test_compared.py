# SPDX-License-Identifier: GPL-2.0-or-later
"""What is reported about a guard during its trial, and afterwards."""

from collections.abc import Sequence

import pytest

from daemon.api.models import Arm, WindowView
from daemon.decide.compared import guard_view
from daemon.decide.objective import parse_guard
from daemon.decide.settings import TrialSettings
from daemon.decide.windows import schedule
from tests.decide.synthetic import window

SETTINGS = TrialSettings()
GUARD = parse_guard("comm:backup", "completions not worse than 20%")


def windows(
    baseline: Sequence[float], candidate: Sequence[float], cpu: float = 50.0
) -> list[WindowView]:
    """Windows with these values of the guard, in the order of a trial; `cpu` is the guarded
    workload's share of one CPU under the candidate, per cent."""
    left = {Arm.BASELINE: list(baseline), Arm.CANDIDATE: list(candidate)}
    found = []
    for arm in schedule(len(baseline) + len(candidate)):
        time = 50.0 if arm is Arm.BASELINE else cpu
        figures = {GUARD.key: left[arm].pop(0), GUARD.time_key: time}
        found.append(window(arm, 1000.0, figures=figures))
    return found


@pytest.mark.parametrize(
    ("made", "state"),
    [
        (windows([100, 101, 99, 100], [97, 96, 98, 97]), "held"),
        (windows([100, 101, 99, 100], [140, 139, 141, 140]), "held"),
        (windows([100, 101, 99, 100], [60, 61, 59, 60]), "broken"),
        (windows([100, 180, 40, 100], [60, 150, 30, 120]), "unclear"),
        (windows([100], [90]), "unclear"),
        (windows([100], [0], cpu=0.0), "broken"),
        ([], "unseen"),
    ],
)
def test_a_guard_is_held_broken_unclear_or_unseen(made: list[WindowView], state: str) -> None:
    """The guard has its name, and the medians of both arms if they exist."""
    found = guard_view(made, GUARD, SETTINGS)
    assert found.workload == "comm:backup"
    assert found.text == "completions not worse than 20%"
    assert found.state == state
    assert (found.baseline is None) == (not made)


def test_what_is_said_of_a_guard_has_figures_and_a_range() -> None:
    """`60 /s instead of 100 /s: 39% to 41% worse, more than the 20% tolerated`."""
    said = guard_view(windows([100, 101, 99, 100], [60, 61, 59, 60]), GUARD, SETTINGS).said
    assert said.startswith("60 /s instead of 100 /s: ")
    assert said.endswith("worse, more than the 20% tolerated")
