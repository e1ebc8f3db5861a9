# SPDX-License-Identifier: GPL-2.0-or-later
"""A kernel with sched_ext to compile for, if the host's own has none: the lab's."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from bpf.build import cache, vmlinux
from bpf.build.objects import BuildResult, build_object


@dataclass(frozen=True)
class Target:
    """The types of the lab's kernel, and a cache in which they are already C."""

    btf: Path
    cache: Path

    def build(
        self, source: Path | str, out: Path, *, name: str = "", headers: tuple[Path, ...] = ()
    ) -> BuildResult:
        return build_object(
            source, out, name=name, headers=headers, btf=self.btf, cache_folder=self.cache
        )


def missing() -> str:
    """What is missing here for compiling schedulers, and what to do about it; empty if nothing
    is."""
    from lab.root import available  # late: most tests do without the lab
    from lab.tree import project_root

    fault = available(project_root())
    if fault is not None:
        return f"{fault}; {fault.hint}"
    if not Path("/usr/include/bpf/bpf_helpers.h").exists() or not shutil.which("clang-19"):
        return "clang-19 and libbpf-dev are needed to compile schedulers"
    return ""


def lab_target(folder: Path) -> Target:
    """The lab's kernel as a target, with its cache in `folder`, which everybody can read."""
    from lab.chroot import in_root
    from lab.recipe import recipe_for
    from lab.root import ensure
    from lab.tree import project_root

    root = ensure(recipe_for(project_root()), lambda _: None)
    header = vmlinux.header_path(folder, root.btf)
    if not header.exists():
        dump = in_root(
            root.tree,
            ["bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux", "format", "c"],
            timeout=120,
            btf=root.btf,
        )
        cache.write(header, vmlinux.complete(dump.text).encode())
    return Target(root.btf, folder)
