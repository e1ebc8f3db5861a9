# SPDX-License-Identifier: GPL-2.0-or-later
"""`/etc/schedpilot/schedpilot.toml`, checked completely before anything starts.

One `Fault(BAD_CONFIG)` reports every problem of the file with its line and key, and an unknown key
with the nearest known one. A missing file means the defaults, and `systemd/schedpilot.toml`, which
is installed, lists them all.
"""

import re
from enum import StrEnum
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, ValidationError, model_validator
from pydantic_core import ErrorDetails

from bpf.kernel.controls import ResourceControl
from daemon.api.models import Autonomy
from daemon.decide.interval import IntervalSettings
from daemon.decide.keep import AfterReboot
from daemon.decide.objective import Declared, parse_objective
from daemon.decide.settings import (
    DetectSettings,
    GuardSettings,
    LimitSettings,
    SettingsTable,
    TrialSettings,
)
from process import Fault, FaultType
from process.invalid import Location, key_name, key_of, keys_at, nearest, sentence
from process.text_file import parse_toml, read_text
from simulator.objective_text import Metric

PATH = Path("/etc/schedpilot/schedpilot.toml")
# The maximum length of an objective's text.
OBJECTIVE_LENGTH = 500
# A configuration is some pages of text.
LARGEST_BYTES = 256 * 1024
# Workloads that are never judged by a baseline: kernel threads, whose waits nobody notices as such;
# workloads without a lasting name; and our own. A declared objective is checked nevertheless.
NEVER_JUDGED = (
    "kthread:*",
    "cgroup-id:*",
    "other",
    "comm:schedpilot*",
    "cgroup:/system.slice/schedpilot*",
)

Folder = Annotated[str, StringConstraints(min_length=2, max_length=200, pattern=r"^/[^\x00]*$")]
WorkloadGlob = Annotated[
    str, StringConstraints(max_length=4096, pattern=r"^(cgroup:/|comm:.)[^\x00\n]*$")
]


REMARK = (
    "run-queue delay counts each turn that a task waits for; if requests run longer than a "
    "slice, `response` with the same percentile is what its callers see"
)


class DaemonTable(SettingsTable):
    """The daemon itself. Each folder is an absolute path."""

    # observe: watches and advises; ask: acts when the operator approves; auto: acts on its own.
    autonomy: Annotated[Autonomy, Field(strict=False)] = Autonomy.OBSERVE
    # Time between two readings of the signals. Trials read more often while they run.
    interval_s: Annotated[float, Field(ge=0.25, le=300)] = 5.0
    state_dir: Folder = "/var/lib/schedpilot"
    run_dir: Folder = "/run/schedpilot"
    cache_dir: Folder = "/var/cache/schedpilot"

    @model_validator(mode="after")
    def _apart(self) -> Self:
        folders = [PurePosixPath(each) for each in (self.state_dir, self.run_dir, self.cache_dir)]
        if len(set(folders)) < len(folders):
            raise ValueError("state_dir, run_dir and cache_dir have to be different folders")
        return self

    @property
    def state(self) -> Path:
        return Path(self.state_dir)

    @property
    def run(self) -> Path:
        return Path(self.run_dir)

    @property
    def cache(self) -> Path:
        return Path(self.cache_dir)


class Canary(StrEnum):
    """When a candidate is tried in a virtual machine."""

    AUTO = "auto"
    OFF = "off"


class GatesTable(SettingsTable):
    """The gates of a candidate before it may run on the host, beside compilers and the verifier."""

    # The simulator: the stress set, and recordings of the workload.
    simulate: bool = True
    # auto: if KVM boots one; off: only on request by hand.
    canary: Annotated[Canary, Field(strict=False)] = Canary.AUTO
    # Duration of the load in the virtual machine, seconds.
    canary_s: Annotated[float, Field(ge=5, le=600)] = 20.0
    # Resource controls that this machine uses and a candidate may ignore all the same.
    allow_ignoring: Annotated[
        tuple[Annotated[ResourceControl, Field(strict=False)], ...],
        Field(strict=False, max_length=len(ResourceControl)),
    ] = ()
    # A BTF file of the kernel to build for, if this one has no sched_ext. Empty: none.
    kernel_types: Annotated[str, StringConstraints(max_length=4096, pattern=r"^(/[^\x00]*)?$")] = ""


class PrepareTable(SettingsTable):
    """Candidates that are proven ahead, while the machine is idle."""

    # Library schedulers, saved winners and an advisor's likely lines, at idle priority.
    enabled: bool = True


class KeepTable(SettingsTable):
    """What becomes of a kept scheduler when the machine is booted again."""

    # trial: it has to win a fresh trial; load: it is loaded; no: it is forgotten. After a restart
    # of the daemon alone it is always put back.
    after_reboot: Annotated[AfterReboot, Field(strict=False)] = AfterReboot.TRIAL


class PowerTable(SettingsTable):
    """Power sources and power profiles."""

    # Each has its own baselines and its own kept scheduler.
    regimes: bool = True


class AdvisorTable(SettingsTable):
    """Requirements for an advisor. Its own settings are in `agent.toml`."""

    # An episode that no advisor closes within this time is closed as abandoned.
    patience_s: Annotated[float, Field(ge=10, le=86_400)] = 1800.0


class ObjectiveEntry(SettingsTable):
    """`workload` is an id as `schedpilot status` shows it, or a glob over ids."""

    workload: WorkloadGlob
    text: Annotated[str, StringConstraints(min_length=1, max_length=OBJECTIVE_LENGTH)]


class IgnoreEntry(SettingsTable):
    workload: WorkloadGlob


