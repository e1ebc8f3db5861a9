# SPDX-License-Identifier: GPL-2.0-or-later
"""What the host passes to the guest, and what it gets back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

DEFAULT = "default"
INDEX = "index.json"


@dataclass(frozen=True)
class Object:
    """A scheduler's BPF object, by file name; `expects`: it gets expected runtimes."""

    file: str
    expects: bool


@dataclass(frozen=True)
class Prepared:
    """`objects` by scheduler; `texts`: by workload, the scenario for each repetition."""

    objects: Mapping[str, Object]
    texts: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class KernelRun:
    """One scheduler, one workload, once, on the real kernel; `groups` as replay.c prints them."""

    scheduler: str
    workload: str
    repetition: int
    time_ns: int
    groups: Sequence[Mapping[str, Any]]

    def group(self, name: str) -> Mapping[str, Any]:
        return next(each for each in self.groups if each["name"] == name)


def write_prepared(folder: Path, prepared: Prepared) -> None:
    objects = {name: asdict(each) for name, each in prepared.objects.items()}
    text = json.dumps({"objects": objects, "texts": dict(prepared.texts)})
    (folder / INDEX).write_text(text, encoding="utf-8")


def read_prepared(folder: Path) -> Prepared:
    found = json.loads((folder / INDEX).read_text("utf-8"))
    objects = {name: Object(**each) for name, each in found["objects"].items()}
    return Prepared(objects, found["texts"])


def turns(names: Sequence[str], repetitions: int) -> list[list[str]]:
    """The names forwards and backwards, so that a drift of the machine affects all of them
    equally."""
    return [list(names if turn % 2 == 0 else reversed(names)) for turn in range(repetitions)]
