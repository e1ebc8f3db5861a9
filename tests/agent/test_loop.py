# SPDX-License-Identifier: GPL-2.0-or-later
"""The agent's loop on a fake machine, over real sockets."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.advisor import Advice, EpisodeResult, Proposal, Situation
from agent.bandit_advisor import BanditAdvisor
from agent.loop import Loop
from agent.main import connect
from daemon.api.models import (
    ApprovalRequest,
    Autonomy,
    CostReport,
    EpisodeState,
    EventKind,
    Limitation,
    StatusView,
    TrialState,
)
from daemon.api.paths import CONTROL_SOCKET
from process import Fault, FaultType
from tests.agent.machine import ServedMachine, served_machine
from tests.waiting import happened, in_time


class Scripted:
    """An advisor that proposes these schedulers, one question at a time."""

    name = "scripted"

    def __init__(self, *answers: tuple[str, ...]) -> None:
        self._answers = list(answers)
        self.asked: list[Situation] = []
        self.learned: list[EpisodeResult] = []

    async def propose(self, situation: Situation) -> Advice:
        self.asked.append(situation)
        names = self._answers.pop(0) if self._answers else ()
        cost = CostReport(calls=1, input_tokens=10)
        return Advice(tuple(Proposal(name) for name in names), "as scripted", cost)

    async def learn(self, result: EpisodeResult) -> str:
        self.learned.append(result)
        return f"learned of {result.trial.scheduler}"


def once(advisor: Scripted | BanditAdvisor, most_trials: int = 3) -> None:
    """Let the agent work on one episode."""
    loop = Loop(connect, advisor, most_trials=most_trials, first_pause_s=0.01)
    asyncio.run(in_time(loop.run(once=True), 20))


@contextlib.contextmanager
def beside(advisor: Scripted | BanditAdvisor) -> Iterator["Future[None]"]:
    """The agent works on one episode in its own thread; the result is how it ended."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(once, advisor)


def test_an_open_question_is_told_and_nothing_is_tried(served: ServedMachine) -> None:
    """The offline advisor does not know what a person meant, and does not guess."""
    machine = served.machine
    id = served.call(machine.degrade)
    machine.kept_episodes[id] = machine.kept_episodes[id].model_copy(
        update={"goal": "make it better", "question": "what is to become better?"}
    )
    once(BanditAdvisor())
    closed = served.do(machine.episode(id))
    assert closed.outcome == (
        "nothing tried: the goal is not clear enough: what is to become better?"
    )
    assert closed.trials == []


def test_an_episode_ends_with_the_scheduler_that_is_better(served: ServedMachine) -> None:
    """The offline advisor's first choice is tried and kept, becomes a lesson, and the episode is
    closed with its summary and cost."""
    episode = served.call(served.machine.degrade)
    once(BanditAdvisor())
    closed = served.do(served.machine.episode(episode))
    assert closed.state is EpisodeState.CLOSED
    assert closed.advisor == "offline"
    assert closed.outcome.startswith("kept latency")
    assert closed.cost.seconds > 0
    assert [trial.state for trial in closed.trials] == [TrialState.KEPT]
    assert served.machine.loaded is not None
    assert served.machine.loaded.name == "latency"
    assert [each.episode for each in served.machine.known_lessons] == [episode]


def test_proposals_are_tried_one_after_the_other_until_one_is_kept(served: ServedMachine) -> None:
    """The next candidate follows a rolled back one; after a keep no other is tried."""
    episode = served.call(served.machine.degrade)
    advisor = Scripted(("batch", "latency", "fifo"))
    once(advisor)
    closed = served.do(served.machine.episode(episode))
    assert [trial.scheduler for trial in closed.trials] == ["batch", "latency"]
    assert [each.trial.scheduler for each in advisor.learned] == ["batch", "latency"]
    assert closed.cost.calls == 1


def test_the_advisor_is_asked_again_when_its_proposals_are_used_up(served: ServedMachine) -> None:
    """The second question contains what was tried and refused; the costs add up."""
    served.machine.unproven.add("jobs")
    episode = served.call(served.machine.degrade)
    advisor = Scripted(("jobs", "batch"), ("latency",))
    once(advisor)
    assert [each.scheduler for each in advisor.asked[1].tried] == ["batch"]
    assert advisor.asked[1].refused[0].why == "gate build failed: unknown kfunc"
    closed = served.do(served.machine.episode(episode))
    assert closed.outcome.startswith("kept latency")
    assert (closed.cost.calls, closed.cost.input_tokens) == (2, 20)


def test_the_number_of_trials_of_an_episode_is_bounded(served: ServedMachine) -> None:
    """An advisor that never runs out of ideas is stopped."""
    episode = served.call(served.machine.degrade)
    once(Scripted(*[("batch",)] * 10), most_trials=2)
    closed = served.do(served.machine.episode(episode))
    assert len(closed.trials) == 2
    assert closed.outcome.startswith("nothing kept")


def test_doing_nothing_is_an_answer(served: ServedMachine) -> None:
    """Without proposals the episode is closed with the advisor's reason."""
    episode = served.call(served.machine.degrade)
    once(Scripted(()))
    closed = served.do(served.machine.episode(episode))
    assert closed.outcome == "nothing tried: as scripted"
    assert closed.advice == ["do nothing: as scripted"]


