# SPDX-License-Identifier: GPL-2.0-or-later
"""The operator's objectives, and their current state."""

from collections.abc import Callable, Sequence

from daemon.api.models import Degradation, ObjectiveView
from daemon.decide.defaults import warnings_of
from daemon.decide.objective import Declared
from daemon.decide.values import value_of
from daemon.signals.watch import Watch
from daemon.understanding.profiles import Profiles


class Objectives:
    """The declared objectives with their values of the last interval."""

    def __init__(
        self,
        *,
        declared: Sequence[Declared],
        watch: Watch,
        profiles: Profiles,
        degraded: Callable[[], list[Degradation]],
    ) -> None:
        self._declared = declared
        self._watch = watch
        self._profiles = profiles
        self._degraded = degraded

    def views(self) -> list[ObjectiveView]:
        observation = self._watch.observation
        broken = {(each.workload, each.objective) for each in self._degraded() if each.objective}
        views = []
        ids = list(observation.workloads) if observation else []
        for declared in self._declared:
            objective = declared.objective
            for workload in declared.of(ids) or [declared.workload]:
                value = None
                if observation is not None:
                    found = self._watch.measurements(objective.measured, observation.began)
                    value = value_of(objective, workload, [observation], found)
                view = objective.view(
                    workload,
                    value.value if value else None,
                    (workload, objective.text) in broken,
                )
                figures = self._profiles.figures(workload)
                warned = "; ".join(warnings_of(objective, figures))
                views.append(view.model_copy(update={"warning": warned}))
        return views
