# SPDX-License-Identifier: GPL-2.0-or-later
"""Lessons: one bounded file that people read and edit, with the evidence for and against each."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.api.models import LessonView
from process import Fault
from scheduler_library.history import FILE as HISTORY
from scheduler_library.history import LessonRecord, open_history
from scheduler_library.learning.lessons import (
    MOST_EVIDENCE,
    MOST_LESSONS,
    Claim,
    Lesson,
    LessonEvidence,
    MeasuredVerdict,
    Says,
    bounded,
    judged,
    learned,
)
from scheduler_library.learning.lessons_file import parse, render
from tests.learning.remembering import NOW, Memory, remembering

TAGS = ("latency-sensitive", "short-bursts")
CLAIM = Claim(
    "latency makes better: delay p99 of services",
    NOW,
    about="latency",
    tags=TAGS,
    says=Says.BETTER,
    evidence=LessonEvidence(NOW, "e-1", "t-1", "keep: x0.5"),
)


def record(memory: Memory, text: str, episode: str = "", trial: str = "") -> LessonView:
    return memory.lessons.record(text, "advisor", episode, trial, NOW)


def texts(memory: Memory) -> list[str]:
    return [each.text for each in memory.lessons.views()]


# ---------------------------------------------------------------- claims


def test_the_same_claim_is_one_lesson_with_more_evidence() -> None:
    """A claim is the same if only the figures differ, about the same scheduler on such
    workloads."""
    lessons, _ = learned([], CLAIM)
    again = Claim(
        "Latency makes better: delay p99 of services (x0.43)",
        NOW + 5,
        about="latency",
        tags=TAGS,
        says=Says.BETTER,
        evidence=LessonEvidence(NOW + 5, "e-2", "t-2", "keep: x0.43"),
    )
    lessons, lesson = learned(lessons, again)
    assert len(lessons) == 1
    assert (lesson.confirmed, [each.trial for each in lesson.evidence]) == (2, ["t-1", "t-2"])


@pytest.mark.parametrize(
    "other",
    [
        Claim(CLAIM.text, NOW, about="fifo", tags=TAGS, says=Says.BETTER),
        Claim(
            "latency does not make better: delay p99", NOW, "x", "latency", TAGS, says=Says.WORSE
        ),
        Claim("the p99 is 5 ms at night", NOW),
    ],
)
def test_another_claim_is_another_lesson(other: Claim) -> None:
    """A claim about another scheduler, the opposite claim, or one about something else is new."""
    lessons, _ = learned([], CLAIM)
    lessons, _ = learned(lessons, Claim("the p99 is 6 ms at night", NOW))
    assert len(learned(lessons, other)[0]) == 3


def test_evidence_counts_once_and_is_bounded() -> None:
    """The same trial adds nothing. The latest pieces of evidence are kept, and all are counted."""
    lessons, _ = learned([], CLAIM)
    lessons, lesson = learned(lessons, CLAIM)
    assert lesson.confirmed == 1
    for number in range(2, 30):
        one = MeasuredVerdict(
            "latency", TAGS, True, LessonEvidence(NOW + number, "e", f"t-{number}", "keep")
        )
        lessons = judged(lessons, one)
    assert lessons[0].confirmed == 29
    assert [each.trial for each in lessons[0].evidence][-1] == "t-29"
    assert len(lessons[0].evidence) == MOST_EVIDENCE


def test_later_outcomes_confirm_contradict_and_weaken() -> None:
    """A lesson holds while more evidence is for it than against it; other workloads do not
    count."""
    lessons, _ = learned([], CLAIM)
    against = MeasuredVerdict(
        "latency", TAGS, False, LessonEvidence(NOW + 9, "e", "t-9", "rollback")
    )
    lessons = judged(lessons, MeasuredVerdict("latency", ("batch",), False, against.evidence))
    assert lessons[0].contradicted == 0
    lessons = judged(lessons, against)
    assert (lessons[0].contradicted, lessons[0].weakened) == (1, True)
    for number in (10, 11):
        one = MeasuredVerdict(
            "latency", TAGS, True, LessonEvidence(NOW, "e", f"t-{number}", "keep")
        )
        lessons = judged(lessons, one)
    assert not lessons[0].weakened


def test_what_is_weakened_goes_first_and_what_a_person_wrote_never() -> None:
    """The bound holds, and a person's lessons stay longer than the machine's."""
    own = [Lesson(f"mine {number}", NOW - 1e6) for number in range(MOST_LESSONS - 1)]
    weak = Lesson("weak", NOW, "advisor", confirmed=1, contradicted=2)
    strong = Lesson("strong", NOW - 5, "advisor", confirmed=3)
    kept = bounded([weak, *own, strong])
    assert len(kept) == MOST_LESSONS
    assert strong in kept
    assert weak not in kept
    assert len(bounded([*own, *own, weak])) == 2 * len(own)


# ---------------------------------------------------------------- the file's format


def test_a_file_is_read_back_as_it_was_written() -> None:
    """This also holds for quotes, backslashes and other alphabets."""
    hostile = Claim('say "no" \\ to } {{x}} ünï 日本 # [[lesson]]', NOW)
    lessons, _ = learned(learned([], CLAIM)[0], hostile)
    head, found = parse(render("", lessons))
    assert found == lessons
    assert render(head, found) == render("", lessons)


def test_a_lesson_by_hand_is_two_lines_and_keeps_its_comment() -> None:
    """A person's text stays, with the comments above it and at the top of the file."""
    text = '# ours, since 2026\n\n# ask Ada\n[[lesson]]\ntext = "the backup is no trouble"\n'
    head, found = parse(text, at=NOW)
    assert (found[0].author, found[0].at, found[0].by_hand) == ("operator", NOW, True)
    again = render(head, found)
    assert again.startswith("# ours, since 2026\n\n# ask Ada\n[[lesson]]\n")
    assert parse(again)[1] == found


