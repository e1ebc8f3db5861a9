# SPDX-License-Identifier: GPL-2.0-or-later
"""One exception for every trouble that a person or a client can act on.

A `Fault` says what went wrong, where, why, and what to do about it. The command prints it, the API
turns it into problem details (RFC 9457) with `type` as the stable name, and the journal records it.
Any other exception is a defect of ours and may end in a traceback.
"""

import errno
import os
from enum import StrEnum

# Set by `schedpilot --verbose`: reports include the command of the failed child.
VERBOSE_VARIABLE = "SCHEDPILOT_VERBOSE"


def printable(line: str) -> str:
    """A line without control characters; characters that cannot be shown become `?`."""
    return "".join(each if each.isprintable() else "?" for each in line)


_REMEDIES = {
    errno.ENOSPC: "free space on the disk, or name a place on another one",
    errno.EDQUOT: "free space on the disk, or name a place on another one",
    errno.EMFILE: "close other programs, or raise the limit of open files (ulimit -n)",
    errno.ENFILE: "close other programs, or raise the limit of open files (fs.file-max)",
    errno.EAGAIN: "end other programs, or raise the limit of processes (ulimit -u)",
    errno.ENOMEM: "end other programs, or raise the limit of memory (ulimit -v)",
    errno.ENAMETOOLONG: "name a shorter path",
}


class FaultType(StrEnum):
    """Stable names of faults; part of the API (the `type` of problem details)."""

    BAD_REQUEST = "bad-request"
    TOO_LARGE = "too-large"
    NOT_FOUND = "not-found"
    NOT_ALLOWED = "not-allowed"
    BAD_CONFIG = "bad-configuration"
    BAD_MANIFEST = "bad-manifest"
    BAD_NAME = "bad-name"
    BAD_PARAMETER = "bad-parameter"
    BAD_POLICY = "bad-policy"
    UNKNOWN_SCHEDULER = "unknown-scheduler"
    NOT_INSTALLED = "not-installed"
    MISSING_TOOL = "missing-tool"
    UNSUPPORTED = "unsupported"
    BUILD_FAILED = "build-failed"
    VERIFIER_REFUSED = "verifier-refused"
    NOT_BPF = "not-a-bpf-object"
    LOAD_FAILED = "load-failed"
    EJECTED = "ejected"
    FOREIGN_SCHEDULER = "foreign-scheduler"
    BUSY = "busy"
    QUARANTINED = "quarantined"
    COOLDOWN = "cooldown"
    STATE = "state"
    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    CHILD_FAILED = "child-failed"
    LAB = "lab"
    INTERNAL = "internal"


class Fault(Exception):
    """Trouble somebody can act on.

    Args:
        type: the stable name of this kind of trouble.
        what: one sentence: what could not be done.
        where: the file, key, column, process or place where it happened.
        why: the cause, as close to the root as is known.
        hint: what to do about it, in the imperative.
        details: lines of supporting material (compiler messages, console tail).
        command: the whole command of the failed child, for --verbose.
    """

    def __init__(
        self,
        type: FaultType,
        what: str,
        *,
        where: str = "",
        why: str = "",
        hint: str = "",
        details: tuple[str, ...] = (),
        command: str = "",
    ) -> None:
        super().__init__(what)
        self.type = type
        self.what = what
        self.where = where
        self.why = why
        self.hint = hint
        self.details = details
        self.command = command

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        if self.why:
            text += f": {self.why}"
        return text

    def report(self) -> str:
        """The fault for a terminal: cause first, then details, then the hint."""
        lines = [f"error: {self}"]
        lines += [f"  | {line}" for line in self.details]
        if self.command and os.environ.get(VERBOSE_VARIABLE):
            lines.append(f"  $ {self.command}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


def fault_of(error: Fault | OSError) -> Fault:
    """The fault, or an OSError turned into one: for the entry point of a program.

    A person can act on a path that cannot be used, a full disk or a system limit, even if no closer
    place explained it better.
    """
    if isinstance(error, Fault):
        return error
    names = [os.fsdecode(each) for each in (error.filename, error.filename2) if each is not None]
    return Fault(
        FaultType.STATE,
        "the system refused what was asked of it",
        where=printable(" and ".join(names)),
        why=error.strerror or str(error) or type(error).__name__,
        hint=_REMEDIES.get(error.errno or 0, "check what the path is, and its owner and mode"),
    )
