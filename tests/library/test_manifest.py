# SPDX-License-Identifier: GPL-2.0-or-later
"""Manifests: what is accepted, and how errors are reported."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from process import Fault, FaultType
from scheduler_library.manifest import (
    EntryKind,
    Manifest,
    Unit,
    When,
    manifest_text,
    parse_manifest,
    read_manifest,
)

GOOD = """
name = "sample"
summary = "A sample."
description = "Longer text."
algorithm = "none"
tags = ["simple"]
good_for = ["batch", "two words"]
bad_for = []
kind = "bpf"
source = "sample.bpf.c"
requires = ["kernel >= 6.12"]
origin = "test"
license = "GPL-2.0-only"

[[params]]
name = "slice_ns"
type = "int"
default = 5_000
min = 100
max = 1_000_000
unit = "ns"
description = "Slice."
when = "live"
"""


def refused(text: str) -> Fault:
    with pytest.raises(Fault) as caught:
        parse_manifest(text, "sample/manifest.toml")
    assert caught.value.type is FaultType.BAD_MANIFEST
    assert caught.value.where == "sample/manifest.toml"
    return caught.value


def test_a_complete_manifest_is_parsed_into_typed_values() -> None:
    """Every key of a manifest arrives with its type."""
    manifest = parse_manifest(GOOD, "x")
    assert manifest.kind is EntryKind.BPF
    assert manifest.good_for == ("batch", "two words")
    (parameter,) = manifest.params
    assert parameter.when is When.LIVE
    assert parameter.unit is Unit.NS
    assert parameter.allowed == "100 to 1000000 ns"


def test_an_unknown_key_names_the_nearest_known_one() -> None:
    """A misspelt key is refused with the right spelling, at the top level and in params."""
    fault = refused(GOOD.replace("algorithm", "algoritm").replace("default =", "defualt ="))
    text = "\n".join(fault.details)
    assert "algoritm: unknown key (nearest known: 'algorithm')" in text
    assert "params[0].defualt: unknown key (nearest known: 'default')" in text
    assert "algorithm: this key is missing" in text


def test_all_problems_of_a_file_come_in_one_fault() -> None:
    """One fault has every problem of a manifest, each with its key."""
    fault = refused(
        GOOD.replace('name = "sample"', 'name = "../x"')
        .replace('kind = "bpf"', 'kind = "magic"')
        .replace('unit = "ns"', 'unit = "fortnights"')
    )
    assert [line.split(":")[0] for line in fault.details] == ["name", "kind", "params[0].unit"]
    assert "a name is a lower-case letter" in fault.details[0]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("default = 5_000", "default = 7", "is not within"),
        ("default = 5_000", "default = 5.5", "whole number"),
        ("default = 5_000", "default = true", "is a number"),
        ("min = 100\n", "", "needs `min` and `max`"),
        ('source = "sample.bpf.c"', 'source = "../../etc/passwd"', "source"),
        ('source = "sample.bpf.c"', 'command = "scx_x"', "has `source` and no `command`"),
        ('kind = "bpf"', 'kind = "external"', "has `command` and no `source`"),
        ('tags = ["simple"]', 'tags = "simple"', "tags"),
    ],
)
def test_a_contradiction_is_refused(old: str, new: str, told: str) -> None:
    """Values that contradict each other are refused with the reason."""
    assert told in "\n".join(refused(GOOD.replace(old, new)).details)


def test_two_parameters_of_one_name_are_refused() -> None:
    """A parameter's name is unique within its manifest."""
    twice = GOOD + GOOD[GOOD.index("[[params]]") :]
    assert "named twice: slice_ns" in str(refused(twice))


def test_text_that_is_not_toml_is_refused() -> None:
    """A syntax error is reported with its line."""
    assert "line 2" in refused("name = 'x'\nsummary = }").why


def test_a_file_far_too_large_is_not_read(tmp_path: Path) -> None:
    """A huge file is refused because of its size, before it is parsed."""
    path = tmp_path / "manifest.toml"
    path.write_bytes(b"#" * 100_000)
    with pytest.raises(Fault, match="larger than") as caught:
        read_manifest(path)
    assert caught.value.type is FaultType.BAD_MANIFEST


def test_an_absent_file_is_a_fault_with_its_path(tmp_path: Path) -> None:
    """A folder without a manifest is reported with its path."""
    with pytest.raises(Fault) as caught:
        read_manifest(tmp_path / "manifest.toml")
    assert str(tmp_path) in caught.value.where


@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=50).filter(
        lambda each: each.strip() != ""
    ),
    number=st.integers(-(2**40), 2**40),
)
def test_a_written_manifest_is_read_as_the_same(text: str, number: int) -> None:
    """Whatever the texts contain, a written manifest can be read, and nothing is lost."""
    manifest = Manifest.model_validate(
        {
            **parse_manifest(GOOD, "x").model_dump(mode="json"),
            "description": text,
            "good_for": ['a \\ " b', "ä\x7f\t\x1b🙂"],
            "parent": "other",
            "params": [
                {
                    "name": "a",
                    "type": "int",
                    "default": number,
                    "min": number,
                    "max": number,
                    "description": "d",
                },
                {"name": "b", "type": "bool", "default": False, "description": "d"},
                {
                    "name": "c",
                    "type": "float",
                    "default": 0.5,
                    "min": 1e-9,
                    "max": 1e30,
                    "description": "d",
                },
            ],
        }
    )
    assert parse_manifest(manifest_text(manifest), "x") == manifest
