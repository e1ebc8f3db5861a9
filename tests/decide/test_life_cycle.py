# SPDX-License-Identifier: GPL-2.0-or-later
"""States and their changes: only the tables decide, which docs/life-cycle.md shows."""

import ast
import re
from enum import StrEnum
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from daemon.api.models import EpisodeState, TrialState
from daemon.decide.episode_states import EPISODE_LIFE, EpisodeChange
from daemon.decide.life_cycle import LifeCycle, NoSuchTransition
from daemon.decide.trial_states import TRIAL_LIFE, TrialChange

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "life-cycle.md"
LIVES: list[tuple[LifeCycle[Any, Any], type[StrEnum], type[StrEnum]]] = [
    (TRIAL_LIFE, TrialState, TrialChange),
    (EPISODE_LIFE, EpisodeState, EpisodeChange),
]
each_life = pytest.mark.parametrize(
    ("life", "states", "causes"), LIVES, ids=[life.what for life, _, _ in LIVES]
)


@each_life
def test_the_page_shows_the_table(
    life: LifeCycle[Any, Any], states: type[StrEnum], causes: type[StrEnum]
) -> None:
    """Each diagram of docs/life-cycle.md is made from its table."""
    shown = re.findall(r"```mermaid\n(.*?)\n```", PAGE.read_text(), re.DOTALL)
    assert life.diagram() in shown, f"put this into {PAGE.name}:\n{life.diagram()}"
    assert len(shown) == len(LIVES)


@each_life
def test_every_state_can_be_reached_and_left_or_is_final(
    life: LifeCycle[Any, Any], states: type[StrEnum], causes: type[StrEnum]
) -> None:
    """No state and no cause of the API's is missing from the table, and every life can end."""
    assert {after for _, _, after in life.transitions} == set(states)
    assert {cause for _, cause, _ in life.transitions} == set(causes)
    ends = {state for state in states if life.is_final(state)}
    for _ in states:
        ends |= {before for before, _, after in life.transitions if before and after in ends}
    assert ends == set(states)


@each_life
def test_what_the_table_does_not_have_is_refused(
    life: LifeCycle[Any, Any], states: type[StrEnum], causes: type[StrEnum]
) -> None:
    """Every other pair of state and cause raises, and names both."""
    known = {(before, cause) for before, cause, _ in life.transitions}
    for state, cause in product(states, causes):
        if (state, cause) not in known:
            with pytest.raises(NoSuchTransition, match=re.escape(state.value)) as caught:
                life.after(state, cause)
            assert cause.value in str(caught.value)
    for cause in causes:
        if (None, cause) not in known:
            with pytest.raises(NoSuchTransition, match="does not exist yet"):
                life.begin(cause)


def test_a_final_state_stays() -> None:
    """A trial that is kept cannot fail, be declined or run again."""
    for change in TrialChange:
        with pytest.raises(NoSuchTransition):
            TRIAL_LIFE.after(TrialState.KEPT, change)


def test_two_rows_for_one_cause_are_no_table() -> None:
    """No pair appears twice, or the next state would depend on the order of the rows."""
    rows = [
        (EpisodeState.OPEN, EpisodeChange.CLOSED, EpisodeState.CLOSED),
        (EpisodeState.OPEN, EpisodeChange.CLOSED, EpisodeState.OPEN),
    ]
    with pytest.raises(ValueError, match="two rows"):
        LifeCycle("thing", rows)


def _named(path: Path) -> list[str]:
    """The places in which a file sets a state by its name instead of using the table."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Assign):
            targets = ", ".join(map(ast.unparse, node.targets))
            named = re.search(r"(Trial|Episode)State\.", ast.unparse(node.value))
            if named and re.search(r"\.\w*state\b", targets):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    return found


def test_no_state_is_set_past_the_table() -> None:
    """No file of the daemon sets the state of a trial or an episode by its name."""
    found = [each for path in sorted((ROOT / "daemon").rglob("*.py")) for each in _named(path)]
    assert not found, "\n".join(found)
