# SPDX-License-Identifier: GPL-2.0-or-later
"""The types of the kernel that candidates are built for."""

from pathlib import Path

from bpf.build.vmlinux import BTF
from bpf.kernel import sysfs
from daemon.config import GatesTable


def types_for(settings: GatesTable, sysfs_root: Path = sysfs.ROOT) -> Path:
    """The BTF to build for: this kernel's, or a given one if this kernel has no sched_ext."""
    if sysfs.read(sysfs_root).supported or not settings.kernel_types:
        return BTF
    return Path(settings.kernel_types)
