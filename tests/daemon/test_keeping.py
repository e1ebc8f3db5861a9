# SPDX-License-Identifier: GPL-2.0-or-later
"""What was kept, after the daemon or the pretended machine has started again."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.api.models import (
    Autonomy,
    CandidateRequest,
    EventKind,
    GateResult,
    KeptView,
    KeptViewState,
    TrialState,
)
from daemon.decide.kept_record import Boot, KernelIdentity
from daemon.gates.proof import GateListener, Proof, Subject
from process import Fault, FaultType
from tests.daemon.house import (
    BETTER_US,
    BOOT,
    USUAL_US,
    WORSE_US,
    FakeGates,
    House,
    Story,
    house,
)
from tests.decide.synthetic import START

REBOOTED = Boot(id="1" * 36, kernel=BOOT.kernel)
OTHER_KERNEL = Boot(id="1" * 36, kernel=KernelIdentity(release="7.4.1", btf="b" * 64))
LOADS = {"keep": {"after_reboot": "load"}}
# How long the machine is down, seconds.
DOWN_S = 7200.0

Lives = Callable[..., None]


@pytest.fixture
def lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lives:
    """Plays stories of several lives of one daemon, one after the other in the same folders; each
    ends as if killed unless its story stops it. `boots`: the run of the machine of each after the
    first."""
    store = tmp_path / "state" / "kept.json"

    def through(*stories: Story, boots: tuple[Boot, ...] = (), **tables: Any) -> None:
        async def whole() -> None:
            now = START
            for number, story in enumerate(stories):
                boot = (BOOT, *boots)[number] if boots else BOOT
                async with house(tmp_path, monkeypatch, boot=boot, now=now, **tables) as home:
                    home.serves |= {"better": BETTER_US}
                    await story(home)
                    now = home.clock.now + DOWN_S
                    left = store.read_bytes() if store.exists() else b""
                # What the end of the test did, a killed daemon would not have done.
                store.write_bytes(left or b"{}")

        asyncio.run(whole())

    return through


async def keeps(home: House) -> None:
    """A life in which a scheduler is kept, and the daemon is killed."""
    await home.kept()


async def keeps_and_stops(home: House) -> None:
    """The same, and the daemon ends in order."""
    await home.kept()
    await home.stop()
    assert home.loader.runs == ""


def only(home: House) -> KeptView:
    """The one scheduler that is kept."""
    (view,) = home.daemon.keeping.views()
    return view


# ---------------------------------------------------------------- a restart of the daemon


@pytest.mark.parametrize("first", [keeps, keeps_and_stops])
def test_what_was_kept_is_back_after_a_restart(lives: Lives, first: Story) -> None:
    """After SIGKILL and after SIGTERM alike; the journal and the status say why."""

    async def again(home: House) -> None:
        assert only(home).state is KeptViewState.WAITING
        await home.look()
        assert home.loader.runs == "better"
        assert home.loader.loaded is not None
        assert home.loader.loaded.why == "kept"
        assert only(home).state is KeptViewState.RUNNING
        (told,) = home.told(EventKind.PUT_BACK)
        assert "kernel and object are the same" in told

    lives(first, again)


def test_it_does_not_wait_for_what_is_proven_ahead(
    lives: Lives, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that starts also proves the library; the machine waits for what was kept."""

    async def again(home: House) -> None:
        reached, released = asyncio.Event(), asyncio.Event()
        passes = FakeGates.__call__

        async def slow(
            self: FakeGates,
            subject: Subject,
            told: GateListener,
            before: tuple[GateResult, ...] = (),
        ) -> Proof:
            if subject.name == "slow":
                reached.set()
                await released.wait()
            return await passes(self, subject, told, before)

        monkeypatch.setattr(FakeGates, "__call__", slow)
        ahead = asyncio.create_task(
            home.daemon.candidates.prove_ahead(CandidateRequest(source="/* slow */", name="slow"))
        )
        await reached.wait()
        await home.look()
        assert home.loader.runs == "better"
        released.set()
        await ahead

    lives(keeps, again)


