# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilotd`: assembles the parts, runs until asked to stop, and leaves nothing behind."""

import argparse
import asyncio
import gc
import logging
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from bpf.kernel.controls import ResourceControl
from bpf.kernel.surroundings import foreign_namespaces
from bpf.signals.source import SignalsSource
from daemon.api.display import displayable
from daemon.api.models import EventKind, ProfileView
from daemon.api.serving import control_app, observe_app
from daemon.autopilot import Autopilot
from daemon.config import PATH, Config, load
from daemon.decide.kept_record import Boot
from daemon.decide.observation import Observation, QuotaUse
from daemon.gates.candidates import Candidates
from daemon.gates.chain import Gates
from daemon.gates.controls import ControlsGate
from daemon.gates.preparation import Preparation, PreparationSubject, Shared, wanted_of
from daemon.gates.proof import Passing
from daemon.gates.verifier import NO_SCHED_EXT
from daemon.gates.warm_check import WarmCheck
from daemon.handlers.wiring import Handlers
from daemon.lifecycle.attachment import ExitReason
from daemon.lifecycle.backoff_store import BackoffStore
from daemon.lifecycle.boot import read_boot
from daemon.lifecycle.episodes import Episode, Episodes
from daemon.lifecycle.keeping import Keeping
from daemon.lifecycle.loader import Loaded, Loader, SchedulerLoader
from daemon.lifecycle.process_facts import ProcessFactsSource
from daemon.lifecycle.trials import Trial, Trials
from daemon.memory.beliefs import Beliefs
from daemon.memory.history_writer import HistoryWriter, opened
from daemon.memory.lessons import FILE as LESSONS
from daemon.memory.lessons import Lessons
from daemon.memory.saved_policies import SavedPolicies
from daemon.service import heap, journal
from daemon.service.events import EventLog
from daemon.service.notify import Notifier
from daemon.service.server import listen, serve_on
from daemon.signals.power import PowerWatch
from daemon.signals.quotas import QuotaReader, QuotaSource
from daemon.signals.recordings import Recordings
from daemon.signals.suspended import SuspendedTime
from daemon.signals.watch import LinesSource, Watch
from daemon.understanding.profiles import Profiles
from process import Fault, FaultType, named_path, printable
from process.effort import settle_session
from scheduler_library.catalog import CatalogEntry, load_catalog
from scheduler_library.history import FILE, open_history
from scheduler_library.profile import Tag

# Limit of workloads that the signals program reports; more than fit on any screen.
MOST_WORKLOADS = 256
# For how many workloads policy lines are proven ahead, how many are checked for that; and how often
# that is done, seconds.
MOST_LIKELY = 4
MOST_LOOKED_AT = 32
LIKELY_S = 60.0
# Said in the status of a daemon in a container.
OTHER_NAMES = (
    "the daemon runs in a cgroup namespace that is not the host's: names of workloads are those of "
    "this container (`schedpilot doctor` says more)"
)
SUFFERS = {Tag.LATENCY_SENSITIVE, Tag.INTERACTIVE}


@dataclass(frozen=True)
class Likely:
    """How long the list of workloads that may need help is used, seconds."""

    workloads: tuple[str, ...] = ()
    until: float = 0.0


class AllGates(Passing, Shared, Protocol):
    """The gates, and the shared part of all candidates there."""


class PowerRegimes(Protocol):
    """The part of `daemon.signals.power.PowerWatch` that is used here."""

    @property
    def regime(self) -> str: ...
    def settled(self, now: float) -> str: ...
    async def first(self) -> str: ...
    async def run(self) -> None: ...


@dataclass(frozen=True)
class DaemonParts:
    """The parts that touch the machine; a test replaces them by fakes.

    Each makes its part from the daemon's named arguments. `stolen`: the share of CPU time that the
    host took in an interval; from /proc/stat if it is None. `suspended`: of the kernel's clocks if
    it is None.
    """

    loader: Callable[..., SchedulerLoader] = Loader
    signals: Callable[..., AbstractAsyncContextManager[LinesSource]] = SignalsSource
    gates: Callable[..., AllGates] = Gates
    controls: Callable[..., ControlsGate] = ControlsGate
    stolen: Callable[[], float] | None = None
    suspended: SuspendedTime | None = None
    boot: Callable[[], Boot] = read_boot
    quotas: Callable[[], QuotaSource] = QuotaReader
    power: Callable[..., PowerRegimes] = PowerWatch


