# SPDX-License-Identifier: GPL-2.0-only
"""The acting routes, by name. `control.py` serves them; `observe.py` says where they are."""

from enum import StrEnum


class Acting(StrEnum):
    CANDIDATES = "/v1/candidates"
    TRIALS = "/v1/trials"
    WINDOWS = "/v1/trials/{id}/windows"
    SCHEDULER = "/v1/scheduler"
    PARAMETERS = "/v1/parameters"
    ROLLBACK = "/v1/rollback"
    APPROVALS = "/v1/approvals/{id}"
    LESSONS = "/v1/lessons"
    MEASUREMENTS = "/v1/measurements"
    ADVICE = "/v1/episodes/{id}/advice"
    CLOSE = "/v1/episodes/{id}/close"
