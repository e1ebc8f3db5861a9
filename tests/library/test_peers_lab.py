# SPDX-License-Identifier: GPL-2.0-or-later
"""Installed schedulers on a real kernel, through the daemon: loaded, held, judged, let go.

`packaging/peers` builds their programs once; somebody has to run it. Missing programs are skipped
by
name. Run the tests with `make test TESTS='-m long tests/library/test_peers_lab.py'`.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from lab.vm import run_in_lab

# With the defaults, and with one option each.
OPTIONS = {
    "scx_bpfland": "slice-us=5000",
    "scx_flash": "slice-us=4000",
    "scx_tickless": "frequency=50",
    "scx_cosmos": "slice-us=4000",
    "scx_beerland": "slice-us=4000",
    "scx_rusty": "slice-us-underutil=10000",
    "scx_layered": "slice-us=10000",
    "scx_p2dq": "min-slice-us=500",
    "scx_lavd": "performance=true",
}
SECONDS = float(os.environ.get("SCHEDPILOT_PEERS_SECONDS", "20"))
# Time that one takes beside being held, twice: loads, trials, the daemon's start.
REST_S = 400.0


def folder() -> Path:
    """The folder in which `packaging/peers` puts them."""
    if named := os.environ.get("SCHEDPILOT_PEERS"):
        return Path(named) / "bin"
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "schedpilot" / "peers" / "bin"


@pytest.mark.vm
@pytest.mark.long
@pytest.mark.parametrize("name", OPTIONS)
def test_it_is_loaded_judged_and_let_go(name: str) -> None:
    """With its defaults and with an option it is confirmed under its own name, stays alive under
    load as long as it is held, is judged by a trial, and is gone when it is told to go."""
    program = folder() / name
    if not program.exists():
        pytest.skip(f"{program} is not there; build it once: packaging/peers {name}")
    done = run_in_lab(
        ["python", "-m", "tests.library.guest_peers", name, str(SECONDS), OPTIONS[name]],
        files={name: program.read_bytes()},
        timeout=REST_S + 2 * SECONDS,
    )
    assert done.status == 0, done.error_text + done.text
    both: list[dict[str, Any]] = [json.loads(line) for line in done.text.splitlines()]
    assert len(both) == 2
    for seen in both:
        assert "fault" not in seen, seen["fault"]
        assert seen["proven"], seen
        assert seen["states"] == ["disabled", "enabled", "enabled", "disabled", "disabled"], seen
        for ops in seen["ops"]:
            assert ops.startswith(name.removeprefix("scx_")), seen
        assert seen["enabled_times"] == 1, seen
        assert seen["held_s"] >= SECONDS, seen
        assert seen["runs"] >= 1, seen
        assert seen["trial"]["state"] == "rolled-back", seen["trial"]
        assert seen["trial"]["verdict"], seen["trial"]
        assert not seen["quarantined"], seen
