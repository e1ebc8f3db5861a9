# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's parts that need no kernel: their memory, and the failures that they survive."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.api.models import (
    Arm,
    CloseRequest,
    Decision,
    Degradation,
    Direction,
    EpisodeState,
    Event,
    Gate,
    GateMessage,
    GateResult,
    ProfileView,
    SignalPoint,
    TrialState,
    TrialView,
    VerdictView,
    WindowView,
)
from daemon.decide import backoff
from daemon.decide.episode_states import EpisodeChange
from daemon.decide.observation import Observation, WorkloadObservation
from daemon.decide.settings import LimitSettings
from daemon.gates.candidates import Candidate, candidate_id
from daemon.gates.proof import Proof
from daemon.gates.telling import result_reason
from daemon.lifecycle.backoff_store import BackoffStore
from daemon.lifecycle.episodes import MOST_ADVICE, MOST_EPISODES, Episode, Episodes
from daemon.memory.history_writer import HistoryWriter, opened
from daemon.service.events import EventLog
from daemon.signals.series import MOST_POINTS, MOST_WORKLOADS, SignalSeries
from daemon.understanding.profile import profile_of
from process import Fault, FaultType
from scheduler_library.history import FILE, open_history
from scheduler_library.manifest import EntryKind

LIMITS = LimitSettings()
NOW = 1_800_000_000.0


def point(at: float, **other: Any) -> SignalPoint:
    figures: dict[str, Any] = {
        "delay_p50_us": 40.0,
        "delay_p99_us": 400.0,
        "slice_mean_us": 250.0,
        "run_share": 0.5,
        "wakeups_per_s": 1000.0,
        "involuntary_per_s": 2.0,
        "migrations_per_s": 1.0,
    }
    return SignalPoint(at=at, **{**figures, **other})


# ---------------------------------------------------------------- series


def test_a_point_comes_back_as_it_was() -> None:
    """A point is read as it was added, with the scheduler that ran then."""
    series = SignalSeries()
    first, second = point(1.5), point(2.5, scheduler="fair", run_share=0.25)
    series.add("comm:a", first)
    series.add("comm:a", second)
    assert series.since("comm:a", 0) == [first, second]
    assert series.since("comm:a", 2) == [second]
    assert series.last("comm:a") == second
    assert series.last("comm:b") is None
    assert series.since("comm:b", 0) == []


def test_a_series_is_bounded() -> None:
    """The oldest points go first, and so does the workload that was unseen for longest."""
    series = SignalSeries()
    for at in range(MOST_POINTS + 5):
        series.add("comm:old", point(float(at)))
    assert [p.at for p in series.since("comm:old", 0)][:1] == [5.0]
    for number in range(MOST_WORKLOADS):
        series.add(f"comm:{number}", point(0.0))
    assert series.last("comm:old") is None
    assert len(series.workloads()) == MOST_WORKLOADS


def test_more_schedulers_than_can_be_told_apart_are_survived() -> None:
    """With hundreds of schedulers the newest points lose only their scheduler's name."""
    series = SignalSeries()
    for number in range(300):
        series.add("comm:a", point(float(number), scheduler=f"own-{number}"))
    names = [each.scheduler for each in series.since("comm:a", 0)]
    assert names[:3] == ["own-0", "own-1", "own-2"]
    assert names[-1] == ""


# ---------------------------------------------------------------- profiling


def test_a_workload_without_points_has_an_empty_profile() -> None:
    """The profile claims nothing that was not measured."""
    profile = profile_of("comm:a", [], None, machine_cpus=2, machine_utilisation=0.5)
    assert profile.tags == []
    assert profile.figures == {}


def test_a_profile_is_made_of_measured_figures() -> None:
    """Means and maxima cover the given points, and the sentences repeat them."""
    points = [point(1.0), point(11.0, delay_p99_us=900.0, run_share=1.5)]
    profile = profile_of("comm:a", points, None, machine_cpus=2, machine_utilisation=1.7)
    assert profile.figures["seconds"] == 10.0
    assert profile.figures["cpus_used"] == 1.0
    assert profile.figures["delay_p99_us"] == 900.0
    assert profile.figures["machine_utilisation"] == 1.0
    assert any("1000 times a second" in sentence for sentence in profile.sure_of)


