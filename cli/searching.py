# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot search`: better values for a scheduler's parameters, in the simulator.

Separate programs compile, simulate and search; the command imports none of them. It needs no daemon
and loads nothing.
"""

import json as json_text
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cli.exits import ExitCode
from cli.following import ProgressLine, showing
from cli.output import err, note, out, plain, say, table
from cli.simulate import SchedulerSource, source_for, types_for
from daemon.api.models import NAME_PATTERN
from process import Fault, FaultType, first_problem, require_writable
from process.stream import stream

# Time limit for one trial on a slow machine, and for the build before the first; seconds.
TRIAL_S = 300.0
BUILD_S = 600.0
# Figures by their usual names.
METRICS = {
    "delay-p99": "delay_p99_ns",
    "delay-p50": "delay_p50_ns",
    "makespan": "makespan_ns",
    "mean-completion": "mean_completion_ns",
    "throughput": "throughput",
    "fairness": "fairness",
}


class _FoundGroup(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    scenario: str
    group: str
    by_default: float
    found: float


class _Searched(BaseModel):
    """The output of `python -m simulator.search`."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    scheduler: str
    metric: str
    seed: int
    trials: int
    workload: str
    default: dict[str, bool | int | float]
    values: dict[str, bool | int | float]
    tuned_gain: float
    gain: float
    groups: tuple[_FoundGroup, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class SearchOptions:
    """What to search, and on what; paths as typed."""

    trials: int = 40
    seed: int = 1
    metric: str = ""
    group: str = ""
    trace: Path | None = None
    scenario: str = ""
    btf: Path | None = None
    cache: Path | None = None
    save: Path | None = None
    objective: str = ""

    @property
    def by(self) -> str:
        """The figure that decides, in words."""
        return self.objective or self.metric or "each group's own objective"

    def words(self) -> Iterator[str]:
        for name, value in (
            ("metric", METRICS[self.metric] if self.metric else ""),
            ("objective", self.objective),
            ("trials", self.trials),
            ("seed", self.seed),
            ("group", self.group),
            ("trace", self.trace),
            ("scenario", self.scenario),
            ("btf", self.btf),
            ("cache", self.cache),
        ):
            if value or name == "seed":
                yield f"--{name}={value}"


class _Heard:
    """The program's lines: an answer, progress, or trouble."""

    def __init__(self, progress: ProgressLine, title: str) -> None:
        self.answer = ""
        self.trouble: list[str] = []
        self._progress = progress
        self._title = title
        self._rest = b""

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for raw in lines:
            line = raw.decode("utf-8", "replace")
            if line.startswith("{"):
                self.answer = line
            elif re.match(r"\d+ of \d+: ", line):
                self._progress.stage(f"{self._title}: trial {line}")
            else:
                self.trouble.append(line)


def search(target: str, settings: Sequence[str], wish: SearchOptions, *, json: bool) -> ExitCode:
    """OK if better values were found, NO if the defaults are as good."""
    _check(target, wish)
    work = [*_option("trace", wish.trace), *_option("scenario", wish.scenario)]
    source = source_for(target, settings, cpus=0, work=[*work, *_option("cache", wish.cache)])
    if source is None:
        return ExitCode.FAULT
    wish = replace(wish, btf=types_for(wish.btf))
    answer = _searched(source, wish)
    if not answer:
        return ExitCode.FAULT
    try:
        found = _Searched.model_validate_json(answer)
    except ValidationError as error:
        raise Fault(
            FaultType.INTERNAL,
            "the search's answer is not understood",
            why=first_problem(error),
        ) from None
    better = found.gain > 0
    line = policy_line(target, found.values, found.default) if better else ""
    if wish.save is not None and better:
        _save(wish.save, line)
    if json:
        sys.stdout.write(answer + "\n")
    else:
        _show(found, wish, line)
    return ExitCode.OK if better else ExitCode.NO


def _option(name: str, value: object) -> list[str]:
    return [f"--{name}={value}"] if value else []


def _check(target: str, wish: SearchOptions) -> None:
    """Checked before minutes of work: whether the result can be saved."""
    if wish.save is not None and not re.fullmatch(NAME_PATTERN.strip("^$"), target):
        raise Fault(
            FaultType.BAD_REQUEST,
            "only parameters of a scheduler of the library can be saved",
            why="they are saved as a policy `use NAME parameter=value …`, and this has no name",
            hint="run it without --save, and pass what it prints with --set",
        )
    if wish.save is not None:
        require_writable(wish.save, "result")


def _searched(source: SchedulerSource, wish: SearchOptions) -> str:
    """The program's answer; None if it has reported why there is none."""
    with tempfile.TemporaryDirectory(prefix="schedpilot-searching-") as place:
        file, space = Path(place) / "candidate.bpf.c", Path(place) / "space.json"
        file.write_text(source.text, "utf-8")
        space.write_text(json_text.dumps(source.parameters), "utf-8")
        words = [f"--source={file}", f"--space={space}", f"--name={source.name}", *wish.words()]
        words += _option("facts", source.facts)
        deadline = time.monotonic() + BUILD_S + wish.trials * TRIAL_S
        with showing(f"searching the parameters of {source.name}") as progress:
            heard = _Heard(progress, source.name)
            status = stream(
                [sys.executable, "-P", "-m", "simulator.search", *words],
                {},
                pass_fds=(),
                on_error=heard.feed,
                deadline=lambda: deadline,
                env=dict(os.environ),
            )
    if status != 0:
        for line in heard.trouble:
            err().print(plain(line, 4000), soft_wrap=True)
        return ""
    return heard.answer


def policy_line(
    target: str,
    values: dict[str, bool | int | float],
    default: dict[str, bool | int | float],
) -> str:
    """The result as a policy if the scheduler has a name; else as words for --set."""
    changed = {name: value for name, value in values.items() if value != default.get(name)}
    words = [f"{name}={_word(value)}" for name, value in changed.items()]
    if re.fullmatch(NAME_PATTERN.strip("^$"), target):
        return " ".join(["use", target, *words])
    return " ".join(f"--set {word}" for word in words)


def _word(value: float) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value:.12g}"


