# SPDX-License-Identifier: GPL-2.0-or-later
"""Learned runtimes and selectors on the real kernel: guest_runtimes.py is played in one boot."""

import json
from typing import Any

import pytest

from lab.vm import run_in_lab
from tests.daemon.guest_runtimes import RUNS

pytestmark = pytest.mark.vm

Seen = dict[str, Any]


@pytest.fixture(scope="module")
def seen() -> Seen:
    """The observations of guest_runtimes.py."""
    result = run_in_lab(["python", "-m", "tests.daemon.guest_runtimes"], timeout=400)
    assert result.status == 0, result.error_text
    answer: Seen = json.loads(result.text.splitlines()[-1])
    return answer


def test_runs_are_stored_without_their_arguments(seen: Seen) -> None:
    """Program, hash and figures of each job are in the history's file."""
    rows = seen["learning"]["stored"]
    means = sorted(row[2] for row in rows)
    assert means == pytest.approx(sorted(seconds * 1e9 for seconds in RUNS.values()), rel=0.2)
    for _, arguments, _, spread_ns, count, _ in rows:
        assert len(arguments) == 16
        assert (spread_ns, count) == (0.0, 1)


@pytest.mark.parametrize("run", ["second", "third"])
def test_a_second_run_is_expected_to_take_as_long(seen: Seen, run: str) -> None:
    """`jobs` gets what the first run taught, before and after a restart of the daemon, and nothing
    about a job that never ran."""
    found = seen["learning"][run]
    assert found["short"] == pytest.approx(RUNS["short"] * 1e9, rel=0.2)
    assert found["long"] == pytest.approx(RUNS["long"] * 1e9, rel=0.2)
    assert found["unknown"] == 0


@pytest.mark.parametrize("run", ["second", "third"])
def test_nothing_is_left_of_jobs_that_ended(seen: Seen, run: str) -> None:
    """The kernel side forgets a process when it ends."""
    assert not seen["learning"][run]["long_left"]
    assert not seen["learning"][run]["short_left"]


def test_masks_arrive_for_old_and_new_processes(seen: Seen) -> None:
    """Each process has the bits of the selectors that match its command line or its unit: those
    that were there when the scheduler was loaded, and those that came later."""
    masks = seen["masks"]
    assert masks["early"] == 1 << 0
    assert masks["inside"] == 1 << 1
    assert masks["late"] == 1 << 63
    assert masks["other"] == 0
    assert not masks["asks_runtime"]
