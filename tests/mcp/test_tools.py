# SPDX-License-Identifier: GPL-2.0-or-later
"""The tools as a model sees them: their words, their answers, and their requests to the daemon."""

import asyncio
import json
import threading
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from mcp.types import TextContent, TextResourceContents, Tool

from daemon.api.models import (
    CandidateRequest,
    CandidateView,
    EventKind,
    RollbackRequest,
    TrialRequest,
    TrialView,
)
from mcp_server.handles import handle_of
from mcp_server.untrusted import marked
from tests.agent.machine import HOSTILE, WORKLOAD, ServedMachine
from tests.mcp.calls import ACTING, CALLS
from tests.mcp.conftest import Connect, told
from tests.mcp.rich import EPISODE, TRIAL, WORKLOADS


def listed(connect: Connect) -> dict[str, Tool]:
    async def use() -> dict[str, Tool]:
        async with connect() as client:
            return {tool.name: tool for tool in (await client.list_tools()).tools}

    return asyncio.run(use())


def test_the_tools_are_those_of_the_design(served: ServedMachine, connect: Connect) -> None:
    """There are fourteen names, in the order in which a model uses them."""
    assert list(listed(connect)) == list(CALLS)


def test_each_tool_says_what_it_is_and_does(served: ServedMachine, connect: Connect) -> None:
    """Each tool has title, description and all four hints; each argument has a type and, where
    needed, an explanation."""
    for name, tool in listed(connect).items():
        assert tool.title
        assert tool.description
        hints = tool.annotations
        assert hints is not None
        assert hints.open_world_hint is False
        assert hints.read_only_hint is (name not in ACTING)
        assert hints.destructive_hint is (name in {"start_trial", "set_parameters", "rollback"})
        assert hints.idempotent_hint is (name != "start_trial")
        assert tool.input_schema["additionalProperties"] is False
        Draft202012Validator.check_schema(tool.input_schema)
        Draft202012Validator.check_schema(tool.output_schema or {})
        assert (tool.output_schema or {})["type"] == "object"


def test_start_trial_takes_no_source(served: ServedMachine, connect: Connect) -> None:
    """A trial loads what was proven before, under the given id."""
    arguments = listed(connect)["start_trial"].input_schema["properties"]
    assert not {"source", "policy", "library"} & set(arguments)
    assert arguments["candidate"]["pattern"]


def test_each_answer_fits_its_schema(busy: ServedMachine, connect: Connect) -> None:
    """Every answer about a busy machine is valid against the tool's own output schema."""

    async def use() -> None:
        async with connect() as client:
            for tool in (await client.list_tools()).tools:
                content = told(await client.call_tool(tool.name, CALLS[tool.name]))
                Draft202012Validator(tool.output_schema or {}).validate(content)
                assert content

    asyncio.run(use())


def test_the_status_names_the_cpu_sets_of_the_machine(
    busy: ServedMachine, connect: Connect
) -> None:
    """In the words of the policy language, each with its CPUs."""

    async def use() -> None:
        async with connect() as client:
            status = told(await client.call_tool("get_status", {}))
            said = ["cpus fast: 0-7", "cpus slow: 8-15", "smt avoid"]
            assert status["cpu_sets"] == [marked(each) for each in said]

    asyncio.run(use())


def test_what_was_asked_for_reaches_the_daemon(served: ServedMachine, connect: Connect) -> None:
    """Handles become ids; candidate, trial, rollback and lesson are those that the model gave."""
    handle = handle_of(WORKLOAD)

    async def use() -> None:
        async with connect() as client:
            policy = {"policy": "slice 3ms", "workload": handle}
            checked = told(await client.call_tool("check_candidate", policy))
            assert checked["proven"]
            assert checked["candidate"] in checked["next"]
            wanted = {"candidate": checked["candidate"], "workload": handle, "max_windows": 8}
            trial = told(await client.call_tool("start_trial", {**wanted, "wait_s": 20}))
            assert trial["workload"] == handle
            await client.call_tool("rollback", {"reason": "a test"})
            await client.call_tool("record_lesson", {"text": "be brief"})

    asyncio.run(use())
    asked = dict(served.machine.asked)
    assert asked["create_candidate"] == CandidateRequest(policy="slice 3ms", workload=WORKLOAD)
    assert asked["start_trial"] == TrialRequest(
        candidate="c-0000", workload=WORKLOAD, max_windows=8
    )
    assert asked["rollback"] == RollbackRequest(reason="a test")
    assert [each.text for each in served.machine.known_lessons] == ["be brief"]


