# SPDX-License-Identifier: GPL-2.0-or-later
"""From a person's words to an objective, guards, or a question."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from daemon.api.models import ProgramKind as Kind
from daemon.decide.goals import GoalGuard, Present, understand
from daemon.decide.objective import parse_guard, parse_objective

FILE = tomllib.loads((Path(__file__).parent / "goals.toml").read_text("utf-8"))
GOALS: list[dict[str, Any]] = FILE["goal"]
EDITOR, BACKUP = "comm:editor", "comm:backup"


def machine(name: str) -> list[Present]:
    return [Present(id, kind=Kind(kind)) for id, kind in FILE["machine"][name].items()]


def there(*ids: str, kind: Kind = Kind.UNKNOWN) -> list[Present]:
    return [Present(id, kind=kind) for id in ids]


@pytest.mark.parametrize("goal", GOALS, ids=[each["says"][:50] for each in GOALS])
def test_a_goal_is_read_as_an_expert_would_or_asked_back(goal: dict[str, Any]) -> None:
    """Each goal of the file: its objective and guards, or the question and its readings."""
    found = understand(
        goal["says"], machine(goal["on"]), goal.get("workload", ""), goal.get("measured", ())
    )
    if "asks" in goal:
        assert goal["asks"] in found.question
        if "readings" in goal:
            assert [each.objective for each in found.readings] == goal["readings"]
        return
    assert found.question == ""
    assert found.objective == goal["objective"]
    assert found.guards == tuple(GoalGuard(*each) for each in goal.get("guards", {}).items())
    assert found.workload == goal.get("workload_is", goal.get("workload"))
    assert goal.get("notes", "") in " ".join(found.notes)


def test_what_is_found_is_in_the_grammar_of_objectives() -> None:
    """Every objective, guard and reading that the file leads to can be parsed."""
    texts: set[str] = set()
    guards: set[str] = set()
    for goal in GOALS:
        found = understand(
            goal["says"], machine(goal["on"]), goal.get("workload", ""), goal.get("measured", ())
        )
        texts |= {found.objective}
        guards |= {each.text for each in found.guards}
        texts |= {each.objective for each in found.readings}
    for text in texts - {""}:
        parse_objective(text)
    for text in guards:
        parse_guard(BACKUP, text)


@pytest.mark.parametrize(
    "says",
    [
        "typing must not lag, the backup may take as long as it likes, but must still go on",
        "Typing must not lag; the backup may take as long as it likes but must go on!",
        "the backup may take its time but must make progress - typing must not lag",
        "no lag while typing. The backup can wait, but must not be starved.",
        "editor: no lag. backup: may be slow, has to keep going",
        "typing mustn't stuter, the bakup may take as long as it likes, but must still go on",
    ],
)
def test_the_same_wish_in_other_words_is_read_alike(says: str) -> None:
    """Order, signs, contractions and typing errors do not matter."""
    found = understand(says, there(EDITOR, BACKUP), EDITOR)
    assert (found.question, found.objective) == ("", "response p99 lower")
    assert found.guards == (GoalGuard(BACKUP, "cpu not worse than 75%"),)


@pytest.mark.parametrize(
    "name",
    [
        "must not",
        "latency",
        "lag",
        "it",
        "and",
        "no",
        "not at the cost of",
        "p99",
        "the",
        "response",
    ],
)
def test_a_name_is_never_taken_for_a_word(name: str) -> None:
    """A process with the name of a word of the language changes no reading."""
    goal = "typing must not lag and latency matters, not at the cost of throughput, p99 under 5 ms"
    plain = understand(goal, there(EDITOR), EDITOR)
    beside = understand(goal, there(EDITOR, f"comm:{name}"), EDITOR)
    assert plain.question == ""
    assert beside == plain


def test_a_word_in_quotation_marks_is_a_name_where_a_workload_has_it() -> None:
    """So a workload with the name of a word of the language can still be guarded."""
    present = there(EDITOR, "comm:latency")
    found = understand("typing must not lag; 'latency' must go on", present, EDITOR)
    assert found.guards == (GoalGuard("comm:latency", "cpu not worse than 50%"),)


def test_hostile_names_are_quoted_and_escaped_in_questions() -> None:
    """Control characters of a name never reach a terminal."""
    found = understand("lower latency", there("comm:a\x1b[31m", "comm:b"))
    assert "which workload" in found.question
    assert "\x1b" not in found.question
    assert "'comm:b'" in found.question


def test_a_name_that_two_workloads_have_is_asked_about() -> None:
    """An objective needs one of them; a guard holds for both."""
    present = there("comm:web", "cgroup:/system.slice/web.service", EDITOR)
    asked = understand("web should answer faster", present)
    assert "'web' may be 2 workloads" in asked.question
    guarded = understand("typing must not lag, do not starve web", present, EDITOR)
    assert {each.workload for each in guarded.guards} == {present[0].id, present[1].id}


def test_a_thread_name_leads_to_its_workload() -> None:
    """The names of processes and threads stand for their workload."""
    present = [Present("cgroup:/a.scope", ("java", "kafka-io")), *there(EDITOR)]
    found = understand("kafka-io should respond faster", present)
    assert found.workload == "cgroup:/a.scope"


@pytest.mark.parametrize(
    "says", ["", " ", "?!", "@0 @1", "`", "'", "a" * 5000, "\x00\x1b", "@7 must not lag", "\\b(.*"]
)
def test_nonsense_is_a_question_and_no_traceback(says: str) -> None:
    """Every text gets an answer."""
    found = understand(says, there(EDITOR, BACKUP), EDITOR)
    assert found.question or found.objective


def test_threads_of_the_kernel_are_guarded_by_name_and_never_offered() -> None:
    """A kernel thread may be named; a question lists only what people run."""
    present = machine("desk")
    found = understand("typing must not lag, kthread:khugepaged must go on", present, EDITOR)
    assert found.guards == (GoalGuard("kthread:khugepaged", "cpu not worse than 50%"),)
    assert "khugepaged" not in understand("lower latency", present).question


def test_an_objective_in_its_own_words_is_taken_as_it_is() -> None:
    """It may be alone or in backticks; if there are several workloads, it must still say which
    one."""
    text = "response p99 < 20ms; completions not worse than 2%"
    assert understand(text, there(EDITOR, BACKUP), EDITOR).objective == text
    assert understand(f"please, `{text}`!", there(EDITOR), EDITOR).objective == text
    assert understand(text, there(EDITOR)).workload == EDITOR
    several = understand(text, there(EDITOR, BACKUP))
    assert several.objective == text
    assert "which workload is it about?" in several.question
