# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot status` and `schedpilot top`: the current state."""

import time

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from cli.formats import ago, microseconds, quantity, span, titled
from cli.judged import judged_by
from cli.output import as_json, facts, heading, out, plain, say, table
from daemon.api.client import observe_client
from daemon.api.kept import kept_text
from daemon.api.models import KeptViewState, Limitation, StatusView, WorkloadView
from daemon.api.prepared import preparation_text, unprepared

# From this terminal width on, characters, `top` shows every column.
WIDE = 110


def _kernel(status: StatusView) -> Text:
    kernel = status.kernel
    if not kernel.supported:
        return Text("no sched_ext: schedulers cannot be loaded here", style="yellow")
    text = f"sched_ext {kernel.state}"
    if kernel.ops:
        text += f", {kernel.ops}"
    if kernel.nr_rejected:
        text += f", {kernel.nr_rejected} tasks rejected"
    return plain(text)


def _loaded(status: StatusView) -> Text:
    loaded = status.loaded
    if loaded is None:
        return Text("the kernel's own" if not status.foreign else "not ours")
    name = titled(loaded.name, loaded.parameters)
    return plain(f"{name}, {loaded.why} {ago(loaded.since)}, lease {span(loaded.lease_s)}")


def _kept_style(state: KeptViewState) -> str:
    return "yellow" if state in (KeptViewState.WAITING, KeptViewState.TRIAL) else ""


def _limit(limitation: Limitation) -> Text:
    text = limitation.reason
    if limitation.until:
        text += f" (for another {span(max(0.0, limitation.until - time.time()))})"
    return plain(text, 500, "yellow")


def show_status(*, json: bool) -> None:
    with observe_client() as client:
        status = client.status()
        if json:
            as_json(status)
            return
        episode = client.episode(status.episode) if status.episode else None
    rows: list[tuple[str, str | Text]] = [
        ("daemon", f"{status.version}, pid {status.pid}, up {span(time.time() - status.since)}"),
        ("autonomy", status.autonomy.value),
        ("kernel", _kernel(status)),
        ("scheduler", _loaded(status)),
    ]
    if status.loaded and status.loaded.policy:
        rows.append(("policy", status.loaded.policy))
    if status.power:
        rows.append(("power", plain(status.power, 80)))
    rows += [("kept", plain(kept_text(each), 500, _kept_style(each.state))) for each in status.kept]
    if status.foreign:
        rows.append(("foreign", plain(f"{status.foreign} (left alone)", style="yellow")))
    if status.advice_only:
        rows.append(("advice only", _limit(status.advice_only)))
    if status.cooldown:
        rows.append(("cooldown", _limit(status.cooldown)))
    if status.trial:
        rows.append(("trial", status.trial))
    if status.episode:
        rows.append(("episode", status.episode))
    if episode:
        rows += judged_by(episode)
    if status.preparation:
        rows.append(("prepared", plain(preparation_text(status.preparation), 200)))
    out().print(facts(rows))
    if status.preparation and (lost := unprepared(status.preparation)):
        heading("could not be proven ahead")
        for text in lost:
            out().print(plain(text, 300))
    if status.approvals:
        heading("waiting for a person: schedpilot approve ID, or decline ID")
        made = table("id", "scheduler", "workload", "objective", "since")
        for pending in status.approvals:
            made.add_row(
                pending.id,
                plain(pending.scheduler),
                plain(pending.workload, 60),
                plain(pending.objective),
                ago(pending.at),
            )
        out().print(made)
    if status.degraded:
        heading("served worse than usual")
        made = table("workload", "signal", "now", "usual", "ratio", "since", right=("now", "usual"))
        for each in status.degraded:
            made.add_row(
                plain(each.workload, 80),
                plain(each.objective or each.signal),
                quantity(each.value, each.unit),
                quantity(each.baseline, each.unit),
                f"x{each.ratio:.1f}",
                ago(each.since),
            )
        out().print(made)
    if status.objectives:
        heading("objectives")
        made = table("workload", "objective", "now", "", right=("now",))
        for objective in status.objectives:
            state = Text("broken", style="red") if objective.broken else Text("met", style="green")
            made.add_row(
                plain(objective.workload, 80),
                plain(objective.text),
                quantity(objective.value, objective.unit),
                state if objective.value is not None else Text("no value yet", style="dim"),
            )
        out().print(made)
        for objective in status.objectives:
            if objective.warning:
                say(f"warning: {objective.workload}: {objective.warning}", "yellow")
    if status.quarantine:
        heading("quarantine")
        made = table("scheduler", "candidate", "reason", "until")
        for entry in status.quarantine:
            left = span(max(0.0, entry.until - time.time())) if entry.until else "further notice"
            made.add_row(plain(entry.scheduler), plain(entry.candidate), plain(entry.reason), left)
        out().print(made)
    for text in status.notes:
        say(f"note: {text}", "dim")


def _by_delay(workloads: list[WorkloadView]) -> list[WorkloadView]:
    return sorted(workloads, key=lambda each: -(each.last.delay_p99_us if each.last else -1.0))


def workloads_table(workloads: list[WorkloadView], most: int, width: int) -> RenderableType:
    """The workloads that wait longest, first; fewer columns in a narrow terminal.

    `response` is the time from a thread's wakeup to its next sleep, `done/s` how many of these
    ended.
    """
    if not workloads:
        return Text("no workload has been seen yet", style="dim")
    wide = width >= WIDE
    numeric = ["delay p99", "usual", "ratio", "response p99", "done/s", "run"]
    numeric += ["slice", "moves/s"] if wide else []
    made = table("workload", *numeric, *(["is"] if wide else []), right=numeric)
    for each in _by_delay(workloads)[:most]:
        last, usual = each.last, each.baseline_delay_p99_us
        cells = ["–"] * len(numeric)
        if last is not None:
            cells = [
                microseconds(last.delay_p99_us),
                microseconds(usual),
                f"x{last.delay_p99_us / usual:.1f}" if usual else "–",
                microseconds(last.response_p99_us or None),
                f"{last.completions_per_s:.0f}",
                f"{last.run_share:.0%}",
                microseconds(last.slice_mean_us),
                f"{last.migrations_per_s:.0f}",
            ][: len(numeric)]
        made.add_row(
            plain(each.id, 60, "bold red" if each.degraded else ""),
            *(Text(cell) for cell in cells),
            *([plain(", ".join(each.tags), 60, "dim")] if wide else []),
        )
    left = len(workloads) - most
    return Group(made, Text(f"and {left} more", style="dim")) if left > 0 else made


def _headline(status: StatusView) -> Text:
    name = status.loaded.name if status.loaded else status.foreign or "the kernel's own"
    line = Text("scheduler ", style="dim")
    line.append_text(plain(name, style="bold"))
    line.append(f"   autonomy {status.autonomy.value}", style="dim")
    for word, record in (("trial", status.trial), ("episode", status.episode)):
        if record:
            line.append(f"   {word} ", style="dim").append_text(plain(record))
    return line


def show_top(*, once: bool, json: bool, interval_s: float, most: int) -> None:
    with observe_client() as client:
        if json:
            as_json(_by_delay(client.workloads()))
            return

        def picture() -> RenderableType:
            shown = workloads_table(client.workloads(), most, out().width)
            return Group(_headline(client.status()), Text(), shown)

        if once or not out().is_terminal:
            out().print(picture())
            return
        with Live(picture(), console=out(), screen=True, auto_refresh=False) as live:
            try:
                while True:
                    time.sleep(interval_s)
                    live.update(picture(), refresh=True)
            except KeyboardInterrupt:
                return
