# SPDX-License-Identifier: GPL-2.0-or-later
"""Power regimes: seen on a pretended machine and bus, and what the daemon makes of a change."""

import asyncio
import json
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.api.models import EventKind, KeptViewState, TrialState
from daemon.signals import power
from daemon.signals.power import PROFILES, TUNED, PowerWatch, matches
from process import within
from tests.daemon.house import BETTER_US, USUAL_US, House, Play

# ---------------------------------------------------------------- what the daemon does


def test_a_change_unloads_what_was_kept_and_comes_back_to_it(play: Play) -> None:
    """What won on mains says nothing of the battery; on mains again it is put back."""

    async def story(home: House) -> None:
        home.power.now = "ac"
        await home.interval()
        await home.kept()
        home.power.now = "battery"
        await home.interval()
        assert home.loader.runs == ""
        (view,) = home.daemon.keeping.views()
        assert (view.power, view.state) == ("ac", KeptViewState.ELSEWHERE)
        home.power.now = "ac"
        await home.interval()
        await home.look()
        assert home.loader.runs == "better"
        changes = home.told(EventKind.POWER)
        assert len(changes) == 3
        assert "the power regime is battery, before it was ac" in changes[1]
        assert "better was kept for that, and was unloaded" in changes[1]

    play(story)


def test_each_regime_keeps_its_own(play: Play) -> None:
    """A trial on battery decides about the battery alone."""

    async def story(home: House) -> None:
        await home.kept("better")
        home.power.now = "battery"
        await home.interval()
        await home.kept("saver", BETTER_US)
        home.power.now = ""
        await home.interval()
        await home.look()
        assert home.loader.runs == "better"
        home.power.now = "battery"
        await home.interval()
        await home.look()
        assert home.loader.runs == "saver"
        await home.rollback("no good on battery")
        home.rest()
        home.power.now = ""
        await home.interval()
        await home.look()
        assert home.loader.runs == "better"

    play(story)


def test_each_regime_has_its_own_baseline(play: Play) -> None:
    """A machine that is slower on battery is not degraded: it is another machine."""

    async def story(home: House) -> None:
        await home.intervals(20)
        home.power.now = "battery"
        await home.intervals(20, 6 * USUAL_US)
        assert home.told(EventKind.DEGRADATION) == []
        home.power.now = ""
        await home.intervals(6, 6 * USUAL_US)
        assert len(home.told(EventKind.DEGRADATION)) == 1

    play(story)


def test_a_trial_across_a_change_could_not_be_measured(play: Play) -> None:
    """Its windows are of two machines; what ran before runs again, and nobody is blamed."""

    async def story(home: House) -> None:
        view = await home.trial(await home.candidate("better", BETTER_US))
        await home.until_runs("better")
        home.power.now = "battery"
        await home.interval()
        await home.until_over()
        assert home.state(view) is TrialState.UNMEASURED
        assert "power regime" in home.of(view).reason
        assert home.loader.runs == ""
        assert home.backoff.failures == 0

    play(story)


def test_a_plug_that_comes_and_goes_does_not_load_each_time(play: Play) -> None:
    """After two times within ten minutes it waits, longer each time."""

    async def story(home: House) -> None:
        await home.kept()
        before = len(home.loader.loads)
        for _ in range(6):
            home.power.now = "battery"
            await home.interval()
            home.power.now = ""
            await home.interval()
            await home.look()
        assert len(home.loader.loads) == before + 3
        assert home.loader.runs == ""
        assert "within 10 min" in home.told(EventKind.NOT_PUT_BACK)[-1]

    play(story)


def test_what_a_person_holds_stays(play: Play) -> None:
    """Whatever the plug does."""

    async def story(home: House) -> None:
        await home.hold(await home.candidate("held", USUAL_US))
        home.power.now = "battery"
        await home.interval()
        assert home.loader.runs == "held"

    play(story)


# ---------------------------------------------------------------- the machine and its bus


