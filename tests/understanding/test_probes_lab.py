# SPDX-License-Identifier: GPL-2.0-or-later
"""Every probe on a real kernel with BCC, and the profile of a real service, in one boot."""

import json
from typing import Any

import pytest

from daemon.api.models import ProbeKind

pytestmark = pytest.mark.vm


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    from lab.vm import run_in_lab

    done = run_in_lab(["python", "-m", "tests.understanding.guest_probes"], timeout=400)
    assert done.status == 0, done.error_text
    found: dict[str, Any] = json.loads(done.text.strip().splitlines()[-1])
    for kind, each in found["probes"].items():
        assert "trouble" not in each, f"{kind}: {each['trouble']}"
    return found


def rows(seen: dict[str, Any], kind: str, title: str) -> list[dict[str, Any]]:
    """The rows of one table, by the names of its columns."""
    tables = {each["title"]: each for each in seen["probes"][kind]["tables"]}
    table = tables[title]
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


def test_all_probes_are_there_and_leave_nothing(seen: dict[str, Any]) -> None:
    """If BCC and headers exist, nothing is missing; every probe answers, and no child is left."""
    assert [each["kind"] for each in seen["there_are"]] == list(ProbeKind)
    assert all(each["available"] for each in seen["there_are"])
    assert set(seen["probes"]) == set(ProbeKind)
    for each in seen["probes"].values():
        assert each["source"] == "bcc"
        assert each["seconds"] >= 2
        assert len(json.dumps(each)) < 16_000
    assert seen["left"] == "0"


def test_run_queue_latency_is_the_workloads_own(seen: dict[str, Any]) -> None:
    """It has the waits of the service's threads, and of nobody else."""
    (first, *_) = seen["probes"]["runqlat"]["histograms"]
    assert first["count"] > 0
    assert 0 < first["p50"] <= first["p99"]
    names = {row["thread"] for row in rows(seen, "runqlat", "by thread name")}
    assert "redis-server" in names
    assert not any(name.startswith(("kworker", "ksoftirqd", "looper")) for name in names)
    answers = rows(seen, "runqlat", "from a wakeup to the next sleep, by thread name")
    redis = next(row for row in answers if row["thread"] == "redis-server")
    assert 0 < redis["cpu_us"] <= redis["mean_us"] <= redis["longest_us"]
    assert redis["waiting_percent"] + redis["preempted_percent"] <= 100


def test_off_cpu_time_has_its_reasons(seen: dict[str, Any]) -> None:
    """The server waits for events, the threads for their lock and their timer."""
    reasons = {row["waits for"] for row in rows(seen, "offcpu", "by reason")}
    assert {"locks", "timers"} <= reasons
    calls = {row["system call"] for row in rows(seen, "offcpu", "by reason")}
    assert "futex" in calls


def test_wakeups_have_a_waker(seen: dict[str, Any]) -> None:
    """Clients wake the server, and the server its clients."""
    pairs = {(row["waker"], row["woken"]) for row in rows(seen, "wakeups", "who wakes whom")}
    assert ("redis-server", "redis-benchmark") in pairs or (
        "redis-benchmark",
        "redis-server",
    ) in pairs


def test_time_on_the_cpu_has_its_functions(seen: dict[str, Any]) -> None:
    """The answer has samples in the kernel and outside of it, with the names of functions."""
    samples = rows(seen, "oncpu", "by function")
    assert sum(row["samples"] for row in samples) > 0
    assert any(row["of"] == "kernel" and row["function"] != "(not told)" for row in samples)
    assert "CPUs busy" in seen["probes"]["oncpu"]["summary"][0]


def test_system_calls_of_a_process_by_its_name(seen: dict[str, Any]) -> None:
    """A process of the root cgroup is found by its name: the answer has its calls and no others."""
    calls = {row["system call"] for row in rows(seen, "syscalls", "by system call")}
    assert {"getppid", "clock_nanosleep"} & calls
    assert "epoll_wait" not in calls


