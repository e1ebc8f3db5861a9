# SPDX-License-Identifier: GPL-2.0-or-later
"""PostgreSQL's own counts, from its extension pg_stat_statements: calls per second, and their
duration.

    postgres = { database = "shop" }

Asked with psql. A password, if needed, is in a passfile (libpq-pgpass); on the same machine, `peer`
needs none.
"""

import asyncio
from typing import Annotated

from pydantic import StringConstraints

from agent.measuring.deltas import Polled, Totals
from agent.measuring.table import AgentTable, FilePath, Port, Take
from daemon.api.display import displayable
from process import Fault, FaultType, Fixed, run

UNIT = "ms"
# No `=` and no `:`, which would turn a name into a connection string.
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$")]
# Columns of PostgreSQL 13 and later. Our own query does not count; `statement` is a pattern of
# LIKE.
_QUESTION = """SELECT coalesce(sum(s.calls), 0), coalesce(sum(s.total_exec_time), 0)
FROM pg_stat_statements AS s JOIN pg_database AS d ON d.oid = s.dbid
WHERE d.datname = current_database() AND s.query NOT ILIKE '%pg_stat_statements%'
AND s.query ILIKE :'statement';
"""


class Postgres(AgentTable):
    """`host`: a name, an address or the folder of the socket.

    `statement`: counts matching statements only (SQL's ILIKE), as pg_stat_statements shows them:
    `UPDATE accounts%`.
    """

    database: _Name
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./:-]{1,200}$")] | None = None
    port: Port = 5432
    user: _Name | None = None
    passfile: FilePath | None = None
    statement: Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00\n\r]*$")] = "%"


class PostgresCounts(Polled):
    """One psql for each reading."""

    def __init__(self, table: Postgres, take: Take, unit: str, timeout_s: float) -> None:
        super().__init__(take, unit)
        self.where = f"postgres {table.database}"
        self._table = table
        self._timeout_s = timeout_s

    async def totals(self) -> Totals:
        table = self._table
        argv = [
            *("psql", "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align"),
            *("--set=ON_ERROR_STOP=1", f"--set=statement={table.statement}"),
            *(f"--dbname={table.database}", f"--port={table.port}", "--file=-"),
        ]
        if table.host is not None:
            argv.append(f"--host={table.host}")
        if table.user is not None:
            argv.append(f"--username={table.user}")
        env = {"PGCONNECT_TIMEOUT": str(max(1, round(self._timeout_s)))}
        if table.passfile is not None:
            env["PGPASSFILE"] = table.passfile
        done = await asyncio.to_thread(
            run,
            argv,
            timeout=Fixed(self._timeout_s),
            input=_QUESTION.encode(),
            env=env,
            check=False,
        )
        if done.status != 0:
            raise self._refused(done.error_text)
        return self._totals(done.text)

    def _totals(self, text: str) -> Totals:
        try:
            calls, milliseconds = text.strip()[:200].split("|")
            return Totals(float(calls), float(milliseconds))
        except ValueError:
            raise Fault(
                FaultType.BAD_REQUEST,
                "psql does not answer with two numbers",
                where=self.where,
                why=displayable(text, 200),
            ) from None

    def _refused(self, said: str) -> Fault:
        why = displayable(" ".join(said.split()), 300)
        hint = "check `database`, `host` and `port`, and that the server runs"
        type_ = FaultType.UNREACHABLE
        if '"pg_stat_statements" does not exist' in said or "shared_preload_libraries" in said:
            type_ = FaultType.NOT_INSTALLED
            hint = (
                "shared_preload_libraries = 'pg_stat_statements' in postgresql.conf, restart, then "
                "in the database: CREATE EXTENSION pg_stat_statements"
            )
        elif any(
            each in said for each in ("authentication", "password", "role", "permission denied")
        ):
            type_ = FaultType.NOT_ALLOWED
            hint = (
                'make a role for the agent: CREATE ROLE "schedpilot-agent" LOGIN; GRANT '
                'pg_read_all_stats TO "schedpilot-agent" (peer), or name `user` and `passfile`'
            )
        elif "total_exec_time" in said:
            type_ = FaultType.UNSUPPORTED
            hint = "PostgreSQL 13 or newer is needed, and ALTER EXTENSION pg_stat_statements UPDATE"
        return Fault(type_, "PostgreSQL refuses", where=self.where, why=why, hint=hint)
