# SPDX-License-Identifier: GPL-2.0-or-later
"""A frozen state in a file, so that a restart of the daemon keeps it."""

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from process.text_file import write_whole

State = TypeVar("State", bound=BaseModel)


class StateFile(Generic[State]):
    """Holds a frozen state and stores each new one.

    A file that cannot be read is set aside, one that cannot be written is reported once; the daemon
    continues with the state in memory.
    """

    def __init__(self, path: Path, empty: State, on_trouble: Callable[[str], None]) -> None:
        self._path = path
        self._on_trouble = on_trouble
        self._told = False
        self.state = self._read(empty)

    def _read(self, empty: State) -> State:
        try:
            return type(empty).model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return empty
        except OSError as error:
            self._on_trouble(f"{self._path} cannot be read: {error.strerror}")
            return empty
        except ValidationError:
            aside = self._path.with_suffix(".json.corrupt")
            try:
                self._path.replace(aside)
                self._on_trouble(f"{self._path} was corrupt; it was set aside as {aside.name}")
            except OSError as error:
                self._on_trouble(f"{self._path} is corrupt and in the way: {error.strerror}")
            return empty

    def become(self, state: State) -> None:
        """Take a new state, and store it whole or not at all."""
        self.state = state
        try:
            write_whole(self._path, state.model_dump_json(), 0o644)
            self._told = False
        except OSError as error:
            if not self._told:
                self._told = True
                self._on_trouble(f"{self._path} cannot be written: {error.strerror}")
