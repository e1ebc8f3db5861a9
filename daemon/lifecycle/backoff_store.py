# SPDX-License-Identifier: GPL-2.0-or-later
"""The stored backoff and quarantines, so that a restart keeps them."""

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from daemon.decide.backoff import Backoff
from daemon.decide.settings import LimitSettings
from process.text_file import write_whole

FILE = "standing.json"


class BackoffStore:
    """Holds the frozen state of `decide.backoff` and stores each new one.

    A file that cannot be read is set aside, one that cannot be written is reported once; the daemon
    continues with the state in memory.
    """

    def __init__(
        self, folder: Path, limits: LimitSettings, on_trouble: Callable[[str], None]
    ) -> None:
        self._path = folder / FILE
        self._on_trouble = on_trouble
        self._told = False
        self.limits = limits
        self.state = self._read()

    def _read(self) -> Backoff:
        try:
            return Backoff.model_validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return Backoff()
        except OSError as error:
            self._on_trouble(f"{self._path} cannot be read: {error.strerror}")
            return Backoff()
        except ValidationError:
            aside = self._path.with_suffix(".json.corrupt")
            try:
                self._path.replace(aside)
                self._on_trouble(f"{self._path} was corrupt; it was set aside as {aside.name}")
            except OSError as error:
                self._on_trouble(f"{self._path} is corrupt and in the way: {error.strerror}")
            return Backoff()

    def become(self, state: Backoff) -> None:
        """Take a new state, and store it whole or not at all."""
        self.state = state
        try:
            write_whole(self._path, state.model_dump_json(), 0o644)
            self._told = False
        except OSError as error:
            if not self._told:
                self._told = True
                self._on_trouble(f"{self._path} cannot be written: {error.strerror}")
