# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's packages for the root's release, fetched and unpacked without installing them.

The host's apt does the work, with the root's sources and keys and nothing of the host's: its lists
and what it fetches go to a temporary folder.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab.cache import Root
from lab.network import network_environment
from process import run

UPDATE_S = 300.0
FETCH_S = 1800.0
UNPACK_S = 300.0
ARCHITECTURE = "amd64"
# The kernel's suite alone; the root's own list is thirty times as long.
SOURCES = "etc/apt/sources.list.d/backports.list"

_CONFIGURATION = """\
Dir "{folder}";
Dir::State "{folder}/state";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}/cache";
Dir::Etc "{folder}/etc";
Dir::Etc::sourcelist "{root}/{sources}";
Dir::Etc::trustedparts "{root}/etc/apt/trusted.gpg.d";
APT::Architecture "{architecture}";
APT::Architectures "{architecture}";
// It reads keys and writes files that only we can reach.
APT::Sandbox::User "";
Acquire::Languages "none";
"""


@dataclass(frozen=True)
class Packages:
    """An up-to-date index of the packages; good while `index` is open."""

    folder: Path

    def names(self) -> frozenset[str]:
        done = run(["apt-cache", "pkgnames"], timeout=UPDATE_S, env=_environment(self.folder))
        return frozenset(done.text.split())

    def unpack(self, names: Sequence[str], target: Path) -> None:
        """Fetch the packages, check their signatures and unpack them into one folder.

        Raises:
            Fault: CHILD_FAILED in apt's words if a package cannot be had.
        """
        with tempfile.TemporaryDirectory(dir=self.folder) as fetched:
            run(
                ["apt-get", "-q", "download", *names],
                timeout=FETCH_S,
                cwd=Path(fetched),
                env=_environment(self.folder),
            )
            target.mkdir(parents=True, exist_ok=True)
            for package in sorted(Path(fetched).glob("*.deb")):
                run(["dpkg-deb", "--extract", package, target], timeout=UNPACK_S)


@contextmanager
def index(root: Root) -> Iterator[Packages]:
    """The packages that the root's sources have today.

    Raises:
        Fault: CHILD_FAILED in apt's words if the mirror cannot be reached.
    """
    with tempfile.TemporaryDirectory(prefix="schedpilot-lab-apt-") as name:
        folder = Path(name)
        for each in ("state/lists/partial", "cache/archives/partial", "etc"):
            (folder / each).mkdir(parents=True)
        (folder / "status").touch()
        (folder / "apt.conf").write_text(
            _CONFIGURATION.format(
                folder=folder, root=root.tree, sources=SOURCES, architecture=ARCHITECTURE
            )
        )
        # Without the option, a mirror that does not answer would be a warning.
        update = ["apt-get", "-q", "update", "--error-on=any"]
        run(update, timeout=UPDATE_S, env=_environment(folder))
        yield Packages(folder)


def _environment(folder: Path) -> dict[str, str]:
    return {**network_environment(), "APT_CONFIG": str(folder / "apt.conf")}
