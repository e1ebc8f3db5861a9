# SPDX-License-Identifier: GPL-2.0-only
"""What the demo's guest would have to compile, compiled natively before it boots.

In the guest, emulated and amid the trouble that the demo makes, one scheduler would take minutes.
Compiled are the library's own schedulers and the demo's bad one, by the guest's clang, for the
guest's kernel, into a cache as the daemon's; it is kept by content, so the second run finds it all.

`python -m demo.compiled` is the part that runs in the guest's root.
"""

import io
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

from bpf.build import build_object
from lab.cache import Root, locked
from lab.chroot import in_root
from lab.tree import copy_files, files_of, project_root
from process import Fault
from scheduler_library.catalog import load_catalog
from scheduler_library.manifest import Kind

CRAWL = Path(__file__).parent / "schedulers" / "crawl" / "crawl.bpf.c"
# All of it takes a quarter of a minute.
COMPILE_S = 300.0


def compiled_for_guest(root: Root, say: Callable[[str], None]) -> bytes:
    """The cache as an archive; empty where it could not be made, for the guest can do without."""
    checkout = project_root()
    cache = root.scratch("demo")
    try:
        with locked(cache), tempfile.TemporaryDirectory(prefix="schedpilot-demo-") as scratch:
            copy = Path(scratch) / "tree"
            copy_files(checkout, files_of(checkout), copy)
            say("lab: compiling the schedulers for the guest, at this machine's own speed")
            in_root(
                root.tree,
                ["python3", "-m", "demo.compiled"],
                timeout=COMPILE_S,
                name="compiling for the guest",
                binds={copy: "/tree", cache: "/out"},
                btf=root.btf,
                cwd="/tree",
            )
            return archive(cache)
    except Fault as fault:
        say(f"lab: {fault}; the guest compiles for itself, which takes longer")
        return b""


def archive(folder: Path) -> bytes:
    """The cache without what was shared by builds of an earlier version of the headers."""
    kits = sorted((folder / "kits").iterdir(), key=lambda each: each.stat().st_mtime)
    old = {f"kits/{each.name}" for each in kits[:-1]}

    def wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        return None if member.name in old or member.name == "lock" else member

    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for each in sorted(folder.iterdir()):
            tar.add(each, each.name, filter=wanted)
    return packed.getvalue()


def main(cache: Path = Path("/out")) -> None:
    """Compile everything; what does not compile is the gates' to tell of."""
    own = [each.source for each in load_catalog() if each.manifest.kind is Kind.BPF]
    with tempfile.TemporaryDirectory() as out:
        for source in (*own, CRAWL):
            if source is not None:
                build_object(source, Path(out), cache_folder=cache)


if __name__ == "__main__":
    try:
        main()
    except Fault as fault:
        sys.stderr.write(fault.report() + "\n")
        raise SystemExit(1) from None
