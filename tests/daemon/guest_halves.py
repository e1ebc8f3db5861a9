# SPDX-License-Identifier: GPL-2.0-or-later
"""A goal with two halves, judged by name on a real sched_ext kernel; played in the lab by
test_halves_lab.py.

    python -m tests.daemon.guest_halves

A person types into an editor beside a parallel backup and a rendering. Prints what was seen as one
line of JSON; the tests judge it.
"""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from daemon.api.models import CandidateRequest, CloseRequest, EpisodeRequest, TrialRequest
from tests.daemon.guest_faults import TABLES, Seen, Stage
from tests.daemon.guest_policy import played
from tests.daemon.running import Place, running
from tests.waiting import until

# The guest is ours alone.
PLACE = Path("/var/tmp/halves")  # noqa: S108
EDITOR = "comm:editor"
GOAL = (
    "typing in the editor must not lag; the backup may take as long as it likes, "
    "but must still go on"
)
# Name, seconds asleep, seconds of CPU time, how many of them.
WORKLOADS = (("editor", 0.05, 0.004, 1), ("backup", 0.0, 1.0, 2), ("render", 0.0, 1.0, 2))
# The kernel thread that looks for pages to merge: it sleeps ten seconds between its looks unless it
# is told otherwise.
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")
THREAD = "khugepaged"
CANDIDATES = {
    "good": CandidateRequest(
        policy='comm = "editor" { latency; preempt; slice 3ms }; * { slice 3ms }'
    ),
    "starves the backup": CandidateRequest(
        policy='comm = "editor" { latency; preempt; slice 3ms }; comm = "backup" { idle }; '
        "* { slice 3ms }"
    ),
    "starves one thread": CandidateRequest(
        source=Path(__file__).with_name("starves_one.bpf.c").read_text("utf-8"), name="starves-one"
    ),
}
# The daemon comes before them, as its unit has it.
NICE = ("nice", "-n", "10")
TRIAL_S = 400.0
SEEN_S = 90.0


@contextlib.contextmanager
def workloads() -> Iterator[None]:
    script = Path(__file__).with_name("lab_two_halves.py")
    children = [
        subprocess.Popen([*NICE, sys.executable, "-S", str(script), name, str(sleep_s), str(cpu_s)])
        for name, sleep_s, cpu_s, count in WORKLOADS
        for _ in range(count)
    ]
    try:
        yield
    finally:
        for child in children:
            child.kill()
            child.wait()


def tried(stage: Stage, asked: CandidateRequest) -> Seen:
    """A whole episode about the goal, with one trial of this candidate."""
    client = stage.client
    opened = client.open_episode(EpisodeRequest(workload=EDITOR, goal=GOAL))
    candidate = client.create_candidate(asked.model_copy(update={"episode": opened.id}))
    assert candidate.proven, candidate
    request = TrialRequest(candidate=candidate.id, workload=EDITOR, episode=opened.id)
    trial = client.start_trial(request)
    until(lambda: client.trial(trial.id).ended, TRIAL_S, pause_s=1.0)
    view = client.trial(trial.id)
    client.close_episode(opened.id, CloseRequest(summary="seen", advisor="scene"))
    stage.calm()
    return {
        "episode": opened.model_dump(mode="json"),
        "trial": view.model_dump(mode="json"),
    }


def main() -> None:
    (HUGE_PAGES / "enabled").write_text("always")
    (HUGE_PAGES / THREAD / "scan_sleep_millisecs").write_text("200")
    shutil.rmtree(PLACE, ignore_errors=True)
    settings = {
        "window_s": 8.0,
        "settle_s": 1.0,
        "min_windows": 4,
        "max_windows": 16,
        "samples_min": 1,
        "lease_s": 10.0,
    }
    place = Place(PLACE, {**TABLES, "trial": settings})
    seen: Seen = {}
    with running(place) as daemon, workloads():

        def watched(stage: Stage) -> Seen:
            there = {EDITOR, "comm:backup", "comm:render"}
            found = until(
                lambda: there <= {each.id for each in stage.client.workloads() if each.last},
                SEEN_S,
            )
            return {"seen": found}

        seen["watched"] = played(daemon, watched)
        for name, asked in CANDIDATES.items():
            seen[name] = played(daemon, partial(tried, asked=asked))
    print(json.dumps(seen), flush=True)


if __name__ == "__main__":
    main()
