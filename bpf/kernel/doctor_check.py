# SPDX-License-Identifier: GPL-2.0-or-later
"""One finding of the doctor."""

from dataclasses import dataclass
from enum import StrEnum


class DoctorVerdict(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One check: the finding, its meaning, what to do."""

    name: str
    verdict: DoctorVerdict
    found: str
    meaning: str
    remedy: str = ""
