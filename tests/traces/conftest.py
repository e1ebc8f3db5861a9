# SPDX-License-Identifier: GPL-2.0-or-later
"""Traces written by hand, line by line, so that a test knows what they contain."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

HEADER = '{"schedpilot_trace":1,"machine":{"cpus":2,"llc_cpus":2,"tick_ns":4000000,"kernel":"7.3"}}'
DATA = Path(__file__).parents[1] / "data" / "traces"


def defined(*names: str, **more: object) -> list[str]:
    """Tasks 0, 1, … with these command names, each in its own workload."""
    lines = []
    for number, name in enumerate(names):
        lines.append(json.dumps({"workload": number, "id": f"comm:{name}"}))
        task = {"task": number, "comm": name, "workload": number, "pid": 100 + number, **more}
        lines.append(json.dumps(task))
    return lines


def ended(at_ns: int, records: int = 0, **more: object) -> str:
    return json.dumps({"end_ns": at_ns, "records": records, **more})


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write lines to a file of this name, and return its path."""

    def writer(*lines: str, name: str = "a.trace") -> Path:
        path = tmp_path / name
        path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        return path

    return writer
