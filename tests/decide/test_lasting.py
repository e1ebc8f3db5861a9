# SPDX-License-Identifier: GPL-2.0-or-later
from hypothesis import given
from hypothesis import strategies as st

from daemon.decide.lasting import STILL, IntervalMark, Lasting


def run(marks: list[IntervalMark], bad: int, of: int, calm: int) -> list[Lasting]:
    states = []
    state = STILL
    for number, mark in enumerate(marks, 1):
        state = state.after(mark, float(number), bad=bad, of=of, calm=calm)
        states.append(state)
    return states


@given(st.lists(st.sampled_from(IntervalMark), max_size=40), st.integers(1, 5), st.integers(0, 4))
def test_it_begins_with_k_of_n_and_ends_with_a_calm_row(
    marks: list[IntervalMark], bad: int, more: int
) -> None:
    """It is active from k bad intervals of the last n on, until enough calm ones in a row."""
    of, calm = bad + more, 3
    states = run(marks, bad, of, calm)
    start, active = 0, False
    for number in range(len(marks)):
        if active:
            row = marks[max(start, number - calm + 1) : number + 1]
            if len(row) == calm and all(mark is IntervalMark.CALM for mark in row):
                active, start = False, number + 1
        else:
            recent = marks[max(start, number - of + 1) : number + 1]
            if recent.count(IntervalMark.BAD) >= bad:
                active = True
        assert states[number].active is active


def test_since_is_the_first_bad_interval() -> None:
    """It began with the first of the counted intervals."""
    states = run(
        [
            IntervalMark.CALM,
            IntervalMark.BAD,
            IntervalMark.BETWEEN,
            IntervalMark.BAD,
            IntervalMark.BAD,
        ],
        3,
        5,
        3,
    )
    assert states[-1].since == 2.0
