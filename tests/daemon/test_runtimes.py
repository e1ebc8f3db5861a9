# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon learns about processes, and what it reports to the loaded scheduler.

The scheduler and /proc are stand-ins here; test_runtimes_lab.py has the real ones.
"""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bpf.signals.source import Processes, ProcessExec, ProcessExit, SignalsLine, SignalsSource
from daemon.api.models import ParameterValue, SignalPoint
from daemon.decide.jobs import Jobs
from daemon.decide.observation import Observation, WorkloadObservation
from daemon.decide.runtimes import LearnedRuntime, RuntimeKey, key_of
from daemon.lifecycle.attachment import ExitReason, Loadable
from daemon.lifecycle.process_facts import MOST_WAITING, ProcessFactsSource
from daemon.memory.history_writer import opened
from daemon.signals.watch import Watch
from daemon.understanding.profile import profile_of
from process import Fault, FaultType, within
from scheduler_library.history import FILE, open_history
from scheduler_library.policy.facts import PolicyFacts, UserSelector
from scheduler_library.profile import Tag

RECORDING = Path(__file__).parents[1] / "data" / "signals" / "redis_quiet.jsonl"
JOBS = Loadable("c-1", "jobs", facts=PolicyFacts(expected_runtime=True))
VIDEO = UserSelector(2, "cmd", ("ffmpeg *",))
NGINX = UserSelector(5, "unit", ("nginx",))
POLICY = Loadable("c-2", "policy", facts=PolicyFacts(selectors=(VIDEO, NGINX)))

POINT: dict[str, Any] = {
    "delay_p50_us": 40.0,
    "delay_p99_us": 400.0,
    "slice_mean_us": 3000.0,
    "run_share": 1.5,
    "wakeups_per_s": 10.0,
    "involuntary_per_s": 200.0,
    "migrations_per_s": 1.0,
    "scheduler": "",
}

Told = tuple[str, str, int, int | None]


class Maps:
    """A loaded scheduler's maps: the messages in their order, and the content."""

    ops = "stand_in"

    def __init__(self) -> None:
        self.told: asyncio.Queue[Told] = asyncio.Queue()
        self.held: dict[str, dict[int, int]] = {}
        self.refuse: Fault | None = None

    async def put(self, map: str, key: int, value: int) -> None:
        if self.refuse:
            raise self.refuse
        self.held.setdefault(map, {})[key] = value
        self.told.put_nowait(("put", map, key, value))

    async def remove(self, map: str, key: int) -> None:
        self.told.put_nowait(("remove", map, key, None))
        if self.held.setdefault(map, {}).pop(key, None) is None:
            raise Fault(FaultType.BAD_PARAMETER, "there is no such entry")

    async def renew(self) -> None: ...
    async def set(self, name: str, value: ParameterValue) -> None: ...
    async def detach(self) -> None: ...
    async def gone(self) -> ExitReason:
        return ExitReason("asked", by_kernel=False)


class Proc:
    """A folder like /proc."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "sys").mkdir(parents=True)

    def begin(self, pid: int, *words: str, unit: str = "", state: str = "S") -> None:
        """A process with this command line; one without is the kernel's."""
        place = self.folder / str(pid)
        place.mkdir(exist_ok=True)
        (place / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in words))
        (place / "comm").write_text((words[0] if words else "kthreadd") + "\n")
        (place / "stat").write_text(f"{pid} (a) b) {state} 1 1 1")
        (place / "cgroup").write_text(f"0::/system.slice/{unit}\n" if unit else "0::/\n")

    def end(self, pid: int) -> None:
        shutil.rmtree(self.folder / str(pid))


class Stage:
    """An informant with its surroundings."""

    def __init__(
        self, folder: Path, known: tuple[tuple[RuntimeKey, LearnedRuntime], ...] = ()
    ) -> None:
        self.proc = Proc(folder / "proc")
        self.asked: asyncio.Queue[Processes] = asyncio.Queue()
        self.stored: list[tuple[RuntimeKey, LearnedRuntime]] = []
        self.maps = Maps()
        self.process_facts = ProcessFactsSource(
            known=known, store=self.stored.extend, listen=self._listen, proc=self.proc.folder
        )

    async def _listen(self, which: Processes) -> None:
        self.asked.put_nowait(which)

    async def hears(self, which: Processes) -> None:
        """Wait for the next request to the signals program, and compare it."""
        assert await self.asked.get() is which

    async def told(self, number: int) -> list[Told]:
        """The next messages to the scheduler, this many."""
        return [await self.maps.told.get() for _ in range(number)]


