# SPDX-License-Identifier: GPL-2.0-or-later
"""A life cycle as a table: the states, and what leads from one to the next.

Every change of a state asks the table for the new one, so a change that the table does not have
cannot happen. The diagrams of docs/life-cycle.md are made from the same tables.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Generic, TypeVar

State = TypeVar("State", bound=StrEnum)
Cause = TypeVar("Cause", bound=StrEnum)


class NoSuchTransition(RuntimeError):
    """A change of state that the table does not have: a defect of the caller."""


class LifeCycle(Generic[State, Cause]):
    """The states of one kind of thing.

    Args:
        what: the kind of thing, for messages and the diagram.
        transitions: rows of state, cause and next state, in the order of the diagram; the state
            None stands before the beginning.

    Raises:
        ValueError: two rows have the same state and cause.
    """

    def __init__(self, what: str, transitions: Iterable[tuple[State | None, Cause, State]]) -> None:
        self.what = what
        self.transitions = tuple(transitions)
        self._next = {(before, cause): after for before, cause, after in self.transitions}
        if len(self._next) < len(self.transitions):
            raise ValueError(f"the life cycle of a {what} has two rows for one state and cause")

    def begin(self, cause: Cause) -> State:
        """The first state.

        Raises:
            NoSuchTransition: nothing begins that way.
        """
        return self._after(None, cause)

    def after(self, state: State, cause: Cause) -> State:
        """The state that follows.

        Raises:
            NoSuchTransition: the table has no such row.
        """
        return self._after(state, cause)

    def _after(self, state: State | None, cause: Cause) -> State:
        found = self._next.get((state, cause))
        if found is None:
            held = "that does not exist yet" if state is None else f"in the state {state.value!r}"
            raise NoSuchTransition(f"a {self.what} {held} cannot change by {cause.value!r}")
        return found

    def is_final(self, state: State) -> bool:
        """Whether no transition leads out of this state."""
        return all(before is not state for before, _, _ in self.transitions)

    def diagram(self) -> str:
        """The table as a state diagram in Mermaid, one arrow for each pair of states."""
        arrows: dict[tuple[State | None, State], list[str]] = {}
        for before, cause, after in self.transitions:
            arrows.setdefault((before, after), []).append(cause.value)
        states = list(dict.fromkeys(after for _, after in arrows))
        lines = ["stateDiagram-v2"]
        lines += [
            f'    state "{each.value}" as {_id(each)}' for each in states if _id(each) != each.value
        ]
        lines += [
            f"    {_id(before)} --> {_id(after)}: {' / '.join(causes)}"
            for (before, after), causes in arrows.items()
        ]
        lines += [f"    {_id(each)} --> [*]" for each in states if self.is_final(each)]
        return "\n".join(lines)


def _id(state: StrEnum | None) -> str:
    # A Mermaid identifier has no hyphen (and a label no colon or semicolon).
    return state.value.replace("-", "_") if state is not None else "[*]"
