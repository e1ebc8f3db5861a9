# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo itself, on a sched_ext kernel: `python -m demo.scene --out DIR`, as root.

A real Redis with a real client, the real daemon and advisor, a real compressor as the bad
neighbour. Nothing here decides anything: it starts programs, waits for the daemon's events, and
reports them. The exit status is 0 if a scheduler was kept because it was better, and the bad choice
after it was rolled back.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tarfile
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from daemon.api.client import AsyncClient
from daemon.api.models import (
    Event,
    EventKind,
    PreparationView,
    PreparedState,
    TrialRequest,
    TrialState,
    TrialView,
)
from demo.account import Book, DemoAccount, DemoStep, defect
from demo.client import PERIOD_S
from demo.compiled import bad_choice
from demo.words import EventLines
from process import Fault, FaultType, LineChild, measure, start_lines, within
from process.pace import WORTH_TELLING

WORKLOAD = "comm:redis-server"
# Where the lab puts the files that were compiled for this guest beforehand.
COMPILED = Path("/run/lab/files/compiled.tar")
# The programs have started when at most this fraction of the machine is busy, for this many
# intervals.
CALM_UTILISATION = 0.6
CALM_INTERVALS = 4
# Intervals in which the service runs undisturbed, so that there is a baseline.
QUIET_INTERVALS = 16
# The neighbour's processes: a batch that somebody started with more jobs than CPUs.
JOBS_PER_CPU = 4
# The whole demo takes four minutes on an emulated machine with no other load.
SCENE_S = 900.0
# How long the programs may take to start, seconds.
START_S = 120.0
# How long schedulers proven ahead are waited for, seconds; then the demo goes on without the rest.
PREPARE_S = 60.0
UNDONE = (PreparedState.WAITING, PreparedState.WORKING)
# How long to wait for a calm machine, seconds; then the demo goes on regardless.
CALM_S = 60.0
# The daemon may be silent for this long while the demo waits for it, seconds.
SILENCE_S = 240.0
# A scheduler that is not clearly better is not kept. Then the daemon tries again, this many times.
EPISODES = 3
# On a slower machine everything takes proportionally longer, including the trial's windows: up to
# this factor.
MOST_SLOWER = 3.0
CONFIG = """
[daemon]
autonomy = "auto"
interval_s = {interval_s}
state_dir = "{state}"
run_dir = "{run}"
cache_dir = "{cache}"

[detect]
baseline_min = 8
samples_min = 20

[trial]
window_s = {window_s}
settle_s = 1.5
lease_s = {lease_s}

[limits]
cooldown_s = 10.0
trials_per_hour = 50

# Emulated, the simulator's engine alone takes a minute to compile.
[gates]
simulate = false

# What a trial is judged by: how long the customer waits.
[[objective]]
workload = "comm:redis-server"
text = "measurement redis-p99 lower"

# What calls for one: how long Redis waits for a CPU.
[[objective]]
workload = "comm:redis-server"
text = "latency p99 < {limit_ms:.0f}ms"

# The demo's own programs.
[[ignore]]
workload = "comm:python*"
"""
INTERVAL_S = 1.0
WINDOW_S = 6.0
LEASE_S = 10.0
LIMIT_MS = 10.0
# Polling interval while something is awaited, seconds.
PAUSE_S = 0.5
# Events that report the windows of a trial.
ENDS = (EventKind.ROLLBACK, EventKind.KEPT, EventKind.UNMEASURED)
ABOUT_TRIALS = (EventKind.WINDOW, EventKind.VERDICT, *ENDS)


class Stopped(Exception):
    """The demo cannot go on; the message says why."""


@dataclass
class Stage:
    """The child processes, and the clock."""

    out: Path
    began: float = field(default_factory=time.time)
    children: list[LineChild] = field(default_factory=list)
    relays: list[asyncio.Task[None]] = field(default_factory=list)

    def say(self, text: str, at: float = 0.0) -> None:
        """A line with its time; `at` (Unix seconds) if it happened earlier than it is shown."""
        passed = (at or time.time()) - self.began
        sys.stdout.write(f"{passed:6.1f}s  {text}\n")
        sys.stdout.flush()

    async def start(self, name: str, *argv: str | Path, **env: str) -> LineChild:
        """A child whose output goes to a file of its name."""
        log = (self.out / f"{name}.log").open("w", buffering=1)
        child = await start_lines(argv, env=env, on_error_line=lambda line: _write(log.write, line))

        async def relay() -> None:
            async for line in child.lines():
                _write(log.write, line.decode("utf-8", "replace").rstrip("\n"))

        self.relays.append(asyncio.create_task(relay()))
        self.children.append(child)
        return child

    async def end(self) -> None:
        for child in reversed(self.children):
            await child.end()
        await asyncio.gather(*self.relays, return_exceptions=True)