@dataclass
class Bus:
    """A pretended `busctl`: answers as the files say, and reports a signal when told to."""

    folder: Path

    def install(self) -> "Bus":
        for name in ("answers", "supplies"):
            (self.folder / name).mkdir()
        (self.folder / "bus").touch()
        (self.folder / "signals").touch()
        here = shlex.quote(str(self.folder))
        program = self.folder / "busctl"
        program.write_text(
            "#!/bin/bash\n"
            f'echo "$@" >> {here}/asked\n'
            f'case "$*" in *monitor) exec tail -n +1 -f {here}/signals ;; esac\n'
            "for word; do\n"
            f'  [ -e {here}/answers/"$word" ] && exec cat {here}/answers/"$word"\n'
            "done\nexit 1\n"
        )
        program.chmod(0o755)
        return self

    def says(self, service: str, answer: object) -> None:
        (self.folder / "answers" / service).write_text(json.dumps(answer) + "\n")

    def signal(self) -> None:
        with (self.folder / "signals").open("a") as file:
            file.write('{"type":"signal","payload":"whatever anybody says"}\n')

    def supply(self, name: str, **values: str) -> None:
        folder = self.folder / "supplies" / name
        folder.mkdir(exist_ok=True)
        for key, value in values.items():
            (folder / key).write_text(f"{value}\n")

    def watch(self, *, enabled: bool = True) -> PowerWatch:
        return PowerWatch(
            enabled=enabled,
            busctl=(str(self.folder / "busctl"),),
            root=self.folder / "supplies",
            bus=self.folder / "bus",
        )


def profile(name: str) -> object:
    """An answer to `Get`."""
    return {"type": "v", "data": [{"type": "s", "data": name}]}


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bus:
    monkeypatch.setattr(power, "LOOK_S", 0.01)
    return Bus(tmp_path).install()


def first(bus: Bus) -> str:
    return asyncio.run(bus.watch().first())


def test_a_machine_with_neither_has_one_regime(bus: Bus) -> None:
    """No battery, no service."""
    assert first(bus) == ""


def test_source_and_profile_make_the_regime(bus: Bus) -> None:
    """As power-profiles-daemon names the profile, under its new name or its old one."""
    bus.supply("AC", type="Mains", online="1")
    bus.supply("BAT0", type="Battery", status="Charging")
    bus.says(PROFILES[1][0], profile("performance"))
    assert first(bus) == "ac/performance"
    bus.says(PROFILES[0][0], profile("power-saver"))
    bus.supply("AC", online="0")
    assert first(bus) == "battery/power-saver"


def test_tuned_names_its_own_profile(bus: Bus) -> None:
    """It also answers as power-profiles-daemon, less exactly."""
    bus.says(TUNED[0], {"type": "s", "data": ["throughput-performance"]})
    bus.says(PROFILES[0][0], profile("performance"))
    assert first(bus) == "throughput-performance"


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"type": "v", "data": []},
        {"type": "v", "data": [{"type": "u", "data": 7}]},
        profile("../../etc"),
        profile("\x1b[31m"),
        profile("x" * 1000),
        "not even that",
    ],
)
def test_nonsense_on_the_bus_is_no_profile(bus: Bus, answer: object) -> None:
    """Whatever a service answers."""
    bus.says(PROFILES[0][0], answer)
    assert first(bus) == ""


def test_no_question_starts_a_service(bus: Bus) -> None:
    """Looking must not start what the operator does not run."""
    first(bus)
    asked = (bus.folder / "asked").read_text().splitlines()
    assert len(asked) == 3
    assert all("--auto-start=no" in each for each in asked)


def test_switched_off_nobody_is_asked(bus: Bus) -> None:
    """Then there is one regime."""
    bus.says(PROFILES[0][0], profile("performance"))

    async def look() -> str:
        watch = bus.watch(enabled=False)
        await watch.run()
        return await watch.first()

    assert asyncio.run(look()) == ""
    assert not (bus.folder / "asked").exists()


def test_a_signal_is_a_reason_to_look(bus: Bus) -> None:
    """Its content, which anybody may have sent, is not believed: the service is asked."""
    bus.says(PROFILES[0][0], profile("balanced"))

    async def change() -> None:
        watch = bus.watch()
        assert await watch.first() == "balanced"
        running = asyncio.create_task(watch.run())
        bus.signal()
        bus.says(PROFILES[0][0], profile("performance"))
        bus.signal()
        at = time.time()

        async with within(30.0):
            # Two looks of the daemon, between which the change has lasted long enough.
            while watch.settled(at) + watch.settled(at + 60.0) != 2 * "performance":  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(change())


def test_only_the_services_own_signals_are_asked_for() -> None:
    """Each match names its sender, which the bus checks."""
    assert all("sender='" in each for each in matches())
