# SPDX-License-Identifier: GPL-2.0-or-later
"""One call of each tool that gets an answer, for tests that go through all of them."""

from typing import Any

from tests.agent.machine import WORKLOAD
from tests.mcp.rich import CANDIDATE, EPISODE

CALLS: dict[str, dict[str, Any]] = {
    "get_status": {},
    "list_workloads": {},
    "profile_workload": {"workload": WORKLOAD},
    "get_signals": {"workload": WORKLOAD},
    "run_probe": {"kind": "runqlat", "workload": WORKLOAD, "seconds": 1},
    "search_schedulers": {"query": "latency-sensitive"},
    "get_scheduler": {"name": "latency"},
    "get_history": {},
    "get_episode": {"id": EPISODE, "steps": 5},
    "check_candidate": {"policy": "slice 3ms"},
    "start_trial": {"candidate": CANDIDATE, "wait_s": 0},
    "set_parameters": {"parameters": {"slice_us": 2000}},
    "rollback": {"reason": "a test"},
    "record_lesson": {"text": "be brief"},
}
ACTING = {
    "run_probe",
    "check_candidate",
    "start_trial",
    "set_parameters",
    "rollback",
    "record_lesson",
}
