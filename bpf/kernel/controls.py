# SPDX-License-Identifier: GPL-2.0-or-later
"""Which resource controls of the CPU the cgroups of this machine use: weights, quotas, idle groups.

Only a scheduler with the callback for a control can honour it (`ResourceControl.callback`); under
any other one the control stops working. Cpusets are different: they are in each task's mask, which
the kernel enforces.

Names of cgroups are whatever their owners chose, and cgroups come and go while this reads: one
that is gone is left out. The files: Documentation/admin-guide/cgroup-v2.rst in the kernel's tree.
"""

import os
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path

from bpf.common.workload_id import readable
from process import printable

# The mount points of the unified hierarchy: alone, or beside the first version's.
MOUNTS = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
# Where the first version's CPU controller is.
FIRST_VERSION = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/cpu,cpuacct"))
# More groups than this are not read: the ones near the root come first.
MOST_GROUPS = 4096
USUAL_WEIGHT = 100
UNIT_ENDINGS = (".service", ".scope", ".slice", ".socket", ".mount", ".swap")
_LARGEST_FILE = 4096
# How many groups a sentence names, and how long a name may be there.
_EXAMPLES = 3
_LONGEST_NAME = 60


class ResourceControl(StrEnum):
    """A control by the name of its file. `cpu.weight` includes `cpu.weight.nice`, which is another
    way to write it, and `cpu.max` includes `cpu.max.burst`.
    """

    WEIGHT = "cpu.weight"
    IDLE = "cpu.idle"
    MAX = "cpu.max"

    @property
    def callback(self) -> str:
        """The member of `struct sched_ext_ops` by which a scheduler hears of it."""
        return _CALLBACKS[self]

    @property
    def directive(self) -> str:
        """How a unit of systemd says it."""
        return _DIRECTIVES[self]


# The callback without which a kernel has none for cgroups at all (CONFIG_EXT_GROUP_SCHED).
GROUP_CALLBACK = "cgroup_init"
_CALLBACKS = {
    ResourceControl.WEIGHT: "cgroup_set_weight",
    ResourceControl.IDLE: "cgroup_set_idle",
    ResourceControl.MAX: "cgroup_set_bandwidth",
}
# The kernel that first had a control's callback, where it came later than the others.
_SINCE = {ResourceControl.MAX: "6.17", ResourceControl.IDLE: "6.19"}
_DIRECTIVES = {
    ResourceControl.WEIGHT: "CPUWeight=",
    ResourceControl.IDLE: "CPUWeight=idle",
    ResourceControl.MAX: "CPUQuota=",
}


def without_callback(control: ResourceControl, kernel: frozenset[str]) -> str:
    """Why no scheduler can honour a control on a kernel with these callbacks; empty if one can."""
    if GROUP_CALLBACK not in kernel:
        return "the kernel was built without CONFIG_EXT_GROUP_SCHED"
    if control.callback in kernel:
        return ""
    since = f"; Linux {_SINCE[control]} has it" if control in _SINCE else ""
    return f"the kernel has no callback {control.callback}{since}"


@dataclass(frozen=True, slots=True)
class Quota:
    """`cpu.max`, microseconds: at most `quota_us` of CPU time in each `period_us`; `burst_us` of
    unused time may be saved up.
    """

    quota_us: int
    period_us: int
    burst_us: int = 0

    @property
    def cpus(self) -> float:
        return self.quota_us / self.period_us


@dataclass(frozen=True, slots=True)
class GroupControls:
    """What one cgroup sets. `path` is the text that `os.fsdecode` makes of it: hostile.

    `weight` is None at its default and for an idle group; `cpus` is the cpuset, empty for none.
    """

    path: str
    weight: int | None = None
    idle: bool = False
    quota: Quota | None = None
    cpus: str = ""

    @property
    def sets_something(self) -> bool:
        return self.idle or self.weight is not None or self.quota is not None or bool(self.cpus)

    @property
    def is_unit(self) -> bool:
        """Whether it is the group of a systemd unit, not one inside a unit or outside of them."""
        return self.path.rpartition("/")[2].endswith(UNIT_ENDINGS)

    @property
    def name(self) -> str:
        """The unit, else the path; fit to be shown."""
        text = self.path.rpartition("/")[2] if self.is_unit else self.path
        text = readable(os.fsencode(text))
        # The end of a path says more than its beginning.
        return printable(text if len(text) <= _LONGEST_NAME else f"…{text[-_LONGEST_NAME:]}")


@dataclass(frozen=True, slots=True)
class ControlsInUse:
    """The cgroups of this machine. `groups` have the CPU controller: those of one parent share the
    CPUs by weight, also by equal ones. `setting` are those that set something.

    `complete` is False if there are more groups than were read. `unread` is why nothing was read.
    """

    groups: int = 0
    setting: tuple[GroupControls, ...] = ()
    complete: bool = True
    unread: str = ""

    def of(self, control: ResourceControl) -> tuple[GroupControls, ...]:
        """The groups that use this control."""
        match control:
            case ResourceControl.WEIGHT:
                return tuple(each for each in self.setting if each.weight is not None)
            case ResourceControl.IDLE:
                return tuple(each for each in self.setting if each.idle)
            case ResourceControl.MAX:
                return tuple(each for each in self.setting if each.quota is not None)

    @property
    def used(self) -> tuple[ResourceControl, ...]:
        return tuple(each for each in ResourceControl if self.of(each))

    @property
    def cpusets(self) -> tuple[GroupControls, ...]:
        return tuple(each for each in self.setting if each.cpus)


