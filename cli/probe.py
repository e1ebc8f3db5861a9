# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot probe`: look closer for a few seconds."""

from pydantic import ValidationError
from rich.text import Text

from cli.exits import ExitCode
from cli.output import as_json, heading, note, out, plain, say, table
from daemon.api.client import control_client, observe_client
from daemon.api.display import displayable
from daemon.api.models import (
    CallPoints,
    HistogramView,
    ProbeKind,
    ProbeRequest,
    ProbeView,
    TableView,
)
from process import Fault, FaultType, first_problem

# Length of the longest bar of a histogram, characters.
_BAR = 40


def show_probes(*, json: bool) -> None:
    """The available probes, and what each lacks here."""
    with observe_client() as client:
        probes = client.probes()
    if json:
        as_json(probes)
        return
    made = table("probe", "question", "here")
    for each in probes:
        state = (
            Text("yes", style="green")
            if each.available
            else plain(f"missing: {'; '.join(each.missing)}", 500, "yellow")
        )
        made.add_row(each.kind.value, plain(each.question), state)
    out().print(made)
    for each in probes:
        if each.instead:
            say(f"instead of {each.kind}: {each.instead}", "dim")


def run_probe(
    kind: str, workload: str, seconds: int, calls: tuple[str, str, str] | None, *, json: bool
) -> ExitCode:
    """Run one probe and show what it saw.

    Args:
        calls: for `uprobe`: the program, and the functions or markers (`provider:name`) at which
            calls begin and end.

    Raises:
        Fault: BAD_NAME for an unknown kind, and the daemon's faults.
    """
    if kind not in list(ProbeKind):
        raise Fault(
            FaultType.BAD_NAME,
            f"{kind[:40]!r} is not a probe",
            hint=f"one of: {', '.join(ProbeKind)}",
        )
    try:
        request = ProbeRequest(
            kind=ProbeKind(kind),
            workload=workload or None,
            seconds=seconds,
            points=_points(calls) if calls else None,
        )
    except ValidationError as error:
        if calls:
            raise Fault(
                FaultType.BAD_REQUEST,
                "this cannot be probed",
                why=first_problem(error),
                hint="an absolute path, and names of functions or `provider:name` of markers; "
                "no --workload",
            ) from None
        raise Fault(
            FaultType.BAD_NAME,
            f"{displayable(workload, 80)!r} is not the id of a workload",
            hint="take ids from `schedpilot top --once`",
        ) from None
    note(f"looking for {seconds} s")
    with control_client() as client:
        view = client.run_probe(request)
    if json:
        as_json(view)
        return ExitCode.OK
    _show(view)
    return ExitCode.OK


def _points(calls: tuple[str, str, str]) -> CallPoints:
    binary, enter, leave = calls
    return CallPoints(binary=binary, enter=enter, exit=leave, markers=":" in enter)


def _show(view: ProbeView) -> None:
    for line in view.summary:
        say(line)
    for histogram in view.histograms:
        _histogram(histogram)
    for each in view.tables:
        _table(each)
    for line in view.notes:
        say(f"note: {line}", "dim")


def _histogram(view: HistogramView) -> None:
    heading(displayable(f"{view.title}, {view.unit}: {view.count} samples"))
    most = max((each.count for each in view.buckets), default=1)
    made = table("up to", "count", "", right=("up to", "count"))
    for each in view.buckets:
        bar = "#" * max(1, round(_BAR * each.count / most)) if each.count else ""
        made.add_row(f"{each.upper:g}", str(each.count), bar)
    out().print(made)


def _table(view: TableView) -> None:
    if not view.rows:
        return
    heading(displayable(view.title))
    columns = [displayable(each) for each in view.columns]
    numeric = [
        column
        for number, column in enumerate(columns)
        if not any(isinstance(row[number], str) for row in view.rows)
    ]
    made = table(*columns, right=numeric)
    for row in view.rows:
        made.add_row(*(plain(cell) if isinstance(cell, str) else f"{cell:g}" for cell in row))
    out().print(made)
    if view.left_out:
        say(f"and {view.left_out} more", "dim")
