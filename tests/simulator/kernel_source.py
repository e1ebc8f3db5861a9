# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's own schedulers, from Debian's source package of the lab's kernel.

apt fetches it with its own lists and cache, so that the host's sources do not matter. The folders
that are needed stay outside the tree, under the user's cache.
"""

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from lab.cache import Root
from process import Fault, FaultType, run
from tests.waiting import said

EXAMPLES = "tools/sched_ext"
SELFTESTS = "tools/testing/selftests/sched_ext"
FETCH_S = 300.0


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "schedpilot" / "linux-source"


def _apt(root: Root, state: Path, *words: str) -> None:
    """apt-get that knows only the suite of the lab's kernel."""
    lists = root.tree / "etc" / "apt" / "sources.list.d" / "backports.list"
    for each in ("state/lists/partial", "cache/archives/partial"):
        (state / each).mkdir(parents=True, exist_ok=True)
    options = {
        "Dir::State": state / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": lists,
        "Dir::Etc::sourceparts": "/nonexistent",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
    }
    settings = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    proxies = {name: value for name, value in os.environ.items() if name.endswith("_proxy")}
    run(["apt-get", "-q", *settings, *words], timeout=FETCH_S, cwd=state, env=proxies)


def examples(root: Root) -> Path:
    """The folder with the examples of this root's kernel, fetched if it does not exist.

    Raises:
        Fault: MISSING_TOOL, CHILD_FAILED or TIMEOUT if the package cannot be fetched.
    """
    return _fetched(root) / EXAMPLES


def selftests(root: Root) -> Path:
    """The kernel's selftests for sched_ext, like `examples`."""
    return _fetched(root) / SELFTESTS


def _fetched(root: Root) -> Path:
    found = re.match(r"(\d+\.\d+)\.", root.release)
    if found is None:
        raise Fault(FaultType.LAB, "the lab's kernel has a version of no form that is known")
    place = _cache() / root.release
    place.parent.mkdir(parents=True, exist_ok=True)
    # Test processes run in parallel: one fetches, and the others wait for it.
    with (place.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / SELFTESTS).is_dir():
            _fetch(root, place, f"linux-source-{found[1]}")
    return place


def _fetch(root: Root, place: Path, package: str) -> None:
    with tempfile.TemporaryDirectory(prefix=".fetching-", dir=place.parent) as scratch:
        state = Path(scratch)
        _apt(root, state, "update")
        _apt(root, state, "download", package)
        _unpack(next(state.glob("*.deb")), package, state / "tree")
        # An older version of this file left fewer folders there.
        shutil.rmtree(place, ignore_errors=True)
        shutil.move(state / "tree", place)


def _unpack(package: Path, name: str, to: Path) -> None:
    """Take the folders out of the archive in the package, without the rest on the disk."""
    to.mkdir()
    steps: list[list[str]] = [
        ["dpkg-deb", "--fsys-tarfile", str(package)],
        ["tar", "-xO", f"./usr/src/{name}.tar.xz"],
        ["xz", "-dc"],
        ["tar", "-x", "-C", str(to), "--strip-components=1"]
        + [f"{name}/{each}" for each in (EXAMPLES, SELFTESTS)],
    ]
    children: list[subprocess.Popen[bytes]] = []
    for words in steps:
        last = children[-1].stdout if children else subprocess.DEVNULL
        child = subprocess.Popen(words, stdin=last, stdout=subprocess.PIPE)
        if children and children[-1].stdout:
            children[-1].stdout.close()
        children.append(child)
    said(children[-1], FETCH_S)
    if any(child.wait() for child in children):
        raise Fault(FaultType.CHILD_FAILED, "the kernel's source cannot be unpacked")
