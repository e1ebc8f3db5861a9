# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot tune -- CMD`: which scheduler runs this command fastest?

The command runs under the current scheduler and under each candidate, alternating in the daemon's
order. The daemon switches schedulers, judges the times, and restores what was there before; this
side only runs the command and reports each run's duration.
"""

import contextlib
import os
import shlex
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from types import FrameType

from cli.check import create, label, not_proven, request_for
from cli.exits import ExitCode
from cli.following import ProgressLine, following
from cli.formats import parse_parameters, quantity, span, titled
from cli.gates import warn
from cli.naming import guard_of
from cli.output import as_json, document, err, note, out, plain, say, table
from cli.placing import placed
from daemon.api.client import Client, control_client
from daemon.api.models import (
    Arm,
    CandidateView,
    Decision,
    HoldRequest,
    MeasurementRequest,
    ParameterValue,
    RollbackRequest,
    TrialRequest,
    TrialState,
    TrialView,
    WindowValue,
)
from daemon.api.telling import nothing_compared, outcome
from process import Fault, FaultType, Fixed, run

MEASUREMENT = "duration"
OBJECTIVE = f"measurement {MEASUREMENT} lower"
# Tried if the library has no suggestion for the command.
USUAL = ("latency", "batch", "locality")
MOST_SUGGESTED = 3
# The API's bounds on windows; each run is one.
LEAST_WINDOWS, MOST_WINDOWS = 4, 64
# Polling interval for a trial that waits for a human or for the kernel, seconds.
LOOK_AGAIN_S = 0.2

UNFINISHED = (TrialState.RUNNING, TrialState.AWAITING_APPROVAL)


class CommandFailed(Exception):
    """The measured command failed; its times say nothing about schedulers."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(frozen=True)
class TunePlan:
    """The request for `tune`. `settings` by scheduler name; times in seconds."""

    command: tuple[str, ...]
    candidates: tuple[str, ...]
    settings: dict[str, dict[str, ParameterValue]]
    runs: int
    warm_up: int
    timeout_s: float
    show_output: bool
    keep: bool
    objective: str = ""
    guards: tuple[str, ...] = ()

    @property
    def watched(self) -> bool:
        """Whether the daemon also judges by its own signals, beside the duration of each run."""
        return bool(self.objective or self.guards)

    @property
    def windows(self) -> int:
        return max(LEAST_WINDOWS, min(MOST_WINDOWS, 2 * self.runs))


@dataclass(frozen=True)
class RefusedCandidate:
    """A candidate that never reached a trial."""

    name: str
    why: str


def parse_settings(words: Sequence[str]) -> dict[str, dict[str, ParameterValue]]:
    """`NAME:parameter=value` words, by scheduler name.

    Raises:
        Fault: BAD_PARAMETER.
    """
    settings: dict[str, dict[str, ParameterValue]] = {}
    for word in words:
        name, colon, assignment = word.partition(":")
        if not colon:
            raise Fault(
                FaultType.BAD_PARAMETER,
                f"{word[:60]!r} does not say whose parameter it sets",
                hint="write --set SCHEDULER:NAME=VALUE, for example --set latency:slice_us=500",
            )
        settings.setdefault(name, {}).update(parse_parameters([assignment]))
    return settings


def suggested(client: Client, command: Sequence[str]) -> tuple[str, ...]:
    """The library's best few for this command: by its name, then the usual ones."""
    # Only the program's name and its plain words count; flags and paths say little.
    words = [os.path.basename(command[0]), *(w for w in command[1:] if w.isalnum())]  # noqa: PTH119
    found = [each for each in client.library(" ".join(words)[:500]) if each.kind != "external"]
    names = [each.name for each in found if each.installed and (each.score or 0) > 0]
    installed = {each.name for each in client.library() if each.installed}
    names += [name for name in USUAL if name in installed and name not in names]
    return tuple(names[:MOST_SUGGESTED])


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as Ctrl-C does, so that every `finally` runs."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _timed(plan: TunePlan) -> float:
    """Run the command once; seconds of wall time.

    Raises:
        CommandFailed: it failed, or exceeded its time limit.
    """
    started = time.perf_counter()
    try:
        run(
            plan.command,
            timeout=Fixed(plan.timeout_s),
            # This is the user's own command, run as the user wrote it.
            env=dict(os.environ),
            capture=not plan.show_output,
        )
    except Fault as fault:
        raise CommandFailed(fault) from None
    return max(time.perf_counter() - started, 1e-6)


