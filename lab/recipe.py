# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lab's root file system is made of, and the key that names one recipe.

The key is a hash over everything that decides what the finished root contains: change
a package, a hook or one of the project's requirements, and another root is built. What
travels anew with each run (the initramfs scripts, the tree, the C helpers) is no part
of it.
"""

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from process import Fault, FaultType

SUITE = "trixie"
# Debian's own 6.12 kernel has no sched_ext; the kernels in backports (7.x) have it. They
# come by flavour: whichever version backports has on the day of the build, from 7.3 on. Those
# of 7.1 and 7.2 were built with a pahole that leaves kfuncs malformed in BTF: no scheduler
# with a dispatch queue of its own loads there. Signed builds follow late and are not needed.
KERNEL_SUITE = f"{SUITE}-backports"
KERNEL_SOURCES = ("src:linux", "src:linux-base", "src:linux-signed-amd64")
# As a regular expression of apt's.
KERNEL_SERIES = r"7\.[3-9]\.[0-9]+\+deb13"

PACKAGES = (
    # the kernel under test; its headers are what BCC compiles against
    f"?name(^linux-binary-unsigned-{KERNEL_SERIES}-cloud-amd64$)",
    f"?name(^linux-modules-{KERNEL_SERIES}-cloud-amd64$)",
    f"?name(^linux-headers-{KERNEL_SERIES}-cloud-amd64$)",
    "linux-perf",
    "bpftool",
    # one of the packages that the kernel's asks for; never run, see EXCLUDED_PATHS
    "initramfs-tools",
    # The machine itself, run on the host from this root. Before 8.1 its emulation of several
    # CPUs could run instructions that the kernel had just replaced: attaching BPF or a
    # scheduler, which patches the kernel's code, made every tenth guest panic in int3.
    "qemu-system-x86",
    # a system that boots, and systemd as PID 1 where asked for
    "systemd",
    "systemd-sysv",
    "dbus",
    "udev",
    "kmod",
    "util-linux",
    "iproute2",
    "procps",
    "psmisc",
    "busybox-static",
    "bubblewrap",
    "e2fsprogs",
    # building schedulers and the C helpers
    "clang",
    "binutils",
    "libc6-dev",
    "libbpf-dev",
    "libelf-dev",
    "zlib1g-dev",
    "make",
    "pkgconf",
    # the project's own runtime
    "python3",
    "python3-venv",
    "python3-bpfcc",
    # workloads
    "stress-ng",
    "rt-tests",
    "redis-server",
    "redis-tools",
    "nginx-light",
    "wrk",
    "postgresql",
    "zstd",
    "pigz",
    # for people and test scripts
    "curl",
    "jq",
    "less",
    "strace",
)

# Documentation is never read in the lab. The kernel's own post-install hooks would build
# an initramfs of 40 MB that nobody boots.
EXCLUDED_PATHS = (
    "/etc/kernel/postinst.d/*",
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
)

# Services and timers that Debian enables on installation: they would compete with what
# is measured. `systemctl start` still works on each.
DISABLED_UNITS = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "nginx.service",
    "postgresql.service",
    "redis-server.service",
)
# Logins on the console cost seconds under emulation and print into our log.
MASKED_UNITS = ("getty@.service", "serial-getty@.service", "systemd-firstboot.service")

# Mount points that the run needs in a root it must not have to change.
MOUNT_POINTS = ("/tree", "/out", "/usr/lib/schedpilot", "/usr/lib/schedpilot-lab")

VENV = "/opt/schedpilot-venv"
PYTHON = "python3.13"
# Tools that the test suite needs in the guest, taken with their bounds from the `dev` extra.
TEST_REQUIREMENTS = ("hypothesis", "pytest")

# Raised by hand when the building steps themselves change.
STEPS = 4


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what a finished root contains."""

    requirements: tuple[str, ...]
    suite: str = SUITE
    kernel_suite: str = KERNEL_SUITE
    kernel_sources: tuple[str, ...] = KERNEL_SOURCES
    packages: tuple[str, ...] = PACKAGES
    excluded_paths: tuple[str, ...] = EXCLUDED_PATHS
    disabled_units: tuple[str, ...] = DISABLED_UNITS
    masked_units: tuple[str, ...] = MASKED_UNITS
    mount_points: tuple[str, ...] = MOUNT_POINTS
    venv: str = VENV
    python: str = PYTHON
    steps: int = STEPS

    def canonical(self) -> str:
        """The recipe as JSON, the same text for the same recipe."""
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that name this recipe."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:16]


def recipe_for(tree: Path) -> Recipe:
    """The recipe for the project at `tree`: ours, with its Python requirements.

    Raises:
        Fault: NOT_FOUND when the folder is not a checkout of the project.
    """
    manifest = tree / "pyproject.toml"
    try:
        content = tomllib.loads(manifest.read_text())
        project = content["project"]
        requirements: Sequence[str] = project["dependencies"]
        builder: Sequence[str] = content["build-system"]["requires"]
        extras: Sequence[str] = project.get("optional-dependencies", {}).get("dev", [])
    except (OSError, KeyError, tomllib.TOMLDecodeError) as trouble:
        raise Fault(
            FaultType.NOT_FOUND,
            "cannot read the project's Python requirements",
            where=str(manifest),
            why=str(trouble),
            hint="run the lab from a checkout, or name one with --tree",
        ) from None
    # The builder too: the guest has no network, and installs the project from its source.
    tests = [each for each in extras if each.startswith(TEST_REQUIREMENTS)]
    return Recipe(requirements=tuple(sorted({*requirements, *builder, *tests})))
