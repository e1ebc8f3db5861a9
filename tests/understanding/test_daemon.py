# SPDX-License-Identifier: GPL-2.0-or-later
"""Profile and probes of the real daemon, over its sockets, on the machine of the tests."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bpf.common.workload_id import workload_of
from daemon.api.models import ProbeKind, ProbeRequest
from process import Fault, FaultType
from tests.daemon.running import Place, Running, running


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("profiling")
    with running(Place(folder, {"gates": {"simulate": False}})) as daemon:
        yield daemon


def test_a_profile_is_answered_to_everybody(daemon: Running) -> None:
    """On the observe socket, the profile of its workload has this process, and says what the daemon
    cannot know about it."""
    own = str(workload_of(os.getpid()))
    with daemon.observe() as client:
        view = client.workload_profile(own)
    assert view.workload == own
    assert view.processes_total >= 1
    assert view.threads_total >= 1
    assert view.parallelism.looks > 0
    assert view.sure_of
    assert view.not_known


def test_a_workload_that_is_not_there_is_told_so(daemon: Running) -> None:
    """A workload that is neither seen nor alive is NOT_FOUND; a text that is no id is a bad
    request."""
    with daemon.observe() as client:
        with pytest.raises(Fault) as gone:
            client.workload_profile("comm:no such name")
        assert gone.value.type is FaultType.NOT_FOUND
        with pytest.raises(Fault) as wrong:
            client.workload_profile("pid 1")
        assert wrong.value.type is FaultType.BAD_REQUEST


def test_many_profiles_do_not_hold_the_daemon(daemon: Running) -> None:
    """While a dozen requests run at once, other answers come in between."""
    own = str(workload_of(os.getpid()))

    def ask(_: int) -> int:
        with daemon.observe() as client:
            return client.workload_profile(own).processes_total

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask, number) for number in range(8)]
        with daemon.observe() as client:
            between = 0
            while not all(each.done() for each in asked):
                client.status()
                between += 1
    assert all(each.result() >= 1 for each in asked)
    assert between > 1


def test_probes_are_listed_and_refused_by_what_is_missing(daemon: Running) -> None:
    """Everybody may read the list; only the control socket may run a probe; if something is
    missing, the fault says what."""
    with daemon.observe() as client:
        listed = {each.kind: each for each in client.probes()}
        assert set(listed) == set(ProbeKind)
        with pytest.raises(Fault) as observed:
            client.run_probe(ProbeRequest(kind=ProbeKind.FUTEX, seconds=1))
        assert observed.value.type is FaultType.NOT_ALLOWED
    if listed[ProbeKind.FUTEX].available:
        return
    with daemon.control() as client, pytest.raises(Fault) as refused:
        client.run_probe(ProbeRequest(kind=ProbeKind.FUTEX, seconds=1))
    assert refused.value.type is FaultType.MISSING_TOOL
    assert listed[ProbeKind.FUTEX].missing[0] in refused.value.why
