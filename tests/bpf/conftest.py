# SPDX-License-Identifier: GPL-2.0-only
"""A kernel with sched_ext to compile for, on hosts whose own has none: the lab's."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bpf import cache, vmlinux
from bpf.build import BuildResult, build_object

SCHEDULERS = Path(__file__).parent / "schedulers"


@dataclass(frozen=True)
class Target:
    """The types of the lab's kernel, and a cache that has them as C already."""

    btf: Path
    cache: Path

    def build(
        self, source: Path | str, out: Path, *, name: str = "", headers: tuple[Path, ...] = ()
    ) -> BuildResult:
        return build_object(
            source, out, name=name, headers=headers, btf=self.btf, cache_folder=self.cache
        )


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    from lab.chroot import in_root  # late: other tests here do without the lab
    from lab.recipe import recipe_for
    from lab.root import available, ensure
    from lab.tree import project_root

    fault = available(project_root())
    if fault is not None:
        pytest.skip(f"{fault}; {fault.hint}")
    if not Path("/usr/include/bpf/bpf_helpers.h").exists() or not shutil.which("clang-19"):
        pytest.skip("clang-19 and libbpf-dev are needed to compile schedulers")
    root = ensure(recipe_for(project_root()), lambda _: None)
    folder = tmp_path_factory.mktemp("cache")
    # The sandboxed compiler is another user, and pytest's own folders are private.
    for each in (folder, *folder.parents):
        if each.is_relative_to(tmp_path_factory.getbasetemp().parent):
            each.chmod(0o755)
    btf = root.btf
    dump = in_root(
        root.tree,
        ["bpftool", "btf", "dump", "file", "/sys/kernel/btf/vmlinux", "format", "c"],
        timeout=120,
        btf=btf,
    )
    header = folder / "btf" / vmlinux.btf_digest(btf) / "vmlinux.h"
    cache.write(header, vmlinux.complete(dump.text).encode())
    return Target(btf, folder)


@pytest.fixture
def compiled(target: Target, tmp_path: Path) -> Callable[[str], BuildResult]:
    """Compiles one of the schedulers beside this file, by name."""
    return lambda name: target.build(SCHEDULERS / f"{name}.bpf.c", tmp_path)
