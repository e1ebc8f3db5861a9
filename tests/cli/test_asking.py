# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot ask` against a fake machine, with an agent that works on the episode."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.bandit_advisor import BanditAdvisor
from cli.settling import Settled, Typed, Unanswered, settle
from daemon.api.client import Client
from daemon.api.models import (
    CandidateRequest,
    CloseRequest,
    EpisodeRequest,
    EpisodeState,
    GuardRequest,
    StatusView,
    StepKind,
    StepRequest,
    StepRole,
)
from daemon.api.paths import CONTROL_SOCKET, RUN_DIR_VARIABLE
from process import Completed, Limit
from tests.agent.machine import WORKLOAD, ServedMachine
from tests.agent.test_loop import once
from tests.cli.conftest import Schedpilot
from tests.waiting import said, until


@pytest.fixture
def agent(
    served: ServedMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator["Future[None]"]:
    """The agent runs beside the command, until it has finished one episode."""
    monkeypatch.setenv(RUN_DIR_VARIABLE, str(tmp_path / "run"))
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(once, BanditAdvisor())


def test_a_command_is_a_workload_until_the_episode_is_closed(
    served: ServedMachine, schedpilot: Schedpilot, agent: "Future[None]"
) -> None:
    """The command runs again and again, and each run is measured; the answer is what the agent
    keeps."""
    done = schedpilot("ask", "--goal", "sooner", "--", "true")
    assert done.status == 0, done.error_text
    (episode,) = served.machine.kept_episodes.values()
    assert episode.state is EpisodeState.CLOSED
    assert (episode.goal, episode.objective) == ("sooner", "measurement tune.seconds lower")
    assert episode.workload.startswith(("cgroup:/", "comm:"))
    assert "kept latency" in done.text
    assert f"schedpilot explain {episode.id}" in done.text
    posted = served.machine.measurements
    assert posted
    assert {each.name for each in posted} == {"tune.seconds"}
    assert all(each.value > 0 for each in posted)


def test_what_runs_already_can_be_asked_for(
    served: ServedMachine, schedpilot: Schedpilot, agent: "Future[None]"
) -> None:
    """With --workload nothing is run; --json has the episode."""
    done = schedpilot("ask", "--workload", WORKLOAD, "--json")
    assert done.status == 0, done.error_text
    told = json.loads(done.stdout)
    assert told["kept"]
    assert told["id"] == told["episode"]["id"]
    assert told["episode"]["workload"] == WORKLOAD
    assert told["seconds"] == []
    assert served.machine.measurements == []


def test_a_command_that_fails_ends_the_episode(
    served: ServedMachine, schedpilot: Schedpilot
) -> None:
    """The exit status is 5, and no episode stays open."""
    done = schedpilot("ask", "--", "false")
    assert done.status == 5
    assert all(each.state is EpisodeState.CLOSED for each in served.machine.kept_episodes.values())


@pytest.mark.parametrize(
    "words",
    [
        ("ask",),
        ("ask", "--objective", "cpu"),
        ("ask", "--workload", WORKLOAD, "--", "true"),
        ("ask", "--workload", WORKLOAD, "--goal", "x" * 501),
        ("tune", "--agent"),
        ("tune", "--agent", "--workload", WORKLOAD, "--", "true"),
        ("tune", "--agent", "-c", "latency", "--", "true"),
        ("tune", "--workload", WORKLOAD, "--", "true"),
        ("tune",),
        ("tune", "--parameters", "latency"),
        ("tune", "--parameters", "latency", "--scenario", "quiet", "--", "true"),
        ("search",),
        ("search", "latency"),
        ("search", "latency", "--scenario", "quiet", "--metric", "delay"),
        ("search", "latency", "--scenario", "quiet", "--metric", "fairness", "--objective", "cpu"),
    ],
)
def test_words_that_contradict_are_refused(schedpilot: Schedpilot, words: tuple[str, ...]) -> None:
    """Wrong usage is reported before anything runs."""
    assert schedpilot(*words).status == 2


def test_the_former_word_still_works_and_says_what_it_is_called_now(
    served: ServedMachine, schedpilot: Schedpilot, agent: "Future[None]"
) -> None:
    """`tune --agent` does what `ask` does."""
    done = schedpilot("tune", "--agent", "--workload", WORKLOAD)
    assert done.status == 0, done.error_text
    assert "`tune --agent` is now called `schedpilot ask`" in done.error_text


def test_a_search_by_its_former_word_says_the_new_one(schedpilot: Schedpilot) -> None:
    """`tune --parameters` does what `search` does: both refuse the same in the same words."""
    words = ("--scenario", "quiet", "--save", "x.policy")
    former = schedpilot("tune", "--parameters", "slice 3ms", *words)
    now = schedpilot("search", "slice 3ms", *words)
    assert (former.status, now.status) == (1, 1)
    said = "`tune --parameters` is now called `schedpilot search`; this run continues"
    assert said in former.error_text
    assert said not in now.error_text
    assert former.error_text.endswith(now.error_text)


# ---------------------------------------------------------------- what is wanted


def test_how_the_goal_is_understood_is_told_first(
    served: ServedMachine, schedpilot: Schedpilot, agent: "Future[None]"
) -> None:
    """The words name the workload, and others get their guards by name."""
    words = "web should answer faster; cgroup:/calm may take as long as it likes, but must go on"
    done = schedpilot("ask", "--goal", words)
    assert done.status == 0, done.error_text
    told, *_ = done.text.splitlines()
    assert told == (f"understood: response p99 lower; completions not worse than 5%, of {WORKLOAD}")
    assert "guarded: cgroup:/calm: cpu not worse than 75%" in done.text
    (episode,) = served.machine.kept_episodes.values()
    assert episode.workload == WORKLOAD
    assert [(each.workload, each.text) for each in episode.guards] == [
        ("cgroup:/calm", "cpu not worse than 75%")
    ]


def test_what_counts_is_told_wherever_the_episode_is(
    served: ServedMachine, schedpilot: Schedpilot
) -> None:
    """The goal is in `status` while the episode is open, in `explain` and in `history`."""
    guard = GuardRequest(workload="cgroup:/calm", text="cpu not worse than 75%")
    request = EpisodeRequest(
        workload=WORKLOAD, goal="web must not lag", objective="response p99", guards=[guard]
    )
    machine = served.machine
    id = served.do(machine.open_episode(request)).id
    usual = machine.status

    async def with_episode() -> StatusView:
        return (await usual()).model_copy(update={"episode": id})

    machine.status = with_episode  # type: ignore[method-assign]
    status = schedpilot("status").text
    assert f"response p99, of {WORKLOAD}" in status
    assert "cgroup:/calm: cpu not worse than 75%" in status
    told = schedpilot("explain", id).text
    assert f"judged by: response p99, of {WORKLOAD}" in told
    assert "guarded: cgroup:/calm: cpu not worse than 75%" in told
    assert "asked for: web must not lag" in schedpilot("history").text


def test_an_agent_that_reads_a_goal_otherwise_is_told_of(
    served: ServedMachine, schedpilot: Schedpilot
) -> None:
    """A follower of the episode sees the new objective."""
    machine = served.machine

    def correct() -> None:
        (id,) = until(lambda: list(machine.kept_episodes), 60)
        with Client(served.run_dir / CONTROL_SOCKET) as client:
            checked = CandidateRequest(library="latency", episode=id, objective="response p95")
            client.create_candidate(checked)
            client.close_episode(id, CloseRequest(summary="over", advisor="claude"))

    with ThreadPoolExecutor(1) as pool:
        corrected = pool.submit(correct)
        done = schedpilot("ask", "--goal", "web must not lag")
        corrected.result()
    assert done.status == 3
    assert "understood: response p95, of" in done.text


def test_what_a_person_says_so_that_it_can_be_measured_wins(
    served: ServedMachine, schedpilot: Schedpilot, agent: "Future[None]"
) -> None:
    """--objective and --guard correct the reading of the goal; they take a workload's name as
    well."""
    correct = ("--objective", "response p95 < 20ms", "--guard", "calm: cpu not worse than 30%")
    goal = ("--goal", "make it better, do not starve calm")
    done = schedpilot("ask", *goal, "--workload", "web", *correct)
    assert done.status == 0, done.error_text
    (episode,) = served.machine.kept_episodes.values()
    assert (episode.workload, episode.objective) == (WORKLOAD, "response p95 < 20ms")
    assert [(each.workload, each.text) for each in episode.guards] == [
        ("cgroup:/calm", "cpu not worse than 30%")
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--goal", "lower latency"), "which workload is it about?"),
        (("--goal", "make it better", "--workload", "web"), "what is to become better?"),
        (
            ("--goal", "web should answer faster, do not starve 'rsync'"),
            "no workload here is called 'rsync'",
        ),
    ],
)
def test_a_question_that_nobody_answers_begins_nothing(
    served: ServedMachine, schedpilot: Schedpilot, words: tuple[str, ...], said: str
) -> None:
    """Without a terminal, the exit status is 6, and the output has the question and how to answer
    it."""
    done = schedpilot("ask", *words)
    assert done.status == 6
    assert said in done.error_text
    assert "nothing was started" in done.error_text
    assert served.machine.kept_episodes == {}
    told = json.loads(schedpilot("ask", *words, "--json").stdout)
    assert said in told["question"]
    assert "\x1b" not in done.text + done.error_text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--workload", "nobody"), "no workload is called 'nobody'"),
        (("--workload", "web", "--guard", "calm"), "the guard 'calm' cannot be understood"),
        (("--workload", "web", "--guard", "x: cpu"), "no workload is called 'x'"),
    ],
)
def test_whom_nobody_knows_is_a_fault(
    served: ServedMachine, schedpilot: Schedpilot, words: tuple[str, ...], said: str
) -> None:
    """An unknown name is a fault that lists the existing workloads."""
    done = schedpilot("ask", "--goal", "lower latency", *words)
    assert done.status == 1
    assert said in done.error_text


