# SPDX-License-Identifier: GPL-2.0-or-later
"""A `Fault` as problem details (RFC 9457), and back: both ends of the wire use this module."""

from daemon.api.display import displayable
from daemon.api.models import Problem
from process import Fault, FaultType

MEDIA_TYPE = "application/problem+json"
PREFIX = "urn:schedpilot:fault:"
# Limits of a fault on the wire, characters and lines.
_TEXT_LIMIT = 2000
_LINES_LIMIT = 200

# The HTTP status of each fault: 4xx if the client can act differently, 5xx if it cannot.
STATUS: dict[FaultType, int] = {
    FaultType.BAD_REQUEST: 400,
    FaultType.BAD_NAME: 400,
    FaultType.NOT_ALLOWED: 403,
    FaultType.NOT_FOUND: 404,
    FaultType.UNKNOWN_SCHEDULER: 404,
    FaultType.BUSY: 409,
    FaultType.FOREIGN_SCHEDULER: 409,
    FaultType.QUARANTINED: 409,
    FaultType.NOT_INSTALLED: 409,
    FaultType.TOO_LARGE: 413,
    FaultType.BAD_PARAMETER: 422,
    FaultType.BAD_POLICY: 422,
    FaultType.BAD_MANIFEST: 422,
    FaultType.BUILD_FAILED: 422,
    FaultType.VERIFIER_REFUSED: 422,
    FaultType.NOT_BPF: 422,
    FaultType.COOLDOWN: 429,
    FaultType.BAD_CONFIG: 500,
    FaultType.LOAD_FAILED: 500,
    FaultType.EJECTED: 500,
    FaultType.CHILD_FAILED: 500,
    FaultType.LAB: 500,
    FaultType.INTERNAL: 500,
    FaultType.UNSUPPORTED: 501,
    FaultType.MISSING_TOOL: 503,
    FaultType.STATE: 503,
    FaultType.UNREACHABLE: 503,
    FaultType.TIMEOUT: 504,
}


def problem_of(fault: Fault, *, instance: str = "", status: int = 0) -> Problem:
    """The fault for the wire, with all its text made fit to be shown.

    Args:
        instance: the requested path.
        status: the HTTP status if it is not the usual one of this type.
    """
    return Problem(
        type=PREFIX + fault.type,
        title=fault.type.replace("-", " ").capitalize(),
        status=status or STATUS[fault.type],
        detail=displayable(fault.what, _TEXT_LIMIT),
        instance=displayable(instance, _TEXT_LIMIT),
        where=displayable(fault.where, _TEXT_LIMIT),
        why=displayable(fault.why, _TEXT_LIMIT),
        hint=displayable(fault.hint, _TEXT_LIMIT),
        lines=[
            displayable(line.expandtabs(), _TEXT_LIMIT) for line in fault.details[:_LINES_LIMIT]
        ],
    )


def fault_of(problem: Problem) -> Fault:
    """The fault that the other side raised. An unknown type becomes INTERNAL."""
    name = problem.type.removeprefix(PREFIX)
    known = problem.type.startswith(PREFIX) and name in set(FaultType)
    return Fault(
        FaultType(name) if known else FaultType.INTERNAL,
        problem.detail or problem.title,
        where=problem.where,
        why=problem.why,
        hint=problem.hint,
        details=tuple(problem.lines),
    )
