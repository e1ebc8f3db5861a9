# SPDX-License-Identifier: GPL-2.0-or-later
"""Every endpoint of the table has its handler in the daemon, and that takes and gives what the
table says."""

import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import get_type_hints

import pytest

from daemon.api.endpoint import Endpoint, Streamed
from daemon.api.endpoints import ALL, Endpoints
from daemon.api.models import Event
from daemon.api.serving import control_app, observe_app
from daemon.config import parse
from daemon.main import Daemon
from daemon.service.events import EventLog
from daemon.service.notify import Notifier

# The applications answer it themselves.
BY_TABLE = [each for each in ALL if each is not Endpoints.openapi]


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    folders = "\n".join(f'{name}_dir = "{tmp_path / name}"' for name in ("state", "run", "cache"))
    return Daemon(parse(f"[daemon]\n{folders}\n", "x"), EventLog(lambda _: None), Notifier())


def gives(endpoint: Endpoint) -> object:
    """The handler's answer, as the client receives it."""
    if isinstance(endpoint, Streamed):
        return AsyncIterator[Event]
    return {None: type(None), bytes: Path}.get(endpoint.answer, endpoint.answer)


def test_handlers_take_and_give_what_the_table_says(daemon: Daemon) -> None:
    """Each endpoint has one method of its name, with its types in their order."""
    for endpoint in BY_TABLE:
        (handler,) = [each for each in daemon.handlers.all if hasattr(each, endpoint.name)]
        method = getattr(handler, endpoint.name)
        hints = get_type_hints(method)
        given = [hints[name] for name in inspect.signature(method).parameters]
        declared = get_type_hints(endpoint.declared)
        taken = [declared[each.name] for each in endpoint.parameters]
        assert (given, hints["return"]) == (taken, gives(endpoint)), endpoint.name


def test_both_applications_can_be_made_of_them(daemon: Daemon) -> None:
    """No endpoint is without its handler, and none has two."""
    observe_app(*daemon.handlers.all)
    control_app(*daemon.handlers.all)
