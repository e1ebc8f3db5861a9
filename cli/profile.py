# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot profile`: what one workload is, does and waits for."""

from rich.text import Text

from cli.formats import microseconds
from cli.output import as_json, facts, heading, out, plain, say, table
from daemon.api.client import observe_client
from daemon.api.models import (
    KindView,
    MeasureHint,
    PressureView,
    ProgramKind,
    Responses,
    WorkloadProfileView,
)


def show_profile(workload: str, *, json: bool) -> None:
    with observe_client() as client:
        view = client.workload_profile(workload)
    if json:
        as_json(view)
        return
    out().print(facts(_rows(view)))
    _processes(view)
    _threads(view)
    for title, lines in (("sure of", view.sure_of), ("not known", view.not_known)):
        if lines:
            heading(title)
            for line in lines:
                say(f"- {line}")
    if view.measures:
        heading("its own numbers, for agent.toml")
    for hint in view.measures:
        needs = f" (needs {hint.needs})" if hint.needs else ""
        say(f"- {hint.why}{needs}: {_in_one_line(hint)}")


def _in_one_line(hint: MeasureHint) -> str:
    """The table and the values taken from it; the name and the header are implied."""
    return "; ".join(hint.snippet.strip().splitlines()[2:])


def _rows(view: WorkloadProfileView) -> list[tuple[str, str | Text]]:
    rows: list[tuple[str, str | Text]] = [("workload", plain(view.workload, 120, "bold"))]
    if view.unit:
        rows.append(("unit", view.unit))
    if view.started_by:
        rows.append(("started by", " < ".join(view.started_by)))
    rows += [("is", _kind(each)) for each in view.kinds]
    for purpose in view.purposes[:1]:
        rows.append(("what counts", f"{purpose.purpose} ({purpose.certainty}): {purpose.why}"))
    if view.tags:
        rows.append(("behaves", ", ".join(view.tags)))
    rows += responses(view)
    if view.delay is not None:
        each = view.delay
        rows.append(
            (
                "run-queue delay",
                f"p50 {microseconds(each.p50_us)}, p90 {microseconds(each.p90_us)}, "
                f"p99 {microseconds(each.p99_us)}, longest {microseconds(each.max_us)}",
            )
        )
    waits = _waits(view)
    if waits:
        rows.append(("its threads' time", waits))
    if view.parallelism.looks:
        each_of = view.parallelism
        rows.append(
            (
                "at once",
                f"{each_of.running_mean:.1f} threads on a CPU, {each_of.waiting_mean:.1f} waiting, "
                f"{each_of.most} at most",
            )
        )
    rows += [(f"pressure ({each.scope})", _pressure(each)) for each in view.pressure]
    if view.limits is not None and view.limits.cpus is not None:
        rows.append(("granted", f"{view.limits.cpus:g} CPUs"))
    if view.counters is not None and view.counters.instructions_per_cycle is not None:
        per_cycle = view.counters.instructions_per_cycle
        rows.append(("instructions per cycle", f"{per_cycle:.2f} (whole machine)"))
    return rows


def responses(view: Responses) -> list[tuple[str, str | Text]]:
    """The time its threads take from a wakeup to their next sleep, and its parts."""
    if view.split is None or view.response_p50_us is None or view.response_p99_us is None:
        return []
    split, bound = view.split, view.bound or 0.0
    burst = f", half need at most {microseconds(view.burst_p50_us)} of CPU time" * bool(
        view.burst_p50_us
    )
    rows: list[tuple[str, str | Text]] = [
        (
            "response time",
            f"p50 {microseconds(view.response_p50_us)}, p99 {microseconds(view.response_p99_us)}, "
            f"{view.completions_per_s or 0:.3g}/s{burst}",
        ),
        (
            "of its mean",
            f"{split.running:.0%} running, {split.waiting:.0%} waiting after the wakeup, "
            f"{split.preempted:.0%} preempted: a scheduler can reduce it to {bound:.2f} of this "
            "at best",
        ),
    ]
    if view.runs_to_completion:
        rows.append(("when let", "runs long bursts to their end, and sleeps only there"))
    return rows


def _kind(each: KindView) -> str:
    if each.kind is ProgramKind.UNKNOWN:
        return f"unknown to {each.share:.0%}"
    because = f": {'; '.join(each.evidence)}" if each.evidence else ""
    return f"{each.kind} to {each.share:.0%} ({each.certainty}){because}"


def _waits(view: WorkloadProfileView) -> str:
    shares = (
        ("waiting for a CPU", view.waits.runqueue_share),
        ("for storage", view.waits.io_share),
        ("asleep", view.waits.sleep_share),
    )
    told = [f"{share:.0%} {name}" for name, share in shares if share is not None]
    if view.waits.asleep_in:
        places = ", ".join(f"{count} {place}" for place, count in view.waits.asleep_in.items())
        told.append(f"threads asleep in: {places}")
    return "; ".join(told)


def _pressure(each: PressureView) -> str:
    told = (("CPU", each.cpu), ("storage", each.io), ("memory", each.memory))
    return ", ".join(f"{name} {value:.0f}%" for name, value in told if value is not None)


def _processes(view: WorkloadProfileView) -> None:
    if not view.processes:
        return
    heading(f"{len(view.processes)} of {view.processes_total} processes")
    made = table("pid", "process", "kind", "CPU", "threads", right=("pid", "CPU", "threads"))
    for each in view.processes:
        command = plain(each.command or f"[{each.name}]", 100)
        made.add_row(
            str(each.pid),
            Text("  " * each.depth).append_text(command),
            "" if each.kind is ProgramKind.UNKNOWN else each.kind.value,
            f"{each.cpu_share:.0%}",
            str(each.threads),
        )
    out().print(made)


def _threads(view: WorkloadProfileView) -> None:
    if not view.threads:
        return
    heading(f"threads, {view.threads_looked_at} of {view.threads_total} looked at")
    numeric = ("threads", "running", "waiting", "burst", "response", "sleeps/s", "preempted/s")
    made = table("name", *numeric, "pattern", right=numeric)
    for each in view.threads:
        made.add_row(
            plain(each.name, 40),
            str(each.threads),
            f"{each.run_share:.0%}",
            f"{each.wait_share:.0%}",
            "" if each.burst_us is None else microseconds(each.burst_us),
            "" if each.response_us is None else microseconds(each.response_us),
            f"{each.sleeps_per_s:.0f}",
            f"{each.preemptions_per_s:.0f}",
            each.pattern,
        )
    out().print(made)