def parse_weight(raw: bytes) -> int | None:
    """`cpu.weight` if it is not the default. 0 is what an idle group shows, and counts as none."""
    number = _number(raw)
    return None if number in (None, 0, USUAL_WEIGHT) else number


def parse_quota(maximum: bytes, burst: bytes = b"") -> Quota | None:
    """`cpu.max` and `cpu.max.burst`; None without a quota."""
    fields = maximum.split()
    if len(fields) != 2:
        return None
    quota, period = _number(fields[0]), _number(fields[1])
    if not quota or not period:
        return None
    return Quota(quota, period, _number(burst) or 0)


def parse_usage(raw: bytes) -> int | None:
    """`usage_usec` of `cpu.stat`."""
    for line in raw.splitlines():
        name, _, value = line.partition(b" ")
        if name == b"usage_usec":
            return _number(value)
    return None


def _number(raw: bytes) -> int | None:
    text = raw.strip()
    return int(text) if text.isdigit() and len(text) < 20 else None


def mounted(mounts: Iterable[Path] = MOUNTS) -> Path | None:
    """Where the unified hierarchy is; None if it is mounted nowhere."""
    return next((each for each in mounts if (each / "cgroup.controllers").exists()), None)


def read_file(folder: bytes, name: bytes) -> bytes:
    """The beginning of one of a group's files; empty if the group or the file is gone."""
    try:
        descriptor = os.open(folder + b"/" + name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _LARGEST_FILE)
    except OSError:  # removed between the two calls
        return b""
    finally:
        os.close(descriptor)


def _read_group(folder: bytes, path: bytes, controllers: frozenset[bytes]) -> GroupControls:
    weight, idle, quota, cpus = None, False, None, ""
    if b"cpu" in controllers:
        idle = read_file(folder, b"cpu.idle").strip() == b"1"
        weight = None if idle else parse_weight(read_file(folder, b"cpu.weight"))
        quota = parse_quota(read_file(folder, b"cpu.max"), read_file(folder, b"cpu.max.burst"))
    if b"cpuset" in controllers:
        cpus = readable(read_file(folder, b"cpuset.cpus")).strip()
    return GroupControls(os.fsdecode(path), weight, idle, quota, cpus)


def _folders(folder: bytes, most: int) -> list[bytes]:
    """The names of the groups below one, at most so many; none if it is gone."""
    try:
        with os.scandir(folder) as entries:
            names = (each.name for each in entries if each.is_dir(follow_symlinks=False))
            return sorted(islice(names, most))
    except OSError:
        return []


def read_controls(
    mount: Path | None = None,
    *,
    most: int = MOST_GROUPS,
    first_version: Iterable[Path] = FIRST_VERSION,
) -> ControlsInUse:
    """Walk the groups from the root on, level by level, as far as controllers are enabled.

    `mount` is where the unified hierarchy is, found if not given. The root itself has limits only
    in a container, where it is a group of the host's. Takes some 50 µs for each group.
    """
    mount = mount or mounted()
    controllers = read_file(bytes(mount), b"cgroup.controllers").split() if mount else []
    if b"cpu" not in controllers and any(each.is_dir() for each in first_version):
        return ControlsInUse(unread="the CPU controller is in a hierarchy of cgroup v1")
    if mount is None:
        return ControlsInUse(unread="there are no cgroups of version 2")
    groups, setting = 0, []
    root = bytes(mount)
    # In a container the root has the files of a group.
    own = frozenset((b"cpu", b"cpuset")) if read_file(root, b"cpu.max") else frozenset()
    waiting = deque([(b"/", own)])
    read = 0
    while waiting and read < most:
        path, enabled = waiting.popleft()
        read += 1
        folder = root + path.rstrip(b"/")
        groups += b"cpu" in enabled
        found = _read_group(folder, path, enabled)
        if found.sets_something:
            setting.append(found)
        # A controller is in the groups below only if it is enabled for them here.
        below = frozenset(read_file(folder, b"cgroup.subtree_control").split())
        below &= {b"cpu", b"cpuset"}
        if below:
            # One more than are read, so that it shows if there are more.
            left = max(1, most - read - len(waiting) + 1)
            inside = path.rstrip(b"/") + b"/"
            waiting += ((inside + name, below) for name in _folders(folder, left))
    return ControlsInUse(groups, tuple(setting), complete=not waiting)


def named(groups: Sequence[GroupControls]) -> str:
    """Some of these groups by name: `shop.service, backup.slice and 3 more`."""
    names = list(dict.fromkeys(each.name for each in groups))
    shown = ", ".join(names[:_EXAMPLES])
    more = len(names) - _EXAMPLES
    return f"{shown} and {more} more" if more > 0 else shown


def usage_words(control: ResourceControl, groups: Sequence[GroupControls]) -> str:
    """Who uses a control, as a clause: `2 units here have CPUQuota= (shop.service, backup.slice)`,
    or, if not all of them are units, `1 group here has cpu.max (/kubepods/pod1)`.
    """
    units = all(each.is_unit for each in groups)
    word = control.directive if units else str(control)
    what = "unit" if units else "group"
    if len(groups) == 1:
        return f"1 {what} here has {word} ({named(groups)})"
    return f"{len(groups)} {what}s here have {word} ({named(groups)})"