def told(points: list[SignalPoint], **other: float) -> ProfileView:
    """The profile from these points, if the newest interval has activations."""
    somebody = WorkloadObservation("comm:b", response_count=3)
    observation = Observation(at=100.0, interval_s=5.0, workloads={"comm:b": somebody})
    return profile_of("comm:a", points, observation, machine_cpus=2, machine_utilisation=1.0)


def request(at: float, **other: Any) -> SignalPoint:
    """An interval of a saturated service: 40 requests a second of 50 ms each, in slices of 4."""
    figures: dict[str, Any] = {
        "slice_mean_us": 4_000.0,
        "run_share": 2.0,
        "wakeups_per_s": 40.0,
        "involuntary_per_s": 460.0,
        "delay_p50_us": 7_000.0,
        "delay_p99_us": 10_000.0,
        "completions_per_s": 40.0,
        "activations_per_s": 40.0,
        "burst_mean_us": 50_000.0,
        "burst_p50_us": 50_000.0,
        "response_p50_us": 98_000.0,
        "response_p99_us": 190_000.0,
        "waiting_share": 0.05,
        "preempted_share": 0.45,
    }
    return point(at, **{**figures, **other})


def test_long_requests_that_are_cut_are_no_short_bursts() -> None:
    """Bursts last from sleep to sleep, however often the scheduler cuts them. The profile has the
    parts of the response time, how much of it a scheduler can save at most, and that requests run
    to completion if allowed. It says neither batch nor hardly ever sleeps."""
    profile = told([request(90.0), request(95.0), request(100.0)])
    assert {"long-bursts", "cut-short", "contended"} <= set(profile.tags)
    assert not {"short-bursts", "batch", "cpu-bound"} & set(profile.tags)
    assert not {"long-bursts", "cut-short"} & set(profile.doubtful)
    assert profile.figures["mean_burst_us"] == pytest.approx(50_000.0)
    assert profile.figures["slice_us"] == pytest.approx(4_000.0)
    assert profile.split is not None
    assert profile.split.model_dump() == {"running": 0.5, "waiting": 0.05, "preempted": 0.45}
    assert profile.bound == 0.5
    assert profile.runs_to_completion
    assert (profile.response_p50_us, profile.response_p99_us) == (98_000.0, 190_000.0)
    assert (profile.completions_per_s, profile.burst_p50_us) == (40.0, 50_000.0)
    sentences = " ".join(profile.sure_of)
    assert "waiting after the wakeup is 5% of that time and being preempted 45%" in sentences
    assert "no scheduler can reduce the mean below 0.50 of its value" in sentences
    assert "runs to completion if allowed" in sentences


def test_requests_are_long_beside_a_thread_that_hands_them_out() -> None:
    """Bursts count by their CPU time. As many short wakeups of a messenger halve the mean, and do
    not make short bursts of long requests."""
    mixed = request(100.0, burst_mean_us=1_900.0, burst_p50_us=30.0, burst_half_us=6_000.0)
    often = {"completions_per_s": 300.0, "activations_per_s": 300.0, "run_share": 0.58}
    profile = told([mixed.model_copy(update=often)])
    assert {"long-bursts", "cut-short"} <= set(profile.tags)
    assert not {"short-bursts", "latency-sensitive"} & set(profile.tags)
    assert any("half of it all is in bursts of 6 ms or more" in said for said in profile.sure_of)


def test_intervals_count_by_what_ended_in_them() -> None:
    """The parts are those of all response time, not the mean over intervals."""
    busy = request(90.0, activations_per_s=90.0, waiting_share=0.5, preempted_share=0.0)
    quiet = request(95.0, activations_per_s=10.0, waiting_share=0.0, preempted_share=0.0)
    profile = told(
        [
            busy.model_copy(update={"completions_per_s": 90.0}),
            quiet.model_copy(update={"completions_per_s": 10.0}),
        ]
    )
    assert profile.split is not None
    # 90 of 100 ms each, and 10 of 50 ms.
    assert profile.split.waiting == pytest.approx(90 * 50 / (90 * 100 + 10 * 50), abs=0.001)
    assert profile.completions_per_s == 50.0


