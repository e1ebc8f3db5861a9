# SPDX-License-Identifier: GPL-2.0-or-later
# ruff: noqa: S108 - nothing is opened here
"""What is learned about the runtime of processes, and what is expected from it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.decide.runtimes import (
    DROPPED_AT_ONCE,
    MOST_RUNTIMES,
    LearnedRuntime,
    RuntimeKey,
    Runtimes,
    key_of,
    learned,
    normalised,
)

SECOND = 1e9
times = st.lists(st.floats(min_value=1e6, max_value=1e14), min_size=1, max_size=60)
# What arguments are made of, hostile and harmless.
arguments = st.lists(
    st.one_of(
        st.text(max_size=40),
        st.sampled_from(["/tmp/", "/proc/", "tmp.", "--pid", "12345", "-", "part-07", "\\xff"]),
    ),
    max_size=8,
)


def _after(runs: list[float]) -> LearnedRuntime:
    runtime = None
    for at, run_ns in enumerate(runs):
        runtime = learned(runtime, run_ns, float(at))
    assert runtime is not None
    return runtime


# ---------------------------------------------------------------- what is the same thing


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["/usr/bin/gzip", "-9", "a"], ["gzip", "-9", "a"]),
        (["cc1", "/tmp/ccA1b2C3.s"], ["cc1", "/tmp/ccZz9Yx8.s"]),
        (["cc1", "-o/tmp/ccabcdef.o"], ["cc1", "-o/tmp/ccuvwxyz.o"]),
        (["sort", "-T", "/tmp/tmp.Ab3dE9fGhI"], ["sort", "-T", "/tmp/tmp.9kLmN0pQrS"]),
        (["python3", "/tmp/tmpk3x_9a2b/run.py"], ["python3", "/tmp/tmpq7_zz01c/run.py"]),
        (["make", "-C", "/tmp/build.4711/src"], ["make", "-C", "/tmp/build.99120/src"]),
        (["x", "/var/tmp/job-aB3xY9/part-07"], ["x", "/var/tmp/job-Kq81zT/part-07"]),
        (["gdb", "--pid", "4711"], ["gdb", "--pid", "12"]),
        (["gdb", "--pid=4711"], ["gdb", "--pid=12"]),
        (["cat", "/proc/4711/status"], ["cat", "/proc/12/status"]),
        (["diff", "/dev/fd/63", "/dev/fd/62"], ["diff", "/dev/fd/11", "/dev/fd/12"]),
        (
            ["run", "id=123e4567-e89b-12d3-a456-426614174000"],
            ["run", "id=923e4567-e89b-42d3-a456-426614174999"],
        ),
        (["pull", "sha256:" + "0a1b" * 16], ["pull", "sha256:" + "9f8e" * 16]),
    ],
)
def test_what_differs_between_runs_is_left_out(one: list[str], other: list[str]) -> None:
    """Process ids, random names, descriptors, UUIDs and digests do not make it another job."""
    assert key_of("program", one) == key_of("program", other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["gzip", "part-07"], ["gzip", "part-08"]),
        (["gzip", "/tmp/part-07"], ["gzip", "/tmp/part-08"]),
        (["gzip", "/tmp/bench/part-1007"], ["gzip", "/tmp/bench/part-1008"]),
        (["gzip", "/tmp/part1007"], ["gzip", "/tmp/part1008"]),
        (["render", "--frame", "1207"], ["render", "--frame", "1208"]),
        (["render", "1700000001"], ["render", "1700000002"]),
        (["ffmpeg", "1080p.mkv"], ["ffmpeg", "720p.mkv"]),
        (["cc", "libFoo2.c"], ["cc", "libFoo3.c"]),
        (["cc", "/tmp/mySuperJob/a.c"], ["cc", "/tmp/myOtherJob/a.c"]),
        (["a", "b c"], ["a", "b", "c"]),
        (["a", ""], ["a"]),
        (["a", "1:b"], ["a", "1", "b"]),
        (["test", "abcdefabcdefabcdef"], ["test", "fedcbafedcbafedcba"]),
    ],
)
def test_what_makes_another_job_of_it_stays(one: list[str], other: list[str]) -> None:
    """File names, plain numbers and the borders of arguments distinguish jobs."""
    assert key_of("program", one) != key_of("program", other)


@given(arguments)
def test_any_arguments_have_a_key_and_only_one(words: list[str]) -> None:
    """Normalising never fails, keeps the number of arguments, and is settled after one time."""
    once = normalised(words)
    assert len(once) == len(words)
    assert normalised(once) == once
    assert key_of("p", words) == key_of("p", words)


def test_arguments_are_in_no_key() -> None:
    """Command lines may contain secrets, so only a hash remains of them."""
    key = key_of("curl", ["curl", "-u", "me:hunter2"])
    assert "hunter2" not in repr(key)
    assert len(key.arguments) == 16


# ---------------------------------------------------------------- what is learned


def test_equal_runs_are_learned_exactly() -> None:
    """A job that always takes the same time is expected to, without spread."""
    runtime = _after([3 * SECOND] * 12)
    assert runtime.mean_ns == pytest.approx(3 * SECOND)
    assert runtime.spread_ns == pytest.approx(0)
    assert runtime.count == 12


@given(times)
def test_an_estimate_lies_among_what_was_seen(runs: list[float]) -> None:
    """The mean is always between the shortest and the longest run."""
    runtime = _after(runs)
    assert min(runs) * 0.999 <= runtime.mean_ns <= max(runs) * 1.001
    assert runtime.spread_ns <= (max(runs) - min(runs)) * 1.001 + 1
    assert runtime.count == len(runs)


@given(st.floats(min_value=10, max_value=1e5))
def test_one_odd_run_moves_the_estimate_little(factor: float) -> None:
    """A run that took a hundred times as long counts as one that took somewhat longer."""
    runtime = _after([SECOND, 1.1 * SECOND, 0.9 * SECOND] * 3 + [SECOND * factor])
    assert runtime.mean_ns < 1.3 * SECOND


@pytest.mark.parametrize("now", [0.1, 10.0])
def test_a_lasting_change_is_learned(now: float) -> None:
    """After a lasting change by a factor of ten, the expectation follows within some twenty
    runs."""
    runtime = _after([SECOND] * 30 + [now * SECOND] * 20)
    assert runtime.mean_ns == pytest.approx(now * SECOND, rel=0.25)


@pytest.mark.parametrize("figures", [(-1.0, 0.0, 1), (1.0, -1.0, 1), (1.0, 0.0, 0)])
def test_impossible_knowledge_is_refused(figures: tuple[float, float, int]) -> None:
    """Impossible values are not accepted from a store either."""
    with pytest.raises(ValueError, match="runtime"):
        LearnedRuntime(*figures, at=0.0)
    with pytest.raises(ValueError, match="runtime"):
        LearnedRuntime(float("nan"), 0.0, 1, 0.0)


# ---------------------------------------------------------------- what is expected


def test_a_known_job_is_expected_to_take_as_long_again() -> None:
    """One run is enough."""
    runtimes = Runtimes()
    key = key_of("gzip", ["gzip", "part-07"])
    assert runtimes.expected_ns(key) is None
    runtimes.learn(key, 2 * SECOND, 1.0)
    assert runtimes.expected_ns(key) == 2 * SECOND


def test_a_new_job_of_an_even_program_takes_as_long_as_the_others() -> None:
    """If all jobs of a program are alike, a new one is expected to be like them."""
    runtimes = Runtimes()
    new = key_of("cc1", ["cc1", "new.c"])
    for number, seconds in enumerate((1.0, 1.2)):
        runtimes.learn(key_of("cc1", ["cc1", f"{number}.c"]), seconds * SECOND, float(number))
        assert runtimes.expected_ns(new) is None
    runtimes.learn(key_of("cc1", ["cc1", "9.c"]), 0.8 * SECOND, 9.0)
    assert runtimes.expected_ns(new) == pytest.approx(SECOND)
    assert runtimes.expected_ns(key_of("ld", ["ld", "new.c"])) is None


def test_nothing_is_expected_of_a_new_job_of_an_uneven_program() -> None:
    """With one long and many short jobs, a new one has no expectation."""
    runtimes = Runtimes()
    for number in range(39):
        runtimes.learn(key_of("gzip", ["gzip", f"{number}"]), SECOND, float(number))
    runtimes.learn(key_of("gzip", ["gzip", "large"]), 40 * SECOND, 40.0)
    assert runtimes.expected_ns(key_of("gzip", ["gzip", "new"])) is None


def test_the_table_is_bounded_and_forgets_the_oldest() -> None:
    """The job whose last run is the longest ago is forgotten first."""
    runtimes = Runtimes()
    for number in range(MOST_RUNTIMES):
        runtimes.learn(RuntimeKey("p", f"{number}"), SECOND, float(number))
    runtimes.learn(RuntimeKey("p", "0"), SECOND, float(MOST_RUNTIMES))
    runtimes.learn(RuntimeKey("q", "new"), SECOND, float(MOST_RUNTIMES + 1))
    assert len(runtimes) == MOST_RUNTIMES + 1 - DROPPED_AT_ONCE
    assert runtimes.get(RuntimeKey("p", "1")) is None
    assert runtimes.get(RuntimeKey("p", "0")) is not None
    assert runtimes.get(RuntimeKey("q", "new")) is not None


def test_what_was_known_is_known_again() -> None:
    """A table from the content of another one expects the same."""
    before = Runtimes()
    keys = [key_of("p", [f"{number}"]) for number in range(5)]
    known = [(key, before.learn(key, SECOND * n, float(n))) for n, key in enumerate(keys, 1)]
    after = Runtimes(reversed(known))
    assert [after.expected_ns(key) for key in keys] == [before.expected_ns(key) for key in keys]
