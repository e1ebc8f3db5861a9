# SPDX-License-Identifier: GPL-2.0-or-later
"""A query that a Prometheus server answers with one number.

prometheus = { url = "http://127.0.0.1:9090", query = "sum(rate(requests[1m]))" }
"""

import json
import time
from typing import Annotated

from pydantic import StringConstraints

from agent.measuring.command import parse_number
from agent.measuring.http import get
from agent.measuring.reading import MeasurementReading, Momentary
from agent.measuring.table import AgentTable, Url
from process import Fault, FaultType

# One number needs little space.
ANSWER_LIMIT_BYTES = 256 * 1024


class Prometheus(AgentTable):
    """A query that answers with one number. `url` is the server's root."""

    url: Url
    query: Annotated[str, StringConstraints(min_length=1, max_length=4000)]


def parse_answer(raw: bytes, where: str) -> float:
    """The one number in the answer of Prometheus' `/api/v1/query`.

    A scalar or a vector of exactly one series.

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
            "this is not an answer from Prometheus",
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


class QueryAnswer(Momentary):
    """Asks at the end of each interval."""

    def __init__(self, table: Prometheus, timeout_s: float, unit: str, where: str) -> None:
        self.where = where
        self._table = table
        self._timeout_s = timeout_s
        self._unit = unit

    async def take(self) -> MeasurementReading:
        began = time.time()
        url = self._table.url.rstrip("/") + "/api/v1/query"
        params = {"query": self._table.query}
        raw = await get(url, params, self._timeout_s, ANSWER_LIMIT_BYTES, self.where, "Prometheus")
        value = parse_answer(raw, self.where)
        return MeasurementReading(began, value, self._unit, 1, (value,))
