# SPDX-License-Identifier: GPL-2.0-or-later
"""The application's own numbers that could be measured here, as parts of `agent.toml`. Pure.

A suggestion, and no more: anybody can name a process `redis-server`. A part contains only our own
words, numbers, and names that look as names should.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from daemon.api.models import MeasureHint, ProgramKind
from daemon.understanding.proc import Process

MOST = 3
# Where Prometheus' exporters listen (its wiki, "Default port allocations").
_EXPORTERS = range(9090, 10_000)
_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.@-]{0,80}\.service")
# Kinds whose own log may show how long a request took.
_SERVING = frozenset(
    {
        ProgramKind.WEB_SERVER,
        ProgramKind.PROXY,
        ProgramKind.DATABASE,
        ProgramKind.CACHE,
        ProgramKind.BROKER,
        ProgramKind.ML_INFERENCE,
        ProgramKind.LANGUAGE_RUNTIME,
        ProgramKind.UNKNOWN,
    }
)


@dataclass(frozen=True)
class KnownWorkload:
    """The knowledge about a workload.

    Attributes:
        processes: those that were checked.
        kinds: their kinds, the largest share first.
        unit: the systemd unit, empty without one.
        ports: TCP ports that its user listens on.
        libraries: parts of the names of the libraries that its processes have loaded.
    """

    processes: Sequence[Process] = ()
    kinds: Sequence[ProgramKind] = ()
    unit: str = ""
    ports: Collection[int] = ()
    libraries: Collection[str] = ()


def measure_hints(known: KnownWorkload) -> list[MeasureHint]:
    """What could be measured, the best first."""
    names = {each.program or each.stat.comm for each in known.processes} | {
        each.stat.comm for each in known.processes
    }
    found = []
    if names & {"redis-server", "valkey-server"}:
        port = 6379 if 6379 in known.ports or not known.ports else min(known.ports)
        found.append(_redis(port))
    if names & {"postgres", "postmaster"}:
        found.append(_POSTGRES)
    if "nginx" in names:
        found.append(_NGINX)
    if "haproxy" in names:
        found.append(_HAPROXY)
    if "mangoapp" in names or any("MangoHud" in each for each in known.libraries):
        found.append(_mangohud("MangoHud is loaded"))
    elif ProgramKind.GAME in known.kinds:
        found.append(_mangohud("a game, where MangoHud can write its frame times"))
    found += [_scrape(port) for port in sorted(known.ports) if port in _EXPORTERS][:1]
    kind = known.kinds[0] if known.kinds else ProgramKind.UNKNOWN
    if not found and _UNIT.fullmatch(known.unit) and kind in _SERVING:
        found.append(_journal(known.unit))
    return found[:MOST]


def _hint(source: str, why: str, name: str, table: str, take: str, needs: str = "") -> MeasureHint:
    snippet = f'[[measure]]\nname = "{name}"\n{source} = {{ {table} }}\ntake = "{take}"\n'
    return MeasureHint(source=source, why=why, needs=needs, snippet=snippet)


def _redis(port: int) -> MeasureHint:
    return _hint(
        "redis",
        "redis counts its commands",
        "redis-requests",
        f'address = "127.0.0.1:{port}"',
        "rate",
    )


_POSTGRES = _hint(
    "postgres",
    "PostgreSQL counts its statements",
    "postgres-requests",
    'database = "postgres"',
    "rate",
    "the extension pg_stat_statements, and a role for the agent",
)
_NGINX = _hint(
    "nginx",
    "nginx writes how long each request took",
    "nginx-latency",
    'log = "/var/log/nginx/access.log"',
    "p99",
    "rt=$request_time in its log_format, and the group adm for the agent",
)
_HAPROXY = _hint(
    "haproxy",
    "HAProxy writes how long each request took",
    "haproxy-latency",
    'log = "/var/log/haproxy.log"',
    "p99",
    "`option httplog`, and the group adm for the agent",
)


def _mangohud(why: str) -> MeasureHint:
    return _hint(
        "mangohud",
        why,
        "frame-time",
        'folder = "/var/lib/games/mangologs"',
        "p99",
        "output_folder and autostart_log in MangoHud's configuration",
    )


def _scrape(port: int) -> MeasureHint:
    return _hint(
        "scrape",
        f"it listens on port {port}, where metrics for Prometheus often are",
        "requests",
        f'url = "http://127.0.0.1:{port}/metrics", metric = "http_requests_total"',
        "rate",
        "the name of a metric of that page",
    )


def _journal(unit: str) -> MeasureHint:
    return _hint(
        "journal",
        "a service, whose log may show how long a request took",
        "request-latency",
        f'unit = "{unit}", pattern = "took ([0-9.]+) ms"',
        "p99",
        "a pattern for its lines, and the group systemd-journal for the agent",
    )


def listening(raw: bytes, user_id: int) -> set[int]:
    """Ports on which this user listens, from /proc/PID/net/tcp or tcp6 (proc_pid_net(5))."""
    found: set[int] = set()
    for line in raw.splitlines()[1:]:
        fields = line.split()
        try:
            if fields[3] == b"0A" and int(fields[7]) == user_id:
                found.add(int(fields[1].rpartition(b":")[2], 16))
        except (IndexError, ValueError):
            continue
    return found
