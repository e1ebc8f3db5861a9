# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of endpoints, and everything made from it: routes, clients, the list and the
document."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.api import reference
from daemon.api.endpoint import Place, Surface
from daemon.api.endpoints import ALL, Endpoints, answered_on
from daemon.api.models import CallPoints, CallsRequest, ProbeKind, ProbeRequest, WindowValue
from daemon.api.openapi import document
from daemon.api.serving import control_app, observe_app
from tests.api.fake import FakeService, Served


def test_the_list_in_the_readme_is_the_table() -> None:
    """The README has the list from the table; `python -m daemon.api.reference` writes it."""
    text = reference.README.read_text()
    assert text == reference.with_list(text)


def test_each_endpoint_is_its_own() -> None:
    """No two endpoints share method and path, and each has a sentence that says what it does."""
    assert len({(each.method, each.template) for each in ALL}) == len(ALL)
    assert all((each.__doc__ or "").rstrip().endswith(".") for each in ALL)


def test_what_is_sent_has_its_place() -> None:
    """An id goes into the path, what is not the default into the query, a model into the body."""
    given = Endpoints.feed_window.call("t-1/2", WindowValue(value=1.0))
    assert (given.method, given.path) == ("POST", "/v1/trials/t-1%2F2/windows")
    assert given.body == WindowValue(value=1.0)
    assert given.parameters == {}
    assert Endpoints.signals.call("comm:x", 5.5).parameters == {"workload": "comm:x", "last": "5.5"}
    assert Endpoints.signals.call("comm:x").parameters == {"workload": "comm:x"}
    assert Endpoints.learned.call(episode="e-1").parameters == {"episode": "e-1"}
    assert Endpoints.workload_profile.call("comm:x").parameters == {"workload": "comm:x"}


def test_a_client_waits_as_long_as_the_answer_takes() -> None:
    """The time limits: short for reading, minutes for gates, and for a probe its requested time in
    addition."""
    points = CallPoints(binary="/bin/x", enter="a", exit="b")
    assert Endpoints.status.call().timeout_s == 30
    assert Endpoints.count_calls.call(CallsRequest(points=points)).timeout_s == 120
    probe = ProbeRequest(kind=ProbeKind.RUNQLAT, seconds=9)
    assert Endpoints.run_probe.call(probe).timeout_s == 129


def test_an_endpoint_without_its_handler_is_a_defect_at_once() -> None:
    """An endpoint without a handler, or with two, is refused at the start."""
    with pytest.raises(TypeError, match="0 handlers have a method"):
        observe_app()
    with pytest.raises(TypeError, match="2 handlers have a method"):
        control_app(FakeService(), FakeService())


@pytest.mark.parametrize("surface", Surface)
def test_the_document_has_what_its_socket_answers(surface: Surface, served: Served) -> None:
    """Each socket answers with an OpenAPI document of its own endpoints, and of no other."""
    with served.observer() if surface is Surface.OBSERVE else served.controller() as client:
        found = client.openapi()
    assert found == json.loads(json.dumps(document(surface)))
    operations = {
        (method.upper(), path): each
        for path, methods in found["paths"].items()
        for method, each in methods.items()
    }
    endpoints = answered_on(surface)
    assert set(operations) == {(each.method, each.template) for each in endpoints}
    for each in endpoints:
        told = operations[each.method, each.template]
        assert told["operationId"] == each.name
        assert [one["in"] for one in told["parameters"]] == [
            one.place for one in each.parameters if one.place is not Place.BODY
        ]
        assert ("requestBody" in told) == bool(each.at(Place.BODY))


@pytest.mark.parametrize("surface", Surface)
def test_the_document_is_one_of_openapi(surface: Surface, tmp_path: Path) -> None:
    """A validator of OpenAPI 3.1 finds nothing wrong with it."""
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document(surface)))
    validator = [sys.executable, "-m", "openapi_spec_validator", "--schema", "3.1", str(file)]
    told = subprocess.run(validator, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
