# SPDX-License-Identifier: GPL-2.0-or-later
"""Parameter values: units, ranges, and messages about wrong values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process import Fault, FaultType
from scheduler_library.manifest import Manifest, parse_manifest
from scheduler_library.parameters import Value, check_parameters

HEAD = """
name = "sample"
summary = "s"
description = "d"
algorithm = "a"
kind = "bpf"
source = "sample.bpf.c"
origin = "test"
license = "GPL-2.0-only"
"""


def parameter(name: str, rest: str) -> str:
    return f'[[params]]\nname = "{name}"\ndescription = "x"\n{rest}\n'


MANIFEST = parse_manifest(
    HEAD
    + parameter(
        "slice_ns",
        'type = "int"\ndefault = 5_000_000\nmin = 100_000\nmax = 100_000_000\n'
        'unit = "ns"\nwhen = "live"',
    )
    + parameter("wait_ms", 'type = "int"\ndefault = 10\nmin = 1\nmax = 1000\nunit = "ms"')
    + parameter("share", 'type = "int"\ndefault = 20\nmin = 1\nmax = 90\nunit = "percent"')
    + parameter("factor", 'type = "float"\ndefault = 1.5\nmin = 0.5\nmax = 4')
    + parameter("preempt", 'type = "bool"\ndefault = true'),
    "test",
)


def refused(values: dict[str, Value | str], manifest: Manifest = MANIFEST) -> Fault:
    with pytest.raises(Fault) as caught:
        check_parameters(manifest, values)
    assert caught.value.type is FaultType.BAD_PARAMETER
    return caught.value


@pytest.mark.parametrize(
    ("name", "given_value", "value"),
    [
        ("slice_ns", "500us", 500_000),
        ("slice_ns", "3ms", 3_000_000),
        ("slice_ns", "0.5 ms", 500_000),
        ("slice_ns", "0.1s", 100_000_000),
        ("slice_ns", "250000", 250_000),
        ("slice_ns", 250_000, 250_000),
        ("wait_ms", "1s", 1000),
        ("share", "20%", 20),
        ("share", "20", 20),
        ("factor", "2.5", 2.5),
        ("factor", 2, 2.0),
        ("preempt", "off", False),
        ("preempt", True, True),
    ],
)
def test_a_value_is_converted_to_the_parameters_unit(
    name: str, given_value: Value | str, value: Value
) -> None:
    """Texts with units, texts without, and numbers all become the parameter's own unit."""
    (result,) = check_parameters(MANIFEST, {name: given_value}).values()
    assert result == value
    assert type(result) is type(value)


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("slice_ns", "1us", "out of range; allowed: 100000 to 100000000 ns"),
        ("slice_ns", "2min", "'min' is not one of"),
        ("slice_ns", "20%", "unit '%' is not one of"),
        ("slice_ns", "much", "not a number"),
        ("slice_ns", True, "truth value"),
        ("slice_ns", float("nan"), "not a finite number"),
        ("slice_ns", float("inf"), "not a finite number"),
        ("wait_ms", "1500us", "not a whole number of ms"),
        ("share", "95%", "allowed: 1 to 90 percent"),
        ("factor", "2ms", "takes no unit"),
        ("preempt", "perhaps", "neither true nor false; allowed: true or false"),
        ("slise_ns", 1, "no such parameter (nearest known: 'slice_ns')"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(name: str, value: Value, told: str) -> None:
    """Each message says what is wrong with the value and what would be right."""
    assert told in refused({name: value}).why


def test_all_wrong_values_come_in_one_fault() -> None:
    """Nobody has to correct parameters one at a time."""
    fault = refused({"slice_ns": 1, "share": "0%"})
    assert len(fault.details) == 2
    assert "slice_ns (100000 to 100000000 ns)" in fault.hint


def test_a_load_parameter_cannot_be_set_while_it_runs() -> None:
    """Only live parameters can be set live."""
    assert check_parameters(MANIFEST, {"slice_ns": "1ms"}, live=True) == {"slice_ns": 1_000_000}
    with pytest.raises(Fault, match="share: can be set only when the scheduler is loaded"):
        check_parameters(MANIFEST, {"share": 30}, live=True)


@given(st.text(max_size=40))
def test_no_text_makes_the_check_fail_otherwise(text: str) -> None:
    """Whatever the input is, the answer is a value within range or a BAD_PARAMETER fault."""
    try:
        values = check_parameters(MANIFEST, {"slice_ns": text})
    except Fault as fault:
        told = fault.type
    else:
        assert 100_000 <= values["slice_ns"] <= 100_000_000
        return
    assert told is FaultType.BAD_PARAMETER
