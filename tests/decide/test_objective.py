# SPDX-License-Identifier: GPL-2.0-or-later

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.models import Direction
from daemon.decide.objective import (
    Declared,
    Measurement,
    parse_guard,
    parse_objective,
)
from daemon.decide.values import value_of
from process import Fault, FaultType
from simulator.objective_text import Metric
from tests.decide.synthetic import BATCH, SERVICE, interval, seeded, workload


@pytest.mark.parametrize(
    ("text", "metric", "quantile", "limit", "unit", "direction"),
    [
        ("latency p99 < 5ms", Metric.DELAY, 0.99, 5000, "us", Direction.LOWER),
        ("latency p50", Metric.DELAY, 0.5, None, "us", Direction.LOWER),
        ("latency p99.9 <= 0.5 s", Metric.DELAY, 0.999, 500_000, "us", Direction.LOWER),
        ("latency mean<200us", Metric.DELAY, None, 200, "us", Direction.LOWER),
        ("latency p95 < 200µs", Metric.DELAY, 0.95, 200, "us", Direction.LOWER),
        ("delay p99", Metric.DELAY, 0.99, None, "us", Direction.LOWER),
        ("response p99 lower", Metric.RESPONSE, 0.99, None, "us", Direction.LOWER),
        ("response p99 lower < 20ms", Metric.RESPONSE, 0.99, 20_000, "us", Direction.LOWER),
        ("completions higher > 5/s", Metric.COMPLETIONS, None, 5, "1/s", Direction.HIGHER),
        ("turnaround mean < 2min", Metric.TURNAROUND, None, 120e6, "us", Direction.LOWER),
        ("turnaround p90", Metric.TURNAROUND, 0.9, None, "us", Direction.LOWER),
        ("makespan lower", Metric.MAKESPAN, None, None, "us", Direction.LOWER),
        ("throughput", Metric.COMPLETIONS, None, None, "1/s", Direction.HIGHER),
        ("throughput > 200/s", Metric.COMPLETIONS, None, 200, "1/s", Direction.HIGHER),
        ("cpu > 150%", Metric.CPU, None, 150, "%", Direction.HIGHER),
        ("measurement rps higher", Metric.MEASUREMENT, None, None, "", Direction.HIGHER),
        (
            "measurement frame_time lower < 16.7 ms",
            Metric.MEASUREMENT,
            None,
            16.7,
            "ms",
            Direction.LOWER,
        ),
        ("measurement errors lower < 3", Metric.MEASUREMENT, None, 3, "", Direction.LOWER),
    ],
)
def test_every_form_is_read(
    text: str,
    metric: Metric,
    quantile: float | None,
    limit: float | None,
    unit: str,
    direction: Direction,
) -> None:
    """Each documented form gives its metric, quantile, limit in the base unit and direction."""
    found = parse_objective(text)
    assert (found.metric, found.direction, found.unit) == (metric, direction, unit)
    assert found.limit == (None if limit is None else pytest.approx(limit))
    assert found.quantile == (None if quantile is None else pytest.approx(quantile))


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("", 1, "the text ends here"),
        ("latncy p99", 1, "did you mean 'latency'?"),
        ("latency", 8, "percentile"),
        ("latency p999", 9, "did you mean 'p99.9'?"),
        ("latency p0", 9, "not between"),
        ("latency p99 > 5ms", 13, "lower is better"),
        ("latency p99 < fast", 15, "a number"),
        ("latency p99 < 5", 16, "a unit"),
        ("latency p99 < 5 parsecs", 17, "a unit"),
        ("latency p99 < 0ms", 15, "above 0"),
        ("latency p99 5ms", 13, "'<'"),
        ("latency p99 < 5ms please", 19, "left over"),
        ("throughput < 5/s", 12, "higher is better"),
        ("cpu > 5/s", 8, "a unit"),
        ("measurement", 12, "name"),
        ("measurement Big lower", 13, "name"),
        ("measurement rps hihger", 17, "did you mean 'higher'?"),
        ("respnse p99", 1, "did you mean 'response'?"),
        ("response p99 higher", 14, "lower is better"),
        ("response p99; completions not wors than 5%", 31, "did you mean 'worse'?"),
        ("response p99; completions not worse than 100%", 42, "cannot be tolerated"),
        ("response p99; completions not worse than 5", 43, "`%`"),
        ("response p99; response p99 < 5ms", 15, "twice"),
        ("completions not worse than 5%", 30, "only guards"),
        ("response p99;; cpu", 14, "ends here"),
        ("latency p99 & rm", 13, "means nothing"),
        ("latency p99 ; rm", 15, "found 'rm'"),
    ],
)
def test_every_mistake_is_pointed_at(text: str, column: int, said: str) -> None:
    """The fault for a wrong text has the column, the reason and a remedy."""
    with pytest.raises(Fault) as caught:
        parse_objective(text)
    fault = caught.value
    assert fault.type is FaultType.BAD_PARAMETER
    assert fault.where == f"column {column}"
    assert said in f"{fault.why} {fault.hint}"
    assert fault.details[1].index("^") == column - 1


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("latency p99 < 5ms", "delay p99"),
        ("throughput", "completions"),
        ("response p99 lower;completions  not worse than 5%", "response p99; completions not "
         "worse than 5%"),
        ("cpu; makespan;", "cpu; makespan"),
        ("measurement rps higher > 3 x", "measurement rps"),
    ],
)  # fmt: skip
def test_there_is_one_way_to_write_each(text: str, title: str) -> None:
    """Older words, `lower` and spaces lead to the same title, and the canonical text parses to the
    same objective."""
    found = parse_objective(text)
    assert found.title == title
    again = parse_objective(found.canonical)
    assert again.canonical == found.canonical
    assert [term.limit for term in again.terms] == [term.limit for term in found.terms]


