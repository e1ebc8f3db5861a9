# SPDX-License-Identifier: GPL-2.0-only
"""The project's files on their way into the guest: a small disk of their own.

The disk holds `tree/` (a copy of what git tracks or does not ignore, byte-compiled for
the guest's Python) and `lib/` (the C helpers, built by the guest's compiler against its
libbpf and its kernel's types). Both are made at native speed and kept by content, so an
unchanged tree costs a hash.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path

from lab.cache import Root
from lab.chroot import in_root
from lab.root import make_image
from process import Fault, FaultType, run

# Left out where there is no git to ask.
CACHES = {".git", ".venv", "__pycache__", ".mypy_cache", ".pytest_cache", ".ruff_cache"}
CACHES |= {".hypothesis", "node_modules"}
# How many finished disks are kept for each root.
KEPT = 6
# Room for what the guest writes into the tree, bytes; sparse.
SPARE_BYTES = 1 << 30
BUILD_S = 600.0


def project_root(start: Path | None = None) -> Path:
    """The checkout that `start` (else this very package) lies in."""
    here = (start or Path(__file__).parent).resolve()
    for folder in (here, *here.parents):
        if (folder / "pyproject.toml").is_file():
            return folder
    raise Fault(
        FaultType.NOT_FOUND,
        "this is not a checkout of the project",
        where=str(here),
        why="there is no pyproject.toml in it or above it",
        hint="run the lab from a checkout, or name one with --tree",
    )


def files_of(tree: Path) -> list[Path]:
    """The project's files, relative to `tree`, sorted: what git would keep, else all but caches."""
    if (tree / ".git").exists() and shutil.which("git"):
        listing = run(
            # The checkout may be another user's than the one who runs the lab.
            ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],
            timeout=60,
            cwd=tree,
        )
        names: Iterable[Path] = (Path(os.fsdecode(each)) for each in listing.stdout.split(b"\0"))
        wanted = [name for name in names if name.parts]
    else:
        wanted = []
        for folder, folders, names_here in os.walk(tree):
            # Changes the walk itself: what is cut here is not descended into.
            folders[:] = [each for each in folders if each not in CACHES]
            wanted += [Path(folder, name).relative_to(tree) for name in names_here]
    # git lists what was deleted and not yet staged; sockets and pipes cannot travel.
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


def copy_files(tree: Path, files: Iterable[Path], target: Path) -> None:
    for name in files:
        place = target / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(tree / name, place, follow_symlinks=False)


def disk(root: Root, tree: Path) -> Path:
    """The disk image of `tree` for this root, made unless it is there.

    Raises:
        Fault: BUILD_FAILED when the C helpers do not build.
    """
    files = files_of(tree)
    folder = root.folder / "trees"
    folder.mkdir(exist_ok=True)
    image = folder / f"{digest(tree, files)}.img"
    if image.exists():
        os.utime(image)
        return image
    with tempfile.TemporaryDirectory(prefix=".making-", dir=folder) as scratch:
        work = Path(scratch)
        content = work / "content"
        (content / "tree").mkdir(parents=True)
        content.chmod(0o755)
        copy_files(tree, files, content / "tree")
        helpers = _helpers(root, content / "tree", [f for f in files if f.parts[0] == "bpf"])
        if helpers:
            shutil.copytree(helpers, content / "lib")
        else:
            (content / "lib").mkdir()
        in_root(
            root.tree,
            ["python3", "-m", "compileall", "-q", "-j", "0", "/tree"],
            binds={content / "tree": "/tree"},
            timeout=BUILD_S,
            # A test's deliberately broken source is its own business.
            check=False,
        )
        made = work / "disk.img"
        make_image(content, made, spare_bytes=SPARE_BYTES)
        made.rename(image)
    for old in sorted(folder.glob("*.img"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)
    return image


def _helpers(root: Root, tree: Path, sources: list[Path]) -> Path | None:
    """The C helpers built for the guest, by content; None where the tree has none."""
    if not (tree / "bpf" / "Makefile").is_file():
        return None
    built = root.folder / "helpers" / digest(tree, sources)
    if built.is_dir():
        return built
    built.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=built.parent) as scratch:
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
        try:
            work.rename(built)
        except OSError:
            # Another run was faster; what it built is the same.
            if not built.is_dir():
                raise
    return built
