# SPDX-License-Identifier: GPL-2.0-or-later
"""What surrounds schedulers on a machine: protections, CPUs set apart, real-time tasks, namespaces.

Read at the edge into a frozen model, which `bpf.kernel.doctor_surroundings` judges. An empty or
unknown value means that this machine does not show it to us.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from process import Fault, printable, run

# The numbers of the first namespaces of each kind (include/linux/proc_ns.h, PROC_*_INIT_INO).
FIRST_NAMESPACES = {
    "user": 0xEFFFFFFD,
    "pid": 0xEFFFFFFC,
    "cgroup": 0xEFFFFFFB,
}
# EFI's global variables (UEFI specification, 3.3); the value follows four bytes of attributes.
SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
# SCHED_FIFO, SCHED_RR and SCHED_DEADLINE (sched.h): what the kernel runs before any scheduler of
# ours.
REAL_TIME = {1: "fifo", 2: "rr", 6: "deadline"}
# Programs of ours, as the kernel's log names them: at most 15 characters.
OURS = ("schedpilot", "clang", "bwrap", "bpftool")
# How many denials and names are remembered.
MOST_DENIALS = 20
MOST_NAMES = 12
# How long the journal may take to show the kernel's denials, seconds.
JOURNAL_S = 20.0

_SELINUX = re.compile(
    r'avc:\s+denied\s+\{ (?P<what>[^}]{1,80}?) \}.*?\bcomm="?(?P<comm>[^" ]{1,20})"?'
    r".*?\btclass=(?P<kind>\w{1,40})"
)
_APPARMOR = re.compile(
    r'apparmor="DENIED"\s+operation="(?P<kind>[^"]{1,60})".*?\bcomm="?(?P<comm>[^" ]{1,20})"?'
)


class Cgroups(StrEnum):
    """Which version of control groups is mounted. `hybrid`: both, side by side."""

    V1 = "v1"
    V2 = "v2"
    HYBRID = "hybrid"
    NONE = "none"
    UNKNOWN = ""


class Server(StrEnum):
    """The kernel's deadline server for one class of tasks, which keeps real-time tasks from
    starving it.
    """

    ON = "on"
    OFF = "off"
    ABSENT = "absent"
    UNKNOWN = ""


@dataclass(frozen=True)
class Denial:
    """One refusal in the kernel's log. `what` is hostile text, made printable."""

    by: str
    comm: str
    what: str


@dataclass(frozen=True)
class Surroundings:
    """`lockdown`: none, integrity or confidentiality. `selinux`: enforcing or permissive.
    `isolated`, `nohz_full`: lists of CPUs, as the kernel writes them. `real_time`: names of
    programs with real-time tasks. `throttled`: whether the kernel bounds their time. `namespaces`:
    those of this process that are not the host's.
    """

    lockdown: str = ""
    secure_boot: bool | None = None
    selinux: str = ""
    apparmor: bool = False
    denials: tuple[Denial, ...] = ()
    cgroups: Cgroups = Cgroups.V2
    nohz_full: str = ""
    real_time: tuple[str, ...] = ()
    ext_server: Server = Server.ON
    fair_server: Server = Server.ON
    throttled: bool | None = True
    namespaces: tuple[str, ...] = ()


def read_surroundings(root: Path = Path("/"), *, log: bool = True) -> Surroundings:
    """Look at this machine. `log`: also ask the journal for denials. Raises nothing."""
    return Surroundings(
        lockdown=_bracketed(_text(root / "sys/kernel/security/lockdown")),
        secure_boot=_secure_boot(root / SECURE_BOOT),
        selinux={"0": "permissive", "1": "enforcing"}.get(
            _text(root / "sys/fs/selinux/enforce"), ""
        ),
        apparmor=_text(root / "sys/module/apparmor/parameters/enabled") == "Y",
        denials=_denials() if log else (),
        cgroups=cgroups_of(_text(root / "proc/mounts")),
        nohz_full=_cpus(_text(root / "sys/devices/system/cpu/nohz_full")),
        real_time=_real_time(root / "proc"),
        ext_server=_server(root / "sys/kernel/debug/sched", "ext_server"),
        fair_server=_server(root / "sys/kernel/debug/sched", "fair_server"),
        throttled=_throttled(_text(root / "proc/sys/kernel/sched_rt_runtime_us")),
        namespaces=foreign_namespaces(root / "proc/self/ns"),
    )