Scene = Callable[[Stage], Awaitable[None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Stage]:
    """Runs a scene to its end, which comes soon or is a failure."""

    def to_end(scene: Scene, known: tuple[tuple[RuntimeKey, LearnedRuntime], ...] = ()) -> Stage:
        async def whole() -> Stage:
            stage = Stage(tmp_path, known)
            try:
                async with within(20):
                    await scene(stage)
            finally:
                await stage.process_facts.close()
            return stage

        return asyncio.run(whole())

    return to_end


def executed(pid: int, *words: str, cut: bool = False) -> ProcessExec:
    return ProcessExec(
        pid=pid, uid=0, workload="comm:a", program=words[0], arguments=words, cut=cut
    )


def ended(pid: int, *words: str, cpu_s: float = 1.0, **other: Any) -> ProcessExit:
    figures: dict[str, Any] = {
        "pid": pid,
        "uid": 0,
        "workload": "comm:a",
        "program": words[0],
        "arguments": words,
        "cut": False,
        "cpu_us": cpu_s * 1e6,
        "wall_us": cpu_s * 1e6,
        "status": 0,
        "signal": 0,
    }
    return ProcessExit(**{**figures, **other})


def known(*words: str, seconds: float) -> tuple[RuntimeKey, LearnedRuntime]:
    return key_of(words[0], words), LearnedRuntime(seconds * 1e9, 0.0, 1, 1.0)


# ---------------------------------------------------------------- learning


def test_only_runs_that_ended_well_are_learned_from(play: Callable[..., Stage]) -> None:
    """A failed, killed or never executed process says nothing about the runtime of similar ones."""

    async def scene(stage: Stage) -> None:
        take = stage.process_facts.take
        take(ended(1, "gzip", "a", status=1))
        take(ended(2, "gzip", "a", signal=9))
        take(ended(3, "gzip", arguments=None))
        assert len(stage.process_facts.runtimes) == 0
        take(ended(4, "gzip", "a", cpu_s=2.0))
        assert stage.process_facts.runtimes.expected_ns(key_of("gzip", ["gzip", "a"])) == 2 * 10**9
        assert stage.process_facts.jobs.finished("comm:a", 0.0).count == 4

    play(scene)


def test_what_was_learned_is_stored_with_an_interval_and_at_the_end(
    play: Callable[..., Stage],
) -> None:
    """Each estimate is stored when it changes, as a hash and figures only."""
    line = next(iter(RECORDING.read_bytes().splitlines()))

    async def scene(stage: Stage) -> None:
        stage.process_facts.take(ended(1, "gzip", "secret"))
        stage.process_facts.interval(SignalsLine.model_validate_json(line))
        assert [runtime.count for _, runtime in stage.stored] == [1]
        stage.process_facts.take(ended(2, "gzip", "secret"))

    stage = play(scene)
    assert [runtime.count for _, runtime in stage.stored] == [1, 2]
    assert "secret" not in repr(stage.stored)


def test_what_was_learned_survives_in_the_history(tmp_path: Path) -> None:
    """A later run of the daemon expects what an earlier one learned; impossible values are left
    out."""
    troubles: list[str] = []
    before = opened(open_history(tmp_path / FILE), troubles.append)
    pair = known("gzip", "a", seconds=3)
    before.runtimes_learned([pair])
    before.close()
    with closing(sqlite3.connect(tmp_path / FILE)) as database, database:
        database.execute("INSERT INTO runtimes VALUES ('bad', 'a', -1.0, 0.0, 1, 2.0)")
        database.execute("INSERT INTO runtimes VALUES ('bad', 'b', 'long', 0.0, 1, 2.0)")
    after = opened(open_history(tmp_path / FILE), troubles.append)
    assert after.runtimes() == [pair]
    after.close()
    assert troubles == []


# ---------------------------------------------------------------- telling


def test_a_loaded_scheduler_is_told_of_all_processes(play: Callable[..., Stage]) -> None:
    """Processes with an expectation get it; the others get nothing."""

    async def scene(stage: Stage) -> None:
        stage.proc.begin(2)
        stage.proc.begin(10, "gzip", "a")
        stage.proc.begin(11, "gzip", "b")
        stage.process_facts.loaded(JOBS, stage.maps)
        assert await stage.told(1) == [("put", "expected_runtime", 10, 3 * 10**9)]
        # What comes after it shows that nothing came between.
        stage.proc.begin(12, "gzip", "a")
        stage.process_facts.take(executed(12, "gzip", "a"))
        assert await stage.told(1) == [("put", "expected_runtime", 12, 3 * 10**9)]
        await stage.hears(Processes.ALL)

    play(scene, (known("gzip", "a", seconds=3),))


def test_a_scheduler_without_facts_is_told_nothing(play: Callable[..., Stage]) -> None:
    """Execs are neither requested nor passed on if nobody needs them."""

    async def scene(stage: Stage) -> None:
        stage.proc.begin(10, "gzip", "a")
        stage.process_facts.loaded(Loadable("c-3", "fifo"), stage.maps)
        await asyncio.sleep(0)
        stage.process_facts.take(executed(10, "gzip", "a"))
        stage.process_facts.loaded(JOBS, stage.maps)
        await stage.hears(Processes.ALL)
        await stage.told(1)
        stage.process_facts.unloaded()
        await stage.hears(Processes.EXITS)

    play(scene, (known("gzip", "a", seconds=3),))


def test_what_a_run_taught_is_told_of_the_next(play: Callable[..., Stage]) -> None:
    """The end of one process is the expectation of the next of its kind."""

    async def scene(stage: Stage) -> None:
        stage.process_facts.loaded(JOBS, stage.maps)
        await stage.hears(Processes.ALL)
        stage.process_facts.take(executed(10, "gzip", "a"))
        stage.process_facts.take(ended(10, "gzip", "a", cpu_s=2.0))
        stage.proc.begin(11, "gzip", "a")
        stage.process_facts.take(executed(11, "gzip", "a"))
        assert await stage.told(1) == [("put", "expected_runtime", 11, 2 * 10**9)]

    play(scene)


def test_another_program_ends_an_expectation(play: Callable[..., Stage]) -> None:
    """A process that executes an unknown program loses its earlier expectation."""

    async def scene(stage: Stage) -> None:
        stage.proc.begin(10, "gzip", "a")
        stage.process_facts.loaded(JOBS, stage.maps)
        await stage.told(1)
        stage.process_facts.take(executed(10, "unheard", "of"))
        assert await stage.told(1) == [("remove", "expected_runtime", 10, None)]

    play(scene, (known("gzip", "a", seconds=3),))


@pytest.mark.parametrize("how", ["gone", "zombie"])
def test_nothing_is_left_of_a_process_that_ended_meanwhile(
    play: Callable[..., Stage], how: str
) -> None:
    """The entry of an ended process is removed: another process will get its number."""

    async def scene(stage: Stage) -> None:
        stage.process_facts.loaded(JOBS, stage.maps)
        await stage.hears(Processes.ALL)
        if how == "zombie":
            stage.proc.begin(10, "gzip", "a", state="Z")
        stage.process_facts.take(executed(10, "gzip", "a"))
        assert [each[0] for each in await stage.told(2)] == ["put", "remove"]
        assert stage.maps.held["expected_runtime"] == {}

    play(scene, (known("gzip", "a", seconds=3),))


def test_masks_say_which_selectors_match(play: Callable[..., Stage]) -> None:
    """Selectors match the whole command line and the unit; at the load, only matching processes are
    passed on."""

    async def scene(stage: Stage) -> None:
        stage.proc.begin(10, "bash")
        stage.proc.begin(11, "ffmpeg", "-i", "a", unit="nginx.service")
        stage.proc.begin(12, "ffmpeg-like")
        stage.process_facts.loaded(POLICY, stage.maps)
        assert await stage.told(1) == [("put", "selected", 11, 1 << 2 | 1 << 5)]
        # A child of 11, perhaps with its parent's mask: it is told that it matches nothing.
        stage.proc.begin(13, "sleep", "1")
        stage.process_facts.take(executed(13, "sleep", "1"))
        seen = await stage.told(1)
        while seen[-1][2] != 13:
            seen += await stage.told(1)
        assert ("put", "selected", 13, 0) in seen

    play(scene)


def test_a_cut_command_line_is_read_whole(play: Callable[..., Stage]) -> None:
    """A long command line is matched beyond the part that the signals program reports."""

    async def scene(stage: Stage) -> None:
        stage.process_facts.loaded(
            Loadable("c", "p", facts=PolicyFacts((UserSelector(0, "cmd", ("* last",)),))),
            stage.maps,
        )
        await stage.hears(Processes.ALL)
        words = ("run", "x" * 300, "last")
        stage.proc.begin(10, *words)
        stage.process_facts.take(executed(10, "run", "x" * 252, cut=True))
        assert await stage.told(1) == [("put", "selected", 10, 1)]

    play(scene)


def test_execs_that_were_lost_are_caught_up_on(play: Callable[..., Stage]) -> None:
    """After lost execs all processes are checked, and also if too many wait."""
    raw = json.loads(next(iter(RECORDING.read_bytes().splitlines())))
    line = SignalsLine.model_validate_json(json.dumps({**raw, "lost_execs": 3}))

    async def scene(stage: Stage) -> None:
        stage.proc.begin(10, "gzip", "a")
        stage.process_facts.loaded(JOBS, stage.maps)
        await stage.told(1)
        stage.proc.begin(11, "gzip", "a")
        stage.process_facts.interval(line)
        assert await stage.told(1) == [("put", "expected_runtime", 11, 3 * 10**9)]
        stage.proc.begin(12, "gzip", "a")
        for _ in range(2 * MOST_WAITING):
            stage.process_facts.take(executed(9, "unheard", "of"))
        assert await stage.told(1) == [("put", "expected_runtime", 12, 3 * 10**9)]
        # A signals program that is started anew does not know what happened before.
        stage.proc.begin(13, "gzip", "a")
        assert stage.process_facts.wanted() is Processes.ALL
        assert await stage.told(1) == [("put", "expected_runtime", 13, 3 * 10**9)]

    play(scene, (known("gzip", "a", seconds=3),))


@pytest.mark.parametrize("type", [FaultType.BAD_PARAMETER, FaultType.STATE])
def test_a_scheduler_that_takes_nothing_is_no_trouble(
    play: Callable[..., Stage], type: FaultType
) -> None:
    """After a full map or a lost scheduler, the next scheduler still gets everything."""

    async def scene(stage: Stage) -> None:
        stage.proc.begin(10, "gzip", "a")
        stage.maps.refuse = Fault(type, "no")
        stage.process_facts.loaded(JOBS, stage.maps)
        await stage.hears(Processes.ALL)
        following = Maps()
        stage.process_facts.loaded(JOBS, following)
        assert (await following.told.get())[2] == 10

    play(scene, (known("gzip", "a", seconds=3),))


# ---------------------------------------------------------------- what a workload is like


def test_a_profile_says_what_ended_processes_show() -> None:
    """Jobs of very different length and many processes a second are recognised."""
    jobs = Jobs()
    for seconds in (1.0, 1.1, 0.9, 1.0):
        jobs.ended("comm:gzip", seconds * 1e6, 10.0)

    def tags() -> list[str]:
        return profile_of(
            "comm:gzip",
            [SignalPoint.model_construct(**{**POINT, "at": at}) for at in (1.0, 2.0)],
            Observation(2.0, 1.0, {"comm:gzip": WorkloadObservation("comm:gzip", exits_per_s=30)}),
            machine_cpus=2,
            machine_utilisation=0.9,
            finished=jobs.finished("comm:gzip", 20.0),
        ).tags

    assert Tag.FORK_HEAVY in tags()
    assert Tag.UNEVEN_JOBS not in tags()
    jobs.ended("comm:gzip", 3.5e6, 11.0)
    assert Tag.UNEVEN_JOBS in tags()


# ---------------------------------------------------------------- from the signals program on


def test_the_signals_program_is_asked_and_its_processes_arrive(tmp_path: Path) -> None:
    """From the helper's lines over the watch to the scheduler's map."""
    process = {"pid": 10, "uid": 0, "workload": "comm:a", "program": "gzip", "cut": False}
    words = {"arguments": ["gzip", "a"]}
    end = {"cpu_us": 2e6, "wall_us": 2e6, "status": 0, "signal": 0}
    program = tmp_path / "stand-in"
    program.write_text(
        f'#!/bin/sh\nwhile read -r line; do echo "$line" >> {tmp_path}/asked\n'
        f"""if [ "$line" = "processes all" ]; then
        echo '{json.dumps({"exit": {**process, **words, **end}}, separators=(",", ":"))}'
        echo '{json.dumps({"exec": {**process, **words}}, separators=(",", ":"))}'
        else head -n 1 {RECORDING}; fi; done\n"""
    )
    program.chmod(0o755)

    async def scene() -> None:
        stage = Stage(tmp_path / "stage")
        stage.proc.begin(10, "gzip", "a")

        async def loads(which: Processes) -> None:
            await watch.set_processes(which)

        async def judge(observation: object) -> None:
            # The first line of the helper: it is there, and was asked for what ends.
            process_facts.loaded(JOBS, stage.maps)

        process_facts = ProcessFactsSource(
            known=(), store=lambda pairs: None, listen=loads, proc=stage.proc.folder
        )
        watch = Watch(
            start=lambda interval_s: SignalsSource(
                interval_s, on_process=process_facts.take, program=program
            ),
            interval_s=1.0,
            processes=process_facts.wanted,
            scheduler=lambda: "",
            on_observation=judge,
            on_trouble=lambda text: None,
        )
        running = asyncio.create_task(watch.run())
        async with within(20):
            assert await stage.told(1) == [("put", "expected_runtime", 10, 2 * 10**9)]
        await process_facts.close()
        running.cancel()
        await asyncio.wait([running])

    asyncio.run(scene())
    assert (tmp_path / "asked").read_text().splitlines() == ["processes exits", "processes all"]