def test_who_sleeps_at_once_is_short_however_it_is_cut() -> None:
    """Bursts with little CPU time stay short if others make them wait."""
    profile = told(
        [
            request(
                at,
                run_share=0.1,
                wakeups_per_s=300.0,
                completions_per_s=300.0,
                activations_per_s=300.0,
                slice_mean_us=150.0,
                burst_mean_us=330.0,
                waiting_share=0.6,
                preempted_share=0.2,
            )
            for at in (90.0, 95.0)
        ]
    )
    assert {"short-bursts", "latency-sensitive"} <= set(profile.tags)
    assert "cut-short" not in profile.tags
    assert profile.runs_to_completion is False
    assert profile.bound == pytest.approx(0.2, abs=0.001)


@pytest.mark.parametrize("completions", [0.0, 0.2])
def test_who_never_sleeps_has_no_short_bursts(completions: float) -> None:
    """Threads whose activation does not end count with the CPU time that they used; a few short
    ones that ended beside them do not stand for the workload."""
    hogs = [
        request(
            at,
            wakeups_per_s=0.2,
            completions_per_s=completions,
            activations_per_s=completions,
            burst_mean_us=100.0,
        )
        for at in (90.0, 95.0)
    ]
    profile = told(hogs)
    assert {"cpu-bound", "batch"} <= set(profile.tags)
    assert not {"short-bursts", "long-bursts", "cut-short"} & set(profile.tags)
    assert profile.figures["unended_share"] > 0.99
    assert profile.figures["mean_burst_us"] >= 5e6
    assert (profile.split is None) == (completions == 0)
    assert any("did not sleep in all this time" in said for said in profile.sure_of)


def test_an_event_loop_that_never_sleeps_has_response_times_and_no_split() -> None:
    """It handles events all the time, and these are reported. Its share of waiting is not, because
    it is known only for activations that ended."""
    loop = {"completions_per_s": 6_000.0, "response_p50_us": 900.0, "response_p99_us": 8_000.0}
    never = {"activations_per_s": 0.0, "burst_mean_us": 0.0, "waiting_share": 0.0}
    profile = told([request(at, **loop, **never, preempted_share=0.0) for at in (90.0, 95.0)])
    assert (profile.completions_per_s, profile.response_p99_us) == (6_000.0, 8_000.0)
    assert (profile.split, profile.bound) == (None, None)
    assert profile.figures["unended_share"] == 1.0
    assert not any("no scheduler can" in said for said in profile.sure_of)
    assert any(
        "6e+03 times a second one of its threads has handled an event" in said
        for said in profile.sure_of
    )


def test_an_event_loop_has_its_bursts_from_sleep_to_sleep() -> None:
    """With twenty events in each activation, the burst is that of the activation. The number of
    bursts is that of ended activations, and they have all of its CPU time."""
    loop = {"completions_per_s": 800.0, "response_p50_us": 900.0, "response_p99_us": 8_000.0}
    profile = told([request(at, **loop) for at in (90.0, 95.0)])
    assert profile.figures["mean_burst_us"] == pytest.approx(50_000.0)
    assert profile.figures["unended_share"] == pytest.approx(0.0, abs=1e-6)
    assert profile.split is not None
    assert profile.completions_per_s == 800.0


def test_signals_of_an_older_program_are_told_as_what_they_are() -> None:
    """Without activations, bursts last from switch to switch, and the profile says so; it claims
    nothing about response time."""
    profile = profile_of("comm:a", [point(1.0)], None, machine_cpus=2, machine_utilisation=0.5)
    assert profile.split is None
    assert profile.bound is None
    assert profile.figures["mean_burst_us"] == 250.0
    assert any("older than the daemon" in said for said in profile.sure_of)
    assert not any("older than the daemon" in said for said in told([request(1.0)]).sure_of)


# ---------------------------------------------------------------- standing


