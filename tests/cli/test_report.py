# SPDX-License-Identifier: GPL-2.0-or-later
"""Reports: their content, well-formed HTML, and names that have no effect in it."""

import builtins
import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cli.page import page
from cli.picture import draw, rows_of
from cli.timeline import KERNEL, Timeline, from_json, thinned, timeline_of, to_json
from daemon.api.models import Event, EventKind, SignalPoint
from process import Fault, FaultType
from tests.agent.machine import HOSTILE, WORKLOAD, ServedMachine
from tests.cli.conftest import Schedpilot

BEGAN = 1_800_000_000.0
EMPTY_ELEMENTS = {"meta", "br", "hr", "img", "link", "input"}


class Strict(HTMLParser):
    """Raises if a tag is not closed as it was opened; collects the content of the page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [name for name, _ in attrs]
        if tag not in EMPTY_ELEMENTS:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def parsed(html: str) -> Strict:
    parser = Strict()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def point(second: float, p99_us: float, scheduler: str = "") -> SignalPoint:
    return SignalPoint(
        at=BEGAN + second,
        delay_p50_us=p99_us / 10,
        delay_p99_us=p99_us,
        slice_mean_us=400.0,
        run_share=0.5,
        wakeups_per_s=100.0,
        involuntary_per_s=1.0,
        migrations_per_s=1.0,
        scheduler=scheduler,
    )


def event(seq: int, second: float, kind: EventKind, message: str, workload: str = "") -> Event:
    return Event(seq=seq, at=BEGAN + second, kind=kind, message=message, workload=workload)


def hostile_timeline() -> Timeline:
    points = [point(second, 100.0, HOSTILE[:40] if second > 5 else "") for second in range(10)]
    events = [
        event(1, 3, EventKind.DEGRADATION, f"{HOSTILE} is slow", HOSTILE),
        event(2, 6, EventKind.KEPT, "</td></svg><script>x</script>", HOSTILE),
    ]
    return timeline_of(HOSTILE, points, 50.0, events, [])


def test_hostile_names_are_text_in_the_page() -> None:
    """No tag, attribute or control character of a name becomes one of the page's."""
    timeline = hostile_timeline()
    html = page(timeline, draw(timeline, "svg", captions=False), BEGAN)
    found = parsed(html)
    assert "script" not in found.tags
    assert not [name for name in found.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>\\x1b[31m$\\frac{1}{0}$[bold]x" in found.text
    assert "\x1b" not in html


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """The page loads no script, style, font or picture, and its policy forbids that."""
    timeline = hostile_timeline()
    html = page(timeline, draw(timeline, "svg", captions=False), BEGAN)
    assert "default-src 'none'" in html
    found = parsed(html)
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert "src" not in found.attributes


def test_the_picture_is_well_formed_and_the_same_each_time() -> None:
    """SVG files are valid XML and PNG files are PNGs; names that look like formulas are drawn
    unchanged."""
    timeline = hostile_timeline()
    drawn = draw(timeline, "svg", captions=True)
    assert ElementTree.fromstring(drawn).tag.endswith("svg")  # noqa: S314 - drawn by us
    assert drawn == draw(timeline, "svg", captions=True)
    assert draw(timeline, "png", captions=True).startswith(b"\x89PNG")


def test_an_account_says_how_each_scheduler_served() -> None:
    """Medians, worst values and durations; the kernel's own scheduler comes first."""
    points = [
        *(point(s, 9000.0) for s in range(10)),
        *(point(10 + s, 500.0 + s, "latency") for s in range(10)),
    ]
    timeline = timeline_of("comm:x", points, 300.0, [], [])
    rows = [(row.scheduler, row.delay_p99_median_us, row.seconds) for row in timeline.served]
    assert rows == [(KERNEL, 9000.0, 9.0), ("latency", 504.5, 10.0)]
    assert any("Under latency (10 s)" in each for each in timeline.sentences)


def test_only_decisions_about_the_workload_are_marked() -> None:
    """Events of other workloads, of other times and of single windows are left out; duplicates
    count once."""
    wanted = event(4, 2, EventKind.KEPT, "kept", "comm:x")
    events = [
        event(1, 1, EventKind.WINDOW, "window", "comm:x"),
        event(2, 1, EventKind.KEPT, "other", "comm:y"),
        event(3, -500, EventKind.KEPT, "before", "comm:x"),
        wanted,
        wanted,
        event(5, 3, EventKind.FOREIGN, "machine"),
    ]
    timeline = timeline_of("comm:x", [point(s, 1.0) for s in range(10)], None, events, [])
    assert [(mark.number, mark.text) for mark in timeline.marks] == [(1, "kept"), (2, "machine")]


def test_a_verdict_stands_alone_only_where_nothing_carries_it() -> None:
    """A keep or a rollback has its verdict in it; a verdict without either has its own mark."""
    events = [
        event(1, 1, EventKind.VERDICT, "kept one").model_copy(update={"trial": "t-1"}),
        event(2, 1, EventKind.KEPT, "is kept").model_copy(update={"trial": "t-1"}),
        event(3, 2, EventKind.VERDICT, "by hand").model_copy(update={"trial": "t-2"}),
    ]
    timeline = timeline_of("comm:x", [point(s, 1.0) for s in range(10)], None, events, [])
    assert [mark.text for mark in timeline.marks] == ["is kept", "by hand"]


def test_an_account_can_be_drawn_elsewhere(schedpilot: Schedpilot, tmp_path: Path) -> None:
    """The output of --json from one machine becomes a page on another one without a daemon."""
    timeline = hostile_timeline()
    source = tmp_path / "account.json"
    source.write_bytes(to_json(timeline))
    assert from_json(to_json(timeline), "here") == timeline
    output = tmp_path / "r.html"
    done = schedpilot("report", "--from", str(source), "-o", str(output))
    assert done.status == 0, done.error_text
    assert "is slow" in parsed(output.read_text()).text
    source.write_text('{"workload": 5}')
    done = schedpilot("report", "--from", str(source), "-o", str(output))
    assert done.status == 1
    assert "not an account" in done.error_text


def test_marks_close_to_each_other_stand_in_rows() -> None:
    """Numbers are not printed over each other."""
    events = [event(n, 5 + n / 1000, EventKind.KEPT, "x") for n in range(1, 4)]
    timeline = timeline_of("comm:x", [point(s, 1.0) for s in range(100)], None, events, [])
    assert [row for _, row in rows_of(timeline)] == [0, 1, 2]


def test_thinning_keeps_the_worst() -> None:
    """A spike of one interval is in the picture, however long the time."""
    points = [point(second, 100.0) for second in range(9999)]
    points[5000] = point(5000, 77_000.0)
    few = thinned(points, 500)
    assert len(few) <= 500
    assert max(each.delay_p99_us for each in few) == 77_000.0


def test_without_points_there_is_still_a_page() -> None:
    """The report says if a workload was never measured."""
    timeline = timeline_of("comm:x", [], None, [], [])
    html = page(timeline, draw(timeline, "svg", captions=False), BEGAN)
    assert "Nothing was measured" in parsed(html).text


def test_without_matplotlib_the_fault_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fault names the extra to install, and the form that needs no picture."""
    real = builtins.__import__

    def without(name: str, *arguments: Any, **named: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Fault) as caught:
        draw(hostile_timeline(), "svg", captions=False)
    assert caught.value.type is FaultType.NOT_INSTALLED
    assert "schedpilot[report]" in caught.value.hint


def test_report_writes_what_the_suffix_says(
    served: ServedMachine, schedpilot: Schedpilot, tmp_path: Path
) -> None:
    """HTML, PNG and SVG files, whole or not at all, and JSON on standard output."""
    served.call(served.machine.degrade)
    assert schedpilot("agent", "--once").status == 0
    for suffix in ("html", "png", "svg", "json"):
        done = schedpilot("report", "-o", str(tmp_path / f"r.{suffix}"))
        assert done.status == 0, done.error_text
    text = parsed((tmp_path / "r.html").read_text()).text
    assert WORKLOAD in text
    assert "Trials, window by window" in text
    assert "better with confidence" in text
    assert json.loads((tmp_path / "r.json").read_text())["workload"] == WORKLOAD
    document = json.loads(schedpilot("report", "--json").stdout)
    assert {mark["word"] for mark in document["marks"]} >= {"trial", "kept"}
    assert len(document["points"]) == 200
    assert schedpilot("report", "-o", str(tmp_path / "none" / "r.html")).status == 1
    assert sorted(each.name for each in tmp_path.iterdir() if each.name.startswith(".")) == []


def test_response_time_comes_before_the_delay_where_it_is_known() -> None:
    """The sentences and the page's table have what callers see under each scheduler, if the signals
    have it."""
    known = {"response_p99_us": 193_000.0, "completions_per_s": 42.0}
    before = [point(second, 9_000.0).model_copy(update=known) for second in range(10)]
    after = [point(10 + second, 40_000.0, "fifo") for second in range(10)]
    timeline = timeline_of(WORKLOAD, [*before, *after], None, [], [])
    told = " ".join(timeline.sentences)
    assert "response p99 193 ms in the median interval, 193 ms at worst, 42 /s completions" in told
    assert told.count("response p99") == 1
    assert "response p99, median" in parsed(page(timeline, b"<svg/>", BEGAN)).text
    assert from_json(to_json(timeline), "x").served == timeline.served
    without = timeline_of(WORKLOAD, after, None, [], [])
    assert "response" not in parsed(page(without, b"<svg/>", BEGAN)).text
