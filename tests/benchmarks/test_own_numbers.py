# SPDX-License-Identifier: GPL-2.0-or-later

from benchmarks.applications import APPLICATIONS


def test_each_application_is_a_workload_by_itself() -> None:
    """Otherwise what is seen of one would be another's, too."""
    assert len({each.workload for each in APPLICATIONS}) == len(APPLICATIONS) == 7
