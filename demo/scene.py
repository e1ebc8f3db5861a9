# SPDX-License-Identifier: GPL-2.0-only
"""The demo itself, on a sched_ext kernel: `python -m demo.scene --out DIR`, as root.

A real Redis with a real customer, the real daemon and advisor, a real compressor as the bad
neighbour. Nothing here decides anything: it starts programs, waits for what the daemon says,
and tells it. The exit status is 0 when a scheduler was kept because it was better, and the bad
choice after it was rolled back.
"""

import argparse
import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from daemon.api.client import AsyncClient
from daemon.api.models import (
    CandidateRequest,
    Event,
    EventKind,
    TrialRequest,
    TrialState,
    TrialView,
)
from process import Fault, FaultType, LineChild, start_lines

WORKLOAD = "comm:redis-server"
CRAWL = Path(__file__).parent / "schedulers" / "crawl" / "crawl.bpf.c"
# How long the service is left alone, so that there is a baseline to fall from, seconds.
QUIET_S = 16.0
# The programs have started when so much of the machine is busy at most, for so many seconds.
CALM_UTILISATION = 0.6
CALM_INTERVALS = 4
# The neighbour's processes: a batch that somebody started with more jobs than CPUs.
JOBS_PER_CPU = 4
# A whole stage may take this long, seconds; the emulated machine is some fifteen times slower.
PATIENCE_S = 420.0
CONFIG = """
[daemon]
autonomy = "auto"
interval_s = 1.0
state_dir = "{state}"
run_dir = "{run}"
cache_dir = "{cache}"

[detect]
baseline_min = 8
samples_min = 20

[trial]
window_s = 6.0
settle_s = 1.5

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
text = "latency p99 < 10ms"

# The demo's own programs.
[[ignore]]
workload = "comm:python*"
"""
TOLD = {
    EventKind.DEGRADATION,
    EventKind.EPISODE_OPENED,
    EventKind.GATE_PASSED,
    EventKind.GATE_FAILED,
    EventKind.TRIAL_STARTED,
    EventKind.WINDOW,
    EventKind.VERDICT,
    EventKind.KEPT,
    EventKind.ROLLBACK,
    EventKind.EJECTED,
    EventKind.LESSON,
    EventKind.EPISODE_CLOSED,
}


@dataclass
class Stage:
    """The children that play, and the clock."""

    out: Path
    began: float = field(default_factory=time.monotonic)
    children: list[LineChild] = field(default_factory=list)
    relays: list[asyncio.Task[None]] = field(default_factory=list)

    def say(self, text: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self.began:6.1f}s  {text}\n")
        sys.stdout.flush()

    async def start(self, name: str, *argv: str | Path, **env: str) -> LineChild:
        """A child whose words go to a file of its name."""
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


async def until(stage: Stage, events: AsyncIterator[Event], *wanted: EventKind) -> Event:
    """Tell what happens until one of these has; nothing in time is the end of the demo."""
    async with asyncio.timeout(PATIENCE_S):
        async for event in events:
            if event.kind in TOLD:
                stage.say(f"  {event.kind.value}: {event.message}")
            if event.kind in wanted:
                return event
    raise RuntimeError("the daemon ended in the middle of the demo")


