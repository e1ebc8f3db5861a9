# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot library list|show|search`."""

from collections.abc import Sequence

from rich.text import Text

from cli.output import as_json, facts, heading, out, plain, say, table
from daemon.api.client import observe_client
from daemon.api.models import ParameterView, SchedulerDetail, SchedulerView


def _listing(found: Sequence[SchedulerView], *, scored: bool) -> None:
    made = table("name", "kind", "", "summary", "good for", *(["score"] if scored else []))
    for each in found:
        state = Text("") if each.installed else Text("not installed", style="dim")
        row = [
            plain(each.name, style="bold" if each.installed else "dim"),
            Text(each.kind),
            state,
            plain(each.summary),
            plain(", ".join(each.good_for), 80, "dim"),
        ]
        if scored:
            row.append(Text(f"{each.score:.2f}" if each.score is not None else "–"))
        made.add_row(*row)
    out().print(made)


def show_list(*, json: bool) -> None:
    with observe_client() as client:
        found = client.library()
    if json:
        as_json(found)
    else:
        _listing(found, scored=False)


def show_search(query: str, workload: str, *, everything: bool, json: bool) -> int:
    """How many were found, among the installed or among all."""
    with observe_client() as client:
        fitting = client.library(query, workload)
    found = [each for each in fitting if everything or each.installed]
    more = len(fitting) - len(found)
    if json:
        as_json(found)
    elif found:
        _listing(found, scored=True)
        for each in found:
            if each.why:
                say(f"{each.name}: {'; '.join(each.why)}", "dim")
    else:
        say("nothing in the library matches")
    if more and not json:
        say(f"{more} more that match are not installed here: --all shows them", "dim")
    return len(found)


def _bounds(parameter: ParameterView) -> str:
    if parameter.min is None or parameter.max is None:
        return ""
    return f"{parameter.min:g} to {parameter.max:g}"


def _parameters(detail: SchedulerDetail) -> None:
    heading("parameters")
    made = table("name", "type", "default", "range", "unit", "when", "", right=("default",))
    for each in detail.parameters:
        made.add_row(
            plain(each.name, style="bold"),
            plain(each.type),
            plain(str(each.default)),
            _bounds(each),
            "" if each.unit == "none" else plain(each.unit),
            plain(each.when),
            plain(each.description, 300),
        )
    out().print(made)


def show_scheduler(name: str, *, json: bool) -> None:
    with observe_client() as client:
        detail = client.scheduler(name)
    if json:
        as_json(detail)
        return
    say(f"{detail.name}: {detail.summary}", "bold")
    rows: list[tuple[str, str | Text]] = [
        ("kind", detail.kind if detail.installed else f"{detail.kind}, not installed"),
        ("version", detail.version),
        ("note", detail.note),
        ("tags", ", ".join(detail.tags)),
        ("good for", ", ".join(detail.good_for)),
        ("bad for", ", ".join(detail.bad_for)),
        ("origin", detail.origin + (f", from {detail.parent}" if detail.parent else "")),
        ("licence", detail.license),
    ]
    out().print(facts([(name, value) for name, value in rows if value]))
    texts = (
        ("the policy", detail.policy),
        ("what it is", detail.description),
        ("how it works", detail.algorithm),
    )
    for title, text in texts:
        if text:
            heading(title)
            for line in text.splitlines():
                say(line)
    if detail.parameters:
        _parameters(detail)
    if detail.page:
        heading("its page")
        for line in detail.page.splitlines():
            say(line)
