# SPDX-License-Identifier: GPL-2.0-or-later
"""A systemd unit's log messages as numbers, through journalctl: each matching line is a sample.

journal = { unit = "shop.service", pattern = "took ([0-9.]+) ms" }
"""

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from agent.measuring.pattern import Pattern
from agent.measuring.table import AgentTable, Unit
from process import Fault, FaultType, run, start_lines

# journalctl's message if it may not read anything; sd_journal_open() succeeds nevertheless.
_CLOSED = ("insufficient permissions", "not seeing messages", "Permission denied")
_HINT = (
    "let the agent read the journal: `systemctl edit schedpilot-agent`, [Service], "
    "SupplementaryGroups=systemd-journal; for a test by hand be in that group or root"
)


def _pattern(text: str) -> str:
    Pattern(text)
    return text


PatternText = Annotated[str, AfterValidator(_pattern)]


class Journal(AgentTable):
    """Lines of one unit from now on. `pattern` has one group: the number."""

    unit: Unit
    pattern: PatternText


async def journal(unit: str) -> AsyncGenerator[str, None]:
    """The messages of a unit from now on.

    Raises:
        Fault: NOT_ALLOWED, NOT_FOUND, MISSING_TOOL, CHILD_FAILED.
    """
    # Without permission it would wait for ever and report nothing.
    if fault := await asyncio.to_thread(may_read):
        fault.where = unit
        raise fault
    said: deque[str] = deque(maxlen=5)
    child = await start_lines(
        [
            *("journalctl", "--follow", "--lines=0", "--no-pager", "--output=json"),
            *("--output-fields=MESSAGE", f"--unit={unit}", *_here()),
        ],
        on_error_line=said.append,
    )
    try:
        async for raw in child.lines():
            # A line of many megabytes or without JSON is never a sample.
            message = message_of(raw)
            if message is not None:
                yield message
    except ValueError:
        raise Fault(
            FaultType.CHILD_FAILED, "a line of the journal is too long", where=unit
        ) from None
    finally:
        await child.end()
    raise _refused(unit, said)


def _here(file: Path = Path("/etc/machine-id")) -> list[str]:
    """Options for the entries of this machine, of any boot.

    Without --merge journalctl asks for the boot's id, which the agent's unit hides from it
    (ProcSubset=); with it, entries that other machines sent here would count, too.
    """
    try:
        id_ = file.read_text("ascii").strip()
    except (OSError, ValueError):
        id_ = ""
    return ["--merge", *([f"_MACHINE_ID={id_}"] if re.fullmatch(r"[0-9a-f]{32}", id_) else [])]


def message_of(raw: bytes) -> str | None:
    """The text of one entry; None if it has none, or too much of it (journalctl(1), json)."""
    try:
        message = json.loads(raw).get("MESSAGE")
    except (ValueError, AttributeError, RecursionError):
        return None
    if isinstance(message, list) and len(message) <= 4 * 4096:
        # Text that is not UTF-8 comes as numbers.
        try:
            return bytes(message).decode("utf-8", "replace")
        except (ValueError, TypeError):
            return None
    return message if isinstance(message, str) else None


def _refused(unit: str, said: deque[str]) -> Fault:
    why = " ".join(line.strip() for line in said)[:300]
    if any(each in why for each in _CLOSED):
        return Fault(
            FaultType.NOT_ALLOWED, "the journal may not be read", where=unit, why=why, hint=_HINT
        )
    return Fault(
        FaultType.CHILD_FAILED,
        "journalctl ended",
        where=unit,
        why=why or "it printed nothing",
        hint=_HINT,
    )


def absent(unit: str) -> Fault | None:
    """The unit's problem according to systemd; None if none is known."""
    try:
        done = run(
            ["systemctl", "show", "--property=LoadState,ActiveState", "--", unit],
            timeout=5,
            check=False,
        )
    except Fault:
        return None
    facts = dict(line.split("=", 1) for line in done.text.splitlines() if "=" in line)
    if facts.get("LoadState") == "not-found":
        return Fault(
            FaultType.NOT_FOUND,
            "there is no such unit",
            where=unit,
            hint="`systemctl list-units --type=service` lists the units",
        )
    if facts.get("ActiveState") in ("inactive", "failed"):
        return Fault(
            FaultType.STATE,
            "the unit is not running",
            where=unit,
            why=f"it is {facts['ActiveState']}",
            hint=f"start it: systemctl start {unit}",
        )
    return None


def may_read() -> Fault | None:
    """Whether the system's journal may be read; if not, journalctl follows it silently."""
    try:
        done = run(
            ["journalctl", "--system", "--lines=1", "--no-pager", "--output=cat"],
            timeout=10,
            check=False,
        )
    except Fault as fault:
        return fault
    why = done.error_text.strip()
    if any(each in why for each in _CLOSED):
        return Fault(
            FaultType.NOT_ALLOWED, "the journal may not be read", why=why[:300], hint=_HINT
        )
    return None
