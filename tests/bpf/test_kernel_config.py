# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's configuration: where libbpf reads it, and what to do if it cannot."""

import gzip
from pathlib import Path

import pytest

from bpf.kernel.config import find, tick_us

RELEASE = "7.3.4+deb13-cloud-amd64"
TEXT = "CONFIG_SCHED_CLASS_EXT=y\n"


def put(root: Path, name: str, data: bytes = TEXT.encode()) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        (f"boot/config-{RELEASE}", TEXT.encode()),
        (f"boot/config-{RELEASE}", gzip.compress(TEXT.encode(), mtime=0)),
        ("proc/config.gz", gzip.compress(TEXT.encode(), mtime=0)),
    ],
)
def test_it_is_found_where_libbpf_looks(tmp_path: Path, name: str, data: bytes) -> None:
    """Both of libbpf's places count, and there is nothing to do."""
    put(tmp_path, name, data)
    found = find(RELEASE, tmp_path)
    assert found.path == f"/{name}"
    assert found.remedy == ""
    assert found.text(tmp_path) == TEXT


def test_one_in_another_place_is_linked_to(tmp_path: Path) -> None:
    """If a distribution keeps it with the modules, the remedy is the command that links it."""
    put(tmp_path, f"usr/lib/modules/{RELEASE}/config")
    found = find(RELEASE, tmp_path)
    assert found.path == ""
    assert found.remedy == f"ln -s /usr/lib/modules/{RELEASE}/config /boot/config-{RELEASE}"
    assert found.text(tmp_path) == TEXT


def test_none_at_all_is_told(tmp_path: Path) -> None:
    """Without any, the remedy says which file belongs where; another kernel's file does not
    count."""
    put(tmp_path, "boot/config-6.1.0")
    found = find(RELEASE, tmp_path)
    assert f"/boot/config-{RELEASE}" in found.remedy
    assert "modprobe configs" in found.remedy
    assert found.text(tmp_path) == ""


def test_a_file_that_cannot_be_read_is_no_error(tmp_path: Path) -> None:
    """A damaged file gives no text and no traceback."""
    put(tmp_path, "proc/config.gz", b"\x1f\x8bbroken")
    assert find(RELEASE, tmp_path).text(tmp_path) == ""


@pytest.mark.parametrize(
    ("text", "us"),
    [
        ("CONFIG_HZ_250=y\nCONFIG_HZ=250\n", 4000.0),
        ("CONFIG_HZ=1000\n", 1000.0),
        ("# CONFIG_HZ_PERIODIC is not set\n", 0.0),
        ("", 0.0),
    ],
)
def test_the_tick_is_read_from_it(text: str, us: float) -> None:
    """The configuration has the time between timer ticks, at which slices end."""
    assert tick_us(text) == us
