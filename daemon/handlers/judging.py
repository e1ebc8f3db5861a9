# SPDX-License-Identifier: GPL-2.0-or-later
"""By what a candidate is judged, and a trial of it."""

from collections.abc import Sequence

from daemon.api.display import displayable
from daemon.api.models import GuardRequest, ProfileView
from daemon.decide.objective import Declared, Objective
from daemon.decide.yardstick import Yardstick, yardstick_of
from daemon.lifecycle.episodes import Episode
from daemon.signals.watch import Watch
from daemon.understanding.profiles import Profiles
from process import Fault, FaultType


class Judging:
    """By what a trial is judged: what was asked for, else what its episode or the operator says."""

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
    ) -> Yardstick:
        """By what the trials of an episode are judged that a person asked for."""
        return yardstick_of(
            workload,
            asked=asked,
            guards=guards,
            declared=self._declared,
            profile=profile,
            present=self._watch.series.workloads(),
        )

    def declared_for(self, workload: str) -> bool:
        """Whether the operator said what counts for a workload."""
        return any(each.of([workload]) == [workload] for each in self._declared)

    def expected(self, episode: Episode | None, workload: str) -> Yardstick | None:
        """By what a trial would be judged as things stand; None without a workload."""
        if not workload:
            return None
        own = episode is not None and episode.workload == workload
        return yardstick_of(
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
    ) -> Yardstick:
        """By what a trial of this workload is judged, in an episode or in none.

        Raises:
            Fault: a text that cannot be understood, a goal that is not clear yet, or an objective
                that is another one than a person gave.
        """
        own = episode is not None and episode.workload == workload
        found = yardstick_of(
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
                f"it is not clear by what episode {episode.id} is judged",
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
        """With the units of what is posted, where the objective's text names none."""
        posted = {name: self._watch.measurements(name, 0.0) for name in objective.measured}
        return objective.with_units(
            {name: found[-1].unit for name, found in posted.items() if found}
        )
