# SPDX-License-Identifier: GPL-2.0-or-later
"""One exception for trouble that a person or a client can act on.

A `Fault` says what went wrong, where, why, and what to do about it. The command
prints it, the API turns it into problem details (RFC 9457) with `type` as the
stable name, and the journal records it. Anything that is not a `Fault` is a
defect of ours and may end in a traceback.
"""

import errno
import os
from enum import StrEnum

# Set by `schedpilot --verbose`: reports name the command of the child that failed.
VERBOSE_VARIABLE = "SCHEDPILOT_VERBOSE"


def printable(line: str) -> str:
    """A line in which nothing acts on a terminal: what cannot be shown is `?`."""
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
        where: the file, key, column, process or place it happened in.
        why: the cause, as near to the root as is known.
        hint: what to do about it, in the imperative.
        details: lines of supporting material (compiler messages, console tail).
        command: the whole command of the child that failed, for those who ask for it.
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
        """The fault for a terminal: cause first, then material, then the remedy."""
        lines = [f"error: {self}"]
        lines += [f"  | {line}" for line in self.details]
        if self.command and os.environ.get(VERBOSE_VARIABLE):
            lines.append(f"  $ {self.command}")
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)


def fault_of(error: Fault | OSError) -> Fault:
    """The fault, or what the system refused as one: for the edge of a program.

    A path that cannot be used, a full disk, a limit of the system: somebody can act on all of
    them, also where no nearer place has told it better.
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
