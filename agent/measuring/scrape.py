# SPDX-License-Identifier: GPL-2.0-or-later
"""A page of metrics in the Prometheus format, read directly; no Prometheus server is needed.

    scrape = { url = "http://127.0.0.1:9121/metrics", metric = "redis_commands_processed_total" }

A gauge has `last` (of one series), `sum`, `max` and `min` (over its series); a counter `rate` and
`count`; a histogram `p50` to `p99`, `mean`, `rate` and `count`; a summary `mean`, `rate` and
`count`, and its own quantiles. Series with the given labels are summed.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Self

from pydantic import Field, StringConstraints

from agent.measuring.deltas import FIRST, NOTHING, RESET, Totals, difference
from agent.measuring.http import get
from agent.measuring.reading import MeasurementReading, Momentary
from agent.measuring.samples import unit_of
from agent.measuring.table import QUANTILES, AgentTable, Take, Url
from daemon.api.display import displayable
from process import Fault, FaultType

PAGE_LIMIT_BYTES = 8 << 20
# Limit on series of one metric, including buckets.
MOST_SERIES = 20_000
_Metric = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]{0,199}$")]
_Label = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,99}$")]
_Value = Annotated[str, StringConstraints(max_length=500)]
_PARTS = ("_total", "_bucket", "_sum", "_count")


class Scrape(AgentTable):
    """One metric of a page."""

    url: Url
    metric: _Metric
    labels: dict[_Label, _Value] = Field(default_factory=dict, max_length=20)


@dataclass(frozen=True)
class Page:
    """The metric's values on one page. `buckets` are cumulative, by upper edge."""

    kind: str
    values: tuple[float, ...] = ()
    totals: Totals | None = None
    buckets: tuple[tuple[float, float], ...] = ()
    quantiles: Mapping[float, float] = field(default_factory=dict)


def read_page(text: str, metric: str, labels: Mapping[str, str]) -> Page:
    """The metric's series with these labels.

    Raises:
        Fault: BAD_REQUEST if the page is malformed, NOT_FOUND if it has no such series.
    """
    # imported late: seldom needed
    from prometheus_client.parser import text_string_to_metric_families

    name = metric
    for part in _PARTS:
        name = name.removesuffix(part)
    own = _lines_of(text, name)
    samples = []
    kind = "unknown"
    try:
        for family in text_string_to_metric_families("\n".join(own) + "\n"):
            if family.name not in (name, metric):
                continue
            kind = family.type if kind == "unknown" else kind
            samples += [
                each
                for each in family.samples
                if all(each.labels.get(key) == value for key, value in labels.items())
            ]
    except (ValueError, KeyError, IndexError) as error:
        raise Fault(
            FaultType.BAD_REQUEST,
            "this is not a page of metrics",
            why=displayable(str(error), 200),
            hint="`url` is that of the page itself, such as http://127.0.0.1:9121/metrics",
        ) from None
    if not samples:
        raise _absent(text, name, labels)
    if kind == "unknown" and metric.endswith("_total"):
        kind = "counter"
    if kind == "histogram":
        edges: dict[float, float] = {}
        for each in samples:
            if each.name.endswith("_bucket"):
                edge = _edge(each.labels.get("le", ""))
                edges[edge] = edges.get(edge, 0.0) + each.value
        return Page(kind, totals=_totals(samples), buckets=tuple(sorted(edges.items())))
    if kind == "summary":
        quantiles = {
            _edge(each.labels["quantile"]): each.value
            for each in samples
            if "quantile" in each.labels
        }
        return Page(kind, totals=_totals(samples), quantiles=quantiles)
    values = tuple(each.value for each in samples if not each.name.endswith("_created"))
    return Page(kind, values=values, totals=Totals(sum(values), 0.0))


def _lines_of(text: str, name: str) -> list[str]:
    """From a page that may have a million lines, the lines about the metric."""
    found = []
    for line in text.splitlines():
        if line.startswith((name, f"# TYPE {name}")):
            found.append(line)
            if len(found) > MOST_SERIES:
                raise Fault(FaultType.TOO_LARGE, f"the metric has more than {MOST_SERIES} series")
    return found


def _totals(samples: Iterable[object]) -> Totals:
    count = amount = 0.0
    for each in samples:
        name, value = str(getattr(each, "name", "")), float(getattr(each, "value", 0.0))
        count += value if name.endswith("_count") else 0.0
        amount += value if name.endswith("_sum") else 0.0
    return Totals(count, amount)


