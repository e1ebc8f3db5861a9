# SPDX-License-Identifier: GPL-2.0-or-later
"""The doctor's data, gathered once; `bpf.kernel.doctor` explains it."""

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bpf.build.clang import find_clang
from bpf.build.vmlinux import BTF
from bpf.kernel import config as kernel_config
from bpf.kernel import sysfs
from bpf.kernel.callbacks import read_kernel_callbacks
from bpf.kernel.controls import ControlsInUse, read_controls
from bpf.kernel.features import read_features
from bpf.kernel.surroundings import Surroundings, read_surroundings
from bpf.paths import helper
from process import Fault, Sandbox, printable, run, sandboxed
from process.run import PATH

# Programs that load schedulers on their own.
LOADERS = ("scx_loader", "scxctl")


@dataclass(frozen=True)
class DoctorFacts:
    """The state of a machine. An empty string means: not found, or nothing to report.

    `config` is the value of CONFIG_SCHED_CLASS_EXT (`y`, `n`), empty if no file has it.
    `config_file` is where libbpf finds the kernel's configuration; if it does not, `config_remedy`
    says what to do. `malformed` are kfuncs that cannot be called. `*_trouble` is why a tool is not
    usable. `loaders` are running programs that load schedulers. `around` is what else decides how
    schedulers fare here. `callbacks` are the members of the kernel's `struct sched_ext_ops`, None
    if unknown; `controls` are what the cgroups use.
    """

    kernel: str
    state: sysfs.KernelState
    config: str = ""
    config_file: str = ""
    config_remedy: str = ""
    btf: bool = True
    kfuncs: int = 0
    malformed: tuple[str, ...] = ()
    clang: str = ""
    clang_trouble: str = ""
    bpftool: str = ""
    libbpf_headers: bool = True
    runner: str = ""
    runner_trouble: str = ""
    sandbox_trouble: str = ""
    perf_counters: bool = True
    pressure: bool = True
    isolated: str = ""
    loaders: tuple[str, ...] = ()
    root: bool = True
    around: Surroundings = field(default_factory=Surroundings)
    callbacks: frozenset[str] | None = None
    controls: ControlsInUse = field(default_factory=ControlsInUse)


def config_value(text: str, name: str) -> str:
    """`y`, `m`, a value, or `n` for an option of a kernel's configuration; empty if it is not
    mentioned.
    """
    for line in text.splitlines():
        if line.startswith(f"{name}="):
            return line.partition("=")[2].strip()
        if line == f"# {name} is not set":
            return "n"
    return "n" if text else ""


def _running() -> tuple[str, ...]:
    """Names of running programs that load schedulers, except ours."""
    found: set[str] = set()
    for path in Path("/proc").glob("[0-9]*/comm"):
        try:
            name = path.read_text("utf-8", "replace").strip()
            if not path.with_name("cmdline").read_bytes():
                continue  # a kernel thread, such as sched_ext's own helper
        except OSError:
            continue
        if name in LOADERS or name.startswith("scx_"):
            found.add(printable(name))
    return tuple(sorted(found))


def _trouble(probe: Callable[[], str]) -> tuple[str, str]:
    """The result of a check, and the reason if there is none."""
    try:
        return probe(), ""
    except Fault as fault:
        return "", str(fault)


def _sandbox() -> str:
    sandboxed(["true"], Sandbox(), timeout=20, check=True)
    return "works"


def _clang() -> str:
    clang = find_clang()
    return f"{clang.version} ({clang.why})"


def gather(sysfs_root: Path = sysfs.ROOT, btf: Path = BTF) -> DoctorFacts:
    """Examine this machine. Raises nothing: unknown facts are reported as unknown."""
    release = platform.release()
    kfuncs: tuple[str, ...] = ()
    malformed: tuple[str, ...] = ()
    if btf.exists():
        try:
            features = read_features(btf)
            kfuncs, malformed = features.kfuncs, features.malformed
        except Fault:
            pass
    clang, clang_trouble = _trouble(_clang)
    runner, runner_trouble = _trouble(
        lambda: run([helper("schedpilot-runner"), "--version"], timeout=20).text.strip()
    )
    _, sandbox_trouble = _trouble(_sandbox)
    try:
        isolated = Path("/sys/devices/system/cpu/isolated").read_text().strip()
    except OSError:
        isolated = ""
    config = kernel_config.find(release)
    return DoctorFacts(
        kernel=release,
        state=sysfs.read(sysfs_root),
        config=config_value(config.text(), "CONFIG_SCHED_CLASS_EXT"),
        config_file=config.path,
        config_remedy=config.remedy,
        btf=btf.exists(),
        kfuncs=len(kfuncs),
        malformed=malformed,
        clang=clang,
        clang_trouble=clang_trouble,
        bpftool=shutil.which("bpftool", path=PATH) or "",
        libbpf_headers=Path("/usr/include/bpf/bpf_helpers.h").exists(),
        runner=runner,
        runner_trouble=runner_trouble,
        sandbox_trouble=sandbox_trouble,
        perf_counters=any(Path("/sys/bus/event_source/devices").glob("cpu*")),
        pressure=Path("/proc/pressure/cpu").exists(),
        isolated=isolated,
        loaders=_running(),
        root=os.geteuid() == 0,
        around=read_surroundings(),
        callbacks=read_kernel_callbacks(btf),
        controls=read_controls(),
    )
