# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot measure` as a person uses it, and the agent, which does the same all the time."""

import asyncio
import json
from pathlib import Path

import pytest

from agent.measure import keep_polling
from agent.measuring.program import main
from agent.measuring.table import Take
from agent.measuring.uprobe import CallTimes, Uprobe
from daemon.api.models import CallsRequest, CallsView, HistogramBucket, MeasurementRequest
from daemon.api.paths import RUN_DIR_VARIABLE
from process import Fault, FaultType
from tests.api.fake import serving
from tests.measuring.reading_of import measure_of
from tests.waiting import in_time

CONFIG = """
[[measure]]
name = "three"
command = ["/bin/echo", "3"]
unit = "ms"

[[measure]]
name = "broken"
command = ["/bin/echo", "many"]

[[measure]]
name = "silent"
log = { file = "LOG", pattern = "took ([0-9.]+) ms" }
"""


@pytest.fixture
def config(tmp_path: Path) -> str:
    (tmp_path / "a.log").write_text("")
    path = tmp_path / "agent.toml"
    path.write_text(CONFIG.replace("LOG", str(tmp_path / "a.log")))
    return str(path)


def test_the_list_has_each_with_its_source(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The list has name, source, which value and how often; as JSON it is what the file says."""
    assert main(["list", "--config", config]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "three   command: /bin/echo 3, every 5 s"
    assert "pattern took ([0-9.]+) ms, p99, every 5 s" in lines[2]
    assert main(["list", "--config", config, "--json"]) == 0
    assert [each["name"] for each in json.loads(capsys.readouterr().out)] == [
        "three", "broken", "silent",
    ]  # fmt: skip


def test_each_measure_is_read_and_shown(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is a value, a fault with its remedy, or a reason for no value; the worst sets the
    status."""
    assert main(["test", "--config", config, "--seconds", "0.2"]) == 1
    out = capsys.readouterr().out
    assert "  value = 3 ms" in out
    assert "  error: measure 'broken', command '/bin/echo': the measurement is not a number" in out
    assert "  hint: print exactly one number" in out
    assert "  note: no line came in this time" in out
    assert main(["test", "three", "--config", config, "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["name"], entry["value"], entry["unit"]) == ("three", 3.0, "ms")
    assert main(["test", "silent", "--config", config, "--seconds", "0.2"]) == 3


def test_a_source_of_the_command_line_needs_no_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table of TOML is checked like any other; a configuration named on the command line must
    exist."""
    log = tmp_path / "a.log"
    log.write_text("")
    source = f'log = {{ file = "{log}", pattern = "n=([0-9]+)" }}'
    assert main(["test", "--source", source, "--take", "rate", "--seconds", "0.2"]) == 0
    assert "rate = 0 /s of 0 in" in capsys.readouterr().out
    assert main(["test", "--source", source.replace("([0-9]+)", "(a)(b)")]) == 1
    assert "has 2 groups, and needs exactly one" in capsys.readouterr().err
    assert main(["test", "--source", source, "--take", "p98"]) == 1
    assert "take" in capsys.readouterr().err
    assert main(["test", "none", "--config", str(tmp_path / "none.toml")]) == 1
    assert "this configuration does not exist" in capsys.readouterr().err


def test_a_name_that_is_not_there_is_told_with_those_that_are(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message is on standard error, and the status is 1."""
    assert main(["test", "four", "--config", config]) == 1
    assert "there are: three, broken, silent" in capsys.readouterr().err


def test_the_agent_hands_on_each_interval_with_its_beginning(tmp_path: Path) -> None:
    """Lines become one number for their interval; an interval without lines has none."""
    log = tmp_path / "a.log"
    log.write_text("")
    measure = measure_of(
        log={"file": str(log), "pattern": "took ([0-9.]+) ms"}, unit="ms", interval_s=0.2
    )
    pushed: list[MeasurementRequest] = []

    async def push(request: MeasurementRequest) -> None:
        pushed.append(request)
        raise asyncio.CancelledError

    async def life() -> None:
        task = asyncio.create_task(keep_polling(measure, push))
        while not task.done():
            with log.open("a") as file:
                file.write("took 7.5 ms\n")
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(in_time(life(), 60))
    (request,) = pushed
    assert (request.name, request.value, request.unit) == ("m", 7.5, "ms")
    assert request.started is not None


def calls_of(view: CallsView, take: str = "p99") -> tuple[float | None, str, tuple[str, ...]]:
    """The value that a measure of calls takes from an answer of the daemon."""

    async def ask(request: CallsRequest) -> CallsView:
        assert request.points.exit == "serve"
        assert request.keep_s >= 15
        return view

    table = Uprobe(binary="/usr/bin/shop", enter="serve")
    measure = measure_of(uprobe=table.model_dump(), take=take)
    assert measure.taken is not None
    source = CallTimes(table.points, measure.taken, 5.0, ask)
    reading = asyncio.run(source.take())
    return reading.value, reading.unit, reading.notes


def test_calls_are_taken_from_what_the_daemon_counted() -> None:
    """Percentiles come by bucket, with mean and rate. The first answer starts the probe and is no
    value. Without the daemon, that is reported."""
    view = CallsView(
        seconds=2.0,
        count=100,
        total_us=5000.0,
        max_us=900.0,
        buckets=[HistogramBucket(upper=40.0, count=98), HistogramBucket(upper=950.0, count=2)],
    )
    assert calls_of(view) == (950.0, "us", ())
    assert calls_of(view, "p50")[0] == 40.0
    assert calls_of(view, "mean")[0] == 50.0
    assert calls_of(view, "rate")[:2] == (50.0, "/s")
    more = view.model_copy(update={"count": 130})
    assert calls_of(more, "p50")[0] == 40.0
    assert calls_of(CallsView(seconds=1.0, count=1, total_us=5.0), "min")[0] is None
    assert calls_of(CallsView(seconds=0.0))[0] is None
    assert "no call ended" in calls_of(CallsView(seconds=2.0))[2][0]
    source = CallTimes(Uprobe(binary="/usr/bin/shop", enter="serve").points, Take.P99, 5.0, None)
    with pytest.raises(Fault) as caught:
        asyncio.run(source.take())
    assert caught.value.type is FaultType.UNREACHABLE


def test_calls_are_asked_of_the_daemon_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The request goes over the control socket; without a daemon the fault says so."""
    source = 'uprobe = { binary = "/usr/bin/shop", enter = "serve" }'
    monkeypatch.setenv(RUN_DIR_VARIABLE, str(tmp_path / "run"))
    assert main(["test", "--source", source]) == 1
    assert "control socket does not open" in capsys.readouterr().out
    with serving(tmp_path / "run") as served:
        assert main(["test", "--source", source, "--take", "mean"]) == 0
        assert "mean = 25 us of 4" in capsys.readouterr().out
        (asked,) = [each for name, each in served.service.asked if name == "count_calls"]
    assert asked.points.binary == "/usr/bin/shop"
