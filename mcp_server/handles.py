# SPDX-License-Identifier: GPL-2.0-or-later
"""Short handles for workloads.

A workload's id may be long and is hostile text, which is marked in answers and is awkward to give
back. A handle is short and safe: `w` and the first digits of a hash of the id.
"""

import hashlib
import re
from collections import OrderedDict

from pydantic import TypeAdapter, ValidationError

from daemon.api.client import AsyncClient
from daemon.api.display import displayable
from daemon.api.models import WorkloadId
from mcp_server.untrusted import CLOSE, OPEN, marked
from process import Fault, FaultType

HANDLE = re.compile(r"w[0-9a-f]{10}")
# How many given-out ids are remembered, since a workload may end before its handle is used.
_REMEMBERED = 4096
_ids: TypeAdapter[str] = TypeAdapter(WorkloadId)


def handle_of(id: str) -> str:
    digest = hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()
    return f"w{digest[:10]}"


class Handles:
    """Gives out handles and finds the ids behind them."""

    def __init__(self) -> None:
        self._given: OrderedDict[str, str] = OrderedDict()

    def of(self, id: str) -> str:
        """The handle of a workload; the empty id has none."""
        if not id:
            return ""
        handle = handle_of(id)
        self._given[handle] = id
        self._given.move_to_end(handle)
        while len(self._given) > _REMEMBERED:
            self._given.popitem(last=False)
        return handle

    async def resolve(self, text: str, client: AsyncClient) -> str:
        """The id that a handle, a marked id or a plain id stands for.

        Raises:
            Fault: NOT_FOUND, BAD_NAME, or the daemon's.
        """
        if HANDLE.fullmatch(text) or text.startswith(OPEN):
            return await self._find(text, client)
        try:
            return _ids.validate_python(text)
        except ValidationError:
            raise Fault(
                FaultType.BAD_NAME,
                f"{displayable(text, 80)!r} names no workload",
                hint="give the handle that list_workloads and get_status show (`w` and ten digits)",
            ) from None

    async def _find(self, text: str, client: AsyncClient) -> str:
        listed = [each.id for each in await client.workloads()]
        known = {*listed, *self._given.values()}
        if HANDLE.fullmatch(text):
            found = [id for id in known if handle_of(id) == text]
        else:
            inner = text.removeprefix(OPEN).removesuffix(CLOSE)
            found = [id for id in known if marked(id, len(id)) == OPEN + inner + CLOSE]
        if len(found) == 1:
            return found[0]
        raise Fault(
            FaultType.NOT_FOUND,
            f"{'several workloads have' if found else 'no workload has'} the handle "
            f"{displayable(text, 80)!r}",
            why="one imitates the other" if found else "it ended, or it was never listed",
            hint="give the whole id" if found else "list_workloads shows the current ones",
        )
