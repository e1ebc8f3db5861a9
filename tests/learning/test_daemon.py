# SPDX-License-Identifier: GPL-2.0-or-later
"""What was learned, over the API: all of it, by workload and by episode; and the lessons file of a
running daemon."""

from pathlib import Path

import pytest

from daemon.api.models import EventKind, LessonRequest
from process import Fault, FaultType
from tests.api.fake import Served, serving
from tests.daemon.running import Place, running


def test_what_is_asked_for_arrives_and_what_is_wrong_is_refused(tmp_path: Path) -> None:
    """`/v1/learned` and a search by workload take only ids, on both sockets."""
    with serving(tmp_path / "run") as served:
        _ask(served)


def _ask(served: Served) -> None:
    with served.observer() as client:
        assert client.learned().workload == ""
        assert client.learned("comm:web").workload == "comm:web"
        client.learned(episode="e-0001")
        client.library("fast", "comm:web")
        for refused in (
            lambda: client.learned("no workload"),
            lambda: client.learned(episode="../x"),
            lambda: client.library("", "bad\nid"),
        ):
            with pytest.raises(Fault) as caught:
                refused()
            assert caught.value.type is FaultType.BAD_REQUEST
    asked = [each for name, each in served.service.asked if name == "learned"]
    assert asked == [("", ""), ("comm:web", ""), ("", "e-0001")]


def test_a_running_daemon_reads_the_operator_s_edits_and_refuses_broken_ones(
    tmp_path: Path,
) -> None:
    """An edit has an effect at once. If the file is broken, the journal and `status` report the
    line, and what is learned meanwhile is written once the file is correct again."""
    place = Place(tmp_path)
    file = place.state / "lessons.toml"
    with running(place) as daemon, daemon.control() as client:
        client.record_lesson(LessonRequest(text="learned"))
        good = file.read_text()
        file.write_text(good + '\n[[lesson]]\ntext = "by hand"\n')
        assert {each.text: each.author for each in client.lessons()} == {
            "learned": "advisor",
            "by hand": "operator",
        }
        file.write_text(good + '\n[[lesson]]\ntxt = "by hand"\n')
        client.record_lesson(LessonRequest(text="meanwhile"))
        line = len(good.splitlines()) + 2
        assert f"lessons.toml:{line}" in daemon.until(EventKind.STATE_TROUBLE).message
        assert any(f"lessons.toml:{line}" in note for note in client.status().notes)
        file.write_text(good + '\n[[lesson]]\ntext = "by hand"\n')
        assert {each.text for each in client.lessons()} == {"learned", "by hand", "meanwhile"}
        assert '"meanwhile"' in file.read_text()
        learned = client.learned("comm:nobody")
        assert learned.lessons_file == str(file)
        assert [each.name for each in learned.weights] == ["words", "tags", "measured", "told"]
        assert {each.scheduler for each in learned.classes[0].beliefs} >= {"latency", "jobs"}
        assert client.library("tail latency")[0].name == "latency"
        assert daemon.end() == 0
