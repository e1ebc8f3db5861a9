# SPDX-License-Identifier: GPL-2.0-or-later
"""The expectations for each scheduler of the corpus: expected.toml, checked."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

HERE = Path(__file__).parent
END = ".bpf.c"
Gate = Literal["static", "build", "simulate", "verify"]
# The gate that asks a real kernel; what nothing else can stop is named by it.
KERNEL_GATE: Gate = "verify"


class Expected(BaseModel):
    """One bad scheduler.

    `gate` is the first one that stops it; `message` is a pattern in that gate's message. `kernel`
    is what a real one (7.3, two CPUs, busy for four seconds, a watchdog of 2 s) did with it, empty
    if nobody tried.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mistake: str
    gate: Gate
    message: str
    kernel: str = ""


@cache
def expected() -> dict[str, Expected]:
    with (HERE / "expected.toml").open("rb") as file:
        return {name: Expected(**each) for name, each in tomllib.load(file).items()}


def names(kind: Literal["bad", "good"]) -> list[str]:
    return sorted(path.name.removesuffix(END) for path in (HERE / kind).glob(f"*{END}"))


def source(kind: Literal["bad", "good"], name: str) -> Path:
    return HERE / kind / f"{name}{END}"
