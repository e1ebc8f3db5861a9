# SPDX-License-Identifier: GPL-2.0-or-later
import gzip
import json
from pathlib import Path

import pytest

from daemon import replay
from daemon.api.models import Arm
from daemon.decide.observation import Observation
from daemon.decide.windows import schedule
from tests.decide.synthetic import (
    BATCH,
    SERVICE,
    START,
    interval,
    line_of,
    recording,
    seeded,
    serving,
    workload,
)

RECORDINGS = Path(__file__).parents[1] / "data" / "signals"


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, object]]:
    assert replay.main([*arguments, "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def trial(ratio: float, first: int, p99_us: float = 10_000) -> list[str]:
    """Lines and marks of a trial of one-second intervals; `first` is the number of the first."""
    dice, lines = seeded(5), []
    at = START + first
    lines.append(
        json.dumps(
            {
                "mark": "trial",
                "at": at,
                "workload": SERVICE,
                "objective": "latency p99",
                "candidate": "c-1",
            }
        )
    )
    for number, arm in enumerate(schedule(16)):
        started = at + 15 * number
        for second in range(15):
            value = p99_us * (ratio if arm is Arm.CANDIDATE else 1)
            each = interval(first + 15 * number + second, workload(dice, p99_us=value), seconds=1)
            lines.append(line_of(each))
        lines.append(
            json.dumps({"mark": "window", "arm": arm, "started": started, "ended": started + 15})
        )
    lines.append(json.dumps({"mark": "end", "at": at + 15 * 16}))
    return lines


def test_a_step_in_a_recording_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Begin and end of the degradation, with their times, then a summary."""
    seen = recording([1000.0] * 40 + [10_000.0] * 10 + [1000.0] * 10)
    path = written(tmp_path / "step", [line_of(each) for each in seen])
    begin, end, summary = told(capsys, str(path))
    assert (begin["kind"], begin["workload"], begin["at"]) == (
        "degradation",
        SERVICE,
        seen[42].at,
    )
    assert (end["kind"], end["at"]) == ("recovered", seen[53].at)
    assert summary["figures"] == {"intervals": 60, "degraded": 0}


def test_a_packed_recording_reads_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """gzip is recognised by its content."""
    lines = [line_of(each) for each in recording([1000.0] * 40 + [10_000.0] * 10)]
    plain = written(tmp_path / "plain", lines)
    (tmp_path / "packed").write_bytes(gzip.compress(plain.read_bytes()))
    assert told(capsys, str(plain)) == told(capsys, str(tmp_path / "packed"))


def test_the_configuration_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A declared objective of the given file is judged; without the file it is not."""
    path = written(tmp_path / "slow", [line_of(each) for each in recording([8000.0] * 20)])
    config = tmp_path / "schedpilot.toml"
    config.write_text(f'[[objective]]\nworkload = "{SERVICE}"\ntext = "latency p99 < 5ms"\n')
    assert [each["kind"] for each in told(capsys, str(path))] == ["summary"]
    kinds = [each["kind"] for each in told(capsys, str(path), "--config", str(config))]
    assert kinds == ["degradation", "summary"]


def test_a_trial_is_judged_by_its_marks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Windows and their verdict come out as in the daemon, once."""
    path = written(tmp_path / "good", trial(0.4, 0))
    found = told(capsys, str(path))
    kinds = [each["kind"] for each in found]
    assert kinds == ["window"] * 8 + ["verdict", "summary"]
    assert str(found[8]["message"]).startswith("keep: delay p99")


def test_harm_ends_a_trial_within_its_first_window(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten times worse is stopped by its second settled interval."""
    path = written(tmp_path / "bad", trial(10, 0))
    found = told(capsys, str(path))
    assert [each["kind"] for each in found] == ["window", "verdict", "summary"]
    assert str(found[1]["message"]).startswith("rollback: ")
    assert found[1]["at"] == START + 15 + 2 + 2


def test_a_trial_is_no_degradation_and_the_guard_follows_a_keep(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After the keep the guard watches, and rolls back a scheduler that is worse than the default
    was."""
    dice = seeded(6)
    before = [interval(n, workload(dice, p99_us=10_000), seconds=1) for n in range(40)]
    after: list[Observation] = [
        interval(280 + n, workload(dice, p99_us=4000 if n < 30 else 30_000), seconds=1)
        for n in range(60)
    ]
    path = written(
        tmp_path / "kept",
        [*map(line_of, before), *trial(0.4, 40), *map(line_of, after)],
    )
    kinds = [each["kind"] for each in told(capsys, str(path))]
    assert kinds == ["window"] * 8 + ["verdict", "degradation", "rollback", "summary"]


def test_a_change_of_scheduler_is_no_degradation(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Intervals that begin before the scheduler has settled are not judged; later ones are."""
    dice = seeded(6)
    made = [
        interval(n, workload(dice, p99_us=90_000 if 39 < n < 43 else 1000), seconds=0.5)
        for n in range(60)
    ]
    lines = [line_of(each) for each in made]
    mark = json.dumps({"mark": "scheduler", "at": made[40].began, "candidate": "c-1"})
    marked = written(tmp_path / "marked", [*lines[:40], mark, *lines[40:]])
    assert [each["kind"] for each in told(capsys, str(marked))] == ["summary"]
    bare = written(tmp_path / "bare", lines)
    assert told(capsys, str(bare))[0]["kind"] == "degradation"


def test_a_streak_does_not_run_across_a_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two bad intervals before a trial and one after it are not three in a row."""
    dice = seeded(6)

    def second(number: int, p99_us: float) -> str:
        return line_of(interval(number, workload(dice, p99_us=p99_us), seconds=1))

    before = [second(n, 1000 if n < 38 else 90_000) for n in range(40)]
    # The first two after a trial are not judged: the scheduler has just been changed.
    after = [second(280 + n, 90_000 if n == 2 else 1000) for n in range(20)]
    path = written(tmp_path / "gap", [*before, *trial(1.0, 40, 1000), *after])
    assert "degradation" not in {each["kind"] for each in told(capsys, str(path))}


def test_text_for_people_has_no_control_characters(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A workload's name cannot move the cursor of the reader."""
    dice, name = seeded(1), "comm:\x1b[2Jevil"
    seen = [interval(n, workload(dice, name, 1000.0 if n < 40 else 20_000.0)) for n in range(50)]
    path = written(tmp_path / "hostile", [line_of(each) for each in seen])
    assert replay.main([str(path)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[2Jevil" in out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not a line of signals"),
        ('{"v": 2}', "not a line of signals"),
        ('{"mark": "party", "at": 1}', "not a mark"),
        ('{"mark": "end"}', "not a mark"),
        (
            '{"mark": "trial", "at": 1, "workload": "comm:a", "objective": "speed"}',
            "cannot be understood",
        ),
    ],
)
def test_what_is_no_recording_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    """Standard error has the line's number and the reason, and the exit status is 1."""
    good = line_of(recording([1000.0])[0])
    path = written(tmp_path / "wrong", [good, line])
    assert replay.main([str(path)]) == 1
    errors = capsys.readouterr().err
    assert said in errors
    assert "hint:" in errors


@pytest.mark.parametrize("option", [[], ["--config", "/nowhere/schedpilot.toml"]])
def test_missing_files_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: list[str]
) -> None:
    """A recording or configuration that does not exist is an error, not an empty answer."""
    assert replay.main([str(tmp_path / "missing"), *option]) == 1
    assert "error:" in capsys.readouterr().err


def test_a_recorded_service_is_quiet_while_nothing_disturbs_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Half a minute of a real service alone gives no event."""
    found = told(capsys, str(RECORDINGS / "redis_quiet.jsonl"))
    assert [each["kind"] for each in found] == ["summary"]


def test_a_recorded_disturbance_is_told_within_seconds(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A real service whose neighbour starts at the 32nd second is degraded, and the neighbour,
    which is a batch job, is not."""
    path = RECORDINGS / "redis_then_stress.jsonl"
    found = told(capsys, str(path))
    first = found[0]
    assert (first["kind"], first["workload"]) == ("degradation", "comm:redis-server")
    begin = [json.loads(line)["time"] for line in path.read_text().splitlines()][31]
    assert isinstance(first["at"], float)
    assert begin < first["at"] <= begin + 6
    assert "comm:stress-ng-cpu" not in {each["workload"] for each in found}


def test_a_recorded_promise_is_seen_to_break(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same recording breaks a declared limit as soon as the neighbour runs."""
    config = tmp_path / "schedpilot.toml"
    config.write_text(
        '[[objective]]\nworkload = "comm:redis-server"\ntext = "latency p99 < 4500us"\n'
    )
    found = told(capsys, str(RECORDINGS / "redis_then_stress.jsonl"), "--config", str(config))
    broken = [each for each in found if "is broken" in str(each["message"])]
    assert len(broken) == 1
    assert broken[0]["workload"] == "comm:redis-server"


def recorded_trial(good: slice, bad: slice, baseline_is_bad: bool) -> list[str]:
    """A trial put together from the real recording: each arm's windows from one part of it."""
    lines = (RECORDINGS / "redis_then_stress.jsonl").read_text().splitlines()
    parts = {True: lines[bad], False: lines[good]}
    made = [
        json.dumps(
            {
                "mark": "trial",
                "at": START,
                "workload": "comm:redis-server",
                "objective": "latency p99",
            }
        )
    ]
    for number, arm in enumerate(schedule(16)):
        part = parts[(arm is Arm.BASELINE) is baseline_is_bad]
        for second in range(9):
            line = json.loads(part[(number * 5 + second) % len(part)])
            line["time"] = START + 9 * number + second + 1
            line["interval_s"] = 1.0
            made.append(json.dumps(line))
        started = START + 9 * number
        made.append(
            json.dumps({"mark": "window", "arm": arm, "started": started, "ended": started + 9})
        )
    return made


@pytest.mark.parametrize("baseline_is_bad", [True, False])
def test_recorded_windows_are_judged_rightly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], baseline_is_bad: bool
) -> None:
    """With real delays a candidate that undoes the disturbance is kept, and the reverse is
    stopped within its first windows. (What the neighbour loses is not judged here.)"""
    config = tmp_path / "schedpilot.toml"
    config.write_text(
        "[trial]\nsamples_min = 20\n"
        "[trial.tolerance]\nmachine_run_share = 1.0\nothers_run_share = 1.0\n"
    )
    path = written(
        tmp_path / "trial", recorded_trial(slice(18, 31), slice(32, 50), baseline_is_bad)
    )
    found = told(capsys, str(path), "--config", str(config))
    verdict = next(each for each in found if each["kind"] == "verdict")
    windows = sum(each["kind"] == "window" for each in found)
    if baseline_is_bad:
        assert str(verdict["message"]).startswith("keep: ")
        assert windows == 8
    else:
        assert str(verdict["message"]).startswith("rollback: ")
        assert windows <= 2


def test_a_trial_by_response_and_a_guard_is_judged_by_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Requests take a third of the time, and the loss of a named neighbour ends the trial."""
    mark: dict[str, object] = {
        "mark": "trial", "at": START, "workload": SERVICE, "candidate": "c-1",
        "objective": "response p99; completions not worse than 5%",
        "guards": [{"workload": BATCH, "text": "completions not worse than 20%"}],
    }  # fmt: skip

    def lines(neighbour: int) -> list[str]:
        dice, found = seeded(5), [json.dumps(mark)]
        for number, arm in enumerate(schedule(8)):
            for second in range(15):
                better = arm is Arm.CANDIDATE
                each = interval(
                    15 * number + second,
                    serving(dice, response_us=30_000 if better else 90_000, ended=50),
                    serving(dice, BATCH, response_us=9000, ended=neighbour if better else 40),
                    seconds=1,
                )
                found.append(line_of(each))
            started = START + 15 * number
            found.append(
                json.dumps(
                    {"mark": "window", "arm": arm, "started": started, "ended": started + 15}
                )
            )
        return [*found, json.dumps({"mark": "end", "at": START + 15 * 8})]

    kept = told(capsys, str(written(tmp_path / "kept", lines(38))))
    assert str(kept[-2]["message"]).startswith("keep: response p99")
    lost = told(capsys, str(written(tmp_path / "lost", lines(25))))
    assert str(lost[-2]["message"]).startswith(f"rollback: {BATCH}: completions is")
