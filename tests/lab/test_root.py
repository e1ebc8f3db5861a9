# SPDX-License-Identifier: GPL-2.0-or-later
"""What is done to the lab's root after its packages are there."""

from pathlib import Path

from lab.root import link_configuration

RELEASE = "7.3.4+deb13-cloud-amd64"


def test_the_kernels_configuration_is_where_libbpf_looks(tmp_path: Path) -> None:
    """A configuration that is kept with the modules is found under /boot, too, in the root."""
    kept = tmp_path / "usr/lib/modules" / RELEASE / "config"
    kept.parent.mkdir(parents=True)
    kept.write_text("CONFIG_HZ=1000\n")
    link_configuration(tmp_path, RELEASE)
    link_configuration(tmp_path, RELEASE)
    link = tmp_path / "boot" / f"config-{RELEASE}"
    assert link.readlink() == Path("/usr/lib/modules") / RELEASE / "config"


def test_a_configuration_in_its_usual_place_stays(tmp_path: Path) -> None:
    """A kernel's package that brings /boot/config-RELEASE is left as it is."""
    (tmp_path / "boot").mkdir()
    usual = tmp_path / "boot" / f"config-{RELEASE}"
    usual.write_text("CONFIG_HZ=250\n")
    kept = tmp_path / "usr/lib/modules" / RELEASE / "config"
    kept.parent.mkdir(parents=True)
    kept.write_text("CONFIG_HZ=1000\n")
    link_configuration(tmp_path, RELEASE)
    assert usual.read_text() == "CONFIG_HZ=250\n"
    assert not usual.is_symlink()