def test_the_guard_watches_what_was_put_back(lives: Lives) -> None:
    """It knows from the trial what is worse, rolls back, and then nothing is kept any more."""

    async def again(home: House) -> None:
        await home.look()
        await home.intervals(6)
        assert home.loader.runs == "better"
        await home.intervals(6, 6 * USUAL_US)
        assert home.loader.runs == ""
        assert "better was rolled back" in home.told(EventKind.ROLLBACK)[0]

    async def third(home: House) -> None:
        await home.look()
        assert home.loader.loads == []
        assert home.daemon.keeping.views() == []

    lives(keeps, again, third)


@pytest.mark.parametrize("how", ["rolled back", "stopped", "ejected", "replaced by hand"])
def test_what_was_given_up_does_not_come_back(lives: Lives, how: str) -> None:
    """A rollback, a person and the kernel end it for good."""

    async def gives_up(home: House) -> None:
        await home.kept()
        match how:
            case "rolled back":
                await home.rollback("not on Fridays")
            case "stopped":
                await home.release("enough")
            case "ejected":
                await home.throw_out("runtime error: invalid DSQ 0x7")
            case _:
                await home.hold(await home.candidate("held", USUAL_US))

    async def again(home: House) -> None:
        await home.look()
        assert home.loader.loads == []
        assert home.told(EventKind.PUT_BACK) == []

    lives(gives_up, again)


def test_what_ran_before_comes_back_after_a_rollback_to_it(lives: Lives) -> None:
    """A rollback to what was kept before keeps that again, also across a restart."""

    async def two(home: House) -> None:
        await home.kept("first")
        await home.kept("second", BETTER_US / 3)
        await home.rollback("the first was better")
        assert home.loader.runs == "first"

    async def again(home: House) -> None:
        await home.look()
        assert home.loader.runs == "first"

    lives(two, again)


def test_the_latest_keep_comes_back(lives: Lives) -> None:
    """Not what it replaced."""

    async def two(home: House) -> None:
        await home.kept("first")
        await home.kept("second", BETTER_US / 3)

    async def again(home: House) -> None:
        await home.look()
        assert home.loader.runs == "second"

    lives(two, again)


def test_a_trial_cut_short_brings_back_what_ran_before(lives: Lives) -> None:
    """Killed in the trial of another, the daemon puts back what was kept, not what was tried."""

    async def tries_another(home: House) -> None:
        await home.kept()
        await home.trial(await home.candidate("other", BETTER_US / 3))
        await home.until_runs("other")

    async def again(home: House) -> None:
        await home.look()
        assert home.loader.runs == "better"

    lives(tries_another, again)


def test_a_foreign_scheduler_is_not_replaced(lives: Lives) -> None:
    """What was kept waits until it is gone, says so once, and is then put back."""

    async def again(home: House) -> None:
        home.loader.foreign_ops = "scx_flash"
        for _ in range(3):
            await home.look()
        assert home.loader.loads == []
        assert len(home.told(EventKind.NOT_PUT_BACK)) == 1
        assert "scx_flash" in only(home).reason
        home.loader.foreign_ops = ""
        await home.look()
        assert home.loader.runs == "better"

    lives(keeps, again)


def test_a_daemon_that_dies_of_it_waits_longer_each_time(lives: Lives) -> None:
    """After two restarts in a row it is not put back at once any more."""

    async def dies(home: House) -> None:
        home.clock.now -= DOWN_S - 1
        await home.look()
        assert home.loader.runs == "better"

    async def waits(home: House) -> None:
        home.clock.now -= DOWN_S - 1
        await home.look()
        assert home.loader.runs == ""
        assert "put back 2 times" in only(home).reason
        home.clock.now = only(home).until + 1
        await home.look()
        assert home.loader.runs == "better"

    lives(keeps, dies, dies, waits)


