# SPDX-License-Identifier: GPL-2.0-or-later
"""The loop around an advisor: it waits for an episode, has it handled, and closes it.

One episode at a time, one trial at a time. Safety does not depend on this process: the daemon
guards every trial itself, so it may die at any point. After a restart it continues with the
episodes that are still open.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable

from agent.advisor import Advisor
from agent.connection import ActingClient, Connect, Connection, ReadingClient
from agent.delegation import Delegation, EpisodeRunner, HandedOn
from agent.episode import EpisodeWork, Spent, advice_text, see
from daemon.api.models import (
    AdviceRequest,
    CallsRequest,
    CallsView,
    CloseRequest,
    EpisodeState,
    EpisodeView,
    EventKind,
    MeasurementRequest,
    TrialState,
    TrialView,
)
from process import Fault, FaultType

log = logging.getLogger("schedpilot-agent")

# Pauses before reconnecting: the first and the longest, seconds; doubled each time.
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
# A trial is checked again after this time even without an event about it.
LOOK_AGAIN_S = 10.0
# How many episodes are searched for open ones at each (re)connection.
OPEN_SEARCHED = 50
# A daemon older than this, seconds, has opened all its sockets.
OPENING_S = 5.0
# How many handled episodes are remembered; more than are ever searched.
REMEMBERED = 1000


class Loop:
    """Listens to one daemon and lets one advisor handle its episodes.

    Args:
        connect: opens a connection; raises Fault if there is no daemon.
        runner: handles whole episodes itself; those that it hands on go to the advisor.
        most_trials: limit for one episode.
        clock: Unix seconds.
        first_pause_s: pause before the first reconnection.
    """

    def __init__(
        self,
        connect: Connect,
        advisor: Advisor,
        *,
        runner: EpisodeRunner | None = None,
        most_trials: int = 3,
        clock: Callable[[], float] = time.time,
        first_pause_s: float = FIRST_PAUSE_S,
    ) -> None:
        self._connect = connect
        self._advisor = advisor
        self._runner = runner
        self._most_trials = most_trials
        self._clock = clock
        self._first_pause_s = first_pause_s
        self._waiting: deque[str] = deque()
        self._seen: deque[str] = deque(maxlen=REMEMBERED)
        self._news = asyncio.Event()
        self._last_seq = 0
        self._instance: tuple[int, float] | None = None
        self._actor: ActingClient | None = None
        self._done = 0

    async def push(self, measurement: MeasurementRequest) -> None:
        """Send a measurement to the currently connected daemon.

        Raises:
            Fault: UNREACHABLE or NOT_ALLOWED if no daemon takes it.
        """
        if self._actor is None:
            raise Fault(
                FaultType.UNREACHABLE,
                "the measurement is lost",
                why="the daemon's control socket is not open to this process",
            )
        await self._actor.record_measurement(measurement)

    async def count_calls(self, request: CallsRequest) -> CallsView:
        """The calls of a program's functions since the last request, as the daemon counts them.

        Raises:
            Fault: UNREACHABLE if no daemon counts them, or the daemon's.
        """
        if self._actor is None:
            raise Fault(
                FaultType.UNREACHABLE,
                "calls cannot be counted",
                why="the daemon's control socket is not open to this process",
            )
        return await self._actor.count_calls(request)

    async def run(self, *, once: bool = False) -> None:
        """Serve until cancelled; with `once` until one episode was handled."""
        pause_s = self._first_pause_s
        trouble = ""
        while True:
            try:
                async with self._connect() as connection:
                    await self._greet(connection)
                    trouble, pause_s = "", self._first_pause_s
                    self._actor = connection.actor
                    await self._serve(connection, once)
                    if once and self._done:
                        return
                    log.info("the daemon ended the stream of events; waiting for it to come back")
            except Fault as fault:
                if str(fault) != trouble:
                    log.warning("%s; trying again", fault)
                trouble = str(fault)
            finally:
                self._actor = None
            # Jitter, so that clients do not all reconnect at the same instant.
            await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))  # noqa: S311
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)

    async def _greet(self, connection: Connection) -> None:
        """Find out which daemon this is, and which episodes are open.

        Raises:
            Fault: UNREACHABLE also if the daemon is so young that its control socket may still
                open.
        """
        status = await connection.reader.status()
        if connection.actor is None and self._clock() - status.since < OPENING_S:
            raise Fault(
                FaultType.UNREACHABLE,
                "the daemon is just starting",
                why="its control socket may not be open yet",
            )
        instance = (status.pid, status.since)
        if instance != self._instance:
            # A restarted daemon may count its events anew.
            self._last_seq = 0
            self._instance = instance
            surface = "control" if connection.actor else "observe, so advice is only logged"
            log.info("daemon %s, autonomy %s, socket: %s", status.version, status.autonomy, surface)
        for episode in reversed(await connection.reader.episodes(OPEN_SEARCHED)):
            if episode.state is EpisodeState.OPEN:
                self._enqueue(episode.id)

    def _enqueue(self, episode: str) -> None:
        if episode not in self._seen and episode not in self._waiting:
            self._waiting.append(episode)
            self._news.set()

    async def _serve(self, connection: Connection, once: bool) -> None:
        """Listen and work until the stream ends, the connection fails, or once done."""
        listener = asyncio.create_task(self._listen(connection.reader))
        worker = asyncio.create_task(self._work(connection, once))
        try:
            await asyncio.wait({listener, worker}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (listener, worker):
                task.cancel()
            results = await asyncio.gather(listener, worker, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _listen(self, reader: ReadingClient) -> None:
        async for event in reader.events(self._last_seq):
            self._last_seq = event.seq
            if event.kind is EventKind.EPISODE_OPENED and event.episode:
                self._enqueue(event.episode)
            # Wakes all that wait for a trial.
            self._news.set()

    async def _work(self, connection: Connection, once: bool) -> None:
        while True:
            self._news.clear()
            while self._waiting:
                # It stays first in the queue until done: a lost connection must not lose the
                # episode.
                episode = self._waiting[0]
                dealt = await self._deal_with(connection, episode)
                self._waiting.popleft()
                self._seen.append(episode)
                self._done += dealt
                if once and self._done:
                    return
                self._news.clear()
            await self._news.wait()

    async def _finished(self, reader: ReadingClient, trial: str) -> TrialView:
        """The trial once it is over and none of its work runs, noticed by event, or by polling if
        an event was missed.
        """
        while True:
            self._news.clear()
            view = await reader.trial(trial)
            if view.ended or await self._forgotten(reader, view):
                return await reader.trial(trial)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), LOOK_AGAIN_S)

    async def _forgotten(self, reader: ReadingClient, view: TrialView) -> bool:
        """Whether nobody will end this trial any more, because an earlier run of the daemon started
        it.
        """
        if view.state is TrialState.AWAITING_APPROVAL and view.episode:
            return (await reader.episode(view.episode)).state is not EpisodeState.OPEN
        return (await reader.status()).trial != view.id

    async def _deal_with(self, connection: Connection, id: str) -> bool:
        """Handle one episode. False if it was over already.

        Raises:
            Fault: UNREACHABLE only; any other becomes the episode's summary.
        """
        reader, actor = connection.reader, connection.actor
        spent = Spent()
        who = self._advisor.name
        try:
            episode = await reader.episode(id)
            if episode.state is not EpisodeState.OPEN:
                return False
            log.info("episode %s: %s", id, episode.trigger.reason if episode.trigger else "opened")
            if actor is None:
                situation = await see(reader, episode, self._clock(), episode.trials, [])
                advice = await self._advisor.propose(situation)
                log.info("episode %s, advice only: %s", id, advice_text(advice))
                return True
            who, summary = await self._dealt(reader, actor, episode, spent)
        except Fault as fault:
            if fault.type is FaultType.UNREACHABLE:
                raise
            log.warning("episode %s: %s", id, fault)
            if fault.type is FaultType.NOT_FOUND or actor is None:
                return False
            summary = f"given up: {fault}"
        log.info("episode %s: %s", id, summary)
        await self._close(
            actor, id, CloseRequest(summary=summary[:2000], advisor=who, cost=spent.report())
        )
        return True

    async def _dealt(
        self, reader: ReadingClient, actor: ActingClient, episode: EpisodeView, spent: Spent
    ) -> tuple[str, str]:
        """Who handled an episode, and the result.

        Raises:
            Fault: an error that ends the episode or the connection.
        """

        def finished(trial: str) -> Awaitable[TrialView]:
            return self._finished(reader, trial)

        handed = ""
        if self._runner is not None:
            delegation = Delegation(
                episode, reader, actor, finished, spent, self._most_trials, self._clock
            )
            try:
                return self._runner.name, await self._runner.deal(delegation)
            except HandedOn as why:
                handed = f"{self._runner.name} handed it on ({why}); {self._advisor.name}: "
                log.warning("episode %s: %s", episode.id, handed)
                text = f"{self._runner.name} handed the episode on to {self._advisor.name}: {why}"
                await actor.advise(episode.id, AdviceRequest(text=text[:2000]))
            episode = await reader.episode(episode.id)
        work = EpisodeWork(
            reader=reader,
            actor=actor,
            advisor=self._advisor,
            finished=finished,
            most_trials=self._most_trials,
            clock=self._clock,
            spent=spent,
        )
        return self._advisor.name, handed + await work.deal(episode)

    async def _close(self, actor: ActingClient, id: str, request: CloseRequest) -> None:
        for pause_s in (0.2, 1.0, 5.0, 0.0):
            try:
                await actor.close_episode(id, request)
                return
            except Fault as fault:
                if fault.type is FaultType.UNREACHABLE:
                    raise
                if fault.type is not FaultType.BUSY or not pause_s:
                    # For example because the daemon closed it in the meantime.
                    log.info("episode %s is not closed by us: %s", id, fault)
                    return
            await asyncio.sleep(pause_s)
