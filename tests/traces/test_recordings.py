# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's recordings: one at a time, within bounds, found again, and distinct from broken
ones. The recorder is a stand-in with the same output as ours."""

import asyncio
import gzip
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bpf.recorder.process import RecordingOptions
from daemon.api.models import RecordingRequest, RecordingState, RecordingView
from daemon.signals.recordings import MOST_KEPT, Recordings
from process import Fault, FaultType
from tests.traces.conftest import HEADER, defined, ended

STAND_IN = """#!{python}
import gzip, json, sys
words = dict(zip(sys.argv[1::2], sys.argv[2::2]))
def tell(what, **more):
    print(json.dumps({{what: {{"seconds": 1.0, "records": 5, **more}}}}), flush=True)
if words.get("--comm") == "broken":
    sys.exit("no such thing in this kernel")
tell("started")
with gzip.open(words["--output"], "wt") as file:
    file.write({trace!r})
if float(words["--seconds"]) > 10:
    tell("progress", records=7)
    tell("done", cut="stopped" if sys.stdin.readline() == "stop\\n" else "")
else:
    tell("done", records=9, lost=2)
"""

Make = Callable[[], Recordings]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Recordings in one folder; each call is a newly started daemon."""
    program = tmp_path / "recorder"
    lines = [HEADER, *defined("redis", "hog"), ended(1)]
    trace = "".join(f"{line}\n" for line in lines)
    program.write_text(STAND_IN.format(python=sys.executable, trace=trace))
    program.chmod(0o755)

    def opened() -> Recordings:
        recordings = Recordings(tmp_path / "traces", pytest.fail, program=program)
        recordings.open()
        return recordings

    return opened


async def finished(recordings: Recordings, request: RecordingRequest) -> RecordingView:
    return await recordings.finished((await recordings.start(request)).id)


def test_a_recording_is_kept_and_found_by_the_workloads_in_it(make: Make) -> None:
    """A recording of everything is better than an older one of only the workload."""
    recordings = make()

    async def record() -> list[RecordingView]:
        whole = await finished(recordings, RecordingRequest(seconds=1))
        alone = await finished(recordings, RecordingRequest(seconds=1, workload="comm:redis"))
        return [whole, alone]

    whole, alone = asyncio.run(record())
    assert (whole.state, whole.records, whole.lost) == (RecordingState.DONE, 9, 2)
    assert whole.workloads == ["comm:redis", "comm:hog"]
    assert recordings.newest("comm:redis") == recordings.trace(whole.id)
    assert recordings.newest("comm:nginx") is None
    assert [each.id for each in recordings.all()] == [alone.id, whole.id]
    assert gzip.decompress(recordings.trace(alone.id).read_bytes()).startswith(HEADER.encode())


def test_only_one_runs_and_it_can_be_stopped(make: Make) -> None:
    """A second one is refused. Stopping gives the finished recording, and the reason for its
    end."""
    recordings = make()

    async def scene() -> tuple[Fault, RecordingView]:
        first = await recordings.start(RecordingRequest(seconds=60))
        with pytest.raises(Fault) as caught:
            await recordings.start(RecordingRequest(seconds=1))
        with pytest.raises(Fault, match="still runs"):
            recordings.trace(first.id)
        return caught.value, await recordings.stop(first.id)

    busy, stopped = asyncio.run(scene())
    assert busy.type is FaultType.BUSY
    assert (stopped.state, stopped.cut) == (RecordingState.DONE, "stopped")


def test_a_recorder_that_fails_leaves_its_reason_and_no_file(make: Make, tmp_path: Path) -> None:
    """The reason is its last message."""
    recordings = make()
    request = RecordingRequest(seconds=1, workload="comm:broken")
    view = asyncio.run(finished(recordings, request))
    assert view.state is RecordingState.FAILED
    assert "no such thing in this kernel" in view.reason
    assert not list((tmp_path / "traces").iterdir())
    with pytest.raises(Fault) as caught:
        recordings.trace(view.id)
    assert caught.value.type is FaultType.NOT_FOUND


def test_the_oldest_go(make: Make, tmp_path: Path) -> None:
    """The bound on their number holds; their files stay, and no others."""
    recordings = make()

    async def record() -> list[str]:
        many = range(MOST_KEPT + 3)
        return [(await finished(recordings, RecordingRequest(seconds=1))).id for _ in many]

    ids = asyncio.run(record())
    kept = [each.id for each in recordings.all()]
    assert kept == ids[::-1][:MOST_KEPT]
    names = {each.name.partition(".")[0] for each in (tmp_path / "traces").iterdir()}
    assert names == set(kept)


def test_another_daemon_finds_them_and_clears_what_is_half_there(
    make: Make, tmp_path: Path
) -> None:
    """After a crash a trace without its description is removed, and a description without its
    trace, too."""
    view = asyncio.run(finished(make(), RecordingRequest(seconds=1)))
    folder = tmp_path / "traces"
    (folder / "r-aaaa.trace.gz").write_bytes(b"half")
    (folder / "r-bbbb.json").write_text("{}")
    again = make()
    assert [each.id for each in again.all()] == [view.id]
    assert len(list(folder.iterdir())) == 2


def test_the_end_of_the_daemon_ends_a_recording_without_a_file(make: Make, tmp_path: Path) -> None:
    """No incomplete file stays behind."""
    recordings = make()

    async def scene() -> None:
        await recordings.start(RecordingRequest(seconds=60))
        await asyncio.sleep(0)
        await recordings.close()

    asyncio.run(scene())
    assert not list((tmp_path / "traces").iterdir())


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        ("cgroup:/a b/c", ["--cgroup", "/a b/c"]),
        ("kthread:kworker", ["--kthread", "kworker"]),
        ("", []),
    ],
)
def test_a_workload_becomes_the_recorders_option(workload: str, words: list[str]) -> None:
    """A name is one word of the command line, whatever it contains."""
    wanted = RecordingOptions(Path("/x"), 2.5, 4096, workload)
    assert wanted.words()[-len(words) or 6 :] == words


@pytest.mark.parametrize("workload", ["other", "cgroup-id:7", "comm:a\0b"])
def test_what_has_no_name_to_go_by_is_refused(workload: str) -> None:
    """These workloads can be seen only in a recording of everything."""
    with pytest.raises(Fault):
        RecordingOptions(Path("/x"), 1, 4096, workload).words()
