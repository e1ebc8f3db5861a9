# SPDX-License-Identifier: GPL-2.0-or-later
"""Lines of policy that fit a kind of workload, to be tried beside what the library has. Pure.

They are what a person who knows the language would try first. What wins is saved to the library
and found there from then on.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from scheduler_library.profile import Tag

# Longest name that a line is written for; the language takes no more for `comm`.
LONGEST_COMM = 15
LONGEST_NAME = 200
# From here on a slice of everybody's is long for whoever waits.
LONG_SLICE_MS = 10.0
_SLICE = re.compile(r"slice (\d+(?:\.\d+)?)(ns|us|ms|s)\b")
_RULE = re.compile(r"[^;{]*\{[^}]*\}")
_IN_MS = {"ns": 1e-6, "us": 1e-3, "ms": 1.0, "s": 1e3}
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


@dataclass(frozen=True)
class Template:
    """A line, and for which workloads. `tags` work as a manifest's `good_for` does."""

    policy: str
    tags: tuple[str, ...]
    against: tuple[str, ...]
    summary: str


def quoted(text: str) -> str | None:
    """`text` as a string of the policy language; None where the language cannot hold it.

    A backslash may stand for a byte that could not be shown (as signals escape names), so that
    a name with one is not surely the name: no line is written for it.
    """
    if not text or len(text) > LONGEST_NAME or "\\" in text:
        return None
    if not all(" " <= each <= "~" for each in text):
        return None
    return '"' + text.replace('"', '\\"') + '"'


def selector(workload: str) -> str | None:
    """What selects this workload's tasks: `cgroup = "/path"` or `comm = "name"`, or None."""
    kind, _, name = workload.partition(":")
    if kind not in ("cgroup", "comm") or name == "/":
        return None
    if kind == "comm" and len(name) > LONGEST_COMM:
        return None
    text = quoted(name)
    return f"{kind} = {text}" if text else None


def bad_for(policy: str, tags: Iterable[str] = ()) -> tuple[str, ...]:
    """The tags of workloads that a policy in its canonical form is bad for by what it does to
    everybody: jobs in order, or long slices, while nobody goes first. What it does to those whom
    it names is the business of whoever named them.

    `tags` are those of a workload that was measured. Where its requests are cut in their middle,
    long slices are what lets them end, whoever waits for them; to a person they are bad still.
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
    """A policy with every name in it left out: lines of one shape do the same to others."""
    return _QUOTED.sub('"…"', " ".join(policy.split()))


def name_of(policy: str) -> str:
    """What the compiler calls a policy that is in its canonical form, as all lines here are."""
    return f"policy-{hashlib.sha256(policy.encode()).hexdigest()[:8]}"


def all_lines(workloads: Iterable[str] = ()) -> list[Template]:
    """Every line that the offline advisor could propose, whatever is measured: those that name
    nobody, then those for each of `workloads` (their ids). For whoever proves lines ahead."""
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
        # First either way; a short slice would cut long requests among themselves.
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
