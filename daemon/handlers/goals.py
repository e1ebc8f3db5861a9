# SPDX-License-Identifier: GPL-2.0-or-later
"""What a person's goal means on this machine: the words, and the workloads that are there."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from daemon.api.models import GoalReading, GoalView, GuardView, ProgramKind

if TYPE_CHECKING:
    from daemon.decide.goals import Understood


def understood(
    goal: str,
    workload: str,
    kinds: Mapping[str, ProgramKind],
    names: Mapping[str, Sequence[str]],
    measured: Iterable[str],
) -> "Understood":
    """A goal, read for the workloads with these kinds and names. `workload` "" is not said yet."""
    # Late: a daemon that nobody asks does without the vocabulary.
    from daemon.decide.goals import Present, understand

    present = [Present(id, tuple(names.get(id, ())), kind) for id, kind in kinds.items()]
    return understand(goal, present, workload, tuple(measured))


def view_of(goal: str, found: "Understood") -> GoalView:
    return GoalView(
        goal=goal,
        workload=found.workload,
        objective=found.objective,
        guards=[GuardView(workload=each.workload, text=each.text) for each in found.guards],
        question=found.question,
        readings=[
            GoalReading(objective=each.objective, said=each.said, workload=each.workload)
            for each in found.readings
        ],
        notes=list(found.notes),
    )
