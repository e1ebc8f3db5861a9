# SPDX-License-Identifier: GPL-2.0-or-later
"""A person's pattern finds its number in any line, in time proportional to the line's length."""

import pytest

from agent.measuring.pattern import LINE_LIMIT, Pattern


@pytest.mark.parametrize(
    ("pattern", "line", "number"),
    [
        (r"took ([0-9.]+) ms", "GET /a took 12.5 ms", 12.5),
        (r"took ([0-9.]+) ms", "GET /a?x=1 took 12.5 s, 3 took 7 ms", 7.0),
        (r"took ([0-9.]+) ?ms", "took 12ms", 12.0),
        (r"took (?P<ms>\d+)", "12 items, took 345", 345.0),
        (r"^(\d+)$", "42", 42.0),
        (r"delta (-?\d+\.\d+)", "delta -1.50", -1.5),
        (r"offset -(\d+)", "offset -15", 15.0),
        (r"([0-9.e-]+)s$", "in 1.5e-3s", 0.0015),
        (r"(?i)TOOK (\d+) MS", "took 9 ms", 9.0),
        (r"\b(\d+)\b us", "id7 8 us", 8.0),
        (r"v=(\d+)\.", "v=12.7", 12.0),
        (r"(?:read|write)\[[^\]]*\] (\d+)", "write[a 1] 22", 22.0),
        (r"\((\d+)\)", "f(3)", 3.0),
        (r"[(]([0-9]+)", "x(4", 4.0),
        (r"took ([0-9.]+) ms", "took 1.2.3 ms", None),
        (r"took ([0-9.]+) ms", "took long", None),
        (r"n=(\w+)", "n=abc", None),
        (r"n=(\d+)", "n=" + "9" * 400, None),
    ],
)
def test_the_number_of_a_line(pattern: str, line: str, number: float | None) -> None:
    """The number at the place of the group is taken whole, with its sign; if there is none,
    nothing."""
    assert Pattern(pattern).number(line) == number


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("took", "has no groups"),
        (r"(\d+) of (\d+)", "has 2 groups"),
        (r"(a(\d+))", "has 2 groups"),
        (r"(?:a(\d+))", "may not stand inside another group"),
        (r"a (\d+)|b", "may not stand inside another group"),
        (r"(\d)+", "may not be repeated"),
        (r"(\d+", "unclosed group"),
        (r"\d+)", "unopened group"),
        (r"(?=a)(\d+)", "look-around"),
        (r"(\d+)[z-a]", "invalid character class range"),
        ("(\\d+)" + "a" * 600, "longer than 500"),
        (r"(\d+)(?:a{1000}){1000}", "size limit"),
    ],
)
def test_what_is_no_such_pattern_is_told(pattern: str, says: str) -> None:
    """Two groups, no group, a group inside a group, and syntax that the engine does not have are
    refused."""
    with pytest.raises(ValueError, match=r"pattern|group|repeated") as caught:
        Pattern(pattern)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (r"(?:(?:a+)+)+b ([0-9]+)", "a" * 100_000 + " 5"),
        (r".*.*.*.*x([0-9]+)y", "x1" * 50_000),
        (r"([0-9]+)(?:[0-9]?){400}z", "1" * 100_000),
        (r"(?:x*)*([0-9.]+)$", "1.1." * 30_000 + "!"),
    ],
)
def test_a_hostile_line_costs_no_more_than_its_length(pattern: str, line: str) -> None:
    """Lines that would keep a backtracking engine busy for years give their answer: no number."""
    compiled = Pattern(pattern)
    assert [compiled.number(line) for _ in range(10)] == [None] * 10


def test_only_the_beginning_of_a_line_counts() -> None:
    """Text beyond the limit is ignored."""
    assert Pattern(r"n=([0-9]+)").number("x" * LINE_LIMIT + "n=1") is None
