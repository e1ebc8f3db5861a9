# SPDX-License-Identifier: GPL-2.0-or-later
"""The costs of this machine: measured once, stored, and given to the simulator."""

from dataclasses import replace
from pathlib import Path

import pytest

from process import Fault, FaultType
from simulator.calibration import Costs, Round, Rounds, calibrated, costs_of, measure, store
from simulator.scenario import SimulatedMachine

QUIET = Round(
    call_ns=700,
    fork_ns=40_000,
    switch_ns=2000,
    cross_ns=30_000,
    timer_ns=32_000,
    busy=False,
    timers_ns=tuple(range(101)),
)


def _rounds(*rounds: Round) -> Costs:
    return costs_of(Rounds(tick_ns=4_000_000, rounds=rounds))


def test_what_was_never_measured_is_assumed(tmp_path: Path) -> None:
    """Without a stored figure the machine has the defaults."""
    assert calibrated(6, cache_folder=tmp_path) == SimulatedMachine(cpus=6)


def test_what_was_measured_is_used(tmp_path: Path) -> None:
    """The stored figures come back as a machine that a scenario accepts."""
    # How busy the machine of this test is does not matter here.
    costs = measure().model_copy(update={"noise": 1.0})
    store(costs, cache_folder=tmp_path)
    machine = calibrated(2, cache_folder=tmp_path)
    assert machine == costs.machine(2)
    assert machine.tick_ns == costs.tick_ns
    assert machine.switch_ns == costs.switch_ns > 0
    assert len(machine.late_ns) == 101


def test_a_spoilt_file_is_as_good_as_none(tmp_path: Path) -> None:
    """Damaged content of the cache does no harm."""
    store(_rounds(QUIET), cache_folder=tmp_path)
    for file in tmp_path.rglob("*.json"):
        file.write_text('{"tick_ns": -1}', "utf-8")
    assert calibrated(2, cache_folder=tmp_path) == SimulatedMachine(cpus=2)


def test_one_disturbed_round_does_not_show() -> None:
    """If another process disturbs some rounds, the costs are those of the other rounds."""
    slow = QUIET.model_copy(update={"switch_ns": 90_000, "timers_ns": (9_000_000,) * 101})
    costs = _rounds(QUIET, slow, QUIET, QUIET, QUIET)
    assert costs == _rounds(QUIET)
    assert not costs.noisy


def test_costs_of_a_busy_machine_are_refused(tmp_path: Path) -> None:
    """Contradicting rounds are not stored, and the hint says when to measure again."""
    rounds = [QUIET.model_copy(update={"switch_ns": 2000 * factor}) for factor in (1, 2, 3, 4, 5)]
    costs = _rounds(*rounds)
    assert costs.noise == 2.0
    rounds[3] = rounds[4]
    with pytest.raises(Fault) as raised:
        store(_rounds(*rounds), cache_folder=tmp_path)
    assert raised.value.type is FaultType.BUSY
    assert "idle" in raised.value.hint
    assert calibrated(6, cache_folder=tmp_path) == SimulatedMachine(cpus=6)


def test_a_timer_is_late_by_what_a_wakeup_does_not_explain() -> None:
    """Of the sleeper's path, only the part beyond a wakeup of an idle CPU is charged again."""
    late = QUIET.model_copy(update={"timers_ns": tuple(range(20_000, 121_000, 1000))})
    found = _rounds(late).machine(2)
    assert found.late_ns[:12] == (*(0,) * 11, 1000)
    assert found.late_ns[-1] == 90_000
    busy = late.model_copy(update={"busy": True})
    assert _rounds(busy).machine(2).late_ns[:3] == (18_000, 19_000, 20_000)
    assert replace(found, late_ns=()) == replace(_rounds(QUIET).machine(2), late_ns=())
