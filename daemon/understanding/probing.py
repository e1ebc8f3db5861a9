# SPDX-License-Identifier: GPL-2.0-only
"""Closer looks that the daemon runs for its clients: one at a time."""

from bpf.signals import SignalsLine
from daemon.api.models import ProbeKind, ProbeKindView, ProbeRequest, ProbeView
from process import Fault, FaultType


def there_are() -> list[ProbeKindView]:
    return [
        ProbeKindView(kind=each, question="", available=False, missing=["BCC"])
        for each in ProbeKind
    ]


class Probing:
    async def run(self, request: ProbeRequest, line: SignalsLine | None) -> ProbeView:
        raise Fault(FaultType.UNSUPPORTED, f"the probe {request.kind} cannot be run here")
