# SPDX-License-Identifier: GPL-2.0-or-later
"""Facts about processes and threads from /proc, parsed as strictly as necessary.

Processes vanish while they are read: one that is gone is None. All their own text (`comm`,
`arguments`, thread names) is hostile; it is kept whole here and escaped where it leaves. Files that
need more rights than the reader has are also empty.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from bpf.common.workload_id import PF_KTHREAD, cgroup_of, readable

# How many bytes are read of a command line, and of any other file of /proc.
ARGUMENTS_BYTES = 4096
_FILE_BYTES = 65536


@dataclass(frozen=True)
class Stat:
    """From /proc/PID/stat (proc_pid_stat(5)); times in clock ticks."""

    comm: str
    state: str
    parent: int
    terminal: int
    flags: int
    user_ticks: int
    system_ticks: int
    threads: int

    @property
    def kernel_thread(self) -> bool:
        return bool(self.flags & PF_KTHREAD)


@dataclass(frozen=True)
class Process:
    """One process.

    `program` is the executed file according to the kernel, without its folder; empty if that may
    not be read.
    """

    pid: int
    stat: Stat
    arguments: tuple[str, ...] = ()
    program: str = ""
    user_id: int = 0


@dataclass(frozen=True)
class ThreadUsage:
    """One thread's use until now: nanoseconds on a CPU and waiting for one, and how often it left a
    CPU voluntarily and involuntarily.
    """

    run_ns: int
    wait_ns: int
    sleeps: int
    preemptions: int


def read(path: Path | str, most: int = _FILE_BYTES) -> bytes:
    """The beginning of a file; empty if it does not exist or may not be read.

    With plain system calls: a profile reads thousands of such files, on a busy machine.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return b""
    try:
        return os.read(file, most)
    except OSError:
        return b""
    finally:
        os.close(file)


def parse_stat(raw: bytes) -> Stat | None:
    """The name is in parentheses, and may contain parentheses itself."""
    head, _, rest = raw.rpartition(b")")
    fields = rest.split()
    try:
        return Stat(
            comm=readable(head.partition(b"(")[2]),
            state=fields[0].decode("ascii", "replace"),
            parent=int(fields[1]),
            terminal=int(fields[4]),
            flags=int(fields[6]),
            user_ticks=int(fields[11]),
            system_ticks=int(fields[12]),
            threads=int(fields[17]),
        )
    except (IndexError, ValueError):
        return None


def parse_usage(schedstat: bytes, status: bytes) -> ThreadUsage | None:
    fields = schedstat.split()
    counts = {}
    for line in status.splitlines():
        name, _, value = line.partition(b":")
        if name.endswith(b"_ctxt_switches"):
            counts[name] = value
    try:
        return ThreadUsage(
            run_ns=int(fields[0]),
            wait_ns=int(fields[1]),
            sleeps=int(counts.get(b"voluntary_ctxt_switches", b"0")),
            preemptions=int(counts.get(b"nonvoluntary_ctxt_switches", b"0")),
        )
    except (IndexError, ValueError):
        return None


def parse_io(raw: bytes) -> tuple[int, int] | None:
    """Bytes that were read from and written to storage, from /proc/PID/io."""
    values = dict(line.partition(b":")[::2] for line in raw.splitlines())
    try:
        return int(values[b"read_bytes"]), int(values[b"write_bytes"])
    except (KeyError, ValueError):
        return None


def parse_pressure(raw: bytes) -> float | None:
    """`avg10` of the line `some`, per cent (the kernel's Documentation/accounting/psi.rst)."""
    for line in raw.splitlines():
        if line.startswith(b"some "):
            for word in line.split()[1:]:
                if word.startswith(b"avg10="):
                    try:
                        return float(word[6:])
                    except ValueError:
                        return None
    return None


class Proc:
    """A folder with the structure of /proc."""

    def __init__(self, root: Path = Path("/proc")) -> None:
        self.root = root
        self._at = str(root)

    def pids(self) -> list[int]:
        """All processes, lowest first."""
        return _numbers(self._at)

    def threads(self, pid: int) -> list[int]:
        return _numbers(f"{self._at}/{pid}/task")

    def process(self, pid: int) -> Process | None:
        folder = f"{self._at}/{pid}"
        stat = self.stat(pid)
        if stat is None:
            return None
        raw = read(f"{folder}/cmdline", ARGUMENTS_BYTES).rstrip(b"\0")
        try:
            user_id = os.stat(folder).st_uid  # noqa: PTH116 - as `read`
        except OSError:
            return None
        try:
            executed = os.readlink(f"{folder}/exe")  # noqa: PTH115 - as `read`
        except OSError:
            executed = ""
        program = executed.removesuffix(" (deleted)").rpartition("/")[2]
        return Process(
            pid=pid,
            stat=stat,
            arguments=tuple(readable(each) for each in raw.split(b"\0")) if raw else (),
            program=program.encode("utf-8", "surrogateescape").decode("utf-8", "replace"),
            user_id=user_id,
        )

    def stat(self, pid: int) -> Stat | None:
        return parse_stat(read(f"{self._at}/{pid}/stat"))

    def comm(self, pid: int) -> str:
        return readable(read(f"{self._at}/{pid}/comm", 64).removesuffix(b"\n"))

    def thread_stat(self, pid: int, thread: int) -> Stat | None:
        return parse_stat(read(f"{self._at}/{pid}/task/{thread}/stat"))

    def thread_usage(self, pid: int, thread: int) -> ThreadUsage | None:
        folder = f"{self._at}/{pid}/task/{thread}"
        return parse_usage(read(f"{folder}/schedstat"), read(f"{folder}/status"))

    def thread_sleeps_in(self, pid: int, thread: int) -> str:
        """The kernel function in which a thread sleeps; empty if unknown."""
        raw = read(f"{self._at}/{pid}/task/{thread}/wchan", 128)
        text = raw.decode("ascii", "replace")
        return "" if text == "0" else text

    def io(self, pid: int) -> tuple[int, int] | None:
        return parse_io(read(f"{self._at}/{pid}/io"))

    def pressure(self, of: str) -> float | None:
        return parse_pressure(read(f"{self._at}/pressure/{of}"))

    def cgroup(self, pid: int) -> bytes:
        """The path of its cgroup, as bytes; empty if it has none (cgroups(7))."""
        return cgroup_of(read(f"{self._at}/{pid}/cgroup"))

    def libraries(self, pid: int, most_bytes: int = 1 << 20) -> frozenset[str]:
        """The names of the mapped shared libraries."""
        names = set()
        for line in read(f"{self._at}/{pid}/maps", most_bytes).splitlines():
            path = line.partition(b"/")[2]
            name = path.rpartition(b"/")[2]
            if b".so" in name:
                names.add(readable(name))
        return frozenset(names)


def _numbers(folder: str) -> list[int]:
    try:
        return sorted(int(each) for each in os.listdir(folder) if each.isdecimal())  # noqa: PTH208
    except OSError:
        return []