def _edge(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.inf


def _absent(text: str, name: str, labels: Mapping[str, str]) -> Fault:
    import difflib

    names = sorted({line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")
                    and len(line.split()) > 3})[:5000]  # fmt: skip
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    said = f"nearest: {', '.join(displayable(each, 80) for each in near)}" if near else ""
    with_labels = f" with the labels {dict(labels)!r}" if labels else ""
    return Fault(
        FaultType.NOT_FOUND,
        f"the page has no metric {name!r}{with_labels}",
        why=said or f"it has {len(names)} metrics",
        hint="look at the page: curl URL | grep '# TYPE'",
    )


def histogram_quantile(buckets: Iterable[tuple[float, float]], share: float) -> float | None:
    """Like PromQL's `histogram_quantile`: linear within a bucket, the last finite edge
    above all.
    """
    edges = list(buckets)
    total = edges[-1][1] if edges else 0.0
    if total <= 0:
        return None
    wanted = share * total
    lower = below = 0.0
    for upper, count in edges:
        if count >= wanted:
            if math.isinf(upper):
                return lower
            if count == below:
                return upper
            return lower + (upper - lower) * (wanted - below) / (count - below)
        lower, below = (upper if not math.isinf(upper) else lower), count
    return lower


class ScrapedMetric(Momentary):
    """Reads the page at the end of each interval."""

    def __init__(self, table: Scrape, take: Take, unit: str, timeout_s: float) -> None:
        self.where = displayable(table.url)
        self._table = table
        self._take = take
        self._unit = unit
        self._timeout_s = timeout_s
        self._before: tuple[float, Page] | None = None

    async def __aenter__(self) -> Self:
        self._before = None
        return self

    async def take(self) -> MeasurementReading:
        began = time.time()
        raw = await get(
            self._table.url, {}, self._timeout_s, PAGE_LIMIT_BYTES, self.where, "the page"
        )
        page = await asyncio.to_thread(self._page, raw)
        before, self._before = self._before, (began, page)
        if page.kind in ("gauge", "unknown", "info", "stateset") and self._take is not Take.RATE:
            return self._gauge(page, began)
        if page.kind == "summary" and self._take in QUANTILES:
            value = page.quantiles.get(QUANTILES[self._take])
            if value is None:
                raise self._wrong(f"this summary has no quantile {QUANTILES[self._take]}")
            finite = value if math.isfinite(value) else None
            return MeasurementReading(
                began, finite, self._unit, notes=("over the server's own time",)
            )
        if page.kind != "histogram" and self._take not in (Take.RATE, Take.COUNT, Take.MEAN):
            raise self._wrong(f"a {page.kind} has no {self._take}")
        if self._take is Take.MEAN and page.kind in ("counter", "unknown", "gauge"):
            raise self._wrong(f"a {page.kind} has no mean")
        if before is None:
            return MeasurementReading(began, None, notes=(FIRST,))
        return self._delta(before, page, began)

    def _page(self, raw: bytes) -> Page:
        try:
            return read_page(raw.decode("utf-8", "replace"), self._table.metric, self._table.labels)
        except Fault as fault:
            fault.where = fault.where or self.where
            raise

    def _gauge(self, page: Page, now: float) -> MeasurementReading:
        over: dict[Take, Callable[[Iterable[float]], float]] = {
            Take.SUM: sum, Take.MAX: max, Take.MIN: min,
        }  # fmt: skip
        if self._take is Take.LAST:
            if len(page.values) != 1:
                raise self._wrong(f"it has {len(page.values)} series")
            value = page.values[0]
        elif self._take in over:
            value = over[self._take](page.values)
        else:
            raise self._wrong(f"a {page.kind} has no {self._take}")
        finite = value if math.isfinite(value) else None
        return MeasurementReading(now, finite, self._unit, len(page.values), page.values[:5])

    def _delta(self, before: tuple[float, Page], page: Page, now: float) -> MeasurementReading:
        since, earlier = before
        if self._take not in QUANTILES:
            assert earlier.totals is not None
            assert page.totals is not None
            return difference(earlier.totals, page.totals, self._take, since, now, self._unit)
        was = dict(earlier.buckets)
        came = [(edge, count - was.get(edge, 0.0)) for edge, count in page.buckets]
        if any(count < 0 for _, count in came):
            return MeasurementReading(since, None, self._unit, notes=(RESET,))
        value = histogram_quantile(came, QUANTILES[self._take])
        count = round(came[-1][1]) if came else 0
        notes = () if count else (NOTHING,)
        return MeasurementReading(since, value, unit_of(self._take, self._unit), count, notes=notes)

    def _wrong(self, why: str) -> Fault:
        return Fault(
            FaultType.BAD_CONFIG,
            f"the metric {self._table.metric!r} does not support this `take`",
            where=self.where,
            why=why,
            hint="a gauge: last, or sum, max, min over its series (or name `labels`); a counter: "
            "rate, count; a histogram: p50 to p99, mean, rate, count",
        )
