# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of the benchmarks says for each goal whether it is met, and is honest about it."""

from typing import Any

import pytest

from benchmarks import table
from benchmarks.__main__ import Collected


@pytest.mark.parametrize(
    ("value", "low", "high", "wanted"),
    [
        (1.0, 0.5, 1.9, table.MET),
        (1.0, 0.5, 2.1, table.BY_MEDIAN),
        (2.1, 1.9, 2.5, table.MISSED_BY_MEDIAN),
        (2.5, 2.1, 3.0, table.MISSED),
    ],
)
def test_a_goal_is_plainly_met_only_when_the_whole_interval_is(
    value: float, low: float, high: float, wanted: str
) -> None:
    """The table says if an interval reaches across the goal."""
    assert table.verdict(value, 2.0, low, high) == wanted


def _arm(seconds: list[float], ratio: float) -> dict[str, Any]:
    return {"ratio": ratio, "ratio_95": [ratio - 0.001, ratio + 0.001], "seconds": seconds}


def _overhead(on: float, bcc: float) -> dict[str, Any]:
    arms = {
        "off": _arm([1.0] * 8, 1.0),
        "on": _arm([on] * 8, on),
        "bcc": _arm([bcc] * 8, bcc),
    }
    return {"signals_overhead": {"hackbench": arms, "pipe": arms}}


@pytest.mark.parametrize(("on", "wanted"), [(1.04, table.MET), (1.06, table.MISSED)])
def test_half_of_what_bcc_costs_is_half_of_what_it_adds(on: float, wanted: str) -> None:
    """The added time is compared, not the whole time."""
    assert [row.verdict for row in table.rows(_overhead(on, 1.1))[2:]] == [wanted, wanted]


def test_the_signals_goals_differ_between_the_benchmarks() -> None:
    """3 % slower is too much for hackbench and little enough for the pipe."""
    verdicts = [row.verdict for row in table.rows(_overhead(1.03, 1.1))[:2]]
    assert verdicts == [table.MISSED, table.MET]


def test_the_worse_of_two_memory_readings_counts() -> None:
    """The table shows the daemon's memory under load."""
    names = ("schedpilotd", "schedpilot-signals", "schedpilot-runner")
    small = {name: {"resident": 2_000, "anonymous": 1_000} for name in names}
    grown = {**small, "schedpilotd": {"resident": 70_000, "anonymous": 50_000}}
    part = {"seconds": 60, "workloads": 9, "cpu_percent": dict.fromkeys(names, 0.5)}
    cost = {
        "interval_s": 5.0,
        "idle": part,
        "loaded": part,
        "memory_kb": small,
        "memory_after_load_kb": grown,
    }
    found = {row.what: row for row in table.rows({"daemon_cost": cost})}
    assert found["`schedpilotd`, resident memory"].verdict == table.MISSED
    assert found["`schedpilotd`, resident memory"].measured.startswith("71.7 MB")
    assert found["`schedpilot-runner`, resident memory"].verdict == table.MET


def test_what_a_crashed_guest_did_not_come_to_is_known() -> None:
    """Lines may come in any pieces; a measurement with a result or its own fault is not missing."""
    collected = Collected()
    said = (
        b'{"machine": {"kernel": "7.3.4"}}\n'
        b'{"name": "a", "result": {"x": 1}, "took_s": 1}\n'
        b'{"name": "b", "fault": "error: no", "took_s": 1}\n'
        b'{"name": "c", "resu'
    )
    for index in range(len(said)):
        collected.feed(said[index : index + 1])
    assert collected.machine == {"kernel": "7.3.4"}
    assert collected.results == {"a": {"x": 1}}
    assert collected.missing(["a", "b", "c"]) == ["c"]


def test_the_first_window_is_judged_by_its_slowest_and_the_measured_emulation() -> None:
    """The goal of 2 s is multiplied by the slowness of the guest; compilation has a time and no
    goal."""
    slow = {"prepared, idle": [1.0] * 19 + [9.0], "cold, idle": [30.0] * 20}
    prepared, cold = table.rows(
        {"emergency": {"seconds": slow, "piece_cpu_s": 0.4, "native_piece_cpu_s": 0.1}}
    )
    assert prepared.goal == "at most 2 s × 4.0 = 8 s"
    assert prepared.measured == "p50 1.00 s, p99 9.00 s (20 episodes)"
    assert prepared.verdict == table.MISSED
    assert (cold.goal, cold.verdict) == ("", "")


def test_what_groups_cost_is_a_ratio_with_its_interval() -> None:
    """The table has both workloads, and how many groups the callbacks saw."""
    arms = {"off": _arm([1.0] * 8, 1.0), "on": _arm([1.01] * 8, 1.01)}
    result = {"scheduler": "fair", "groups": 0, "hackbench": arms, "pipe": arms}
    hackbench, pipe = table.rows({"cgroups_overhead": result})
    assert hackbench.measured == pipe.measured == "x1.010 (1.009 to 1.011)"
    assert "`fair`" in hackbench.what
    assert "(0 groups" in hackbench.what
    assert (hackbench.goal, hackbench.verdict) == ("", "")
