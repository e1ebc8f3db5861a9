# SPDX-License-Identifier: GPL-2.0-or-later
"""A page of metrics over HTTP, as exporters write it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest

from agent.measuring.deltas import NOTHING, RESET
from agent.measuring.reading import MeasurementReading
from agent.measuring.scrape import PAGE_LIMIT_BYTES, histogram_quantile, read_page
from process import Fault, FaultType
from tests.measuring.reading_of import measure_of, second_reading


class Shop:
    """A shop with metrics, written by the library that programs use, or with any page."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        own = {"registry": self.registry}
        self.requests = Counter("shop_requests", "served", ["route"], **own)  # type: ignore[arg-type]
        self.open = Gauge("shop_open", "now", ["route"], **own)  # type: ignore[arg-type]
        self.took = Histogram(
            "shop_took_seconds", "each", buckets=(0.01, 0.1, 1), registry=self.registry
        )
        self.parsed = Summary("shop_parsed_seconds", "each", registry=self.registry)
        self.page: bytes | None = None

    @contextmanager
    def serving(self) -> Iterator[str]:
        shop = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == "/metrics" else 404)
                self.end_headers()
                self.wfile.write(shop.page or generate_latest(shop.registry))

            def log_message(self, format: str, *args: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def serve(self, seconds: float = 0.05) -> None:
        self.requests.labels("/a").inc(30)
        self.requests.labels("/b").inc(10)
        self.open.labels("/a").set(3)
        self.open.labels("/b").set(5)
        for _ in range(10):
            self.took.observe(seconds)
            self.parsed.observe(seconds)


def scraped(shop: Shop, metric: str, take: str, **labels: str) -> MeasurementReading:
    """What the page says about an interval in which the shop served, after earlier requests."""
    shop.serve()

    async def serve() -> None:
        shop.serve()

    with shop.serving() as url:
        scrape = {"url": url, "metric": metric, "labels": labels}
        return second_reading(measure_of(scrape=scrape, take=take), serve)


@pytest.mark.parametrize("name", ["shop_requests_total", "shop_requests"])
def test_a_counter_is_a_rate_and_a_count(name: str) -> None:
    """It counts what was added since the last reading, over all series or those with the labels."""
    assert scraped(Shop(), name, "count").value == 40
    assert scraped(Shop(), name, "count", route="/a").value == 30
    rate = scraped(Shop(), name, "rate")
    assert rate.value is not None
    assert 0 < rate.value < 40 / 0.05
    assert rate.unit == "/s"


def test_a_gauge_is_what_it_is() -> None:
    """One series gives its value; several give what is asked for, or else a fault with their
    number."""
    assert scraped(Shop(), "shop_open", "last", route="/b").value == 5
    assert scraped(Shop(), "shop_open", "sum").value == 8
    assert scraped(Shop(), "shop_open", "max").value == 5
    with pytest.raises(Fault, match="2 series"):
        scraped(Shop(), "shop_open", "last")
    with pytest.raises(Fault, match="a gauge has no p99"):
        scraped(Shop(), "shop_open", "p99")


def test_a_histogram_has_quantiles_of_the_interval() -> None:
    """They cover the interval and lie between the edges of their bucket; mean and rate come with
    them."""
    shop = Shop()
    shop.took.observe(0.5)
    reading = scraped(shop, "shop_took_seconds", "p50")
    assert reading.value == pytest.approx(0.01 + 0.09 * 0.5)
    assert reading.count == 10
    assert scraped(Shop(), "shop_took_seconds", "mean").value == pytest.approx(0.05)
    assert scraped(Shop(), "shop_took_seconds", "count").value == 10


def test_a_summary_has_mean_and_rate() -> None:
    """A summary has no quantiles for the interval, so a request for one is refused."""
    assert scraped(Shop(), "shop_parsed_seconds", "mean").value == pytest.approx(0.05)
    with pytest.raises(Fault, match=r"no quantile 0\.99"):
        scraped(Shop(), "shop_parsed_seconds", "p99")


def test_quantiles_of_buckets() -> None:
    """As in PromQL, a quantile above the last finite edge is that edge, and nothing has none."""
    inf = float("inf")
    assert histogram_quantile([(1, 5), (2, 10), (inf, 10)], 0.75) == 1.5
    assert histogram_quantile([(1, 5), (2, 5), (inf, 10)], 0.99) == 2
    assert histogram_quantile([(1, 0), (inf, 0)], 0.5) is None
    assert histogram_quantile([], 0.5) is None


def test_a_server_that_was_restarted_gives_no_number() -> None:
    """Counters that went back give no rate, and an idle interval has no mean."""
    shop = Shop()
    shop.page = b"# TYPE served_total counter\nserved_total 100\n"

    async def restart() -> None:
        shop.page = b"# TYPE served_total counter\nserved_total 5\n"

    with shop.serving() as url:
        reading = second_reading(
            measure_of(scrape={"url": url, "metric": "served_total"}, take="rate"), restart
        )
        shop.page = None
        shop.serve()
        idle = second_reading(
            measure_of(scrape={"url": url, "metric": "shop_took_seconds"}, take="mean")
        )
    assert (reading.value, reading.notes) == (None, (RESET,))
    assert (idle.value, idle.notes) == (None, (NOTHING,))


def test_a_metric_that_is_not_there_is_named_with_its_like() -> None:
    """The fault has the address and similar names. A page that is not one, is too large or is
    refused is reported as well."""
    shop = Shop()
    shop.serve()
    with pytest.raises(Fault) as caught:
        scraped(shop, "shop_request", "rate", route="/none")
    assert caught.value.type is FaultType.NOT_FOUND
    with pytest.raises(Fault) as caught:
        scraped(shop, "shop_opened", "last")
    assert "shop_open" in caught.value.why
    assert "127.0.0.1" in caught.value.where
    shop.page = b"m" + b"x" * PAGE_LIMIT_BYTES
    with pytest.raises(Fault) as caught:
        scraped(shop, "m", "last")
    assert caught.value.type is FaultType.TOO_LARGE
    shop.page = b"# TYPE m gauge\nm{ 1\n"
    with pytest.raises(Fault) as caught:
        scraped(shop, "m", "last")
    assert caught.value.type is FaultType.BAD_REQUEST


def test_a_metric_is_not_another_one_that_begins_like_it() -> None:
    """Names are whole words; a page without types is read as well."""
    page = "shop_requests_total 5\nshop_requests_total_failed 9\nshop 1\n"
    assert read_page(page, "shop_requests_total", {}).values == (5.0,)
    assert read_page(page, "shop", {}).values == (1.0,)