def _write(write: Callable[[str], object], line: str) -> None:
    with contextlib.suppress(ValueError):
        write(line + "\n")


@contextlib.asynccontextmanager
async def stage(out: Path) -> AsyncIterator[Stage]:
    scene = Stage(out)
    try:
        yield scene
    finally:
        await scene.end()


class Events:
    """The daemon's events, one after the other. The connection may break; no event is lost."""

    def __init__(self, stage: Stage, client: AsyncClient, daemon: LineChild) -> None:
        self._stage = stage
        self._client = client
        self._daemon = daemon
        self._last = 0
        self._telling = EventLines()

    async def _stream(self) -> AsyncGenerator[Event, None]:
        while self._daemon.status is None:
            try:
                async for event in self._client.events(self._last):
                    self._last = event.seq
                    yield event
            except Fault as fault:
                if fault.type not in (FaultType.UNREACHABLE, FaultType.TIMEOUT):
                    raise
            await asyncio.sleep(PAUSE_S)

    async def until(self, *wanted: EventKind) -> Event:
        """Show events until one of these kinds has come.

        As long as the daemon works, it is waited for, however slow the machine is.

        Raises:
            Stopped: it was silent for too long, or ended.
        """
        stream = self._stream()
        try:
            while True:
                async with within(SILENCE_S) as limit:
                    event = await anext(stream)
                await self._tell(event)
                if event.kind in wanted:
                    return event
        except StopAsyncIteration:
            raise Stopped("the daemon ended; report/daemon.log has its last messages") from None
        except TimeoutError:
            raise Stopped(f"the daemon was silent for {limit.words()}") from None
        finally:
            await stream.aclose()

    async def _tell(self, event: Event) -> None:
        trial = None
        if event.trial and event.kind in ABOUT_TRIALS:
            with contextlib.suppress(Fault):
                trial = await self._client.trial(event.trial)
        for line in self._telling.lines(event, trial):
            self._stage.say(f"  {line}", event.at)


async def reachable(client: AsyncClient, child: LineChild) -> None:
    """Wait until the daemon answers.

    Raises:
        Stopped: it does not.
    """
    try:
        async with within(START_S) as limit:
            while child.status is None:
                try:
                    await client.status()
                    return
                except Fault as fault:
                    if fault.type not in (FaultType.UNREACHABLE, FaultType.TIMEOUT):
                        raise
                await asyncio.sleep(PAUSE_S)
    except TimeoutError:
        raise Stopped(f"the daemon did not start within {limit.words()}") from None
    raise Stopped("the daemon ended while it started; report/daemon.log has its last messages")


