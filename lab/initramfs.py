# SPDX-License-Identifier: GPL-2.0-or-later
"""A tiny initramfs, written in memory for each run.

It holds a static busybox, the few kernel modules for the disks and ports, and the run's own
scripts. It takes milliseconds to write, so everything that differs between runs goes here, and the
root image never changes.

The format is "newc" of cpio(5); see Documentation/driver-api/early-userspace/buffer-format.rst in
the kernel's tree.
"""

import stat
from dataclasses import dataclass


@dataclass(frozen=True)
class ArchiveEntry:
    """One file of the archive. `mode` includes the type bits; `device` is (major, minor)."""

    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def folder(name: str) -> ArchiveEntry:
    return ArchiveEntry(name, stat.S_IFDIR | 0o755)


def script(name: str, text: str) -> ArchiveEntry:
    return ArchiveEntry(name, stat.S_IFREG | 0o755, text.encode())


def binary(name: str, data: bytes, mode: int = 0o644) -> ArchiveEntry:
    return ArchiveEntry(name, stat.S_IFREG | mode, data)


# The kernel opens it for the first process, before anything could be mounted.
CONSOLE = ArchiveEntry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1))


def archive(entries: list[ArchiveEntry]) -> bytes:
    """The entries as one cpio archive, owned by root, without times: equal input gives equal
    output.
    """
    out = bytearray()
    for number, entry in enumerate([*entries, ArchiveEntry("TRAILER!!!", 0)], start=1):
        name = entry.name.encode() + b"\0"
        fields = (
            number,
            entry.mode,
            0,  # uid
            0,  # gid
            1,  # links
            0,  # time
            len(entry.data),
            0,
            0,  # device of the file
            *entry.device,
            len(name),
            0,  # checksum, unused in newc
        )
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += bytes(-len(out) % 4) + entry.data
        out += bytes(-len(out) % 4)
    return bytes(out)
