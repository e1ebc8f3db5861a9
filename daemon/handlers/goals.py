# SPDX-License-Identifier: GPL-2.0-or-later
"""The meaning of a person's goal on this machine: the words, and the existing workloads."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from daemon.api.models import GoalReading, GoalView, GuardView, ProgramKind
from daemon.signals.watch import Watch
from daemon.understanding.inventory import names_of
from daemon.understanding.profiles import Profiles

if TYPE_CHECKING:
    from daemon.decide.goals import UnderstoodGoal


class GoalsHandler:
    """`looking` limits how many looks at workloads and readings of goals run at once."""

    def __init__(
        self,
        *,
        watch: Watch,
        profiles: Profiles,
        looking: asyncio.Semaphore,
    ) -> None:
        self._watch = watch
        self._profiles = profiles
        self._looking = looking

    async def goal(self, goal: str, workload: str) -> GoalView:
        # Everybody may ask, and comparing many mistyped words with many names is expensive.
        async with self._looking:
            return view_of(goal, await self.understood(goal, workload))

    async def understood(self, goal: str, workload: str) -> "UnderstoodGoal":
        """The meaning of a goal in words, for a workload or for one that the words name."""
        ids = self._watch.series.workloads()
        kinds = {
            id: known.kind if (known := self._profiles.known(id).kind) else ProgramKind.UNKNOWN
            for id in ids
        }
        names = await asyncio.to_thread(names_of, [id for id in ids if id.startswith("cgroup:")])
        measured = self._watch.measured()
        return await asyncio.to_thread(understood, goal, workload, kinds, names, measured)


def understood(
    goal: str,
    workload: str,
    kinds: Mapping[str, ProgramKind],
    names: Mapping[str, Sequence[str]],
    measured: Iterable[str],
) -> "UnderstoodGoal":
    """A goal, understood for the workloads with these kinds and names.

    `workload` "": not given yet.
    """
    # Imported late: a daemon that nobody asks does without the vocabulary.
    from daemon.decide.goals import Present, understand

    present = [Present(id, tuple(names.get(id, ())), kind) for id, kind in kinds.items()]
    return understand(goal, present, workload, tuple(measured))


def view_of(goal: str, found: "UnderstoodGoal") -> GoalView:
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
