# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the lab, under systemd: what units with CPUWeight=, CPUQuota= and AllowedCPUs= get.

    python -m tests.library.guest_units FILE.bpf.o SECONDS

One JSON object comes out: CPUs of each unit by cpu.stat, and by systemd-cgtop in percent.
"""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

from tests.library.guest_controls import GROUPS, HOG, loaded, out, usage

SLICE = "system.slice"
# Each has two endless loops on two CPUs.
UNITS = {
    "sp-light": ("CPUWeight=100",),
    "sp-heavy": ("CPUWeight=400",),
    "sp-limited": ("CPUQuota=20%",),
    "sp-pinned": ("CPUWeight=100", "AllowedCPUs=1"),
}
TWO_LOOPS = f"({HOG}) & {HOG}"


def cgtop() -> dict[str, float]:
    """CPU usage in percent of one CPU, of the second round, by unit."""
    text = out("systemd-cgtop", "--batch", "--iterations=2", "--delay=3", "--order=cpu", "--raw")
    found: dict[str, float] = {}
    for line in text.splitlines():
        words = line.split()
        name = re.sub(rf"^/?{SLICE}/", "", words[0]).removesuffix(".service") if words else ""
        if name in UNITS and len(words) > 2 and words[2] != "-":
            found[name] = float(words[2])
    return found


def play(seconds: float) -> dict[str, object]:
    try:
        for name, settings in UNITS.items():
            properties = [word for each in settings for word in ("-p", each)]
            out("systemd-run", "--quiet", f"--unit={name}", *properties, "sh", "-c", TWO_LOOPS)
        groups = {name: GROUPS / SLICE / f"{name}.service" for name in UNITS}
        return {"cpus": usage(groups, seconds), "cgtop": cgtop()}
    finally:
        subprocess.run(["systemctl", "stop", *UNITS], check=False, timeout=120)


async def main() -> None:
    path, seconds = Path(sys.argv[1]), float(sys.argv[2])
    async with loaded(path.name.removesuffix(".bpf.o"), path.parent) as trouble:
        found = await asyncio.to_thread(play, seconds)
    sys.stdout.write(json.dumps(found | {"trouble": trouble}) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
