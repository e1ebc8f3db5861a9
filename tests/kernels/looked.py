# SPDX-License-Identifier: GPL-2.0-or-later
"""One kernel of the lab, tried: everything is built for its types here, and run on it there."""

import json
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bpf.build import cache
from bpf.build.objects import BuildResult, build_object
from bpf.kernel.callbacks import read_kernel_callbacks
from bpf.kernel.controls import ResourceControl, without_callback
from bpf.kernel.features import Features, read_features
from lab import kernels
from lab.kernel_types import kernel_types
from lab.recipe import recipe_for
from lab.tree import project_root
from lab.vm import run_in_lab
from scheduler_library.catalog import load_catalog
from tests.policy_lab import cookbook

from .guest import LIBRARY, POLICY

# Seconds for all of it in the guest, with the boot.
LOOK_S = 300.0


@dataclass(frozen=True)
class KernelLook:
    """What was found on one kernel.

    `refused` has for each scheduler that does not build, by its name in `guest.py`, the first
    message. `lacking` has for each resource control that no scheduler can honour the reason. `seen`
    is what the guest saw.
    """

    features: Features
    callbacks: frozenset[str]
    refused: dict[str, str]
    seen: dict[str, Any]

    @property
    def release(self) -> str:
        found: str = self.seen["release"]
        return found

    @property
    def lacking(self) -> dict[ResourceControl, str]:
        why = {each: without_callback(each, self.callbacks) for each in ResourceControl}
        return {each: reason for each, reason in why.items() if reason}

    def tried(self, kind: str) -> dict[str, dict[str, Any]]:
        """The library's schedulers or the cookbook's lines that were built, and what came of it."""
        found: dict[str, dict[str, Any]] = self.seen.get(kind, {})
        return found

    def works(self, kind: str) -> int:
        return sum("trouble" not in each for each in self.tried(kind).values())

    def number(self, kind: str) -> int:
        """How many there are, built or not."""
        return len(self.tried(kind)) + sum(name.startswith(kind) for name in self.refused)


def sources(folder: Path) -> dict[str, Path]:
    """Each scheduler of the library and each line of the cookbook, by its name in the guest."""
    found = {f"{LIBRARY}{each.name}": each.source for each in load_catalog() if each.source}
    for number, line in enumerate(cookbook.lines(), start=1):
        made = cookbook.compiled(line)
        place = folder / f"{made.name}.bpf.c"
        place.write_text(made.source)
        found[f"{POLICY}{number:02}"] = place
    return found


def look(kernel: str, progress: Callable[[str], None] = lambda _: None) -> KernelLook:
    """Build for this kernel, boot it once, and try everything.

    Args:
        kernel: its version, as `schedpilot lab run --kernel` takes it; empty for the root's own.
        progress: gets a line for each long step.

    Raises:
        Fault: the lab is not built, or the guest did not come to its end.
    """
    found, objects = _build(kernel, progress)
    progress(f"booting it with {len(objects)} of them")
    done = run_in_lab(
        ["python", "-m", "tests.kernels.guest"],
        kernel=kernel,
        cpus=cookbook.CPUS,
        files=objects,
        timeout=LOOK_S,
        progress=progress,
    )
    assert done.status == 0, done.error_text
    return replace(found, seen=json.loads(done.text))


def look_at_types(kernel: str, progress: Callable[[str], None] = lambda _: None) -> KernelLook:
    """The same without a boot: what can be said by the kernel's types alone.

    Raises:
        Fault: the lab is not built.
    """
    found, _ = _build(kernel, progress)
    return found


def _build(kernel: str, progress: Callable[[str], None]) -> tuple[KernelLook, dict[str, bytes]]:
    """What the build for this kernel says, and the objects by the name of their file."""
    btf = kernel_types(None, kernel)
    release = kernels.find(recipe_for(project_root()), kernel).release
    # A cache for this kernel alone: the usual one keeps the headers of a few kernels only.
    builds = cache.folder(cache.folder() / "kernels" / release)
    with tempfile.TemporaryDirectory(prefix="schedpilot-kernels-") as name:
        folder = Path(name)
        wanted = sources(folder)
        progress(f"building {len(wanted)} schedulers for {release}")

        def build(source: Path) -> BuildResult:
            return build_object(source, folder / "out", btf=btf, cache_folder=builds)

        with ThreadPoolExecutor(2) as pool:
            built = dict(zip(wanted, pool.map(build, wanted.values()), strict=True))
        objects = {
            f"{each}.bpf.o": result.object.read_bytes()
            for each, result in built.items()
            if result.object
        }
    refused = {
        each: result.diagnostics[0].message if result.diagnostics else "no reason"
        for each, result in built.items()
        if not result.object
    }
    seen: dict[str, Any] = {"release": release}
    for kind in (LIBRARY, POLICY):
        names = [each for each in built if each.startswith(kind) and each not in refused]
        seen[kind] = {each.removeprefix(kind): {} for each in names}
    callbacks = read_kernel_callbacks(btf) or frozenset()
    return KernelLook(read_features(btf), callbacks, refused, seen), objects
