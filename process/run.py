# SPDX-License-Identifier: GPL-2.0-or-later
"""The only place where this project starts a child process.

Every child gets a closed standard input (unless bytes are given), a scrubbed environment, its own
process group, and a certain end: by itself, by its time limit, or with the block that started it.
There are no shell strings.
"""

import asyncio
import contextlib
import logging
import os
import resource
import shlex
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from process.effort import Effort, current
from process.fault import VERBOSE_VARIABLE, Fault, FaultType
from process.pace import Fixed, Limit, cpu_factor

# Whole commands are logged here, at level DEBUG; messages for people only have a name.
_log = logging.getLogger(__name__)
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# How long a child may take to end after SIGTERM before it gets SIGKILL, seconds.
TERM_GRACE = 3.0
# The longest line that a line-oriented child may print, bytes. A sched_ext exit dump is 32 KiB by
# default and may be set larger; JSON escaping can double it.
LINE_LIMIT = 4 * 1024 * 1024


@dataclass(frozen=True)
class ResourceLimits:
    """Resource limits of one child. Zero means no limit.

    `memory` in bytes of address space, `cpu` in seconds of CPU time (more where the CPUs are slow),
    `file` in bytes of the largest file it may write, `processes` for the user it runs as.
    """

    memory: int = 0
    cpu: int = 0
    file: int = 0
    processes: int = 0

    def arguments(self) -> list[str]:
        """The limits as a `prlimit` prefix, which sets them before the program starts."""
        pairs = (
            ("as", self.memory),
            ("cpu", self._cpu()),
            ("fsize", self.file),
            ("nproc", self.processes),
        )
        # A confined child may not raise its own priority.
        given = [f"--{name}={value}" for name, value in pairs if value]
        return ["prlimit", "--nice=0", *given, "--"]

    def _cpu(self) -> int:
        if not self.cpu:
            return 0
        # A process under a limit cannot set a higher one.
        most = resource.getrlimit(resource.RLIMIT_CPU)[1]
        wanted = round(self.cpu * cpu_factor())
        return wanted if most == resource.RLIM_INFINITY else min(wanted, most)


@dataclass(frozen=True)
class Completed:
    """A child that has ended; streams as bytes."""

    argv: tuple[str, ...]
    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "replace")

    @property
    def error_text(self) -> str:
        return self.stderr.decode("utf-8", "replace")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of a child: fixed values, then `extra`.

    Only the wish to see commands is inherited.
    """
    fixed = {"PATH": PATH, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "HOME": "/"}
    if verbose := os.environ.get(VERBOSE_VARIABLE):
        fixed[VERBOSE_VARIABLE] = verbose
    return {**fixed, **(extra or {})}


def _missing(program: str) -> Fault:
    return Fault(
        FaultType.MISSING_TOOL,
        f"the program {program!r} is not installed",
        why="it is not on the path",
        hint="run `schedpilot doctor` to see which package has it",
    )


def _placed(words: list[str]) -> list[str]:
    """The command with the prefix for the priority of its work.

    Raises:
        Fault: MISSING_TOOL, or BUSY if that work was given up.
    """
    work = current()
    if work is None:
        return words
    work.check()
    if shutil.which(words[0], path=PATH) is None:
        raise _missing(words[0])
    return [*work.prefix(), *words]


def _end(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


def run(
    argv: Sequence[str | Path],
    *,
    timeout: float | Fixed,
    name: str = "",
    input: bytes | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    limits: ResourceLimits | None = None,
    check: bool = True,
    capture: bool = True,
) -> Completed:
    """Run a child until it ends.

    Args:
        argv: program and arguments; never a shell string.
        timeout: seconds after which the whole process group is killed; longer if the machine is
            slow or busy, unless it is `Fixed`.
        name: its name in messages; default: the program's name.
        input: bytes for standard input; without them it is closed.
        env: added to the scrubbed environment.
        limits: set before the program starts.
        check: raise if the exit status is not zero.
        capture: keep the streams; else they go where ours go.

    Raises:
        Fault: MISSING_TOOL, TIMEOUT, or (with `check`) CHILD_FAILED; BUSY if its work was given up
            (`process.effort`).
    """
    words = [str(word) for word in argv]
    full = _placed([*limits.arguments(), *words] if limits else words)
    work = current()
    pipe = subprocess.PIPE if capture else None
    try:
        child = subprocess.Popen(
            full,
            stdin=subprocess.DEVNULL if input is None else subprocess.PIPE,
            stdout=pipe,
            stderr=pipe,
            env=environment(env),
            cwd=cwd,
            start_new_session=True,
            close_fds=True,
        )
    except FileNotFoundError:
        raise _missing(full[0]) from None
    name = name or called(words)
    command = shlex.join(full)
    limit = Limit(timeout)
    if work is not None:
        work.began(child.pid)
    try:
        out, err = _ended(child, input, limit)
    except subprocess.TimeoutExpired:
        if work is not None:
            work.late = True
        _end(child.pid)
        out, err = child.communicate()
        _log.debug("not finished in time: %s", command)
        last = tail(err or out)
        raise Fault(
            FaultType.TIMEOUT,
            f"{name} did not finish within {limit.words()}",
            hint="it was ended" + ("; its last lines are above" if last else ""),
            details=last,
            command=command,
        ) from None
    except BaseException:
        _end(child.pid)
        child.wait()
        raise
    finally:
        if work is not None:
            work.ended(child.pid)
    if work is not None:
        work.check()
    done = Completed(tuple(words), child.returncode, out or b"", err or b"")
    if limits and done.status == 127 and b"failed to execute" in done.stderr:
        raise _missing(words[0])
    if limits and done.status == 1 and done.stderr.startswith(b"prlimit: "):
        raise Fault(
            FaultType.CHILD_FAILED,
            f"{name} could not be started within its limits",
            why=done.error_text.strip().splitlines()[0],
            command=command,
        )
    if check and done.status != 0:
        _log.debug("status %d: %s", done.status, command)
        raise Fault(
            FaultType.CHILD_FAILED,
            f"{name} {ending(done.status)}",
            details=tail(done.stderr or done.stdout),
            command=command,
        )
    return done


def _ended(
    child: "subprocess.Popen[bytes]", input: bytes | None, limit: Limit
) -> tuple[bytes, bytes]:
    """The child's output after it ended. Raises TimeoutExpired if it does not end."""
    try:
        return child.communicate(input, timeout=limit.left())
    except subprocess.TimeoutExpired:
        while left := limit.left():
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.communicate(timeout=left)
        raise


