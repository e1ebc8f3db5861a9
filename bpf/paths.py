# SPDX-License-Identifier: GPL-2.0-or-later
"""The paths of the C helpers and the headers, installed or in a checkout."""

from pathlib import Path

from process import Fault, FaultType

_PACKAGE = Path(__file__).resolve().parent
INSTALLED = Path("/usr/lib/schedpilot")
# The include folder: `<scx/common.bpf.h>`.
INCLUDE = _PACKAGE / "include"
# Code that schedulers share: `<schedpilot/late.bpf.h>`. It is treated as part of the scheduler that
# includes it.
SHARED = INCLUDE / "schedpilot"


def places(name: str, package: Path = _PACKAGE) -> list[Path]:
    """Possible places of a helper, best first: the system's, this prefix's, this checkout's."""
    prefixes = [parent / "lib" / "schedpilot" for parent in package.parents]
    return [
        INSTALLED / name,
        *(folder / name for folder in prefixes if folder != INSTALLED),
        package / "out" / name,
    ]


def helper(name: str) -> Path:
    """The program `schedpilot-runner`, `schedpilot-signals` or `schedpilot-recorder`.

    Raises:
        Fault: NOT_INSTALLED.
    """
    for place in places(name):
        if place.is_file():
            return place
    raise Fault(
        FaultType.NOT_INSTALLED,
        f"the helper {name} does not exist",
        where=str(INSTALLED / name),
        why="schedpilot was not installed, or its C helpers were not built",
        hint="install schedpilot, or build them: make -C bpf",
    )
