# SPDX-License-Identifier: GPL-2.0-or-later
"""If the operator wants to be asked, a person decides, at the client or with the command."""

import asyncio
from typing import Any

import pytest
from mcp.client.session import ClientRequestContext
from mcp.types import ElicitRequestParams, ElicitResult

from daemon.api.models import ApprovalRequest, Autonomy, ParametersRequest
from tests.agent.machine import HOSTILE, ServedMachine
from tests.mcp.conftest import Connect, told, trouble

# The older protocol asks during a call; the newer one makes the call once more.
ERAS = pytest.mark.parametrize("era", ["legacy", "auto"])


class Person:
    """Answers questions as the test says, and remembers them."""

    def __init__(self, action: str, **content: Any) -> None:
        self.result = ElicitResult.model_validate({"action": action, "content": content or None})
        self.asked: list[str] = []

    async def __call__(
        self, context: ClientRequestContext, params: ElicitRequestParams
    ) -> ElicitResult:
        self.asked.append(params.message)
        return self.result


async def _try(connect: Connect, era: str, person: Any) -> dict[str, Any]:
    """A trial of `latency` for a workload with a hostile name."""
    async with connect(mode=era, elicitation_callback=person) as client:
        checked = told(await client.call_tool("check_candidate", {"library": "latency"}))
        wanted = {"candidate": checked["candidate"], "workload": HOSTILE, "wait_s": 30}
        return told(await client.call_tool("start_trial", wanted))


@ERAS
def test_what_a_person_approves_is_tried(served: ServedMachine, connect: Connect, era: str) -> None:
    """The question says what would happen, and to what; the answer becomes the daemon's
    approval."""
    served.machine.autonomy = Autonomy.ASK
    person = Person("accept", approve=True, reason="go on")
    trial = asyncio.run(_try(connect, era, person))
    assert trial["state"] == "kept"
    (question,) = person.asked
    assert "latency" in question
    assert "⟦comm:<script>" in question
    approvals = [what for name, what in served.machine.asked if name == "approve"]
    assert approvals == [("a-t-0000", ApprovalRequest(approve=True, reason="go on"))]


@ERAS
@pytest.mark.parametrize(
    "person", [Person("decline"), Person("accept", approve=False)], ids=["decline", "no"]
)
def test_declining_leaves_everything_as_it_was(
    served: ServedMachine, connect: Connect, era: str, person: Person
) -> None:
    """After a refused form, or a form with "no" in it, nothing is loaded and the trial is
    declined."""
    served.machine.autonomy = Autonomy.ASK
    trial = asyncio.run(_try(connect, era, person))
    assert trial["state"] == "declined"
    assert trial.get("windows", 0) == 0
    assert served.machine.loaded is None
    assert not served.machine.running


@ERAS
@pytest.mark.parametrize("person", [None, Person("cancel")], ids=["cannot ask", "closed the form"])
def test_without_an_answer_the_trial_waits_for_the_command(
    served: ServedMachine, connect: Connect, era: str, person: Person | None
) -> None:
    """The answer names `schedpilot approve ID`; nothing is applied, and the model cannot go on."""
    served.machine.autonomy = Autonomy.ASK
    trial = asyncio.run(_try(connect, era, person))
    assert trial["state"] == "awaiting-approval"
    assert "`schedpilot approve a-t-0000`" in trial["next"]
    assert "approve" not in {name for name, _ in served.machine.asked}
    assert served.machine.loaded is None

    async def look() -> None:
        async with connect() as client:
            (waits,) = told(await client.call_tool("get_status", {}))["approvals"]
            assert waits["approval"] == "a-t-0000"

    asyncio.run(look())


def test_who_decided_first_decides(served: ServedMachine, connect: Connect) -> None:
    """If the command declined while the form was open, a later yes at the client changes
    nothing."""
    served.machine.autonomy = Autonomy.ASK

    class Slow(Person):
        async def __call__(
            self, context: ClientRequestContext, params: ElicitRequestParams
        ) -> ElicitResult:
            no = served.machine.approve("a-t-0000", ApprovalRequest(approve=False))
            await asyncio.to_thread(served.do, no)
            return await super().__call__(context, params)

    trial = asyncio.run(_try(connect, "legacy", Slow("accept", approve=True)))
    assert trial["state"] == "declined"
    assert served.machine.loaded is None


def test_the_command_decides_while_the_form_is_open(
    served: ServedMachine, connect: Connect
) -> None:
    """After an approval in a terminal the trial begins, and nobody has to close the form."""
    served.machine.autonomy = Autonomy.ASK

    async def person(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        yes = served.machine.approve("a-t-0000", ApprovalRequest(approve=True))
        await asyncio.to_thread(served.do, yes)
        await asyncio.Event().wait()
        raise AssertionError

    trial = asyncio.run(_try(connect, "legacy", person))
    assert trial["state"] == "kept"


def _settings(connect: Connect, era: str, person: Person | None) -> Any:
    async def use() -> Any:
        async with connect(mode=era, elicitation_callback=person) as client:
            wanted = {"parameters": {"slice_us": 2000}}
            return await client.call_tool("set_parameters", wanted)

    return asyncio.run(use())


@ERAS
def test_parameters_are_set_when_a_person_approves(
    served: ServedMachine, connect: Connect, era: str
) -> None:
    """Retuning the running scheduler is a change too: the person sees which one."""
    served.machine.autonomy = Autonomy.ASK
    person = Person("accept", approve=True)
    told(_settings(connect, era, person))
    assert "slice_us=2000" in person.asked[0]
    request = ParametersRequest(parameters={"slice_us": 2000})
    assert ("set_parameters", request) in served.machine.asked


@ERAS
@pytest.mark.parametrize(
    ("autonomy", "person", "said"),
    [
        (Autonomy.ASK, Person("decline"), "declined"),
        (Autonomy.ASK, None, "start_trial"),
        (Autonomy.OBSERVE, Person("accept", approve=True), "observe and advise only"),
    ],
    ids=["declined", "cannot ask", "observe"],
)
def test_parameters_stay_where_nobody_approves(
    served: ServedMachine,
    connect: Connect,
    era: str,
    autonomy: Autonomy,
    person: Person | None,
    said: str,
) -> None:
    """The model learns why, and how a person could be asked."""
    served.machine.autonomy = autonomy
    parts = trouble(_settings(connect, era, person))
    assert parts["error"] == "not-allowed"
    assert said in str(parts)
    assert "set_parameters" not in {name for name, _ in served.machine.asked}