WRITTEN = """\
# ask Ada
[[lesson]]
  text = 'short slices help "redis"'   # seen in May
  at = 2026-05-01T12:00:00+02:00
  # who measured it
  author = "ada"
  evidence = [{ at = 2026-05-02T00:00:00Z, trial = "t-1" }]  # one so far
"""


def test_a_lesson_that_did_not_change_is_written_as_it_was() -> None:
    """Layout, quotes and the person's own time zone stay, and nothing is rewritten."""
    head, found = parse(f"# head\n\n{WRITTEN}")
    assert render(head, [*found, Lesson("new", NOW)]).startswith(f"# head\n\n{WRITTEN}")


def test_new_evidence_keeps_the_comments_of_a_lesson() -> None:
    """Only the keys that changed are replaced."""
    head, (lesson,) = parse(f"# head\n\n{WRITTEN}")
    one = LessonEvidence(NOW, "e-2", "t-2", "keep: response p99", supports=False)
    later = replace(lesson, contradicted=1, evidence=(*lesson.evidence, one))
    text = render(head, [later])
    for line in WRITTEN.splitlines()[:-1]:
        assert line in text
    assert "# one so far" in text
    assert parse(text)[1] == [
        replace(later, evidence=(later.evidence[0], replace(one, at=int(NOW))))
    ]


