# SPDX-License-Identifier: GPL-2.0-or-later
"""Writes folders as file systems that the guest mounts."""

import stat
from pathlib import Path

from process import run

IMAGE_S = 900.0


def make_image(folder: Path, image: Path, *, spare_bytes: int) -> None:
    """Write `folder` as an ext4 file system into the sparse file `image`.

    No journal: each run writes to a throw-away layer, and a crash loses only that.
    """
    used = sum(
        -(-info.st_size // 4096) * 4096
        for info in (path.lstat() for path in folder.rglob("*"))
        if stat.S_ISREG(info.st_mode)
    )
    size_kib = (used * 5 // 4 + spare_bytes) // 1024
    run(
        [
            "mke2fs",
            "-q",
            "-t",
            "ext4",
            "-O",
            "^has_journal",
            "-m",
            "0",
            "-d",
            folder,
            image,
            f"{size_kib}k",
        ],
        timeout=IMAGE_S,
    )
