# SPDX-License-Identifier: GPL-2.0-or-later
"""A long-lived child whose outputs are read as they arrive, on chosen descriptors.

`process.run` waits for a child and `process.start_lines` exchanges lines with one; this reads raw
bytes from several descriptors at once (a virtual machine has a console and a few ports beside its
standard error). The child's end is certain: by itself, by a reader that has seen enough, by the
time limit, by an exception or Ctrl-C in us, or by our own death.
"""

import os
import selectors
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from process.fault import Fault, FaultType
from process.run import _end, _missing, called, environment

# The size of one read from a descriptor, bytes.
CHUNK_BYTES = 65536

# Gets the bytes read, and b"" once at the end of the stream. True means: seen enough, end the
# child; data already under way on the other descriptors is still delivered.
Reader = Callable[[bytes], bool | None]


def stream(
    argv: Sequence[str | Path],
    readers: Mapping[int, Reader],
    *,
    pass_fds: Sequence[int],
    on_error: Reader,
    deadline: Callable[[], float],
    env: Mapping[str, str] | None = None,
) -> int:
    """Run a child until it ends, passing on the data from its descriptors.

    Args:
        argv: program and arguments; never a shell string.
        readers: for each of our descriptors, the function that gets its bytes.
        pass_fds: descriptors that the child inherits under the same numbers. They are
            closed here as soon as it runs, so that the end of the child is the end of
            its streams.
        on_error: gets the child's standard output and error.
        deadline: the time (`time.monotonic()`, seconds) at which the child is killed; asked again
            after each read, because the data may move it.
        env: added to the scrubbed environment.

    Returns:
        The exit status; negative if a signal ended it.

    Raises:
        Fault: MISSING_TOOL, or TIMEOUT after every stream was read to its end.
    """
    words = [str(word) for word in argv]
    try:
        child = subprocess.Popen(
            # The kernel kills the child if we die without a chance to do it.
            ["setpriv", "--pdeathsig", "KILL", "--", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(env),
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )
    except FileNotFoundError:
        raise _missing("setpriv") from None
    finally:
        for fd in pass_fds:
            os.close(fd)
    assert child.stdout is not None
    try:
        with child.stdout as errors:
            overdue = _relay(child.pid, {**readers, errors.fileno(): on_error}, deadline)
        status = child.wait()
    finally:
        _end(child.pid)
        child.wait()
    if overdue:
        raise Fault(FaultType.TIMEOUT, f"{called(words)} did not finish in time")
    return status


def _relay(group: int, readers: Mapping[int, Reader], deadline: Callable[[], float]) -> bool:
    """Read everything to its end; True if the time limit had to end the child."""
    overdue = False
    ended = False
    with selectors.DefaultSelector() as selector:
        for fd, reader in readers.items():
            selector.register(fd, selectors.EVENT_READ, reader)
        while selector.get_map():
            left = None if ended else max(0.0, deadline() - time.monotonic())
            for key, _ in selector.select(left):
                try:
                    data = os.read(key.fd, CHUNK_BYTES)
                except ConnectionError:
                    data = b""
                enough = key.data(data)
                if not data:
                    selector.unregister(key.fd)
                if enough and not ended:
                    ended = True
                    _end(group)
            if not ended and time.monotonic() >= deadline():
                overdue = ended = True
                _end(group)
    return overdue