def test_in_advice_only_mode_nothing_is_put_back(lives: Lives) -> None:
    """It is told when that ends."""

    async def trouble(home: House) -> None:
        view = await home.kept()
        for each in range(3):
            home.daemon.autopilot.quarantine(f"c-{each}", "other", "a stall")
        assert home.backoff.quarantine_of(view.candidate, home.clock.now) is None

    async def again(home: House) -> None:
        home.clock.now -= DOWN_S - 1
        await home.look()
        assert home.loader.loads == []
        assert only(home).until > home.clock.now

    lives(trouble, again)


def test_the_kernels_refusal_ends_it(lives: Lives) -> None:
    """What the kernel ejects while it is put back is quarantined, and never loaded again."""

    async def again(home: House) -> None:
        home.loader.refusals["better"] = [Fault(FaultType.EJECTED, "it stalled")]
        await home.look()
        assert home.loader.runs == ""
        assert home.backoff.quarantines
        assert "no longer kept: it stalled" in home.told(EventKind.NOT_PUT_BACK)[0]

    async def third(home: House) -> None:
        await home.look()
        assert home.loader.loads == []

    lives(keeps, again, third)


def test_without_autonomy_nothing_is_put_back(lives: Lives) -> None:
    """An operator who lets the daemon only observe gets a word of it in the status."""

    async def again(home: House) -> None:
        await home.look()
        assert home.loader.loads == []
        assert "observe" in only(home).reason

    lives(keeps)
    lives(again, daemon={"autonomy": Autonomy.OBSERVE})


def test_a_person_ends_the_waiting(lives: Lives) -> None:
    """`schedpilot stop` and `rollback` also hold for what is not back yet."""

    async def again(home: House) -> None:
        home.loader.foreign_ops = "scx_flash"
        await home.look()
        await home.rollback("not any more")
        assert home.daemon.keeping.views() == []
        assert "not any more" in home.told(EventKind.NOT_PUT_BACK)[-1]
        home.loader.foreign_ops = ""
        await home.look()
        assert home.loader.loads == []

    lives(keeps, again)


def test_a_store_that_cannot_be_read_is_set_aside(lives: Lives, tmp_path: Path) -> None:
    """The daemon starts, says so, and puts nothing back."""

    async def again(home: House) -> None:
        await home.look()
        assert home.loader.loads == []
        assert any("kept.json" in each for each in home.told(EventKind.STATE_TROUBLE))

    lives(keeps)
    (tmp_path / "state" / "kept.json").write_text('{"regimes": {"": {"now": 3}}}')
    lives(again)


# ---------------------------------------------------------------- a reboot


def test_after_a_reboot_it_has_to_win_again(lives: Lives) -> None:
    """By default: the workload gets its baseline first, then the trial decides, and keeps it."""

    async def again(home: House) -> None:
        await home.look()
        assert home.loader.loads == []
        assert "has been seen" in only(home).reason
        await home.intervals(12)
        await home.look()
        trial = home.daemon.trials.running
        assert trial is not None
        assert trial.objective.canonical == "delay p99"
        assert only(home).state is KeptViewState.TRIAL
        assert "fresh trial" in home.told(EventKind.NOT_PUT_BACK)[-1]
        await home.until_over()
        assert trial.state is TrialState.KEPT
        assert only(home).state is KeptViewState.RUNNING
        assert only(home).trial == trial.id

    async def third(home: House) -> None:
        await home.look()
        assert home.loader.runs == "better"

    lives(keeps_and_stops, again, third, boots=(REBOOTED, REBOOTED))


