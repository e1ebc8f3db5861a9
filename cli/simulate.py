# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot simulate`: compare a scheduler with the kernel's default one, without loading it.

Separate programs compile and simulate; the command imports none of them.
"""

import json as json_text
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError
from rich.text import Text

from cli.check import beside, label, request_for
from cli.exits import ExitCode
from cli.formats import microseconds, titled
from cli.output import err, note, out, plain, say, table
from daemon.api.models import ParameterValue
from process import Fault, FaultType, first_problem, require_writable, run
from process.run import Completed

# The simulator's limit, for a policy whose machine is not known yet.
MOST_CPUS = 512
# This kernel's types, and a function without which the simulator cannot use them (6.13).
KERNEL_TYPES = Path("/sys/kernel/btf/vmlinux")
OLDEST_KFUNC = b"\0scx_bpf_dsq_insert\0"
# Time limits for compiling a policy and for simulating on a slow machine; seconds.
COMPILE_S = 120.0
SIMULATE_S = 1800.0
# How many groups of a recorded workload are shown, those with the most CPU time.
MOST_GROUPS = 12
# Changes below this fraction count as none.
SAME = 0.005


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _ComparedGroup(_Part):
    name: str
    workload: str
    default: dict[str, float | dict[str, float] | None]
    candidate: dict[str, float | dict[str, float] | None]
    ratios: dict[str, float]
    objective: str
    times: float | None


class _Ejection(_Part):
    kind: int
    at_ns: int
    message: str
    cause: str
    fix: str


class _Scenario(_Part):
    name: str
    cpus: int
    ejection: _Ejection | None
    default: dict[str, int]
    candidate: dict[str, int]
    groups: tuple[_ComparedGroup, ...]


class _Comparison(_Part):
    """The output of `python -m simulator.compare`."""

    scheduler: str
    parameters: dict[str, str]
    seed: int
    workload: str
    notes: tuple[str, ...]
    ejected: bool
    scenarios: tuple[_Scenario, ...]


@dataclass(frozen=True)
class SimulateOptions:
    """What to simulate, and how; paths as typed."""

    trace: Path | None = None
    scenario: str = ""
    cpus: int = 0
    seed: int = 1
    btf: Path | None = None
    cache: Path | None = None
    perfetto: Path | None = None
    objective: str = ""

    def words(self) -> Iterator[str]:
        for name, value in (
            ("trace", self.trace),
            ("scenario", self.scenario),
            ("cpus", self.cpus),
            ("seed", self.seed),
            ("btf", self.btf),
            ("cache", self.cache),
            ("perfetto", self.perfetto),
            ("objective", self.objective),
        ):
            if value or name == "seed":
                yield f"--{name}={value}"


@dataclass(frozen=True)
class SchedulerSource:
    """A scheduler's C, its name, the values of its variables, and its parameters.

    `cpus` is one more than the highest CPU that a policy names, 0 if it names none; `facts` (JSON)
    are the facts about tasks that the policy needs.
    """

    name: str
    text: str
    values: dict[str, ParameterValue]
    parameters: tuple[dict[str, object], ...] = ()
    cpus: int = 0
    facts: str = ""


def _program(module: str, words: Sequence[str], timeout: float, given: bytes = b"") -> Completed:
    return run(
        [sys.executable, "-P", "-m", module, *words],
        timeout=timeout,
        input=given,
        env=dict(os.environ),
        check=False,
    )


def types_for(btf: Path | None) -> Path | None:
    """The requested types; else this kernel's if the simulator supports them, else the lab's."""
    if btf is not None:
        return btf
    try:
        if OLDEST_KFUNC in KERNEL_TYPES.read_bytes():
            return None
    except OSError:
        pass
    # imported late: not needed if this kernel's types will do
    from cli.local_gates import lab_types

    return lab_types()


def source_for(
    target: str, settings: Sequence[str], *, cpus: int, work: Sequence[str]
) -> SchedulerSource | None:
    """The C of the requested scheduler, with CPU sets for the simulated machine.

    Args:
        cpus: the size of that machine, if it was given.
        work: arguments for the simulator that name the workload, from which it knows the machine.

    Returns:
        None if a child has already reported why there is none.
    """
    source = _compiled(target, settings, cpus or MOST_CPUS)
    if source is None or cpus or not source.cpus:
        return source
    asked = _program("simulator.compare", work, SIMULATE_S)
    if asked.status != 0:
        relay(asked)
        return None
    simulated = int(json_text.loads(asked.stdout)["cpus"])
    # Compile again for the message, which names the place.
    return source if source.cpus <= simulated else _compiled(target, settings, simulated)


def _compiled(target: str, settings: Sequence[str], cpus: int) -> SchedulerSource | None:
    request = request_for(target, settings)
    if request.source is not None:
        return SchedulerSource(
            request.name or "candidate", request.source, dict(request.parameters)
        )
    words = ["--emit-c", "--json", f"--cpus={cpus}", *(f"--set={each}" for each in settings)]
    if request.library is not None:
        words += ["--library", request.library]
    given = (request.policy or "").encode()
    done = _program("scheduler_library.policy.command", words, COMPILE_S, given)
    if done.status != 0:
        relay(done)
        return None
    relay(done)
    found = json_text.loads(done.stdout)
    parameters = tuple(found.get("parameters", ()))
    return SchedulerSource(
        found["name"],
        found["source"],
        found.get("values", {}),
        parameters,
        found.get("cpus", 0),
        json_text.dumps(found["facts"]) if "facts" in found else "",
    )


def relay(done: Completed) -> None:
    """A program's standard error; the program has already made it harmless."""
    for line in done.error_text.splitlines():
        err().print(plain(line, 4000), soft_wrap=True)


