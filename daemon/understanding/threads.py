# SPDX-License-Identifier: GPL-2.0-or-later
"""How threads run, wait and sleep, from two readings of their use and a few samples of their state.

Pure.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from daemon.api.display import displayable
from daemon.api.models import Parallelism, ThreadGroup, WaitsView
from daemon.understanding.proc import ThreadUsage

MOST_GROUPS = 8
NAME_LIMIT = 32
# As in scheduler_library.profile: hardly ever sleeps; fits into every scheduler's slice.
BUSY_SHARE = 0.85
ASLEEP_SHARE = 0.005
SHORT_US = 2_000.0
# From this length on the end of a usual slice cuts it while others wait.
LONG_US = 4_000.0

# Where a thread sleeps in the kernel, by parts of the function's name, first match wins.
_PLACES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("futex", ("futex",)),
    (
        "events",
        ("epoll", "ep_poll", "poll_schedule", "do_select", "do_sys_poll", "do_poll", "io_cqring"),
    ),
    ("timer", ("nanosleep", "schedule_hrtimeout", "alarm")),
    ("child", ("do_wait", "wait4", "kernel_wait")),
    ("pipe or terminal", ("pipe_", "tty_", "n_tty")),
    ("socket", ("sock", "skb", "accept", "tcp_", "unix_", "inet_", "netlink")),
    ("disk", ("io_schedule", "folio_", "wait_on_page", "blk_", "bio_", "jbd2", "submit_bio")),
    ("signal", ("sigsuspend", "sigtimedwait", "do_sigt")),
)


@dataclass(frozen=True)
class Thread:
    """One thread between two readings, `seconds` apart.

    `sleeps_in` is a kernel function, empty if the thread ran or it is unknown.
    """

    name: str
    begin: ThreadUsage
    end: ThreadUsage
    seconds: float
    sleeps_in: str = ""

    @property
    def run_share(self) -> float:
        return _share(self.end.run_ns - self.begin.run_ns, self.seconds)

    @property
    def wait_share(self) -> float:
        return _share(self.end.wait_ns - self.begin.wait_ns, self.seconds)

    @property
    def sleeps(self) -> int:
        return max(0, self.end.sleeps - self.begin.sleeps)

    @property
    def preemptions(self) -> int:
        return max(0, self.end.preemptions - self.begin.preemptions)


def _share(nanoseconds: int, seconds: float) -> float:
    return min(1.0, max(0.0, nanoseconds / 1e9 / seconds)) if seconds > 0 else 0.0


def groups_of(threads: Sequence[Thread]) -> list[ThreadGroup]:
    """Threads of one name (ignoring numbers in it) together, those that use most CPU first."""
    together: dict[str, list[Thread]] = defaultdict(list)
    for each in threads:
        together[re.sub(r"\d+", "N", each.name)].append(each)
    made = [_group(name, each) for name, each in together.items()]
    made.sort(key=lambda group: (-group.run_share * group.threads, -group.threads, group.name))
    return made[:MOST_GROUPS]


def _group(name: str, threads: Sequence[Thread]) -> ThreadGroup:
    count = len(threads)
    seconds = threads[0].seconds or 1.0
    sleeps = sum(each.sleeps for each in threads)
    preemptions = sum(each.preemptions for each in threads)
    run = sum(each.run_share for each in threads)
    stays = sleeps + preemptions
    run_us = run * seconds * 1e6 / stays if stays else run / count * seconds * 1e6
    run_share = run / count
    wait = sum(each.wait_share for each in threads)
    wait_share = wait / count
    # From one sleep to the next: all CPU time and waits, divided by the sleeps.
    burst_us = run * seconds * 1e6 / sleeps if sleeps else None
    response_us = (run + wait) * seconds * 1e6 / sleeps if sleeps else None
    return ThreadGroup(
        name=displayable(threads[0].name if count == 1 else name, NAME_LIMIT),
        threads=count,
        run_share=round(run_share, 3),
        wait_share=round(wait_share, 3),
        sleeps_per_s=round(sleeps / seconds, 1),
        preemptions_per_s=round(preemptions / seconds, 1),
        run_us=round(run_us, 1),
        burst_us=None if burst_us is None else round(burst_us, 1),
        response_us=None if response_us is None else round(response_us, 1),
        pattern=_pattern(run_share, wait_share, burst_us, sleeps, preemptions),
    )


def _pattern(run: float, wait: float, burst_us: float | None, sleeps: int, preemptions: int) -> str:
    if burst_us is None:
        if run + wait >= BUSY_SHARE:
            return "never sleeps" if wait < run / 4 else "never sleeps, and waits for a CPU"
        return "asleep" if run < ASLEEP_SHARE else "runs long, switches involuntarily"
    if run < ASLEEP_SHARE and burst_us <= SHORT_US and not preemptions:
        return "asleep most of the time"
    if burst_us <= SHORT_US:
        return "runs briefly between sleeps"
    if burst_us >= LONG_US and preemptions > sleeps:
        return "long bursts, each made to leave before its end"
    return "runs in bursts between sleeps"


def parallelism_of(looks: Sequence[Mapping[int, str]], running_mean: float) -> Parallelism:
    """From the state of each thread in each sample; `running_mean` is CPU time over time, which is
    more accurate than samples.
    """
    wanting = [sum(state == "R" for state in look.values()) for look in looks]
    mean = sum(wanting) / len(wanting) if wanting else 0.0
    return Parallelism(
        running_mean=round(running_mean, 2),
        waiting_mean=round(max(0.0, mean - running_mean), 2),
        most=max(wanting, default=0),
        looks=len(looks),
    )


def waits_of(
    threads: Sequence[Thread],
    looks: Sequence[Mapping[int, str]],
    io: tuple[int, int] | None,
    seconds: float,
) -> WaitsView:
    """What threads wait for. `io` are bytes read and written in these seconds, if known."""
    states = Counter(state for look in looks for state in look.values())
    seen = sum(states.values())
    places = Counter(place_of(each.sleeps_in) for each in threads if each.sleeps_in)
    told = sum(places.values())
    return WaitsView(
        runqueue_share=(
            round(sum(each.wait_share for each in threads) / len(threads), 3) if threads else None
        ),
        io_share=round(states["D"] / seen, 3) if seen else None,
        sleep_share=round((states["S"] + states["I"]) / seen, 3) if seen else None,
        lock_share=round(places["futex"] / len(threads), 3) if told else None,
        asleep_in=dict(places.most_common(6)),
        read_bytes_per_s=round(io[0] / seconds, 1) if io else None,
        written_bytes_per_s=round(io[1] / seconds, 1) if io else None,
    )


def place_of(function: str) -> str:
    """The class of a kernel function in which threads sleep."""
    for place, parts in _PLACES:
        if any(part in function for part in parts):
            return place
    return "other"
