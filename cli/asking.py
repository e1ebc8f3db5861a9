# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot ask`: ask the agent to improve a workload that runs, or a command.

It first says how it understands the goal, and asks when the goal is not clear. A command runs again
and again while the agent works on an episode about it, in its own cgroup if this process may make
one. Each run's duration is reported to the daemon, so that a trial can be judged by it.
"""

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from cli.exits import ExitCode
from cli.judged import judged_by
from cli.naming import workload_named
from cli.output import as_json, document, note, say
from cli.placing import placed
from cli.settling import (
    MEASUREMENT,
    Settled,
    Typed,
    Unanswered,
    at_the_terminal,
    settle,
    tell_question,
)
from cli.transcript import tell_step
from cli.tune import CommandFailed, terminable
from daemon.api.client import Client, control_client
from daemon.api.models import (
    CloseRequest,
    EpisodeRequest,
    EpisodeState,
    EpisodeView,
    GoalView,
    MeasurementRequest,
    RollbackRequest,
    TrialState,
)
from process import Fault, FaultType, Fixed, run

# How long to wait until the daemon has seen the workload, seconds; it looks once an interval.
SEEN_WITHIN_S = 60.0
LOOK_AGAIN_S = 0.5
# An agent that has been silent this long may not be running, seconds.
SILENT_S = 30.0


@dataclass(frozen=True)
class AskOptions:
    """What the agent is asked to improve: a command to run, or a workload that runs."""

    command: tuple[str, ...]
    workload: str
    goal: str
    timeout_s: float
    objective: str = ""
    guards: tuple[str, ...] = ()


class _Follower(threading.Thread):
    """Opens the episode and reports on it until it closes. `over` is set then, or on trouble."""

    def __init__(self, settled: Settled, *, quiet: bool) -> None:
        super().__init__(daemon=True)
        self._settled = settled
        self._quiet = quiet
        self.over = threading.Event()
        self.episode = ""
        self.closed: EpisodeView | None = None
        self.trouble: Fault | None = None

    def run(self) -> None:
        try:
            with control_client() as client:
                self._await_seen(client)
                wanted = self._settled
                request = EpisodeRequest(
                    workload=wanted.workload,
                    goal=wanted.goal[:500],
                    objective=wanted.objective or None,
                    guards=list(wanted.guards),
                )
                opened = client.open_episode(request)
                self.episode = opened.id
                if not self._quiet:
                    tell_understood(opened, wanted.notes)
                note(f"episode {self.episode}: the agent deals with it")
                self._follow(client, opened)
        except Fault as fault:
            self.trouble = fault
        finally:
            self.over.set()

    def _await_seen(self, client: Client) -> None:
        give_up = time.monotonic() + SEEN_WITHIN_S
        while not self.over.is_set():
            try:
                client.workload(self._settled.workload)
            except Fault as fault:
                if fault.type is not FaultType.NOT_FOUND or time.monotonic() > give_up:
                    raise
                self.over.wait(LOOK_AGAIN_S)
            else:
                return

    def _follow(self, client: Client, opened: EpisodeView) -> None:
        told = 0
        began = time.monotonic()
        judged = _judged(opened)
        while not self.over.is_set():
            view = client.episode(self.episode)
            if _judged(view) != judged:
                judged = _judged(view)
                if not self._quiet:
                    note("the agent says what is meant otherwise:", "yellow")
                    tell_understood(view, ())
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


def _judged(view: EpisodeView) -> tuple[str, ...]:
    return view.objective, *(f"{each.workload} {each.text}" for each in view.guards)


def ask(wish: AskOptions, *, json: bool) -> ExitCode:
    """Run the command until the episode is over, or wait for it; report the result."""
    if wish.command and shutil.which(wish.command[0]) is None:
        raise Fault(
            FaultType.MISSING_TOOL,
            f"the command {wish.command[0]!r} cannot be run",
            why="there is no such program on the path, or it is not executable",
        )
    with contextlib.ExitStack() as stack:
        stack.enter_context(terminable())
        settled = _settled(wish, stack)
        if isinstance(settled, GoalView):
            return _unanswered(settled, json=json)
        follower = _Follower(settled, quiet=json)
        follower.start()
        try:
            times = _run_until(wish, follower.over)
        except CommandFailed as failed:
            _give_up(follower, f"the command failed: {failed}")
            for line in failed.fault.report().splitlines():
                note(line, "red")
            return ExitCode.COMMAND_FAILED
        except KeyboardInterrupt:
            _give_up(follower, "interrupted by the user")
            raise
        follower.join()
    if follower.trouble is not None:
        raise follower.trouble
    assert follower.closed is not None
    return _told(follower.closed, times, json=json)


def _settled(wish: AskOptions, stack: contextlib.ExitStack) -> Settled | GoalView:
    """What the user wants, in measurable terms; the question if it stays open."""
    with control_client() as client:
        workload = workload_named(client, wish.workload) if wish.workload else ""
        if wish.command:
            workload = stack.enter_context(placed(wish.command))
        typed = Typed(wish.goal, workload, wish.objective, wish.guards, wish.command)
        try:
            return settle(client, typed, at_the_terminal())
        except Unanswered as unanswered:
            return unanswered.view


def _unanswered(view: GoalView, *, json: bool) -> ExitCode:
    """A question has no answer: nothing was started."""
    if json:
        as_json(view)
        return ExitCode.QUESTION
    tell_question(view)
    if not view.workload:
        note("say it with --workload ID, or in other words; nothing was started")
    else:
        note("say it with --objective 'TEXT', or in other words; nothing was started")
    return ExitCode.QUESTION


def tell_understood(episode: EpisodeView, notes: Sequence[str]) -> None:
    """How the trials of an episode are judged, so that the user can correct it."""
    for what, words in judged_by(episode):
        if what == "judged by":
            say(f"understood: {words}", "bold")
        elif what == "guarded":
            say(f"guarded: {words}")
        elif what == "open":
            note(f"open: {words}", "yellow")
    for text in dict.fromkeys([*notes, *episode.warnings]):
        note(f"note: {text}", "yellow")
    note("to correct it: Ctrl-C, then --objective 'TEXT' and --guard 'NAME: TEXT'")


def _run_until(wish: AskOptions, over: threading.Event) -> list[float]:
    """Run the command again and again; yields the seconds of each run."""
    times: list[float] = []
    if not wish.command:
        # Wait in short steps, so that Ctrl-C takes effect at once.
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
    """End the episode that nobody waits for any more, and its trial."""
    follower.over.set()
    follower.join(10)
    if not follower.episode:
        return
    with contextlib.suppress(Fault), control_client() as client:
        view = client.episode(follower.episode)
        if any(each.state is TrialState.RUNNING for each in view.trials):
            client.rollback(RollbackRequest(reason=f"ask: {why}"[:2000]))
        client.close_episode(view.id, CloseRequest(summary=why[:2000], advisor="by-hand"))


def _told(episode: EpisodeView, times: Sequence[float], *, json: bool) -> ExitCode:
    kept = any(each.state is TrialState.KEPT for each in episode.trials)
    if json:
        said = {"id": episode.id, "objective": episode.objective, "kept": kept}
        as_json({**said, "episode": document(episode), "seconds": list(times)})
    else:
        for guard in episode.guards:
            how = guard.said or guard.state
            say(f"guard of {guard.workload}: {guard.text}: {how}")
        say(episode.outcome, "bold green" if kept else "bold")
        say(f"the whole story: schedpilot explain {episode.id}", "dim")
    return ExitCode.OK if kept else ExitCode.NO
