# SPDX-License-Identifier: GPL-2.0-or-later
"""Today's spending on the model, in a file, so that a restart does not spend it twice.

Before each call its maximum cost is written down as held, and after it the actual cost. Costs still
held when the file is read belong to a call whose end nobody saw: they count as spent. If the file
cannot be understood, the spending is unknown, and no call is made.
"""

import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agent.claude.budget import Spend
from process import Fault, FaultType
from process.text_file import read_text, write_whole

FILE = "spent.json"
# The file has two short records.
LARGEST_BYTES = 4096


class _Spend(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    calls: int = Field(ge=0)
    input_tokens: int = Field(ge=0)
    output_tokens: int = Field(ge=0)
    money: float = Field(ge=0, allow_inf_nan=False)
    seconds: float = Field(ge=0, allow_inf_nan=False)

    def spend(self) -> Spend:
        return Spend(**self.model_dump())


class _Day(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    day: str = Field(pattern=r"^\d{4}-\d\d-\d\d$")
    spent: _Spend
    held: _Spend


class Ledger:
    """The day's spending. Days are those of UTC.

    Args:
        clock: Unix seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / FILE
        self._clock = clock

    def spent(self) -> Spend:
        """The amount spent today.

        Raises:
            Fault: STATE if that is not known.
        """
        try:
            text = read_text(
                self._path, largest_bytes=LARGEST_BYTES, type=FaultType.STATE, what="the account"
            )
        except FileNotFoundError:
            return Spend()
        try:
            known = _Day.model_validate_json(text)
        except ValidationError as error:
            raise Fault(
                FaultType.STATE,
                "what the model cost today is not known, so it is not asked",
                where=str(self._path),
                why=f"the file is damaged ({error.error_count()} problems)",
                hint="remove the file; the day's budget begins anew then",
            ) from None
        # Setting the clock back begins no new day.
        if known.day < self._today():
            return Spend()
        return known.spent.spend() + known.held.spend()

    def hold(self, most: Spend) -> None:
        """Write down the maximum cost of the call that is about to be made.

        Raises:
            Fault: STATE if it cannot be written.
        """
        self._write(self.spent(), most)

    def settle(self, before: Spend, actual: Spend) -> None:
        """Write down the actual cost; `before` is the amount spent before it was held.

        Raises:
            Fault: STATE if it cannot be written.
        """
        self._write(before + actual, Spend())

    def _today(self) -> str:
        return time.strftime("%Y-%m-%d", time.gmtime(self._clock()))

    def _write(self, spent: Spend, held: Spend) -> None:
        text = json.dumps({"day": self._today(), "spent": asdict(spent), "held": asdict(held)})
        try:
            write_whole(self._path, text, 0o600)
        except OSError as error:
            raise Fault(
                FaultType.STATE,
                "what the model costs cannot be written down, so it is not asked",
                where=str(self._path),
                why=error.strerror or str(error),
                hint="make the folder writable for the agent, or set claude.state_dir",
            ) from None
