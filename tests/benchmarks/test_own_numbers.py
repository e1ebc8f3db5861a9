# SPDX-License-Identifier: GPL-2.0-or-later

from benchmarks.applications import APPLICATIONS


def test_each_application_is_a_workload_by_itself() -> None:
    """The groups differ, or the signals of one application would include another's."""
    assert len({each.workload for each in APPLICATIONS}) == len(APPLICATIONS) == 7