def simulate(
    target: str, settings: Sequence[str], wish: SimulateOptions, *, json: bool
) -> ExitCode:
    """OK if the scheduler survived, NO if it was ejected."""
    if wish.perfetto is not None:
        require_writable(wish.perfetto, "the Perfetto trace")
    work = list(replace(wish, perfetto=None).words())
    source = source_for(target, settings, cpus=wish.cpus, work=work)
    if source is None:
        return ExitCode.FAULT
    wish = replace(wish, btf=types_for(wish.btf))
    with tempfile.TemporaryDirectory(prefix="schedpilot-simulate-") as place:
        file = Path(place) / "candidate.bpf.c"
        file.write_text(source.text, "utf-8")
        words = [f"--source={file}", f"--name={source.name}", *wish.words()]
        words += [f"--set={name}={word_of(value)}" for name, value in source.values.items()]
        words += [f"--facts={source.facts}"] if source.facts else []
        own = beside(target)
        words += [f"--headers={own}"] if own else []
        done = _program("simulator.compare", words, SIMULATE_S)
    if done.status not in (ExitCode.OK, ExitCode.NO):
        relay(done)
        return ExitCode(done.status) if done.status in set(ExitCode) else ExitCode.FAULT
    if json:
        sys.stdout.write(done.text)
        return ExitCode(done.status)
    try:
        found = _Comparison.model_validate_json(done.stdout)
    except ValidationError as error:
        raise Fault(
            FaultType.INTERNAL,
            "the simulator's answer is not understood",
            why=first_problem(error),
        ) from None
    _show(found, wish, source, target)
    return ExitCode(done.status)


def word_of(value: ParameterValue) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# ---------------------------------------------------------------- showing


def _ns(value: float) -> str:
    return microseconds(value / 1000)


def _plain_number(value: float) -> str:
    return f"{value:.4g}"


@dataclass(frozen=True)
class _Metric:
    """A figure's name, its format, and whether more is better.

    `key` names its ratio; if the figure itself has another name, or lies inside another object,
    `place` gives its path.
    """

    key: str
    title: str
    more: bool = False
    place: tuple[str, ...] = ()

    def value(self, figures: Mapping[str, float | dict[str, float] | None]) -> float | None:
        first, *rest = self.place or (self.key,)
        found = figures.get(first)
        if isinstance(found, dict):
            return found.get(rest[0]) if rest else None
        return found

    def shown(self, figures: Mapping[str, float | dict[str, float] | None]) -> str:
        value = self.value(figures)
        if value is None:
            return "–"
        if self.place and self.place[0].endswith("_us"):
            return microseconds(value)
        return _ns(value) if self.key.endswith("_ns") else _plain_number(value)

    def change(self, ratios: dict[str, float]) -> Text:
        """The ratio in words: how much, in which direction, and whether that is good."""
        ratio = ratios.get(self.key)
        if ratio is None:
            return Text("–")
        if abs(ratio - 1) < SAME:
            return Text("the same")
        good = (ratio > 1) == self.more
        word = "better" if good else "worse"
        # From a factor of two on, the factor is enough.
        much = "" if ratio >= 2 else f", {abs(ratio - 1):.0%} {'higher' if ratio > 1 else 'lower'}"
        return Text(f"x{ratio:.2f}{much} ({word})", style="green" if good else "red")


