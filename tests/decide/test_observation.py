# SPDX-License-Identifier: GPL-2.0-or-later
import json

import pytest

from bpf.signals.source import SignalsLine, lower_edge
from daemon.decide.observation import WorkloadObservation, observation_of
from tests.decide.synthetic import BATCH, SERVICE, bucket, interval, line_of, seeded, workload


def test_a_line_becomes_rates_and_shares() -> None:
    """Totals of an interval become per-second values, and the same figures come back."""
    dice = seeded(1)
    made = interval(0, workload(dice), workload(dice, BATCH, run_share=1.2), seconds=2)
    found = observation_of(SignalsLine.model_validate_json(line_of(made)))
    assert found.at == made.at
    assert found.began == made.at - 2
    assert set(found.workloads) == {SERVICE, BATCH}
    for name, each in found.workloads.items():
        before = made.workloads[name]
        assert each.delay_hist == before.delay_hist
        assert each.delay_p99_us == pytest.approx(before.delay_p99_us)
        assert each.delay_mean_us == pytest.approx(before.delay_mean_us)
        assert each.wakeups_per_s == pytest.approx(before.wakeups_per_s)
        assert each.run_share == pytest.approx(before.run_share)


def test_ended_processes_become_a_rate() -> None:
    """Figures that the signals program counts are there; an older recording has none."""
    made = interval(0, workload(seeded(1)), seconds=2)
    line = json.loads(line_of(made))
    assert (
        observation_of(SignalsLine.model_validate_json(json.dumps(line)))
        .workloads[SERVICE]
        .exits_per_s
        == 0.0
    )
    line["workloads"][0]["exits"] = 50
    found = observation_of(SignalsLine.model_validate_json(json.dumps(line)))
    assert found.workloads[SERVICE].exits_per_s == 25.0


def _histogram(*values_us: float) -> dict[str, object]:
    hist = [[bucket(each), 1] for each in sorted(values_us)]
    most = max(values_us, default=0.0)
    figures = {"p50": most, "p90": most, "p99": most, "max": most, "hist": hist}
    return {"count": len(values_us), "sum": sum(values_us), **figures}


def test_activations_become_figures_and_rates() -> None:
    """Ended and unfinished activations, and processes; an unfinished wait is the longest."""
    made = interval(0, workload(seeded(1)), seconds=2)
    line = json.loads(line_of(made))
    line["workloads"][0] |= {
        "response_us": _histogram(1000.0, 2000.0, 3000.0, 50_000.0),
        "burst_us": _histogram(900.0, 900.0, 900.0, 1300.0),
        "open_us": _histogram(700_000.0),
        "turnaround_us": _histogram(80_000.0, 120_000.0),
        "waited_us": 10_000.0,
        "preempted_us": 42_000.0,
        "longest": {"comm": "editor", "pid": 7, "delay_us": 9e6},
    }
    found = observation_of(SignalsLine.model_validate_json(json.dumps(line))).workloads[SERVICE]
    assert found.response_count == 4
    assert found.completions_per_s == 2.0
    assert found.response_mean_us == 14_000.0
    assert found.response_p50_us == pytest.approx(2000, rel=0.0625)
    assert found.response_p99_us == pytest.approx(50_000, rel=0.0625)
    assert found.response_max_us == 50_000.0
    assert found.burst_mean_us == 1000.0
    assert found.open_hist == ((bucket(700_000.0), 1),)
    assert (found.turnaround_count, found.turnaround_mean_us) == (2, 100_000.0)
    assert (found.waited_us, found.preempted_us) == (10_000.0, 42_000.0)
    assert (found.longest_comm, found.longest_pid, found.delay_max_us) == ("editor", 7, 9e6)
    point = found.point(1.0)
    assert point.completions_per_s == point.activations_per_s == 2.0
    assert point.waiting_share == pytest.approx(10 / 56)
    assert point.preempted_share == pytest.approx(42 / 56)
    assert point.response_p99_us == found.response_p99_us


def test_an_event_loop_has_its_split_by_activation() -> None:
    """Many events in one activation: completions are the events, and what passed waiting is a part
    of the one activation's time, however often the events count it."""
    made = interval(0, workload(seeded(1)), seconds=2)
    line = json.loads(line_of(made))
    line["workloads"][0] |= {
        "response_us": _histogram(*(4_000.0 * 1.07**each for each in range(10))),
        "burst_us": _histogram(3_000.0),
        "waited_us": 400.0,
        "preempted_us": 600.0,
    }
    found = observation_of(SignalsLine.model_validate_json(json.dumps(line))).workloads[SERVICE]
    point = found.point(1.0)
    assert (point.completions_per_s, point.activations_per_s) == (5.0, 0.5)
    assert (point.waiting_share, point.preempted_share) == pytest.approx((0.1, 0.15))


def test_who_only_waits_does_not_look_well_served() -> None:
    """A workload with a single unfinished wait has that as its delay."""
    starved = WorkloadObservation(id=SERVICE, delay_max_us=2e6, longest_comm="editor")
    assert starved.point(1.0).delay_p99_us == 2e6


def test_a_line_without_activations_has_none() -> None:
    """An older program reports no responses, and nothing is invented."""
    made = interval(0, workload(seeded(1)))
    found = observation_of(SignalsLine.model_validate_json(line_of(made))).workloads[SERVICE]
    assert found.response_count == found.completions_per_s == found.turnaround_count == 0
    assert found.response_hist == found.open_hist == ()
    assert found.longest_comm == ""
    assert found.delay_max_us == made.workloads[SERVICE].delay_max_us


def test_a_point_has_the_same_figures() -> None:
    """The API shows the same interval that the decisions use."""
    each = workload(seeded(1))
    point = each.point(12.0, "latency")
    assert (point.at, point.scheduler) == (12.0, "latency")
    assert point.delay_p99_us == each.delay_p99_us
    assert point.run_share == each.run_share


@pytest.mark.parametrize("value", [1.5, 3.0, 100.0, 4096.0, 5000.0, 1e6])
def test_a_bucket_begins_where_the_one_before_ends(value: float) -> None:
    """The lower edge of a bucket is below its values, and no value lies between buckets."""
    upper = bucket(value)
    assert lower_edge(upper) <= value < upper
    assert bucket(lower_edge(upper) * 0.999) == pytest.approx(lower_edge(upper))