def test_standing_is_remembered(tmp_path: Path) -> None:
    """A quarantine still exists after a restart."""
    troubles: list[str] = []
    first = BackoffStore(tmp_path, LIMITS, troubles.append)
    first.become(backoff.ejected(first.state, "c-1", "fifo", "stalled", NOW, LIMITS))
    again = BackoffStore(tmp_path, LIMITS, troubles.append)
    assert again.state == first.state
    assert again.state.quarantine_of("c-1", NOW + 1) is not None
    assert troubles == []


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe", b'{"failures": "many"}'])
def test_a_corrupt_standing_starts_afresh(tmp_path: Path, content: bytes) -> None:
    """A file with other content is set aside, named, and replaced."""
    (tmp_path / "standing.json").write_bytes(content)
    troubles: list[str] = []
    backoff_store = BackoffStore(tmp_path, LIMITS, troubles.append)
    assert backoff_store.state == backoff.Backoff()
    assert "standing.json.corrupt" in troubles[0]
    assert (tmp_path / "standing.json.corrupt").read_bytes() == content
    backoff_store.become(backoff.failed(backoff_store.state, "worse", NOW, LIMITS))
    assert BackoffStore(tmp_path, LIMITS, troubles.append).state.failures == 1


def test_a_standing_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    """If the folder is gone the state lives in memory, and the problem is reported once."""
    troubles: list[str] = []
    backoff_store = BackoffStore(tmp_path / "absent", LIMITS, troubles.append)
    for _ in range(3):
        backoff_store.become(backoff.failed(backoff_store.state, "worse", NOW, LIMITS))
    assert backoff_store.state.failures == 3
    assert len(troubles) == 1
    assert "cannot be written" in troubles[0]


def test_what_a_gate_stopped_costs_nothing_else() -> None:
    """A gate's refusal stops the candidate, without cooldown and without a step towards
    advice-only."""
    state = backoff.Backoff()
    for number in range(20):
        state = backoff.refused(state, f"c-{number}", "own", "build: no", NOW, LIMITS)
    assert state.quarantine_of("c-7", NOW + 1) is not None
    assert state.advice_only(NOW + 1) is None
    assert state.cooldown(NOW + 1, LIMITS) is None


def test_a_gate_that_lets_it_through_lifts_only_what_gates_imposed() -> None:
    """A later pass ends a gate's quarantine, but not that of an ejection."""
    state = backoff.refused(backoff.Backoff(), "c-1", "own", "build: no", NOW, LIMITS)
    state = backoff.ejected(state, "c-2", "own", "stalled", NOW, LIMITS)
    state = backoff.passed(backoff.passed(state, "c-1"), "c-2")
    assert state.quarantine_of("c-1", NOW + 1) is None
    assert state.quarantine_of("c-2", NOW + 1) is not None


def test_a_repeated_refusal_does_not_hold_longer() -> None:
    """A repeated request for a refused candidate does not restart its quarantine."""
    once = backoff.refused(backoff.Backoff(), "c-1", "own", "build: no", NOW, LIMITS)
    assert backoff.refused(once, "c-1", "own", "build: no", NOW + 60, LIMITS) is once


# ---------------------------------------------------------------- candidates


def test_a_candidate_is_its_content() -> None:
    """The id depends on kind, name, source and parameters, not on their order or on time."""
    made = candidate_id(EntryKind.BPF, "fifo", b"source", {"a": 1, "b": True})
    assert made == candidate_id(EntryKind.BPF, "fifo", b"source", {"b": True, "a": 1})
    others = {
        candidate_id(EntryKind.BPF, "fifo", b"source", {"a": 2, "b": True}),
        candidate_id(EntryKind.BPF, "fifo", b"sourcE", {"a": 1, "b": True}),
        candidate_id(EntryKind.BPF, "fair", b"source", {"a": 1, "b": True}),
        candidate_id(EntryKind.EXTERNAL, "fifo", b"source", {"a": 1, "b": True}),
    }
    assert len(others | {made}) == 5


def gate(passed: bool, *messages: GateMessage) -> GateResult:
    return GateResult(gate=Gate.VERIFY, passed=passed, seconds=0.5, messages=list(messages))


def candidate(*results: GateResult) -> Candidate:
    proof = Proof(results, Path("/nowhere/fifo.bpf.o"), "fifo")
    return Candidate("c-1", "fifo", EntryKind.BPF, {"slice_ns": 5}, "ab" * 32, NOW, proof)


def test_the_reason_of_a_gate_has_its_cause() -> None:
    """It is the first error with its cause; notes and passes give none."""
    error = GateMessage(severity="error", message="not accepted", cause="r1 is no pointer")
    note = GateMessage(severity="note", message="a note")
    assert result_reason(gate(False, note, error)) == "not accepted: r1 is no pointer"
    assert result_reason(gate(True, note)) == ""


