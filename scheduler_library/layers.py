# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks layers for scx_layered before the program sees them.

A layer file is a JSON list. Each layer has a name, `matches` (a list of alternatives, each a list
of conditions that must all hold) and a `kind` with its settings. scx_layered stops at the first
unreadable part, and silently ignores a misspelled setting. Here every problem is reported, with its
place.
"""

import difflib
import json
import os
from pathlib import Path
from typing import NoReturn

from process import Fault, FaultType, nearest_known
from process.text_file import read_text

# The kernel takes at most 128 KiB as one argument of a program.
LARGEST_BYTES = 64 * 1024
MOST_LAYERS = 16
MOST_ALTERNATIVES = 32
LONGEST_NAME = 128
# A task's name has 15 letters, and a terminating zero.
LONGEST_COMM = 16
LONGEST_PATH = 4096
# How close to a known word a word must be to count as a typing error.
SLIP = 0.8

# The conditions of scx_layered 1.1 and their types.
CONDITIONS = {
    "CgroupPrefix": "text",
    "CgroupSuffix": "text",
    "CgroupContains": "text",
    "CgroupRegex": "text",
    "CommPrefix": "text",
    "CommPrefixExclude": "text",
    "PcommPrefix": "text",
    "PcommPrefixExclude": "text",
    "NiceAbove": "whole number",
    "NiceBelow": "whole number",
    "NiceEquals": "whole number",
    "UIDEquals": "count",
    "GIDEquals": "count",
    "PIDEquals": "count",
    "PPIDEquals": "count",
    "TGIDEquals": "count",
    "NSPIDEquals": "pair of counts",
    "NSEquals": "count",
    "CmdJoin": "text",
    "IsGroupLeader": "true or false",
    "IsKthread": "true or false",
    "UsedGpuTid": "true or false",
    "UsedGpuPid": "true or false",
    "AvgRuntime": "pair of counts",
    "HintEquals": "count",
    "SystemCpuUtilBelow": "number",
    "DsqInsertBelow": "number",
    "NumaNode": "count",
}
_COMMON = {
    "min_exec_us": "count",
    "yield_ignore": "number",
    "slice_us": "count",
    "fifo": "true or false",
    "preempt": "true or false",
    "preempt_first": "true or false",
    "exclusive": "true or false",
    "allow_node_aligned": "true or false, or null",
    "skip_remote_node": "true or false",
    "prev_over_idle_core": "true or false",
    "weight": "count",
    "disallow_open_after_us": "count, or null",
    "disallow_preempt_after_us": "count, or null",
    "xllc_mig_min_us": "number",
    "idle_smt": "true or false, or null",
    "growth_algo": "text",
    "util_peak_half_life_ms": "count",
    "perf": "count",
    "idle_resume_us": "count, or null",
    "nodes": "list of counts",
    "llcs": "list of counts",
    "placement": "text",
    "member_expire_ms": "count",
    "xnuma_threshold": "pair of numbers",
    "xnuma_threshold_delta": "pair of numbers",
}
_SIZED = _COMMON | {
    "util_range": "pair of numbers",
    "cpus_range": "pair of counts, or null",
    "cpus_range_frac": "pair of numbers, or null",
    "membw_gb": "number, or null",
    "protected": "true or false",
}
# The kinds of scx_layered 1.1 and the settings of each.
KINDS = {
    "Confined": _SIZED,
    "Grouped": _SIZED
    | {"util_includes_open_cputime": "true or false", "idle_confined": "true or false"},
    "Open": _COMMON,
}
_LAYER = ("name", "comment", "template", "matches", "kind")
_IDS = ("UIDEquals", "GIDEquals", "PIDEquals", "PPIDEquals", "TGIDEquals", "NSEquals", "NumaNode")


def _is(value: object, type: str) -> bool:
    """Whether a JSON value has the type that `type` names in words."""
    if type.endswith(", or null"):
        return value is None or _is(value, type.removesuffix(", or null"))
    if type.startswith("pair of "):
        one = type.removeprefix("pair of ").removesuffix("s")
        return isinstance(value, list) and len(value) == 2 and all(_is(each, one) for each in value)
    if type == "list of counts":
        return isinstance(value, list) and all(_is(each, "count") for each in value)
    if type == "text":
        return isinstance(value, str)
    if type == "true or false":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    if type == "number":
        return isinstance(value, int | float)
    return isinstance(value, int) and (type == "whole number" or 0 <= value < 2**64)


def _condition(where: str, condition: object) -> str:
    """The problem with one condition; empty if there is none."""
    if not isinstance(condition, dict) or len(condition) != 1:
        return f'{where}: a condition is one word and its value: {{"CommPrefix": "redis"}}'
    ((word, value),) = condition.items()
    if word not in CONDITIONS:
        return f"{where}: there is no condition {word[:60]!r}{nearest_known(word, CONDITIONS)}"
    type = CONDITIONS[word]
    if not _is(value, type):
        return f"{where}: {word} takes a {type}"
    if word in _IDS and value >= 2**32:
        return f"{where}: {word} takes a number below 2^32"
    if type == "text":
        longest = LONGEST_COMM if "comm" in word.lower() else LONGEST_PATH
        if len(value.encode()) > longest or "\0" in value:
            return f"{where}: {word} takes at most {longest} bytes"
    if word in ("SystemCpuUtilBelow", "DsqInsertBelow") and not 0 <= value <= 1:
        return f"{where}: {word} takes a number from 0 to 1"
    if word == "HintEquals" and value > 1024:
        return f"{where}: HintEquals takes a number from 0 to 1024"
    return ""


def _matches(where: str, matches: object, last: bool) -> list[str]:
    if not isinstance(matches, list) or not all(isinstance(each, list) for each in matches):
        return [f"{where}.matches: a list of alternatives, each a list of conditions"]
    if last and matches != [[]]:
        return [f"{where}.matches: the last layer takes the rest: its matches are [[]]"]
    if not last and not matches:
        return [f"{where}.matches: no task would come here; only the last layer takes the rest"]
    problems = []
    if len(matches) > MOST_ALTERNATIVES:
        problems.append(f"{where}.matches: at most {MOST_ALTERNATIVES} alternatives")
    for number, alternative in enumerate(matches):
        place = f"{where}.matches[{number}]"
        if len(alternative) > len(CONDITIONS):
            problems.append(f"{place}: too many conditions")
        problems += filter(None, (_condition(place, each) for each in alternative))
    return problems


def _kind(where: str, kind: object) -> list[str]:
    if not isinstance(kind, dict) or len(kind) != 1:
        return [f"{where}.kind: one of {', '.join(KINDS)} and its settings"]
    ((word, settings),) = kind.items()
    if word not in KINDS:
        return [f"{where}.kind: there is no kind {word[:60]!r}{nearest_known(word, KINDS)}"]
    place = f"{where}.kind.{word}"
    if not isinstance(settings, dict):
        return [f"{place}: its settings are {{…}}"]
    known = KINDS[word]
    problems = []
    for key, value in settings.items():
        if key not in known:
            # A later version may have more; only a near match of a known word is an error.
            close = difflib.get_close_matches(key, known, n=1, cutoff=SLIP)
            if close:
                problems.append(f"{place}: there is no {key[:60]!r}; you may mean {close[0]!r}")
        elif not _is(value, known[key]):
            problems.append(f"{place}.{key}: takes a {known[key]}")
    if "util_range" in known and "util_range" not in settings:
        problems.append(f"{place}: `util_range` is missing")
    for key in ("util_range", "cpus_range", "cpus_range_frac"):
        value = settings.get(key)
        if value is not None and _is(value, "pair of numbers"):
            low, high = value
            if low < 0 or low > high or (key == "util_range" and low == high):
                problems.append(f"{place}.{key}: from the lower to the higher, none below 0")
            elif key == "cpus_range_frac" and high > 1:
                problems.append(f"{place}.{key}: fractions are from 0 to 1")
    if settings.get("cpus_range") is not None and settings.get("cpus_range_frac") is not None:
        problems.append(f"{place}: `cpus_range` or `cpus_range_frac`, not both")
    return problems


def _layer(number: int, layer: object, last: bool) -> list[str]:
    where = f"layer {number + 1}"
    if not isinstance(layer, dict):
        return [f"{where}: a layer has `name`, `matches` and `kind`"]
    problems = [
        f"{where}: unknown key {key[:60]!r}{nearest_known(key, _LAYER)}"
        for key in layer
        if key not in _LAYER and difflib.get_close_matches(key, _LAYER, n=1, cutoff=SLIP)
    ]
    problems += [
        f"{where}: `{key}` is missing" for key in ("name", "matches", "kind") if key not in layer
    ]
    name = layer.get("name", "")
    if not isinstance(name, str) or len(name.encode()) >= LONGEST_NAME or not name.isprintable():
        problems.append(f"{where}.name: a text of less than {LONGEST_NAME} bytes")
    if not isinstance(layer.get("comment", ""), str | None):
        problems.append(f"{where}.comment: a text")
    if layer.get("template") is not None:
        problems += filter(None, [_condition(f"{where}.template", layer["template"])])
    if "matches" in layer:
        problems += _matches(where, layer["matches"], last)
    if "kind" in layer:
        problems += _kind(where, layer["kind"])
    return problems


def _refuse(where: str, problems: list[str]) -> NoReturn:
    count = len(problems)
    raise Fault(
        FaultType.BAD_PARAMETER,
        f"the layers have {count} problem{'s' if count > 1 else ''}",
        where=where,
        why=problems[0],
        hint="correct what is named; docs/peers.md shows a layer file",
        details=tuple(problems[:50]),
    )


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number in JSON")


def check_layers(text: str, where: str = "the layers") -> str:
    """Layers in scx_layered's format, as JSON in one line. Pure.

    Args:
        text: the JSON list.
        where: its name in a fault (its path).

    Raises:
        Fault: BAD_PARAMETER, with every problem as a line of `details`.
    """
    if len(text.encode("utf-8", "replace")) > LARGEST_BYTES:
        _refuse(where, [f"they are larger than {LARGEST_BYTES // 1024} KiB"])
    try:
        layers = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        _refuse(where, [f"they are not JSON: {error.msg} ({place})"])
    except (ValueError, RecursionError) as error:
        _refuse(where, [f"they are not JSON: {error}"])
    if not isinstance(layers, list) or not layers:
        _refuse(where, ["they are a list of at least one layer: [{…}, …]"])
    if len(layers) > MOST_LAYERS:
        _refuse(where, [f"there are {len(layers)} layers, {MOST_LAYERS} are allowed"])
    last = len(layers) - 1
    problems = [
        problem
        for number, layer in enumerate(layers)
        for problem in _layer(number, layer, number == last)
    ]
    if problems:
        _refuse(where, problems)
    return json.dumps(layers, ensure_ascii=True, separators=(",", ":"))


def read_layers(value: str) -> str:
    """Layers from the operator's input: the path of a file, or the JSON itself.

    Raises:
        Fault: BAD_PARAMETER.
    """
    if value.lstrip().startswith(("[", "{")):
        return check_layers(value)
    path = Path(value.removeprefix("file:").removeprefix("f:"))
    if not path.is_absolute():
        _refuse(value[:200], ["the path of a layer file begins with / (the service reads it)"])
    # These two of `os.path` answer if pathlib's raise (a name that is too long, a zero byte).
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113
        _refuse(value[:200], ["this is not a file"])
    try:
        text = read_text(
            path,
            largest_bytes=LARGEST_BYTES,
            type=FaultType.BAD_PARAMETER,
            what="the layer file",
        )
    except (FileNotFoundError, ValueError):
        raise Fault(
            FaultType.BAD_PARAMETER,
            "the layer file does not exist",
            where=value[:200],
            hint="the service reads it: give a path that the service can see, such as one under "
            "/etc/schedpilot; docs/peers.md shows a layer file",
        ) from None
    return check_layers(text, str(path))
