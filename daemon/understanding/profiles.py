# SPDX-License-Identifier: GPL-2.0-or-later
"""What each workload is like now: from its last minutes, and from what is known of it besides."""

import os
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from daemon.api.models import Degradation, ProfileView, SignalPoint
from daemon.decide.jobs import Jobs
from daemon.decide.objective import Declared
from daemon.signals.watch import Watch
from daemon.understanding.inventory import last_level_caches
from daemon.understanding.profile import NOTHING, Besides, profile_of

if TYPE_CHECKING:
    from daemon.understanding.programs import Known, Programs


# The intervals a profile is made from: what it is like now, and not what it was like.
PROFILE_INTERVALS = 20


class Profiles:
    """Makes the profile of any workload. `degraded`: what is worse than before, now."""

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
        self._caches = last_level_caches()

    def profile(self, id: str) -> ProfileView:
        """What a workload is like, from its last minutes, and what is known of it besides."""
        began = self._began()
        before = [each for each in self._watch.series.since(id, 0.0) if each.at < began]
        return self._lately(id, began, self._besides(id, before))

    def figures(self, id: str) -> dict[str, float]:
        """What was measured of a workload in its last minutes, as in its profile."""
        return self._lately(id, self._began()).figures

    def _began(self) -> float:
        """When the last minutes began, that a workload is judged by."""
        return time.time() - PROFILE_INTERVALS * self._watch.interval_s

    def _lately(self, id: str, began: float, besides: Besides = NOTHING) -> ProfileView:
        """What a workload was like in its last minutes: its figures are those of `profile`."""
        line = self._watch.line
        return profile_of(
            id,
            self._watch.series.since(id, began),
            self._watch.observation,
            machine_cpus=line.machine.cpus if line else (os.cpu_count() or 1),
            machine_utilisation=line.machine.utilisation if line else 0.0,
            machine_caches=self._caches,
            finished=self._jobs.finished(id, time.time()),
            besides=besides,
        )

    def _besides(self, id: str, before: list[SignalPoint]) -> Besides:
        """What is known of a workload beside its last minutes."""
        declared = self._declared_for(id)
        if self._watch.series.last(id) is None:
            # Its cgroup is looked for only where the signals tell of it.
            return Besides(declared)
        known = self.known(id)
        return Besides(declared, known.said, known.of_the_kernel, before)

    def known(self, id: str) -> "Known":
        """What the program of a workload that is there is known to be."""
        # Late: a daemon that nobody asks does without its tables.
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