class Config(SettingsTable):
    """The whole configuration."""

    daemon: DaemonTable = DaemonTable()
    detect: DetectSettings = DetectSettings()
    trial: TrialSettings = TrialSettings()
    guard: GuardSettings = GuardSettings()
    limits: LimitSettings = LimitSettings()
    gates: GatesTable = GatesTable()
    prepare: PrepareTable = PrepareTable()
    keep: KeepTable = KeepTable()
    power: PowerTable = PowerTable()
    advisor: AdvisorTable = AdvisorTable()
    objective: Annotated[tuple[ObjectiveEntry, ...], Field(strict=False, max_length=200)] = ()
    ignore: Annotated[tuple[IgnoreEntry, ...], Field(strict=False, max_length=500)] = ()

    @cached_property
    def declared(self) -> tuple[Declared, ...]:
        """The objectives, parsed. `parse` has checked them."""
        return tuple(
            Declared(each.workload, parse_objective(each.text, FaultType.BAD_CONFIG))
            for each in self.objective
        )

    @property
    def remarks(self) -> tuple[str, ...]:
        """Valid settings that may be mistakes."""
        return tuple(
            f"`{each.objective.text}` for {each.workload}: {REMARK}"
            for each in self.declared
            if each.objective.has(Metric.DELAY)
        )

    @property
    def ignored(self) -> tuple[str, ...]:
        return (*NEVER_JUDGED, *(each.workload for each in self.ignore))

    @property
    def judged_by(self) -> IntervalSettings:
        """The settings by which each interval of signals is judged."""
        return IntervalSettings(self.detect, self.guard, self.trial, self.declared, self.ignored)


def load(path: Path = PATH) -> Config:
    """Read the configuration; the defaults if the file does not exist.

    Raises:
        Fault: BAD_CONFIG, also if the file cannot be read or is far too large.
    """
    try:
        text = read_text(
            path,
            largest_bytes=LARGEST_BYTES,
            type=FaultType.BAD_CONFIG,
            what="the configuration",
        )
    except FileNotFoundError:
        return Config()
    return parse(text, str(path))


def parse(text: str, where: str) -> Config:
    """The configuration in this text; `where` (its path) goes into any fault.

    Raises:
        Fault: BAD_CONFIG, with every problem as a line of `details`.
    """
    raw = parse_toml(text, where=where, type=FaultType.BAD_CONFIG, what="the configuration")
    lines = _lines_of(text)
    problems = [_objective_problem(*each, lines) for each in _unreadable_objectives(raw)]
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        problems += [_problem(each, lines) for each in error.errors(include_url=False)]
    if problems:
        said = [f"line {line}: {what}" if line else what for line, what in sorted(problems)]
        many = len(said) > 1
        raise Fault(
            FaultType.BAD_CONFIG,
            f"the configuration has {len(said)} problems" if many else "the configuration is wrong",
            where=where,
            why=f"the first: {said[0]}" if many else said[0],
            hint="correct the keys named; the file as installed names every key with its default",
            details=tuple(said),
        )
    return config


# ---------------------------------------------------------------- what is wrong, and where

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\-\"' ]+?)\s*=")


def _lines_of(text: str) -> dict[Location, int]:
    """The line of each table and key, for messages. Not a parser: the TOML is parsed already."""
    found: dict[Location, int] = {}
    table: Location = ()
    count: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            name = header[2]
            table = _split(name)
            if header[1] == "[[":
                table = (*table, count.get(name, 0))
                count[name] = count.get(name, 0) + 1
            found.setdefault(table, number)
        elif key := _KEY.match(line):
            found.setdefault((*table, *_split(key[1])), number)
    return found


def _split(name: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in name.split("."))


def _line(path: Location, lines: dict[Location, int]) -> int:
    """The line of the key, else of the nearest table around it, else 0."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 0


def _problem(error: ErrorDetails, lines: dict[Location, int]) -> tuple[int, str]:
    """The line, and one sentence for what pydantic found."""
    key = key_of(error)
    said = _own_sentence(error) or sentence(error, Config)
    return _line(key, lines), f"{_name(key) or 'the whole file'}: {said}"


def _own_sentence(error: ErrorDetails) -> str | None:
    path = error["loc"]
    if error["type"] == "extra_forbidden":
        known = keys_at(Config, path[:-1])
        near = nearest(str(path[-1]), known)
        return "there is no such key" + (
            f"; did you mean {near!r}?" if near else f" (there are: {', '.join(known)})"
        )
    if error["type"] == "string_pattern_mismatch":
        if path[-1] == "workload":
            kind = "a workload: a workload begins with `cgroup:/` or `comm:`"
        else:
            kind = "an absolute path"
        return f"{error['input']!r} is not {kind}"
    return None


def _name(path: Location) -> str:
    """`objective[2].text`; entries of lists are counted from one."""
    return key_name(path, first=1)


def _unreadable_objectives(raw: dict[str, Any]) -> list[tuple[int, Fault]]:
    """Index and fault of each objective whose text cannot be parsed."""
    entries = raw.get("objective")
    found: list[tuple[int, Fault]] = []
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        text = entry.get("text") if isinstance(entry, dict) else None
        if not isinstance(text, str) or not 1 <= len(text) <= OBJECTIVE_LENGTH:
            continue
        try:
            parse_objective(text, FaultType.BAD_CONFIG)
        except Fault as fault:
            found.append((index, fault))
    return found


def _objective_problem(index: int, fault: Fault, lines: dict[Location, int]) -> tuple[int, str]:
    path: Location = ("objective", index, "text")
    return _line(path, lines), (
        f"{_name(path)}: {fault.what} ({fault.where}: {fault.why}; {fault.hint})"
    )
