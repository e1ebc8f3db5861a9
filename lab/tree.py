# SPDX-License-Identifier: GPL-2.0-or-later
"""Transfers the project's files into the guest, on a small disk of their own.

The disk holds `tree/` (a copy of the files that git tracks or does not ignore, byte-compiled for
the guest's Python) and `lib/` (the C helpers, built by the guest's compiler against its libbpf and
its kernel's types). Both are made at native speed and cached by content, so an unchanged tree costs
a hash.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lab.cache import Root, locked
from lab.chroot import in_root
from lab.image import make_image
from process import Fault, FaultType, run

TREE_VARIABLE = "SCHEDPILOT_LAB_TREE"
# Left out if git cannot be asked.
CACHES = {".git", ".venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
CACHES |= {".hypothesis", "node_modules"}
# How many finished disks are kept for each root.
KEPT = 6
# Free space for the guest's writes into the tree, bytes; sparse.
SPARE_BYTES = 1 << 30
BUILD_S = 600.0
MAKING = ".making-"


def project_root(start: Path | None = None) -> Path:
    """The checkout that contains `start` (default: this package); for an installed package,
    `$SCHEDPILOT_LAB_TREE` names it.
    """
    if start is None and (named := os.environ.get(TREE_VARIABLE)):
        start = Path(named)
    here = (start or Path(__file__).parent).resolve()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file():
            return folder
    raise Fault(
        FaultType.NOT_FOUND,
        "this is not a checkout of the project",
        where=str(here),
        why="there is no pyproject.toml in it or above it",
        hint=f"run the lab from a checkout, or name one with --tree or {TREE_VARIABLE}",
    )


def files_of(tree: Path) -> list[Path]:
    """The project's files, relative to `tree`, sorted: the files that git would keep, else all but
    caches.
    """
    if (tree / ".git").exists() and shutil.which("git"):
        listing = run(
            # The checkout may belong to another user than the one who runs the lab.
            ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],
            timeout=60,
            cwd=tree,
        )
        names: Iterable[Path] = (Path(os.fsdecode(each)) for each in listing.stdout.split(b"\0"))
        wanted = [name for name in names if name.parts]
    else:
        wanted = []
        for folder, folders, names_here in os.walk(tree):
            # This changes the walk itself: removed folders are not entered.
            folders[:] = [each for each in folders if each not in CACHES]
            wanted += [Path(folder, name).relative_to(tree) for name in names_here]
    # git also lists deleted files that are not staged yet; sockets and pipes cannot be copied.
    return sorted(name for name in set(wanted) if _travels(tree / name))


def _travels(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)


def digest(tree: Path, files: Iterable[Path]) -> str:
    """Sixteen hexadecimal digits over names, modes and contents."""
    state = hashlib.sha256()
    for name in files:
        path = tree / name
        info = path.lstat()
        link = stat.S_ISLNK(info.st_mode)
        data = os.fsencode(path.readlink()) if link else path.read_bytes()
        state.update(b"%s\0%o\0%d\0" % (os.fsencode(name), info.st_mode, len(data)))
        state.update(data)
    return state.hexdigest()[:16]


def copy_files(tree: Path, files: Iterable[Path], target: Path) -> list[Path]:
    """Copy `files` with their modes and times; returns those that still existed."""
    copied = []
    target.mkdir(parents=True)
    for name in files:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(tree / name, place, follow_symlinks=False)
        except FileNotFoundError:
            # Removed since it was listed: somebody works in the tree.
            continue
        copied.append(name)
    return copied


def disk(root: Root, tree: Path) -> Path:
    """The disk image of `tree` for this root, made if it does not exist.

    Raises:
        Fault: BUILD_FAILED if the C helpers do not build.
    """
    folder = root.scratch("trees")
    with locked(folder):
        # Nobody else makes anything under the lock, so this is a leftover of a killed run.
        for stale in folder.glob(f"{MAKING}*"):
            shutil.rmtree(stale)
        with tempfile.TemporaryDirectory(prefix=MAKING, dir=folder) as scratch:
            work = Path(scratch)
            copy = work / "content" / "tree"
            # Named for the copy's content, because the tree may change meanwhile.
            files = copy_files(tree, files_of(tree), copy)
            image = folder / f"{digest(copy, files)}.img"
            if image.exists():
                os.utime(image)
            else:
                _make_disk(root, work, files).rename(image)
        for old in sorted(folder.glob("*.img"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
            old.unlink()
    return image


def _make_disk(root: Root, work: Path, files: list[Path]) -> Path:
    content = work / "content"
    helpers = _helpers(root, content / "tree", [f for f in files if f.parts[0] == "bpf"])
    if helpers:
        shutil.copytree(helpers, content / "lib")
    else:
        (content / "lib").mkdir()
    for each in (content, content / "tree", content / "lib"):
        # Independent of our umask, because unprivileged users of the guest read these.
        each.chmod(0o755)
    in_root(
        root.tree,
        ["python3", "-m", "compileall", "-q", "-j", "0", "/tree"],
        binds={content / "tree": "/tree"},
        timeout=BUILD_S,
        # A test's deliberately broken source may fail to compile.
        check=False,
    )
    image = work / "disk.img"
    make_image(content, image, spare_bytes=SPARE_BYTES)
    return image


def _helpers(root: Root, tree: Path, sources: list[Path]) -> Path | None:
    """The C helpers built for the guest, by content; None if the tree has none.

    Called with the lock of the disks held.
    """
    if not (tree / "bpf" / "Makefile").is_file():
        return None
    folder = root.scratch("helpers")
    built = folder / digest(tree, sources)
    if built.is_dir():
        return built
    with tempfile.TemporaryDirectory(prefix=MAKING, dir=folder) as scratch:
        work = Path(scratch) / "out"
        work.mkdir()
        done = in_root(
            root.tree,
            ["make", "--no-print-directory", "-C", "bpf", "OUT=/out"],
            binds={tree: "/tree", work: "/out"},
            btf=root.btf,
            cwd="/tree",
            timeout=BUILD_S,
            check=False,
        )
        if done.status != 0:
            raise Fault(
                FaultType.BUILD_FAILED,
                "the C helpers do not build for the lab",
                where="bpf/Makefile",
                hint="`schedpilot lab chroot -- make -C bpf OUT=/out` repeats it by hand",
                details=tuple((done.text + done.error_text).splitlines()[-30:]),
            )
        work.rename(built)
    return built