def test_waits_for_a_lock_are_seen(seen: dict[str, Any]) -> None:
    """The threads that share a lock wait, only in places of their own process."""
    places = rows(seen, "futex", "by place")
    assert sum(row["waits"] for row in places if row["thread"].startswith("python")) > 0
    assert all(row["waiters"] >= 1 for row in places)
    assert seen["probes"]["futex"]["histograms"][0]["count"] > 0


def test_a_chain_is_followed_through_its_threads(seen: dict[str, Any]) -> None:
    """One path goes from the timer's wakeup of the first thread to the sleep of the last; it has
    only the service's threads."""
    paths = {row["path"]: row for row in rows(seen, "chains", "commonest paths")}
    chain = paths["chain-a > chain-b > chain-c"]
    assert chain["threads"] == 3
    assert chain["cut"] == "no"
    assert 0 < chain["mean_us"] <= chain["longest_us"]
    assert not any("looper" in path for path in paths)
    assert {each["unit"] for each in seen["probes"]["chains"]["histograms"]} == {"us", "threads"}


def test_a_preempted_holder_of_a_lock_is_found(seen: dict[str, Any]) -> None:
    """Threads that share a mutex and a CPU with a hog wait longer because of it; the mutex names
    its owner."""
    (holder,) = rows(seen, "preempted-locks", "by the holder's name")
    assert holder["holder"] == "holder"
    assert holder["made_longer"] > 0
    assert 0 < holder["holder_off_cpu_ms"] <= holder["waited_ms"]
    assert holder["named_percent"] > 0


def test_the_profile_of_a_service(seen: dict[str, Any]) -> None:
    """It has its unit, its kind by the kernel's record, its quota, and the waits of its threads."""
    profile = seen["profile"]
    assert profile["unit"] == "shop.service"
    assert profile["processes_total"] == 6
    kinds = {each["kind"]: each["certainty"] for each in profile["kinds"]}
    assert kinds["cache"] in ("sure", "likely")
    assert profile["limits"]["cpus"] == 0.5
    assert any(each["scope"] == "workload" for each in profile["pressure"])
    assert profile["waits"]["asleep_in"]
    assert profile["parallelism"]["looks"] >= 4
    assert profile["took_ms"] < 5000


def test_calls_of_a_real_server_are_counted(seen: dict[str, Any]) -> None:
    """While a client sends commands, many are counted, each shorter than all of them together."""
    answer = seen["probes"]["uprobe"]
    assert "calls a second" in answer["summary"][0]
    (view,) = answer["histograms"]
    assert view["count"] > 10
    assert 0 < view["p50"] <= view["p99"]


def test_a_measurement_reads_what_the_server_counts_itself(seen: dict[str, Any]) -> None:
    """It reads commands a second of a real redis, by redis' own counter."""
    assert "trouble" not in seen["redis"], seen["redis"]
    assert seen["redis"]["value"] > 1
    assert seen["redis"]["unit"] == "/s"


@pytest.mark.parametrize("what", ["function", "markers"])
def test_calls_are_counted_for_as_long_as_somebody_asks(seen: dict[str, Any], what: str) -> None:
    """Requests take at least 3 ms each, one after the other, in two intervals; a nested call counts
    once."""
    assert "trouble" not in seen["shop"][what], seen["shop"][what]
    for view in seen["shop"][what]["views"]:
        assert view["count"] > 0
        assert view["count"] <= view["seconds"] / 0.003 + 1
        mean_us = view["total_us"] / view["count"]
        assert 3000 <= mean_us <= view["max_us"]
        # Read one after the other while calls continue, which takes a slow guest tens of ms.
        told = sum(each["count"] for each in view["buckets"])
        assert abs(told - view["count"]) <= 2 + view["count"] / 10
        assert min(each["upper"] for each in view["buckets"]) > 3000
        assert view["lost"] == 0


def test_a_marker_s_semaphore_is_raised_while_somebody_looks(seen: dict[str, Any]) -> None:
    """Each of the two guarded probes raises it; otherwise it is 0."""
    assert {"0", "2"} <= set(seen["shop"]["semaphores"])
