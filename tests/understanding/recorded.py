# SPDX-License-Identifier: GPL-2.0-or-later
"""A tree like /proc, as recorded from a machine: for readings with known answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.understanding.proc import Process, Stat


def process(
    argv: Sequence[str],
    *,
    program: str = "",
    comm: str = "",
    pid: int = 100,
    parent: int = 1,
    terminal: int = 0,
    kernel_thread: bool = False,
) -> Process:
    """A process that was read."""
    name = comm or program or (argv[0].rpartition("/")[2] if argv else "x")
    flags = 0x00200000 if kernel_thread else 0
    stat = Stat(name[:15], "S", parent, terminal, flags, 0, 0, 1)
    return Process(pid=pid, stat=stat, arguments=tuple(argv), program=program)


@dataclass
class Task:
    """One thread. Times in nanoseconds."""

    thread: int
    name: str
    state: str = "S"
    run_ns: int = 0
    wait_ns: int = 0
    sleeps: int = 0
    preemptions: int = 0
    sleeps_in: str = ""


class Tree:
    """Writes processes into a folder; a second write changes them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(
        self,
        pid: int,
        tasks: Sequence[Task],
        *,
        parent: int = 1,
        argv: Sequence[str] = (),
        cgroup: str = "/",
        io: tuple[int, int] | None = None,
        ticks: int = 0,
    ) -> None:
        folder = self.root / str(pid)
        for each in tasks:
            self._task(folder / "task" / str(each.thread), each, len(tasks))
        self._stat(folder, pid, tasks[0], parent, len(tasks), ticks)
        (folder / "comm").write_text(tasks[0].name + "\n")
        (folder / "cmdline").write_bytes(b"".join(each.encode() + b"\0" for each in argv))
        (folder / "cgroup").write_text(f"0::{cgroup}\n")
        if io is not None:
            (folder / "io").write_text(f"rchar: 1\nread_bytes: {io[0]}\nwrite_bytes: {io[1]}\n")

    def pressure(self, cpu: float) -> None:
        folder = self.root / "pressure"
        folder.mkdir(exist_ok=True)
        line = f"some avg10={cpu:.2f} avg60=0.00 avg300=0.00 total=1\n"
        (folder / "cpu").write_text(line + line.replace("some", "full"))

    def _task(self, folder: Path, task: Task, threads: int) -> None:
        self._stat(folder, task.thread, task, 1, threads, 0)
        (folder / "schedstat").write_text(f"{task.run_ns} {task.wait_ns} 7\n")
        (folder / "status").write_text(
            f"Name:\t{task.name}\nvoluntary_ctxt_switches:\t{task.sleeps}\n"
            f"nonvoluntary_ctxt_switches:\t{task.preemptions}\n"
        )
        (folder / "wchan").write_text(task.sleeps_in or "0")

    def _stat(
        self, folder: Path, number: int, task: Task, parent: int, threads: int, ticks: int
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        # proc_pid_stat(5), from the fourth field on: parent, user time, number of threads.
        fields = [0] * 49
        fields[0], fields[10], fields[16] = parent, ticks, threads
        rest = " ".join(str(each) for each in fields)
        (folder / "stat").write_text(f"{number} ({task.name}) {task.state} {rest}\n")