def test_a_lesson_without_a_time_keeps_that_of_its_first_reading() -> None:
    """The file's own time changes with each write, so the lesson's time is written down."""
    head, found = parse('[[lesson]]\ntext = "a"  # why\n', at=NOW)
    text = render(head, found)
    assert 'text = "a"  # why\nat = ' in text
    assert parse(text, at=NOW + 1000)[1][0].at == int(NOW)


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("text = 1\n", 1, "before the first"),
        ('# c\n\n[[lesson]]\ntext = "a\n', 4, "nterminated"),
        ('[[lesson]]\ntext = "a"\n\n# b\n[[lesson]]\ntxt = "b"\n', 5, "unknown key 'txt'"),
        ('[[lesson]]\ntext = "a"\n[other]\nx = 1\n', 1, "not a [[lesson]]"),
        ('[[lesson]]\nauthor = "me"\n', 1, "needs a `text`"),
        ('[[lesson]]\ntext = """a\nb"""\n', 1, "one line"),
        ('[[lesson]]\ntext = "a\\u001b[31m"\n', 1, "can be shown"),
        (f'[[lesson]]\ntext = "{"x" * 501}"\n', 1, "more than 500"),
        ('[[lesson]]\ntext = "a"\nsays = "maybe"\n', 1, '"better" or "worse"'),
        ('[[lesson]]\ntext = "a"\nconfirmed = -1\n', 1, "whole number"),
        ('[[lesson]]\ntext = "a"\nat = "today"\n', 1, "a time"),
        ('[[lesson]]\ntext = "a"\nevidence = [{ at = 1 }]\n', 1, "a time"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(text: str, line: int, word: str) -> None:
    """The fault says where, what is wrong, and what to do."""
    with pytest.raises(Fault) as caught:
        parse(text, "lessons.toml")
    assert caught.value.where == f"lessons.toml:{line}"
    assert word in caught.value.why
    assert f"line {line}" in caught.value.hint


# ---------------------------------------------------------------- the daemon's file


def test_a_lesson_rests_on_the_trial_it_came_from(tmp_path: Path) -> None:
    """The trial gives the lesson's scheduler, its workloads and its figures."""
    with remembering(tmp_path) as memory:
        memory.tried("latency", 0.5)
        record(memory, "latency makes better: delay p99 of services", "e-0001")
    with remembering(tmp_path) as memory:
        (view,) = memory.lessons.views()
        assert (view.about, view.tags, view.confirmed) == ("latency", list(TAGS), 1)
        assert (view.evidence[0].trial, view.evidence[0].episode) == ("t-0001", "e-0001")
        assert view.evidence[0].said == "keep: response p99 45% to 55% better (95%, 4+4 windows)"
        assert (memory.file.stat().st_mode & 0o777, memory.troubles) == (0o640, [])


def test_what_came_later_contradicts_a_lesson(tmp_path: Path) -> None:
    """A rollback on such a workload weakens a lesson that said the scheduler helps."""
    with remembering(tmp_path) as memory:
        memory.tried("latency", 0.5)
        record(memory, "latency makes better: delay p99 of services", "e-0001")
        memory.lessons.judge(memory.tried("latency", -0.3, number=2), TAGS)
        (view,) = memory.lessons.views()
        assert (view.contradicted, view.weakened) == (1, True)
        assert view.evidence[-1].said.startswith("against: rollback")


def test_an_operator_s_edit_is_read_and_kept(tmp_path: Path) -> None:
    """The daemon reads a changed file again and writes the next lesson around the edit."""
    with remembering(tmp_path) as memory:
        record(memory, "first")
        text = memory.file.read_text() + '\n# from the runbook\n[[lesson]]\ntext = "by hand"\n'
        memory.file.write_text(text.replace('text = "first"', 'text = "first, corrected"'))
        assert set(texts(memory)) == {"first, corrected", "by hand"}
        record(memory, "second")
        written = memory.file.read_text()
        assert '# from the runbook\n[[lesson]]\ntext = "by hand"' in written
        assert 'text = "second"' in written
        assert memory.troubles == []


def test_a_broken_edit_is_told_once_and_nothing_is_lost(tmp_path: Path) -> None:
    """The file stays as it is. Once it is correct again, it gets what was learned meanwhile."""
    with remembering(tmp_path) as memory:
        record(memory, "before")
        good = memory.file.read_text()
        memory.file.write_text(broken := good + '\n[[lesson]]\ntext = "unfinished\n')
        record(memory, "meanwhile")
        assert set(texts(memory)) == {"before", "meanwhile"}
        assert memory.file.read_text() == broken
        (trouble,) = memory.troubles
        assert "lessons.toml:" in trouble
        memory.file.write_text(good + '\n[[lesson]]\ntext = "finished"\n')
        assert set(texts(memory)) == {"before", "meanwhile", "finished"}
        assert '"meanwhile"' in memory.file.read_text()
    with remembering(tmp_path) as memory:
        assert set(texts(memory)) == {"before", "meanwhile", "finished"}


def test_lessons_of_an_earlier_version_move_into_the_file(tmp_path: Path) -> None:
    """Rows of the history become entries of the file, only once."""
    history = open_history(tmp_path / HISTORY).history
    history.add_lesson(LessonRecord(NOW, "advisor", "short slices help redis"))
    history.close()
    with remembering(tmp_path) as memory:
        assert texts(memory) == ["short slices help redis"]
        assert memory.history_writer.held_lessons() == []
    with remembering(tmp_path) as memory:
        assert memory.file.exists()
        assert texts(memory) == ["short slices help redis"]


def test_a_draft_that_is_in_the_way_does_not_lose_a_lesson(tmp_path: Path) -> None:
    """If the file cannot be written for any reason, the lesson is held and written later."""
    with remembering(tmp_path) as memory:
        (memory.folder / "lessons.toml.new").mkdir()
        record(memory, "held")
        assert texts(memory) == ["held"]
        assert "cannot be written" in memory.troubles[0]
        (memory.folder / "lessons.toml.new").rmdir()
        assert texts(memory) == ["held"]
        assert '"held"' in memory.file.read_text()


def test_a_hostile_text_is_one_harmless_line(tmp_path: Path) -> None:
    """Newlines, control characters and directional characters of a model's text do not reach the
    file or the terminal."""
    with remembering(tmp_path) as memory:
        view = record(memory, 'x\n[[lesson]]\ntext = "injected"\x1b[31m\u202e' + "y" * 900)
        assert len(memory.lessons.views()) == 1
        assert view.text.isprintable()
        assert len(view.text) <= 500
        assert parse(memory.file.read_text())[1][0].text == view.text
