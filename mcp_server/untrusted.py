# SPDX-License-Identifier: GPL-2.0-or-later
"""The one way in which text from the system enters a prompt or a tool's answer.

Any user of the machine chooses process names, command lines, cgroup and file names, and
messages quote them. A model must be able to see where such text begins and ends, whatever is
in it. So it goes out between ⟦ and ⟧, without control characters, cut, and with no mark inside.
"""

import re
from typing import Annotated

from pydantic import AfterValidator

from daemon.api.display import displayable

OPEN, CLOSE = "⟦", "⟧"
# The marks, and what can be taken for one.
_MARKS = str.maketrans({mark: f"\\u{ord(mark):04x}" for mark in "⟦⟧〚〛⟬⟭"})
_MARKED = re.compile(r"⟦[^⟦⟧]*⟧")
# What the daemon chooses itself: tags, ids, units, names of signals and schedulers.
_WORD = re.compile(r"[A-Za-z0-9%][A-Za-z0-9_./%-]{0,47}")


def marked(text: str, most: int = 120) -> str:
    """`text` as data: at most `most` characters of it, inside ⟦…⟧. No text stays no text."""
    if not text:
        return ""
    return OPEN + displayable(text, most).translate(_MARKS) + CLOSE


def word(text: str) -> str:
    """A word of the daemon's own as it is; marked where it is no such word after all."""
    return text if not text or _WORD.fullmatch(text) else marked(text)


def outside_marks(text: str) -> str:
    """What is left of `text` without everything that is marked; for those who check it."""
    return _MARKED.sub("", text)


def _short(text: str) -> str:
    return marked(text, 60)


def _said(text: str) -> str:
    return marked(text, 240)


def _body(text: str) -> str:
    return marked(text, 4000)


# Fields of answers: a name or a command, whole or as much as tells it from others; a sentence
# that may quote one; a text of many lines.
Name = Annotated[str, AfterValidator(marked)]
ShortName = Annotated[str, AfterValidator(_short)]
Said = Annotated[str, AfterValidator(_said)]
Body = Annotated[str, AfterValidator(_body)]
Word = Annotated[str, AfterValidator(word)]