def foreign_namespaces(folder: Path = Path("/proc/self/ns")) -> tuple[str, ...]:
    """The kinds of namespace in which this process is not in the host's own."""
    found = []
    for kind, first in FIRST_NAMESPACES.items():
        try:
            number = (folder / kind).stat().st_ino
        except OSError:
            continue
        if number != first:
            found.append(kind)
    return tuple(found)


def cgroups_of(mounts: str) -> Cgroups:
    """From the text of /proc/mounts."""
    if not mounts:
        return Cgroups.UNKNOWN
    kinds = {fields[2] for line in mounts.splitlines() if len(fields := line.split()) > 2}
    match "cgroup" in kinds, "cgroup2" in kinds:
        case True, True:
            return Cgroups.HYBRID
        case True, False:
            return Cgroups.V1
        case False, True:
            return Cgroups.V2
        case _:
            return Cgroups.NONE


def denials_in(log: str) -> tuple[Denial, ...]:
    """Refusals to programs of ours, or of BPF, in the kernel's log; the newest, each once."""
    found: dict[Denial, None] = {}
    for line in log.splitlines():
        denial = _denial(line)
        if denial is not None:
            found.pop(denial, None)
            found[denial] = None
    return tuple(found)[-MOST_DENIALS:]


def _denial(line: str) -> Denial | None:
    if match := _SELINUX.search(line):
        comm, kind = printable(match["comm"]), match["kind"]
        if kind == "bpf" or comm.startswith(OURS):
            return Denial("SELinux", comm, printable(f"{match['what'].strip()} ({kind})"))
    elif match := _APPARMOR.search(line):
        comm = printable(match["comm"])
        if comm.startswith(OURS):
            return Denial("AppArmor", comm, printable(match["kind"]))
    return None


def _denials() -> tuple[Denial, ...]:
    words = ["--boot", "--quiet", "--no-pager", "--output=cat", "--lines=2000"]
    words += ["--grep", "avc:  ?denied|apparmor=.DENIED"]
    try:
        shown = run(
            ["journalctl", *words, "_TRANSPORT=kernel", "+", "_TRANSPORT=audit"],
            timeout=JOURNAL_S,
        )
    except Fault:
        return ()
    return denials_in(shown.text)


def real_time_of(stats: Iterable[str]) -> tuple[str, ...]:
    """Programs of real-time tasks, from texts of /proc/PID/stat; kernel threads do not count."""
    found: dict[str, None] = {}
    for text in stats:
        # The name is in brackets and may contain anything, including brackets.
        before, _, after = text.rpartition(")")
        fields = after.split()
        try:
            parent, flags, policy = int(fields[1]), int(fields[6]), int(fields[38])
        except (IndexError, ValueError):
            continue
        kernel_thread = parent == 2 or bool(flags & _PF_KTHREAD)
        if policy in REAL_TIME and not kernel_thread:
            found[printable(before.partition("(")[2])] = None
    return tuple(sorted(found))[:MOST_NAMES]


# include/linux/sched.h
_PF_KTHREAD = 0x00200000


def _real_time(proc: Path) -> tuple[str, ...]:
    return real_time_of(_text(path) for path in proc.glob("[0-9]*/task/[0-9]*/stat"))


def _server(folder: Path, name: str) -> Server:
    """Its time in each period; Documentation/scheduler/sched-deadline.rst."""
    try:
        there = folder.is_dir() and any(folder.iterdir())
    except OSError:
        return Server.UNKNOWN
    if not there:
        return Server.UNKNOWN
    runtime = _text(folder / name / "cpu0" / "runtime")
    if not runtime:
        return Server.ABSENT
    return Server.OFF if runtime == "0" else Server.ON


def _throttled(text: str) -> bool | None:
    return None if not text else text != "-1"


def _bracketed(text: str) -> str:
    """`none [integrity] confidentiality`: the value in force."""
    return text.partition("[")[2].partition("]")[0]


def _secure_boot(path: Path) -> bool | None:
    try:
        value = path.read_bytes()
    except OSError:
        return None
    return value[4] == 1 if len(value) == 5 else None


def _cpus(text: str) -> str:
    # Kernels without it print this.
    return "" if text == "(null)" else printable(text)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
