# SPDX-License-Identifier: GPL-2.0-or-later
"""The values that userspace gives a running scheduler, for the tasks of a scenario."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from bpf.common.selectors import UserSelector, selected
from process import Fault, FaultType, first_problem
from simulator.scenario import Scenario, Task


class _Selector(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    bit: int
    field: str
    patterns: tuple[str, ...]


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    selectors: tuple[_Selector, ...] = ()
    expected_runtime: bool = False


@dataclass(frozen=True)
class RequestedFacts:
    """The facts that a policy needs from userspace: its selectors, and expected runtimes."""

    selectors: tuple[UserSelector, ...] = ()
    expected_runtime: bool = False

    @classmethod
    def read(cls, text: str) -> Self:
        """Parses the policy compiler's output (`facts`); empty for nothing.

        Raises:
            Fault: BAD_REQUEST.
        """
        try:
            facts = _Facts.model_validate_json(text or "{}")
        except ValidationError as error:
            raise Fault(
                FaultType.BAD_REQUEST,
                "the facts for the scheduler are not understood",
                why=first_problem(error),
            ) from None
        selectors = tuple(UserSelector(s.bit, s.field, s.patterns) for s in facts.selectors)
        return cls(selectors, facts.expected_runtime)

    def scenario(self, scenario: Scenario) -> Scenario:
        """The scenario in which every task is selected as the daemon would do it.

        The command name stands in for the command line: scenarios have nothing more.
        """
        if not self.selectors:
            return scenario
        return replace(scenario, tasks=tuple(self._task(task) for task in scenario.tasks))

    def _task(self, task: Task) -> Task:
        command = "" if task.kthread else task.comm or task.name or task.group[:15]
        return replace(task, selected=selected(self.selectors, command, task.cgroup))

    def notes(self, scenarios: Sequence[Scenario]) -> list[str]:
        """The facts that are not known for these tasks."""
        found = []
        tasks = [task for scenario in scenarios for task in scenario.tasks]
        if any(each.field == "cmd" for each in self.selectors):
            found.append("no command lines are known: `cmd` is matched by the command's name alone")
        if self.expected_runtime and not any(task.expected_ns for task in tasks):
            found.append("no finished runs are known: `expected_runtime` is unknown for every task")
        return found
