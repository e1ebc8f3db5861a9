# SPDX-License-Identifier: GPL-2.0-or-later
"""The only way for text from the system to enter a prompt or a tool's answer.

Any user of the machine chooses process names, command lines, cgroup and file names, and messages
quote them. A model must be able to see where such text begins and ends, whatever it contains. So it
goes out between ⟦ and ⟧, without control characters, cut, and without marks inside.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

from daemon.api.display import displayable

OPEN, CLOSE = "⟦", "⟧"
# The marks, and characters that look like them.
_MARKS = str.maketrans({mark: f"\\u{ord(mark):04x}" for mark in "⟦⟧〚〛⟬⟭"})
_MARKED = re.compile(r"⟦[^⟦⟧]*⟧")
# Words that the daemon itself chooses: tags, ids, units, names of signals and schedulers.
_WORD = re.compile(r"[A-Za-z0-9%][A-Za-z0-9_./%-]{0,47}")


def marked(text: str, most: int = 120) -> str:
    """`text` as data: at most `most` characters of it, inside ⟦…⟧. Empty text stays empty."""
    if not text:
        return ""
    return OPEN + displayable(text, most).translate(_MARKS) + CLOSE


def word(text: str) -> str:
    """A word of the daemon's own, unchanged; marked if it turns out not to be one."""
    return text if not text or _WORD.fullmatch(text) else marked(text)


def outside_marks(text: str) -> str:
    """`text` without its marked parts; for tests."""
    return _MARKED.sub("", text)


def _short(text: str) -> str:
    return marked(text, 60)


def _said(text: str) -> str:
    return marked(text, 240)


def _body(text: str) -> str:
    return marked(text, 4000)


# Fields of answers: a name or a command, whole or long enough to be distinct; a sentence that may
# quote one; a text of many lines.
Name = Annotated[str, AfterValidator(marked)]
ShortName = Annotated[str, AfterValidator(_short)]
Said = Annotated[str, AfterValidator(_said)]
Body = Annotated[str, AfterValidator(_body)]
Word = Annotated[str, AfterValidator(word)]
