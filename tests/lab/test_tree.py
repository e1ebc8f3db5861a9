# SPDX-License-Identifier: GPL-2.0-or-later
"""Which files are copied into the guest."""

from pathlib import Path

import pytest

from lab.tree import copy_files, digest, files_of, project_root
from process import Fault, run


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    for name in ("tracked.py", "new.py", "ignored.o", ".venv/bin/python", "a/__pycache__/x.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "link.py").symlink_to("tracked.py")
    return folder


def names(files: list[Path]) -> list[str]:
    return [str(each) for each in files]


def test_of_a_git_checkout_travels_what_git_does_not_ignore(tree: Path) -> None:
    """Tracked and new files are copied; ignored and deleted files and git's own files are not."""
    (tree / ".gitignore").write_text("*.o\n.venv/\n__pycache__/\n")
    (tree / "gone.py").touch()
    run(["git", "init", "-q"], cwd=tree, timeout=30)
    run(["git", "add", "tracked.py", "gone.py"], cwd=tree, timeout=30)
    (tree / "gone.py").unlink()
    assert names(files_of(tree)) == [".gitignore", "link.py", "new.py", "tracked.py"]


def test_without_git_all_but_caches_travels(tree: Path) -> None:
    """An unpacked archive of the project is copied completely, except for environments and
    caches."""
    assert names(files_of(tree)) == ["ignored.o", "link.py", "new.py", "tracked.py"]


def test_the_digest_follows_names_modes_and_contents(tree: Path) -> None:
    """Every change that the guest could see makes another disk."""
    seen = {digest(tree, files_of(tree))}
    (tree / "new.py").write_text("changed")
    seen.add(digest(tree, files_of(tree)))
    (tree / "new.py").chmod(0o755)
    seen.add(digest(tree, files_of(tree)))
    (tree / "new.py").rename(tree / "newer.py")
    seen.add(digest(tree, files_of(tree)))
    (tree / "link.py").unlink()
    (tree / "link.py").symlink_to("newer.py")
    seen.add(digest(tree, files_of(tree)))
    assert len(seen) == 5


def test_a_copy_has_the_digest_of_its_original(tree: Path, tmp_path: Path) -> None:
    """Links stay links and modes stay modes; a file that has vanished meanwhile is left out."""
    files = files_of(tree)
    (tree / "ignored.o").unlink()
    copied = copy_files(tree, files, tmp_path / "copy")
    assert copied == files_of(tree)
    assert digest(tmp_path / "copy", copied) == digest(tree, files_of(tree))


def test_the_checkout_is_found_from_inside_it(tree: Path) -> None:
    """The checkout is the nearest parent folder with a pyproject.toml."""
    (tree / "pyproject.toml").touch()
    assert project_root(tree / "a" / "__pycache__") == tree
    with pytest.raises(Fault):
        project_root(tree.parent)
