# SPDX-License-Identifier: GPL-2.0-or-later
"""The paths of the API's sockets."""

import os
from pathlib import Path

RUN_DIR_VARIABLE = "SCHEDPILOT_RUN_DIR"
RUN_DIR = Path("/run/schedpilot")
OBSERVE_SOCKET = "observe.sock"
CONTROL_SOCKET = "control.sock"
# Its members may open the control socket.
GROUP = "schedpilot"
# The user that the advisor runs as: it may do what the group may, except approve what it proposed.
AGENT_USER = "schedpilot-agent"


def run_dir() -> Path:
    """The folder of the sockets: `SCHEDPILOT_RUN_DIR`, else `/run/schedpilot`."""
    return Path(os.environ.get(RUN_DIR_VARIABLE) or RUN_DIR)