def test_terms_are_targets_or_guards() -> None:
    """The first target leads."""
    found = parse_objective("completions not worse than 2%; response p99; cpu")
    assert [term.title for term in found.targets] == ["response p99", "cpu"]
    assert [term.tolerance for term in found.guards] == [pytest.approx(0.02)]
    assert found.leading.metric is found.metric is Metric.RESPONSE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("completions", "`completions not worse than 20%`"),
        ("response p99 < 5ms", "`response p99 not worse than 20%`"),
        ("cpu not worse than 5%; completions not worse than 5%", "one guard for each"),
    ],
)
def test_a_guard_is_one_term_that_says_how_much(text: str, said: str) -> None:
    """The fault for anything else says what to write."""
    with pytest.raises(Fault) as caught:
        parse_guard("comm:backup", text)
    assert said in f"{caught.value.why} {caught.value.hint}"


def test_a_guard_has_its_workload_in_its_name() -> None:
    """The key distinguishes the figures of several workloads."""
    guard = parse_guard("comm:backup", "turnaround mean not worse than 300%")
    assert guard.key == "comm:backup: turnaround mean"
    assert guard.tolerance == 3


@given(st.text(max_size=60))
def test_no_text_is_a_defect(text: str) -> None:
    """Every text is an objective or a fault."""
    with suppress(Fault):
        assert parse_objective(text).title


def test_the_title_reads_back_as_the_same_metric() -> None:
    """A title (without limit) of a latency objective is itself objective text."""
    first = parse_objective("latency p99.9 < 5ms")
    again = parse_objective(first.title)
    assert (again.metric, again.quantile) == (first.metric, first.quantile)


def test_latency_is_of_the_merged_histograms() -> None:
    """An interval with twenty times the samples weighs twenty times as much."""
    dice = seeded(3)
    busy = interval(0, workload(dice, p99_us=1000, count=4000))
    idle = interval(1, workload(dice, p99_us=100_000, count=20))
    value = value_of(parse_objective("latency p50"), SERVICE, [busy, idle])
    assert value is not None
    assert value.samples == 4020
    assert value.value == pytest.approx(100, rel=0.2)


def test_throughput_and_cpu_are_over_the_whole_time() -> None:
    """Intervals without the workload count as time in which it did nothing."""
    dice = seeded(3)
    seen = [
        interval(0, workload(dice, wakeups_per_s=300, run_share=0.8)),
        interval(1, workload(dice, BATCH)),
    ]
    throughput = value_of(parse_objective("throughput"), SERVICE, seen)
    cpu = value_of(parse_objective("cpu"), SERVICE, seen)
    assert throughput is not None
    assert cpu is not None
    assert throughput.value == pytest.approx(150)
    assert cpu.value == pytest.approx(40)


def test_a_measurement_is_the_median_of_its_own_name() -> None:
    """Other names are not mixed in, and one outlier does not decide."""
    numbers = [Measurement(1, "rps", value) for value in (10, 11, 12, 13, 900)]
    numbers.append(Measurement(1, "other", 1))
    value = value_of(parse_objective("measurement rps higher"), "", [], numbers)
    assert value is not None
    assert (value.value, value.samples) == (12, 5)


@pytest.mark.parametrize("text", ["latency p99", "throughput", "cpu", "measurement x lower"])
def test_nothing_seen_is_no_value(text: str) -> None:
    """A window without the workload has no value, which is not zero."""
    dice = seeded(3)
    seen = [interval(0, workload(dice, BATCH))]
    assert value_of(parse_objective(text), SERVICE, seen) is None


def test_no_workload_is_all_of_them() -> None:
    """Without a workload the whole machine is measured."""
    dice = seeded(3)
    seen = [interval(0, workload(dice, run_share=0.5), workload(dice, BATCH, run_share=1.0))]
    value = value_of(parse_objective("cpu"), "", seen)
    assert value is not None
    assert value.value == pytest.approx(150)


def test_a_glob_is_for_those_that_match() -> None:
    """A name stands for itself, whether it exists or not; a glob for existing workloads."""
    objective = parse_objective("latency p99 < 5ms")
    assert Declared("comm:x", objective).of([SERVICE]) == ["comm:x"]
    assert Declared("cgroup:/system.slice/*", objective).of([SERVICE, "comm:x"]) == [SERVICE]


def test_broken_and_worse_follow_the_direction() -> None:
    """If lower is better, a value above the limit breaks it; if higher is better, one below
    does."""
    lower, higher = parse_objective("latency p99 < 5ms"), parse_objective("throughput > 100/s")
    assert lower.broken_by(6000)
    assert not lower.broken_by(4000)
    assert higher.broken_by(90)
    assert not higher.broken_by(110)
    assert lower.worse(20, 10) == higher.worse(10, 20) == 2


def test_a_workload_that_never_waited_is_not_made_infinitely_worse() -> None:
    """Times below the resolution of the signals are equal."""
    leading = parse_objective("response p99").leading
    assert leading.worse(1.0, 0.0) == 1.0
    assert 900 < leading.worse(1000.0, 0.0) < 1000


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("response p99 < 20000 us", "response p99 < 20ms"),
        ("response p99 < 0.0005 s", "response p99 < 500us"),
        ("makespan < 1.5 min", "makespan < 90s"),
        ("delay p50 < 16.7ms", "delay p50 < 16.7ms"),
        ("measurement x lower < 20000 us", "measurement x lower < 20000us"),
    ],
)
def test_a_limit_is_written_as_people_write_it(text: str, canonical: str) -> None:
    """A limit is in the longest unit that keeps the number, and parses to the same one."""
    found = parse_objective(text)
    assert found.canonical == canonical
    assert parse_objective(canonical).limit == found.limit
