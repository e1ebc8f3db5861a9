# SPDX-License-Identifier: GPL-2.0-or-later
"""What the lab does to a root after it has installed the packages."""

from pathlib import Path

from lab.root import link_configuration

RELEASE = "7.3.4+deb13-cloud-amd64"


def test_the_kernels_configuration_is_where_libbpf_looks(tmp_path: Path) -> None:
    """If the configuration is stored with the modules, the root has it under /boot too."""
    kept = tmp_path / "usr/lib/modules" / RELEASE / "config"
    kept.parent.mkdir(parents=True)
    kept.write_text("CONFIG_HZ=1000\n")
    link_configuration(tmp_path, RELEASE)
    link_configuration(tmp_path, RELEASE)
    link = tmp_path / "boot" / f"config-{RELEASE}"
    assert link.readlink() == Path("/usr/lib/modules") / RELEASE / "config"


def test_a_configuration_in_its_usual_place_stays(tmp_path: Path) -> None:
    """If a kernel's package brings /boot/config-RELEASE, that file is left unchanged."""
    (tmp_path / "boot").mkdir()
    usual = tmp_path / "boot" / f"config-{RELEASE}"
    usual.write_text("CONFIG_HZ=250\n")
    kept = tmp_path / "usr/lib/modules" / RELEASE / "config"
    kept.parent.mkdir(parents=True)
    kept.write_text("CONFIG_HZ=1000\n")
    link_configuration(tmp_path, RELEASE)
    assert usual.read_text() == "CONFIG_HZ=250\n"
    assert not usual.is_symlink()
