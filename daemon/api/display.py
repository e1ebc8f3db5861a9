# SPDX-License-Identifier: GPL-2.0-or-later
"""Makes hostile text fit to be shown.

Whoever runs a process chooses the names of processes, cgroups and files. Before one leaves for a
terminal, the journal or an answer, it goes through `displayable`.
"""

_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def displayable(text: str, limit: int = 200) -> str:
    """`text` without characters that move a cursor, end a line or reverse the writing direction.

    Control, format (directional marks, zero-width joiners), separator, private and unassigned
    characters are written as escapes, as are bytes that were not UTF-8 (`surrogateescape`). A text
    longer than `limit` characters is cut there and ends in an ellipsis.
    """
    shown = "".join(each if each.isprintable() else _escaped(each) for each in text[:limit])
    return shown + "…" if len(text) > limit else shown


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        code -= 0xDC00
    if code < 0x100:
        return _NAMED.get(character) or f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
