# SPDX-License-Identifier: GPL-2.0-or-later
"""Other kernels than the root's own: which there are, which is meant, and how one boots."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lab import cache, kernels
from lab import cli as lab
from lab.cache import Root
from lab.kernels import KernelPresence, choose, offers, rows, wanted
from lab.machine import Accelerator, LabMachine, Mode, arguments, initramfs_for
from lab.recipe import KernelRecipe, Recipe
from process import Fault, FaultType

RECIPE = Recipe(requirements=())
OWN = "7.3.4+deb13-cloud-amd64"
# A kernel in one package, a superseded one, and one with everything, as backports had them.
NAMES = (
    "linux-image-6.18.9+deb13-cloud-amd64",
    "linux-image-6.18.15+deb13-cloud-amd64",
    "linux-image-6.18.15+deb13-amd64",
    "linux-image-6.19.14+deb13-cloud-amd64",
    "linux-binary-6.19.14+deb13-cloud-amd64",
    "linux-image-7.2.12+deb13-cloud-amd64",
    "linux-binary-7.2.12+deb13-cloud-amd64",
    "linux-binary-unsigned-7.2.12+deb13-cloud-amd64",
    "linux-base-7.2.12+deb13-cloud-amd64",
    "linux-headers-7.2.12+deb13-cloud-amd64",
    "linux-headers-7.2.12+deb13-common",
    "linux-kbuild-7.2.12+deb13",
    "linux-perf",
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and no kernel named in the environment."""
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "lab"))
    monkeypatch.delenv(kernels.KERNEL_VARIABLE, raising=False)
    return tmp_path / "lab"


def filled(work: Path, release: str) -> None:
    for each in ("boot/modules", "root/bin"):
        (work / each).mkdir(parents=True)
    (work / "boot" / "release").write_text(f"{release}\n")
    (work / "boot" / "busybox").write_bytes(b"busybox")
    (work / "boot" / "modules" / "order").write_text("")


@pytest.fixture
def root(folder: Path) -> Root:
    return cache.complete(RECIPE, lambda work: filled(work, OWN))


def ready(version: str, release: str) -> Path:
    return cache.complete_folder(KernelRecipe(version), lambda work: filled(work, release))


def test_each_kernel_comes_with_those_packages_that_are_still_there() -> None:
    """The kernel itself is one package, by whichever name; headers and the like if they exist."""
    found = {each.version: each.packages for each in offers(frozenset(NAMES))}
    assert found == {
        "6.18.9": ("linux-image-6.18.9+deb13-cloud-amd64",),
        "6.18.15": ("linux-image-6.18.15+deb13-cloud-amd64",),
        "6.19.14": ("linux-binary-6.19.14+deb13-cloud-amd64",),
        "7.2.12": NAMES[7:12],
    }


@pytest.mark.parametrize(
    ("wish", "version"), [("6.18", "6.18.15"), ("6.18.9", "6.18.9"), ("7.2", "7.2.12")]
)
def test_a_series_is_its_newest_release(wish: str, version: str) -> None:
    """6.18 means the newest 6.18 there is, by number and not by letter; a release means itself."""
    assert choose(offers(frozenset(NAMES)), wish).version == version


@pytest.mark.parametrize("wish", ["6.1", "6.20", "7.2.1"])
def test_a_kernel_that_nobody_has_is_refused_with_those_there_are(wish: str) -> None:
    """The fault names the series that can be had."""
    with pytest.raises(Fault) as caught:
        choose(offers(frozenset(NAMES)), wish)
    assert caught.value.type is FaultType.NOT_FOUND
    assert caught.value.why == "they have 6.18, 6.19, 7.2"


@pytest.mark.parametrize("word", ["six", "6", "6.18; rm", "../6.18", "6.18.15+deb13", "-6.18"])
def test_a_word_that_is_no_version_is_refused(word: str) -> None:
    """Only numbers and points become part of a path or of a package's name."""
    with pytest.raises(Fault) as caught:
        wanted(word)
    assert caught.value.type is FaultType.BAD_REQUEST


def test_the_environment_names_the_kernel_where_the_caller_does_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The variable is what `make test KERNEL=` sets; a caller's own word goes first."""
    assert wanted(None) == ""
    monkeypatch.setenv(kernels.KERNEL_VARIABLE, "6.18")
    assert (wanted(None), wanted("7.2"), wanted("")) == ("6.18", "7.2", "")


def test_the_roots_own_kernel_is_not_built_again(root: Root) -> None:
    """Its series or its release mean the root as it is."""
    for word in ("", "7.3", "7.3.4"):
        assert kernels.find(RECIPE, word) == root
        assert kernels.ensure(root, word, lambda _: None) == root


