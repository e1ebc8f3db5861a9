# SPDX-License-Identifier: GPL-2.0-or-later
"""One scheduler held in the kernel by `schedpilot-runner`.

    async with await Runner.start(object, lease_s=10) as runner:
        await runner.renew()

`start` returns when the kernel has confirmed the scheduler, or raises with the true cause. Whatever
happens to this process, the lease ends the scheduler.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from bpf.paths import helper
from bpf.runner.lines import (
    Attached,
    Described,
    Detached,
    Done,
    Exited,
    Failed,
    Refused,
    RunnerLine,
    Stats,
    Verified,
    parse_line,
)
from process import Fault, FaultType, LineChild, start_lines, within

Value = bool | int | float | str

# Time limit for verifying and enabling together, seconds; ample under emulation.
START_LIMIT_S = 90.0
# Detaching waits until the kernel's own scheduler is back, seconds.
END_LIMIT_S = 10.0
# Time limit for the answer to a command, seconds.
ANSWER_LIMIT_S = 5.0
# How many lines of a verifier's log go into a fault.
_LOG_LINES = 60

_TYPES = {
    "open": FaultType.NOT_BPF,
    "set": FaultType.BAD_PARAMETER,
    "load": FaultType.LOAD_FAILED,
    "attach": FaultType.LOAD_FAILED,
    "enable": FaultType.EJECTED,
}
EBUSY = 16
ENOENT = 2


def _suggestion(log: str) -> str:
    """The verifier's own suggestion (7.3); empty if it has none."""
    found = re.search(r"^Suggestion:\n +(\S.*)$", log, re.MULTILINE)
    return found[1].strip() if found else ""


def fault_of(failed: Failed, object: Path) -> Fault:
    """The runner's failure as a fault for the caller."""
    type = _TYPES[failed.stage]
    # libbpf prints the verifier's output between these marks.
    if failed.stage == "load" and "PROG LOAD LOG" in failed.log:
        type = FaultType.VERIFIER_REFUSED
    elif failed.stage == "attach" and failed.errno == EBUSY:
        type = FaultType.FOREIGN_SCHEDULER
    elif failed.stage == "open" and failed.errno == ENOENT:
        type = FaultType.NOT_FOUND
    record = failed.exit
    why = record.explain() if record and record.kind else f"{failed.cause} ({failed.message})"
    lines = record.dump if record and record.dump else failed.log
    return Fault(
        type,
        {
            "open": "the object was not opened",
            "set": "a parameter was not set",
            "load": "the kernel did not accept the scheduler",
            "attach": "the scheduler was not attached",
            "enable": "the scheduler was ejected while it was being enabled",
        }[failed.stage],
        where=failed.ops or object.name,
        why=why,
        hint=_suggestion(failed.log) or failed.hint,
        details=tuple(line for line in lines.splitlines() if line.strip())[-_LOG_LINES:],
    )


def spell(name: str, value: Value) -> str:
    """A parameter's value in the runner's format.

    Raises:
        Fault: BAD_PARAMETER for a value that a scheduler's variable cannot hold.
    """
    if not name.isidentifier() or not name.isascii():
        raise Fault(
            FaultType.BAD_PARAMETER,
            f"{name!r} is not a name of a scheduler's parameter",
            hint="a name has letters, digits and underscores",
        )
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not value.is_integer():
            raise Fault(
                FaultType.BAD_PARAMETER,
                f"{name} cannot be {value:g}",
                why="there are no fractions in BPF",
                hint="give a whole number in the parameter's unit",
            )
        value = int(value)
    text = str(value)
    if not text or not text.isprintable() or any(c.isspace() for c in text):
        raise Fault(FaultType.BAD_PARAMETER, f"{name} cannot be {text!r}")
    return text


def _command(object: Path, parameters: Mapping[str, Value], *rest: str) -> list[str]:
    words = [str(helper("schedpilot-runner")), "--object", str(object)]
    for name, value in parameters.items():
        words += ["--set", f"{name}={spell(name, value)}"]
    return [*words, *rest]


