# SPDX-License-Identifier: GPL-2.0-or-later
"""What a source answers, and what it is asked."""

from dataclasses import dataclass
from typing import Protocol, Self


@dataclass(frozen=True)
class Reading:
    """One interval of a source.

    Attributes:
        since: when it began, Unix seconds.
        value: None where there is none (nothing happened, or this was the first look).
        unit: of the value, as far as the source knows it.
        count: samples, events or counts that the value is made of.
        examples: a few of the samples, oldest first; for people.
        notes: what else there is to know, such as why there is no value; hostile text is escaped.
    """

    since: float
    value: float | None
    unit: str = ""
    count: int = 0
    examples: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


class Source(Protocol):
    """Open for the length of a block. `where` names it in messages."""

    where: str

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *error: object) -> None: ...

    async def take(self) -> Reading:
        """What happened since the last time, or since it was opened.

        Raises:
            Fault: it cannot be read. Then it is closed and opened again.
        """
        ...


class Momentary:
    """A source that holds nothing open between two looks."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        return
