# SPDX-License-Identifier: GPL-2.0-or-later
"""Quick knowledge about the program of a workload."""

from pathlib import Path

import pytest

from daemon.api.models import ProgramKind
from daemon.understanding.proc import Proc
from daemon.understanding.programs import REMEMBERED_S, Programs
from scheduler_library.purpose import Purpose
from tests.understanding.recorded import Task, Tree


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def mounted(root: Path, name: str, *pids: int) -> Path:
    """A tree of cgroups that has one with this name."""
    folder = root / name.lstrip("/")
    folder.mkdir(parents=True)
    (root / "cgroup.controllers").touch()
    (folder / "cgroup.procs").write_text("".join(f"{pid}\n" for pid in pids))
    return root


def programs(tmp_path: Path, clock: Clock | None = None) -> Programs:
    return Programs(Proc(tmp_path / "proc"), clock or Clock(), (tmp_path / "cgroup",))


@pytest.mark.parametrize(
    ("workload", "kind", "purpose"),
    [
        ("comm:redis-server", ProgramKind.CACHE, Purpose.LATENCY),
        ("comm:ffmpeg", ProgramKind.ENCODER, Purpose.THROUGHPUT),
        ("comm:clang-19", ProgramKind.BUILD, Purpose.THROUGHPUT),
        ("comm:vim", ProgramKind.INTERACTIVE, Purpose.LATENCY),
        ("comm:hackbench", ProgramKind.LOAD_GENERATOR, None),
        ("cgroup:/system.slice/postgresql.service", ProgramKind.DATABASE, Purpose.LATENCY),
        ("cgroup:/system.slice/nginx.service/workers", ProgramKind.WEB_SERVER, Purpose.LATENCY),
        ("kthread:kworker", ProgramKind.KERNEL, None),
    ],
)
def test_a_name_is_enough_where_it_is_known(
    tmp_path: Path, workload: str, kind: ProgramKind, purpose: Purpose | None
) -> None:
    """The name of the command or of the unit gives the kind, and what counts for such programs."""
    found = programs(tmp_path).known(workload)
    assert found.kind is not None
    assert found.kind.kind is kind
    assert (found.said.purpose if found.said else None) is purpose


@pytest.mark.parametrize(
    "workload", ["comm:widgetd", "cgroup:/user.slice", "cgroup:/../x", "other"]
)
def test_of_what_nobody_knows_nothing_is_said(tmp_path: Path, workload: str) -> None:
    """It has no kind, and so nothing counts for it."""
    assert programs(tmp_path).known(workload).kind is None


def test_the_processes_of_a_cgroup_tell_what_it_is(tmp_path: Path) -> None:
    """The processes with the most CPU time decide; a shell among them does not matter."""
    mounted(tmp_path / "cgroup", "/user.slice/x.scope", 10, 11)
    tree = Tree(tmp_path / "proc")
    tree.write(10, [Task(10, "bash")], argv=["bash", "run.sh"], ticks=1)
    tree.write(11, [Task(11, "java")], argv=["java", "kafka.Kafka"], ticks=900)
    found = programs(tmp_path).known("cgroup:/user.slice/x.scope")
    assert found.kind is not None
    assert found.kind.kind is ProgramKind.BROKER
    assert found.said is not None
    assert found.said.serves


def test_arguments_tell_what_a_language_runtime_does(tmp_path: Path) -> None:
    """`python3` may be anything; its arguments say more."""
    Tree(tmp_path / "proc").write(
        10, [Task(10, "python3")], argv=["python3", "-m", "pytest"], ticks=9
    )
    found = programs(tmp_path).known("comm:python3")
    assert found.kind is not None
    assert found.kind.kind is ProgramKind.TEST_SUITE


def test_an_answer_is_remembered_for_a_while(tmp_path: Path) -> None:
    """Files are read again only when the answer is old."""
    clock = Clock()
    tree = Tree(tmp_path / "proc")
    tree.write(10, [Task(10, "python3")], argv=["python3", "-m", "pytest"])
    asked = programs(tmp_path, clock)
    first = asked.known("comm:python3")
    tree.write(10, [Task(10, "python3")], argv=["python3", "-m", "flask", "run"])
    assert asked.known("comm:python3") is first
    clock.now += REMEMBERED_S
    again = asked.known("comm:python3")
    assert again.kind is not None
    assert again.kind.kind is ProgramKind.WEB_SERVER