@dataclass
class Play:
    """One performance: the programs, and the progress."""

    scene: Stage
    place: Path
    book: Book
    # How many times slower this machine is than the one on which the demo was written.
    slower: float
    neighbours: list[LineChild] = field(default_factory=list)

    @property
    def interval_s(self) -> float:
        return INTERVAL_S * self.slower

    def reached(self, step: DemoStep) -> None:
        self.book.write(self.book.account.after(step))

    async def perform(self) -> None:
        """Play it to its end.

        Raises:
            Stopped: it cannot go on.
            Fault: the daemon refuses a request of the demo.
        """
        scene, place = self.scene, self.place
        python, run = sys.executable, self.place / "run"
        config = place / "schedpilot.toml"
        config.write_text(self._configuration(), encoding="utf-8")
        await asyncio.to_thread(unpack, COMPILED, place / "cache")
        scene.say("schedpilotd watches, in autonomy `auto`; the offline advisor waits")
        daemon = await scene.start("daemon", python, "-m", "daemon.main", "--config", config)
        async with AsyncClient(run / "control.sock") as client:
            await reachable(client, daemon)
            self.reached(DemoStep.DAEMON)
            environment = {"SCHEDPILOT_RUN_DIR": str(run)}
            await scene.start("agent", python, "-m", "agent.main", **environment)
            try:
                await self._with(client, daemon)
            finally:
                # The report needs CPU time too, and the trouble has been shown.
                for each in self.neighbours:
                    await each.end()
                with contextlib.suppress(Fault):
                    await _report(scene, client)

    def _configuration(self) -> str:
        place = self.place
        return CONFIG.format(
            state=place / "state",
            run=place / "run",
            cache=place / "cache",
            interval_s=self.interval_s,
            window_s=WINDOW_S * self.slower,
            limit_ms=LIMIT_MS * self.slower,
            lease_s=LEASE_S * self.slower,
        )

    async def _with(self, client: AsyncClient, daemon: LineChild) -> None:
        scene = self.scene
        await self._prepared(client)
        await self._calm(client)
        rate = 1 / (PERIOD_S * self.slower)
        scene.say(f"a service that people wait for: redis-server, asked {rate:.0f} times a second")
        await self._serve(client)
        await self._calm(client)
        quiet_s = QUIET_INTERVALS * self.interval_s
        scene.say(f"all have started; quiet for {quiet_s:.0f} s, so that the normal state is known")
        await asyncio.sleep(quiet_s)
        self.reached(DemoStep.SERVICE)
        events = Events(scene, client, daemon)
        jobs = JOBS_PER_CPU * len(os.sched_getaffinity(0))
        scene.say(f"a neighbour moves in: {jobs} zstd processes compress")
        for number in range(jobs):
            neighbour = await scene.start(f"neighbour-{number}", "zstd", "-b12", "-i3600")
            self.neighbours.append(neighbour)
        await events.until(EventKind.DEGRADATION)
        self.reached(DemoStep.NOTICED)
        kept = await self._kept(client, events)
        self.book.write(replace(self.book.account, kept=kept.model_dump(mode="json")))
        self.reached(DemoStep.KEPT)
        scene.say("now a bad choice on purpose: `crawl`, one queue and slices of 40 ms")
        bad = await self._bad_choice(client, events)
        self.book.write(replace(self.book.account, bad=bad.model_dump(mode="json")))
        if bad.state is not TrialState.ROLLED_BACK:
            raise Stopped(
                f"the bad choice was not rolled back but is {bad.state.value}: {bad.reason}"
            )
        self.reached(DemoStep.ROLLED_BACK)

    async def _prepared(self, client: AsyncClient) -> None:
        """Wait, but not for ever, until the daemon has proven ahead what may help."""
        about = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PREPARE_S * self.slower):
                while True:
                    about = (await client.status()).preparation
                    if about is not None and not _under_way(about):
                        break
                    await asyncio.sleep(self.interval_s)
        if about is not None and about.of:
            self.scene.say(
                f"  proven ahead, before any trouble: {about.proven} of {about.of} schedulers"
            )

    async def _serve(self, client: AsyncClient) -> None:
        """Redis and its client, until the client is served and reports it."""
        scene, place = self.scene, self.place
        redis = place / "redis.sock"
        server = await scene.start(
            "redis",
            *("redis-server", "--port", "0", "--unixsocket", redis),
            *("--save", "", "--appendonly", "no", "--dir", place),
        )
        customer = await scene.start(
            "client",
            *(sys.executable, "-m", "demo.client", "--redis", redis),
            *("--period", f"{PERIOD_S * self.slower:g}"),
            *("--control", place / "run" / "control.sock", "--record", scene.out / "redis.jsonl"),
        )
        try:
            async with within(START_S) as limit:
                while not any(each.value for each in (await client.status()).objectives):
                    for child, name in ((server, "redis"), (customer, "client")):
                        if child.status is not None:
                            raise Stopped(f"{name} ended with status {child.status}")
                    await asyncio.sleep(PAUSE_S)
        except TimeoutError:
            raise Stopped(f"Redis served nobody within {limit.words()}") from None

    async def _calm(self, client: AsyncClient) -> None:
        """Wait, but not for ever, until the programs have started and the machine has
        little to do.
        """
        calm = 0
        try:
            async with within(CALM_S):
                while calm < CALM_INTERVALS:
                    machine = ((await client.signals()).line or {}).get("machine")
                    busy = machine.get("utilisation", 1.0) if isinstance(machine, dict) else 1.0
                    calm = calm + 1 if busy < CALM_UTILISATION else 0
                    await asyncio.sleep(self.interval_s)
        except TimeoutError:
            self.scene.say("  (the machine is busy with other work; the demo goes on nevertheless)")

    async def _kept(self, client: AsyncClient, events: Events) -> TrialView:
        """The trial that led to a scheduler being kept."""
        outcome = ""
        for left in reversed(range(EPISODES)):
            closed = await events.until(EventKind.EPISODE_CLOSED)
            episode = await client.episode(closed.episode)
            kept = next((each for each in episode.trials if each.state is TrialState.KEPT), None)
            if kept is not None:
                return kept
            outcome = episode.outcome
            self.scene.say(f"  nothing was kept: {outcome}")
            if left:
                self.scene.say("  the trouble lasts, and the daemon will try again")
        raise Stopped(f"nothing was kept in {EPISODES} episodes, the last: {outcome}")

    async def _bad_choice(self, client: AsyncClient, events: Events) -> TrialView:
        candidate = await client.create_candidate(bad_choice())
        request = TrialRequest(candidate=candidate.id, workload=WORKLOAD)
        for left in reversed(range(EPISODES)):
            await self._rested(client)
            trial = (await client.start_trial(request)).id
            while not (view := await client.trial(trial)).ended:
                await events.until(*ENDS)
            if view.state is not TrialState.UNMEASURED:
                break
            if left:
                self.scene.say("  it could not be measured; trying once more")
        return view

    async def _rested(self, client: AsyncClient) -> None:
        """The daemon pauses after each trial; a demo waits instead of lowering the limit."""
        cooldown = (await client.status()).cooldown
        if cooldown is not None:
            self.scene.say(f"  (the daemon pauses first: {cooldown.reason})")
            await asyncio.sleep(max(0.0, cooldown.until - time.time()) + 1.0)


