# SPDX-License-Identifier: GPL-2.0-or-later
"""The operator's objectives, from the configuration to every answer: all parts of the daemon, with
the signals of a starved service."""

import asyncio
import time
from pathlib import Path

from daemon.api.models import SignalPoint
from daemon.config import parse
from daemon.gates.candidates import Candidate
from daemon.main import Daemon
from daemon.service.events import EventLog
from daemon.service.notify import Notifier
from scheduler_library.manifest import EntryKind

REDIS = "comm:cachelike"
STARVED = SignalPoint(
    at=0.0,
    delay_p50_us=60_000,
    delay_p99_us=400_000,
    slice_mean_us=28_000,
    run_share=0.4,
    wakeups_per_s=8,
    involuntary_per_s=40,
    migrations_per_s=1,
)
DECLARED = f"""
[[objective]]
workload = "{REDIS}"
text = "latency p99 < 10ms"
"""


def daemon_in(place: Path, text: str) -> Daemon:
    """All parts, with some intervals of the starved service."""
    folders = "\n".join(f'{name}_dir = "{place / name}"' for name in ("state", "run", "cache"))
    daemon = Daemon(
        parse(f"[daemon]\n{folders}\n{text}", "x"), EventLog(lambda _: None), Notifier()
    )
    now = time.time()
    for number in range(8):
        point = STARVED.model_copy(update={"at": now - 40 + 5 * number})
        daemon.watch.series.add(REDIS, point)
    return daemon


def test_a_declared_latency_is_the_first_fact_about_a_workload(tmp_path: Path) -> None:
    """The objective shows in the profile, in the list of workloads, in beliefs and in a search;
    without it, the same figures look like a batch."""

    async def scene() -> None:
        bare = daemon_in(tmp_path / "bare", "")
        assert "batch" in bare.profiles.profile(REDIS).tags
        daemon = daemon_in(tmp_path / "declared", DECLARED)
        profile = daemon.profiles.profile(REDIS)
        assert "latency-sensitive" in profile.tags
        assert not {"batch", "cpu-bound"} & set(profile.tags)
        assert profile.purposes[0].why == "the operator declared `latency p99 < 10ms`"
        assert profile.sure_of[0].startswith("the operator declared")
        (listed,) = await daemon.handlers.workloads.workloads()
        assert listed.tags == profile.tags
        (learned,) = (await daemon.handlers.beliefs.learned(REDIS, "")).classes
        assert learned.beliefs[0].scheduler == "latency"
        warned = {each.scheduler for each in learned.beliefs if each.warned}
        assert {"batch", "jobs", "fair", "fifo"} <= warned
        found = await daemon.handlers.library.library("", REDIS)
        assert found[0].name in {"latency", "scx_lavd", "scx_bpfland", "scx_flash", "scx_cosmos"}
        assert "bad for latency-sensitive" in next(e.why[0] for e in found if e.name == "batch")

    asyncio.run(scene())


def test_who_wants_to_try_what_is_bad_for_the_objective_is_told(tmp_path: Path) -> None:
    """The declared or requested objective leads to the warning; without a workload there is
    none."""

    async def scene() -> None:
        bare, daemon = daemon_in(tmp_path / "bare", ""), daemon_in(tmp_path / "declared", DECLARED)
        for each in (bare, daemon):
            each.candidates.get = lambda id: Candidate(id, id, EntryKind.BPF, {}, at=1.0)  # type: ignore[method-assign]
        (said,) = await daemon.handlers.beliefs.warnings("batch", REDIS, "")
        assert said.startswith("batch: its page calls it bad for latency-sensitive")
        assert await daemon.handlers.beliefs.warnings("latency", REDIS, "") == []
        assert await daemon.handlers.beliefs.warnings("batch", "", "") == []
        assert await bare.handlers.beliefs.warnings("batch", REDIS, "") == []
        assert await bare.handlers.beliefs.warnings("batch", REDIS, "", "latency p99")

    asyncio.run(scene())
