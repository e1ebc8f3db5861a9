# SPDX-License-Identifier: GPL-2.0-or-later
"""Which processes of a workload are shown."""

from daemon.understanding.tree import shown


def test_the_busiest_come_with_what_leads_to_them() -> None:
    """The heaviest leaf is shown below its parents, and light processes are left out."""
    parents = {1: 0, 2: 1, 3: 2, **dict.fromkeys(range(10, 30), 1)}
    weights = {3: 5.0, 15: 1.0}
    found = shown(parents, weights, most=4)
    assert found == [(1, 0), (2, 1), (3, 2), (15, 1)]


def test_a_circle_of_parents_ends() -> None:
    """Ids that were reused while the tree was read make no endless loop."""
    found = shown({5: 6, 6: 5}, {5: 1.0})
    assert {pid for pid, _ in found} <= {5, 6}


def test_all_are_shown_where_there_is_room() -> None:
    """A small workload is shown completely, parents first, whatever each process uses."""
    assert shown({4: 1, 7: 4, 9: 4}, {9: 2.0}) == [(4, 0), (7, 1), (9, 1)]


def test_nothing_is_nothing() -> None:
    """A workload without processes has an empty tree."""
    assert shown({}, {}) == []
