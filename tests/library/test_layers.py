# SPDX-License-Identifier: GPL-2.0-or-later
"""Layer files are checked before scx_layered sees them."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from process import Fault, FaultType
from scheduler_library.layers import CONDITIONS, KINDS, check_layers, read_layers

REST = {"name": "rest", "matches": [[]], "kind": {"Open": {"slice_us": 5000}}}
FRONT = {
    "name": "front",
    "comment": "what people wait for",
    "matches": [
        [{"CommPrefix": "redis"}],
        [{"CgroupPrefix": "system.slice/web"}, {"NiceBelow": 0}],
    ],
    "kind": {"Grouped": {"util_range": [0.5, 0.6], "preempt": True, "growth_algo": "Topo"}},
}


def faults(layers: object) -> Fault:
    with pytest.raises(Fault) as caught:
        check_layers(layers if isinstance(layers, str) else json.dumps(layers), "file.json")
    assert caught.value.type is FaultType.BAD_PARAMETER
    return caught.value


def front(**changes: Any) -> list[dict[str, Any]]:
    return [{**FRONT, **changes}, REST]


def test_sound_layers_become_one_line() -> None:
    """scx_layered gets the same JSON, however it was written."""
    text = json.dumps([FRONT, REST], indent=4)
    line = check_layers(text)
    assert "\n" not in line
    assert json.loads(line) == [FRONT, REST]
    assert check_layers(line) == line


def test_every_kind_is_known() -> None:
    """Each kind passes with its required settings."""
    for kind in KINDS:
        settings = {} if kind == "Open" else {"util_range": [0.1, 1.2], "cpus_range": [0, 4]}
        check_layers(json.dumps(front(kind={kind: settings})))


def test_a_setting_of_a_later_version_is_no_mistake() -> None:
    """A setting unlike any known one may be new, and scx_layered ignores it."""
    check_layers(json.dumps(front(kind={"Open": {"warp_factor": 9}})))


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ("", "not JSON"),
        ("[{]", "line 1, column 3"),
        ("[" * 20000, "not JSON"),
        ('[{"name": NaN}]', "NaN is not a number"),
        ("{}", "a list of at least one layer"),
        ([], "a list of at least one layer"),
        ([REST] * 17, "17 layers, 16 are allowed"),
        ([7], "layer 1: a layer has"),
        ([FRONT], "the last layer takes the rest"),
        ([{**REST, "matches": []}, REST], "no task would come here"),
        (front(kind={"Opened": {}}), "no kind 'Opened' (nearest known: 'Open')"),
        (front(kind="Open"), "one of Confined, Grouped, Open"),
        (front(kind={"Open": []}), "its settings"),
        (front(kind={"Confined": {}}), "`util_range` is missing"),
        (front(kind={"Open": {"slice_uss": 1}}), "you may mean 'slice_us'"),
        (front(kind={"Open": {"slice_us": "5ms"}}), "slice_us: takes a count"),
        (front(kind={"Open": {"slice_us": -1}}), "slice_us: takes a count"),
        (front(kind={"Open": {"preempt": 1}}), "preempt: takes a true or false"),
        (front(kind={"Grouped": {"util_range": [0.6, 0.5]}}), "from the lower to the higher"),
        (front(matches=[[{"CommPrefx": "a"}]]), "nearest known: 'CommPrefix'"),
        (front(matches=[[{"CommPrefix": "a" * 17}]]), "at most 16 bytes"),
        (front(matches=[[{"NiceAbove": "0"}]]), "NiceAbove takes a whole number"),
        (front(matches=[[{"CommPrefix": "a", "NiceAbove": 0}]]), "one word and its value"),
        (front(matches=[{"CommPrefix": "a"}]), "a list of alternatives"),
        (front(macthes=[]), "unknown key 'macthes' (nearest known: 'matches')"),
        (front(name=7), "name: a text"),
        ([{"name": "x"}], "`matches` is missing"),
    ],
)
def test_each_mistake_is_told_with_its_place(layers: object, told: str) -> None:
    """A mistake that would stop scx_layered, or that it would ignore, is named before it starts."""
    assert any(told in line for line in faults(layers).details)


def test_all_mistakes_are_told_at_once() -> None:
    """Nobody has to fix a file one mistake at a time."""
    fault = faults(front(name=1, kind={"Opn": {}}, matches=[[{"Com": "a"}]]))
    assert len(fault.details) == 3
    assert fault.where == "file.json"


def test_conditions_are_checked_by_their_type() -> None:
    """No condition takes a value of the wrong type."""
    for word in CONDITIONS:
        faults(front(matches=[[{word: {}}]]))


def test_layers_come_from_a_file_or_as_they_are(tmp_path: Path) -> None:
    """An operator names a file; a policy gives the JSON itself."""
    path = tmp_path / "layers.json"
    path.write_text(json.dumps([REST], indent=2))
    assert read_layers(str(path)) == read_layers(f"file:{path}") == read_layers(json.dumps([REST]))


@pytest.mark.parametrize("name", ["missing.json", "folder", "pipe", "x" * 5000, "a\0b"])
def test_what_is_no_layer_file_is_told(tmp_path: Path, name: str) -> None:
    """A missing file, a folder and a pipe give a clear fault, and nobody waits for a pipe."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(Fault) as caught:
        read_layers(str(tmp_path / name))
    assert caught.value.type is FaultType.BAD_PARAMETER


def test_a_path_that_is_not_absolute_is_refused() -> None:
    """The service's working folder differs from that of the person who asks it."""
    with pytest.raises(Fault) as caught:
        read_layers("layers.json")
    assert "begins with /" in caught.value.why
