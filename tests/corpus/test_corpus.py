# SPDX-License-Identifier: GPL-2.0-or-later
"""Bad schedulers are stopped before a trial, for the right reason; good ones are not."""

import re
from collections import Counter
from typing import Any
from zlib import crc32

import pytest

from simulator.controls import CONTROLS
from simulator.gates import GateOutcome

from .conftest import Verdicts
from .table import KERNEL_GATE, expected, names

# Of those that are stopped by the same words, so many are asked about in every run, and so many
# good ones; all by hand: make test TESTS='-m "long or not long" tests/corpus/test_corpus.py'
ALIKE = 3
# Those that break a resource control pass the whole stress set first, so one for each scenario.
ALIKE_CONTROLS = 1
GOOD_OFTEN = 30


def _bad() -> list[Any]:
    seen: Counter[tuple[str, str]] = Counter()
    found = []
    for name, each in expected().items():
        if each.gate == KERNEL_GATE:
            continue
        scenario = each.message.partition(":")[0]
        words, often = each.message, ALIKE
        if scenario in CONTROLS:
            words, often = scenario, ALIKE_CONTROLS
        seen[each.gate, words] += 1
        seldom = seen[each.gate, words] > often
        found.append(pytest.param(name, marks=[pytest.mark.long] if seldom else []))
    return found


def _good() -> list[Any]:
    # In another order than that of their names, in which those of a kind are neighbours.
    mixed = sorted(names("good"), key=lambda name: crc32(name.encode()))
    return [
        pytest.param(name, marks=[pytest.mark.long] if at >= GOOD_OFTEN else [])
        for at, name in enumerate(mixed)
    ]


def said(answer: GateOutcome) -> str:
    return "\n".join(
        f"{each.file}:{each.line}: {each.severity}: {each.message} ({each.cause}) → {each.fix}"
        for each in answer.messages
    )


def test_the_corpus_is_as_large_as_it_claims() -> None:
    """There are at least sixty bad and thirty good ones, and each bad one has an entry in the
    table; among them twenty that break a resource control, and six that honour theirs."""
    assert list(expected()) == names("bad")
    assert len(expected()) >= 60
    assert len(names("good")) >= 30
    about_controls = [each for each in names("bad") if each.startswith("control_")]
    assert len(about_controls) >= 20
    assert len([each for each in names("good") if each.startswith("control_")]) >= 6


@pytest.mark.parametrize("kind", ["bad"])
@pytest.mark.parametrize("name", _bad())
def test_a_bad_scheduler_is_stopped(verdicts: Verdicts, kind: str, name: str) -> None:
    """The first gate that can see the mistake stops it, and says what is wrong and what to do."""
    answers = verdicts[kind, name].result()
    last = answers[-1]
    assert not last.passed, said(last)
    assert last.gate == expected()[name].gate, said(last)
    errors = [each for each in last.messages if each.severity == "error"]
    found = [
        each
        for each in errors
        if re.search(expected()[name].message, f"{each.message} ({each.cause})")
    ]
    assert found, said(last)
    assert found[0].fix, said(last)


@pytest.mark.parametrize("kind", ["good"])
@pytest.mark.parametrize("name", _good())
def test_a_good_scheduler_is_not_stopped(verdicts: Verdicts, kind: str, name: str) -> None:
    """Static check, build and the whole stress set let it pass, whatever its style is."""
    answers = verdicts[kind, name].result()
    assert [each.gate for each in answers] == ["static", "build", "simulate"], said(answers[-1])
    assert answers[-1].passed, said(answers[-1])


@pytest.mark.long
@pytest.mark.parametrize("kind", ["bad"])
@pytest.mark.parametrize(
    "name", [name for name, each in expected().items() if each.gate == KERNEL_GATE]
)
def test_what_only_a_kernel_sees_is_named(verdicts: Verdicts, kind: str, name: str) -> None:
    """The ones that the table leaves to a real kernel pass all gates that need none."""
    answers = verdicts[kind, name].result()
    assert [each.gate for each in answers] == ["static", "build", "simulate"], said(answers[-1])
    assert answers[-1].passed, said(answers[-1])
