# SPDX-License-Identifier: GPL-2.0-or-later
"""The hooks of .pre-commit-config.yaml run what `make check` runs."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent
CONFIGURATION = (ROOT / ".pre-commit-config.yaml").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def values(key: str) -> list[str]:
    """The configuration's values for `key`, at any place; each is on its own line."""
    return re.findall(rf"^ *(?:- )?{key}: (.+)$", CONFIGURATION, re.MULTILINE)


def variables() -> dict[str, str]:
    """The Makefile's variables, by name."""
    found = re.findall(r"^(\w+) +[:?]?= (.*)$", MAKEFILE, re.MULTILINE)
    return dict(found)


def checks() -> list[list[str]]:
    """The commands of `make check`, without their files."""
    (rule,) = re.findall(r"^check: .*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    text = rule
    for name in ("PY", "CLANG_FORMAT"):
        text = text.replace(f"$({name})", variables()[name])
    lines = [line.removesuffix("$(C_FILES)").removesuffix(" .") for line in text.splitlines()]
    return [shlex.split(line) for line in lines]


def test_every_check_is_a_hook() -> None:
    """Each command of `make check` is the entry of a hook, with the same options."""
    entries = [shlex.split(entry) for entry in values("entry")]
    assert [each for each in checks() if each not in entries] == []


def test_no_hook_is_fetched() -> None:
    """All hooks are local: a commit needs no network."""
    assert set(values("repo")) == {"local"}
    assert set(values("language")) == {"system"}
    assert len(values("language")) == len(values("entry"))


def test_c_files_are_those_of_the_makefile() -> None:
    """The folders of clang-format's hook are `C_DIRS`."""
    (pattern,) = values("files")
    (folders,) = re.findall(r"\(([a-z_|]+)\)", pattern)
    assert set(folders.split("|")) == set(variables()["C_DIRS"].split())