def _save(file: Path, line: str) -> None:
    try:
        file.write_text(f"{line}\n", "utf-8")
    except OSError as error:
        raise Fault(
            FaultType.STATE,
            "the result cannot be saved",
            where=str(file),
            why=error.strerror or "",
            hint=f"it is: {line}",
        ) from None


def _show(found: _Searched, wish: SearchOptions, line: str) -> None:
    on = wish.trace or found.workload
    say(
        f"{found.scheduler}, by {wish.by} on {on}: {found.trials} trials, seed {found.seed}",
        "bold",
    )
    made = table("parameter", "default", "found", right=("default", "found"))
    for name, default in found.default.items():
        value = found.values[name]
        made.add_row(
            name, _word(default), plain(_word(value), style="bold" if value != default else "dim")
        )
    out().print(made)
    made = table("scenario", "group", "default values", "found", right=("default values", "found"))
    for each in found.groups:
        made.add_row(
            plain(each.scenario),
            plain(each.group, 60),
            f"x{each.by_default:.3f}",
            f"x{each.found:.3f}",
        )
    out().print(made)
    note(
        "x: over the kernel's default scheduler, below 1 is better; with seeds that the search "
        "did not use"
    )
    for each_note in found.notes:
        say(f"note: {each_note}", "dim")
    if not line:
        say("no values better than the defaults were found", "bold")
        return
    say(
        f"predicted gain over the default values: {found.gain:.1%} ({found.tuned_gain:.1%} with "
        "the seeds of the search)",
        "bold green",
    )
    say(line)
    if wish.save is not None:
        say(f"saved: schedpilot check {wish.save}", "dim")
