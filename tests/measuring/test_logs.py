# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of logs become samples: nginx, HAProxy, MangoHud and any file, through rotation."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.measuring.access_logs import HAProxy, Nginx, Timer, haproxy, nginx
from agent.measuring.mangohud import frame_times
from agent.measuring.sources import source_of
from agent.measuring.tail import LINE_BYTES, MOST_BEHIND_BYTES, Tail
from process import Fault, FaultType
from tests.measuring.reading_of import measure_of, nothing, samples

COMBINED = (
    '203.0.113.9 - - [30/Nov/2026:20:37:04 +0000] "GET /shop?q=rt=0.001 HTTP/1.1" 200 512 '
    '"https://a/?request_time=0.002" "Mozilla/5.0 rt=0.003 (X11; Linux)"'
)
# `option httplog` as in section 8.2.3 of HAProxy's manual, with odd values in it.
HTTPLOG = (
    "Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in "
    "static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "
    '"GET /index.html?a=1/2/3/4/5 HTTP/1.1"'
)


# ---------------------------------------------------------------- what is in a line


@pytest.mark.parametrize(
    ("line", "milliseconds"),
    [
        (f"{COMBINED} rt=0.125", 125.0),
        (f'{COMBINED} rt="0.125" uct="0.000"', 125.0),
        (f"{COMBINED} 0.290", 290.0),
        (f'{COMBINED} "0.290"', 290.0),
        (f"rt=1.5 {COMBINED}", 1500.0),
        ('{"uri":"/a","request_time":0.004,"status":200}', 4.0),
        ('{"uri":"/\\"request_time\\":9","request_time":"0.004"}', 4.0),
        (COMBINED, None),
        (f"{COMBINED} -", None),
        ('{"request_time":', None),
        ("[" * 5000, None),
    ],
)
def test_nginx_by_its_usual_places(line: str, milliseconds: float | None) -> None:
    """The number comes by key outside of quotes, from JSON, or from the last field; it never comes
    from a client's words."""
    assert nginx(Nginx(log="/x"))(line) == milliseconds


def test_nginx_by_a_field_or_a_pattern() -> None:
    """Fields outside of quotes and brackets are counted, from both ends."""
    line = f"{COMBINED} 0.125 0.100 ."
    assert nginx(Nginx(log="/x", field=10))(line) == 125.0
    assert nginx(Nginx(log="/x", field=-2))(line) == 100.0
    assert nginx(Nginx(log="/x", field=40))(line) is None
    assert nginx(Nginx(log="/x", field=1))(line) is None
    assert nginx(Nginx(log="/x", pattern=r'" ([0-9.]+) [0-9.]+ \.$'))(line) == 125.0


@pytest.mark.parametrize(
    ("timer", "milliseconds"),
    [(Timer.TR, 10.0), (Timer.TW, 0.0), (Timer.TC, 30.0), (Timer.SERVER, 69.0), (Timer.ALL, 109.0)],
)
def test_haproxy_by_its_timers(timer: Timer, milliseconds: float) -> None:
    """All five timers of `option httplog` are found; a client's text is never one."""
    assert haproxy(HAProxy(log="/x", timer=timer))(HTTPLOG) == milliseconds


def test_haproxy_leaves_out_what_was_broken_off() -> None:
    """−1 is no time, a `+` means that the log was written early, and other lines have none."""
    parse = haproxy(HAProxy(unit="haproxy.service", timer=Timer.SERVER))
    assert parse(HTTPLOG.replace("10/0/30/69/109", "10/0/-1/-1/+35")) is None
    assert parse(HTTPLOG.replace("10/0/30/69/109", "10/0/30/69/+109")) == 69.0
    assert parse("haproxy[1]: Server static/srv1 is DOWN, 1/2 active") is None


def test_frame_times_are_in_the_column_that_is_named_so() -> None:
    """The line of names says which column; without it, it is the second. Microseconds of older
    versions work too."""
    assert frame_times()("62.1,16103,40,55") == 16.103
    parse = frame_times()
    assert parse("62.1,16.103,40,55") == 16.103
    assert parse("os,cpu,gpu,ram,kernel,driver,cpuscheduler") is None
    assert parse("fps,cpu_load,frametime,gpu_load") is None
    assert parse("62.1,40,16.2,55") == 16.2
    assert [parse(each) for each in ("a,b,c", "1,2,-3", "1,2,nan", "1", "")] == [None] * 5


# ---------------------------------------------------------------- files that grow


def appends(path: Path, *lines: str) -> Callable[[], object]:
    def append() -> None:
        with path.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    return append


