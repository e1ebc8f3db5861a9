# SPDX-License-Identifier: GPL-2.0-or-later
"""The machine's power regime: where its power comes from, and the profile that somebody chose.

Frequencies, core parking and boost follow them, so figures of one regime say little about another.
Each has its own baselines and its own kept scheduler.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from daemon.decide import detect
from daemon.decide.detect import DetectState

# A change counts once it has lasted this long, seconds: a plug and the profile that follows it are
# one change.
SETTLE_S = 2.0
# How many regimes' baselines are remembered, the last ones; people use three or four.
MOST_REGIMES = 8
# Profiles as power-profiles-daemon (`power-saver`) and TuneD (several names, with spaces) name
# them. Anything else is not taken over.
_PROFILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._+-]{0,63}")


class PowerSource(StrEnum):
    """Where the power comes from. UNKNOWN: a machine without a battery."""

    AC = "ac"
    BATTERY = "battery"
    UNKNOWN = ""


@dataclass(frozen=True, slots=True)
class Power:
    """`profile`: empty if no service has one."""

    source: PowerSource = PowerSource.UNKNOWN
    profile: str = ""

    @property
    def regime(self) -> str:
        """Its name: `battery/power-saver`; empty on a machine that has neither."""
        return "/".join(part for part in (self.source.value, self.profile) if part)


def profile_name(text: str) -> str:
    """A profile's name as it came from the bus; empty if it is not one."""
    return text if _PROFILE.fullmatch(text) else ""


@dataclass(frozen=True, slots=True)
class Supply:
    """One of /sys/class/power_supply. `scope`: empty, System or Device (a mouse's battery)."""

    type: str
    online: bool | None = None
    status: str = ""
    scope: str = ""


def source_of(supplies: tuple[Supply, ...]) -> PowerSource:
    """By what feeds the machine; only if it has a battery of its own."""
    own = [each for each in supplies if each.scope != "Device"]
    batteries = [each for each in own if each.type == "Battery"]
    if not batteries:
        return PowerSource.UNKNOWN
    mains = [
        each.online for each in own if each.type in ("Mains", "USB") and each.online is not None
    ]
    if mains:
        return PowerSource.AC if any(mains) else PowerSource.BATTERY
    discharging = any(each.status == "Discharging" for each in batteries)
    return PowerSource.BATTERY if discharging else PowerSource.AC


@dataclass(frozen=True, slots=True)
class Steady:
    """The regime in force, and a newer one that has not lasted yet."""

    regime: str = ""
    coming: str = ""
    since: float = 0.0

    def after(self, regime: str, now: float) -> "Steady":
        """Having seen this regime now (Unix seconds)."""
        if regime == self.regime:
            return Steady(regime)
        if regime != self.coming:
            return Steady(self.regime, regime, now)
        if now - self.since >= SETTLE_S:
            return Steady(regime)
        return self


@dataclass(frozen=True, slots=True)
class RegimeMemory:
    """What detection knows of regimes other than the present one, the last used last."""

    aside: Mapping[str, DetectState] = field(default_factory=dict)

    def switched(
        self, before: str, detection: DetectState, regime: str
    ) -> tuple["RegimeMemory", DetectState]:
        """Put the detection of one regime aside, and take up that of another.

        A degradation of earlier is not one now, and no streak crosses the change.
        """
        aside = {name: each for name, each in self.aside.items() if name not in (before, regime)}
        aside[before] = detection
        kept = dict(list(aside.items())[-MOST_REGIMES:])
        known = self.aside.get(regime)
        found = detect.afresh(known) if known is not None else DetectState()
        return replace(self, aside=kept), found
