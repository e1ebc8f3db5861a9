# SPDX-License-Identifier: GPL-2.0-or-later
"""The metrics page, read back with the reference parser."""

from prometheus_client.parser import text_string_to_metric_families

from daemon.api.models import (
    Autonomy,
    Degradation,
    Direction,
    KernelView,
    Limitation,
    LoadedScheduler,
    ObjectiveView,
    SignalPoint,
    StatusView,
    WorkloadView,
)
from daemon.service.metrics import WORKLOADS_SHOWN, render

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def status(**more: object) -> StatusView:
    base = {
        "version": "1.2",
        "pid": 1,
        "since": 5.0,
        "autonomy": Autonomy.AUTO,
        "kernel": KernelView(
            supported=True, state="enabled", ops="fifo", enable_seq=3, nr_rejected=2
        ),
    }
    return StatusView.model_validate(base | more)


def point(run_share: float = 0.5) -> SignalPoint:
    return SignalPoint(
        at=1.0,
        delay_p50_us=100,
        delay_p99_us=2500,
        slice_mean_us=3000,
        run_share=run_share,
        wakeups_per_s=10,
        involuntary_per_s=1,
        migrations_per_s=2,
        response_p50_us=4000,
        response_p99_us=40_000,
        completions_per_s=9,
        burst_mean_us=3500,
    )


def workload(id: str, run_share: float = 0.5) -> WorkloadView:
    return WorkloadView(id=id, last=point(run_share))


def test_a_bare_daemon_has_a_page() -> None:
    """Nothing loaded and nothing seen is a valid scrape."""
    found = samples(render(status(), []))
    assert found["schedpilot_info", (("autonomy", "auto"), ("version", "1.2"))] == 1
    assert found["schedpilot_workloads", ()] == 0
    assert found["schedpilot_advice_only", ()] == 0
    assert found["schedpilot_sched_ext_state", (("ops", "fifo"), ("state", "enabled"))] == 1
    assert found["schedpilot_sched_ext_enables_total", ()] == 3


def test_delays_are_in_seconds_and_state_is_told() -> None:
    """The page uses base units and shows what is loaded, limited, broken and degraded."""
    loaded = LoadedScheduler(name="fifo", candidate="c-0001", since=1, why="kept", lease_s=5)
    objective = ObjectiveView(
        workload="comm:x",
        text='p99 < "5ms"',
        metric="p99",
        direction=Direction.LOWER,
        limit=5,
        unit="ms",
        value=7,
        broken=True,
    )
    degraded = Degradation(
        workload="comm:x",
        signal="delay",
        since=1,
        baseline=1,
        value=3,
        ratio=3,
        unit="us",
        reason="",
    )
    view = workload("comm:x").model_copy(update={"degraded": degraded})
    found = samples(
        render(
            status(
                loaded=loaded,
                objectives=[objective],
                degraded=[degraded],
                advice_only=Limitation(reason="x"),
            ),
            [view],
        )
    )
    delay = "schedpilot_workload_run_queue_delay_seconds"
    assert found[delay, (("quantile", "0.99"), ("workload", "comm:x"))] == 0.0025
    response = "schedpilot_workload_response_seconds"
    assert found[response, (("quantile", "0.99"), ("workload", "comm:x"))] == 0.04
    assert found["schedpilot_workload_completions_per_second", (("workload", "comm:x"),)] == 9
    assert found["schedpilot_workload_burst_mean_seconds", (("workload", "comm:x"),)] == 0.0035
    assert found["schedpilot_workload_degraded_ratio", (("workload", "comm:x"),)] == 3
    assert found["schedpilot_degraded_workloads", ()] == 1
    assert found["schedpilot_advice_only", ()] == 1
    where = (("objective", 'p99 < "5ms"'), ("unit", "ms"), ("workload", "comm:x"))
    assert found["schedpilot_objective_value", where] == 7
    assert found["schedpilot_objective_broken", where] == 1
    labels = (("candidate", "c-0001"), ("scheduler", "fifo"), ("why", "kept"))
    assert found["schedpilot_loaded", labels] == 1


def test_hostile_names_stay_in_their_label() -> None:
    """Quotes, backslashes, line ends and escapes in a name add no sample and no line."""
    names = [
        'comm:a"} 1\nforged 2',
        "comm:\\",
        "comm:\x1b[31m",
        "comm:\u202e",
        "comm:" + "x" * 4000,
    ]
    text = render(status(), [workload(name) for name in names])
    found = samples(text)
    assert not any(name == "forged" for name, _ in found)
    assert all(line.isprintable() for line in text.split("\n"))
    shares = [labels for name, labels in found if name == "schedpilot_workload_run_share_ratio"]
    assert len(shares) == len(names)
    assert all(len(dict(labels)["workload"]) <= 210 for labels in shares)


def test_the_number_of_series_is_bounded() -> None:
    """The page has the busiest workloads and counts the others."""
    many = [workload(f"comm:{number}", run_share=number) for number in range(500)]
    found = samples(render(status(), [*many, WorkloadView(id="comm:silent")]))
    told = {
        dict(labels)["workload"]
        for name, labels in found
        if name == "schedpilot_workload_run_share_ratio"
    }
    assert told == {f"comm:{number}" for number in range(500 - WORKLOADS_SHOWN, 500)}
    assert found["schedpilot_workloads", ()] == 501
    assert found["schedpilot_workloads_omitted", ()] == 400


def test_names_that_look_alike_when_cut_are_one_series() -> None:
    """No series appears twice: Prometheus would refuse the whole scrape."""
    names = ["comm:" + "x" * 300 + tail for tail in "ab"]
    text = render(status(), [workload(name) for name in names])
    assert text.count("schedpilot_workload_run_share_ratio{") == 1