def test_only_a_proven_candidate_can_be_loaded() -> None:
    """A candidate that a gate stopped, or that no gate has seen, is refused with the gate's
    name."""
    assert candidate(gate(True)).loadable().ops == "fifo"
    with pytest.raises(Fault) as caught:
        candidate(gate(False)).loadable()
    assert caught.value.type is FaultType.NOT_ALLOWED
    assert "'verify'" in caught.value.why
    with pytest.raises(Fault):
        candidate().loadable()


# ---------------------------------------------------------------- episodes


class Told:
    """Collects what episodes report and store."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.stored: list[EpisodeState] = []
        log = EventLog(self.events.append)
        self.episodes = Episodes(
            publish=log.append, on_change=lambda episode: self.stored.append(episode.state)
        )


DEGRADATION = Degradation(
    workload="comm:redis",
    signal="delay p99",
    since=NOW,
    baseline=400.0,
    value=8000.0,
    ratio=20.0,
    unit="us",
    reason="delay p99 is 20 times its usual",
)
PROFILE = ProfileView(workload="comm:redis", tags=["latency-sensitive"], figures={"threads": 4.0})


def test_an_episode_runs_from_degradation_to_summary() -> None:
    """It is open until its advisor closes it, and each step is reported and stored."""
    told = Told()
    episode = told.episodes.begin(DEGRADATION, PROFILE)
    assert told.episodes.open is episode
    told.episodes.advise(episode, "try latency", "c-1")
    told.episodes.close(episode, CloseRequest(summary="kept", advisor="offline"))
    assert told.episodes.open is None
    view = episode.view()
    assert (view.state, view.outcome, view.advisor) == (EpisodeState.CLOSED, "kept", "offline")
    assert [event.kind.value for event in told.events] == [
        "episode-opened",
        "advice",
        "episode-closed",
    ]
    assert told.stored == [EpisodeState.OPEN, EpisodeState.OPEN, EpisodeState.CLOSED]
    with pytest.raises(Fault) as caught:
        told.episodes.get_open(episode.id)
    assert caught.value.type is FaultType.BAD_REQUEST


def test_an_abandoned_episode_is_closed() -> None:
    """An episode without an advisor is closed after a time, but not during its trial."""
    told = Told()
    episode = told.episodes.begin(DEGRADATION, PROFILE)
    told.episodes.close_abandoned(episode.at + 50, 100, busy=False)
    told.episodes.close_abandoned(episode.at + 150, 100, busy=True)
    assert told.episodes.open is episode
    told.episodes.close_abandoned(episode.at + 150, 100, busy=False)
    assert told.episodes.open is None
    assert "no advisor" in episode.outcome


def test_episodes_and_their_advice_are_bounded() -> None:
    """The oldest are forgotten, and an advisor's words are limited."""
    told = Told()
    first = told.episodes.begin_by_hand("comm:a", "by hand", None)
    for _ in range(MOST_ADVICE):
        told.episodes.advise(first, "more", "")
    with pytest.raises(Fault) as caught:
        told.episodes.advise(first, "more", "")
    assert caught.value.type is FaultType.TOO_LARGE
    for _ in range(MOST_EPISODES):
        told.episodes.begin_by_hand("comm:a", "by hand", None)
    with pytest.raises(Fault):
        told.episodes.get(first.id)


# ---------------------------------------------------------------- recall


@contextmanager
def history_writer_in(folder: Path) -> Iterator[tuple[HistoryWriter, list[str]]]:
    troubles: list[str] = []
    history_writer = opened(open_history(folder / FILE), troubles.append)
    try:
        yield history_writer, troubles
    finally:
        history_writer.close()


TRIAL = TrialView(
    id="t-0001",
    state=TrialState.RUNNING,
    candidate="c-1",
    scheduler="fifo",
    objective="latency p99",
    direction=Direction.LOWER,
    unit="us",
    episode="e-0001",
    at=NOW,
)
KEPT = TRIAL.model_copy(
    update={
        "state": TrialState.KEPT,
        "ended": NOW + 60,
        "windows": [
            WindowView(arm=Arm.BASELINE, started=NOW, ended=NOW + 5, value=800.0, samples=90),
            WindowView(arm=Arm.CANDIDATE, started=NOW + 5, ended=NOW + 10, value=400.0, samples=90),
        ],
        "verdict": VerdictView(
            decision=Decision.KEEP,
            ratio=0.5,
            low=0.4,
            high=0.6,
            confidence=0.95,
            gain=0.5,
            reason="half the delay",
            windows_baseline=1,
            windows_candidate=1,
        ),
    }
)


