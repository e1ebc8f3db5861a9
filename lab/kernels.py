# SPDX-License-Identifier: GPL-2.0-or-later
"""Other kernels than the root's own: which ones Debian has, built and found.

One root serves all of them. A kernel is a folder beside it with the kernel itself, its types, and a
small disk image with its configuration and headers as far as Debian still has them. It needs no
root privileges, because it is unpacked and not installed.
"""

import os
import re
import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from lab import accelerator, packages, tools
from lab.cache import Progress, Root, cache_folder, complete_folder, finished, place_of
from lab.image import make_image
from lab.recipe import KERNEL_BUILD, KERNEL_FLAVOUR, KERNEL_PREFIX, KernelRecipe, Recipe
from process import Fault, FaultType

KERNEL_VARIABLE = "SCHEDPILOT_LAB_KERNEL"
VERSION = re.compile(r"[0-9]{1,3}(\.[0-9]{1,3}){1,2}")
_IMAGE = re.compile(
    rf"linux-(?:binary-unsigned|binary|image)-({VERSION.pattern})"
    rf"{re.escape(KERNEL_BUILD)}-{re.escape(KERNEL_FLAVOUR)}"
)
# What a kernel's packages bring that the guest gets, relative to the root. Modules stay out, since
# superseded kernels have none: everything that boots the lab is built in.
_KEPT = ("boot/config-*", "usr/lib/modules/*", "usr/lib/linux-kbuild-*", "usr/src/*")
_IMAGE_SPARE_BYTES = 8 << 20


@dataclass(frozen=True)
class KernelOffer:
    """A kernel in Debian's backports, with those of its packages that are still there."""

    version: str
    packages: tuple[str, ...]

    @property
    def series(self) -> str:
        return ".".join(self.version.split(".")[:2])


class KernelPresence(StrEnum):
    OWN = "the root's own"
    BUILT = "built"
    OFFERED = "not built"


@dataclass(frozen=True)
class KernelRow:
    """A kernel that the lab can boot, and what its guest lacks that Debian no longer has."""

    version: str
    state: KernelPresence
    lacks: tuple[str, ...] = ()


