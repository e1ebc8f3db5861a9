# SPDX-License-Identifier: GPL-2.0-or-later
"""The real daemon on a real sched_ext kernel: schedulers that fail in every way there is,
helpers that die, foreign schedulers, and what the daemon says of each.

The scenes (guest_faults.py) are played in one boot of the lab; the tests judge them.
"""

import json
from typing import Any

import pytest

from tests.daemon.guest_faults import LEASE_S

pytestmark = pytest.mark.vm

Seen = dict[str, Any]

PLAY_S = 420.0


def _play() -> Seen:
    from lab.vm import run_in_lab

    done = run_in_lab(["python", "-m", "tests.daemon.guest_faults"], timeout=PLAY_S)
    seen: Seen = {}
    for line in done.stdout.splitlines():
        seen |= json.loads(line)
    assert done.status == 0, done.error_text
    return seen


@pytest.fixture(scope="module")
def scenes() -> Seen:
    return _play()


@pytest.fixture
def seen(request: pytest.FixtureRequest, scenes: Seen) -> Seen:
    """One scene, by its name."""
    found: Seen = scenes[request.param]
    assert "trouble" not in found, found["trouble"]
    return found


def of(scene: str) -> pytest.MarkDecorator:
    """The scene that a test judges."""
    return pytest.mark.parametrize("seen", [scene], indirect=True)


def kinds(events: list[list[str]]) -> list[str]:
    return [kind for kind, _ in events]


def told(events: list[list[str]], kind: str) -> str:
    """The message of the first event of a kind."""
    return next(message for each, message in events if each == kind)


def at_rest(status: Seen) -> bool:
    """The kernel's own scheduler runs, and the daemon says nothing else."""
    return (
        status["sysfs"]["state"] == status["kernel"]["state"] == "disabled"
        and status["loaded"] is None
        and status["trial"] == ""
    )


def runs(status: Seen, name: str, why: str) -> bool:
    """Kernel and daemon agree that this scheduler runs, and for what reason."""
    return (
        (status["sysfs"]["state"], status["sysfs"]["ops"]) == ("enabled", name)
        and status["kernel"]["ops"] == name
        and status["loaded"] is not None
        and (status["loaded"]["name"], status["loaded"]["why"]) == (name, why)
        and status["foreign"] == ""
    )


def held_back(status: Seen, candidate: str) -> str:
    """Why this candidate is in quarantine; fails if it is not."""
    reason: str = next(
        each["reason"] for each in status["quarantine"] if each["candidate"] == candidate
    )
    return reason


# ---------------------------------------------------------------- what works


@of("hold_and_release")
def test_a_scheduler_is_held_until_released(seen: Seen) -> None:
    """A scheduler that is held by hand runs and is in the status; after the release, the kernel's
    own is back."""
    assert runs(seen["held"], "fifo", "operator")
    assert seen["held"]["loaded"]["lease_s"] == LEASE_S
    assert at_rest(seen["released"])
    assert "fifo was loaded by hand" in told(seen["events"], "loaded")
    assert told(seen["events"], "unloaded").endswith("enough")


@of("live_parameters")
def test_live_parameters_reach_the_running_scheduler(seen: Seen) -> None:
    """Live parameters are set, shown in the status, and the scheduler stays the same one."""
    assert seen["set"]["loaded"]["parameters"] == {"slice_ns": 2000000, "longest_first": False}
    assert runs(seen["after"], "jobs", "operator")
    assert seen["after"]["loaded"]["parameters"] == seen["set"]["loaded"]["parameters"]


@of("live_parameters")
def test_expected_runtimes_reach_the_kernel(seen: Seen) -> None:
    """Entries put into the map of `jobs` are in the kernel's map."""
    assert seen["filled"]["type"] == ""
    assert {
        str(each["formatted"]["key"]): each["formatted"]["value"]
        for each in json.loads(seen["map"])
        if each["formatted"]["key"] == 1
    } == {"1": 7}


