# SPDX-License-Identifier: GPL-2.0-or-later
"""The operator's own actions: run, stop, rollback, approve, decline."""

from collections.abc import Sequence

from cli.check import create, label, not_proven, request_for
from cli.following import following
from cli.formats import titled, trial_line
from cli.gates import warn
from cli.output import as_json, say
from daemon.api.client import control_client
from daemon.api.models import ApprovalRequest, HoldRequest, RollbackRequest, StatusView


def _tell(status: StatusView, json: bool) -> None:
    """What runs now, as the daemon read it from the kernel."""
    if json:
        as_json(status)
        return
    if status.loaded:
        name = titled(status.loaded.name, status.loaded.parameters)
        say(f"{name} runs now ({status.kernel.ops or 'sched_ext'}, {status.kernel.state})", "green")
        for line in status.loaded.policy.splitlines():
            say(f"  {line}")
    elif status.foreign:
        say(f"{status.foreign} runs now; it is not ours and was left alone", "yellow")
    else:
        say("the kernel's own scheduler runs now", "green")


def run(target: str, settings: Sequence[str], *, json: bool) -> None:
    request = request_for(target, settings)
    with control_client() as client:
        candidate = create(client, request, target)
        if not candidate.proven or candidate.quarantined:
            raise not_proven(candidate)
        warn(candidate)
        with following(f"loading {label(target)}"):
            status = client.hold(HoldRequest(candidate=candidate.id))
    _tell(status, json)


def stop(*, json: bool) -> None:
    with control_client() as client, following("back to the kernel's own scheduler"):
        status = client.release()
    _tell(status, json)


def rollback(reason: str, *, json: bool) -> None:
    request = RollbackRequest(reason=reason) if reason else RollbackRequest()
    with control_client() as client, following("rolling back"):
        status = client.rollback(request)
    _tell(status, json)


def answer(id: str, *, approve: bool, reason: str, json: bool) -> None:
    """Approve or decline the daemon's request."""
    with control_client() as client:
        trial = client.approve(id, ApprovalRequest(approve=approve, reason=reason))
    if json:
        as_json(trial)
    else:
        say(f"{trial.id}: {trial_line(trial)}")
