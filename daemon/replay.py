# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs a recording through the daemon's own decisions: `python -m daemon.replay FILE`.

FILE contains the output of `schedpilot-signals`, plain or gzip. Between its lines there may be
marks, each a JSON object on its own line, for the daemon's other knowledge at that time:

    {"mark": "scheduler", "at": T, "candidate": "c-1234"}       from here on this runs; "": default
    {"mark": "measurement", "at": T, "name": "rps", "value": 812.0}
    {"mark": "trial", "at": T, "workload": "comm:shop", "objective": "response p99 < 5ms",
     "guards": [{"workload": "comm:backup", "text": "cpu not worse than 20%"}]}
    {"mark": "window", "arm": "baseline", "started": T, "ended": T}
    {"mark": "end", "at": T}                                    the trial is over

A window's mark comes after the lines that it covers. As in the daemon, intervals of a trial are not
judged for degradation. Exit status: 0, or 1 with the reason.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bpf.signals.source import SignalsLine, is_process, recorded
from daemon import config as configuration
from daemon.api.display import displayable
from daemon.api.models import (
    Arm,
    Decision,
    Degradation,
    GuardRequest,
    WindowView,
)
from daemon.decide import detect, interval
from daemon.decide.guard import kept_of
from daemon.decide.interval import IntervalFacts, IntervalState
from daemon.decide.objective import Guard, Measurement, Objective, parse_guard, parse_objective
from daemon.decide.observation import Observation, observation_of
from daemon.decide.trial_judgement import (
    GOES_ON,
    Judgement,
    after_window,
    at_the_end,
    sleepers_after,
    while_running,
)
from daemon.decide.windows import ROUNDING_S, Live, is_settled, live_of, window_of
from daemon.decide.words import figure
from process import Fault, FaultType, fault_of, first_problem, named_path, printable