def _ready(client: Client, trial: TrialView, progress: ProgressLine) -> TrialView:
    """The trial as soon as it wants a run, or has ended."""
    told = False
    while trial.state is TrialState.AWAITING_APPROVAL or (
        trial.state is TrialState.RUNNING and trial.next_arm is None
    ):
        if trial.state is TrialState.AWAITING_APPROVAL and not told:
            note(f"waiting for approval: `schedpilot approve {trial.approval or trial.id}`", "")
            progress.stage("waiting for approval")
            told = True
        time.sleep(LOOK_AGAIN_S)
        trial = client.trial(trial.id)
    return trial


def _compare(
    client: Client, plan: TunePlan, candidate: CandidateView, workload: str, progress: ProgressLine
) -> TrialView:
    """Try one candidate against the current scheduler, up to its verdict.

    Raises:
        CommandFailed, Fault, KeyboardInterrupt: after the daemon was asked to roll back.
    """
    trial = _start(client, plan, candidate, workload)
    why = "the client stopped"
    try:
        if plan.watched:
            if trial.state is TrialState.AWAITING_APPROVAL:
                trial = _ready(client, trial, progress)
            return _run_watched(client, plan, trial, progress)
        trial = _ready(client, trial, progress)
        while trial.state is TrialState.RUNNING:
            number = len(trial.windows) + 1
            arm = candidate.name if trial.next_arm is Arm.CANDIDATE else "as it was"
            progress.stage(f"{candidate.name}: run {number} of at most {plan.windows} ({arm})")
            trial = _fed(client, trial, _timed(plan))
            trial = _ready(client, trial, progress)
    except CommandFailed as failed:
        why = f"the measured command failed: {failed}"
        raise
    except KeyboardInterrupt:
        why = "interrupted by the user"
        raise
    finally:
        if trial.state in UNFINISHED:
            _give_back(client, trial.id, why)
    return trial


def _run_watched(
    client: Client, plan: TunePlan, trial: TrialView, progress: ProgressLine
) -> TrialView:
    """Run the command again and again, until the daemon has seen enough of it."""
    while trial.state is TrialState.RUNNING:
        progress.stage(
            f"{trial.scheduler}: window {len(trial.windows) + 1} of at most {plan.windows}"
        )
        began = time.time()
        seconds = _timed(plan)
        client.record_measurement(
            MeasurementRequest(name=MEASUREMENT, value=seconds, unit="s", started=began)
        )
        trial = client.trial(trial.id)
    return trial


def _request(
    client: Client, plan: TunePlan, candidate: CandidateView, workload: str
) -> TrialRequest:
    if not plan.watched:
        return TrialRequest(
            candidate=candidate.id,
            objective=OBJECTIVE,
            max_windows=plan.windows,
            fed_by_client=True,
            keep=False,
        )
    return TrialRequest(
        candidate=candidate.id,
        workload=workload,
        objective=plan.objective or OBJECTIVE,
        guards=[guard_of(client, each) for each in plan.guards],
        max_windows=plan.windows,
        keep=False,
    )


def _start(client: Client, plan: TunePlan, candidate: CandidateView, workload: str) -> TrialView:
    """Start the trial; if the user interrupts the start, end the trial again."""
    request = _request(client, plan, candidate, workload)
    try:
        return client.start_trial(request)
    except KeyboardInterrupt:
        # Use a new connection: the old one may hold half an answer.
        with contextlib.suppress(Fault), control_client() as other:
            running = other.status().trial
            if running and other.trial(running).candidate == candidate.id:
                _give_back(other, running, "interrupted by the user")
        raise