class Daemon:
    """All parts of one running daemon, wired."""

    def __init__(
        self, config: Config, log: EventLog, notifier: Notifier, parts: DaemonParts | None = None
    ) -> None:
        parts = parts or DaemonParts()
        self.config = config
        self.log = log
        self._read_boot = parts.boot
        self.power = parts.power(enabled=config.power.regimes)
        self.notifier = notifier
        self.stop = asyncio.Event()
        self._troubles: dict[str, None] = {}
        state, cache = config.daemon.state, config.daemon.cache
        self._folder(state, 0o750)
        # clang, which runs as its own user, reads the headers there.
        self._folder(cache, 0o755)
        self._catalog = load_catalog(state)
        for warning in self._catalog.warnings:
            self._trouble(str(warning))
        if "cgroup" in foreign_namespaces():
            self._troubles[OTHER_NAMES] = None
        self.backoff_store = BackoffStore(state, config.limits, self._trouble)
        self.history_writer: HistoryWriter = opened(open_history(state / FILE), self._trouble)
        self.lessons = Lessons(state / LESSONS, self.history_writer, self._trouble)
        self.beliefs = Beliefs(
            catalog=lambda: self._catalog,
            history_writer=self.history_writer,
            lessons=self.lessons,
            quarantines=lambda: self.backoff_store.state.quarantines,
        )
        self.process_facts = ProcessFactsSource(
            known=self.history_writer.runtimes(),
            store=self.history_writer.runtimes_learned,
            listen=lambda processes: self.watch.set_processes(processes),
        )
        self.loader = parts.loader(
            lease_s=config.trial.lease_s,
            on_gone=self._gone,
            on_attached=self.process_facts.loaded,
            on_none_attached=self.process_facts.unloaded,
        )
        self.watch = Watch(
            start=lambda interval_s: parts.signals(
                interval_s, max_workloads=MOST_WORKLOADS, on_process=self.process_facts.take
            ),
            interval_s=config.daemon.interval_s,
            processes=self.process_facts.wanted,
            scheduler=self._running_name,
            on_observation=self._observe,
            on_trouble=self._signals_trouble,
            stolen=parts.stolen,
            suspended=parts.suspended,
            # What may be ignored is not watched.
            quotas=None if ResourceControl.MAX in config.gates.allow_ignoring else self._quotas,
        )
        self.quota_reader = parts.quotas()
        self.episodes = Episodes(publish=log.append, on_change=self._episode_changed)
        self.warm = WarmCheck()
        controls = parts.controls(settings=config.gates)
        self.gates = parts.gates(
            settings=config.gates, cache=cache, warm=self.warm, controls=controls
        )
        self.recordings = Recordings(state / "traces", self._trouble)
        self.candidates = Candidates(
            catalog=lambda: self._catalog,
            folder=state / "candidates",
            gates=self.gates,
            publish=log.append,
            cache=cache,
            recorded=self.recordings.newest,
            controls=controls,
        )
        self.preparation = Preparation(
            enabled=config.prepare.enabled,
            gates=self.gates,
            candidates=self.candidates,
            wanted=self._wanted_ahead,
            hindered=self._hindered,
            impossible=self._impossible,
            on_refused=lambda candidate: self.autopilot.gates_met(candidate),
            on_trouble=self._trouble,
            publish=log.append,
        )
        self._likely = Likely()
        self.trials = Trials(
            loader=self.loader, watch=self.watch, publish=log.append, on_end=self._trial_ended
        )
        self.saved_policies = SavedPolicies(
            state=state,
            episodes=self.episodes,
            catalog=lambda: self._catalog,
            on_saved=self._saved,
            publish=log.append,
            on_trouble=self._trouble,
        )
        self.profiles = Profiles(
            declared=config.declared,
            watch=self.watch,
            jobs=self.process_facts.jobs,
            degraded=lambda: self.autopilot.detection.degraded(),
        )
        self.keeping = Keeping(
            folder=state,
            after_reboot=config.keep.after_reboot,
            autonomy=config.daemon.autonomy,
            baseline_min=config.detect.baseline_min,
            loader=self.loader,
            trials=self.trials,
            candidates=self.candidates,
            backoff_store=self.backoff_store,
            start_trial=lambda request: self.handlers.trials.start_trial(request),
            resumed=lambda kept: self.autopilot.resumed(kept),
            gates_met=lambda candidate: self.autopilot.gates_met(candidate),
            quarantined=lambda *refused: self.autopilot.quarantine(*refused),
            publish=log.append,
            on_trouble=self._trouble,
        )
        self.autopilot = Autopilot(
            config=config,
            loader=self.loader,
            watch=self.watch,
            trials=self.trials,
            episodes=self.episodes,
            backoff_store=self.backoff_store,
            history_writer=self.history_writer,
            keeping=self.keeping,
            publish=log.append,
            profile=self.profiles.profile,
        )
        self.handlers = Handlers(
            config=config,
            log=log,
            catalog=lambda: self._catalog,
            notes=lambda: list(self._troubles),
            profiles=self.profiles,
            loader=self.loader,
            watch=self.watch,
            trials=self.trials,
            episodes=self.episodes,
            candidates=self.candidates,
            autopilot=self.autopilot,
            backoff_store=self.backoff_store,
            history_writer=self.history_writer,
            lessons=self.lessons,
            beliefs=self.beliefs,
            recordings=self.recordings,
            saved_policies=self.saved_policies,
            preparation=self.preparation,
            keeping=self.keeping,
        )

    # Each of these connects one part to another that is made later.

    async def _gone(self, loaded: Loaded, gone: ExitReason) -> None:
        await self.autopilot.gone(loaded, gone)

    async def _trial_ended(self, trial: Trial, gone: ExitReason | None) -> None:
        await self.autopilot.trial_ended(trial, gone)
        if trial.is_evidence:
            self.beliefs.trial_ended(trial.view(), self._episode_profile(trial))
        await self.saved_policies.trial_ended(trial)
        self.preparation.look()

    def _episode_profile(self, trial: Trial) -> ProfileView | None:
        return self.episodes.get(trial.request.episode or "").profile

    def _saved(self, entry: CatalogEntry) -> None:
        self._catalog = self._catalog.plus(entry)

    async def _observe(self, observation: Observation) -> None:
        if self.watch.line is not None:
            self.process_facts.interval(self.watch.line)
            self.preparation.observe(self.watch.line.machine, self.watch.line.interval_s)
        await self._look_at_power(observation.at)
        await self.autopilot.observe(observation)
        self.keeping.observe(observation)

    async def _look_at_power(self, now: float) -> None:
        before = self.power.regime
        regime = self.power.settled(now)
        if regime != before:
            await self.autopilot.power_changed(before, regime)

    def _episode_changed(self, episode: Episode) -> None:
        self.history_writer.episode(episode)
        self.preparation.look()

    def _hindered(self) -> str:
        """Why nothing is proven ahead now."""
        if self.trials.running is not None:
            return "the end of a trial"
        episode = self.episodes.open
        return "the end of an episode" if episode is not None and not episode.by_hand else ""

    def _impossible(self) -> str:
        return "" if self.loader.kernel().supported else NO_SCHED_EXT

    def _wanted_ahead(self) -> list[PreparationSubject]:
        return wanted_of(self._catalog, self._likely_workloads())

    def _likely_workloads(self) -> tuple[str, ...]:
        """Workloads for which an advisor would write a line that names them: those with an
        objective, then those of the kind that suffers from others. Updated now and then.
        """
        if time.monotonic() >= self._likely.until:
            seen = self.watch.series.workloads()
            named = [id for each in self.config.declared for id in each.of(seen)]
            judged = [
                id
                for id in seen[:MOST_LOOKED_AT]
                if id not in named
                and not any(fnmatchcase(id, each) for each in self.config.ignored)
                and self.autopilot.judges(id)
                and SUFFERS & set(self.profiles.profile(id).tags)
            ]
            found = tuple(dict.fromkeys([*named, *judged]))[:MOST_LIKELY]
            self._likely = Likely(found, time.monotonic() + LIKELY_S)
        return self._likely.workloads

    async def _quotas(self) -> tuple[QuotaUse, ...]:
        """The use of cgroups with a quota, while a scheduler of ours is tried or runs."""
        if self.trials.running is None and self.loader.loaded is None:
            self.quota_reader.forget()
            return ()
        return await asyncio.to_thread(self.quota_reader.read)

    def _running_name(self) -> str:
        return self.loader.loaded.what.name if self.loader.loaded else ""

    def _folder(self, path: Path, mode: int) -> None:
        try:
            path.mkdir(mode=mode, parents=True, exist_ok=True)
        except OSError as error:
            self._trouble(f"the folder {path} cannot be made: {error.strerror}")

    def _trouble(self, text: str) -> None:
        """Trouble with our own state: reported, remembered, and not fatal."""
        self._troubles[text] = None
        while len(self._troubles) > 20:
            del self._troubles[next(iter(self._troubles))]
        self.log.append(EventKind.STATE_TROUBLE, text, reason=text)

    def _signals_trouble(self, text: str) -> None:
        self.log.append(EventKind.SIGNALS_LOST, f"signals: {text}", reason=text)

    async def run(self) -> None:
        """Serve until `stop`; then restore the kernel's own scheduler."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop.set)
        with listen(self.config.daemon.run) as listeners:
            # Not earlier: until the folder is ours, another daemon may be using them.
            self.history_writer.close_interrupted()
            self.recordings.open()
            await self.find_kept()
            background = [
                *([] if self._impossible() else [asyncio.create_task(self.warm.run())]),
                asyncio.create_task(self.preparation.run()),
                asyncio.create_task(self.watch.run()),
                asyncio.create_task(self.keeping.run()),
                asyncio.create_task(self.power.run()),
                asyncio.create_task(self.notifier.watch(self.watch.healthy)),
            ]
            # Not after the servers have ended: an open request may delay them for a while, and the
            # kernel must not wait for it.
            restored = asyncio.create_task(self.restore_when_stopped())
            try:
                await serve_on(
                    listeners,
                    observe_app(*self.handlers.all),
                    control_app(*self.handlers.all),
                    self.stop,
                    self._ready,
                )
            finally:
                self.stop.set()
                await restored
                for task in background:
                    task.cancel()
                await asyncio.gather(*background, return_exceptions=True)
                await self.handlers.probes.close()
                await self.recordings.close()
                await self.process_facts.close()
                self.log.append(EventKind.STOPPING, "schedpilotd stops")
                self.log.close()
                self.history_writer.close()

    async def find_kept(self) -> None:
        """Find in the store what was kept; `keeping.look` says what becomes of it."""
        regime = await self.power.first()
        self.keeping.start(await asyncio.to_thread(self._read_boot), regime)

    def _ready(self) -> None:
        kernel = self.loader.kernel()
        autonomy = self.config.daemon.autonomy.value
        text = f"autonomy {autonomy}; sched_ext " + (
            kernel.state if kernel.supported else "is not in this kernel: advice only"
        )
        self.log.append(EventKind.STARTED, f"schedpilotd is ready: {text}")
        self.notifier.ready(text)
        # Objects made at start-up stay for good; later garbage collections need not look at them.
        gc.collect()
        gc.freeze()

    async def restore_when_stopped(self) -> None:
        """Wait for `stop`; then end a running trial, and restore the kernel's own scheduler."""
        await self.stop.wait()
        self.notifier.stopping("putting the kernel's own scheduler back")
        self.keeping.daemon_stops()
        await self.trials.end("the daemon stops")
        loaded = await self.loader.close()
        self.keeping.daemon_ends()
        if loaded is not None:
            self.log.append(
                EventKind.UNLOADED,
                f"{loaded.what.name} was unloaded, the kernel default runs: the daemon stops",
                candidate=loaded.what.candidate,
                scheduler=loaded.what.name,
                reason="the daemon stops",
            )


