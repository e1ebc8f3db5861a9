# SPDX-License-Identifier: GPL-2.0-or-later
"""Has a scheduler of the library win a trial by hand, and be kept: in the lab, by the API.

/usr/lib/schedpilot/venv/bin/python keeps.py NAME
"""

import sys

from daemon.api.client import control_client
from daemon.api.models import Arm, CandidateRequest, TrialRequest, TrialState, WindowValue

with control_client() as client:
    candidate = client.create_candidate(CandidateRequest(library=sys.argv[1]))
    view = client.start_trial(
        TrialRequest(
            candidate=candidate.id,
            objective="measurement m lower",
            fed_by_client=True,
            max_windows=4,
        )
    )
    turn = 0
    while view.state is TrialState.RUNNING:
        turn += 1
        value = 1.0 if view.next_arm is Arm.CANDIDATE else 3.0
        view = client.feed_window(view.id, WindowValue(value=value + 0.01 * turn))
    print(view.state.value, view.reason)
    sys.exit(view.state is not TrialState.KEPT)
