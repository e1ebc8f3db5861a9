# SPDX-License-Identifier: GPL-2.0-or-later
"""Turns a user's words into an episode's objective; asks back if a person can answer."""

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass

from cli.naming import guard_of, workload_named
from cli.output import err, note, plain
from daemon.api.client import Client
from daemon.api.models import ANY_GOAL, GoalView, GuardRequest
from process import Fault

# How many answers are asked for before giving up.
MOST_QUESTIONS = 5
# The goal's words are not searched for an objective if each run of a command is measured.
MEASUREMENT = "tune.seconds"
MEASURED = f"measurement {MEASUREMENT} lower"
_OF_A_RUN = ("makespan", "turnaround")


@dataclass(frozen=True)
class Typed:
    """The words of a command line. `command`: its workload is run, and each run is measured."""

    goal: str
    workload: str
    objective: str
    guards: tuple[str, ...]
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settled:
    """The request that opens an episode. With `objective` "" the kind of workload decides."""

    workload: str
    goal: str
    objective: str
    guards: tuple[GuardRequest, ...] = ()
    notes: tuple[str, ...] = ()


class Unanswered(Exception):
    """There is a question, and nobody to answer it."""

    def __init__(self, view: GoalView) -> None:
        super().__init__(view.question)
        self.view = view


def settle(client: Client, typed: Typed, answer: Callable[[], str] | None) -> Settled:
    """The goal in measurable terms.

    Args:
        answer: reads a person's reply to a question; None if nobody is there.

    Raises:
        Unanswered: a question had to be asked and was not answered.
        Fault: the daemon's faults, or BAD_PARAMETER for a guard.
    """
    guards = tuple(guard_of(client, each) for each in typed.guards)
    goal = typed.goal or _without_words(typed)
    if not typed.goal:
        objective = typed.objective or (MEASURED if typed.command else "")
        return Settled(typed.workload, goal, objective, guards)
    view = client.goal(typed.goal, typed.workload)
    if typed.objective:
        # A user's explicit objective settles whatever is unclear in the words about it.
        workload = typed.workload or view.workload
        if not workload:
            raise Unanswered(view)
        kept = guards or _requested(view)
        return Settled(workload, goal, typed.objective, kept, _notes(view))
    if typed.command and _of_its_end(view):
        return Settled(typed.workload, goal, MEASURED, guards or _requested(view), _notes(view))
    view = _answered(client, typed, view, answer)
    return Settled(view.workload, goal, view.objective, guards or _requested(view), _notes(view))


def _without_words(typed: Typed) -> str:
    if typed.command:
        return f"finish sooner: {shlex.join(typed.command)}"[:500]
    return typed.objective or ANY_GOAL


def _of_its_end(view: GoalView) -> bool:
    """Whether the goal is about a run's duration, which is measured if there is a command."""
    if view.question:
        return any(each.objective.startswith(_OF_A_RUN) for each in view.readings)
    return view.objective.startswith(_OF_A_RUN)


def _requested(view: GoalView) -> tuple[GuardRequest, ...]:
    return tuple(GuardRequest(workload=each.workload, text=each.text) for each in view.guards)


def _notes(view: GoalView) -> tuple[str, ...]:
    return tuple(view.notes)


def _answered(
    client: Client, typed: Typed, view: GoalView, answer: Callable[[], str] | None
) -> GoalView:
    """The goal, once nothing is open."""
    for _ in range(MOST_QUESTIONS):
        if not view.question:
            return view
        if answer is None:
            break
        tell_question(view)
        said = answer().strip()
        if not said:
            break
        view = _after(client, typed, view, said)
    if not view.question:
        return view
    raise Unanswered(view)


def _after(client: Client, typed: Typed, view: GoalView, said: str) -> GoalView:
    """The understanding of the goal after an answer: the number of a reading, a workload, an
    objective, or other words.
    """
    if said.isascii() and said.isdecimal() and 0 < int(said) <= len(view.readings):
        reading = view.readings[int(said) - 1]
        if reading.workload and not view.workload:
            return client.goal(typed.goal, reading.workload)
        return view.model_copy(
            update={"objective": reading.objective, "question": "", "readings": []}
        )
    if not view.workload:
        try:
            return client.goal(typed.goal, workload_named(client, said))
        except Fault as fault:
            note(str(fault), "yellow")
            return view
    fresh = client.goal(said[:500], view.workload)
    # Guards from the first words still hold if the new words do not mention them.
    return fresh if fresh.guards else fresh.model_copy(update={"guards": view.guards})


def tell_question(view: GoalView) -> None:
    """The question and its possible answers, for people."""
    note(f"the goal is not clear enough: {view.question}", "bold yellow")
    for number, each in enumerate(view.readings, 1):
        err().print(plain(f"  {number}. {each.objective}   ({each.said})", 400), soft_wrap=True)


def at_the_terminal() -> Callable[[], str] | None:
    """Reads an answer from the person at the terminal; None without a terminal."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def answer() -> str:
        sys.stderr.write("a number, an objective or other words (empty: give up): ")
        sys.stderr.flush()
        return sys.stdin.readline()

    return answer
