# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/glossary.md has the words that the project uses, and no others."""

import re
from pathlib import Path

from tests.test_names import all_classes, packages

ROOT = Path(__file__).parent.parent
GLOSSARY = ROOT / "docs/glossary.md"
ROW = re.compile(r"^\| (?P<word>[^|]+) \| (?P<meaning>[^|]+) \|$", re.MULTILINE)
ROWS = [
    (each["word"].strip(), each["meaning"])
    for each in ROW.finditer(GLOSSARY.read_text())
    if each["word"] != "word"
]


def elsewhere() -> str:
    """All code and documents except for the glossary, in small letters and without line breaks."""
    files = [path for path in (ROOT / "docs").rglob("*.md") if path != GLOSSARY]
    files += [path for folder in packages() for path in folder.rglob("*.py")]
    files += [ROOT / "README.md", *(ROOT / "bpf").rglob("*.[ch]")]
    return " ".join(" ".join(path.read_text().split()) for path in files).casefold()


def test_every_word_is_in_use() -> None:
    """A word that appears nowhere else would be one that nobody has to know."""
    text = elsewhere()
    words = {part for word, _ in ROWS for part in re.split(r" \(|\)", word.strip("`")) if part}
    # The only use may be a class: `EpisodeDriver` for "episode driver".
    unused = {
        word
        for word in words
        if word.casefold() not in text and word.casefold().replace(" ", "") not in text
    }
    assert not unused


def test_every_word_has_one_meaning() -> None:
    """No word is in two rows."""
    words = [word for word, _ in ROWS]
    assert sorted(set(words)) == sorted(words)


def test_every_class_that_is_named_exists() -> None:
    """The class behind a word can be found."""
    named = {name for _, meaning in ROWS for name in re.findall(r"`([A-Z]\w+)`", meaning)}
    assert named - all_classes().keys() == set()
