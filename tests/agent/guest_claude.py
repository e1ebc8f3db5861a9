# SPDX-License-Identifier: GPL-2.0-or-later
"""The whole agent on a real sched_ext kernel, its model a script; played in the lab by
test_claude_lab.py.

    python -m tests.agent.guest_claude

The daemon, the agent and its MCP server are the real programs, each a process of its own, the
workload and its neighbours are real, and so is every figure. Prints what was seen as one line of
JSON; the tests judge it.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bpf.kernel import sysfs
from daemon.api.models import (
    CandidateRequest,
    EpisodeRequest,
    EpisodeState,
    EpisodeView,
    MeasurementRequest,
)
from daemon.api.paths import RUN_DIR_VARIABLE
from process import Fault, Limit
from tests.agent.scripted_anthropic import (
    KEY,
    MODEL,
    Asked,
    Entry,
    Says,
    ScriptedAnthropic,
    Use,
    newest,
    scripted,
)
from tests.daemon.running import Place, Running, running
from tests.waiting import ended

# The guest is ours alone.
PLACE = Path("/var/tmp/claude")  # noqa: S108
NAME = "victim"
WORKLOAD = f"comm:{NAME}"
# A piece of work: some 20 ms of an emulated CPU, ten times a second at most.
LOOPS = "120000"
HOGS = 3
# All but the workload and its neighbours go before them: they are slow enough, emulated.
NICE = -10
# What a piece takes when others want the CPUs as well is many times this, seconds.
LIMIT_S = 0.2
EPISODE_S = 200.0
TABLES: dict[str, dict[str, Any]] = {
    "daemon": {"autonomy": "auto", "interval_s": 0.5},
    "detect": {"bad_intervals": 2, "of_intervals": 4},
    "trial": {
        "window_s": 2.5,
        "settle_s": 0.2,
        "min_windows": 4,
        "max_windows": 8,
        "samples_min": 1,
        "lease_s": 10.0,
        "starved_us": 30_000_000.0,
    },
    "limits": {"cooldown_s": 0.0, "trials_per_hour": 1000, "ejections": 1000},
    # Emulated, the simulator's engine alone takes a minute to compile.
    "gates": {"simulate": False},
}
OBJECTIVE = f"""
[[objective]]
workload = "{WORKLOAD}"
text = "measurement piece-s lower < {LIMIT_S}"

# Only the workload calls for an episode.
[[ignore]]
workload = "comm:python*"
[[ignore]]
workload = "comm:sh"

# The neighbours only use up CPUs; what they lose is nobody's loss.
[trial.tolerance]
others_run_share = 0.6
others_delay_p99_us = 100.0
machine_run_share = 0.6
"""
WRONG = f'comm ~ "{NAME}" {{ latency; prempt }}; * {{ slice 3ms }}'
RIGHT = f'comm ~ "{NAME}" {{ latency; preempt }}; * {{ slice 3ms }}'
WORSE = f'comm ~ "{NAME}" {{ idle }}; * {{ slice 20ms }}'
Seen = dict[str, Any]


def fixes(asked: Asked) -> Entry:
    """The gate's message about the first line leads to the second."""
    if "preempt" not in newest(asked):
        return Says(f"no hint in {newest(asked)}")
    return Says("", [Use("check_candidate", {"policy": WRONG.replace("prempt", "preempt")})])


KEEPS = (
    Says("What does it wait for?", [Use("get_signals", {"workload": WORKLOAD})]),
    Says("It waits for a CPU.", [Use("check_candidate", {"policy": WRONG})]),
    fixes,
    Says("", [Use("record_lesson", {"text": "tier latency helps a niced worker among hogs"})]),
)
ROLLS_BACK = (
    Says("", [Use("check_candidate", {"policy": WORSE})]),
    Says("Worse, as measured; what ran before is better, so I stop."),
    Says("", [Use("record_lesson", {"text": "tier idle starves a worker among hogs"})]),
)


class Neighbours:
    """Processes that only use CPU time."""

    def __init__(self) -> None:
        self._hogs: list[subprocess.Popen[bytes]] = []

    def come(self) -> None:
        self._hogs = [
            subprocess.Popen(["nice", "-n", str(-NICE), "sh", "-c", "while :; do :; done"])
            for _ in range(HOGS)
        ]

    def go(self) -> None:
        for hog in self._hogs:
            hog.kill()
            hog.wait()
        self._hogs = []


@contextlib.contextmanager
def victim(daemon: Running) -> Iterator[None]:
    """The workload; each piece of its work is posted when it ends."""
    script = Path(__file__).with_name("lab_victim.py")
    child = subprocess.Popen(
        ["nice", "-n", str(10 - NICE), sys.executable, "-S", str(script), NAME, LOOPS],
        stdout=subprocess.PIPE,
    )

    def post() -> None:
        assert child.stdout is not None
        with daemon.control() as client, contextlib.suppress(Fault):
            for line in child.stdout:
                took = float(line)
                client.record_measurement(
                    MeasurementRequest(
                        name="piece-s", value=took, unit="s", started=time.time() - took
                    )
                )

    thread = threading.Thread(target=post, daemon=True)
    thread.start()
    try:
        yield
    finally:
        child.kill()
        child.wait()
        thread.join(10)