def answers(*said: str) -> Callable[[], str]:
    left = iter(said)
    return lambda: next(left)


def settled(served: ServedMachine, typed: Typed, *said: str) -> Settled:
    with Client(served.run_dir / CONTROL_SOCKET) as client:
        return settle(client, typed, answers(*said))


@pytest.mark.parametrize(
    ("said", "objective"),
    [
        (("2",), "completions higher"),
        (("cpu > 150%",), "cpu > 150%"),
        (("more requests per second",), "completions higher"),
        (("what?", "7", "1"), "response p99 lower; completions not worse than 5%"),
    ],
)
def test_a_person_answers_by_a_number_an_objective_or_in_other_words(
    served: ServedMachine, said: tuple[str, ...], objective: str
) -> None:
    """The question is repeated until the answer is understood; guards stay."""
    typed = Typed("make it better, but do not starve calm", WORKLOAD, "", ())
    found = settled(served, typed, *said)
    assert found.objective == objective
    assert [each.workload for each in found.guards] == ["cgroup:/calm"]


def test_a_person_is_asked_which_workload_is_meant(served: ServedMachine) -> None:
    """The answer may be a name or an id; after a wrong name the question is repeated."""
    found = settled(served, Typed("lower latency", "", "", ()), "nobody", "web")
    assert found.workload == WORKLOAD
    assert found.objective.startswith("response p99 lower")


