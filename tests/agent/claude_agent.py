# SPDX-License-Identifier: GPL-2.0-or-later
"""The Claude agent like the real process, for tests: a fake machine behind the real API, the real
MCP server as its child, the real SDK, and a scripted model on the loopback interface."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from agent.bandit_advisor import BanditAdvisor
from agent.claude.runner import ClaudeRunner
from agent.claude.settings import Claude
from agent.loop import Loop
from agent.main import connect
from daemon.api.models import EpisodeState, EpisodeView, StepRequest
from daemon.api.paths import RUN_DIR_VARIABLE
from tests.agent.machine import Machine, ServedMachine, serving
from tests.agent.scripted_anthropic import (
    KEY,
    MODEL,
    Says,
    Scripted,
    ScriptedAnthropic,
    Use,
    scripted,
)

POLICY = "slice 3ms"
# What the machine calls every policy, and what it does to the measured values.
POLICY_NAME = "policy-0a1b2c3d"
EFFECT = {POLICY_NAME: 0.5, "latency": 0.4, "batch": 1.6}

CHECKS = Says("", [Use("check_candidate", {"policy": POLICY})])
LEARNS = Says("", [Use("record_lesson", {"text": "short slices help short bursts"})])
# Ample for an episode in which every child has to be started again, seconds.
CLOSED_S = 60.0
# The simple case: one line, one call; then the lesson.
GOOD = (CHECKS, LEARNS)


def settings(url: str, folder: Path, **others: Any) -> Claude:
    """A configuration that gives up quickly, with its key in a file."""
    (folder / "key").write_text(KEY + "\n")
    given = {
        "model": MODEL,
        "base_url": url,
        "key_file": str(folder / "key"),
        "state_dir": str(folder),
        "timeout_s": 10.0,
        "attempts": 2,
        "prices": {MODEL: {"input": 3.0, "output": 15.0}},
        **others,
    }
    return Claude.model_validate(given)


class Agent:
    """The agent's loop in a thread; tests write the model's script and open episodes."""

    def __init__(
        self, served: ServedMachine, model: ScriptedAnthropic, runner: ClaudeRunner
    ) -> None:
        self.served = served
        self.model = model
        self._loop = Loop(connect, BanditAdvisor(), runner=runner, first_pause_s=0.01)
        self._events = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._runner = runner
        self._thread = threading.Thread(target=self._main)

    def _main(self) -> None:
        asyncio.set_event_loop(self._events)
        self._task = self._events.create_task(self._loop.run())
        with contextlib.suppress(asyncio.CancelledError):
            self._events.run_until_complete(self._task)
        self._events.run_until_complete(self._runner.close())
        self._events.run_until_complete(self._events.shutdown_asyncgens())
        self._events.close()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        def cancel() -> None:
            if self._task is not None:
                self._task.cancel()

        self._events.call_soon_threadsafe(cancel)
        self._thread.join(20)
        assert not self._thread.is_alive()

    def episode(self, *script: Scripted, again: Scripted | None = None) -> EpisodeView:
        """A degradation and its whole episode, with a model that follows this script."""
        self.model.script[:] = script
        self.model.again = again
        self.model.asked.clear()
        self.served.call(self._forget)
        return self.closed(self.served.call(self.served.machine.degrade))

    def closed(self, episode: str) -> EpisodeView:
        """The episode once it is closed."""
        self.served.do(self._closed(episode), CLOSED_S)
        return self.served.do(self.served.machine.episode(episode))

    async def _closed(self, episode: str) -> None:
        async for _ in self.served.machine.events(0):
            if self.served.machine.kept_episodes[episode].state is EpisodeState.CLOSED:
                return

    def _forget(self) -> None:
        """The offline advisor's view: the machine is as it was at first."""
        self.served.machine.loaded = None
        self.served.machine.known_outcomes.clear()

    def steps(self, episode: str) -> list[StepRequest]:
        asked = list(self.served.machine.asked)
        return [what[1] for name, what in asked if name == "record_step" and what[0] == episode]

    def assert_well(self) -> None:
        """The next episode ends well, as if nothing had happened."""
        view = self.episode(*GOOD)
        assert view.advisor == "claude", view.outcome
        assert view.outcome.startswith(f"kept {POLICY_NAME}")
        assert self.served.machine.running == ""


@contextlib.contextmanager
def running_agent(
    served: ServedMachine, runner: ClaudeRunner, model: ScriptedAnthropic
) -> Iterator[Agent]:
    agent = Agent(served, model, runner)
    agent.start()
    try:
        yield agent
    finally:
        agent.stop()


@contextlib.contextmanager
def whole_agent(folder: Path, machine: Machine, *, timeout_s: float = 10.0) -> Iterator[Agent]:
    """An agent with its MCP server and a scripted model, on this machine."""
    with (
        pytest.MonkeyPatch.context() as patch,
        scripted() as model,
        serving(at(patch, folder), machine) as served,
    ):
        runner = ClaudeRunner(settings(model.url, folder, timeout_s=timeout_s), first_pause_s=0.01)
        with running_agent(served, runner, model) as agent:
            yield agent


def mcp_children() -> list[psutil.Process]:
    """The MCP servers that this process has started."""
    found = []
    for each in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if "mcp_server.main" in each.cmdline():
                found.append(each)
    return found


def at(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """From now on the machine's sockets are here."""
    monkeypatch.setenv(RUN_DIR_VARIABLE, str(folder / "run"))
    return folder / "run"