async def reachable(client: AsyncClient, child: LineChild) -> None:
    """Until the daemon answers."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await client.status()
                return
            except Fault as fault:
                if fault.type is not FaultType.UNREACHABLE or child.status is not None:
                    raise
                await asyncio.sleep(0.2)


async def play(scene: Stage, place: Path) -> bool:
    python = sys.executable
    run = place / "run"
    redis = place / "redis.sock"
    config = place / "schedpilot.toml"
    config.write_text(
        CONFIG.format(state=place / "state", run=run, cache=place / "cache"), encoding="utf-8"
    )
    scene.say("schedpilotd watches, in autonomy `auto`; the offline advisor waits")
    daemon = await scene.start("daemon", python, "-m", "daemon.main", "--config", config)
    async with AsyncClient(run / "control.sock") as client:
        await reachable(client, daemon)
        environment = {"SCHEDPILOT_RUN_DIR": str(run)}
        await scene.start("agent", python, "-m", "agent.main", **environment)
        await idle(client)
        scene.say("a service that people wait for: redis-server, asked 100 times a second")
        await scene.start(
            "redis",
            *("redis-server", "--port", "0", "--unixsocket", redis),
            *("--save", "", "--appendonly", "no", "--dir", place),
        )
        await scene.start(
            "client",
            *(python, "-m", "demo.client", "--redis", redis),
            *("--control", run / "control.sock", "--record", scene.out / "redis.jsonl"),
        )
        await first_measurements(client)
        await idle(client)
        scene.say(f"all have started; quiet for {QUIET_S:.0f} s, so that normal is known")
        await asyncio.sleep(QUIET_S)
        events = client.events(0)
        jobs = JOBS_PER_CPU * len(os.sched_getaffinity(0))
        scene.say(f"a neighbour moves in: {jobs} zstd processes compress")
        for number in range(jobs):
            await scene.start(f"neighbour-{number}", "zstd", "-b12", "-i3600")
        closed = await until(scene, events, EventKind.EPISODE_CLOSED)
        episode = await client.episode(closed.episode)
        kept = next((each for each in episode.trials if each.state is TrialState.KEPT), None)
        if kept is None:
            scene.say(f"nothing was kept: {episode.outcome}")
            await keep_report(scene, client, None, None)
            return False
        scene.say("now a bad choice on purpose: `crawl`, one queue and slices of 40 ms")
        bad = await bad_choice(scene, client, events)
        await keep_report(scene, client, kept, bad)
        return bad.state is TrialState.ROLLED_BACK


async def first_measurements(client: AsyncClient) -> None:
    """Until the customer is served and says so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if any(each.value for each in (await client.status()).objectives):
                return
            await asyncio.sleep(0.5)


async def idle(client: AsyncClient) -> None:
    """Until the programs have started and the machine has little to do."""
    calm = 0
    async with asyncio.timeout(PATIENCE_S):
        while calm < CALM_INTERVALS:
            machine = ((await client.signals()).line or {}).get("machine")
            busy = machine.get("utilisation", 1.0) if isinstance(machine, dict) else 1.0
            calm = calm + 1 if busy < CALM_UTILISATION else 0
            await asyncio.sleep(1.0)


async def bad_choice(scene: Stage, client: AsyncClient, events: AsyncIterator[Event]) -> TrialView:
    source = CRAWL.read_text(encoding="utf-8")
    candidate = await client.create_candidate(CandidateRequest(source=source, name="crawl"))
    # The daemon rests for a while after a keep; a demo waits for it rather than asks for less.
    status = await client.status()
    if status.cooldown is not None:
        scene.say(f"  (the daemon rests first: {status.cooldown.reason})")
        await asyncio.sleep(max(0.0, status.cooldown.until - time.time()) + 1.0)
    trial = await client.start_trial(TrialRequest(candidate=candidate.id, workload=WORKLOAD))
    while True:
        await until(scene, events, EventKind.ROLLBACK, EventKind.KEPT)
        view = await client.trial(trial.id)
        if view.ended:
            return view


async def keep_report(
    scene: Stage, client: AsyncClient, kept: TrialView | None, bad: TrialView | None
) -> None:
    """The account, and everything the report is drawn from."""
    account: dict[str, object] = {
        "kept": kept.model_dump(mode="json") if kept else None,
        "bad": bad.model_dump(mode="json") if bad else None,
        "status": (await client.status()).model_dump(mode="json"),
    }
    (scene.out / "account.json").write_text(json.dumps(account, indent=1), encoding="utf-8")
    await _report(scene, client)


async def _report(scene: Stage, client: AsyncClient) -> None:
    report = await start_lines(
        [sys.executable, "-m", "cli.main", "report", "--workload", WORKLOAD, "--json"],
        env={"SCHEDPILOT_RUN_DIR": str(client.path.parent)},
    )
    raw = b"".join([line async for line in report.lines()])
    await report.end()
    (scene.out / "report.json").write_bytes(raw)


async def perform(out: Path, place: Path) -> bool:
    async with stage(out) as scene:
        return await play(scene, place)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--out", type=Path, required=True)
    out: Path = words.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    try:
        with TemporaryDirectory(prefix="schedpilot-demo-") as place:
            # clang runs as a user of its own, and has to get to the daemon's cache in here.
            Path(place).chmod(0o755)
            good = asyncio.run(perform(out, Path(place)))
    except Fault as fault:
        sys.stderr.write(fault.report() + "\n")
        raise SystemExit(1) from None
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
