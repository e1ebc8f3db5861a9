# SPDX-License-Identifier: GPL-2.0-or-later
"""The only owner of the kernel's scheduler: at most one loaded, leased, and renewed."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

from bpf.kernel import sysfs
from bpf.kernel.sysfs import KernelState
from daemon.api.models import ParameterValue
from daemon.lifecycle.attachment import Attachment, ExitReason, Loadable, hold, require_sched_ext
from process import Fault, FaultType

Why = Literal["trial", "kept", "operator"]
# A lease is renewed this many times within its length, so that one late renewal does no harm.
RENEWALS = 4


@dataclass(frozen=True)
class Loaded:
    """Our scheduler in the kernel, and the reason for it."""

    what: Loadable
    ops: str
    why: Why
    since: float


class SchedulerLoader(Protocol):
    """The daemon's interface to the kernel's one place for a scheduler.

    `Loader` is the real one; tests replace it by a fake kernel.
    """

    @property
    def loaded(self) -> Loaded | None: ...
    @property
    def changing(self) -> bool: ...
    @property
    def lease_s(self) -> float: ...
    def kernel(self) -> KernelState: ...
    def foreign(self) -> str: ...
    async def load(self, what: Loadable, why: Why) -> Loaded: ...
    def relabel(self, why: Why) -> None: ...
    async def unload(self) -> Loaded | None: ...
    async def close(self) -> Loaded | None: ...
    async def set_parameters(
        self, parameters: dict[str, ParameterValue], maps: dict[str, dict[int, int]]
    ) -> None: ...


class Loader:
    """Loads and unloads; calls `on_gone` when a scheduler leaves without our request.

    `on_attached` gets each scheduler as it is loaded; `on_none_attached` is called when it leaves.
    """

    def __init__(
        self,
        *,
        lease_s: float,
        on_gone: Callable[[Loaded, ExitReason], Awaitable[None]],
        on_attached: Callable[[Loadable, Attachment], None] | None = None,
        on_none_attached: Callable[[], None] | None = None,
        sysfs_root: Path = sysfs.ROOT,
    ) -> None:
        self._lease_s = lease_s
        self._on_gone = on_gone
        self._on_attached = on_attached or (lambda what, attachment: None)
        self._on_none_attached = on_none_attached or (lambda: None)
        self._root = sysfs_root
        self._attachment: Attachment | None = None
        self._loaded: Loaded | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._notices: set[asyncio.Task[None]] = set()
        self._change = asyncio.Lock()
        self._closed = False

    @property
    def loaded(self) -> Loaded | None:
        return self._loaded

    @property
    def changing(self) -> bool:
        """Whether a scheduler is being loaded or unloaded at this moment."""
        return self._change.locked()

    @property
    def lease_s(self) -> float:
        return self._lease_s

    def kernel(self) -> KernelState:
        """The kernel's own state."""
        return sysfs.read(self._root)

    def foreign(self) -> str:
        """Name of a scheduler in the kernel that we did not load; empty if there is none."""
        state = self.kernel()
        if state.state not in ("enabled", "enabling"):
            return ""
        if self._loaded is not None and self._loaded.ops == state.ops:
            return ""
        # During a change the kernel may show ours before it is confirmed.
        return "" if self._change.locked() else (state.ops or "unnamed")

    async def load(self, what: Loadable, why: Why) -> Loaded:
        """Replace our scheduler by `what`. If that fails, the kernel's own scheduler runs.

        Raises:
            Fault: FOREIGN_SCHEDULER, or the kernel's or the build's reason for refusing it.
        """
        async with self._change:
            if self._closed:
                raise Fault(
                    FaultType.NOT_ALLOWED, f"{what.name} was not loaded", why="the daemon stops"
                )
            require_sched_ext(self._root)
            state = self.kernel()
            ours = self._loaded.ops if self._loaded else None
            if state.state == "enabled" and state.ops != ours:
                raise Fault(
                    FaultType.FOREIGN_SCHEDULER,
                    f"{what.name} was not loaded",
                    why=f"{state.ops!r} is in the kernel already and was not loaded by schedpilot",
                    hint="stop the service or program that loaded it, then try again",
                )
            await self._unload()
            attachment = await hold(what, lease_s=self._lease_s, sysfs_root=self._root)
            self._attachment = attachment
            self._loaded = Loaded(what, attachment.ops, why, time.time())
            self._tasks = [
                asyncio.create_task(self._renew(attachment)),
                asyncio.create_task(self._watch(attachment, self._loaded)),
            ]
            self._on_attached(what, attachment)
            return self._loaded

    def relabel(self, why: Why) -> None:
        """The same scheduler stays for another reason (a trial's candidate is kept)."""
        if self._loaded is not None:
            self._loaded = replace(self._loaded, why=why)

    async def unload(self) -> Loaded | None:
        """Go back to the kernel's own scheduler. Returns what was loaded."""
        async with self._change:
            return await self._unload()

    async def close(self) -> Loaded | None:
        """Unload for good: all who still wait to load something are refused."""
        async with self._change:
            self._closed = True
            return await self._unload()

    async def _unload(self) -> Loaded | None:
        loaded, attachment = self._loaded, self._attachment
        if attachment is None:
            return None
        self._loaded = self._attachment = None
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        self._on_none_attached()
        await attachment.detach()
        gone = await attachment.gone()
        if loaded is not None and gone.by_kernel and not gone.restart:
            # The kernel was faster: the ejection must not be lost.
            self._notify(loaded, gone)
        return loaded

    async def set_parameters(
        self, parameters: dict[str, ParameterValue], maps: dict[str, dict[int, int]]
    ) -> None:
        """Change live parameters and map entries of our scheduler.

        Raises:
            Fault: NOT_FOUND if nothing is loaded, BAD_PARAMETER.
        """
        attachment = self._attachment
        if attachment is None:
            raise Fault(
                FaultType.NOT_FOUND,
                "there is no scheduler of ours to set parameters of",
                hint="load one first: schedpilot run NAME",
            )
        for name, value in parameters.items():
            await attachment.set(name, value)
            if self._attachment is attachment and self._loaded is not None:
                what = self._loaded.what
                changed = replace(what, parameters={**what.parameters, name: value})
                self._loaded = replace(self._loaded, what=changed)
        for map_name, entries in maps.items():
            for key, entry in entries.items():
                await attachment.put(map_name, key, entry)

    async def _renew(self, attachment: Attachment) -> None:
        while True:
            await attachment.renew()
            await asyncio.sleep(self._lease_s / RENEWALS)

    async def _watch(self, attachment: Attachment, loaded: Loaded) -> None:
        gone = await attachment.gone()
        if self._attachment is not attachment:
            return
        last = self._loaded or loaded
        self._loaded = self._attachment = None
        self._on_none_attached()
        self._notify(last, gone)
        with contextlib.suppress(IndexError):
            self._tasks[0].cancel()

    def _notify(self, loaded: Loaded, gone: ExitReason) -> None:
        # In its own task: the reaction may unload or load, which cancels this one.
        notice = asyncio.create_task(self._tell(loaded, gone))
        self._notices.add(notice)
        notice.add_done_callback(self._notices.discard)

    async def _tell(self, loaded: Loaded, gone: ExitReason) -> None:
        await self._on_gone(loaded, gone)
