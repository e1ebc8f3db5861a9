# SPDX-License-Identifier: GPL-2.0-or-later
"""Shows objects to this kernel's verifier; runs in the lab.

python tests/policy/guest_verify.py FOLDER OUT.json

Writes, for the name of each object, "" or why the verifier refused it. Prints which objects took
the verifier longest.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

from bpf.runner.process import verify
from process import Fault


async def _all(objects: list[Path]) -> dict[str, str]:
    places = asyncio.Semaphore(os.cpu_count() or 1)
    seconds: dict[str, float] = {}

    async def one(object: Path) -> tuple[str, str]:
        name, why = object.name.removesuffix(".bpf.o"), ""
        async with places:
            start = time.monotonic()
            try:
                await verify(object)
            except Fault as fault:
                why = fault.report()
            seconds[name] = time.monotonic() - start
        return name, why

    verdicts = dict(await asyncio.gather(*map(one, objects)))
    slowest = sorted(seconds, key=lambda name: -seconds[name])[:5]
    print(", ".join(f"{name}: {seconds[name]:.1f} s" for name in slowest))
    return verdicts


if __name__ == "__main__":
    found = sorted(Path(sys.argv[1]).glob("*.bpf.o"))
    Path(sys.argv[2]).write_text(json.dumps(asyncio.run(_all(found))))
