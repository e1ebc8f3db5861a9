# SPDX-License-Identifier: GPL-2.0-or-later
"""Which run of the machine this is, and with which kernel."""

import os
import re
from pathlib import Path

from bpf.build.vmlinux import BTF, btf_digest
from daemon.decide.kept_record import Boot, KernelIdentity
from process import Fault

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def read_boot(boot_id: Path = BOOT_ID, btf: Path = BTF) -> Boot:
    """Read both; what cannot be read is empty. Hashes the kernel's types, some megabytes, once."""
    try:
        id = boot_id.read_text("ascii", "replace").strip()
    except OSError:
        id = ""
    try:
        types = btf_digest(btf)
    except Fault:
        types = ""
    kernel = os.uname()
    return Boot(
        id=id if re.fullmatch(r"[0-9a-f-]{36}", id) else "",
        kernel=KernelIdentity(
            release=kernel.release, version=kernel.version, machine=kernel.machine, btf=types
        ),
    )