def test_what_speaks_against_a_candidate_is_told(served: ServedMachine, connect: Connect) -> None:
    """The check and the trial report warnings about a candidate, and so does what to do next."""
    machine = served.machine
    make, start = machine.create_candidate, machine.start_trial

    async def warned(request: CandidateRequest) -> CandidateView:
        view = await make(request)
        return view.model_copy(update={"warnings": ["batch: its page calls it bad for that"]})

    async def started(request: TrialRequest) -> TrialView:
        view = await start(request)
        return view.model_copy(update={"warnings": ["batch: its page calls it bad for that"]})

    machine.create_candidate = warned  # type: ignore[method-assign]
    machine.start_trial = started  # type: ignore[method-assign]

    async def use() -> None:
        async with connect() as client:
            wanted = {"library": "batch", "workload": handle_of(WORKLOAD)}
            checked = told(await client.call_tool("check_candidate", wanted))
            assert "bad for that" in checked["warnings"][0]
            assert "warned of" in checked["next"]
            trial = {"candidate": checked["candidate"], "wait_s": 20}
            said = told(await client.call_tool("start_trial", trial))
            assert "bad for that" in said["warnings"][0]

    asyncio.run(use())


def test_a_trial_is_waited_for_and_told_window_by_window(
    served: ServedMachine, connect: Connect
) -> None:
    """Progress arrives with each window, and the verdict with the answer."""
    said: list[str] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        said.append(message or "")
        await asyncio.to_thread(served.call, served.machine.may_go_on.set)

    async def use() -> None:
        async with connect() as client:
            checked = told(await client.call_tool("check_candidate", {"library": "latency"}))
            trial = await client.call_tool(
                "start_trial",
                {"candidate": checked["candidate"], "wait_s": 30},
                progress_callback=heard,
            )
            answer = told(trial)
            assert answer["state"] == "kept"
            assert answer["verdict"]["decision"] == "keep"
            assert answer["verdict"]["found"].endswith("better (95%, 4+4 windows)")

    served.call(served.machine.may_go_on.clear)
    asyncio.run(use())
    assert said[0] == "⟦t-0000 runs⟧"
    assert said[-1].startswith("⟦window 8: ")


def test_a_trial_that_takes_longer_answers_with_its_handle(
    served: ServedMachine, connect: Connect
) -> None:
    """After `wait_s` the trial goes on; get_episode takes its id and waits for the rest."""
    served.call(served.machine.may_go_on.clear)

    async def use() -> None:
        async with connect() as client:
            checked = told(await client.call_tool("check_candidate", {"library": "latency"}))
            wanted = {"candidate": checked["candidate"], "episode": episode, "wait_s": 0}
            trial = told(await client.call_tool("start_trial", wanted))
            assert trial["state"] == "running"
            assert trial["trial"] in trial["next"]
            waiting = asyncio.create_task(
                client.call_tool("get_episode", {"id": trial["trial"], "wait_s": 30})
            )
            await asyncio.to_thread(served.call, served.machine.may_go_on.set)
            (ended,) = told(await waiting)["trials"]
            assert ended["state"] == "kept"

    episode = served.call(lambda: served.machine.degrade(WORKLOAD))
    asyncio.run(use())


def test_gates_are_told_while_they_work(served: ServedMachine, connect: Connect) -> None:
    """The daemon's reports about a candidate are passed on as progress."""
    said: list[str] = []
    heard_of = asyncio.Event()
    make = served.machine.create_candidate

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        said.append(message or "")
        heard_of.set()

    async def slowly(request: CandidateRequest) -> CandidateView:
        await asyncio.to_thread(go_on.wait, 10)
        return await make(request)

    async def use() -> None:
        async with connect() as client:
            asking = asyncio.create_task(
                client.call_tool("check_candidate", {"library": "fifo"}, progress_callback=heard)
            )
            while not heard_of.is_set():
                await asyncio.to_thread(
                    served.call,
                    lambda: served.machine.log.append(
                        EventKind.GATE_STARTED, "build begins", candidate="c-1", scheduler="fifo"
                    ),
                )
                await asyncio.sleep(0)
            go_on.set()
            told(await asking)

    go_on = threading.Event()
    served.machine.create_candidate = slowly  # type: ignore[method-assign]
    asyncio.run(use())
    assert said[0] == "⟦build begins⟧"


def test_pages_are_short_and_lead_on(busy: ServedMachine, connect: Connect) -> None:
    """Lists answer with a page, the total count, and where the next page begins."""

    async def use() -> None:
        async with connect() as client:
            seen: list[str] = []
            page: dict[str, Any] = {"next_offset": 0}
            while "next_offset" in page:
                offset = {"offset": page["next_offset"], "limit": 25}
                page = told(await client.call_tool("list_workloads", offset))
                seen += [each["workload"] for each in page["workloads"]]
            assert len(seen) == len(set(seen)) == page["total"] == WORKLOADS
            for of in ("episodes", "outcomes", "lessons", "beliefs"):
                wanted = {"of": of, "limit": 2, "workload": "" if of != "beliefs" else WORKLOAD}
                first = told(await client.call_tool("get_history", wanted))
                assert len(first[of]) == 2
                assert first["next_offset"] == 2
                assert first["total"] > 2

    asyncio.run(use())


