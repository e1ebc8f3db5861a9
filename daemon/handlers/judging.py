# SPDX-License-Identifier: GPL-2.0-or-later
"""How a candidate is judged, and a trial of it."""

from collections.abc import Sequence

from daemon.api.display import displayable
from daemon.api.models import GuardRequest, ProfileView
from daemon.decide.criteria import Criteria, criteria_of
from daemon.decide.objective import Declared, Objective
from daemon.lifecycle.episodes import Episode
from daemon.signals.watch import Watch
from daemon.understanding.profiles import Profiles
from process import Fault, FaultType


class Judging:
    """How a trial is judged: as requested, else as its episode or the operator says."""

    def __init__(
        self,
        *,
        declared: Sequence[Declared],
        watch: Watch,
        profiles: Profiles,
    ) -> None:
        self._declared = declared
        self._watch = watch
        self._profiles = profiles

    def asked(
        self,
        workload: str,
        asked: str | None,
        guards: Sequence[GuardRequest],
        profile: ProfileView,
    ) -> Criteria:
        """How the trials of an episode that a person opened are judged."""
        return criteria_of(
            workload,
            asked=asked,
            guards=guards,
            declared=self._declared,
            profile=profile,
            present=self._watch.series.workloads(),
        )

    def declared_for(self, workload: str) -> bool:
        """Whether the operator declared what counts for a workload."""
        return any(each.of([workload]) == [workload] for each in self._declared)

    def expected(self, episode: Episode | None, workload: str) -> Criteria | None:
        """How a trial would be judged at this moment; None without a workload."""
        if not workload:
            return None
        own = episode is not None and episode.workload == workload
        return criteria_of(
            workload,
            before=episode.objective if episode and own else None,
            guards_before=episode.guards if episode else (),
            declared=self._declared,
            profile=self._profiles.profile(workload),
        )

    def judged(
        self,
        episode: Episode | None,
        workload: str,
        asked: str | None,
        guards: Sequence[GuardRequest],
    ) -> Criteria:
        """How a trial of this workload is judged, in an episode or outside one.

        Raises:
            Fault: a text that cannot be understood, a goal that is not clear yet, or an objective
                that differs from the person's.
        """
        own = episode is not None and episode.workload == workload
        found = criteria_of(
            workload,
            asked=asked,
            guards=guards,
            before=episode.objective if episode and own else None,
            guards_before=episode.guards if episode else (),
            declared=self._declared,
            profile=self._profiles.profile(workload) if workload else None,
            present=self._watch.series.workloads(),
        )
        if episode is None or not own:
            return found
        if episode.question and not asked:
            raise Fault(
                FaultType.BAD_REQUEST,
                f"it is not clear how episode {episode.id} is judged",
                why=f"its goal is {displayable(episode.goal, 200)!r}: {episode.question}",
                hint="give the objective that the goal means, as `objective`, or ask the person",
            )
        given = episode.objective if episode.settled else None
        if given and found.objective.canonical != given.canonical:
            raise Fault(
                FaultType.NOT_ALLOWED,
                f"episode {episode.id} is judged by `{given.canonical}`",
                why="a person said so",
                hint="leave `objective` out",
            )
        return found.beside(episode.guards, settled=episode.settled)

    def with_units(self, objective: Objective) -> Objective:
        """Adds the units of reported measurements if the objective's text names none."""
        posted = {name: self._watch.measurements([name], 0.0) for name in objective.measured}
        return objective.with_units(
            {name: found[-1].unit for name, found in posted.items() if found}
        )
