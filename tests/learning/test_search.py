# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot search`: an optimiser finds better values in the simulator, the same ones each
time."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.searching import policy_line
from process import Completed, run
from simulator.run import GroupFigures, SimulationFigures
from simulator.scenario import MS, Repeat, Run, S, Scenario, Sleep, Task
from simulator.search import starved
from simulator.stress import wait_bounds_ns
from tests.target import Target

Search = Callable[..., Completed]


@pytest.fixture
def search(target: Target) -> Search:
    """Runs the command, for the lab's kernel."""

    def call(*words: str) -> Completed:
        argv = [sys.executable, "-m", "cli.main", "search", *words]
        argv += ["--btf", str(target.btf), "--cache", str(target.cache)]
        return run(argv, timeout=300, env={"PATH": os.environ["PATH"]}, check=False)

    return call


def test_better_values_are_found_checked_and_saved(search: Search, tmp_path: Path) -> None:
    """With the values found, a burst of clients waits less, also for seeds that were not used in
    the search. The same seed finds the same values, and the saved result is a policy."""
    file = tmp_path / "found.policy"
    words = ["latency", "--scenario", "bursty_rpc", "--group", "clients"]
    words += ["--trials", "4", "--metric", "delay-p99", "--json"]
    done = search(*words, "--save", str(file))
    assert done.status == 0, done.error_text
    found = json.loads(done.stdout)
    assert found["gain"] > 0.05
    assert found["groups"][0]["found"] < found["groups"][0]["by_default"]
    assert not any(name.endswith("_wait_ns") for name in found["values"])
    assert file.read_text().startswith("use latency ")
    assert search(*words).stdout == done.stdout


def test_values_are_searched_by_what_is_asked_for(search: Search) -> None:
    """An objective is read as everywhere else; without one, each group has its own."""
    words = ["latency", "--scenario", "bursty_rpc", "--group", "clients"]
    words += ["--trials", "2", "--json"]
    asked = json.loads(search(*words, "--objective", "response p99; completions").stdout)
    assert asked["metric"] == "response p99; completions"
    assert json.loads(search(*words).stdout)["metric"] == ""
    done = search(*words, "--objective", "resposne p99")
    assert (done.status, "did you mean 'response'?" in done.error_text) == (1, True)


def test_what_cannot_be_searched_is_said(search: Search) -> None:
    """An unknown scenario, an unknown group and a policy that cannot be saved are reported."""
    done = search("latency", "--scenario", "nope")
    assert (done.status, "no scenario 'nope'" in done.error_text) == (1, True)
    done = search("latency", "--scenario", "quiet", "--group", "nobody")
    assert (done.status, "no group can be judged by its kind" in done.error_text) == (1, True)
    done = search("slice 3ms", "--scenario", "quiet", "--save", "x.policy")
    assert (done.status, "can be saved" in done.error_text) == (1, True)
    done = search("latency")
    assert done.status == 2


def test_only_what_differs_from_the_defaults_is_written() -> None:
    """Differences are written as a policy if it has a name, and else as words for --set."""
    default: dict[str, bool | int | float] = {"slice_ns": 3_000_000, "preempt": True}
    found: dict[str, bool | int | float] = {"slice_ns": 3_000_000, "preempt": False}
    assert policy_line("latency", found, default) == "use latency preempt=false"
    assert policy_line("slice 3ms", found, default) == "--set preempt=false"


def test_who_starves_is_as_bad_as_who_is_ejected() -> None:
    """However much the others gain, values are rejected if anybody waits longer than the bound."""
    scenario = Scenario("two", (Task("g", (Run(MS), Sleep(MS), Repeat()), count=2),))
    waits = wait_bounds_ns(scenario)["g"]
    group = GroupFigures(
        name="g", tasks=2, finished=0, cycles=9, run_ns=S, wakeups=9, delay_p50_ns=1,
        delay_p99_ns=1, delay_max_ns=waits, longest_wait_ns=waits, switches=9, migrations=0,
        makespan_ns=None, mean_completion_ns=None, fairness=1.0,
    )  # fmt: skip
    figures = SimulationFigures(
        scheduler="candidate", seed=1, cpus=1, time_ns=9 * S, run_ns=S, idle_ns=0, switches=9,
        events=9, ringbuf_bytes=0, ejection=None, groups=(group,),
    )  # fmt: skip
    assert starved(scenario, figures) is None
    worse = group.model_copy(update={"longest_wait_ns": waits + 1})
    found = starved(scenario, figures.model_copy(update={"groups": (worse,)}))
    assert found is not None
    assert "'g'" in found.message
