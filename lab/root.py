# SPDX-License-Identifier: GPL-2.0-or-later
"""Builds the lab's Debian root: packages, the project's Python, the disk image, the types."""

import lzma
import os
import shutil
import ssl
from pathlib import Path

from lab import accelerator, kernels, tools
from lab.cache import CACHE_VARIABLE, Progress, Root, cache_folder, complete, finished
from lab.chroot import in_root
from lab.image import make_image
from lab.network import network_environment
from lab.recipe import Recipe, recipe_for
from process import Fault, FaultType, run

MIRROR_VARIABLE = "SCHEDPILOT_LAB_MIRROR"
# Time limits of the building steps, seconds; generous for a slow connection.
BOOTSTRAP_S = 3600.0
STEP_S = 900.0
# Kernel modules that the initramfs loads, in order; everything else it needs is built in.
MODULES = ("virtio_blk",)
# Free space in the image beyond its files, bytes; sparse, so it costs nothing until used.
IMAGE_SPARE_BYTES = 4 << 30

# Passed to mmdebstrap and run before the first package is fetched. The backports come from the same
# place as mmdebstrap's suite.
_SETUP_HOOK = """\
#!/bin/sh
set -eu
apt="$1/etc/apt"
sed -n -E 's/^(deb .*)\\b{suite} main.*/\\1{kernel_suite} main/p' "$apt/sources.list" |
	head -n 1 > "$apt/sources.list.d/backports.list"
test -s "$apt/sources.list.d/backports.list"
cat > "$apt/preferences.d/kernel" <<END
Package: {sources}
Pin: release n={kernel_suite}
Pin-Priority: 990
END
"""


def available(tree: Path) -> Fault | None:
    """Why a command cannot run in the lab right now, or None if it can.

    For skipping tests with a reason; checks the programs and the root, boots nothing.
    """
    if fault := tools.missing(tools.TO_RUN):
        return fault
    try:
        kernels.find(recipe_for(tree))
    except Fault as fault:
        return fault
    return None


def ensure(recipe: Recipe, progress: Progress, kernel: str | None = None) -> Root:
    """The root of this recipe, built now if it does not exist (minutes, about 4 GB).

    Args:
        recipe: what to build.
        progress: gets one line as each step starts.
        kernel: the version of another kernel than the root's own, such as `6.18`, which is built
            likewise (half a minute); default: `$SCHEDPILOT_LAB_KERNEL`, else the root's own.

    Raises:
        Fault: MISSING_TOOL, NOT_ALLOWED without root privileges, NOT_FOUND if there is no such
            kernel, or the step that failed.
    """
    return kernels.ensure(_ensure(recipe, progress), kernels.wanted(kernel), progress)


def _ensure(recipe: Recipe, progress: Progress) -> Root:
    if root := finished(recipe):
        return root
    tools.require(tools.TO_BUILD)
    if os.geteuid() != 0:
        raise Fault(
            FaultType.NOT_ALLOWED,
            "only root can build the lab's root",
            why="its files belong to several users",
            hint=f"run `sudo env {CACHE_VARIABLE}={cache_folder()} schedpilot lab build` once;"
            " later runs need no privileges",
        )
    return complete(recipe, lambda folder: _build(folder, recipe, progress))


def _build(folder: Path, recipe: Recipe, progress: Progress) -> None:
    # Readable by the users who later run from it.
    folder.chmod(0o755)
    root = Root(folder)
    progress(f"installing {len(recipe.packages)} Debian packages and what they need (minutes)")
    _bootstrap(root, recipe)
    progress("installing the project's Python requirements")
    _install_python(root, recipe)
    _configure(root, recipe)
    progress("collecting what boots it")
    _collect_boot_files(root)
    progress("writing the disk image")
    make_image(root.tree, root.image, spare_bytes=IMAGE_SPARE_BYTES)
    progress("booting once, for the accelerator and the kernel's types")
    accelerator.learn(root)
    (folder / "recipe.json").write_text(recipe.canonical() + "\n")


def _bootstrap(root: Root, recipe: Recipe) -> None:
    hook = root.folder / "setup-hook"
    hook.write_text(
        _SETUP_HOOK.format(
            suite=recipe.suite,
            kernel_suite=recipe.kernel_suite,
            sources=" ".join(recipe.kernel_sources),
        )
    )
    hook.chmod(0o755)
    mirror = os.environ.get(MIRROR_VARIABLE)
    command = [
        # Its own mount namespace removes its mounts with it, even if it is killed: the next builder
        # removes leftovers and must not find /proc or /sys in them.
        *("unshare", "--mount", "--propagation", "private", "--"),
        "mmdebstrap",
        "--mode=root",
        "--format=directory",
        "--variant=minbase",
        '--aptopt=Acquire::Languages "none"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in recipe.excluded_paths),
        f"--setup-hook={hook}",
        # One option each: an apt pattern may not be joined with other patterns.
        *(f"--include={package}" for package in recipe.packages),
        recipe.suite,
        str(root.tree),
        *([mirror] if mirror else []),
    ]
    run(command, timeout=BOOTSTRAP_S, env=network_environment())
    hook.unlink()


