# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the API is: its sockets, and the acting routes by name.

`control.py` serves those; `observe.py` says where they are.
"""

import os
from enum import StrEnum
from pathlib import Path

RUN_DIR_VARIABLE = "SCHEDPILOT_RUN_DIR"
RUN_DIR = Path("/run/schedpilot")
OBSERVE_SOCKET = "observe.sock"
CONTROL_SOCKET = "control.sock"
# Its members may open the control socket.
GROUP = "schedpilot"
# Whom the advisor runs as: it may do what the group may, save approve what it proposed.
AGENT_USER = "schedpilot-agent"


def run_dir() -> Path:
    """The folder of the sockets: `SCHEDPILOT_RUN_DIR`, else `/run/schedpilot`."""
    return Path(os.environ.get(RUN_DIR_VARIABLE) or RUN_DIR)


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
    EPISODES = "/v1/episodes"
    STEPS = "/v1/episodes/{id}/steps"
    ADVICE = "/v1/episodes/{id}/advice"
    CLOSE = "/v1/episodes/{id}/close"
    RECORDINGS = "/v1/recordings"
    RECORDING = "/v1/recordings/{id}"
    TRACE = "/v1/recordings/{id}/trace"
    PROBES = "/v1/probes"
    CALLS = "/v1/calls"