def _settings(path: Path) -> Config:
    """The configuration; it must exist if it was named.

    Raises:
        Fault: BAD_CONFIG.
    """
    try:
        if path == PATH or path.exists():
            return load(path)
        why = ""
    except OSError as error:
        why = error.strerror or ""
    raise Fault(
        FaultType.BAD_CONFIG,
        "this configuration does not exist",
        where=str(path),
        why=why,
        hint="leave --config out for the usual one",
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the daemon in the foreground; systemd does so for `schedpilotd.service`."""
    words = argparse.ArgumentParser(prog="schedpilot daemon", description=main.__doc__)
    words.add_argument(
        "--config", type=named_path, default=PATH, help="the configuration (default: %(default)s)"
    )
    words.add_argument("--check", action="store_true", help="check the configuration, then exit")
    options = words.parse_args(arguments)
    heap.keep_small()
    settle_session()
    sink = journal.open_sink()
    logging.getLogger().addHandler(journal.LogHandler(sink))
    journal.note_commands(sink)
    try:
        settings = _settings(options.config)
        if options.check:
            sys.stdout.write(f"{displayable(str(options.config))}: no problems\n")
            for each in settings.remarks:
                sys.stdout.write(f"note: {displayable(each)}\n")
            return
        asyncio.run(_serve(settings, sink))
    except Fault as fault:
        sink.note(journal.JournalPriority.ERROR, str(fault))
        for line in fault.report().split("\n"):
            sys.stderr.write(printable(line) + "\n")
        raise SystemExit(2 if fault.type is FaultType.BAD_CONFIG else 1) from None


async def _serve(settings: Config, sink: journal.Sink) -> None:
    log = EventLog(sink.event)
    await Daemon(settings, log, Notifier.from_environment()).run()


if __name__ == "__main__":
    main()
