# SPDX-License-Identifier: GPL-2.0-or-later
"""Errors: the model reads what it can repair, the client gets its own errors, and nobody gets a
traceback."""

import asyncio
import logging
from typing import Any

import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError

from mcp_server.access import to_act
from mcp_server.server import build_server
from process import Fault, FaultType
from tests.agent.machine import ServedMachine, served_machine
from tests.mcp.conftest import Connect, text_of, trouble

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("get_status", {"workload": "x"}, "unknown argument"),
    ("list_workloads", {"limitt": 3}, "the nearest known one is limit"),
    ("list_workloads", {"limit": 10**9}, "less than or equal to 50"),
    ("list_workloads", {"offset": -1}, "greater than or equal to 0"),
    ("profile_workload", {}, "Field required"),
    ("profile_workload", {"workload": "../../etc/passwd"}, "names no workload"),
    ("profile_workload", {"workload": "w0000000000"}, "no workload has the handle"),
    ("profile_workload", {"workload": "⟦nobody⟧"}, "no workload has the handle"),
    ("profile_workload", {"workload": "x" * 5000}, "at most 4200 characters"),
    ("get_signals", {"last_s": float("nan")}, "last_s"),
    ("run_probe", {"kind": "rm -rf /"}, "kind"),
    ("run_probe", {"kind": "runqlat", "seconds": 3600}, "less than or equal to 30"),
    ("search_schedulers", {}, "nothing to search for"),
    ("get_scheduler", {"name": "../../x"}, "match pattern"),
    ("get_episode", {"id": "e-1/../../x"}, "match pattern"),
    ("get_episode", {"id": "e-9999"}, "there is no episode"),
    ("get_history", {"of": "secrets"}, "'episodes', 'outcomes', 'lessons' or"),
    ("get_history", {"of": "beliefs"}, "beliefs are about a workload"),
    ("check_candidate", {}, "exactly one of policy, library and source"),
    ("check_candidate", {"policy": "slice 3ms", "library": "fifo"}, "exactly one of"),
    ("check_candidate", {"library": "Not A Name"}, "match pattern"),
    ("check_candidate", {"source": "x" * 500_000}, "at most 400000 characters"),
    ("check_candidate", {"library": "nope"}, "nearest: latency"),
    ("check_candidate", {"library": "fifo", "parameters": {"a": {"b": 1}}}, "parameters"),
    ("check_candidate", {"library": "fifo", "objective": "respnse p99"}, "did you mean 'response'"),
    ("check_candidate", {"library": "fifo", "objective": "cpu lower"}, "column 5"),
    (
        "check_candidate",
        {"library": "fifo", "guards": [{"workload": "comm:x", "text": "cpu"}]},
        "not worse than N%",
    ),
    (
        "check_candidate",
        {"library": "fifo", "guards": [{"workload": "x", "text": "cpu not worse than 5%"}]},
        "names no workload",
    ),
    ("check_candidate", {"library": "fifo", "guards": [{"workload": "comm:x"}]}, "Field required"),
    ("start_trial", {"candidate": "slice 3ms"}, "match pattern"),
    ("start_trial", {"candidate": "c-0000", "source": "int x;"}, "unknown argument"),
    ("start_trial", {"candidate": "c-0000", "wait_s": 6000}, "less than or equal to 600"),
    ("set_parameters", {"parameters": {}}, "at least 1 item"),
    ("record_lesson", {"text": "x" * 501}, "at most 500 characters"),
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """One server's answers to the bad calls."""
    run_dir = tmp_path_factory.mktemp("daemon") / "run"

    async def use() -> list[str]:
        access = to_act(run_dir)
        async with Client(build_server(access)) as client:
            said = [text_of(await client.call_tool(name, given)) for name, given, _ in BAD]
        await access.close()
        return said

    with served_machine(run_dir) as served:
        said = asyncio.run(use())
        assert not {name for name, _ in served.machine.asked} & {"start_trial", "set_parameters"}
    return said


@pytest.mark.parametrize("number", range(len(BAD)), ids=[f"{each[0]}: {each[2]}" for each in BAD])
def test_bad_arguments_are_told_so_that_they_can_be_repaired(
    answers: list[str], number: int
) -> None:
    """Each error says which argument is wrong and how; none of the calls reaches the daemon's
    acting routes."""
    assert BAD[number][2] in answers[number]


def test_a_refused_policy_comes_with_place_cause_and_fix(
    served: ServedMachine, connect: Connect
) -> None:
    """The daemon's problem reaches the model unchanged."""

    async def use() -> dict[str, Any]:
        async with connect() as client:
            refused = {"policy": "slice fase 3ms"}
            return trouble(await client.call_tool("check_candidate", refused))

    assert asyncio.run(use()) == {
        "error": "bad-policy",
        "what": "⟦'fase' is no fact⟧",
        "where": "⟦column 7⟧",
        "why": "⟦expected a time⟧",
        "hint": "⟦did you mean 'age'?⟧",
        "lines": ["⟦slice fase 3ms⟧", "⟦      ^⟧"],
    }


def test_a_candidate_that_is_not_proven_says_why(served: ServedMachine, connect: Connect) -> None:
    """This is an answer and no error: the failed gate, its message, its fix, and what to do
    next."""
    served.machine.unproven.add("fifo")

    async def use() -> None:
        async with connect() as client:
            answer = await client.call_tool("check_candidate", {"library": "fifo"})
            content = answer.structured_content or {}
            assert content["proven"] is False
            (gate,) = content["gates"]
            assert gate["messages"][0]["fix"] == "⟦spell it right⟧"
            assert "repair" in content["next"]

    asyncio.run(use())


def test_what_does_not_exist_is_the_clients_error(served: ServedMachine, connect: Connect) -> None:
    """A missing tool, resource or prompt is an error of the protocol."""

    async def use() -> None:
        async with connect() as client:
            for asked in (
                client.call_tool("shell", {"command": "id"}),
                client.read_resource("schedpilot://secrets"),
                client.read_resource("file:///etc/passwd"),
                client.read_resource("schedpilot://episodes/..%2f..%2fetc"),
                client.get_prompt("jailbreak", {}),
                client.get_prompt("optimize-workload", {"cmd": "x"}),
            ):
                with pytest.raises(MCPError) as raised:
                    await asked
                assert raised.value.error.code == -32602

    asyncio.run(use())


def test_the_daemons_trouble_is_an_error_of_the_call(
    served: ServedMachine, connect: Connect
) -> None:
    """A fault in the daemon is reported by its name, and the next call gets an answer."""

    async def use() -> None:
        async with connect() as client:
            served.machine.trouble = Fault(FaultType.STATE, "the disk is full", hint="make room")
            parts = trouble(await client.call_tool("get_status", {}))
            assert (parts["error"], parts["hint"]) == ("state", "⟦make room⟧")
            served.machine.trouble = None
            assert not (await client.call_tool("get_status", {})).is_error

    asyncio.run(use())


def test_a_defect_of_ours_shows_nothing_of_our_insides(
    served: ServedMachine,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The traceback goes to the log; the model hears that it is not at fault."""

    def broken(self: object) -> bool:
        raise RuntimeError("/home/someone/secret")

    async def use() -> str:
        async with connect() as client:
            monkeypatch.setattr("mcp_server.handles.Handles.of", broken)
            return text_of(await client.call_tool("list_workloads", {}))

    with caplog.at_level(logging.ERROR):
        said = asyncio.run(use())
    assert "internal" in said
    assert "secret" not in said
    assert "Traceback" not in said
    assert "RuntimeError" in caplog.text or "TypeError" in caplog.text