def _fed(client: Client, trial: TrialView, seconds: float) -> TrialView:
    """The trial after one more run; its final state if it ended while the command ran."""
    try:
        return client.feed_window(trial.id, WindowValue(value=seconds))
    except Fault:
        latest = client.trial(trial.id)
        if latest.state in UNFINISHED:
            raise
        return latest


def _give_back(client: Client, trial: str, why: str) -> None:
    """Have the daemon restore what was there before; report it if the daemon cannot be asked."""
    try:
        # Never end somebody else's trial if ours is over by now.
        if client.trial(trial).state in UNFINISHED:
            client.rollback(RollbackRequest(reason=f"tune: {why}"[:2000]))
    except Fault as fault:
        note(f"the rollback could not be asked for ({fault}); the lease ends the trial", "red")


def _prove(
    client: Client, plan: TunePlan, names: Sequence[str]
) -> tuple[list[CandidateView], list[RefusedCandidate]]:
    """Build and prove all candidates before the first run, so that no build disturbs one."""
    proven: list[CandidateView] = []
    refused: list[RefusedCandidate] = []
    for name in names:
        request = request_for(name, []).model_copy(
            update={"parameters": plan.settings.get(name, {})}
        )
        try:
            candidate = create(client, request, name)
            if not candidate.proven or candidate.quarantined:
                raise not_proven(candidate)
        except Fault as fault:
            # A policy that cannot be read is a typing error, and says nothing about schedulers.
            if fault.type in (FaultType.UNREACHABLE, FaultType.BAD_POLICY) or len(names) == 1:
                raise
            note(f"{label(name)} is left out: {fault}", "yellow")
            refused.append(RefusedCandidate(label(name), str(fault)))
        else:
            warn(candidate)
            proven.append(candidate)
    return proven, refused


def _values(trial: TrialView, arm: Arm) -> list[float]:
    return [each.value for each in trial.windows if each.arm is arm and not each.excluded]


def _best(trials: Sequence[TrialView]) -> TrialView | None:
    """The verdict with the largest gain among those to keep."""
    better_ones = [
        each for each in trials if each.verdict and each.verdict.decision is Decision.KEEP
    ]
    return max(better_ones, key=lambda each: each.verdict.gain if each.verdict else 0, default=None)


def _value(value: float, unit: str) -> str:
    return span(value) if unit == "s" else quantity(value, unit)


def _show(
    plan: TunePlan,
    before: str,
    trials: Sequence[TrialView],
    refused: Sequence[RefusedCandidate],
    policies: Mapping[str, str],
) -> None:
    made = table(
        "scheduler", "before", "with it", "ratio", "interval", "runs", "",
        right=("before", "with it", "ratio"),
    )  # fmt: skip
    best = _best(trials)
    for trial in trials:
        old, new = _values(trial, Arm.BASELINE), _values(trial, Arm.CANDIDATE)
        verdict = trial.verdict
        if verdict is None:
            why = f"{trial.state.value}: {trial.reason}".removesuffix(": ")
            change, ratio, bounds = plain(why, 300, "red"), "–", "–"
        else:
            good = verdict.decision is Decision.KEEP
            words = outcome(verdict, trial.direction) if good else f"not kept: {verdict.reason}"
            change = plain(words, 300, "green" if good else "yellow")
            ratio = f"x{verdict.ratio:.3f}"
            bounds = f"{verdict.low:.3f} to {verdict.high:.3f} at {verdict.confidence:.0%}"
            if nothing_compared(verdict):
                ratio, bounds = "–", "nothing compared"
        made.add_row(
            plain(titled(trial.scheduler, trial.parameters), style="bold" if trial is best else ""),
            _value(median(old), trial.unit) if old else "–",
            _value(median(new), trial.unit) if new else "–",
            ratio,
            bounds,
            f"{len(old)}+{len(new)}",
            change,
        )
    for each in refused:
        made.add_row(plain(each.name), *["–"] * 5, plain(each.why, 300, "red"))
    what = plan.objective or "seconds of wall time"
    say(f"{shlex.join(plan.command)}: {what}, medians; before = {before}", "dim")
    out().print(made)
    for trial in trials:
        for guard in trial.guards:
            how = guard.said or guard.state
            say(f"  {trial.scheduler}: guard of {guard.workload}: {guard.text}: {how}")
    for name, text in policies.items():
        say(f"  {name}: {' '.join(text.split())}")
    for trial in trials:
        for arm, name in ((Arm.BASELINE, before), (Arm.CANDIDATE, trial.scheduler)):
            listing = "  ".join(f"{value:.3f}" for value in _values(trial, arm))
            say(f"  {name} ({trial.id}): {listing or 'no run'}", "dim")


