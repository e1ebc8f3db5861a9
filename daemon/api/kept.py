# SPDX-License-Identifier: GPL-2.0-or-later
"""What was kept, in words: the same in the command and wherever else it is told. Pure."""

from daemon.api.display import displayable
from daemon.api.models import KeptView, KeptViewState

_STATES = {
    KeptViewState.RUNNING: "runs",
    KeptViewState.WAITING: "does not run yet",
    KeptViewState.TRIAL: "has to win a fresh trial",
    KeptViewState.ELSEWHERE: "does not run now",
}


def kept_text(kept: KeptView) -> str:
    """One line. The workload is hostile text, escaped here."""
    on = f" of {displayable(kept.workload, 80)}" if kept.workload else ""
    when = f" (power: {displayable(kept.power, 60)})" if kept.power else ""
    reason = f": {kept.reason}" if kept.reason else ""
    judged = f", for {kept.objective}{on}, by {kept.trial}" if kept.objective else ""
    return f"{kept.scheduler}{judged}{when}; {_STATES[kept.state]}{reason}"