@contextlib.contextmanager
def agent(model: ScriptedAnthropic) -> Iterator[Path]:
    """The agent as its unit starts it; its log."""
    (PLACE / "credentials").mkdir()
    (PLACE / "credentials" / "anthropic-api-key").write_text(KEY)
    (PLACE / "account").mkdir()
    config = PLACE / "agent.toml"
    config.write_text(
        f"""
[advisor]
name = "claude"
[claude]
model = "{MODEL}"
base_url = "{model.url}"
[claude.prices."{MODEL}"]
input = 3.0
output = 15.0
"""
    )
    log = PLACE / "agent.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "agent.main", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={
                **os.environ,
                "CREDENTIALS_DIRECTORY": str(PLACE / "credentials"),
                "STATE_DIRECTORY": str(PLACE / "account"),
            },
        )
        try:
            yield log
        finally:
            process.terminate()
            try:
                ended(process, 20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def prove(daemon: Running) -> None:
    """Run the gates while the agent starts: emulated and among hogs they take minutes, and later
    the answer to the same question is known."""
    with daemon.control() as client:
        for policy in (RIGHT, WORSE):
            client.create_candidate(CandidateRequest(policy=policy))


def until_listening(log: Path) -> None:
    """Wait until the agent and its MCP server have started."""
    limit = Limit(150)
    while "the MCP server is ready" not in log.read_text("utf-8", "replace"):
        assert not limit.passed(), log.read_text("utf-8", "replace")
        time.sleep(0.2)


def until_closed(daemon: Running, number: int) -> EpisodeView:
    """The closed episode with this number (from 0)."""
    limit = Limit(EPISODE_S)
    with daemon.observe() as client:
        while True:
            found = [each for each in client.episodes() if each.advisor != "by-hand"][::-1]
            if len(found) > number and found[number].state is EpisodeState.CLOSED:
                return client.episode(found[number].id)
            assert not limit.passed(), f"not within {EPISODE_S:g} s"
            time.sleep(0.2)


def told(daemon: Running, episode: EpisodeView, model: ScriptedAnthropic) -> Seen:
    """The state of an episode afterwards."""
    with daemon.observe() as client:
        steps = [each.model_dump(mode="json") for each in client.steps(episode.id)]
        lessons = [each.text for each in client.lessons() if each.episode == episode.id]
    explained = subprocess.run(
        [sys.executable, "-m", "cli.main", "explain", episode.id],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    kernel = sysfs.read()
    return {
        "episode": episode.model_dump(mode="json"),
        "steps": steps,
        "lessons": lessons,
        "explained": explained.stdout,
        "explain_status": explained.returncode,
        "sysfs": {"state": kernel.state, "ops": kernel.ops},
        "requests": len(model.asked),
        "model_s": model.seconds,
    }


def play(seen: Seen) -> None:
    began = time.monotonic()
    place = Place(PLACE, TABLES)
    # Tables of tables are more than a Place can write.
    text = place.configured().read_text() + OBJECTIVE
    with (
        scripted(*KEEPS) as model,
        agent(model) as log,
        running(place, text=text) as daemon,
    ):
        neighbours = Neighbours()
        try:
            prove(daemon)
            until_listening(log)
            with victim(daemon):
                seen["ready_s"] = time.monotonic() - began
                neighbours.come()
                kept = until_closed(daemon, 0)
                seen["kept"] = told(daemon, kept, model)
                seen["kept_s"] = time.monotonic() - began
                model.script[:] = ROLLS_BACK
                with daemon.control() as client:
                    client.open_episode(
                        EpisodeRequest(workload=WORKLOAD, goal="leave more to the others")
                    )
                back = until_closed(daemon, 1)
                seen["back"] = told(daemon, back, model)
        except Exception:  # noqa: BLE001 - the tests show it
            seen["trouble"] = (
                f"{traceback.format_exc()}\nthe daemon said:\n{daemon.said()[-6000:]}"
                f"\nthe agent said:\n{log.read_text('utf-8', 'replace')[-4000:]}"
            )
        finally:
            neighbours.go()
        seen["account"] = json.loads((PLACE / "account" / "spent.json").read_text())
        seen["took_s"] = time.monotonic() - began


def main() -> None:
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    os.environ[RUN_DIR_VARIABLE] = str(PLACE / "run")
    os.nice(NICE)
    seen: Seen = {}
    try:
        play(seen)
    except Exception:  # noqa: BLE001 - the tests show it
        seen.setdefault("trouble", traceback.format_exc())
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