def test_a_kernel_that_is_not_built_is_named_with_the_command_that_builds_it(root: Root) -> None:
    """Tests are skipped with this reason."""
    with pytest.raises(Fault) as caught:
        kernels.find(RECIPE, "6.18")
    assert caught.value.type is FaultType.LAB
    assert caught.value.hint == "run `schedpilot lab build --kernel 6.18`"


def test_a_built_kernel_takes_the_place_of_the_roots_own(root: Root) -> None:
    """It has its own files and its own place for what is derived from its types; the rest is the
    root's."""
    place = ready("6.18", "6.18.15+deb13-cloud-amd64")
    machine = kernels.find(RECIPE, "6.18")
    assert machine.release == "6.18.15+deb13-cloud-amd64"
    assert machine.kernel == place / "boot" / "vmlinuz"
    assert machine.btf == place / "boot" / "vmlinux.btf"
    assert machine.scratch("helpers") == place / "helpers"
    assert (machine.image, machine.busybox) == (root.image, root.busybox)


def test_pruning_keeps_kernels_by_todays_recipe(root: Root, folder: Path) -> None:
    """A kernel that an older recipe built is removed as an older root is."""
    kept = ready("6.18", "6.18.15+deb13-cloud-amd64")
    old = KernelRecipe("6.18", steps=0)
    cache.complete_folder(old, lambda work: filled(work, "6.18.9+deb13-cloud-amd64"))
    assert cache.prune(RECIPE) == [folder / old.key]
    assert kept.is_dir()
    assert cache.finished(RECIPE) == root


def test_another_recipe_of_a_kernel_has_another_key() -> None:
    """What decides a kernel's files decides its key, and the root's key knows nothing of it."""
    recipe = KernelRecipe("6.18")
    changes: list[dict[str, Any]] = [
        {"version": "6.19"},
        {"suite": "forky-backports"},
        {"images": ()},
        {"extras": ()},
        {"steps": 0},
    ]
    keys = {replace(recipe, **change).key for change in changes}
    assert len(keys) == len(changes)
    assert recipe.key not in keys
    assert KernelRecipe.of(recipe.key) == recipe
    assert KernelRecipe.of(RECIPE.key) is None
    assert "6.18" not in RECIPE.canonical()


def test_all_kernels_are_listed_with_what_they_lack() -> None:
    """Built ones, also those that Debian no longer has, those that could be built, and the root's
    own."""
    found = rows(OWN, ["6.17.3+deb13-cloud-amd64"], offers(frozenset(NAMES)))
    assert [(each.version, each.state, each.lacks) for each in found] == [
        ("6.17.3", KernelPresence.BUILT, ()),
        ("6.18.9", KernelPresence.OFFERED, ("headers",)),
        ("6.18.15", KernelPresence.OFFERED, ("headers",)),
        ("6.19.14", KernelPresence.OFFERED, ("headers", "configuration")),
        ("7.2.12", KernelPresence.OFFERED, ()),
        ("7.3.4", KernelPresence.OWN, ()),
    ]


def test_what_is_built_is_listed_without_a_mirror(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Debian's mirror the list has the kernels that boot here, and the reason."""

    def unreachable(_: Root) -> None:
        raise Fault(FaultType.CHILD_FAILED, "apt-get ended with status 100")

    monkeypatch.setattr(lab, "recipe_for", lambda _: RECIPE)
    monkeypatch.setattr("lab.packages.index", unreachable)
    ready("6.18", "6.18.15+deb13-cloud-amd64")
    shown = CliRunner().invoke(lab.app, ["kernels", "--json"])
    assert [(each["version"], each["state"]) for each in json.loads(shown.stdout)] == [
        ("6.18.15", "built"),
        ("7.3.4", "the root's own"),
    ]
    assert "apt-get ended" in shown.stderr


def test_another_kernel_needs_no_module_for_its_disks(root: Root) -> None:
    """Its disks are namespaces of an NVMe device, whose driver is built in, in their order; the
    root's own kernel keeps virtio."""
    ready("6.18", "6.18.15+deb13-cloud-amd64")
    own, other = root, kernels.find(RECIPE, "6.18")
    for each, device, names in (
        (own, "virtio-blk-pci,drive=disk1", b"vda vdb"),
        (other, "nvme-ns,drive=disk2,nsid=3", b"nvme0n1 nvme0n2 nvme0n3"),
    ):
        disks = (each.image, Path("tree.img"), *each.kernel_disks)
        machine = LabMachine(each, Accelerator.TCG, Mode.PLAIN, disks=disks)
        assert device in arguments(machine, Path("run"), {})
        assert names + b"\0" in initramfs_for(machine) + b"\0"
