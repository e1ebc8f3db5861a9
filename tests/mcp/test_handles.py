# SPDX-License-Identifier: GPL-2.0-or-later
"""Handles of workloads are short and harmless, and are never mistaken for another."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.api.client import AsyncClient
from daemon.api.models import WorkloadView
from mcp_server.handles import HANDLE, Handles, handle_of
from process import Fault, FaultType
from tests.agent.machine import HOSTILE


class Listed(AsyncClient):
    """A daemon with these workloads in its list."""

    def __init__(self, *ids: str) -> None:
        super().__init__(Path("/nowhere"))
        self.ids = ids

    async def workloads(self) -> list[WorkloadView]:
        return [WorkloadView(id=id) for id in self.ids]


def resolved(handles: Handles, text: str, *ids: str) -> str:
    async def use() -> str:
        async with Listed(*ids) as client:
            return await handles.resolve(text, client)

    return asyncio.run(use())


@given(st.text(max_size=300))
def test_a_handle_has_nothing_of_the_name(name: str) -> None:
    """A handle has eleven characters, the same each time, whatever the name is."""
    handle = handle_of(f"comm:{name}")
    assert HANDLE.fullmatch(handle)
    assert handle == handle_of(f"comm:{name}")


def test_a_handle_is_found_in_the_daemons_list() -> None:
    """This also holds for a handle from another server."""
    assert resolved(Handles(), handle_of(HOSTILE), "comm:a", HOSTILE) == HOSTILE


def test_a_workload_that_ended_is_still_meant() -> None:
    """A handle stays valid, so that somebody can ask for the workload's episode."""
    handles = Handles()
    handle = handles.of("cgroup:/gone")
    assert resolved(handles, handle, "comm:a") == "cgroup:/gone"


def test_names_that_look_alike_when_marked_are_not_guessed_between() -> None:
    """If one workload imitates the escaped name of another, the whole id is needed."""
    with pytest.raises(Fault) as raised:
        resolved(Handles(), "⟦comm:a\\n⟧", "comm:a\n", "comm:a\\n")
    assert raised.value.type is FaultType.NOT_FOUND
    assert "imitates" in raised.value.why


def test_what_no_workload_can_be_called_is_refused() -> None:
    """The name is refused before it is sent anywhere."""
    for text in ("", "x", "/etc/passwd", "cgroup:relative", "w12345"):
        with pytest.raises(Fault) as raised:
            resolved(Handles(), text, "comm:a")
        assert raised.value.type is FaultType.BAD_NAME
