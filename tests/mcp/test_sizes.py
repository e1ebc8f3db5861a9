# SPDX-License-Identifier: GPL-2.0-or-later
"""First answers are small: what a model reads before it decides has at most 3,000 tokens."""

import asyncio

from benchmarks.mcp_sizes import FIRST, FIRST_TOKENS, measure, sizes
from tests.agent.machine import ServedMachine
from tests.mcp.conftest import Connect

# A page: nobody wants more at once without asking for it.
PAGE_TOKENS = 2000


def test_the_first_three_answers_fit_together(busy: ServedMachine, connect: Connect) -> None:
    """get_status, profile_workload and search_schedulers of a busy machine fit together; no other
    tool's answer is longer than a page."""

    async def use() -> dict[str, int]:
        async with connect() as client:
            return await sizes(client)

    found = asyncio.run(use())
    assert sum(found[name] for name in FIRST) <= FIRST_TOKENS
    assert {
        name for name, tokens in found.items() if tokens > PAGE_TOKENS and name[0] != "("
    } == set()


def test_the_benchmark_measures_the_same(busy: ServedMachine) -> None:
    """`make bench` prints the same figures that this test checks."""
    measured = asyncio.run(measure())
    assert measured["first_three"]