def _install_python(root: Root, recipe: Recipe) -> None:
    """The project's requirements in a virtual environment, installed and compiled natively."""
    environment = network_environment()
    # The host's certificates, so that an index behind a company's own authority is trusted.
    bundle = os.environ.get("PIP_CERT") or ssl.get_default_verify_paths().cafile
    if bundle and Path(bundle).is_file():
        shutil.copyfile(bundle, root.tree / "root" / "certificates.pem")
        environment["PIP_CERT"] = "/root/certificates.pem"

    def step(*argv: str) -> None:
        in_root(root.tree, argv, timeout=STEP_S, writable=True, network=True, env=environment)

    # BCC is a Debian package, so the environment must see system packages too.
    step("python3", "-m", "venv", "--system-site-packages", recipe.venv)
    step(
        f"{recipe.venv}/bin/pip",
        "install",
        "--no-cache-dir",
        "--no-compile",
        "--disable-pip-version-check",
        "--only-binary=:all:",
        *recipe.requirements,
    )
    step("python3", "-m", "compileall", "-q", recipe.venv)
    packages = root.tree / recipe.venv.lstrip("/") / "lib" / recipe.python / "site-packages"
    (packages / "schedpilot-tree.pth").write_text("/tree\n")
    (root.tree / "root" / "certificates.pem").unlink(missing_ok=True)


def _configure(root: Root, recipe: Recipe) -> None:
    def systemctl(verb: str, units: tuple[str, ...]) -> None:
        in_root(root.tree, ["systemctl", verb, *units], timeout=STEP_S, writable=True)

    systemctl("disable", recipe.disabled_units)
    systemctl("mask", recipe.masked_units)
    for point in recipe.mount_points:
        (root.tree / point.lstrip("/")).mkdir(parents=True, exist_ok=True)
    etc = root.tree / "etc"
    (etc / "hostname").write_text("lab\n")
    (etc / "hosts").write_text("127.0.0.1 localhost lab\n::1 localhost\n")
    (etc / "resolv.conf").unlink(missing_ok=True)
    # Newer than /usr, or the first boot under systemd (each one is) rebuilds caches for seconds.
    for stamp in (etc / ".updated", root.tree / "var" / ".updated"):
        stamp.touch()


def _collect_boot_files(root: Root) -> None:
    """Copies the files that the host passes to QEMU and puts into the initramfs out of the root."""
    images = sorted(
        (root.tree / "usr/lib/modules").glob("*/vmlinuz*"),
        key=lambda each: kernels.numbers(each.parent.name),
    )
    if not images:
        raise Fault(
            FaultType.LAB,
            "the lab's root holds no kernel",
            where=str(root.tree / "usr/lib/modules"),
            hint="see the kernel packages in lab/recipe.py",
        )
    release = images[-1].parent.name
    root.modules.mkdir(parents=True)
    shutil.copyfile(images[-1], root.kernel)
    shutil.copyfile(root.tree / "usr" / "bin" / "busybox", root.busybox)
    (root.boot / "release").write_text(release + "\n")
    link_configuration(root.tree, release)
    order = []
    for name in MODULES:
        found = list((root.tree / "usr/lib/modules" / release).rglob(f"{name}.ko*"))
        # A missing module is built in.
        for path in found[:1]:
            data = path.read_bytes()
            (root.modules / f"{name}.ko").write_bytes(
                lzma.decompress(data) if path.suffix == ".xz" else data
            )
            order.append(f"{name}.ko")
    (root.modules / "order").write_text("".join(f"{name}\n" for name in order))


def link_configuration(tree: Path, release: str) -> None:
    """Put the kernel's configuration where libbpf looks for it.

    Schedulers by others ask for `CONFIG_…` values, and libbpf reads those from
    `/boot/config-RELEASE`. Debian's split kernels keep the file with their modules.
    """
    kept = Path("/usr/lib/modules") / release / "config"
    link = tree / "boot" / f"config-{release}"
    if not link.is_symlink() and not link.exists() and (tree / kept.relative_to("/")).is_file():
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(kept)
