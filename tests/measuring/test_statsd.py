# SPDX-License-Identifier: GPL-2.0-or-later
"""StatsD over real datagrams on the loopback interface."""

import asyncio
import socket

import pytest

from agent.measuring.reading import MeasurementReading
from agent.measuring.sources import source_of
from agent.measuring.statsd import parse
from process import Fault, FaultType
from tests.measuring.reading_of import measure_of, samples, until
from tests.waiting import in_time


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))
        return int(own.getsockname()[1])


def sent(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        for each in datagrams:
            own.sendto(each, ("127.0.0.1", port))


def heard(take: str, *datagrams: bytes) -> MeasurementReading:
    """One interval in which these datagrams came."""
    port = free_port()
    measure = measure_of(statsd={"metric": "shop.request", "port": port}, take=take)
    # This one comes last: when its samples have arrived, all have.
    sentinel = measure_of(statsd={"metric": "end", "port": port}, take="count")

    async def look() -> MeasurementReading:
        async with source_of(measure) as source, source_of(sentinel) as end:
            await source.take()
            sent(port, *datagrams, b"end:1|ms")
            await in_time(until(end, 1), 20)
            # An interval has to be long enough for a rate.
            await asyncio.sleep(0.06)
            return await source.take()

    return asyncio.run(look())


def test_timers_are_samples() -> None:
    """A datagram may have several lines, a line several values and tags; other metrics are
    ignored."""
    port = free_port()

    async def send() -> None:
        sent(port, b"shop.request:12.5|ms|#route:/a\nother:3|ms\nshop.request:7:8|h", b"junk")

    measure = measure_of(statsd={"metric": "shop.request", "port": port})
    assert samples(measure, send, 3) == [12.5, 7.0, 8.0]


def test_a_sampled_timer_counts_for_those_left_out() -> None:
    """At a rate of 0.1 each sample stands for ten."""
    reading = heard("count", b"shop.request:5|ms|@0.1", b"shop.request:5|ms")
    assert reading.value == pytest.approx(11)
    assert heard("mean", b"shop.request:5|ms|@0.1").unit == "ms"


def test_counters_are_how_often() -> None:
    """Values are summed; the mean of a counter makes no sense, and the message says that."""
    reading = heard("rate", b"shop.request:3|c\nshop.request:1|c|@0.5")
    assert reading.count == 5
    assert reading.value is not None
    assert 0 < reading.value <= 5 / 0.05
    assert reading.unit == "/s"
    wrong = heard("mean", b"shop.request:3|c")
    assert wrong.value is None
    assert "a counter has no mean" in wrong.notes[0]


def test_gauges_hold_and_move() -> None:
    """A gauge keeps its last value, set directly or by steps, while nothing comes; that includes
    0."""
    port = free_port()

    async def look() -> MeasurementReading:
        measure = measure_of(statsd={"metric": "a", "port": port}, take="last")
        async with source_of(measure) as source:
            sent(port, b"a:0|g")
            await in_time(until(source, 1), 20)
            return await source.take()

    assert asyncio.run(look()).value == 0
    assert heard("last", b"shop.request:3|g\nshop.request:+2|g\nshop.request:-1|g").value == 4.0


def test_what_came_instead_is_shown() -> None:
    """If somebody named a wrong metric, they see what came instead, made harmless."""
    (note,) = heard("p99", b"shop.requests:3|ms\x1b[0m").notes
    assert "2 other lines did, the last was: end:1|ms" in note


@pytest.mark.parametrize(
    "line",
    [
        "",
        ":",
        "a",
        "a:",
        "a:1",
        "a:x|ms",
        "a:nan|ms",
        "a:1e999|c",
        "a:1|ms|@0",
        "a:1|ms|@9",
        ":1|c",
    ],
)
def test_nonsense_is_nothing(line: str) -> None:
    """A text that is no metric, a bad number and an impossible rate are ignored."""
    assert parse(line) is None


def test_measures_share_a_port() -> None:
    """Each measure hears its own metric, and closing one takes the port from nobody."""
    port = free_port()

    async def look() -> tuple[list[float], list[float]]:
        first = source_of(measure_of(statsd={"metric": "a", "port": port}))
        async with source_of(measure_of(statsd={"metric": "b", "port": port})) as second:
            async with first:
                sent(port, b"a:1|ms\nb:2|ms")
                heard_first = await in_time(until(first, 1), 20)
            sent(port, b"b:3|ms")
            return heard_first, await in_time(until(second, 2), 20)

    assert asyncio.run(look()) == ([1.0], [2.0, 3.0])


def test_a_port_that_is_taken_is_a_fault() -> None:
    """The fault has the remedy: another port, or a repeater in the other server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind(("127.0.0.1", 0))
        port = own.getsockname()[1]
        measure = measure_of(statsd={"metric": "a", "port": port})
        with pytest.raises(Fault) as caught:
            samples(measure, lambda: asyncio.sleep(0), 1)
    assert caught.value.type is FaultType.BUSY
    assert "repeater" in caught.value.hint