@of("live_parameters")
@pytest.mark.parametrize(
    ("case", "said"),
    [
        ("range", "out of range"),
        ("load_only", "only when the scheduler is loaded"),
        ("unknown", "no such parameter"),
        ("no_map", "map"),
        ("key", "32 bits"),
    ],
)
def test_wrong_settings_are_refused_with_the_reason(seen: Seen, case: str, said: str) -> None:
    """Values that cannot be set are refused, each with its own reason, and the scheduler keeps
    running."""
    assert seen[case]["type"] == "bad-parameter"
    assert said in seen[case]["what"] + seen[case]["why"]


@of("bad_candidates")
def test_candidates_that_cannot_be_made_are_named(seen: Seen) -> None:
    """An out-of-range parameter, an unknown scheduler and a missing binary have different
    faults."""
    assert seen["range"]["type"] == "bad-parameter"
    assert "out of range" in seen["range"]["why"]
    assert seen["unknown"]["type"] == "unknown-scheduler"
    assert seen["not_installed"]["type"] == "not-installed"


@of("measured_trial")
def test_a_trial_measures_both_arms_and_ends_with_a_verdict(seen: Seen) -> None:
    """The daemon measures alternating windows, judges, and follows the verdict."""
    trial = seen["trial"]
    assert trial["state"] in ("kept", "rolled-back")
    assert trial["verdict"]["reason"] == trial["reason"] != ""
    arms = [window["arm"] for window in trial["windows"]]
    # An emulated machine that its host forgot for a moment looks harmed, and ends it at once.
    hasty = trial["verdict"]["early"] and trial["state"] == "rolled-back"
    assert arms[:2] == (["baseline"] if hasty and len(arms) == 1 else ["baseline", "candidate"])
    assert all(each["samples"] > 0 for each in trial["windows"])
    if trial["state"] == "kept":
        assert runs(seen["status"], "fifo", "kept")
    else:
        assert at_rest(seen["status"])


@of("measured_trial")
def test_a_trial_by_hand_has_an_episode_of_its_own(seen: Seen) -> None:
    """The whole story of the trial is in the episode that was made for it."""
    assert seen["episode"]["state"] == "closed"
    assert seen["episode"]["trials"] == [seen["trial"]]
    assert "verdict" in [event["kind"] for event in seen["episode"]["events"]]


@of("kept_before")
def test_a_rollback_restores_what_was_kept_before(seen: Seen) -> None:
    """If a second scheduler is kept after a first one, a rollback brings the first one back."""
    assert seen["first"]["state"] == seen["second"]["state"] == "kept"
    assert runs(seen["one_kept"], "fifo", "kept")
    assert runs(seen["two_kept"], "fair", "kept")
    assert runs(seen["rolled_back"], "fifo", "kept")


@of("kept_before")
def test_what_was_kept_outlives_the_trials_of_others(seen: Seen) -> None:
    """A candidate that is ejected, or is worse, leaves the kept scheduler running."""
    assert seen["ejected"]["state"] == "rolled-back"
    assert runs(seen["after_ejection"], "fifo", "kept")
    assert seen["worse"]["verdict"]["decision"] == "rollback"
    assert runs(seen["after_worse"], "fifo", "kept")


@of("kept_before")
def test_what_runs_is_not_compared_with_itself(seen: Seen) -> None:
    """A trial of the running candidate is refused."""
    assert seen["same"]["type"] == "bad-request"
    assert "is running now" in seen["same"]["what"]


# ---------------------------------------------------------------- candidates that fail


@of("not_compiling")
def test_a_candidate_that_does_not_compile_is_explained(seen: Seen) -> None:
    """The gate's answer has file, line and the compiler's words, and a suggestion."""
    gate = seen["view"]["gates"][-1]
    assert (gate["gate"], gate["passed"]) == ("build", False)
    first = gate["messages"][0]
    assert first["file"].endswith("broken.bpf.c")
    assert first["line"] == 9
    assert "scx_bpf_dsq_insrt" in first["message"]
    assert "scx_bpf_dsq_insert" in first["fix"]
    assert not seen["view"]["proven"]


@of("refused_by_the_verifier")
def test_a_candidate_that_the_verifier_refuses_is_explained(seen: Seen) -> None:
    """The gate's answer has the verifier's own words."""
    gate = seen["view"]["gates"][-1]
    assert (gate["gate"], gate["passed"]) == ("verify", False)
    said = " ".join(each["message"] + each["cause"] for each in gate["messages"])
    assert "map_value_or_null" in said
    assert not seen["view"]["proven"]


