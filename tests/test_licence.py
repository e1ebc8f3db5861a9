# SPDX-License-Identifier: GPL-2.0-or-later
"""Every file of the tree states its licence, and the right one (docs/dependencies.md, "Licences").

A file has an SPDX line at its top; REUSE.toml has an entry for files that cannot have one.
"""

import re
import tomllib
from pathlib import Path

import pytest

from lab.tree import files_of

ROOT = Path(__file__).parent.parent
USERSPACE = "GPL-2.0-or-later"
KERNEL = "GPL-2.0-only"
# Loaded into the kernel, or included by such files: BPF C, the templates that generate it, the
# headers of <scx/...> and their stand-ins for the static check, and BCC's programs.
LOADED = re.compile(
    r".*\.bpf\.[ch](\.j2)?|.*\.c\.j2"
    r"|bpf/(include|static/view)/.*\.[ch]|bpf/probes/.*\.[ch]"
    r"|scheduler_library/policy/templates/.*\.j2"
)
# A line for an interpreter may come before it.
HEAD_LINES = 2
# REUSE-IgnoreStart
TAG = re.compile(r"SPDX-License-Identifier: ([A-Za-z0-9.+-]+)(?: \*/| #\})?$", re.MULTILINE)
# REUSE-IgnoreEnd


def licence_of(path: str) -> str:
    """The licence that the file at `path`, relative to the tree, has to have."""
    return KERNEL if LOADED.fullmatch(path) else USERSPACE


def line_of(path: Path) -> str | None:
    """The licence in the first lines of a file; None if there is none."""
    with path.open("rb") as file:
        head = b"".join(file.readline(4096) for _ in range(HEAD_LINES))
    match = TAG.search(head.decode("utf-8", "replace").replace("\r", ""))
    return match[1] if match else None


def matches(path: str, pattern: str) -> bool:
    """A path against a pattern of REUSE.toml: `*` stays within a folder, `**` does not."""
    parts = re.split(r"(\*\*|\*)", pattern)
    wild = {"**": ".*", "*": "[^/]*"}
    return (
        re.fullmatch("".join(wild.get(each, re.escape(each)) for each in parts), path) is not None
    )


def table() -> dict[str, str]:
    """The licence for each pattern of REUSE.toml that gives one."""
    found = {}
    for each in tomllib.loads((ROOT / "REUSE.toml").read_text())["annotations"]:
        patterns = each["path"] if isinstance(each["path"], list) else [each["path"]]
        if "SPDX-License-Identifier" in each:
            found.update(dict.fromkeys(patterns, each["SPDX-License-Identifier"]))
    return found


def test_every_file_says_the_right_licence() -> None:
    """The licence is in the SPDX line at its top, or in an entry of REUSE.toml."""
    entries = table()
    wrong = {}
    for name in files_of(ROOT):
        path = name.as_posix()
        said = line_of(ROOT / name)
        if said is None:
            said = next((entries[each] for each in entries if matches(path, each)), None)
        if said != licence_of(path):
            wrong[path] = f"{said} instead of {licence_of(path)}"
    assert wrong == {}


def test_every_entry_is_of_use() -> None:
    """Each pattern of REUSE.toml matches a file."""
    names = [name.as_posix() for name in files_of(ROOT)]
    assert [each for each in table() if not any(matches(name, each) for name in names)] == []


def test_the_texts_are_there() -> None:
    """LICENSES/ has the text of each licence in use, and no other; both are version 2."""
    texts = {path.stem: path.read_text() for path in (ROOT / "LICENSES").iterdir()}
    assert set(texts) == {USERSPACE, KERNEL}
    assert set(texts.values()) == {(ROOT / "LICENSE").read_text()}


def test_the_package_says_both() -> None:
    """Its metadata have both licences."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["license"].split(" AND ")) == {USERSPACE, KERNEL}


@pytest.mark.parametrize("manifest", sorted(ROOT.glob("*/schedulers/*/manifest.toml")), ids=str)
def test_schedulers_are_as_the_kernel_is(manifest: Path) -> None:
    """A scheduler's manifest names the licence of its C."""
    assert tomllib.loads(manifest.read_text())["license"] == KERNEL
