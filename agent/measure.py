# SPDX-License-Identifier: GPL-2.0-only
"""Polls the numbers that objectives are about, and hands them to the daemon.

The root process opens no network socket and runs no program that an operator's query
names, so this unprivileged one does. A number is a number: a command that prints anything
else, or a query that answers with a series, is said so once, and once more when it is well
again.
"""

import asyncio
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable

from agent.config import Measure, Prometheus
from daemon.api.models import MeasurementRequest
from process import Fault, FaultType, Fixed, run

log = logging.getLogger("schedpilot-agent")

# The largest answer of a Prometheus server that is read, bytes: one number is small.
ANSWER_LIMIT_BYTES = 256 * 1024
# A poll that goes on failing is mentioned again after this time.
REMIND_S = 600.0

Push = Callable[[MeasurementRequest], Awaitable[None]]


def parse_number(text: str, where: str) -> float:
    """The one finite number that `text` is, apart from white space around it.

    Raises:
        Fault: BAD_REQUEST, with what stood there instead.
    """
    word = text.strip()
    shown = word[:60].encode("unicode_escape").decode()
    try:
        value = float(word)
    except ValueError:
        what = f"it printed {shown!r}" if word else "it printed nothing"
        raise Fault(
            FaultType.BAD_REQUEST,
            "the measurement is not a number",
            where=where,
            why=what,
            hint="print exactly one number, and everything else to standard error",
        ) from None
    if not math.isfinite(value):
        raise Fault(
            FaultType.BAD_REQUEST,
            "the measurement is not a finite number",
            where=where,
            why=f"it printed {shown!r}",
        )
    return value


def parse_answer(raw: bytes, where: str) -> float:
    """The one number in the answer of Prometheus' `/api/v1/query`.

    A scalar is one, so is a vector of exactly one series.

    Raises:
        Fault: BAD_REQUEST.
    """
    try:
        answer = json.loads(raw)
        if answer["status"] != "success":
            raise Fault(
                FaultType.BAD_REQUEST,
                "Prometheus refuses the query",
                where=where,
                why=str(answer.get("error", ""))[:300],
            )
        kind, result = answer["data"]["resultType"], answer["data"]["result"]
        if kind == "scalar":
            return parse_number(str(result[1]), where)
        if kind == "vector" and len(result) == 1:
            return parse_number(str(result[0]["value"][1]), where)
        found = f"a {kind} of {len(result)} series"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise Fault(
            FaultType.BAD_REQUEST,
            "this is not an answer of Prometheus",
            where=where,
            hint="`url` is the root of the server, such as http://127.0.0.1:9090",
        ) from None
    raise Fault(
        FaultType.BAD_REQUEST,
        "the query does not answer with one number",
        where=where,
        why=f"it answers with {found}",
        hint="aggregate it, for example with sum() or max()",
    )


async def _from_command(command: list[str], timeout_s: float, where: str) -> float:
    done = await asyncio.to_thread(run, command, timeout=Fixed(timeout_s))
    return parse_number(done.text, where)


async def _from_prometheus(source: Prometheus, timeout_s: float, where: str) -> float:
    import httpx  # late: most installations poll no server

    url = source.url.rstrip("/") + "/api/v1/query"
    raw = b""
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(timeout=timeout_s, trust_env=False) as client,
            client.stream("GET", url, params={"query": source.query}) as response,
        ):
            async for piece in response.aiter_bytes():
                raw += piece
                if len(raw) > ANSWER_LIMIT_BYTES:
                    raise Fault(
                        FaultType.TOO_LARGE,
                        f"the answer is larger than {ANSWER_LIMIT_BYTES} bytes",
                        where=where,
                    )
    except (httpx.HTTPError, TimeoutError) as error:
        raise Fault(
            FaultType.UNREACHABLE,
            "Prometheus does not answer",
            where=where,
            why=str(error) or f"nothing came within {timeout_s:g} s",
        ) from None
    return parse_answer(raw, where)


async def poll(measure: Measure) -> MeasurementRequest:
    """One measurement, now.

    Raises:
        Fault: what kept it from being one.
    """
    started = time.time()
    if measure.command is not None:
        where = f"measure {measure.name!r}, command {measure.command[0]!r}"
        value = await _from_command(measure.command, measure.timeout_s, where)
    else:
        assert measure.prometheus is not None
        where = f"measure {measure.name!r}, {measure.prometheus.url}"
        value = await _from_prometheus(measure.prometheus, measure.timeout_s, where)
    return MeasurementRequest(name=measure.name, value=value, unit=measure.unit, started=started)


async def keep_polling(measure: Measure, push: Push) -> None:
    """Poll for ever. A failure is logged when it begins, now and then while it lasts, and
    when it is over; it never ends the polling."""
    trouble = ""
    mentioned = 0.0
    while True:
        began = time.monotonic()
        try:
            await push(await poll(measure))
            if trouble:
                log.warning("measure %s is well again", measure.name)
            trouble = ""
        except Fault as fault:
            if str(fault) != trouble or began - mentioned > REMIND_S:
                log.warning("measure %s failed: %s", measure.name, fault)
                mentioned = began
            trouble = str(fault)
        await asyncio.sleep(max(0.0, measure.interval_s - (time.monotonic() - began)))