@pytest.mark.parametrize("limit", ["observe", "advice only"])
def test_where_the_daemon_may_not_act_advice_is_recorded_and_nothing_done(
    served: ServedMachine, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """In observe mode, or after repeated trouble, the agent makes no candidate and starts no
    trial."""
    if limit == "observe":
        served.machine.autonomy = Autonomy.OBSERVE
    else:
        plain = served.machine.status

        async def limited() -> StatusView:
            view = await plain()
            return view.model_copy(update={"advice_only": Limitation(reason="two ejections")})

        monkeypatch.setattr(served.machine, "status", limited)
    episode = served.call(served.machine.degrade)
    once(BanditAdvisor())
    closed = served.do(served.machine.episode(episode))
    assert "1. latency" in closed.advice[0]
    assert closed.outcome.startswith("advice recorded")
    assert not [name for name, _ in served.machine.asked if name.startswith(("create", "start"))]


def test_without_the_control_socket_advice_is_only_logged(
    served: ServedMachine, caplog: pytest.LogCaptureFixture
) -> None:
    """An agent that may only read says what it would do, and does nothing."""
    served.call(served.machine.degrade)
    (served.run_dir / CONTROL_SOCKET).unlink()
    served.machine.born -= 60
    with caplog.at_level(logging.INFO, "schedpilot-agent"):
        once(BanditAdvisor())
    assert any(
        "advice only" in each.message and "latency" in each.message for each in caplog.records
    )
    assert not [name for name, _ in served.machine.asked if name != "library"]


def test_what_an_operator_declines_is_not_pressed(served: ServedMachine) -> None:
    """After a decline nothing else is tried in the same episode."""
    served.machine.autonomy = Autonomy.ASK
    episode = served.call(served.machine.degrade)

    with beside(Scripted(("latency", "batch"))) as agent:
        served.until(lambda: bool(served.machine.running))
        served.do(served.machine.approve("a-t-0000", ApprovalRequest(approve=False, reason="no")))
        agent.result(20)
    closed = served.do(served.machine.episode(episode))
    assert [each.state for each in closed.trials] == [TrialState.DECLINED]
    assert "the operator declined" in closed.outcome


def test_an_episode_survives_a_restart_of_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the daemon goes away in the middle of a trial and comes back, the agent waits for that
    trial to end, starts no second one, and closes the episode."""
    run_dir = tmp_path / "run"
    monkeypatch.setenv("SCHEDPILOT_RUN_DIR", str(run_dir))

    with served_machine(run_dir, {"latency": 0.4}) as before:
        before.call(before.machine.may_go_on.clear)
        episode = before.call(before.machine.degrade)
        with beside(BanditAdvisor()) as agent:
            before.until(lambda: bool(before.machine.running))
            before.stop()
            with served_machine(run_dir) as after:
                machine = after.machine
                machine.candidates = before.machine.candidates
                machine.kept_episodes = before.machine.kept_episodes
                # As a daemon that was stopped leaves it.
                machine.trials = {
                    key: trial.model_copy(update={"state": TrialState.ROLLED_BACK})
                    for key, trial in before.machine.trials.items()
                }
                agent.result(20)
                closed = after.do(machine.episode(episode))
    assert closed.state is EpisodeState.CLOSED
    assert [each.scheduler for each in closed.trials] == ["latency"]


def test_the_agent_waits_for_a_daemon_that_is_not_there_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so once, keeps trying, and serves when the daemon comes."""
    run_dir = tmp_path / "run"
    monkeypatch.setenv("SCHEDPILOT_RUN_DIR", str(run_dir))
    complaints: list[str] = []
    complained = threading.Event()

    class Complaints(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(record.getMessage())
            complained.set()

    handler = Complaints(logging.WARNING)
    logging.getLogger("schedpilot-agent").addHandler(handler)
    try:
        with beside(BanditAdvisor()) as agent:
            assert happened(complained, 10)
            with served_machine(run_dir, {"latency": 0.4}) as served:
                episode = served.call(served.machine.degrade)
                agent.result(20)
                closed = served.do(served.machine.episode(episode))
    finally:
        logging.getLogger("schedpilot-agent").removeHandler(handler)
    assert closed.state is EpisodeState.CLOSED
    assert len([each for each in complaints if "cannot be reached" in each]) == 1


def test_a_fault_closes_the_episode_with_its_reason_and_the_next_one_works(
    served: ServedMachine,
) -> None:
    """An advisor that fails costs its episode, not the agent."""

    class Failing(Scripted):
        async def propose(self, situation: Situation) -> Advice:
            if not self.asked:
                self.asked.append(situation)
                raise Fault(FaultType.TIMEOUT, "the model does not answer")
            return await super().propose(situation)

    first = served.call(served.machine.degrade)
    second = served.call(served.machine.degrade)

    advisor = Failing(("latency",))
    once(advisor)
    once(advisor)
    assert served.do(served.machine.episode(first)).outcome == "given up: the model does not answer"
    assert served.do(served.machine.episode(second)).outcome.startswith("kept latency")


def test_events_of_closed_episodes_are_passed_over(served: ServedMachine) -> None:
    """An episode that was opened and closed before the agent started is left alone."""
    old = served.call(served.machine.degrade)
    once(BanditAdvisor())
    before = len(served.machine.trials)
    new = served.call(served.machine.degrade)
    once(Scripted(()))
    assert len(served.machine.trials) == before
    assert served.do(served.machine.episode(old)).advisor == "offline"
    assert served.do(served.machine.episode(new)).advisor == "scripted"
    assert EventKind.EPISODE_OPENED in {each.kind for each in served.machine.log.recorded(0)}