@pytest.mark.parametrize("seen", ["not_compiling", "refused_by_the_verifier"], indirect=True)
def test_what_a_gate_stopped_is_quarantined(seen: Seen) -> None:
    """It is neither tried nor held; the refusal names the gate, and nothing was loaded."""
    for fault in (seen["trial"], seen["hold"]):
        assert fault["type"] == "quarantined"
        assert "the gate" in fault["why"]
    assert "the gate" in held_back(seen["status"], seen["view"]["id"])
    assert at_rest(seen["status"])
    assert seen["status"]["cooldown"] is None


@of("ejected_while_enabling")
def test_an_ejection_while_enabling_has_its_true_cause(seen: Seen) -> None:
    """A scheduler that is attached but never enabled is reported with the kernel's reason."""
    assert seen["first"]["type"] == "ejected"
    assert "no task is welcome" in seen["first"]["why"]
    assert seen["trial"]["state"] == "failed"
    assert "ops.init() failed" in seen["trial"]["reason"]


@of("ejected_while_enabling")
def test_what_was_ejected_while_enabling_is_quarantined(seen: Seen) -> None:
    """A second attempt, by hand or as a trial, is refused with the reason of the first."""
    for again in (seen["again"], seen["trial_again"]):
        assert again["type"] == "quarantined"
    assert "no task is welcome" in held_back(seen["status"], seen["id"])
    assert kinds(seen["events"]).count("ejected") == 2
    assert kinds(seen["events"]).count("quarantined") == 2
    assert at_rest(seen["status"])


EJECTIONS = [
    ("failing_in_a_trial", "on purpose after"),
    ("stalling_in_a_trial", "stall"),
]


@pytest.mark.parametrize(("seen", "cause"), EJECTIONS, indirect=["seen"])
def test_an_ejection_ends_the_trial_with_its_true_cause(seen: Seen, cause: str) -> None:
    """The kernel's own reason is in the verdict, and the default runs again."""
    assert seen["trial"]["state"] == "rolled-back"
    assert cause in seen["trial"]["verdict"]["reason"]
    assert at_rest(seen["status"])
    assert cause in told(seen["events"], "ejected")
    assert cause in told(seen["events"], "rollback")


@pytest.mark.parametrize(("seen", "cause"), EJECTIONS, indirect=["seen"])
def test_what_was_ejected_in_a_trial_is_quarantined(seen: Seen, cause: str) -> None:
    """The same candidate is neither tried nor held a second time."""
    assert seen["again"]["type"] == seen["held"]["type"] == "quarantined"
    assert cause in seen["again"]["why"]
    assert cause in held_back(seen["status"], seen["id"])
    assert cause in seen["candidate"]["quarantined"]


@pytest.mark.parametrize(
    "seen",
    ["ejected_while_enabling", "failing_in_a_trial", "stalling_in_a_trial"],
    indirect=True,
)
def test_the_machine_answers_after_an_ejection(seen: Seen) -> None:
    """A new process starts and ends as if nothing had happened."""
    assert seen["seconds"] < 20


@of("failing_while_held")
def test_an_ejection_of_a_held_scheduler_is_reported(seen: Seen) -> None:
    """An ejected scheduler that was held by hand is reported, quarantined, and not loaded again."""
    assert at_rest(seen["status"])
    assert "on purpose after" in told(seen["events"], "ejected")
    assert "the kernel default runs" in told(seen["events"], "rollback")
    assert "on purpose after" in held_back(seen["status"], seen["id"])
    assert seen["again"]["type"] == "quarantined"


@of("asking_for_restarts")
def test_a_scheduler_that_always_wants_a_restart_does_not_get_it(seen: Seen) -> None:
    """A scheduler that asks to be loaded again is loaded again, a few times and no more."""
    assert 2 <= seen["loads"] <= 8
    assert "reloaded more than" in held_back(seen["status"], seen["id"])
    assert at_rest(seen["status"])


