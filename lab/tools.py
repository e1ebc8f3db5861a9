# SPDX-License-Identifier: GPL-2.0-or-later
"""The host programs that the lab uses, and their Debian packages."""

import shutil
from pathlib import Path

from process import Fault, FaultType
from process.run import PATH

PACKAGE_OF = {
    "apt-get": "apt",
    "bwrap": "bubblewrap",
    "dpkg-deb": "dpkg",
    "mke2fs": "e2fsprogs",
    "mmdebstrap": "mmdebstrap",
    "setpriv": "util-linux",
}
# mmdebstrap checks Debian's signatures with these keys; other distributions lack them.
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
KEYRING_PACKAGE = "debian-archive-keyring"

TO_BUILD = ("bwrap", "mke2fs", "mmdebstrap", "setpriv")
# Another kernel for a root that is there.
TO_BUILD_KERNEL = ("apt-get", "bwrap", "dpkg-deb", "mke2fs")
TO_RUN = ("bwrap", "mke2fs", "setpriv")


def missing(programs: tuple[str, ...], path: str = PATH) -> Fault | None:
    """The fault that names every program missing from `path` with its package, or None."""
    absent = [each for each in programs if shutil.which(each, path=path) is None]
    packages = [PACKAGE_OF[each] for each in absent]
    if "mmdebstrap" in programs and not KEYRING.exists():
        absent.append(str(KEYRING))
        packages.append(KEYRING_PACKAGE)
    if not absent:
        return None
    names = ", ".join(absent)
    return Fault(
        FaultType.MISSING_TOOL,
        f"the lab needs what is not installed here: {names}",
        hint=f"apt-get install {' '.join(sorted(set(packages)))}",
    )


def require(programs: tuple[str, ...]) -> None:
    """Raises:
    Fault: MISSING_TOOL, naming the programs and their packages.
    """
    if fault := missing(programs):
        raise fault