# Programs that only start another one, with `--` before it if they take options of their own.
_STARTERS = ("nice", "setpriv", "prlimit", "bwrap", "unshare", "env", "timeout")


def called(argv: Sequence[str | Path]) -> str:
    """The command's name in messages: its program, without path and without wrappers."""
    words = [str(word) for word in argv]
    while Path(words[0]).name in _STARTERS and "--" in words[1:-1]:
        words = words[words.index("--", 1) + 1 :]
    if "-m" in words[1:3] and words[-1] != "-m":
        # A module says more than the interpreter that runs it.
        return words[words.index("-m") + 1]
    return Path(words[0]).name


def ending(status: int) -> str:
    """How it ended, in words: a negative status is the signal that ended it."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


def tail(raw: bytes | None, lines: int = 20) -> tuple[str, ...]:
    """The last lines of a stream, made safe for a terminal."""
    text = (raw or b"").decode("utf-8", "replace").splitlines()[-lines:]
    return tuple("".join(c if c.isprintable() or c == "\t" else "?" for c in line) for line in text)


class LineChild:
    """A long-lived child that speaks in lines: commands in, one JSON object a line out."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        errors: "asyncio.Task[None] | None" = None,
        work: Effort | None = None,
    ) -> None:
        self._process = process
        self._errors = errors
        self._work = work

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def status(self) -> int | None:
        return self._process.returncode

    async def send(self, line: str) -> None:
        """Write one line to the child. Does nothing if the child is gone.

        The reader of its lines notices the child's end, not this.
        """
        if "\n" in line:
            raise ValueError("one line only")
        stdin = self._process.stdin
        if stdin is None or stdin.is_closing():
            return
        with contextlib.suppress(ConnectionError):
            stdin.write(line.encode() + b"\n")
            await stdin.drain()

    async def lines(self) -> AsyncIterator[bytes]:
        """Each line of standard output until the child closes it."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            yield line

    async def wait(self) -> int:
        return await self._process.wait()

    async def end(self) -> int:
        """Close its input, send SIGTERM, then SIGKILL. Returns the exit status.

        By then the last lines of its standard error have been passed on, unless a grandchild keeps
        that open.
        """
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        for send in (process.terminate, process.kill):
            if process.returncode is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                send()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), TERM_GRACE)
        status = await process.wait()
        if self._work is not None:
            self._work.ended(process.pid)
        if self._errors is not None:
            await asyncio.wait({self._errors}, timeout=TERM_GRACE)
        return status


async def start_lines(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    on_error_line: Callable[[str], None] | None = None,
) -> LineChild:
    """Start a long-lived child that speaks in lines. The caller awaits `end()`.

    `on_error_line` gets each line the child writes to standard error.

    Raises:
        Fault: MISSING_TOOL.
    """
    words = _placed([str(word) for word in argv])
    work = current()
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE if on_error_line else asyncio.subprocess.DEVNULL,
            env=environment(env),
            start_new_session=True,
            limit=LINE_LIMIT,
        )
    except FileNotFoundError:
        raise _missing(words[0]) from None
    if work is not None:
        work.began(process.pid)
    errors = None
    if on_error_line:
        child_error = process.stderr
        assert child_error is not None

        async def relay() -> None:
            async for raw in child_error:
                on_error_line(raw.decode("utf-8", "replace").rstrip("\n"))

        errors = asyncio.create_task(relay())
    return LineChild(process, errors, work)