def numbers(version: str) -> tuple[int, ...]:
    """A version as numbers, so that 6.10 comes after 6.9."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", version))


def wanted(kernel: str | None) -> str:
    """The version that was asked for, here or in the environment; empty for the root's own.

    Raises:
        Fault: BAD_REQUEST if it is no version.
    """
    word = os.environ.get(KERNEL_VARIABLE, "") if kernel is None else kernel
    if word and not VERSION.fullmatch(word):
        raise Fault(
            FaultType.BAD_REQUEST,
            "this is no kernel's version",
            where="--kernel" if kernel else KERNEL_VARIABLE,
            why=f"{word!r} is not like 6.18 or 6.18.15",
            hint="`schedpilot lab kernels` lists those that can be had",
        )
    return word


def serves(version: str, wish: str) -> bool:
    """Whether a kernel of this version is of the series, or is the release, that is wished for."""
    asked = numbers(wish)
    return numbers(version)[: len(asked)] == asked


def offers(names: Collection[str]) -> list[KernelOffer]:
    """The kernels among the names of packages, the oldest first."""
    recipe = KernelRecipe("")

    def there(templates: Iterable[str], version: str) -> list[str]:
        words = {"version": version, "build": recipe.build, "flavour": recipe.flavour}
        return [name for each in templates if (name := each.format(**words)) in names]

    versions = {found[1] for name in names if (found := _IMAGE.fullmatch(name))}
    return [
        KernelOffer(
            version,
            (there(recipe.images, version)[0], *there(recipe.extras, version)),
        )
        for version in sorted(versions, key=numbers)
    ]


def choose(offered: Collection[KernelOffer], wish: str) -> KernelOffer:
    """The newest kernel of the series or release.

    Raises:
        Fault: NOT_FOUND, naming the series that there are.
    """
    matching = [each for each in offered if serves(each.version, wish)]
    if not matching:
        there = sorted({each.series for each in offered}, key=numbers)
        raise Fault(
            FaultType.NOT_FOUND,
            f"Debian's backports have no kernel {wish} of flavour {KERNEL_FLAVOUR}",
            why=f"they have {', '.join(there)}" if there else "they have none at all",
            hint="`schedpilot lab kernels` lists every release",
        )
    return max(matching, key=lambda each: numbers(each.version))


def built() -> dict[str, str]:
    """The kernels in the cache, except the root's own: each version as it was asked for, and the
    release that `uname -r` gives. The oldest first.
    """
    recipes = [KernelRecipe.of(each.name) for each in cache_folder().glob(f"{KERNEL_PREFIX}*")]
    places = {recipe.version: place_of(recipe) for recipe in recipes if recipe}
    found = {version: Root(place, place).release for version, place in places.items()}
    return dict(sorted(found.items(), key=lambda each: numbers(each[1])))


def rows(own: str, ready: Iterable[str], offered: Iterable[KernelOffer]) -> list[KernelRow]:
    """Every kernel that the lab can boot, the oldest first.

    Args:
        own: the release of the root's own kernel.
        ready: the releases of the kernels that are built.
        offered: those that Debian has.
    """
    states = dict.fromkeys((_version_of(each) for each in ready), KernelPresence.BUILT)
    states[_version_of(own)] = KernelPresence.OWN
    found = {each.version: each for each in offered}
    return [
        KernelRow(
            version,
            states.get(version, KernelPresence.OFFERED),
            _lacks(found[version]) if version in found else (),
        )
        for version in sorted({*states, *found}, key=numbers)
    ]


def _version_of(release: str) -> str:
    return release.partition("+")[0]


def _lacks(offer: KernelOffer) -> tuple[str, ...]:
    """A package with the whole kernel has its configuration, too."""
    kinds = {name.removeprefix("linux-").partition("-")[0] for name in offer.packages}
    absent = []
    if "headers" not in kinds:
        absent.append("headers")
    if not kinds & {"base", "image"}:
        absent.append("configuration")
    return tuple(absent)


def find(recipe: Recipe, kernel: str | None = None) -> Root:
    """The finished root with the kernel that was asked for; builds nothing.

    Raises:
        Fault: LAB if the root or the kernel is not built.
    """
    root = finished(recipe)
    if root is None:
        raise Fault(
            FaultType.LAB,
            "the lab's root is not built",
            hint="run `schedpilot lab build`",
        )
    wish = wanted(kernel)
    if not wish or serves(root.release, wish):
        return root
    place = place_of(KernelRecipe(wish))
    if not place.is_dir():
        raise Fault(
            FaultType.LAB,
            f"the lab's kernel {wish} is not built",
            hint=f"run `schedpilot lab build --kernel {wish}`",
        )
    return replace(root, other=place)


def ensure(root: Root, wish: str, progress: Progress) -> Root:
    """The root with this kernel, which is built if it does not exist.

    Args:
        root: with its own kernel.
        wish: a version as `wanted` gives it.
        progress: gets one line as each step starts.

    Raises:
        Fault: MISSING_TOOL, NOT_FOUND if there is no such kernel, or the step that failed.
    """
    if not wish or serves(root.release, wish):
        return root
    recipe = KernelRecipe(wish)
    if not place_of(recipe).is_dir():
        tools.require(tools.TO_BUILD_KERNEL)
    folder = complete_folder(recipe, lambda work: _build(root, recipe, work, progress))
    return replace(root, other=folder)


def _build(root: Root, recipe: KernelRecipe, work: Path, progress: Progress) -> None:
    work.chmod(0o755)
    unpacked = work / "unpacked"
    with packages.index(root) as index:
        offer = choose(offers(index.names()), recipe.version)
        progress(f"fetching Linux {offer.version}: {', '.join(offer.packages)}")
        index.unpack(offer.packages, unpacked)
    machine = replace(root, other=work)
    machine.modules.mkdir(parents=True)
    (machine.modules / "order").touch()
    (machine.boot / "release").write_text(f"{offer.version}{recipe.build}-{recipe.flavour}\n")
    shutil.copyfile(_image_in(unpacked), machine.kernel)
    progress("writing its disk image")
    for image in machine.kernel_disks:
        _write_disk(unpacked, machine.release, work / "disk", image)
    shutil.rmtree(unpacked)
    shutil.rmtree(work / "disk")
    progress("booting it once, for its types")
    accelerator.learn(machine)


def _image_in(unpacked: Path) -> Path:
    images = [*unpacked.glob("boot/vmlinuz*"), *unpacked.glob("usr/lib/modules/*/vmlinuz*")]
    if len(images) != 1:
        raise Fault(
            FaultType.LAB,
            "a kernel's packages hold no kernel",
            where=str(unpacked),
            why=f"{len(images)} files are named vmlinuz",
            hint="see the names of packages in lab/recipe.py",
        )
    return images[0]


def _write_disk(unpacked: Path, release: str, disk: Path, image: Path) -> None:
    """What the guest gets besides the kernel, at the paths it has in the root."""
    modules = unpacked / "usr/lib/modules" / release
    shutil.rmtree(modules / "kernel", ignore_errors=True)
    for each in modules.glob("vmlinuz*"):
        each.unlink()
    for pattern in _KEPT:
        for path in unpacked.glob(pattern):
            place = disk / path.relative_to(unpacked)
            place.parent.mkdir(parents=True, exist_ok=True)
            path.rename(place)
    # Where libbpf looks for the configuration; see `lab.root.link_configuration`.
    config = disk / "boot" / f"config-{release}"
    kept = disk / "usr/lib/modules" / release / "config"
    if kept.is_file() and not config.exists():
        config.parent.mkdir(exist_ok=True)
        shutil.copyfile(kept, config)
    disk.mkdir(exist_ok=True)
    make_image(disk, image, spare_bytes=_IMAGE_SPARE_BYTES)
