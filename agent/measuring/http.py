# SPDX-License-Identifier: GPL-2.0-or-later
"""One bounded GET."""

import asyncio
from collections.abc import Mapping

from process import Fault, FaultType


async def get(
    url: str, params: Mapping[str, str], timeout_s: float, limit_bytes: int, where: str, what: str
) -> bytes:
    """The body of an answer of whatever status.

    Raises:
        Fault: UNREACHABLE, or TOO_LARGE.
    """
    import httpx  # imported late: most installations query no server

    raw = b""
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(timeout=timeout_s, trust_env=False) as client,
            client.stream("GET", url, params=params or None) as response,
        ):
            async for piece in response.aiter_bytes():
                raw += piece
                if len(raw) > limit_bytes:
                    raise Fault(
                        FaultType.TOO_LARGE,
                        f"the answer is larger than {limit_bytes} bytes",
                        where=where,
                    )
            status = response.status_code
    except (httpx.HTTPError, TimeoutError) as error:
        raise Fault(
            FaultType.UNREACHABLE,
            f"{what} does not answer",
            where=where,
            why=str(error) or f"nothing came within {timeout_s:g} s",
        ) from None
    if status >= 400 and not raw.lstrip().startswith(b"{"):
        raise Fault(FaultType.UNREACHABLE, f"{what} is refused", where=where, why=f"HTTP {status}")
    return raw