@of("failed_hold_keeps_what_was")
def test_a_hold_that_fails_leaves_what_was_held(seen: Seen) -> None:
    """If the kernel refuses the new scheduler, the earlier one runs again."""
    assert seen["hold"]["type"] == "ejected"
    assert runs(seen["status"], "fifo", "operator")
    assert seen["status"]["loaded"]["candidate"] == seen["fifo"]


# ---------------------------------------------------------------- helpers that die


@of("runner_killed")
def test_a_killed_runner_gives_the_kernel_back_at_once(seen: Seen) -> None:
    """After the runner's death its scheduler is gone; the daemon reports it, and can load again."""
    assert seen["seconds"] < LEASE_S
    assert at_rest(seen["status"])
    assert "the runner ended" in told(seen["events"], "rollback")
    assert seen["status"]["quarantine"] == [
        each for each in seen["status"]["quarantine"] if each["scheduler"] != "fifo"
    ]
    assert seen["again"]["type"] == ""


@of("runner_killed_in_a_trial")
def test_a_runner_killed_in_a_trial_ends_it(seen: Seen) -> None:
    """The trial is rolled back, and the scheduler from before it runs again."""
    assert seen["trial"]["state"] == "rolled-back"
    assert "the runner ended" in seen["trial"]["reason"]
    assert runs(seen["status"], "fair", "operator")


@of("frozen")
def test_a_stopped_daemon_loses_its_lease(seen: Seen) -> None:
    """A living daemon that does not renew loses its scheduler within the lease, and reports that
    when it continues."""
    assert seen["seconds"] < 2 * LEASE_S
    assert at_rest(seen["status"])
    assert "lease ran out" in held_back(seen["status"], seen["id"])


@of("killed")
def test_a_killed_daemon_gives_the_kernel_back(seen: Seen) -> None:
    """After SIGKILL the kernel's own scheduler is back within the lease."""
    assert seen["held"] == "enabled"
    assert seen["sysfs"] == "disabled"
    assert seen["seconds"] < LEASE_S


@of("put_back")
def test_what_was_kept_is_back_after_a_kill(seen: Seen) -> None:
    """The next daemon passes it through the gates and puts it back; kernel and status agree."""
    assert runs(seen["status"], "fifo", "kept")
    assert "kernel and object are the same" in seen["told"]
    (kept,) = seen["status"]["kept"]
    assert (kept["state"], kept["scheduler"]) == ("running", "fifo")


@of("terminated")
def test_sigterm_in_a_trial_restores_before_the_end(seen: Seen) -> None:
    """After an orderly end of the daemon, the kernel's own scheduler is back."""
    assert runs(seen["held"], "fair", "trial")
    assert seen["sysfs"] == "disabled"
    assert seen["status"] == 0
    assert "fair was rolled back" in seen["said"]
    assert "Traceback" not in seen["said"]


@of("remembered")
def test_a_restart_forgets_neither_trouble_nor_history(seen: Seen) -> None:
    """Quarantines hold across a restart, and the trial that SIGTERM ended is on record."""
    assert "the gate 'build'" in held_back(seen["status"], seen["quarantined"])
    assert seen["trial"]["state"] == "rolled-back"
    assert seen["trial"]["reason"] == "the daemon stops"
    assert all(each["state"] == "closed" for each in seen["episodes"])


@of("hotplug")
def test_cpus_that_come_and_go_are_survived(seen: Seen) -> None:
    """A scheduler that leaves when a CPU goes or comes is loaded again, without a quarantine."""
    assert runs(seen["without"], "fifo", "operator")
    assert runs(seen["status"], "fifo", "operator")
    assert "quarantined" not in kinds(seen["events"])


# ---------------------------------------------------------------- others on the machine


@of("foreign_scheduler")
def test_a_foreign_scheduler_is_left_alone(seen: Seen) -> None:
    """A foreign scheduler is named in the status and in an event, and keeps running."""
    assert seen["before"]["foreign"] == "fifo"
    assert seen["before"]["loaded"] is None
    assert "fifo" in told(seen["events"], "foreign-scheduler")
    assert "left alone" in told(seen["events"], "foreign-scheduler")
    assert seen["alive"]
    assert seen["status"]["sysfs"]["ops"] == "fifo"
    assert seen["status"]["sysfs"]["enable_seq"] == seen["before"]["sysfs"]["enable_seq"]


