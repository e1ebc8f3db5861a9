# SPDX-License-Identifier: GPL-2.0-or-later
"""Charges calls to the episode's budget and the day's, recorded before and after each call."""

from agent.claude.budget import (
    Exhausted,
    Purse,
    Room,
    Spend,
    TokenUsage,
    at_most,
    room,
    spend_of,
)
from agent.claude.ledger import Ledger
from agent.claude.settings import Claude
from agent.delegation import HandedOn
from agent.episode import Spent
from process import Fault


class Spending:
    """The budgets of one episode; an `agent.claude.model.Meter`.

    Args:
        spent: the episode's record, which is increased.
    """

    def __init__(self, settings: Claude, ledger: Ledger, spent: Spent) -> None:
        self._settings = settings
        self._ledger = ledger
        self._record = spent
        self._episode = Spend()
        self._day = Spend()
        self.last = TokenUsage()

    def allow(self, input_tokens: int, wanted_tokens: int) -> Room:
        """The limits of the next call; held until `charge`.

        Raises:
            HandedOn: a budget is used up, or today's spending is not known.
        """
        settings = self._settings
        try:
            self._day = self._ledger.spent()
            found = room(
                (
                    Purse("episode", settings.episode, self._episode),
                    Purse("day", settings.day, self._day),
                ),
                input_tokens,
                wanted_tokens,
                settings.price,
            )
            if isinstance(found, Exhausted):
                raise HandedOn(found.why)
            self._ledger.hold(at_most(input_tokens, found.max_tokens, settings.price))
        except Fault as fault:
            raise HandedOn(str(fault)) from fault
        return found

    def charge(self, usage: TokenUsage, seconds: float) -> None:
        """The call's actual cost, in place of what was held for it."""
        actual = spend_of(usage, self._settings.price, seconds)
        self.last = usage
        self._episode += actual
        self._record.add(actual.report())
        try:
            self._ledger.settle(self._day, actual)
        except Fault as fault:
            # The held amount stays held, which is more than was spent.
            raise HandedOn(str(fault)) from fault