def test_the_person_at_the_terminal_is_asked(
    served: ServedMachine, tmp_path: Path, agent: "Future[None]"
) -> None:
    """The terminal gets the question and the readings, and the typed number is the answer."""
    ours, theirs = os.openpty()
    words = ("ask", "--goal", "make it better", "--workload", "web")
    child = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *words],
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        env={**os.environ, RUN_DIR_VARIABLE: str(tmp_path / "run")},
    )
    os.close(theirs)
    written = b""
    limit = Limit(60)
    while b"give up): " not in written and not limit.passed():
        if select.select([ours], [], [], 1)[0]:
            written += os.read(ours, 4096)
    assert b"1. response p99 lower" in written
    os.write(ours, b"2\n")
    out, _ = said(child, 60)
    os.close(ours)
    assert child.returncode == 0
    assert f"understood: completions higher, of {WORKLOAD}" in out.decode()


def test_who_gives_up_begins_nothing(served: ServedMachine) -> None:
    """An empty answer ends the command."""
    with pytest.raises(Unanswered):
        settled(served, Typed("make it better", WORKLOAD, "", ()), "")


def test_explain_tells_the_transcript(served: ServedMachine, schedpilot: Schedpilot) -> None:
    """The output shows who said and did what, in order; hostile text has no effect."""
    episode = served.call(served.machine.degrade)

    def record(kind: StepKind, text: str, tool: str = "", tokens: int = 0) -> None:
        step = StepRequest(
            at=1.0, role=StepRole.DECIDE, kind=kind, text=text, tool=tool, tokens=tokens
        )
        served.do(served.machine.record_step(episode, step))

    record(StepKind.TEXT, "I look at \x1b]0;it\x07\nand think", tokens=42)
    record(StepKind.TOOL_CALL, '{"policy": "slice 3ms"}', "check_candidate")
    record(StepKind.TOOL_RESULT, "[bold]proven[/bold]", "check_candidate")
    done: Completed = schedpilot("explain", episode)
    assert done.status == 0, done.error_text
    assert "\x1b]0" not in done.text
    assert 'check_candidate(policy="slice 3ms")' in done.text
    assert "= [bold]proven[/bold]" in done.text
    assert "(42 tokens)" in done.text
    told = json.loads(schedpilot("explain", episode, "--json").stdout)
    assert [each["kind"] for each in told["steps"]] == ["text", "tool-call", "tool-result"]
