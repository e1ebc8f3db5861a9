# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot profile` and `probe` as users call them: a separate process, real sockets."""

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daemon.api.models import CallPoints, ProbeKind, ProbeRequest, ProbeView, WorkloadProfileView
from daemon.api.paths import RUN_DIR_VARIABLE
from process import Completed, run
from tests.agent.machine import WORKLOAD, ServedMachine
from tests.hostile.corpus import CORPUS, SIGN
from tests.mcp.rich import served_rich

Schedpilot = Callable[..., Completed]
# One name with everything on which a terminal would act.
NAME = SIGN + "".join(
    each.text for each in CORPUS if "terminal" in each.reason or "direction" in each.reason
)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[ServedMachine]:
    with served_rich(tmp_path / "run", NAME) as served:
        yield served


@pytest.fixture
def schedpilot(tmp_path: Path) -> Schedpilot:
    environment = {RUN_DIR_VARIABLE: str(tmp_path / "run"), "PATH": os.environ["PATH"]}

    def call(*words: str) -> Completed:
        argv = [sys.executable, "-m", "cli.main", *words]
        return run(argv, timeout=60, env=environment, check=False)

    return call


def harmless(text: str) -> bool:
    """Whether nothing in the text moves a cursor or reverses the direction of writing."""
    return all(each == "\n" or unicodedata.category(each)[0] != "C" for each in text)


def test_a_profile_is_shown(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """It shows the kind and the reason, processes and threads, and what is certain and what is not;
    hostile names cannot act. With --json it prints the model."""
    shown = schedpilot("profile", WORKLOAD)
    assert shown.status == 0, shown.error_text
    parts = (
        "web-server to 80% (likely)",
        "20% waiting after the wakeup, 39% preempted",
        "0.41 of this at best",
        "runs long bursts to their end",
        "24 of 64 processes",
        "sure of",
        "not known",
        'log = "/var/log/nginx/access.log" }; take = "p99"',
        SIGN,
    )
    for part in parts:
        assert part in " ".join(shown.text.split())
    assert harmless(shown.text)
    told = schedpilot("profile", WORKLOAD, "--json")
    assert told.stdout.isascii()
    assert WorkloadProfileView.model_validate_json(told.stdout).workload == WORKLOAD
    assert ("workload_profile", WORKLOAD) in served.machine.asked


def test_a_probe_is_run_and_shown(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """The request arrives as it was typed; histograms and tables are shown with harmless names."""
    shown = schedpilot("probe", "offcpu", "--workload", WORKLOAD, "--seconds", "3")
    assert shown.status == 0, shown.error_text
    assert "9000 samples" in shown.text
    assert harmless(shown.text)
    wanted = ProbeRequest(kind=ProbeKind.OFFCPU, workload=WORKLOAD, seconds=3)
    assert ("run_probe", wanted) in served.machine.asked
    told = schedpilot("probe", "futex", "--json")
    assert ProbeView.model_validate_json(told.stdout).kind is ProbeKind.FUTEX


def test_calls_of_a_function_are_asked_for(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """A function needs its program; markers come in pairs; missing or unrelated options are
    refused."""
    whole = ["probe", "uprobe", "--binary", "/usr/bin/shop"]
    assert schedpilot(*whole, "--enter", "serve").status == 0
    assert schedpilot(*whole, "--enter", "shop:a", "--exit", "shop:b").status == 0
    points = [each.points for what, each in served.machine.asked if what == "run_probe"]
    assert points == [
        CallPoints(binary="/usr/bin/shop", enter="serve", exit="serve"),
        CallPoints(binary="/usr/bin/shop", enter="shop:a", exit="shop:b", markers=True),
    ]
    assert schedpilot(*whole).status == 2
    assert schedpilot("probe", "futex", "--enter", "serve").status == 2
    for words in (["--enter", "a b"], ["--enter", "serve", "--workload", WORKLOAD]):
        refused = schedpilot(*whole, *words)
        assert refused.status == 1
        assert "hint:" in refused.error_text


def test_the_probes_are_listed(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """Anybody sees all of them, with or without --list."""
    for words in (["probe"], ["probe", "--list"]):
        assert all(kind in schedpilot(*words).text for kind in ProbeKind)
    assert len(json.loads(schedpilot("probe", "--list", "--json").stdout)) == len(ProbeKind)


@pytest.mark.parametrize("words", [["probe", "strace"], ["probe", "futex", "--workload", "pid 1"]])
def test_what_is_no_probe_and_no_workload_is_a_fault(
    served: ServedMachine, schedpilot: Schedpilot, words: list[str]
) -> None:
    """A wrong kind and a wrong id are reported with the right ones, and nothing runs."""
    refused = schedpilot(*words)
    assert refused.status == 1
    assert "hint:" in refused.error_text
    assert not [what for what, _ in served.machine.asked if what == "run_probe"]