def _document(
    plan: TunePlan,
    before: str,
    trials: Sequence[TrialView],
    refused: Sequence[RefusedCandidate],
    policies: Mapping[str, str],
    kept: bool,
) -> dict[str, object]:
    best = _best(trials)
    return {
        "command": list(plan.command),
        "before": before,
        "unit": trials[0].unit if plan.watched and trials else "s",
        "trials": [document(trial) for trial in trials],
        "refused": [{"name": each.name, "why": each.why} for each in refused],
        "policies": dict(policies),
        "best": best.scheduler if best else None,
        "kept": kept,
    }


def tune(plan: TunePlan, *, json: bool) -> ExitCode:
    """Compare, report, and keep the best if that was requested."""
    if shutil.which(plan.command[0]) is None:
        raise Fault(
            FaultType.MISSING_TOOL,
            f"the command {plan.command[0]!r} cannot be run",
            why="there is no such program on the path, or it is not executable",
        )
    trials: list[TrialView] = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(terminable())
        client = stack.enter_context(control_client())
        workload = stack.enter_context(placed(plan.command)) if plan.watched else ""
        status = client.status()
        before = status.loaded.name if status.loaded else "the kernel's own scheduler"
        names = plan.candidates or suggested(client, plan.command)
        if not names:
            raise Fault(
                FaultType.NOT_FOUND,
                "the library suggests nothing for this command",
                hint="name candidates: schedpilot tune --candidate NAME -- CMD",
            )
        if not plan.candidates:
            note(f"candidates: {', '.join(names)} (choose others with --candidate)")
        proven, refused = _prove(client, plan, names)
        if not proven:
            raise Fault(
                FaultType.LOAD_FAILED,
                "no candidate can be tried",
                details=tuple(f"{each.name}: {each.why}" for each in refused),
            )
        by_trial: dict[str, CandidateView] = {}
        try:
            with following("warming up") as progress:
                for _ in range(plan.warm_up):
                    _timed(plan)
                for candidate in proven:
                    trial = _compare(client, plan, candidate, workload, progress)
                    by_trial[trial.id] = candidate
                    trials.append(trial)
        except CommandFailed as failed:
            err().print(plain("the command failed; the machine is as it was before", 200, "red"))
            for line in failed.fault.report().splitlines():
                note(line, "")
            return ExitCode.COMMAND_FAILED
        best = _best(trials)
        kept = best is not None and plan.keep
        if best is not None and plan.keep:
            with following(f"loading {best.scheduler}"):
                client.hold(HoldRequest(candidate=by_trial[best.id].id))
    policies = {each.name: each.policy for each in proven if each.policy}
    if json:
        as_json(_document(plan, before, trials, refused, policies, kept))
        return ExitCode.OK if best else ExitCode.NO
    _show(plan, before, trials, refused, policies)
    if best is None or best.verdict is None:
        say(f"nothing was better than {before}; the machine is as it was", "bold")
        return ExitCode.NO
    name = titled(best.scheduler, best.parameters)
    say(f"best: {name}, {outcome(best.verdict, best.direction)}", "bold green")
    say(f"{name} is loaded now" if kept else "the machine is as it was; --keep loads the best")
    return ExitCode.OK
