# SPDX-License-Identifier: GPL-2.0-or-later
"""How the trials of a workload are judged: as requested, as declared, or by its kind."""

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from daemon.api.display import displayable
from daemon.api.models import GuardRequest, ProfileView
from daemon.decide.defaults import default_objective, warnings_of
from daemon.decide.objective import (
    Declared,
    Guard,
    Objective,
    meant,
    parse_guard,
    parse_objective,
)
from process import Fault, FaultType


@dataclass(frozen=True, slots=True)
class Criteria:
    """An objective and its guards judge a trial; `warnings` say what speaks against them."""

    objective: Objective
    guards: tuple[Guard, ...] = ()
    warnings: tuple[str, ...] = ()

    def beside(self, guards: Sequence[Guard], *, settled: bool) -> "Criteria":
        """Keeps the earlier guards, too: none is lost because another one is named.

        For the same figure the later one holds, unless a person gave the earlier (`settled`).
        """
        before = {each.key: each for each in guards}
        here = {each.key: each for each in self.guards}
        both = {**before, **here, **(before if settled else {})}
        return replace(self, guards=tuple(both.values()))


def criteria_of(
    workload: str,
    *,
    asked: str | None = None,
    guards: Sequence[GuardRequest] = (),
    before: Objective | None = None,
    guards_before: Sequence[Guard] = (),
    declared: Sequence[Declared] = (),
    broken: str = "",
    profile: ProfileView | None = None,
    present: Collection[str] | None = None,
) -> Criteria:
    """The requested objective, else the episode's, else the workload's declared one (a broken one
    first), else the default for its kind.

    Args:
        workload: "" is the whole machine.
        asked: objective text of a client.
        guards: those of a client; without any, those of the episode hold.
        before, guards_before: those of the episode.
        declared: the operator's objectives.
        broken: the text of a declared objective that is broken.
        profile: the workload's profile.
        present: the workloads that were seen; None if unknown. A guard that matches none of them
            gets a warning.

    Raises:
        Fault: BAD_PARAMETER for a text that cannot be understood.
    """
    objective = parse_objective(asked) if asked else before
    if objective is None and workload:
        fitting = [each.objective for each in declared if each.of([workload]) == [workload]]
        objective = next(
            (each for each in fitting if each.text == broken), next(iter(fitting), None)
        )
    if objective is None:
        objective = default_objective(profile if workload else None)
    named = _parsed(guards, workload) if guards else tuple(guards_before)
    figures = profile.figures if profile else {}
    absent = [] if present is None else _absent(named, present)
    return Criteria(objective, named, (*warnings_of(objective, figures), *absent))


def _absent(guards: Sequence[Guard], present: Collection[str]) -> list[str]:
    """Warnings about guards of workloads that do not exist."""
    said = []
    for guard in guards:
        if any(meant(guard.workload, each) for each in present):
            continue
        near = difflib.get_close_matches(guard.workload[:200], present, n=1)
        hint = f"; did you mean {displayable(near[0], 100)}?" if near else ""
        said.append(
            f"nothing was seen of {displayable(guard.workload, 100)}, so its guard cannot be "
            f"judged{hint}"
        )
    return said


def _parsed(guards: Sequence[GuardRequest], workload: str) -> tuple[Guard, ...]:
    found: dict[str, Guard] = {}
    for each in guards:
        guard = parse_guard(each.workload, each.text)
        if guard.workload == workload:
            raise Fault(
                FaultType.BAD_PARAMETER,
                f"the guard {each.text!r} is for the workload itself",
                where=each.workload[:200],
                hint=f"write it into the objective: `…; {each.text}`",
            )
        found[guard.key] = guard
    return tuple(found.values())
