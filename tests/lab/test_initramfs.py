# SPDX-License-Identifier: GPL-2.0-or-later
"""Another implementation can read the initramfs archive."""

from pathlib import Path

from lab import initramfs
from process import run


def test_the_archive_is_read_back_by_busybox(tmp_path: Path) -> None:
    """Folders, scripts and binaries of any length come out unchanged."""
    data = bytes(range(256)) * 3
    packed = initramfs.archive(
        [
            initramfs.folder("lab"),
            initramfs.script("init", "#!/bin/sh\necho é\n"),
            *(initramfs.binary(f"lab/{size}", data[:size]) for size in range(9)),
            initramfs.binary("lab/all", data, 0o755),
        ]
    )
    run(["busybox", "cpio", "-i", "-d"], input=packed, cwd=tmp_path, timeout=30)
    assert (tmp_path / "init").read_text() == "#!/bin/sh\necho é\n"
    assert (tmp_path / "init").stat().st_mode & 0o777 == 0o755
    assert [(tmp_path / f"lab/{size}").read_bytes() for size in range(9)] == [
        data[:size] for size in range(9)
    ]
    assert (tmp_path / "lab/all").read_bytes() == data


def test_the_same_entries_make_the_same_bytes() -> None:
    """The archive does not depend on the current time or on owners."""
    entries = [initramfs.CONSOLE, initramfs.script("init", "exit\n")]
    assert initramfs.archive(entries) == initramfs.archive(entries)
