# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the power comes from, and the power profile: by sysfs and the system D-Bus.

`busctl`, which comes with systemd, speaks to the bus in a process of its own. Anybody may send
signals on the bus, so a signal only says that it is time to look: the value itself is asked of the
service, whose name only root may own.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from daemon.decide.power import Power, PowerSource, Steady, Supply, profile_name, source_of
from process import Fault, run, start_lines

SUPPLIES = Path("/sys/class/power_supply")
BUS = Path("/run/dbus/system_bus_socket")
BUSCTL = ("busctl", "--system", "--json=short")
# A question must not start a service that the operator does not run.
CALL = ("--auto-start=no", "--timeout=5", "call")
# The services that have a profile, in the order in which they are asked: (name, path, interface).
# TuneD comes first, because its own profiles are finer than those by which it answers as
# power-profiles-daemon.
TUNED = ("com.redhat.tuned", "/Tuned", "com.redhat.tuned.control")
PROFILES = (
    (
        "org.freedesktop.UPower.PowerProfiles",
        "/org/freedesktop/UPower/PowerProfiles",
        "org.freedesktop.UPower.PowerProfiles",
    ),
    ("net.hadess.PowerProfiles", "/net/hadess/PowerProfiles", "net.hadess.PowerProfiles"),
)
# How long one question may take, seconds.
ASK_S = 10.0
# At most one look in this time, seconds: signals on the bus cost a sender nothing.
LOOK_S = 1.0
# How often the source is read on a machine with a battery, seconds.
SOURCE_S = 5.0
# Pauses before the monitor is started again, seconds: doubled, up to the last.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0


class _BusVariant(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)
    type: Literal["s"]
    data: str


class _BusProperty(BaseModel):
    """The answer to `Get` of a text property."""

    model_config = ConfigDict(frozen=True)
    type: Literal["v"]
    data: tuple[_BusVariant]


class _BusText(BaseModel):
    """The answer of a method that returns a text."""

    model_config = ConfigDict(frozen=True, strict=False)
    type: Literal["s"]
    data: tuple[str]


def matches() -> list[str]:
    """What the monitor is to report: changes by the services, and their coming and going."""
    signal = "type='signal'"
    changed = [
        f"{signal},sender='{name}',path='{path}',member='PropertiesChanged'"
        for name, path, _ in PROFILES
    ]
    changed.append(f"{signal},sender='{TUNED[0]}',path='{TUNED[1]}',member='profile_changed'")
    owners = [
        f"{signal},sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='{name}'"
        for name, _, _ in (TUNED, *PROFILES)
    ]
    return changed + owners


def supplies(root: Path = SUPPLIES) -> tuple[Supply, ...]:
    """Each power supply of the machine; those that vanish meanwhile are left out."""
    found = []
    for folder in sorted(root.glob("*")):
        kind = _text(folder / "type")
        if kind:
            online = _text(folder / "online")
            found.append(
                Supply(
                    kind,
                    None if online == "" else online != "0",
                    # Some batteries answer slowly: they are asked only if nothing else tells.
                    _text(folder / "status") if kind == "Battery" and online == "" else "",
                    _text(folder / "scope"),
                )
            )
    return tuple(found)


class PowerWatch:
    """The machine's power regime, as it is now.

    Args:
        enabled: False: there is one regime only.
        busctl: the program and its options, which a test replaces.
        root: of the power supplies.
        bus: the socket of the system bus; without it nobody is asked.
    """

    def __init__(
        self,
        *,
        enabled: bool = True,
        busctl: Sequence[str] = BUSCTL,
        root: Path = SUPPLIES,
        bus: Path = BUS,
    ) -> None:
        self._enabled = enabled
        self._busctl = tuple(busctl)
        self._root = root
        self._bus = bus
        self._power = Power()
        self._steady = Steady()
        self._changed = asyncio.Event()

    @property
    def regime(self) -> str:
        """The regime in force."""
        return self._steady.regime

    def settled(self, now: float) -> str:
        """The regime in force at Unix time `now`: what was last seen, if it has lasted."""
        self._steady = self._steady.after(self._power.regime, now)
        return self._steady.regime

    async def first(self) -> str:
        """Look once; what is seen is in force at once."""
        if self._enabled:
            await self._look()
            self._steady = Steady(self._power.regime)
        return self.regime

    async def run(self) -> None:
        """Look whenever something may have changed; until cancelled."""
        if not self._enabled:
            return
        monitor = asyncio.create_task(self._monitor())
        try:
            while True:
                has_battery = self._power.source is not PowerSource.UNKNOWN
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), SOURCE_S if has_battery else None)
                changed = self._changed.is_set()
                self._changed.clear()
                await self._look(profile=changed)
                if changed:
                    await asyncio.sleep(LOOK_S)
        finally:
            monitor.cancel()
            await asyncio.wait({monitor})

    async def _look(self, *, profile: bool = True) -> None:
        found = await asyncio.to_thread(supplies, self._root)
        name = await asyncio.to_thread(self._profile) if profile else self._power.profile
        self._power = Power(source_of(found), name)

    # ------------------------------------------------------------ the bus

    def _profile(self) -> str:
        """The profile of the first service that has one; empty if there is none."""
        if not self._bus.exists():
            return ""
        name, path, interface = TUNED
        try:
            answer = _BusText.model_validate_json(
                self._ask(name, path, interface, "active_profile")
            )
            if profile := profile_name(answer.data[0]):
                return profile
        except (Fault, OSError, ValidationError):
            pass
        for name, path, interface in PROFILES:
            words = ("org.freedesktop.DBus.Properties", "Get", "ss", interface, "ActiveProfile")
            try:
                found = _BusProperty.model_validate_json(self._ask(name, path, *words))
            except (Fault, OSError, ValidationError):
                continue
            if profile := profile_name(found.data[0].data):
                return profile
        return ""

    def _ask(self, *words: str) -> bytes:
        """Raises Fault if there is no such service, or no bus."""
        return run([*self._busctl, *CALL, *words], timeout=ASK_S).stdout

    async def _monitor(self) -> None:
        pause = FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            if self._bus.exists():
                with contextlib.suppress(Fault, OSError, ValueError):
                    async for _ in self._signals():
                        self._changed.set()
                # What changes while nobody listens is seen when somebody does again.
                self._changed.set()
            if time.monotonic() - began > LONGEST_PAUSE_S:
                pause = FIRST_PAUSE_S
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)

    async def _signals(self) -> AsyncIterator[bytes]:
        """A line for each signal. Raises Fault MISSING_TOOL; ValueError for an endless line."""
        words = [f"--match={each}" for each in matches()]
        # The death signal ends it with us, even when we are killed.
        child = await start_lines(
            ["setpriv", "--pdeathsig", "TERM", "--", *self._busctl, *words, "monitor"]
        )
        try:
            async for line in child.lines():
                yield line
        finally:
            await child.end()


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
