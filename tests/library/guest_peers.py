# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs inside the lab: one installed scheduler, through the daemon, under hackbench.

    python -m tests.library.guest_peers NAME SECONDS [OPTION=VALUE]

The program is among the files that the lab brought. Prints one JSON line for its defaults, and one
with the option. Each time the daemon loads it, holds it for SECONDS, lets it go, and then judges it
in a trial. The test judges the result.
"""

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bpf.kernel import sysfs
from daemon.api.client import Client
from daemon.api.models import CandidateRequest, HoldRequest, TrialRequest
from process import Fault, Limit
from tests.daemon.running import Place, running

FILES = Path("/run/lab/files")
BIN = Path("/usr/local/bin")
# The guest is ours alone.
PLACE = Path("/var/tmp/peers")  # noqa: S108
LAYERS = [
    {
        "name": "benchmark",
        "matches": [[{"CommPrefix": "hackbench"}]],
        "kind": {"Grouped": {"util_range": [0.5, 0.6], "slice_us": 4000}},
    },
    {"name": "rest", "matches": [[]], "kind": {"Open": {"slice_us": 10000, "preempt": True}}},
]
TABLES: dict[str, dict[str, Any]] = {
    "daemon": {"autonomy": "auto", "interval_s": 0.5},
    "trial": {
        "window_s": 3.0,
        "settle_s": 0.2,
        "min_windows": 4,
        "max_windows": 4,
        "samples_min": 1,
    },
    "limits": {"cooldown_s": 0.0, "trials_per_hour": 1000, "ejections": 1000},
}
Seen = dict[str, Any]


# Ten tasks: an emulated machine has to load a scheduler while they run.
HACKBENCH = ("hackbench", "-g", "1", "-f", "5", "-l", "200")
# How long a task may wait before the kernel ejects a scheduler: the most that the kernel allows,
# since the host may let an emulated machine wait for seconds. The scx schedulers read it.
TIMEOUT_MS = 30_000


class Hackbench(threading.Thread):
    """hackbench over and over; `runs` counts those that finished."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.runs = 0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.is_set():
            done = subprocess.run(HACKBENCH, capture_output=True, check=False)
            self.runs += done.returncode == 0

    def end(self) -> None:
        self._over.set()
        self.join()


@contextlib.contextmanager
def under_load() -> Iterator[Hackbench]:
    load = Hackbench()
    load.start()
    try:
        yield load
    finally:
        load.end()


def tried(client: Client, name: str, parameters: dict[str, Any], seconds: float) -> Seen:
    """The scheduler with these options: the daemon holds it, lets it go, and judges it."""
    view = client.create_candidate(CandidateRequest(library=name, parameters=parameters))
    before = sysfs.read()
    begun = time.monotonic()
    client.hold(HoldRequest(candidate=view.id))
    loaded = sysfs.read()
    load_s = time.monotonic() - begun
    with under_load() as load:
        runs, began = load.runs, time.monotonic()
        # There is no event to wait for: this needs time under load.
        while time.monotonic() - began < seconds and sysfs.read().enabled:
            time.sleep(0.2)
        held = sysfs.read()
        seen: Seen = {
            "proven": view.proven,
            "load_s": round(load_s, 1),
            "held_s": round(time.monotonic() - began, 1),
            "runs": load.runs - runs,
            "ops": [loaded.ops, held.ops],
            "states": [before.state, loaded.state, held.state],
            "enabled_times": held.enable_seq - before.enable_seq,
        }
        client.release("held long enough")
        seen["states"].append(sysfs.read().state)
        trial = client.start_trial(TrialRequest(candidate=view.id, keep=False))
        limit = Limit(300)
        while (trial := client.trial(trial.id)).ended == 0 and not limit.passed():
            time.sleep(0.2)
        seen["trial"] = trial.model_dump(mode="json")
        seen["states"].append(sysfs.read().state)
    seen["quarantined"] = client.candidate(view.id).quarantined
    return seen


def main() -> None:
    name, seconds, *option = sys.argv[1:]
    (FILES / name).chmod(0o755)
    program = BIN / name
    program.write_text(f'#!/bin/sh\nexport SCX_TIMEOUT_MS={TIMEOUT_MS}\nexec {FILES / name} "$@"\n')
    program.chmod(0o755)
    parameters: dict[str, Any] = {}
    if name == "scx_layered":
        layers = PLACE / "layers.json"
        layers.parent.mkdir(parents=True, exist_ok=True)
        layers.write_text(json.dumps(LAYERS))
        parameters["layers"] = str(layers)
    with running(Place(PLACE, TABLES)) as daemon, daemon.control() as client:
        for more in ({}, dict(each.split("=", 1) for each in option)):
            try:
                seen = tried(client, name, {**parameters, **more}, float(seconds))
            except Fault as fault:
                seen = {"fault": fault.report()}
            print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
