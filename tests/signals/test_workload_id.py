# SPDX-License-Identifier: GPL-2.0-or-later
"""Ids of workloads: parsing them, and finding the id of a process by the kernel half's rules."""

from pathlib import Path

import pytest

from bpf.common.workload_id import WorkloadId, WorkloadKind, parse_workload_id, workload_of
from process import Fault, FaultType


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        ("cgroup:/system.slice/redis.service", WorkloadKind.CGROUP, "/system.slice/redis.service"),
        ("comm:a:b c", WorkloadKind.COMM, "a:b c"),
        ("kthread:kworker", WorkloadKind.KTHREAD, "kworker"),
        ("cgroup-id:77", WorkloadKind.CGROUP_ID, "77"),
        ("other", WorkloadKind.OTHER, ""),
    ],
)
def test_an_id_comes_apart_and_together_again(text: str, kind: WorkloadKind, name: str) -> None:
    """Parsing an id and printing it are inverse to each other."""
    assert parse_workload_id(text) == WorkloadId(kind, name)
    assert str(parse_workload_id(text)) == text


@pytest.mark.parametrize("text", ["", "redis", "comm:", "pid:1", "other:x", "comm:" + "x" * 20000])
def test_what_is_no_id_is_refused(text: str) -> None:
    """An unknown kind, a missing name and an endless name are faults, which show the id cut and
    escaped."""
    with pytest.raises(Fault) as caught:
        parse_workload_id(text)
    assert caught.value.type is FaultType.BAD_NAME
    assert len(str(caught.value)) < 300


def _process(proc: Path, cgroup: bytes, comm: bytes, flags: int = 0x400000) -> None:
    folder = proc / "7"
    folder.mkdir()
    (folder / "cgroup").write_bytes(cgroup)
    (folder / "comm").write_bytes(comm + b"\n")
    (folder / "stat").write_bytes(b"7 (%s) S 1 7 7 0 -1 %d 0 0" % (comm, flags))


@pytest.mark.parametrize(
    ("cgroup", "comm", "flags", "expected"),
    [
        (b"0::/a.slice/b\xff\n", b"x", 0, "cgroup:/a.slice/b\\xff"),
        (b"4:cpu:/old\n0::/\n", b"redis-server", 0, "comm:redis-server"),
        (b"4:cpu:/old\n", b"redis-server", 0, "comm:redis-server"),
        (b"0::/\n", b"a) S (b", 0, "comm:a) S (b"),
        (b"0::/\n", b"kworker/0:1", 0x00208040, "kthread:kworker"),
    ],
)
def test_a_process_counts_for_its_cgroup_else_its_name(
    tmp_path: Path, cgroup: bytes, comm: bytes, flags: int, expected: str
) -> None:
    """The unified hierarchy decides. In its root the command name counts; kernel threads share the
    part before the slash."""
    _process(tmp_path, cgroup, comm, flags)
    assert str(workload_of(7, tmp_path)) == expected


def test_a_process_that_is_gone_has_no_workload(tmp_path: Path) -> None:
    """The answer is None and no error: processes may end at any time."""
    assert workload_of(7, tmp_path) is None
