# SPDX-License-Identifier: GPL-2.0-or-later
"""Policy lines that fit a kind of workload, to try beside the library. Pure.

They are what a person who knows the language would try first. Winners are saved to the library and
found there from then on.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from scheduler_library.profile import Tag

# The longest name for which a line is written; the language takes no more for `comm`.
LONGEST_COMM = 15
LONGEST_NAME = 200
# From this length on everybody's slice is long for tasks that wait.
LONG_SLICE_MS = 10.0
_SLICE = re.compile(r"slice (\d+(?:\.\d+)?)(ns|us|ms|s)\b")
_RULE = re.compile(r"[^;{]*\{[^}]*\}")
_IN_MS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class Template:
    """A line, and the workloads it suits. `tags` work like a manifest's `good_for`."""

    policy: str
    tags: tuple[str, ...]
    against: tuple[str, ...]
    summary: str


def quoted(text: str) -> str | None:
    """`text` as a string of the policy language; None if the language cannot express it.

    A backslash may stand for a byte that could not be shown (signals escape names this way), so
    such a name is not certain: no line is written for it.
    """
    if not text or len(text) > LONGEST_NAME or "\\" in text:
        return None
    if not all(" " <= each <= "~" for each in text):
        return None
    return '"' + text.replace('"', '\\"') + '"'


def selector(workload: str) -> str | None:
    """The selector for this workload's tasks: `cgroup = "/path"` or `comm = "name"`, or None."""
    kind, _, name = workload.partition(":")
    if kind not in ("cgroup", "comm") or name == "/":
        return None
    if kind == "comm" and len(name) > LONGEST_COMM:
        return None
    text = quoted(name)
    return f"{kind} = {text}" if text else None


def bad_for(policy: str, tags: Iterable[str] = ()) -> tuple[str, ...]:
    """The tags of workloads for which a policy in its canonical form is bad because of its effect
    on everybody: jobs in order, or long slices, while nobody goes first. Its effect on tasks that
    it names is the responsibility of the one who named them.

    `tags` are those of a measured workload. If its requests are cut in the middle, long slices let
    them end, whoever waits for them; for a person they are bad nevertheless.
    """
    text = _QUOTED.sub('""', policy)
    everybody = _RULE.sub("", text) + text.rpartition("* {")[2] * ("* {" in text)
    slices = [float(number) * _IN_MS[unit] for number, unit in _SLICE.findall(everybody)]
    by_jobs = "expected_runtime" in everybody
    long = any(each >= LONG_SLICE_MS for each in slices) and "latency" not in text
    if long and not by_jobs and Tag.CUT_SHORT in set(tags):
        return (Tag.INTERACTIVE,)
    return (Tag.LATENCY_SENSITIVE, Tag.INTERACTIVE, Tag.SERVICE) if by_jobs or long else ()


def shape(policy: str) -> str:
    """A policy with every name in it left out: lines of one shape have the same effect."""
    return _QUOTED.sub('"…"', " ".join(policy.split()))


def name_of(policy: str) -> str:
    """The compiler's name for a policy in its canonical form, as all lines here are."""
    return f"policy-{hashlib.sha256(policy.encode()).hexdigest()[:8]}"


def all_lines(workloads: Iterable[str] = ()) -> list[Template]:
    """Every line that the offline advisor could propose, whatever is measured: those without names,
    then those for each of `workloads` (their ids). For proving lines ahead.
    """
    found: dict[str, Template] = {}
    for workload in ("", *workloads):
        for group in (tuple(Tag), (Tag.BATCH,), (Tag.LATENCY_SENSITIVE,)):
            found |= {each.policy: each for each in templates(group, workload)}
    return list(found.values())


def templates(tags: Iterable[str], workload: str) -> list[Template]:
    """The lines worth a try for a workload with these tags."""
    has = set(tags)
    found = []
    if Tag.UNEVEN_JOBS in has:
        found.append(
            Template(
                "order by expected_runtime desc",
                (Tag.UNEVEN_JOBS,),
                (Tag.LATENCY_SENSITIVE, Tag.INTERACTIVE, Tag.SERVICE),
                "longest job first: all of them are done soonest",
            )
        )
    selected = selector(workload)
    if Tag.CUT_SHORT in has:
        found.append(
            Template(
                selected + " { order fifo; slice 100ms }; * { slice 3ms }"
                if selected
                else "order fifo; slice 100ms",
                (Tag.CUT_SHORT, Tag.LONG_BURSTS),
                (Tag.INTERACTIVE,),
                "its requests run to their end, in the order in which they came",
            )
        )
    if selected and has & {Tag.LATENCY_SENSITIVE, Tag.INTERACTIVE}:
        # First in either case; a short slice would cut long requests among themselves.
        first = "order fifo; slice 100ms" if Tag.CUT_SHORT in has else "preempt; slice 500us"
        found.append(
            Template(
                f"{selected} {{ latency; {first} }}; * {{ slice 3ms }}",
                (Tag.LATENCY_SENSITIVE, Tag.INTERACTIVE),
                (Tag.BATCH,),
                "this workload first, whatever else is going on",
            )
        )
    crowded = has & {Tag.CONTENDED, Tag.OVERCOMMITTED}
    if selected and Tag.THROUGHPUT in has and crowded:
        found.append(
            Template(
                selected + " { weight 300 }",
                (Tag.THROUGHPUT, Tag.CONTENDED, Tag.OVERCOMMITTED),
                (),
                "three times the CPU time of others, as long as they want it too",
            )
        )
    if Tag.BATCH in has and not has & {Tag.LATENCY_SENSITIVE, Tag.INTERACTIVE}:
        found.append(
            Template(
                "slice 20ms",
                (Tag.BATCH,),
                (Tag.LATENCY_SENSITIVE, Tag.INTERACTIVE, Tag.SERVICE, Tag.SHORT_BURSTS),
                "long slices: few switches",
            )
        )
    return found
