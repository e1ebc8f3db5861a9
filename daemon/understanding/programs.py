# SPDX-License-Identifier: GPL-2.0-or-later
"""The kind of program of a workload, at a glance: from a few files of /proc, remembered.

`look.py` looks longer and sees more; this is for queries about many workloads, or urgent ones.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.api.models import KindView, ProgramKind
from daemon.understanding import cgroups
from daemon.understanding.kinds import (
    WEAK,
    JudgedProcess,
    by_id,
    judged,
    says,
    summed_up,
    with_company,
)
from daemon.understanding.proc import Proc, Process, read
from scheduler_library.purpose import PurposeEvidence

# How many processes are checked.
MOST_PROCESSES = 24
# How many bytes of a cgroup's process ids are read.
_PIDS_BYTES = 4096
# How long an answer is valid, seconds, and how many are kept.
REMEMBERED_S = 60.0
MOST_REMEMBERED = 256
# A program's kind counts if its processes used at least this part of the CPU time.
LEAST_SHARE = 0.5


@dataclass(frozen=True)
class KnownProgram:
    """The knowledge about a workload's program; `kind` None: none."""

    kind: KindView | None = None

    @property
    def said(self) -> PurposeEvidence | None:
        return says(self.kind) if self.kind else None

    @property
    def of_the_kernel(self) -> bool:
        return self.kind is not None and self.kind.kind is ProgramKind.KERNEL


class Programs:
    """Answers for workloads by their ids, and remembers the answers for a while."""

    def __init__(
        self,
        proc: Proc | None = None,
        clock: Callable[[], float] = time.monotonic,
        mounts: tuple[Path, ...] = cgroups.MOUNTS,
    ) -> None:
        self._proc = proc or Proc()
        self._mounts = mounts
        self._clock = clock
        self._remembered: OrderedDict[str, tuple[float, KnownProgram]] = OrderedDict()

    def known(self, workload: str) -> KnownProgram:
        """The kind of its program: by its processes, else by its name.

        The id comes from the signals: its cgroup is looked up.
        """
        now = self._clock()
        at, known = self._remembered.get(workload, (float("-inf"), KnownProgram()))
        if now - at < REMEMBERED_S:
            return known
        known = self._look(workload)
        self._remembered[workload] = (now, known)
        self._remembered.move_to_end(workload)
        while len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)
        return known

    def _look(self, workload: str) -> KnownProgram:
        by_name = by_id(workload)
        kind, _, name = workload.partition(":")
        if (kind == "comm" and by_name.kind not in WEAK) or kind == "kthread":
            return _as_known(by_name)
        processes = (
            self._of_cgroup(name) if kind == "cgroup" else self._of_name(kind, by_name, name)
        )
        parents = {each.pid: each.stat.parent for each in processes}
        found = with_company({each.pid: judged(each) for each in processes}, parents)
        used = {each.pid: each.stat.user_ticks + each.stat.system_ticks for each in processes}
        kinds = summed_up((each, used[pid] + 1.0) for pid, each in found.items())
        first = kinds[0] if kinds else None
        if first and first.kind not in WEAK and first.share >= LEAST_SHARE:
            return KnownProgram(first)
        return _as_known(by_name)

    def _of_cgroup(self, name: str) -> list[Process]:
        try:
            raw_name = name.encode("utf-8")
        except UnicodeEncodeError:
            return []
        folder = cgroups.folder_of(raw_name, self._mounts)
        if folder is None:
            return []
        pids = [int(each) for each in read(folder / "cgroup.procs", _PIDS_BYTES).split()]
        return self._at_work(pids)

    def _of_name(self, kind: str, by_name: JudgedProcess, name: str) -> list[Process]:
        """Processes of this name.

        All processes are searched, so only if their arguments may say what the name does not.
        """
        if kind != "comm" or by_name.kind is not ProgramKind.LANGUAGE_RUNTIME:
            return []
        return self._at_work([pid for pid in self._proc.pids() if self._proc.comm(pid) == name])

    def _at_work(self, pids: Sequence[int]) -> list[Process]:
        found = (self._proc.process(pid) for pid in pids[-MOST_PROCESSES:])
        return [each for each in found if each is not None]


def _as_known(by_name: JudgedProcess) -> KnownProgram:
    if by_name.kind is ProgramKind.UNKNOWN:
        return KnownProgram()
    return KnownProgram(
        KindView(kind=by_name.kind, certainty=by_name.certainty, evidence=[by_name.evidence])
    )