_RUN = _Metric("run_ns", "CPU time")
_RESPONSE = _Metric("response_p99", "response, p99", place=("response_us", "p99"))
_COMPLETIONS = _Metric("completions", "completions, 1/s", more=True, place=("completions_per_s",))
_MAKESPAN = _Metric("makespan_ns", "all done after")
_METRICS = (
    _MAKESPAN,
    _Metric("turnaround_mean", "turnaround, mean", place=("turnaround_us", "mean")),
    _Metric("response_p50", "response, median", place=("response_us", "p50")),
    _RESPONSE,
    _COMPLETIONS,
    _Metric("throughput", "throughput, 1/s", more=True),
    _Metric("delay_p99_ns", "wakeup delay, p99"),
    _Metric("longest_wait_ns", "longest wait"),
    _Metric("fairness", "fairness", more=True),
    _Metric("switches", "switches"),
)
_SUMMARY = (
    _RESPONSE,
    _Metric("longest_wait_ns", "longest wait"),
    _Metric("throughput", "throughput", more=True),
)


def _show(found: _Comparison, wish: SimulateOptions, source: SchedulerSource, target: str) -> None:
    name = titled(source.name, source.values)
    on = f"on {wish.trace}" if wish.trace else f"on {wish.scenario or 'the stress set'}"
    cpus = found.scenarios[0].cpus if found.scenarios else 0
    say(f"{name} against the kernel's default {on}: {cpus} CPUs, seed {found.seed}", "bold")
    if source.name not in target and not source.values:
        note(f"{source.name} is {label(target)}")
    for each in found.notes:
        say(f"note: {each}", "dim")
    if len(found.scenarios) == 1:
        _show_one(found.scenarios[0])
    else:
        _show_all(found.scenarios)
    for scenario in found.scenarios:
        if scenario.ejection:
            _show_ejection(scenario.name, scenario.ejection)
    _conclude(found)


def _show_one(scenario: _Scenario) -> None:
    """Every figure of the groups that use the most CPU time."""
    groups = sorted(scenario.groups, key=lambda each: -(_RUN.value(each.default) or 0))
    made = table("group", "", "default", "candidate", "change", right=("default", "candidate"))
    for group in groups[:MOST_GROUPS]:
        title = group.workload or group.name
        for metric in _METRICS:
            if not _tells(metric, group):
                continue
            made.add_row(
                plain(title, 60),
                metric.title,
                metric.shown(group.default),
                metric.shown(group.candidate),
                metric.change(group.ratios),
            )
            title = ""
    out().print(made)
    if len(groups) > MOST_GROUPS:
        note(f"{len(groups) - MOST_GROUPS} groups with less CPU time are in --json")


def _tells(metric: _Metric, group: _ComparedGroup) -> bool:
    """Whether there is such a figure; a task that never sleeps has no response time."""
    both = (group.default, group.candidate)
    if metric.place and metric.place[0] in ("response_us", "completions_per_s"):
        return any(_COMPLETIONS.value(each) for each in both)
    return any(metric.value(each) is not None for each in both)


def _show_all(scenarios: Sequence[_Scenario]) -> None:
    """A line for each group of each scenario."""
    columns = [metric.title for metric in _SUMMARY]
    made = table("scenario", "group", *columns, "")
    for scenario in scenarios:
        title = scenario.name
        for group in scenario.groups:
            made.add_row(
                plain(title),
                plain(group.name, 40),
                *(
                    Text(f"{metric.shown(group.candidate)}: ") + metric.change(group.ratios)
                    for metric in _SUMMARY
                ),
                Text("ejected", style="red") if scenario.ejection and title else "",
            )
            title = ""
    out().print(made)


def _show_ejection(name: str, ejection: _Ejection) -> None:
    say(f"{name}: ejected after {_ns(ejection.at_ns)}: {ejection.message}", "red")
    say(f"  because {ejection.cause}")
    say(f"  fix: {ejection.fix}")


def _conclude(found: _Comparison) -> None:
    """How many groups are better off, by the figure that matters most."""
    if found.ejected:
        say("ejected: its figures mean nothing", "red")
        return
    groups = [group for each in found.scenarios for group in each.groups]
    asked = {group.objective for group in groups}
    by = next(iter(asked)) if len(asked) == 1 else "each group's own objective"
    _count(f"by {by}", [group.times for group in groups if group.times is not None], more=True)
    for metric in (_MAKESPAN, _RESPONSE, _COMPLETIONS):
        ratios = [group.ratios[metric.key] for group in groups if metric.key in group.ratios]
        _count(metric.title, ratios, more=metric.more)


def _count(title: str, ratios: Sequence[float], *, more: bool) -> None:
    better = sum((ratio > 1) == more for ratio in ratios if abs(ratio - 1) >= 0.05)
    worse = sum((ratio > 1) != more for ratio in ratios if abs(ratio - 1) >= 0.05)
    if ratios:
        say(
            f"{title}: better for {better}, worse for {worse}, within 5% for "
            f"{len(ratios) - better - worse} of {len(ratios)} groups"
        )
