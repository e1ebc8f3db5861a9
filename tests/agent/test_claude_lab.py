# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole agent on a real sched_ext kernel: a degradation, an inspection, a policy line that is
refused, mended, tried and kept, a lesson; then another line that is tried and rolled back.

The scene (guest_claude.py) is played in one boot of the lab. The model is a script; daemon,
agent, MCP server, kernel, workload and figures are real.
"""

import json
from typing import Any

import pytest

# By hand: emulated, the agent alone takes more than a minute to come up.
pytestmark = [pytest.mark.vm, pytest.mark.long]

PLAY_S = 540.0


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    from lab.vm import run_in_lab

    done = run_in_lab(["python", "-m", "tests.agent.guest_claude"], timeout=PLAY_S)
    assert done.status == 0, done.error_text
    found: dict[str, Any] = json.loads(done.text.strip().splitlines()[-1])
    assert "trouble" not in found, found["trouble"]
    return found


def calls(scene: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["role"], each["tool"]) for each in scene["steps"] if each["kind"] == "tool-call"]


def test_a_degradation_leads_to_a_kept_line(seen: dict[str, Any]) -> None:
    """Looks, a question, a refused line, the mended one, its trial, the lesson: in this order."""
    scene = seen["kept"]
    assert scene["episode"]["trigger"]["objective"].startswith("measurement piece-s")
    assert calls(scene) == [
        ("harness", "get_status"),
        ("harness", "profile_workload"),
        ("harness", "search_schedulers"),
        ("decide", "get_signals"),
        ("decide", "check_candidate"),
        ("implement", "check_candidate"),
        ("harness", "start_trial"),
        ("learn", "record_lesson"),
    ]
    assert scene["episode"]["advisor"] == "claude"
    assert scene["episode"]["outcome"].startswith("kept policy-")


def test_what_is_kept_is_better_and_in_the_kernel(seen: dict[str, Any]) -> None:
    """The verdict is the measured one, with confidence; sysfs has the policy."""
    scene = seen["kept"]
    (trial,) = scene["episode"]["trials"]
    assert trial["state"] == "kept"
    assert trial["verdict"]["high"] < 1
    assert scene["sysfs"]["state"] == "enabled"
    assert "tier latency helps a niced worker among hogs" in scene["lessons"]


def test_a_bad_line_is_rolled_back_to_what_was_kept(seen: dict[str, Any]) -> None:
    """A person asked for this episode: the worse line is rolled back, and the kept one runs
    again."""
    scene = seen["back"]
    assert scene["episode"]["goal"] == "leave more to the others"
    (trial,) = scene["episode"]["trials"]
    assert trial["state"] == "rolled-back"
    assert scene["episode"]["outcome"].startswith("nothing kept; rolled back policy-")
    assert scene["sysfs"] == seen["kept"]["sysfs"]
    assert "tier idle starves a worker among hogs" in scene["lessons"]


@pytest.mark.parametrize(
    ("scene", "parts"),
    [
        ("kept", ("It waits for a CPU.", "prempt", "preempt", "kept", "record_lesson", "tokens")),
        ("back", ("leave more to the others", "rolled back", "so I stop")),
    ],
)
def test_explain_tells_the_transcript(
    seen: dict[str, Any], scene: str, parts: tuple[str, ...]
) -> None:
    """`schedpilot explain` shows what the model said and did, and the outcome."""
    assert seen[scene]["explain_status"] == 0
    for part in parts:
        assert part in seen[scene]["explained"], part


def test_what_it_cost_is_with_the_episode_and_in_the_account(seen: dict[str, Any]) -> None:
    """The day's account has the calls, tokens, money and seconds of both episodes."""
    costs = [seen[scene]["episode"]["cost"] for scene in ("kept", "back")]
    assert [each["calls"] for each in costs] == [4, 3]
    spent = seen["account"]["spent"]
    assert spent["calls"] == 7
    assert spent["input_tokens"] == sum(each["input_tokens"] for each in costs)
    assert spent["money"] == pytest.approx(sum(each["money"] for each in costs))
