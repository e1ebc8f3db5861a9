# SPDX-License-Identifier: GPL-2.0-or-later
"""The guest kernel's types, for building schedulers if the machine's own types have no
sched_ext.
"""

from pathlib import Path

from lab import kernels
from lab.chroot import in_root
from lab.recipe import recipe_for
from lab.tree import project_root

# bpftool takes about a second for a whole kernel.
DUMP_S = 120.0


def kernel_types(tree: Path | None = None, kernel: str | None = None) -> Path:
    """The BTF of the guest's kernel; beside it the same as C, `vmlinux.h`, from the guest's
    bpftool.

    Args:
        tree: the checkout; default: this package's own.
        kernel: another kernel than the root's own, see `lab.root.ensure`.

    Raises:
        Fault: LAB if the root or the kernel is not built.
    """
    root = kernels.find(recipe_for(tree or project_root()), kernel)
    folder = root.scratch("types")
    btf, header = folder / "vmlinux.btf", folder / "vmlinux.h"
    if not header.exists():
        dump = in_root(
            root.tree,
            ["bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux", "format", "c"],
            timeout=DUMP_S,
            btf=root.btf,
        )
        _write(btf, root.btf.read_bytes())
        _write(header, dump.stdout)
    return btf


def _write(path: Path, data: bytes) -> None:
    """Renamed into place, since two processes may write it at the same time."""
    new = path.with_suffix(f"{path.suffix}.new")
    new.write_bytes(data)
    new.replace(path)
