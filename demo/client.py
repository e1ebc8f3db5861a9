# SPDX-License-Identifier: GPL-2.0-or-later
"""A client of the demo's Redis: asks at a steady rate, and reports each request's duration to the
daemon.

One request each period, even if the last answer was slow (late requests are counted from when they
were due, so that a stall is not hidden). Each second its p99 goes to the daemon as the measurement
`redis-p99` and to a file, one JSON object per line.
"""

import argparse
import json
import socket
import time
from pathlib import Path

from daemon.api.client import Client
from daemon.api.models import MeasurementRequest
from process import Fault, Limit

PERIOD_S = 0.010
REPORT_S = 1.0
NAME = "redis-p99"
# How long Redis may take until it listens, seconds.
START_S = 30.0


def percentile(values: list[float], q: float) -> float:
    """Nearest-rank percentile; `q` in 0 to 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def connect(path: Path) -> socket.socket:
    """A connection, as soon as Redis listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    patience = Limit(START_S)
    while True:
        try:
            connection.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            if patience.passed():
                raise
            time.sleep(PERIOD_S)
        else:
            return connection


def ask(connection: socket.socket) -> None:
    connection.sendall(b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n")
    answer = b""
    while not answer.endswith(b"\r\n"):
        answer += connection.recv(4096)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--redis", type=Path, required=True)
    words.add_argument("--control", type=Path, required=True)
    words.add_argument("--record", type=Path, required=True)
    words.add_argument("--period", type=float, default=PERIOD_S)
    args = words.parse_args()
    connection = connect(args.redis)
    with args.record.open("a", buffering=1) as record, Client(args.control) as daemon:
        due = began = time.monotonic()
        started = time.time()
        delays: list[float] = []
        while True:
            now = time.monotonic()
            if now < due:
                time.sleep(due - now)
            ask(connection)
            done = time.monotonic()
            delays.append(done - due)
            # Requests that fell due during a stall of more than a second are left out: they
            # would count one stall a hundred times.
            due = max(due + args.period, done - REPORT_S)
            if done - began < REPORT_S:
                continue
            value_ms = percentile(delays, 0.99) * 1000
            record.write(json.dumps({"at": time.time(), "p99_ms": value_ms}) + "\n")
            try:
                daemon.record_measurement(
                    MeasurementRequest(name=NAME, value=value_ms, unit="ms", started=started)
                )
            except Fault as fault:
                print(f"client: {fault}", flush=True)
            delays.clear()
            began = due = time.monotonic()
            started = time.time()


if __name__ == "__main__":
    main()
