# SPDX-License-Identifier: GPL-2.0-or-later
"""The lab's finished roots and kernels: one folder for each recipe, complete or absent.

A folder is built in a hidden folder beside its place and renamed into it as the last step, so a
folder under its key is always complete. One lock for each cache separates two builders; the next
builder removes what a killed one left.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.recipe import KernelRecipe, Recipe

CACHE_VARIABLE = "SCHEDPILOT_LAB_CACHE"
BUILDING = ".building-"

# Gets one line as each step starts.
Progress = Callable[[str], None]


def cache_folder() -> Path:
    """The folder that holds every root: `$SCHEDPILOT_LAB_CACHE` or the user's cache."""
    if named := os.environ.get(CACHE_VARIABLE):
        return Path(named)
    return _user_cache() / "lab"


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "schedpilot"


@dataclass(frozen=True)
class Root:
    """A finished root: the folder `root/`, its image, and the files that the host boots.

    `other` is the folder of the kernel that boots it, if that is not the root's own.
    """

    folder: Path
    other: Path | None = None

    @property
    def tree(self) -> Path:
        """The unpacked root file system, for work at native speed."""
        return self.folder / "root"

    @property
    def image(self) -> Path:
        return self.folder / "root.img"

    @property
    def boot(self) -> Path:
        return (self.other or self.folder) / "boot"

    @property
    def kernel(self) -> Path:
        return self.boot / "vmlinuz"

    @property
    def kernel_disks(self) -> tuple[Path, ...]:
        """Another kernel's headers and configuration; the root has those of its own."""
        return (self.other / "kernel.img",) if self.other else ()

    @property
    def modules(self) -> Path:
        """A folder with the kernel modules of the initramfs; `order` lists them."""
        return self.boot / "modules"

    @property
    def busybox(self) -> Path:
        return self.folder / "boot" / "busybox"

    @property
    def btf(self) -> Path:
        """The guest kernel's types, as its /sys/kernel/btf/vmlinux."""
        return self.boot / "vmlinux.btf"

    @property
    def release(self) -> str:
        """The guest kernel's release, as `uname -r` gives it."""
        return (self.boot / "release").read_text().strip()

    def scratch(self, name: str) -> Path:
        """A folder for files derived from this root and its kernel: beside them, or in the user's
        own cache if they belong to another user.
        """
        beside = self.other or self.folder
        if not os.access(beside, os.W_OK):
            beside = _user_cache() / "derived" / beside.name
        folder = beside / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def place_of(recipe: Recipe | KernelRecipe) -> Path:
    return cache_folder() / recipe.key


def finished(recipe: Recipe) -> Root | None:
    """The root of this recipe if its build is complete."""
    place = place_of(recipe)
    return Root(place) if place.is_dir() else None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the cache's builder lock; it ends with the process, however that ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def complete(recipe: Recipe, build: Callable[[Path], None]) -> Root:
    """The root of this recipe; see `complete_folder`."""
    return Root(complete_folder(recipe, build))


def complete_folder(recipe: Recipe | KernelRecipe, build: Callable[[Path], None]) -> Path:
    """The folder of this recipe; `build(folder)` builds it if it is missing.

    Waits for another builder of the same cache. If `build` raises, nothing is left under the
    recipe's key.
    """
    cache = cache_folder()
    place = place_of(recipe)
    with locked(cache):
        if place.is_dir():
            return place
        for stale in cache.glob(f"{BUILDING}*"):
            shutil.rmtree(stale)
        work = cache / f"{BUILDING}{recipe.key}"
        work.mkdir()
        try:
            build(work)
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        work.rename(place)
    return place


def prune(keep: Recipe) -> list[Path]:
    """Remove roots except `keep`, kernels by older recipes, and leftovers of killed builders."""
    cache = cache_folder()
    removed: list[Path] = []
    with locked(cache):
        for each in sorted(cache.iterdir()):
            if each.is_dir() and each.name != keep.key and not KernelRecipe.of(each.name):
                # Rename it first: a half-removed root must not look finished.
                grave = cache / f"{BUILDING}removed"
                each.rename(grave)
                shutil.rmtree(grave)
                removed.append(each)
    return removed
