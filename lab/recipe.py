# SPDX-License-Identifier: GPL-2.0-or-later
"""The contents of the lab's root file system, and the key that identifies a recipe.

The key is a hash over everything that decides the finished root's content: if a package, a hook or
one of the project's requirements changes, another root is built. Files that are transferred anew
for each run (the initramfs scripts, the tree, the C helpers) are not part of it.
"""

import hashlib
import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from process import Fault, FaultType

SUITE = "trixie"
# Debian's own 6.12 kernel has no sched_ext; the kernels in backports (7.x) have it. They are chosen
# by flavour: the version in backports on the day of the build, from 7.3 on. The kernels 7.1 and 7.2
# were built with a pahole that leaves kfuncs malformed in BTF: no scheduler with its own dispatch
# queue loads there. Signed builds come late and are not needed.
KERNEL_SUITE = f"{SUITE}-backports"
KERNEL_SOURCES = ("src:linux", "src:linux-base", "src:linux-signed-amd64")
# The rest of a release there, as in 6.18.15+deb13-cloud-amd64.
KERNEL_BUILD = "+deb13"
KERNEL_FLAVOUR = "cloud-amd64"
# A regular expression in apt's syntax.
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
    # The virtual machine itself, run on the host from this root. Before 8.1, QEMU's emulation of
    # several CPUs could run instructions that the kernel had just replaced: attaching BPF or a
    # scheduler, which patches the kernel's code, made every tenth guest panic in int3.
    "qemu-system-x86",
    # a bootable system, and systemd as PID 1 on request
    "systemd",
    "systemd-sysv",
    "dbus",
    "udev",
    "kmod",
    # power profiles on the system bus; it asks polkit who may change one
    "power-profiles-daemon",
    "polkitd",
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

# Nobody reads documentation in the lab. The kernel's own post-install hooks would build an
# initramfs of 40 MB that nobody boots.
EXCLUDED_PATHS = (
    "/etc/kernel/postinst.d/*",
    "/usr/share/doc/*",
    "/usr/share/info/*",
    "/usr/share/locale/*",
    "/usr/share/man/*",
)

# Services and timers that Debian enables on installation: they would disturb measurements.
# `systemctl start` still works on each.
DISABLED_UNITS = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "nginx.service",
    "power-profiles-daemon.service",
    "postgresql.service",
    "redis-server.service",
)
# Console logins cost seconds under emulation and print into our log.
MASKED_UNITS = ("getty@.service", "serial-getty@.service", "systemd-firstboot.service")

# Mount points that a run needs and cannot add, because it must not change the root.
MOUNT_POINTS = ("/tree", "/out", "/usr/lib/schedpilot", "/usr/lib/schedpilot-lab")

VENV = "/opt/schedpilot-venv"
PYTHON = "python3.13"
# Tools that the test suite needs in the guest, with their version bounds from the `dev` extra.
TEST_REQUIREMENTS = ("hypothesis", "pytest")

# Raised by hand when the building steps themselves change.
STEPS = 4

# Another kernel beside the root's own. A new kernel comes as several packages, an old one as one,
# and of the superseded ones Debian keeps nothing but the signed kernel: no modules, no headers, no
# configuration. So the lab needs no module of theirs, and takes what else is there.
KERNEL_IMAGES = (
    "linux-binary-unsigned-{version}{build}-{flavour}",
    "linux-binary-{version}{build}-{flavour}",
    "linux-image-{version}{build}-{flavour}",
)
KERNEL_EXTRAS = (
    # the configuration
    "linux-base-{version}{build}-{flavour}",
    # what BCC compiles against
    "linux-headers-{version}{build}-{flavour}",
    "linux-headers-{version}{build}-common",
    "linux-kbuild-{version}{build}",
)
KERNEL_STEPS = 1
KERNEL_PREFIX = "kernel-"


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the content of a finished root."""

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
        """The recipe as JSON; equal recipes give equal text."""
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @property
    def key(self) -> str:
        """Sixteen hexadecimal digits that identify this recipe."""
        return _digits(self.canonical())


@dataclass(frozen=True)
class KernelRecipe:
    """Everything that decides another kernel's files, except which release is the newest.

    `version` is a series (`6.18`, its newest release on the day of the build) or a release
    (`6.18.15`).
    """

    version: str
    suite: str = KERNEL_SUITE
    build: str = KERNEL_BUILD
    flavour: str = KERNEL_FLAVOUR
    images: tuple[str, ...] = KERNEL_IMAGES
    extras: tuple[str, ...] = KERNEL_EXTRAS
    steps: int = KERNEL_STEPS

    @property
    def key(self) -> str:
        """The name of its folder."""
        digits = _digits(json.dumps(asdict(self), sort_keys=True))
        return f"{KERNEL_PREFIX}{self.version}-{digits}"

    @classmethod
    def of(cls, key: str) -> "KernelRecipe | None":
        """Today's recipe whose key this is; None for an older one's, or any other name."""
        recipe = cls(key.removeprefix(KERNEL_PREFIX).rpartition("-")[0])
        return recipe if recipe.key == key else None


def _digits(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def recipe_for(tree: Path) -> Recipe:
    """The recipe for the project at `tree`: ours, with its Python requirements.

    Raises:
        Fault: NOT_FOUND if the folder is not a checkout of the project.
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