class _Mark(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SchedulerMark(_Mark):
    mark: Literal["scheduler"]
    at: float
    candidate: str


class MeasurementMark(_Mark):
    mark: Literal["measurement"]
    at: float
    name: str
    value: float
    unit: str = ""
    started: float | None = None


class TrialMark(_Mark):
    mark: Literal["trial"]
    at: float
    workload: str
    objective: str
    candidate: str = ""
    guards: tuple[GuardRequest, ...] = ()


class WindowMark(_Mark):
    mark: Literal["window"]
    arm: Arm
    started: float
    ended: float


class EndMark(_Mark):
    mark: Literal["end"]
    at: float


Mark = SchedulerMark | MeasurementMark | TrialMark | WindowMark | EndMark
Entry = Mark | SignalsLine
_MARK: TypeAdapter[Mark] = TypeAdapter(Annotated[Mark, Field(discriminator="mark")])


@dataclass(frozen=True)
class ReplayEvent:
    """One thing that the daemon would have reported. `workload` is hostile text."""

    at: float
    kind: Literal[
        "degradation", "recovered", "window", "verdict", "unmeasured", "rollback", "summary"
    ]
    message: str
    workload: str = ""
    figures: dict[str, float] = field(default_factory=dict)


@dataclass
class _Trial:
    """A trial under way; nothing more is judged as soon as its `judgement` says that it is over."""

    objective: Objective
    workload: str
    candidate: str
    at: float
    guards: tuple[Guard, ...] = ()
    sleepers: frozenset[str] | None = None
    observations: list[Observation] = field(default_factory=list)
    windows: list[WindowView] = field(default_factory=list)
    judgement: Judgement = GOES_ON


class Replay:
    """The daemon's memory during a recording."""

    def __init__(self, config: configuration.Config) -> None:
        self._config = config
        self._settings = config.judged_by
        self._state = IntervalState()
        self._regime = detect.KERNEL_DEFAULT
        self._changed_at = 0.0
        self._measurements: list[Measurement] = []
        self._trial: _Trial | None = None
        self._intervals = 0
        self._at = 0.0

    def take(self, entry: Entry) -> Iterator[ReplayEvent]:
        """The results of one line or mark.

        Raises:
            Fault: BAD_PARAMETER for an objective that cannot be parsed.
        """
        match entry:
            case SignalsLine():
                yield from self._interval(observation_of(entry))
            case SchedulerMark():
                self._regime, self._changed_at = entry.candidate, entry.at
                if self._state.kept and self._state.kept.candidate != entry.candidate:
                    self._state = self._state.keeping(None)
            case MeasurementMark():
                self._measurements.append(
                    Measurement(entry.at, entry.name, entry.value, entry.unit, entry.started)
                )
            case TrialMark():
                self._trial = _Trial(
                    parse_objective(entry.objective),
                    entry.workload,
                    entry.candidate,
                    entry.at,
                    tuple(parse_guard(each.workload, each.text) for each in entry.guards),
                )
            case WindowMark():
                yield from self._window(entry)
            case EndMark():
                yield from self._end(entry.at)

    def summary(self) -> ReplayEvent:
        detection = self._state.detection
        degraded = len(detection.degraded())
        return ReplayEvent(
            self._at,
            "summary",
            f"{self._intervals} intervals, {len(detection.workloads)} workloads, "
            f"{degraded} degraded at the end",
            figures={"intervals": float(self._intervals), "degraded": float(degraded)},
        )

    def _interval(self, observation: Observation) -> Iterator[ReplayEvent]:
        self._intervals += 1
        self._at = observation.at
        if self._trial is not None:
            self._trial.observations.append(observation)
        facts = IntervalFacts(
            regime=self._regime,
            changed_at=self._changed_at,
            in_trial=self._trial is not None,
            measurements=self._measurements,
        )
        self._state, decisions = interval.step(self._state, observation, facts, self._settings)
        for each in decisions.happened:
            yield ReplayEvent(
                observation.at,
                "degradation" if isinstance(each, Degradation) else "recovered",
                each.reason,
                each.workload,
                {"value": each.value, "baseline": each.baseline, "ratio": each.ratio}
                if isinstance(each, Degradation)
                else {},
            )
        if decisions.rollback is not None:
            self._state = self._state.keeping(None)
            yield ReplayEvent(
                observation.at,
                "rollback",
                f"{decisions.rollback.cause.value}: {decisions.rollback.reason}",
                decisions.rollback.workload,
            )

    def _window(self, mark: WindowMark) -> Iterator[ReplayEvent]:
        trial = self._trial
        if trial is None or trial.judgement.over:
            return
        settings = self._config.trial
        inside = [
            each for each in trial.observations if mark.started < each.at <= mark.ended + ROUNDING_S
        ]
        # Interval by interval, as the daemon saw it: harm may have ended the window early.
        lives: list[Live] = []
        for each in inside if mark.arm is Arm.CANDIDATE else ():
            if not is_settled(each, mark.started, settings):
                continue
            lives.append(live_of(trial.objective, trial.workload, each, mark.started, settings))
            judgement = while_running(trial.windows, lives, trial.objective, settings, trial.guards)
            if judgement.over:
                yield from self._judged(trial, each.at, judgement)
                return
        window = window_of(
            mark.arm,
            mark.started,
            mark.ended,
            trial.objective,
            trial.workload,
            inside,
            settings,
            self._measurements,
            trial.windows,
            trial.guards,
            trial.sleepers,
        )
        trial.sleepers = sleepers_after(trial.sleepers, window, trial.workload, inside)
        trial.windows.append(window)
        yield ReplayEvent(
            mark.ended,
            "window",
            f"{mark.arm.value}: {window.excluded or figure(window.value, trial.objective.unit)}",
            trial.workload,
            {"value": window.value, "samples": float(window.samples)},
        )
        judgement = after_window(trial.windows, trial.objective, settings, trial.guards)
        if judgement.over:
            yield from self._judged(trial, mark.ended, judgement)

    def _judged(self, trial: _Trial, at: float, judgement: Judgement) -> Iterator[ReplayEvent]:
        trial.judgement = judgement
        if judgement.unmeasured:
            yield ReplayEvent(at, "unmeasured", judgement.unmeasured, trial.workload)
        elif (verdict := judgement.verdict) is not None:
            yield ReplayEvent(
                at,
                "verdict",
                f"{verdict.decision.value}: {verdict.reason}",
                trial.workload,
                {
                    "ratio": verdict.ratio,
                    "low": verdict.low,
                    "high": verdict.high,
                    "confidence": verdict.confidence,
                    "gain": verdict.gain,
                },
            )

    def _end(self, at: float) -> Iterator[ReplayEvent]:
        trial, self._trial = self._trial, None
        self._changed_at = at
        if trial is None:
            return
        if not trial.judgement.over:
            judgement = at_the_end(trial.windows, trial.objective, self._config.trial, trial.guards)
            yield from self._judged(trial, at, judgement)
        verdict = trial.judgement.verdict
        if verdict is not None and verdict.decision is Decision.KEEP:
            self._regime = trial.candidate or "kept"
            kept = kept_of(
                self._regime, trial.workload, trial.objective, at, trial.windows, trial.guards
            )
            self._state = self._state.keeping(kept)


def replay(entries: Iterable[Entry], config: configuration.Config) -> Iterator[ReplayEvent]:
    """Everything that the daemon would have reported for a recording, a summary last."""
    state = Replay(config)
    for entry in entries:
        yield from state.take(entry)
    yield state.summary()


def read(path: Path) -> Iterator[Entry]:
    """The lines and marks of a recording, one at a time.

    Raises:
        Fault: NOT_FOUND, TOO_LARGE or BAD_REQUEST, with the line's number.
    """
    for where, raw in recorded(path):
        # No decision depends on single processes.
        if not is_process(raw):
            yield _entry(raw, where)


def _entry(raw: bytes, where: str) -> Entry:
    # Lines of signals begin with their version, so it is not necessary to parse every line twice.
    is_mark = b'"mark"' in raw[:40]
    try:
        if is_mark:
            return _MARK.validate_json(raw)
        return SignalsLine.model_validate_json(raw)
    except ValidationError as error:
        raise Fault(
            FaultType.BAD_REQUEST,
            f"this line is not a {'mark' if is_mark else 'line of signals'}",
            where=where,
            why=first_problem(error),
            hint=(
                "`python -m daemon.replay --help` lists the marks; every other line is a line of "
                "schedpilot-signals, unchanged"
            ),
        ) from None


def _readable(told: ReplayEvent) -> str:
    time = datetime.fromtimestamp(told.at, UTC).strftime("%H:%M:%S")
    of = f" {displayable(told.workload)}:" if told.workload else ""
    return f"{time} {told.kind:<11}{of} {told.message}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m daemon.replay",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=named_path, help="the recording")
    parser.add_argument(
        "--config", type=named_path, help="a configuration file; default: the default settings"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line")
    given = parser.parse_args(arguments)
    try:
        if given.config is not None and not given.config.exists():
            raise Fault(
                FaultType.NOT_FOUND,
                "this configuration does not exist",
                where=str(given.config),
                hint="leave `--config` out for the defaults",
            )
        config = configuration.load(given.config) if given.config else configuration.Config()
        for told in replay(read(given.file), config):
            print(json.dumps(asdict(told)) if given.json else _readable(told))
    except BrokenPipeError:
        # The reader has seen enough (`| head`).
        sys.stderr.close()
        return 0
    except (Fault, OSError) as error:
        for line in fault_of(error).report().split("\n"):
            print(printable(line), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