class Runner:
    """A scheduler that the kernel has confirmed, and the child that holds it."""

    def __init__(self, child: LineChild, lines: AsyncIterator[bytes], attached: Attached) -> None:
        self.attached = attached
        self._child = child
        self._events: asyncio.Queue[RunnerLine | None] = asyncio.Queue()
        self._answers: asyncio.Queue[Done | Refused | None] = asyncio.Queue()
        self._commands = asyncio.Lock()
        self._reader = asyncio.create_task(self._read(lines))

    @classmethod
    async def start(
        cls,
        object: Path,
        *,
        lease_s: float,
        parameters: Mapping[str, Value] | None = None,
        stats_s: float = 0.0,
    ) -> Self:
        """Load, attach, and wait for the kernel's confirmation.

        Args:
            lease_s: seconds after which the scheduler ends unless renewed.
            stats_s: seconds between `Stats` events; 0 for none.

        Raises:
            Fault: NOT_BPF, NOT_FOUND, BAD_PARAMETER, VERIFIER_REFUSED, LOAD_FAILED, EJECTED,
                FOREIGN_SCHEDULER, NOT_INSTALLED, TIMEOUT, CHILD_FAILED.
        """
        words = _command(object, parameters or {}, "--lease", f"{lease_s:g}")
        if stats_s:
            words += ["--stats", f"{stats_s:g}"]
        child = await start_lines(words)
        lines = child.lines()
        try:
            line = await _until(lines, Attached, object)
        except BaseException:
            await child.end()
            raise
        return cls(child, lines, line)

    @property
    def pid(self) -> int:
        return self._child.pid

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.detach()

    async def _read(self, lines: AsyncIterator[bytes]) -> None:
        try:
            async for raw in lines:
                line = parse_line(raw)
                if isinstance(line, Done | Refused):
                    self._answers.put_nowait(line)
                else:
                    self._events.put_nowait(line)
        finally:
            self._answers.put_nowait(None)
            self._events.put_nowait(None)

    async def events(self) -> AsyncIterator[Stats | Exited | Detached]:
        """The scheduler's events, until it is gone. For one reader."""
        while True:
            line = await self._events.get()
            if line is None:
                self._events.put_nowait(None)
                return
            if isinstance(line, Stats | Exited | Detached):
                yield line

    async def renew(self) -> None:
        """Begin the lease anew. Does nothing if the scheduler is gone: `events` reports that."""
        await self._child.send("renew")

    async def _ask(self, line: str) -> None:
        async with self._commands:
            await self._child.send(line)
            try:
                async with within(ANSWER_LIMIT_S):
                    answer = await self._answers.get()
            except TimeoutError:
                raise Fault(
                    FaultType.TIMEOUT, "the runner did not answer", where=line.split(" ")[0]
                ) from None
        if answer is None:
            self._answers.put_nowait(None)
            raise Fault(
                FaultType.STATE,
                "the scheduler is gone",
                where=self.attached.ops,
                hint="see why it ended, then load it again",
            )
        if isinstance(answer, Refused):
            raise Fault(
                FaultType.BAD_PARAMETER,
                f"{answer.command} {answer.name} was refused",
                where=self.attached.ops,
                why=answer.why,
                hint="see the parameters and maps of this scheduler",
            )

    async def set(self, name: str, value: Value) -> None:
        """Change a live parameter.

        Raises:
            Fault: BAD_PARAMETER, STATE if the scheduler is gone, TIMEOUT.
        """
        await self._ask(f"set {name} {spell(name, value)}")

    async def put(self, map: str, key: bytes, value: bytes) -> None:
        """Put an entry into a map of the scheduler. Raises as `set` does."""
        spell(map, 0)
        await self._ask(f"put {map} {key.hex()} {value.hex()}")

    async def remove(self, map: str, key: bytes) -> None:
        """Remove an entry from a map of the scheduler. Raises as `set` does."""
        spell(map, 0)
        await self._ask(f"del {map} {key.hex()}")

    async def detach(self) -> None:
        """End the scheduler; returns when the kernel's own is back. Harmless when repeated."""
        await self._child.send("detach")
        try:
            async with within(END_LIMIT_S):
                await self._child.wait()
        except TimeoutError:
            await self._child.end()
        await asyncio.wait([self._reader])


_Line = TypeVar("_Line", Attached, Verified, Described)


async def _until(lines: AsyncIterator[bytes], wanted: type[_Line], object: Path) -> _Line:
    """The first line of the wanted kind; earlier ones are skipped."""
    try:
        async with within(START_LIMIT_S) as limit:
            async for raw in lines:
                line = parse_line(raw)
                if isinstance(line, Failed):
                    raise fault_of(line, object)
                if isinstance(line, wanted):
                    return line
    except TimeoutError:
        raise Fault(
            FaultType.TIMEOUT,
            f"no message from the runner within {limit.words()}",
            where=object.name,
        ) from None
    raise Fault(
        FaultType.CHILD_FAILED,
        "the runner ended without a message",
        where=object.name,
        hint="run schedpilot-runner by hand to see why",
    )


async def _once(words: list[str], wanted: type[_Line], object: Path) -> _Line:
    child = await start_lines(words)
    try:
        return await _until(child.lines(), wanted, object)
    finally:
        await child.end()


async def verify(object: Path, *, parameters: Mapping[str, Value] | None = None) -> Verified:
    """Show the scheduler to the kernel's verifier; attach nothing.

    Raises:
        Fault: as `Runner.start`, without those of attaching.
    """
    return await _once(_command(object, parameters or {}, "--verify-only"), Verified, object)


async def describe(object: Path) -> Described:
    """The parameters and maps of an object; needs no privileges.

    Raises:
        Fault: NOT_BPF, NOT_FOUND, NOT_INSTALLED.
    """
    return await _once(_command(object, {}, "--describe"), Described, object)
