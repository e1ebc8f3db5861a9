# SPDX-License-Identifier: GPL-2.0-or-later
"""Compiles and checks the schedulers for the demo's guest natively before it boots.

In the guest, emulated and under the demo's load, one scheduler would take minutes. So the
schedulers that the daemon proves ahead already pass the gates that need no kernel here: with the
guest's own tools, for the guest's kernel, into a cache like the daemon's. Everything is cached by
content, so a second run finds it, and the daemon in the guest only has to run the kernel's
verifier.

`python -m demo.compiled WORKLOAD` is the part that runs in the guest's root.
"""

import asyncio
import contextlib
import io
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from daemon.api.models import CandidateRequest
from daemon.config import GatesTable
from daemon.gates.candidates import Candidates
from daemon.gates.chain import Gates
from daemon.gates.preparation import wanted_of
from daemon.service.events import EventLog
from lab.cache import Root, locked
from lab.chroot import in_root
from lab.tree import copy_files, files_of, project_root
from process import Fault
from scheduler_library.catalog import load_catalog

CRAWL = Path(__file__).parent / "schedulers" / "crawl" / "crawl.bpf.c"
# All of this takes half a minute.
COMPILE_S = 600.0


def compiled_for_guest(root: Root, workload: str, say: Callable[[str], None]) -> bytes:
    """The cache as an archive; empty if it could not be made, because the guest can do without."""
    checkout = project_root()
    cache = root.scratch("demo")
    try:
        with locked(cache), tempfile.TemporaryDirectory(prefix="schedpilot-demo-") as scratch:
            copy = Path(scratch) / "tree"
            copy_files(checkout, files_of(checkout), copy)
            say("lab: checking and compiling schedulers for the guest, at this machine's own speed")
            in_root(
                root.tree,
                ["python3", "-m", "demo.compiled", workload],
                timeout=COMPILE_S,
                name="compiling for the guest",
                binds={copy: "/tree", cache: "/out"},
                btf=root.btf,
                cwd="/tree",
            )
            return archive(cache)
    except Fault as fault:
        say(f"lab: {fault}; the guest compiles them itself, which takes longer")
        return b""


def archive(folder: Path) -> bytes:
    """The cache without the shared files of builds with an earlier version of the headers."""
    kits = sorted((folder / "kits").iterdir(), key=lambda each: each.stat().st_mtime)
    old = {f"kits/{each.name}" for each in kits[:-1]}

    def wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if member.name in (*old, "lock", "candidates") else member

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for each in sorted(folder.iterdir()):
            tar.add(each, each.name, filter=wanted)
    return packed.getvalue()


async def prove(cache: Path, workload: str) -> None:
    """Everything that the daemon will want for this workload, and the demo's bad choice."""
    gates = Gates(settings=GatesTable(simulate=False), cache=cache)
    await asyncio.to_thread(gates.prepare)
    catalog = load_catalog()
    with tempfile.TemporaryDirectory() as sources:
        candidates = Candidates(
            catalog=lambda: catalog,
            folder=Path(sources),
            gates=gates,
            publish=EventLog(lambda event: None).append,
            cache=cache,
        )
        requests = [each.request() for each in wanted_of(catalog, [workload])]
        requests.append(bad_choice())
        for each in requests:
            # If one fails, the daemon's gates report it.
            with contextlib.suppress(Fault):
                await candidates.create(each)


def bad_choice() -> CandidateRequest:
    return CandidateRequest(source=CRAWL.read_text(encoding="utf-8"), name="crawl")


if __name__ == "__main__":
    try:
        asyncio.run(prove(Path("/out"), sys.argv[1]))
    except Fault as fault:
        sys.stderr.write(fault.report() + "\n")
        raise SystemExit(1) from None
