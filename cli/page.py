# SPDX-License-Identifier: GPL-2.0-or-later
"""The report's page: one self-contained HTML file.

The markup is in templates/report.html.j2. Jinja2 escapes every value, and `_shown` makes it
harmless before; the only other markup is the picture, in which names are outlines. The page forbids
itself scripts and network access.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cli.formats import (
    clock,
    microseconds,
    moment,
    quantity,
    span,
    titled,
)
from cli.timeline import Served, Timeline
from daemon.api.display import displayable
from daemon.api.models import Arm, Decision, TrialView
from daemon.api.telling import details, ended_as, outcome

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
# The longest text that is shown, characters.
LIMIT = 1000


def _shown(value: object) -> object:
    """Hostile text as harmless text, which is escaped afterwards; markup of the template stays."""
    return value if hasattr(value, "__html__") else displayable(str(value), LIMIT)


def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["clock"] = clock
    return made


def _responses(row: Served) -> tuple[str, str, str]:
    if not row.response_p99_median_us:
        return ("–", "–", "–")
    return (
        microseconds(row.response_p99_median_us),
        microseconds(row.response_p99_worst_us),
        quantity(row.completions_per_s, "1/s"),
    )


def _served(timeline: Timeline) -> tuple[tuple[str, ...], list[dict[str, Any]]]:
    """The head of the table of schedulers, and its rows."""
    known = any(row.response_p99_median_us for row in timeline.served)
    answers = ("response p99, median", "response p99, worst", "completions") if known else ()
    head = ("scheduler", "loaded for", *answers, "delay p99, median", "delay p99, worst")
    rows = [
        {
            "scheduler": row.scheduler,
            "figures": (
                span(row.seconds),
                *(_responses(row) if known else ()),
                microseconds(row.delay_p99_median_us),
                microseconds(row.delay_p99_worst_us),
            ),
        }
        for row in timeline.served
    ]
    return head, rows


def _trial(trial: TrialView) -> dict[str, Any]:
    verdict = trial.verdict
    return {
        "title": titled(trial.scheduler, trial.parameters),
        "id": trial.id,
        "judged": verdict is not None,
        "ended": ended_as(trial),
        "reason": trial.reason,
        "objective": trial.objective,
        "style": "good" if verdict and verdict.decision is Decision.KEEP else "bad",
        "change": outcome(verdict, trial.direction) if verdict else "",
        "details": details(trial) if verdict else (),
        "windows": list(_windows(trial)),
    }


def _windows(trial: TrialView) -> Iterator[dict[str, Any]]:
    largest = max((each.value for each in trial.windows), default=0.0)
    for each in trial.windows:
        candidate = each.arm is Arm.CANDIDATE
        width = 12 * each.value / largest if largest > 0 else 0
        yield {
            "candidate": candidate,
            "arm": trial.scheduler if candidate else "before",
            "started": each.started,
            "value": quantity(each.value, trial.unit),
            "width": f"{width:.2f}",
            "excluded": each.excluded,
        }


def _inline(picture: bytes) -> str:
    """The drawing's `svg` element, without the prologue that a separate SVG file needs."""
    text = picture.decode()
    return text[text.index("<svg") :]


def page(timeline: Timeline, picture: bytes, now: float) -> str:
    """The whole page.

    Args:
        picture: an SVG file that we drew.
        now: Unix seconds, for the line that says when the page was made.
    """
    served_head, served = _served(timeline)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            policy=POLICY,
            title=displayable(f"schedpilot: {timeline.workload}", 200),
            workload=displayable(timeline.workload, 400),
            made=moment(now),
            sentences=timeline.sentences,
            picture=_inline(picture),
            marks=timeline.marks,
            served_head=served_head,
            served=served,
            trials=[_trial(trial) for trial in timeline.trials],
        )
    )
