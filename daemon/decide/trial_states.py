# SPDX-License-Identifier: GPL-2.0-or-later
"""The life cycle of a trial. Every change of a trial's state goes through `TRIAL_LIFE`."""

from enum import StrEnum

from daemon.api.models import TrialState
from daemon.decide.life_cycle import LifeCycle


class TrialChange(StrEnum):
    """The causes of a trial's changes of state."""

    ASKED = "asked for"
    ASKED_OF_A_PERSON = "asked for under autonomy ask"
    APPROVED = "approved"
    DECLINED = "declined"
    STARTED = "started"
    NOT_STARTED = "could not start"
    KEPT = "won, and stays"
    ROLLED_BACK = "did not win, did harm, or was stopped"
    UNMEASURED = "could not be measured"
    FAILED = "a scheduler could not be loaded, or a fault"
    INTERRUPTED = "the daemon ended before it did"


_WAITS, _RUNS = TrialState.AWAITING_APPROVAL, TrialState.RUNNING

# A running trial stays `running` until the scheduler that follows it runs: a final state is final.
TRIAL_LIFE = LifeCycle(
    "trial",
    (
        (None, TrialChange.ASKED, _RUNS),
        (None, TrialChange.ASKED_OF_A_PERSON, _WAITS),
        (_WAITS, TrialChange.APPROVED, _RUNS),
        (_WAITS, TrialChange.DECLINED, TrialState.DECLINED),
        (_WAITS, TrialChange.NOT_STARTED, TrialState.FAILED),
        (_WAITS, TrialChange.INTERRUPTED, TrialState.FAILED),
        (_RUNS, TrialChange.STARTED, _RUNS),
        (_RUNS, TrialChange.KEPT, TrialState.KEPT),
        (_RUNS, TrialChange.ROLLED_BACK, TrialState.ROLLED_BACK),
        (_RUNS, TrialChange.UNMEASURED, TrialState.UNMEASURED),
        (_RUNS, TrialChange.NOT_STARTED, TrialState.FAILED),
        (_RUNS, TrialChange.FAILED, TrialState.FAILED),
        (_RUNS, TrialChange.INTERRUPTED, TrialState.FAILED),
    ),
)
