# SPDX-License-Identifier: GPL-2.0-or-later
"""The interface of a source: its readings, and how they are requested."""

from dataclasses import dataclass
from typing import Protocol, Self


@dataclass(frozen=True)
class MeasurementReading:
    """One interval of a source.

    Attributes:
        since: its start, Unix seconds.
        value: None if there is none (nothing happened, or this was the first reading).
        unit: the value's unit, if the source knows it.
        count: samples, events or counts behind the value.
        examples: a few of the samples, oldest first; for people.
        notes: further facts, such as why there is no value; hostile text is escaped.
    """

    since: float
    value: float | None
    unit: str = ""
    count: int = 0
    examples: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()


class MeasurementSource(Protocol):
    """Open while the block runs. `where` names it in messages."""

    where: str

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *error: object) -> None: ...

    async def take(self) -> MeasurementReading:
        """What happened since the last reading, or since it was opened.

        Raises:
            Fault: it cannot be read. The caller then closes and reopens it.
        """
        ...


class Momentary:
    """A source that holds nothing open between two readings."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        return