def test_after_a_reboot_it_may_lose(lives: Lives) -> None:
    """Then the kernel's own scheduler runs, and nothing is kept."""

    async def again(home: House) -> None:
        home.serves["better"] = WORSE_US
        await home.intervals(12)
        await home.look()
        await home.until_over()
        assert home.loader.runs == ""
        assert home.daemon.keeping.views() == []
        assert "its fresh trial ended as rolled-back" in home.told(EventKind.NOT_PUT_BACK)[-1]

    lives(keeps_and_stops, again, boots=(REBOOTED,))


def test_a_stop_in_the_fresh_trial_is_no_verdict(lives: Lives) -> None:
    """The next start asks again."""

    async def tries(home: House) -> None:
        await home.intervals(12)
        await home.look()
        await home.until_runs("better")
        await home.stop()

    async def third(home: House) -> None:
        await home.intervals(12)
        await home.look()
        await home.until_over()
        assert home.loader.runs == "better"

    lives(keeps_and_stops, tries, third, boots=(REBOOTED, REBOOTED))


def test_in_ask_mode_a_person_approves_the_trial_after_a_reboot(lives: Lives) -> None:
    """The question is asked once; who declines ends it."""

    async def again(home: House) -> None:
        await home.intervals(12)
        for _ in range(3):
            await home.look()
        (waiting,) = home.daemon.trials.waiting()
        assert "approve" in home.told(EventKind.NOT_PUT_BACK)[-1]
        await home.approve(home.daemon.trials.get(waiting.trial).view(), approve=False)
        await home.look()
        assert home.daemon.keeping.views() == []

    lives(keeps_and_stops)
    lives(lambda home: home.turns(), again, boots=(REBOOTED,), daemon={"autonomy": Autonomy.ASK})


def test_the_operator_has_it_loaded_after_a_reboot(lives: Lives) -> None:
    """With `load` it runs as soon as the daemon does."""

    async def again(home: House) -> None:
        await home.look()
        assert home.loader.runs == "better"
        assert '"load"' in home.told(EventKind.PUT_BACK)[0]

    lives(keeps_and_stops, again, boots=(REBOOTED,), **LOADS)


def test_the_operator_has_it_forgotten_after_a_reboot(lives: Lives) -> None:
    """With `no` the journal says that it was kept, and nothing is loaded."""

    async def again(home: House) -> None:
        await home.look()
        assert home.loader.loads == []
        assert '"no"' in home.told(EventKind.NOT_PUT_BACK)[0]
        assert home.daemon.keeping.views() == []

    lives(keeps_and_stops, again, boots=(REBOOTED,), keep={"after_reboot": "no"})


def test_another_kernel_proves_it_anew(lives: Lives) -> None:
    """The gates are passed before it is loaded, and the journal says for which kernel."""

    async def again(home: House) -> None:
        await home.look()
        assert home.loader.runs == "better"
        assert home.told(EventKind.GATE_PASSED)
        assert "another kernel" in home.told(EventKind.PUT_BACK)[0]
        assert only(home).kernel == OTHER_KERNEL.kernel.release

    lives(keeps_and_stops, again, boots=(OTHER_KERNEL,), **LOADS)


def test_a_machine_that_went_down_under_it_tries_it_first(lives: Lives) -> None:
    """Even with `load`: a scheduler that hangs the machine must not do so at every boot."""

    async def again(home: House) -> None:
        await home.look()
        assert home.loader.loads == []
        assert "gone down" in only(home).reason

    lives(keeps, again, boots=(REBOOTED,), **LOADS)


def test_a_machine_that_goes_down_twice_under_it_gives_it_up(lives: Lives) -> None:
    """The second time in a row, be it in the trial that was to decide, is the last."""

    async def tries(home: House) -> None:
        await home.intervals(12)
        await home.look()
        await home.until_runs("better")

    async def third(home: House) -> None:
        await home.look()
        assert home.loader.loads == []
        assert "2 times in a row" in home.told(EventKind.NOT_PUT_BACK)[0]

    lives(keeps, tries, third, boots=(REBOOTED, Boot(id="2" * 36, kernel=BOOT.kernel)))
