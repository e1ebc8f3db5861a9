# SPDX-License-Identifier: GPL-2.0-or-later
"""Hostile names on their way through the daemon: the profile and the probes."""

from pathlib import Path

import pytest

from bpf.probes.found import ProbeFindings
from daemon.api.models import ProbeKind, ProbeRequest, ProfileView
from daemon.understanding.look import MeasuredWorkload, understand
from daemon.understanding.probe_answer import answer
from daemon.understanding.proc import Proc
from daemon.understanding.watching import LOOK_S, Eye
from mcp_server.tools.profile import ProfileArguments, profile_of
from tests.hostile.corpus import CORPUS, SIGN, Hostile, acts, strings_in, unmarked
from tests.understanding.recorded import Task, Tree

NAMES = pytest.mark.parametrize("name", CORPUS, ids=lambda each: each.reason[:50])


def as_comm(text: str) -> str:
    """The name as the kernel keeps it: no NUL, fifteen bytes."""
    raw = text.replace("\0", "").encode()[:15]
    return raw.decode("utf-8", "ignore") or "x"


def looked_at(root: Path, name: Hostile) -> "list[object]":
    """The profile of a machine whose names all contain this one, as sent and as a model sees it."""
    tree = Tree(root)
    comm = as_comm(name.signed)
    cgroup = "/" + name.signed.replace("\0", "").replace("\n", "").strip("/")
    tree.write(9, [Task(9, comm)])
    tree.write(
        10,
        [Task(10, comm, "R"), Task(11, comm, sleeps_in="futex_do_wait")],
        parent=9,
        argv=[f"/usr/bin/{name.signed}", name.signed, f"--x={name.signed}"],
        cgroup=cgroup[:4000],
    )
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    eye = Eye(Proc(root), lambda: now[0], sleep)
    workload = f"cgroup:{cgroup[:4000]}"
    measured = MeasuredWorkload(ProfileView(workload=workload, tags=[]), None, LOOK_S)
    view = understand(workload, measured, eye)
    assert view.processes_total == 1
    model = profile_of(
        view, "w0123456789", ProfileArguments(workload=workload, processes=6, threads=5)
    )
    sent = view.model_dump(mode="json", exclude={"workload"})
    return [sent, model.model_dump(mode="json")]


@NAMES
def test_a_profile_tells_names_as_data(tmp_path: Path, name: Hostile) -> None:
    """The daemon escapes and shortens names of processes, threads, cgroups and units, parents and
    command lines, and a model gets them only between marks."""
    sent, model = looked_at(tmp_path, name)
    for text in strings_in(sent):
        assert not acts(text)
        assert len(text) <= 400
    assert any(SIGN in text for text in strings_in(sent))
    for text in strings_in(model):
        assert not unmarked(text)
        assert not acts(text)


@NAMES
def test_a_probe_tells_names_as_data(name: Hostile) -> None:
    """Each probe escapes and cuts the names of threads, functions and modules in its tables."""
    comm, long = as_comm(name.signed), name.signed[:4000]
    found = ProbeFindings(
        seconds=1.0,
        hertz=97,
        after_wakeup=[1] * 40,
        after_preemption=[1] * 40,
        lengths=[1] * 40,
        threads=((comm, 1, 2, 3, 4),),
        reasons=((1, comm, comm, 1, 2, 3, 4),),
        pairs=((comm, "a", 1, 2, 3, 4), ("a", "b", 1, 2, 3, 4), ("b", comm, 1, 2, 3, 4)),
        places=((comm, long, f"/usr/lib/{long}", False, 5),),
        calls=((comm, 1, 2, 3, 4),),
        locks=((comm, 1, 2, 3, 4, 5, 6),),
    )
    # The probe of calls reports only names that were asked for.
    for kind in (each for each in ProbeKind if each is not ProbeKind.UPROBE):
        view = answer(ProbeRequest(kind=kind, seconds=1), found, 1.0)
        assert view.tables
        for text in strings_in(view.model_dump(mode="json")):
            assert not acts(text)
            assert len(text) <= 201


def test_the_corpus_is_wide() -> None:
    """The corpus has at least forty names, for processes, cgroups, files and command lines, each
    with a reason."""
    assert len(CORPUS) >= 40
    assert {each.kind for each in CORPUS} == {"process", "cgroup", "file", "command"}
    assert all(each.reason for each in CORPUS)
    assert len({each.text for each in CORPUS}) == len(CORPUS)
    assert max(len(each.text) for each in CORPUS) >= 4096
