# SPDX-License-Identifier: GPL-2.0-or-later
"""Finds the running kernel's configuration, for libbpf and for us.

A BPF program may ask for `CONFIG_…` values (`__kconfig`), as most third-party schedulers do. libbpf
looks for those in two places only, and fails with "Invalid argument" if neither exists.
"""

import gzip
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

# Where libbpf looks, in its order (bpf_object__read_kconfig_file in libbpf.c).
PLACES = ("boot/config-{release}", "proc/config.gz")
# Other places where distributions keep it.
OTHERS = (
    "usr/lib/modules/{release}/config",
    "lib/modules/{release}/config",
    "usr/lib/ostree-boot/config-{release}",
    "usr/lib/kernel/config-{release}",
    "usr/lib/modules/{release}/build/.config",
)


@dataclass(frozen=True)
class KernelConfig:
    """The result.

    `path` is the file that libbpf reads, `elsewhere` a file that it does not; `usual` is where
    libbpf needs one. Empty if there is none.
    """

    usual: str
    path: str = ""
    elsewhere: str = ""

    @property
    def remedy(self) -> str:
        """What to do so that libbpf finds it; empty if it does."""
        if self.path:
            return ""
        if self.elsewhere:
            return f"ln -s {self.elsewhere} {self.usual}"
        return (
            f"copy the kernel's configuration to {self.usual} (it comes with the kernel's "
            "package), or load it: modprobe configs"
        )

    def text(self, root: Path = Path("/")) -> str:
        """The configuration; empty if none can be read."""
        for name in (self.path, self.elsewhere):
            if name:
                return _read(root / name.lstrip("/"))
        return ""


def tick_us(text: str) -> float:
    """The time between two timer ticks, microseconds, from a configuration; 0 if it has none."""
    found = re.search(r"^CONFIG_HZ=(\d{2,5})$", text, re.MULTILINE)
    return 1e6 / int(found[1]) if found else 0.0


def find(release: str, root: Path = Path("/")) -> KernelConfig:
    """Look for the configuration of this kernel (`uname -r`) under `root`."""

    def first(places: tuple[str, ...]) -> str:
        for each in places:
            place = each.format(release=release)
            if (root / place).is_file():
                return f"/{place}"
        return ""

    usual = f"/{PLACES[0].format(release=release)}"
    return KernelConfig(usual, first(PLACES), first(OTHERS))


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
        # As libbpf does: compressed or not, whatever the name.
        return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode(
            "utf-8", "replace"
        )
    except (OSError, EOFError, zlib.error):
        return ""
