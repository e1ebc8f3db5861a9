# SPDX-License-Identifier: GPL-2.0-or-later
"""Which clang is used, and why."""

import re
import shutil
from dataclasses import dataclass
from functools import lru_cache

from process import Fault, FaultType, run
from process.run import PATH

# The first version that supports arenas and may_goto, and the one the project is tested with.
PREFERRED = 19
# The oldest version that writes the 64-bit enums of BTF that the headers need.
OLDEST = 16
_NEWEST = 24


@dataclass(frozen=True)
class Clang:
    """A compiler, its version as printed, and why it was chosen."""

    path: str
    version: str
    major: int
    why: str


def version_of(text: str) -> tuple[str, int] | None:
    """The version, whole and its first number, in what `clang --version` prints."""
    found = re.search(r"clang version ((\d+)\.[\w.+~-]*)", text)
    return (found[1], int(found[2])) if found else None


@lru_cache(maxsize=1)
def find_clang() -> Clang:
    """clang 19 if it exists, else the newest from 16 on.

    Raises:
        Fault: MISSING_TOOL if there is none, or only older ones.
    """
    numbered = [f"clang-{major}" for major in range(_NEWEST, OLDEST - 1, -1)]
    seen: list[str] = []
    found: list[Clang] = []
    for name in (f"clang-{PREFERRED}", "clang", *numbered):
        path = shutil.which(name, path=PATH)
        if path is None:
            continue
        version = version_of(run([path, "--version"], timeout=30).text)
        if version is None:
            continue
        seen.append(f"{path} is {version[0]}")
        if version[1] == PREFERRED:
            return Clang(path, *version, f"{path} is the version schedpilot is tested with")
        if version[1] >= OLDEST:
            found.append(Clang(path, *version, f"{path}: no clang {PREFERRED} is installed"))
    if found:
        return max(found, key=lambda each: each.major)
    raise Fault(
        FaultType.MISSING_TOOL,
        f"no clang from version {OLDEST} on is installed",
        why="; ".join(seen) or "there is none on the path",
        hint=f"apt install clang-{PREFERRED}",
    )
