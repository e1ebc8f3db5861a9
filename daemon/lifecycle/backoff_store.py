# SPDX-License-Identifier: GPL-2.0-or-later
"""The stored backoff and quarantines, so that a restart keeps them."""

from collections.abc import Callable
from pathlib import Path

from daemon.decide.backoff import Backoff
from daemon.decide.settings import LimitSettings
from daemon.lifecycle.state_file import StateFile

FILE = "standing.json"


class BackoffStore(StateFile[Backoff]):
    """Holds the frozen state of `decide.backoff`, with the limits by which it changes."""

    def __init__(
        self, folder: Path, limits: LimitSettings, on_trouble: Callable[[str], None]
    ) -> None:
        super().__init__(folder / FILE, Backoff(), on_trouble)
        self.limits = limits