def test_what_is_added_is_read_and_what_was_there_is_not(tmp_path: Path) -> None:
    """Only new lines become samples, if they match."""
    log = tmp_path / "shop.log"
    log.write_text("took 1 ms\n")
    measure = measure_of(log={"file": str(log), "pattern": "took ([0-9]+) ms"})

    async def grow() -> None:
        appends(log, "took 2 ms", "nothing", "took 3 ms")()

    assert samples(measure, grow, 2) == [2.0, 3.0]


def test_a_rotated_log_is_followed(tmp_path: Path) -> None:
    """A new file is read from its beginning after the rest of the old one, and so is a truncated
    file; an incomplete line waits for its end."""
    log = tmp_path / "a.log"
    log.write_text("old\n")
    with Tail(lambda: log) as tail:
        assert tail.look() == []
        appends(log, "one")()
        assert tail.look() == [b"one"]
        appends(log, "two")()
        log.rename(tmp_path / "a.log.1")
        assert tail.look() == [b"two"]
        # A file that is gone for a moment is no fault.
        assert tail.look() == []
        log.write_text("three\nfo")
        assert tail.look() == [b"three"]
        appends(log, "ur")()
        assert tail.look() == [b"four"]
        log.write_text("x\n")
        assert tail.look() == [b"x"]


def test_long_lines_and_long_gaps_cost_no_memory(tmp_path: Path) -> None:
    """A line without an end is cut and its rest is ignored; of a large gap only the end is read."""
    log = tmp_path / "a.log"
    log.write_text("")
    with Tail(lambda: log) as tail:
        assert tail.look() == []
        with log.open("a") as file:
            file.write("y" * 3_000_000 + "\nz\n")
        lines = [line for _ in range(4) for line in tail.look()]
        assert [len(line) for line in lines] == [LINE_BYTES, 1]
        with log.open("a") as file:
            file.truncate(file.tell() + MOST_BEHIND_BYTES + 10)
            file.seek(0, 2)
            file.write("\nlast\n")
        assert tail.look()[-1] == b"last"
        assert tail.skipped_bytes > 0


def test_a_log_that_is_not_there_or_no_file_is_a_fault(tmp_path: Path) -> None:
    """The fault has the path and what to do; nobody waits for a pipe."""
    os.mkfifo(tmp_path / "pipe")
    for path, type_ in ((tmp_path / "none", FaultType.NOT_FOUND), (tmp_path, FaultType.BAD_CONFIG)):
        with pytest.raises(Fault) as caught:
            Tail(lambda path=path: path).look()  # type: ignore[misc]
        assert caught.value.type is type_
        assert str(path) in caught.value.where
    with pytest.raises(Fault):
        Tail(lambda: tmp_path / "pipe").look()


def test_a_log_without_a_place_is_a_fault_at_once(tmp_path: Path) -> None:
    """The fault is raised when the source is opened."""
    measure = measure_of(log={"file": str(tmp_path / "none"), "pattern": "([0-9])"})
    with pytest.raises(Fault) as caught:
        samples(measure, nothing, 1)
    assert caught.value.type is FaultType.NOT_FOUND


def test_the_newest_frame_log_is_read(tmp_path: Path) -> None:
    """A log that a game starts later is read from its beginning; summaries are not read."""
    (tmp_path / "old_summary.csv").write_text("a\n")

    async def play() -> None:
        (tmp_path / "game_2026.csv").write_text(
            "os,cpu,gpu,ram,kernel,driver,cpuscheduler\nLinux,x,y,1,2,3,4\n"
            "fps,frametime,cpu_load\n60,16.6,10\n"
        )
        appends(tmp_path / "game_2026.csv", "30,33.3,11")()

    assert samples(measure_of(mangohud={"folder": str(tmp_path)}), play, 2) == [16.6, 33.3]


def test_a_line_that_does_not_match_is_shown(tmp_path: Path) -> None:
    """If somebody wrote a wrong pattern, they see the line that it should match, made harmless."""
    log = tmp_path / "a.log"
    log.write_text("")
    measure = measure_of(log={"file": str(log), "pattern": "took ([0-9]+) ms"})

    async def look() -> str:
        async with source_of(measure) as source:
            await source.take()
            appends(log, "needed\x1b[31m 5 ms")()
            while True:
                (note,) = (await source.take()).notes
                if "no line came" not in note:
                    return note
                await asyncio.sleep(0.02)

    note = asyncio.run(asyncio.wait_for(look(), 30))
    assert note == ("1 line came, and the pattern matches none; the last was: needed\\x1b[31m 5 ms")