@of("foreign_scheduler")
def test_nothing_is_loaded_over_a_foreign_scheduler(seen: Seen) -> None:
    """Holds and trials are refused with its name, until it is gone."""
    for fault in (seen["hold"], seen["trial"]):
        assert fault["type"] == "foreign-scheduler"
        assert "'fifo'" in fault["why"]
    assert seen["afterwards"]["type"] == ""


@of("two_trials_at_once")
def test_of_two_trials_at_once_one_is_refused(seen: Seen) -> None:
    """One client's trial starts; the other is refused with the reason."""
    types = sorted(each["type"] for each in seen["results"])
    assert types == ["", "busy"]
    busy = next(each for each in seen["results"] if each["type"])
    assert "tries" in busy["why"]
    assert seen["hold"]["type"] == "busy"


@of("two_trials_at_once")
def test_a_trial_is_ended_by_hand(seen: Seen) -> None:
    """A rollback during a trial ends it with the reason given."""
    assert seen["trial"]["state"] == "rolled-back"
    assert seen["trial"]["reason"] == "enough of it"
    assert at_rest(seen["status"])


# ---------------------------------------------------------------- resource controls


@of("quota_ignored")
def test_a_scheduler_without_the_callback_for_a_quota_is_refused(seen: Seen) -> None:
    """The gate names the unit that has the quota, and nothing after it runs."""
    gates = seen["plain"]["gates"]
    assert gates[-1]["gate"] == "controls"
    assert not gates[-1]["passed"]
    said = gates[-1]["messages"][0]["message"]
    assert said == "1 unit here has CPUQuota= (shop.service); this scheduler ignores it"
    assert seen["deaf"]["proven"]


@of("quota_ignored")
def test_one_that_only_claims_to_honour_a_quota_is_rolled_back(seen: Seen) -> None:
    """A trial shows it within the candidate's first window, by name and figures."""
    assert seen["trial"]["state"] == "rolled-back"
    assert "shop.service used" in seen["trial"]["reason"]
    assert "its cpu.max allows 0.20" in seen["trial"]["reason"]
    assert {each["arm"] for each in seen["trial"]["windows"]} == {"baseline"}
    assert at_rest(seen["status"])


# ---------------------------------------------------------------- autonomy


@of("asked")
def test_in_ask_mode_a_trial_waits_for_approval(seen: Seen) -> None:
    """Nothing is loaded until the operator approves; the approval is an event."""
    assert seen["first"]["state"] == "awaiting-approval"
    assert seen["first"]["approval"] in told(seen["events"], "approval-wanted")
    assert at_rest(seen["before"])
    assert seen["approved"]["state"] == "running"
    assert seen["ended"]["state"] == "rolled-back"


@of("asked")
def test_asked_twice_a_person_is_asked_once(seen: Seen) -> None:
    """The answer to the same request is the waiting trial; a different request waits beside it."""
    assert seen["again"] == seen["first"]
    assert [each["id"] for each in seen["before"]["approvals"]] == [
        seen["first"]["approval"],
        *seen["others"],
    ]


@of("asked")
def test_a_declined_trial_never_starts(seen: Seen) -> None:
    """After a decline with a reason, the trial is over and cannot be approved any more."""
    assert seen["declined"]["state"] == "declined"
    assert seen["declined"]["reason"] == "not today"
    assert seen["twice"]["type"] == "not-found"


@of("asked")
def test_an_approval_in_a_busy_moment_is_not_lost(seen: Seen) -> None:
    """While another trial runs, the approval is refused, and the trial keeps waiting."""
    assert seen["busy"]["type"] == "busy"
    assert seen["still_waits"]["state"] == "awaiting-approval"


@of("observed")
def test_in_observe_mode_nothing_is_tried(seen: Seen) -> None:
    """A trial is refused with what to change; the operator can still act by hand."""
    assert seen["trial"]["type"] == "not-allowed"
    assert "autonomy" in seen["trial"]["hint"]
    assert seen["hold"]["loaded"]["name"] == "fifo"
