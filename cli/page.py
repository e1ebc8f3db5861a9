# SPDX-License-Identifier: GPL-2.0-or-later
"""The report's page: one self-contained HTML file.

Every text goes through `_text`; the only other markup is the picture, in which names are outlines.
The page forbids itself scripts and network access.
"""

import html
from collections.abc import Iterable, Sequence

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

STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --faint: #616e7c; --paper: #ffffff;
  --line: #e4e7eb; --good: #15803d; --bad: #b91c1c; --candidate: #0b6e99; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e7eb; --faint: #9aa5b1;
  --paper: #14191f; --line: #323f4b; --good: #4ade80; --bad: #f87171; --candidate: #67c3e6; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 70rem; margin: 2rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; overflow-wrap: anywhere; }
p { margin: .35rem 0; }
.faint { color: var(--faint); }
.good { color: var(--good); } .bad { color: var(--bad); } .candidate { color: var(--candidate); }
figure { margin: 1.25rem 0; background: #fff; border: 1px solid var(--line); border-radius: 8px;
  padding: .5rem; }
figure svg { display: block; width: 100%; height: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0; }
.scroll { overflow-x: auto; }
th, td { text-align: left; padding: .25rem 1.25rem .25rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: break-word; vertical-align: top; }
.when { white-space: nowrap; }
th { font-weight: 600; color: var(--faint); }
td.number, th.number { text-align: right; white-space: nowrap; }
.bar { display: inline-block; height: .7rem; border-radius: 2px; background: currentColor;
  opacity: .7; vertical-align: middle; }
.out { opacity: .5; }
"""


def _text(text: str, limit: int = 1000) -> str:
    """Hostile text as HTML text."""
    return html.escape(displayable(text, limit))


def _table(head: Sequence[str], rows: Iterable[str], numbers: Sequence[int] = ()) -> str:
    cells = "".join(
        f'<th class="number">{_text(each)}</th>' if i in numbers else f"<th>{_text(each)}</th>"
        for i, each in enumerate(head)
    )
    body = "\n".join(rows)
    return (
        f'<div class="scroll"><table><thead><tr>{cells}</tr></thead>\n'
        f"<tbody>{body}</tbody></table></div>"
    )


def _number(text: str) -> str:
    return f'<td class="number">{_text(text)}</td>'


def _cell(text: str, style: str = "") -> str:
    return f'<td class="{style}">{_text(text)}</td>' if style else f"<td>{_text(text)}</td>"


def _served(timeline: Timeline) -> str:
    known = any(row.response_p99_median_us for row in timeline.served)
    rows = (
        "<tr>"
        + _cell(row.scheduler)
        + _number(span(row.seconds))
        + "".join(map(_number, _responses(row) if known else ()))
        + _number(microseconds(row.delay_p99_median_us))
        + _number(microseconds(row.delay_p99_worst_us))
        + "</tr>"
        for row in timeline.served
    )
    answers = ("response p99, median", "response p99, worst", "completions") if known else ()
    head = ("scheduler", "loaded for", *answers, "delay p99, median", "delay p99, worst")
    return _table(head, rows, numbers=range(1, len(head)))


def _responses(row: Served) -> tuple[str, str, str]:
    if not row.response_p99_median_us:
        return ("–", "–", "–")
    return (
        microseconds(row.response_p99_median_us),
        microseconds(row.response_p99_worst_us),
        quantity(row.completions_per_s, "1/s"),
    )


def _marks(timeline: Timeline) -> str:
    rows = (
        "<tr>"
        + _number(str(mark.number))
        + _cell(clock(mark.at), "when")
        + _cell(mark.word, "when")
        + _cell(mark.text)
        + "</tr>"
        for mark in timeline.marks
    )
    return _table(("", "when", "", "what the daemon said"), rows, numbers=(0,))


def _trial(trial: TrialView) -> str:
    name = titled(trial.scheduler, trial.parameters)
    parts = [f"<h3>{_text(name)} <span class=faint>{_text(trial.id)}</span></h3>"]
    verdict = trial.verdict
    if verdict is None:
        parts.append(f"<p>{_text(ended_as(trial))}: {_text(trial.reason)}</p>")
    else:
        style = "good" if verdict.decision is Decision.KEEP else "bad"
        change = outcome(verdict, trial.direction)
        parts.append(
            f'<p><strong class="{style}">{_text(ended_as(trial))}</strong>; '
            f"{_text(trial.objective)}: {_text(change)}</p>\n"
            + "\n".join(f'<p class="faint">{_text(line)}</p>' for line in details(trial))
        )
    largest = max((each.value for each in trial.windows), default=0.0)
    rows = []
    for number, each in enumerate(trial.windows, 1):
        candidate = each.arm is Arm.CANDIDATE
        width = 12 * each.value / largest if largest > 0 else 0
        rows.append(
            f'<tr class="{"out" if each.excluded else ""}">'
            + _number(str(number))
            + _cell(clock(each.started), "when")
            + _cell(trial.scheduler if candidate else "before", "candidate" if candidate else "")
            + _number(quantity(each.value, trial.unit))
            + f'<td class="{"candidate" if candidate else "faint"}">'
            + f'<span class=bar style="width:{width:.2f}rem"></span></td>'
            + _cell(f"left out: {each.excluded}" if each.excluded else "")
            + "</tr>"
        )
    if rows:
        head = ("", "when", "arm", trial.objective, "", "")
        parts.append(_table(head, rows, numbers=(0, 3)))
    return "\n".join(parts)


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
    sentences = "\n".join(f"<p>{_text(each)}</p>" for each in timeline.sentences)
    title = f"schedpilot: {timeline.workload}"
    sections = [
        f"<h2>In short</h2>\n{sentences}",
        f"<figure role=img aria-label='run-queue delay over time'>{_inline(picture)}</figure>",
    ]
    if timeline.marks:
        sections.append(f"<h2>What was decided</h2>\n{_marks(timeline)}")
    if timeline.served:
        sections.append(f"<h2>By scheduler</h2>\n{_served(timeline)}")
    if timeline.trials:
        trials = "\n".join(_trial(trial) for trial in timeline.trials)
        sections.append(f"<h2>Trials, window by window</h2>\n{trials}")
    body = "\n".join(sections)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{html.escape(POLICY, quote=False)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{_text(title, 200)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{_text(timeline.workload, 400)}</h1>
<p class="faint">How the kernel scheduled it, and what schedpilot did about it. \
Made {_text(moment(now))}.</p>
{body}
</body>
</html>
"""
