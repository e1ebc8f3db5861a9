# SPDX-License-Identifier: GPL-2.0-or-later
"""Policies are compiled once: in the daemon or in a child, or they come from the cache."""

import asyncio
from pathlib import Path

import pytest

from daemon.gates.compiled_policies import Used, Written, compiled
from process import Fault, FaultType, Priority, at_priority

LINE = 'unit = "redis.service" { latency; slice 500us }; user = "root" { slice 9ms }; * { idle }'


def test_what_was_kept_is_what_was_compiled(tmp_path: Path) -> None:
    """Source, parameters and facts are the same, and the answer is marked as an earlier one."""
    first, made = asyncio.run(compiled(LINE, cache=tmp_path))
    again, kept = asyncio.run(compiled(LINE, cache=tmp_path))
    assert (first.reused, again.reused) == (False, True)
    assert isinstance(made, Written)
    assert kept == made
    assert made.facts.selectors
    assert made.manifest.params


def test_a_child_compiles_it_to_the_same(tmp_path: Path) -> None:
    """The child's outcome is the daemon's own."""
    _, made = asyncio.run(compiled(LINE, cache=None))
    _, by_child = asyncio.run(compiled(LINE, cache=tmp_path, apart=True))
    assert by_child == made


def test_a_refusal_of_the_child_is_the_compilers(tmp_path: Path) -> None:
    """Column, expectation and hint arrive, and nothing is stored."""
    with pytest.raises(Fault) as here:
        asyncio.run(compiled("slice fase", cache=tmp_path))
    with pytest.raises(Fault) as child:
        asyncio.run(compiled("slice fase", cache=tmp_path, apart=True))
    assert child.value.type is FaultType.BAD_POLICY
    assert child.value.report() == here.value.report()


def test_what_another_scheduler_is_asked_for_is_kept_too(tmp_path: Path) -> None:
    """`use` names the scheduler and its settings."""
    text = "use scx_lavd performance=true"
    _, made = asyncio.run(compiled(text, cache=tmp_path))
    _, kept = asyncio.run(compiled(text, cache=tmp_path))
    assert made == kept == Used("scx_lavd", {"performance": "true"})


def test_nothing_is_started_for_what_was_given_up(tmp_path: Path) -> None:
    """Without an earlier answer, it says that the work continues later."""
    with at_priority(Priority.AHEAD) as work:
        work.give_up()
        with pytest.raises(Fault) as caught:
            asyncio.run(compiled(LINE, cache=tmp_path, apart=True))
    assert caught.value.type is FaultType.BUSY


def test_doubts_and_places_are_kept_too(tmp_path: Path) -> None:
    """The compiler's notes, and the place in the policy of each C block."""
    text = "nice > 50 { c slice { return ms(1); } }"
    for _ in range(2):
        gate, made = asyncio.run(compiled(text, cache=tmp_path))
        assert [(each.severity, each.column) for each in gate.messages] == [("warning", 1)]
        assert isinstance(made, Written)
        assert list(made.origin.values()) == [(1, 23)]
