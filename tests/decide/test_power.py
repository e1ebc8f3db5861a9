# SPDX-License-Identifier: GPL-2.0-or-later
"""Power regimes: what they are called, when one counts, and what is remembered of each."""

import pytest

from daemon.api.models import Degradation
from daemon.decide.baseline import Baseline
from daemon.decide.detect import DetectState, Track
from daemon.decide.power import (
    MOST_REGIMES,
    SETTLE_S,
    Power,
    PowerSource,
    RegimeMemory,
    Steady,
    Supply,
    profile_name,
    source_of,
)

AC = Supply("Mains", online=True)
UNPLUGGED = Supply("Mains", online=False)
BATTERY = Supply("Battery", status="Discharging")
MOUSE = Supply("Battery", status="Discharging", scope="Device")


@pytest.mark.parametrize(
    ("supplies", "source"),
    [
        ((), PowerSource.UNKNOWN),
        ((AC,), PowerSource.UNKNOWN),
        ((MOUSE,), PowerSource.UNKNOWN),
        ((AC, MOUSE), PowerSource.UNKNOWN),
        ((AC, BATTERY), PowerSource.AC),
        ((UNPLUGGED, BATTERY), PowerSource.BATTERY),
        ((UNPLUGGED, Supply("USB", online=True), BATTERY), PowerSource.AC),
        ((BATTERY,), PowerSource.BATTERY),
        ((Supply("Battery", status="Full"),), PowerSource.AC),
    ],
)
def test_the_source_is_what_feeds_the_machine(
    supplies: tuple[Supply, ...], source: PowerSource
) -> None:
    """A machine without a battery of its own has no source to speak of."""
    assert source_of(supplies) is source


@pytest.mark.parametrize(
    ("power", "name"),
    [
        (Power(), ""),
        (Power(PowerSource.AC), "ac"),
        (Power(profile="balanced"), "balanced"),
        (Power(PowerSource.BATTERY, "power-saver"), "battery/power-saver"),
    ],
)
def test_a_regime_is_named_by_source_and_profile(power: Power, name: str) -> None:
    """As far as they are known."""
    assert power.regime == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("power-saver", "power-saver"),
        ("throughput-performance my tweaks", "throughput-performance my tweaks"),
        ("", ""),
        ("a/b", ""),
        ("x\x1b[31m", ""),
        ("x" * 65, ""),
        ("balanced\n", ""),
    ],
)
def test_only_a_name_is_taken_over_from_the_bus(text: str, name: str) -> None:
    """It goes into the journal, the store and the status."""
    assert profile_name(text) == name


def test_a_change_counts_once_it_has_lasted() -> None:
    """A plug and the profile that follows are one change, and one that is taken back is none."""
    steady = Steady("ac")
    steady = steady.after("battery", 100.0)
    assert steady.regime == "ac"
    steady = steady.after("battery/power-saver", 101.0)
    steady = steady.after("battery/power-saver", 102.0)
    assert steady.regime == "ac"
    assert steady.after("ac", 102.5) == Steady("ac")
    assert steady.after("battery/power-saver", 101.0 + SETTLE_S).regime == "battery/power-saver"


def test_each_regime_has_its_own_baselines() -> None:
    """They are there again when it comes back; what was degraded then is not so now."""
    degraded = Degradation(
        workload="comm:a", signal="x", since=1, baseline=1, value=2, ratio=2, unit="us", reason="x"
    )
    usual = Baseline().after(5.0, 10)
    plugged = DetectState({"comm:a": Track(baselines={"": usual}, degradation=degraded)})
    memory, detection = RegimeMemory().switched("ac", plugged, "battery")
    assert detection == DetectState()
    memory, detection = memory.switched("battery", detection, "ac")
    assert detection.baseline("comm:a") == usual
    assert detection.degraded() == []


def test_only_so_many_regimes_are_remembered() -> None:
    """The last ones; a service with ever new names does not use up the memory."""
    memory = RegimeMemory()
    for number in range(3 * MOST_REGIMES):
        memory, _ = memory.switched(f"p{number}", DetectState(), f"p{number + 1}")
    assert list(memory.aside) == [f"p{n}" for n in range(2 * MOST_REGIMES, 3 * MOST_REGIMES)]
