# SPDX-License-Identifier: GPL-2.0-or-later
"""The confined part of the static check, started before it is needed.

    serve CLANG FLAGS…

Starting Python and loading the parser is most of a check's time, so this process does it once, in
the same confinement, and forks for each request: a line of JSON with the `name`, the `files` and
the `nice` value. The answer is one line: `found`, or `died` with the status of the fork. Only the
fork reads hostile text. It can reach this process neither through memory nor with signals that
matter: this process is not dumpable, and if anything of a fork is left after its end, this process
ends with all of it.
"""

import ctypes
import json
import os
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bpf.static.child import examine

CPU_S = 30
# More than all messages that a check may have.
MOST_ANSWER_BYTES = 4 << 20
_PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 4, 36
# Loads the modules that are loaded on first use.
_WARM = b"int main(void)\n{\n\treturn 0;\n}\n"


def _fork(request: dict[str, Any], clang: str, flags: Sequence[str]) -> tuple[int, bytes]:
    """The request, handled by a child: its status and output."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            os.close(0)
            os.dup2(2, 1)
            resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
            os.nice(max(0, int(request["nice"]) - os.getpriority(os.PRIO_PROCESS, 0)))
            files = {name: text.encode("latin-1") for name, text in request["files"].items()}
            found = examine(str(request["name"]), files, clang, flags)
            with os.fdopen(writing, "wb") as out:
                out.write(json.dumps([asdict(each) for each in found]).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        data = answer.read(MOST_ANSWER_BYTES + 1)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), data


def _alone() -> bool:
    """Whether nothing of a fork is left; leftovers are our children, because we are their
    subreaper.
    """
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return True
    return False


def main(words: Sequence[str]) -> int:
    clang, *flags = words
    libc = ctypes.CDLL(None)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) or libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        return 1
    examine("warm.bpf.c", {"warm.bpf.c": _WARM}, clang, flags)
    _say({"ready": True})
    for line in sys.stdin.buffer:
        status, data = _fork(json.loads(line), clang, flags)
        if status == 0 and len(data) <= MOST_ANSWER_BYTES:
            _say({"found": json.loads(data)})
        else:
            _say({"died": status})
        if not _alone():
            return 1
    return 0


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
