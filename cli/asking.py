# SPDX-License-Identifier: GPL-2.0-only
"""`schedpilot tune --agent`: ask the agent to make a command, or what runs already, go better.

The command runs again and again, as a workload of its own where this process may make a cgroup,
while the agent deals with an episode about it. How long each run takes is told to the daemon,
so that a trial can be judged by it.
"""

import contextlib
import os
import shlex
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cli.exits import Exit
from cli.output import as_json, document, note, say
from cli.transcript import tell_step
from cli.tune import CommandFailed, terminable
from daemon.api.client import Client, control_client
from daemon.api.models import (
    CloseRequest,
    EpisodeRequest,
    EpisodeState,
    EpisodeView,
    MeasurementRequest,
    RollbackRequest,
    TrialState,
)
from process import Fault, FaultType, Fixed, run

MEASUREMENT = "tune.seconds"
CGROUPS = Path("/sys/fs/cgroup")
# Until the daemon has seen what runs, seconds; it looks once an interval.
SEEN_WITHIN_S = 60.0
LOOK_AGAIN_S = 0.5
# An agent that has not said a word by then is perhaps none, seconds.
SILENT_S = 30.0


@dataclass(frozen=True)
class Wish:
    """What is asked for: a command to run, or a workload that runs."""

    command: tuple[str, ...]
    workload: str
    goal: str
    timeout_s: float

    def text(self) -> str:
        """The goal in words, as the agent reads it."""
        if not self.command:
            return (self.goal or "serve this workload better")[:500]
        how = f" (each run's seconds are posted: objective `measurement {MEASUREMENT} lower`)"
        what = self.goal or f"finish sooner: {shlex.join(self.command)}"
        return what[: 500 - len(how)] + how


class _Follower(threading.Thread):
    """Opens the episode, and tells of it until it is closed. `over` is set then, or by trouble."""

    def __init__(self, wish: Wish, workload: str, *, quiet: bool) -> None:
        super().__init__(daemon=True)
        self._wish = wish
        self._workload = workload
        self._quiet = quiet
        self.over = threading.Event()
        self.episode = ""
        self.closed: EpisodeView | None = None
        self.trouble: Fault | None = None

    def run(self) -> None:
        try:
            with control_client() as client:
                self._await_seen(client)
                request = EpisodeRequest(workload=self._workload, goal=self._wish.text())
                self.episode = client.open_episode(request).id
                note(f"episode {self.episode}: the agent deals with it")
                self._follow(client)
        except Fault as fault:
            self.trouble = fault
        finally:
            self.over.set()

    def _await_seen(self, client: Client) -> None:
        give_up = time.monotonic() + SEEN_WITHIN_S
        while not self.over.is_set():
            try:
                client.workload(self._workload)
            except Fault as fault:
                if fault.type is not FaultType.NOT_FOUND or time.monotonic() > give_up:
                    raise
                self.over.wait(LOOK_AGAIN_S)
            else:
                return

    def _follow(self, client: Client) -> None:
        told = 0
        began = time.monotonic()
        while not self.over.is_set():
            view = client.episode(self.episode)
            for step in client.steps(self.episode):
                if step.number > told:
                    told = step.number
                    if not self._quiet:
                        tell_step(step)
            if view.state is EpisodeState.CLOSED:
                self.closed = view
                return
            if not told and began and time.monotonic() - began > SILENT_S:
                note("nothing yet; does the agent run? `systemctl status schedpilot-agent`")
                began = 0.0
            self.over.wait(LOOK_AGAIN_S)


@contextlib.contextmanager
def _workload(command: Sequence[str]) -> Iterator[str]:
    """The id of the workload that children of this process are, for the length of the block.

    A cgroup of their own where one can be made: else that of this process, or in the root
    cgroup the command's name.
    """
    own = _own_cgroup()
    made = CGROUPS / own.strip("/") / f"schedpilot-tune-{os.getpid()}"
    try:
        # Where this is missing it is no cgroup2, and a folder in it would be just a folder.
        (made.parent / "cgroup.controllers").stat()
        made.mkdir()
        (made / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        with contextlib.suppress(OSError):
            made.rmdir()
        yield f"cgroup:{own}" if own != "/" else f"comm:{Path(command[0]).name[:15]}"
        return
    try:
        yield f"cgroup:/{made.relative_to(CGROUPS)}"
    finally:
        with contextlib.suppress(OSError):
            (CGROUPS / own.strip("/") / "cgroup.procs").write_text(str(os.getpid()))
            made.rmdir()


def _own_cgroup() -> str:
    for line in Path("/proc/self/cgroup").read_text("utf-8", "surrogateescape").splitlines():
        if line.startswith("0::"):
            return line.removeprefix("0::") or "/"
    return "/"


def ask(wish: Wish, *, json: bool) -> Exit:
    """Run the command until the episode is over, or wait for it; tell what came of it."""
    if wish.command and shutil.which(wish.command[0]) is None:
        raise Fault(
            FaultType.MISSING_TOOL,
            f"the command {wish.command[0]!r} cannot be run",
            why="there is no such program on the path, or it is not executable",
        )
    with contextlib.ExitStack() as stack:
        stack.enter_context(terminable())
        workload = wish.workload or stack.enter_context(_workload(wish.command))
        follower = _Follower(wish, workload, quiet=json)
        follower.start()
        try:
            times = _run_until(wish, follower.over)
        except CommandFailed as failed:
            _give_up(follower, f"the command failed: {failed}")
            for line in failed.fault.report().splitlines():
                note(line, "red")
            return Exit.COMMAND_FAILED
        except KeyboardInterrupt:
            _give_up(follower, "interrupted by the user")
            raise
        follower.join()
    if follower.trouble is not None:
        raise follower.trouble
    assert follower.closed is not None
    return _told(follower.closed, times, json=json)


def _run_until(wish: Wish, over: threading.Event) -> list[float]:
    """Run the command again and again; the seconds of each run."""
    times: list[float] = []
    if not wish.command:
        # In pieces, so that Ctrl-C is heard.
        while not over.wait(LOOK_AGAIN_S):
            pass
        return times
    with control_client() as client:
        while not over.is_set():
            began, started = time.time(), time.perf_counter()
            try:
                run(wish.command, timeout=Fixed(wish.timeout_s), env=dict(os.environ))
            except Fault as fault:
                raise CommandFailed(fault) from None
            times.append(max(time.perf_counter() - started, 1e-6))
            told = MeasurementRequest(name=MEASUREMENT, value=times[-1], unit="s", started=began)
            with contextlib.suppress(Fault):
                client.record_measurement(told)
    return times


def _give_up(follower: _Follower, why: str) -> None:
    """End the episode that nobody waits for any more, and a trial of it."""
    follower.over.set()
    follower.join(10)
    if not follower.episode:
        return
    with contextlib.suppress(Fault), control_client() as client:
        view = client.episode(follower.episode)
        if any(each.state is TrialState.RUNNING for each in view.trials):
            client.rollback(RollbackRequest(reason=f"tune: {why}"[:2000]))
        client.close_episode(view.id, CloseRequest(summary=why[:2000], advisor="by-hand"))


def _told(episode: EpisodeView, times: Sequence[float], *, json: bool) -> Exit:
    kept = any(each.state is TrialState.KEPT for each in episode.trials)
    if json:
        as_json({"episode": document(episode), "seconds": list(times), "kept": kept})
    else:
        say(episode.outcome, "bold green" if kept else "bold")
        say(f"the whole story: schedpilot explain {episode.id}", "dim")
    return Exit.OK if kept else Exit.NO