def episode() -> Episode:
    return Episode(
        id="e-0001",
        workload="comm:redis",
        reason=DEGRADATION.reason,
        at=NOW,
        trigger=DEGRADATION,
        profile=PROFILE,
    )


def test_the_history_tells_the_whole_story_again(tmp_path: Path) -> None:
    """Episode, trial and verdict are the same after a restart."""
    told = episode()
    with history_writer_in(tmp_path) as (history_writer, troubles):
        history_writer.episode(told)
        history_writer.candidate(candidate(gate(True)))
        history_writer.trial_started(TRIAL)
        history_writer.trial_ended(KEPT)
        told.trials[KEPT.id] = KEPT
        told.end(EpisodeChange.CLOSED, "kept", NOW + 61)
        history_writer.episode(told)
        assert troubles == []
    with history_writer_in(tmp_path) as (history_writer, _):
        assert history_writer.episode_view("e-0001") == told.view()
        assert history_writer.trial_view("t-0001") == KEPT
        assert history_writer.episodes(5) == [told.view()]
        (outcome,) = history_writer.outcomes("fifo")
        assert (outcome.decision, outcome.gain) == (Decision.KEEP, 0.5)
        assert outcome.tags == ["latency-sensitive"]
        assert history_writer.outcomes("fair") == []


def test_an_id_of_another_kind_finds_nothing(tmp_path: Path) -> None:
    """A trial's id finds no episode, and an episode's id no trial."""
    with history_writer_in(tmp_path) as (history_writer, _):
        history_writer.episode(episode())
        assert history_writer.trial_view("e-0001") is None
        assert history_writer.episode_view("t-0001") is None


def test_what_a_dead_daemon_left_open_is_closed(tmp_path: Path) -> None:
    """After a crash the next start ends the episode and its trial, and says why."""
    told = episode()
    told.trials[TRIAL.id] = TRIAL
    with history_writer_in(tmp_path) as (history_writer, _):
        history_writer.episode(told)
        history_writer.candidate(candidate(gate(True)))
        history_writer.trial_started(TRIAL)
    with history_writer_in(tmp_path) as (history_writer, troubles):
        history_writer.close_interrupted()
        view = history_writer.episode_view("e-0001")
        assert view is not None
        assert view.state is EpisodeState.CLOSED
        assert view.outcome == "the daemon ended before it did"
        assert [trial.state for trial in view.trials] == [TrialState.FAILED]
        trial = history_writer.trial_view("t-0001")
        assert trial is not None
        assert trial.state is TrialState.FAILED
        assert troubles == []


def test_a_record_that_does_not_fit_is_told_and_survived(tmp_path: Path) -> None:
    """If the history has lost what a record refers to, the daemon goes on and says so."""
    with history_writer_in(tmp_path) as (history_writer, troubles):
        history_writer.trial_started(TRIAL)
        history_writer.trial_ended(KEPT)
        assert len(troubles) == 1
        assert "misses some records" in troubles[0]


def test_the_same_answer_of_the_gates_is_recorded_once(tmp_path: Path) -> None:
    """A candidate that is requested several times leaves one record, until its gates differ."""
    with history_writer_in(tmp_path) as (history_writer, _):
        for _ in range(3):
            history_writer.candidate(candidate(gate(False)))
        history_writer.candidate(candidate(gate(True)))
    history = open_history(tmp_path / FILE).history
    assert [each.passed for each in history.gates("c-1")] == [False, True]
    history.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_disk_that_fills_up_is_told_once(tmp_path: Path) -> None:
    """If no more can be written, the state stays in memory, and the problem is reported."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False).returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        with history_writer_in(disk) as (history_writer, troubles):
            history_writer.episode(episode())
            for number in range(400):
                other = replace(episode(), id=f"e-1{number:04}", outcome="long " * 200)
                history_writer.episode(other)
            assert len(troubles) == 1
            assert "in memory" in troubles[0]
            assert history_writer.degraded
            assert history_writer.episode_view("e-10399") is not None
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
