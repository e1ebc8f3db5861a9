# SPDX-License-Identifier: GPL-2.0-only
"""Looks at one workload, for less than a second, and tells what it is like."""

import time
from dataclasses import dataclass

from bpf.signals import SignalsLine
from daemon.api.models import ProfileView, WorkloadProfileView


@dataclass(frozen=True)
class Measured:
    """What the daemon knows of a workload before anybody looks: its last minutes."""

    profile: ProfileView
    line: SignalsLine | None
    interval_s: float


def understand(workload: str, measured: Measured) -> WorkloadProfileView:
    """What a workload is, does and waits for. Blocks: call it in a thread."""
    return WorkloadProfileView(
        workload=workload,
        at=time.time(),
        tags=measured.profile.tags,
        figures=measured.profile.figures,
        sure_of=measured.profile.sure_of,
    )
