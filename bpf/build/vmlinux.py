# SPDX-License-Identifier: GPL-2.0-or-later
"""vmlinux.h: every type of one kernel as C, made from its BTF by bpftool.

Names of other kernel versions that this one lacks are added if they can stand for "not here":
constants as 0, so that a flag has no effect, and types without members.
"""

import errno
import hashlib
import re
import stat
from functools import lru_cache
from pathlib import Path

from bpf.build import cache
from process import Fault, FaultType, run

BTF = Path("/sys/kernel/btf/vmlinux")
# bpftool on a full kernel: 0.2 s natively, 5 s under emulation.
_DUMP_LIMIT_S = 120.0

# Constants that schedulers use and that some kernel from 6.12 to 7.3 lacks. Flags in ops.flags must
# be constants in C, so this cannot wait until the scheduler is loaded.
LATER_CONSTANTS = (
    "SCX_OPS_HAS_CGROUP_WEIGHT",  # 6.12 to 6.17
    "SCX_OPS_ENQ_MIGRATION_DISABLED",  # 6.14
    "SCX_OPS_ALLOW_QUEUED_WAKEUP",  # 6.15
    "SCX_OPS_BUILTIN_IDLE_PER_NODE",  # 6.15
    "SCX_PICK_IDLE_IN_NODE",  # 6.15
    "SCX_OPS_ALWAYS_ENQ_IMMED",  # 7.1
    "SCX_ENQ_IMMED",  # 7.1
    "SCX_ENQ_RESCUE",  # 7.3
    "SCX_REENQ_ANY",  # 7.1
)
LATER_TYPES = (
    "bpf_iter_scx_dsq",
    "bpf_res_spin_lock",  # 6.15
    "scx_cid_topo",  # 7.2
    "scx_event_stats",  # 6.15
)
# Callbacks and members of structures that some of these kernels lack: the word for the preprocessor
# to know them by, and what they look like. A scheduler names callbacks in a table that C checks
# against the kernel's; and native builds for the simulator relocate nothing.
LATER_MEMBERS = {
    "KERNEL_HAS_CGROUP_INIT": r"\(\*cgroup_init\)\(",  # CONFIG_EXT_GROUP_SCHED
    # 6.17, and bw_quota_us and others in scx_cgroup_init_args
    "KERNEL_HAS_CGROUP_SET_BANDWIDTH": r"\(\*cgroup_set_bandwidth\)\(",
    "KERNEL_HAS_CGROUP_SET_IDLE": r"\(\*cgroup_set_idle\)\(",  # 6.19
    # 7.0
    "KERNEL_HAS_CGROUP_INIT_IDLE": r"struct scx_cgroup_init_args \{[^}]*\bsched_idle;",
}


@lru_cache(maxsize=4)
def _digest(path: Path, size: int, time_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def btf_digest(btf: Path = BTF) -> str:
    """SHA-256 of a kernel's BTF, in hexadecimal: names everything made from it.

    Raises:
        Fault: UNSUPPORTED if there is none.
    """
    try:
        status = btf.stat()
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        return _digest(btf, status.st_size, status.st_mtime_ns)
    except OSError as error:
        raise Fault(
            FaultType.UNSUPPORTED,
            "the kernel's types (BTF) cannot be read",
            where=str(btf),
            why=error.strerror or "",
            hint="boot a kernel with CONFIG_DEBUG_INFO_BTF=y, or try in the lab",
        ) from None


def complete(header: str) -> str:
    """The header with stand-ins for the names that this kernel lacks, and with
    a word for each of LATER_MEMBERS that it has."""
    constants = [n for n in LATER_CONSTANTS if not re.search(rf"\b{n}\b", header)]
    types = [n for n in LATER_TYPES if not re.search(rf"\bstruct {n} \{{", header)]
    lines = [f"#define {name} 0ULL /* not in this kernel */" for name in constants]
    lines += [f"struct {name} {{ long __not_in_this_kernel; }};" for name in types]
    lines += [
        f"#define {word}" for word, shape in LATER_MEMBERS.items() if re.search(shape, header)
    ]
    guard = "SCHEDPILOT_STAND_INS"  # bpftool's own ends before them
    lines = [f"#ifndef {guard}", f"#define {guard}", *lines, f"#endif /* {guard} */"]
    return f"{header}\n" + "".join(f"{line}\n" for line in lines)


# Changes with what is added to a kernel's own types.
ADDED = hashlib.sha256(repr((LATER_CONSTANTS, LATER_TYPES, LATER_MEMBERS)).encode()).hexdigest()


def header_path(cache_folder: Path, btf: Path) -> Path:
    """Where the cache keeps the vmlinux.h of a kernel.

    Raises:
        Fault: UNSUPPORTED without BTF.
    """
    return cache_folder / "btf" / btf_digest(btf) / f"vmlinux-{ADDED[:16]}.h"


def vmlinux_header(btf: Path = BTF, *, cache_folder: Path | None = None) -> Path:
    """The vmlinux.h of a kernel, from the cache or made now.

    One beside the BTF was made from it by bpftool elsewhere.

    Raises:
        Fault: UNSUPPORTED without BTF, MISSING_TOOL without bpftool, STATE, CHILD_FAILED.
    """
    header = header_path(cache.folder(cache_folder), btf)
    if not header.is_file():
        made = btf.with_name("vmlinux.h")
        if made.is_file():
            try:
                text = made.read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise Fault(
                    FaultType.UNSUPPORTED,
                    "the kernel's types cannot be read",
                    where=str(made),
                    why=getattr(error, "strerror", None) or str(error),
                    hint="remove the file: bpftool makes it from the BTF beside it",
                ) from None
        else:
            dump = run(
                ["bpftool", "btf", "dump", "file", btf, "format", "c"], timeout=_DUMP_LIMIT_S
            )
            text = dump.text
        cache.write(header, complete(text).encode())
        cache.prune(header.parent.parent, keep=4)
    return header
