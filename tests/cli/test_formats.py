# SPDX-License-Identifier: GPL-2.0-or-later
"""Numbers, times and parameters as the command reads and writes them."""

import pytest

from cli.formats import microseconds, parse_parameters, parse_span, quantity, span
from process import Fault


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("1.5m", 90), ("6h", 21600), ("1d", 86400)]
)
def test_spans_are_read_with_their_unit(text: str, seconds: float) -> None:
    """A bare number is seconds."""
    assert parse_span(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "-5", "5 weeks", "1e9", "soon", "9" * 50])
def test_what_is_no_span_is_a_fault(text: str) -> None:
    """The fault has an example of a valid one."""
    with pytest.raises(Fault) as caught:
        parse_span(text)
    assert "90s" in caught.value.hint


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.05, "50 ms"), (3.25, "3.25 s"), (61, "1 min 1 s"), (7200, "2 h"), (90061, "1 d 1 h")],
)
def test_spans_are_written_in_two_parts_at_most(seconds: float, text: str) -> None:
    """A time has its two largest units, or one."""
    assert span(seconds) == text


def test_delays_are_written_in_the_unit_that_reads_best() -> None:
    """Microseconds below a millisecond, seconds above one."""
    assert [microseconds(each) for each in (0.5, 999, 1000, 25_300, 2e6, None)] == [
        "0.5 µs",
        "999 µs",
        "1 ms",
        "25.3 ms",
        "2 s",
        "–",
    ]
    assert quantity(12.34567, "1/s") == "12.35 /s"


def test_parameters_are_what_they_look_like() -> None:
    """Numbers and truth values are parsed; a value with a unit goes to the daemon as text."""
    found = parse_parameters(["a=5", "b=-1.5", "c=true", "d=500us", "e=x=y"])
    assert found == {"a": 5, "b": -1.5, "c": True, "d": "500us", "e": "x=y"}


@pytest.mark.parametrize("word", ["a", "a=", "=5", "a b=5", "9=5", "a=\x00"[:2]])
def test_what_sets_no_parameter_is_a_fault(word: str) -> None:
    """The fault shows the form to write."""
    with pytest.raises(Fault):
        parse_parameters([word])
