# SPDX-License-Identifier: GPL-2.0-only
"""The costs of this machine: measured once, stored, and given to the simulator."""

from pathlib import Path

from simulator.calibration import calibrate, calibrated
from simulator.scenario import Machine


def test_what_was_never_measured_is_assumed(tmp_path: Path) -> None:
    """Without a stored figure the machine has the defaults."""
    assert calibrated(6, cache_folder=tmp_path) == Machine(cpus=6)


def test_what_was_measured_is_used(tmp_path: Path) -> None:
    """The stored figures come back as a machine that a scenario accepts."""
    costs = calibrate(cache_folder=tmp_path)
    machine = calibrated(2, cache_folder=tmp_path)
    assert machine == costs.machine(2)
    assert machine.tick_ns == costs.tick_ns
    assert machine.switch_ns == costs.switch_ns > 0


def test_a_spoilt_file_is_as_good_as_none(tmp_path: Path) -> None:
    """The cache can hold anything; nothing fails for that."""
    calibrate(cache_folder=tmp_path)
    for file in tmp_path.rglob("*.json"):
        file.write_text('{"tick_ns": -1}', "utf-8")
    assert calibrated(2, cache_folder=tmp_path) == Machine(cpus=2)
