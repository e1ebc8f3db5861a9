# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's decisions and observations, as they happen."""

from enum import StrEnum

from pydantic import Field

from daemon.api.models.base import Answer


class EventKind(StrEnum):
    """Each is one journal record with its own MESSAGE_ID (see daemon/service/journal.py)."""

    STARTED = "started"
    STOPPING = "stopping"
    DEGRADATION = "degradation"
    RECOVERED = "recovered"
    EPISODE_OPENED = "episode-opened"
    EPISODE_CLOSED = "episode-closed"
    GATE_STARTED = "gate-started"
    GATE_PROGRESS = "gate-progress"
    GATE_PASSED = "gate-passed"
    GATE_SKIPPED = "gate-skipped"
    GATE_FAILED = "gate-failed"
    APPROVAL_WANTED = "approval-wanted"
    TRIAL_STARTED = "trial-started"
    WINDOW = "window"
    VERDICT = "verdict"
    LOADED = "loaded"
    UNLOADED = "unloaded"
    KEPT = "kept"
    PUT_BACK = "put-back"
    NOT_PUT_BACK = "not-put-back"
    POWER = "power-regime"
    SAVED = "saved"
    ROLLBACK = "rollback"
    UNMEASURED = "unmeasured"
    EJECTED = "ejected"
    QUARANTINED = "quarantined"
    FOREIGN = "foreign-scheduler"
    ADVICE_ONLY = "advice-only"
    ADVICE = "advice"
    LESSON = "lesson"
    PREPARED = "prepared"
    PREPARATION_REFUSED = "preparation-refused"
    STATE_TROUBLE = "state-trouble"
    SIGNALS_LOST = "signals-lost"


class Event(Answer):
    """One decision or observation. `seq` rises by one with each; `workload` is hostile text."""

    seq: int
    at: float
    kind: EventKind
    message: str
    episode: str = ""
    trial: str = ""
    candidate: str = ""
    scheduler: str = ""
    workload: str = ""
    reason: str = ""
    figures: dict[str, float] = Field(default_factory=dict)