def _under_way(about: PreparationView) -> bool:
    # At first the amount of work is not known yet.
    undone = not about.schedulers or any(each.state in UNDONE for each in about.schedulers)
    return about.enabled and undone


def unpack(archive: Path, folder: Path) -> None:
    """Copy the precompiled files, if any, to where the daemon looks for them."""
    folder.mkdir(parents=True)
    if not archive.exists():
        return
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="tar")


async def _report(scene: Stage, client: AsyncClient) -> None:
    """All data for the report."""
    report = await start_lines(
        [sys.executable, "-m", "cli.main", "report", "--workload", WORKLOAD, "--json"],
        env={"SCHEDPILOT_RUN_DIR": str(client.path.parent)},
    )
    raw = b"".join([line async for line in report.lines()])
    if await report.end() == 0 and raw:
        (scene.out / "report.json").write_bytes(raw)


def tell(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


async def perform(out: Path, place: Path, book: Book) -> None:
    async with stage(out) as scene:
        pace = await asyncio.to_thread(measure)
        if words := pace.words():
            scene.say(words)
        slower = round(min(MOST_SLOWER, pace.factor), 1)
        play = Play(scene, place, book, slower if slower >= WORTH_TELLING else 1.0)
        whole_s = SCENE_S * pace.factor
        try:
            async with asyncio.timeout(whole_s):
                await play.perform()
        except TimeoutError:
            raise Stopped(f"the whole demo took longer than {whole_s:.0f} s") from None


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--out", type=Path, required=True)
    out: Path = words.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    book = Book(tell)
    book.write(DemoAccount())
    try:
        with TemporaryDirectory(prefix="schedpilot-demo-", ignore_cleanup_errors=True) as place:
            # clang runs as its own user, and must be able to reach the daemon's cache in here.
            Path(place).chmod(0o755)
            asyncio.run(perform(out, Path(place), book))
    except Stopped as stopped:
        book.write(replace(book.account, why=str(stopped)))
    except Fault as fault:
        book.write(replace(book.account, why=str(fault)))
        sys.stderr.write(fault.report() + "\n")
    except Exception as error:  # noqa: BLE001 - the user gets a message, not a traceback
        book.write(replace(book.account, why=defect(out, error)))
    raise SystemExit(0 if book.account.whole else 1)


if __name__ == "__main__":
    main()