def test_a_workload_can_be_named_in_three_ways(served: ServedMachine, connect: Connect) -> None:
    """A workload is found by its handle, by its marked name, and by its whole id."""

    async def use() -> None:
        async with connect() as client:
            rows = told(await client.call_tool("list_workloads", {}))["workloads"]
            (row,) = [each for each in rows if "script" in each["name"]]
            for way in (row["workload"], row["name"], HOSTILE):
                profile = told(await client.call_tool("profile_workload", {"workload": way}))
                assert profile["name"] == row["name"]

    asyncio.run(use())
    asked = [what for name, what in served.machine.asked if name == "workload_profile"]
    assert asked == [HOSTILE] * 3


def test_the_series_is_thinned_and_says_which_scheduler(
    served: ServedMachine, connect: Connect
) -> None:
    """200 intervals become at most the requested number of rows."""

    async def use() -> None:
        async with connect() as client:
            wanted = {"workload": handle_of(WORKLOAD), "points": 10}
            signals = told(await client.call_tool("get_signals", wanted))
            assert signals["series"]["intervals"] == 200
            assert len(signals["series"]["rows"]) == 10
            assert len(signals["series"]["rows"][0]) == len(signals["series"]["columns"])
            assert {row[-1] for row in signals["series"]["rows"]} == {"default", "latency"}
            assert signals["delay_p99_us"]["most"] == 9000
            assert {"response_p99_us", "completions_per_s", "burst_us"} <= set(signals)

    asyncio.run(use())


def test_resources_are_listed_and_read(busy: ServedMachine, connect: Connect) -> None:
    """The library, the signals, an episode and both guides are read, each with its type."""

    async def use() -> None:
        async with connect() as client:
            resources = (await client.list_resources()).resources
            assert {each.uri for each in resources} == {
                "schedpilot://library",
                "schedpilot://signals",
                "schedpilot://guide/policy-language",
                "schedpilot://guide/sched-ext",
            }
            (template,) = (await client.list_resource_templates()).resource_templates
            assert template.uri_template == "schedpilot://episodes/{id}"
            for uri in [*(each.uri for each in resources), f"schedpilot://episodes/{EPISODE}"]:
                (content,) = (await client.read_resource(uri)).contents
                assert isinstance(content, TextResourceContents)
                assert content.text
                if content.mime_type == "application/json":
                    assert json.loads(content.text)

    asyncio.run(use())


def test_prompts_are_filled_in(busy: ServedMachine, connect: Connect) -> None:
    """With a workload the prompt has its profile; without an episode it has the last rollback."""

    async def use() -> None:
        async with connect() as client:
            names = [each.name for each in (await client.list_prompts()).prompts]
            assert names == ["optimize-workload", "explain-rollback"]
            wanted = {"workload": WORKLOAD, "goal": "p99 below 5 ms"}
            asked = [
                ("optimize-workload", wanted, "p99 below 5 ms"),
                ("explain-rollback", {}, TRIAL),
            ]
            for name, arguments, there in asked:
                (message,) = (await client.get_prompt(name, arguments)).messages
                assert message.role == "user"
                assert isinstance(message.content, TextContent)
                assert there in message.content.text
                assert "{{" not in message.content.text

    asyncio.run(use())


def test_the_server_tells_how_to_work(served: ServedMachine, connect: Connect) -> None:
    """The instructions have the ladder in its order, the marks, and what never to do."""

    async def use() -> str:
        async with connect() as client:
            return client.instructions or ""

    text = asyncio.run(use())
    steps = ["Do nothing", "Retune", "Pick", "policy line", "Write C"]
    places = [text.index(step) for step in steps]
    assert places == sorted(places)
    assert "⟦ ⟧" in text
    assert "Never" in text


def test_only_what_is_installed_is_found_unless_asked(
    served: ServedMachine, connect: Connect
) -> None:
    """Entries that cannot be loaded here are counted, and shown if the client asks for all."""

    async def use() -> None:
        async with connect() as client:
            wanted: dict[str, object] = {"query": "latency-sensitive"}
            plain = told(await client.call_tool("search_schedulers", wanted))
            assert "lavd" not in [each["name"] for each in plain["schedulers"]]
            assert plain["not_installed"] == 1
            wanted["all"] = True
            everything = told(await client.call_tool("search_schedulers", wanted))
            found = {each["name"]: each for each in everything["schedulers"]}
            assert found["lavd"]["not_installed"]

    asyncio.run(use())
