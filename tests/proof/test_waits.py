# SPDX-License-Identifier: GPL-2.0-or-later
"""How the engine's observation of a wait becomes a finding."""

from typing import Any

import pytest

from simulator.run import Ejection, Ended, ObservedWait
from simulator.waits import cause_of, cpus, explain_wait

S = 1_000_000_000
ALL = (0, 1, 2, 3)


def wait(**seen: Any) -> ObservedWait:
    """Ten seconds in the queue 7, on a machine with four CPUs."""
    usual: dict[str, Any] = {
        "task": "job[1004]", "ns": 10 * S, "ended": False, "place": "created", "queue": 7,
        "allowed": ALL,
    }  # fmt: skip
    return ObservedWait(**usual | seen)


@pytest.mark.parametrize(
    ("seen", "said", "remedy"),
    [
        # nobody serves its queue, whether CPUs are idle or not
        ({"fate": "left", "asked": ALL}, "lost: job[1004] is in the queue 7, from which no CPU",
         "in dispatch"),
        ({"fate": "left", "asked": ALL, "idle": ALL, "ever": ALL}, "no CPU takes tasks any more",
         "in dispatch"),
        # its queue is served where the task may not run
        ({"fate": "left", "ever": (2, 3), "looked": (2, 3), "allowed": (0, 1), "taken_ns": 1,
          "passed": 9}, "from which only CPUs 2-3 would take it, and it may run on CPUs 0-1 only",
         "bpf_cpumask_test_cpu"),
        # all CPUs on which it may run are gone
        ({"fate": "left", "ever": ALL, "allowed": (), "offline": (3,)},
         "may run only on CPU 3, which went offline", "in cpu_offline move"),
        # it is in no queue
        ({"place": "nowhere", "fate": "left"}, "lost: the scheduler has had job[1004] for 10 s",
         "on every path through enqueue"),
        # the CPUs that could take it sleep
        ({"fate": "taken", "ever": ALL, "idle": (1, 3)}, "while CPUs 1 and 3, which may run it",
         "SCX_KICK_IDLE"),
        # they look and leave it
        ({"fate": "left", "ever": ALL, "looked": ALL, "taken_ns": 10 * S},
         "CPUs 0-3 looked into it and left it there", "iterator"),
        # others go first, in its queue or in others
        ({"fate": "taken", "ever": ALL, "looked": ALL, "passed": 90, "taken_ns": 1},
         "starvation: job[1004] waited, and 90 others went before it", "its turn"),
        ({"fate": "taken", "asked": ALL}, "dispatch found others each time before it came to the "
         "queue 7", "its turn"),
        # one task does not stop
        ({"ever": ALL, "held": ALL, "asked": ALL, "extended": True, "holder": "hog[1]",
          "held_ns": 9 * S}, "each of CPUs 0-3 ran one task without a break, hog[1] for 9 s: "
         "dispatch gives the running task a new slice", "let slices end"),
        ({"held": ALL, "endless": True, "holder": "hog[1]", "held_ns": 9 * S},
         "its slice is endless", "let slices end"),
        ({"place": "local", "queue": 2, "held": (2,), "allowed": (2,), "holder": "hog[1]"},
         "in the local queue of CPU 2 while CPU 2 ran hog[1]", "let slices end"),
        ({"ended": True, "passed": 5}, "5 others went before it from the queue 7", "its turn"),
    ],
)  # fmt: skip
def test_a_wait_is_told_as_what_was_seen(seen: dict[str, Any], said: str, remedy: str) -> None:
    """Lost, left alone, starved or kept from a CPU: the message names the queue, the CPUs and who
    ran."""
    found = explain_wait(wait(**seen))
    assert said in found.cause
    assert remedy in found.fix


def test_a_running_task_that_nobody_relieves_is_no_endless_slice() -> None:
    """A task that keeps running because dispatch finds nobody else does not keep a lost task
    waiting."""
    found = explain_wait(wait(fate="left", asked=ALL, held=ALL, holder="hog[1]", held_ns=9 * S))
    assert "the task is lost" in found.cause


def test_only_what_the_watchdog_found_is_told_of_a_task() -> None:
    """An ejection for another reason keeps its own message, whatever waited meanwhile."""
    seen = wait(place="nowhere", fate="left")
    about: dict[str, Any] = {"code": 0, "at_ns": S, "wait": seen}
    stall = Ejection(kind=Ended.STALL, message="job[1004] failed to run for 5s", **about)
    assert "the task is lost" in cause_of(stall).cause
    error = Ejection(kind=Ended.ERROR_BY_ITSELF, message="job[1004] failed to run for 5s", **about)
    assert cause_of(error).cause == "the scheduler called scx_bpf_error()"


def test_cpus_are_written_as_spans() -> None:
    """As people write them."""
    assert cpus((3,)) == "CPU 3"
    assert cpus((0, 1, 2, 5)) == "CPUs 0-2 and 5"
    assert cpus(()) == "no CPU"
