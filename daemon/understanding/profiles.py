# SPDX-License-Identifier: GPL-2.0-or-later
"""The current profile of each workload: from its last minutes, and other knowledge about it."""

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from daemon.api.models import Degradation, ProfileView, SignalPoint
from daemon.decide.jobs import Jobs
from daemon.decide.objective import Declared
from daemon.signals.watch import Watch
from daemon.understanding.profile import NOTHING, Besides, profile_of
from scheduler_library.topology_here import topology_here

if TYPE_CHECKING:
    from daemon.understanding.programs import KnownProgram, Programs


# The intervals for a profile: the current behaviour, not the past one.
PROFILE_INTERVALS = 20


class Profiles:
    """Makes the profile of any workload. `degraded`: the currently degraded ones."""

    def __init__(
        self,
        *,
        declared: Sequence[Declared],
        watch: Watch,
        jobs: Jobs,
        degraded: Callable[[], list[Degradation]],
    ) -> None:
        self._declared = declared
        self._watch = watch
        self._jobs = jobs
        self._degraded = degraded
        self._programs: Programs | None = None

    def profile(self, id: str) -> ProfileView:
        """A workload's tags, from its last minutes and other knowledge about it."""
        began = self._began()
        before = [each for each in self._watch.series.since(id, 0.0) if each.at < began]
        return self._lately(id, began, self._besides(id, before))

    def figures(self, id: str) -> dict[str, float]:
        """A workload's measurements of the last minutes, as in its profile."""
        return self._lately(id, self._began()).figures

    def _began(self) -> float:
        """Start of the last minutes by which a workload is judged."""
        return time.time() - PROFILE_INTERVALS * self._watch.interval_s

    def _lately(self, id: str, began: float, besides: Besides = NOTHING) -> ProfileView:
        """A workload's state in its last minutes: its figures are those of `profile`."""
        line = self._watch.line
        return profile_of(
            id,
            self._watch.series.since(id, began),
            self._watch.observation,
            machine_cpus=line.machine.cpus if line else (os.cpu_count() or 1),
            machine_utilisation=line.machine.utilisation if line else 0.0,
            machine_caches=len(topology_here().llcs),
            finished=self._jobs.finished(id, time.time()),
            besides=besides,
        )

    def _besides(self, id: str, before: list[SignalPoint]) -> Besides:
        """The knowledge about a workload beside its last minutes."""
        declared = self._declared_for(id)
        if self._watch.series.last(id) is None:
            # Its cgroup is looked up only if the signals report it.
            return Besides(declared)
        known = self.known(id)
        return Besides(declared, known.said, known.of_the_kernel, before)

    def known(self, id: str) -> "KnownProgram":
        """The kind of program of an existing workload."""
        # Imported late: a daemon that nobody asks does without its tables.
        from daemon.understanding.programs import Programs

        if self._programs is None:
            self._programs = Programs()
        return self._programs.known(id)

    def _declared_for(self, id: str) -> list[str]:
        """The text of the objectives that were declared for a workload, broken ones first."""
        broken = {
            each.objective for each in self._degraded() if each.workload == id and each.objective
        }
        texts = [each.objective.text for each in self._declared if id in each.of([id])]
        return sorted(texts, key=lambda text: text not in broken)
