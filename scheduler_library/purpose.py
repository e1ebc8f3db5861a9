# SPDX-License-Identifier: GPL-2.0-or-later
"""A workload's purpose, and the evidence for it. Pure.

The strongest evidence counts: the operator's declaration, then what the program is known to be,
then its behaviour when it gets the CPU time that it wants, then its current behaviour. A starved
service looks like a batch job: it is always runnable, and only stops because it is made to.
"""

import re
from dataclasses import dataclass
from enum import StrEnum


class Purpose(StrEnum):
    """The figure that counts for a workload."""

    LATENCY = "latency"
    THROUGHPUT = "throughput"
    MAKESPAN = "makespan"


class PurposeSource(StrEnum):
    """Kinds of evidence, the strongest first."""

    DECLARED = "declared"
    PROGRAM = "program"
    CALM = "calm"
    NOW = "now"


@dataclass(frozen=True)
class PurposeEvidence:
    """One piece of evidence.

    Attributes:
        why: a sentence; it may quote hostile text, already escaped.
        certainty: `sure`, `likely` or `guess`.
        serves: the program is known to answer requests of others.
    """

    purpose: Purpose
    by: PurposeSource
    why: str
    certainty: str = "sure"
    serves: bool = False


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words in the name of a measurement. These are about delays, whichever direction is better …
_DELAYS = _words(
    """latency latencies delay delays jitter lag stutter stutters deadline deadlines late lateness
    ontime apdex slo percentile pctl"""
)
# … these if lower is better: "request_duration" is a delay, "requests" are work …
_OF_ONE = _words(
    """response responses respond rtt wait waiting tail ttfb frame frametime request requests query
    queries transaction transactions roundtrip ping click keystroke underrun underruns xrun xruns
    dropout dropouts glitch glitches missed misses timeout timeouts"""
)
# … and these, if none of the others occurs, about when work is done.
_MAKESPAN = _words(
    """makespan elapsed wall wallclock walltime runtime duration build compile compilation job jobs
    batch total finish finished tests suite render encode encoding seconds hours minutes"""
)
# A game wants an even rate of frames, an encoder many: the program decides.
_FRAMES = frozenset({"fps", "frames", "framerate"})
_PERCENTILE = re.compile(r"p[0-9]{2,5}")
# `measurement NAME lower`: a time in the first units is a wait; in the second it is work.
_SHORT_UNITS = frozenset({"ns", "us", "µs", "ms"})
_LONG_UNITS = frozenset({"min", "m", "h"})
# A limit in seconds below this is a wait.
_SHORT_S = 1.0
_MEASUREMENT = re.compile(
    r"measurement\s+(?P<name>\S+)\s+(?P<way>lower|higher)"
    r"(?:\s*[<>]=?\s*(?P<limit>[0-9.]+)\s*(?P<unit>\S*))?"
)
# The first word of an objective of any other kind.
_BY_WORD = {
    "response": Purpose.LATENCY,
    "delay": Purpose.LATENCY,
    "latency": Purpose.LATENCY,
    "throughput": Purpose.THROUGHPUT,
    "completions": Purpose.THROUGHPUT,
    "turnaround": Purpose.THROUGHPUT,
    "cpu": Purpose.THROUGHPUT,
    "makespan": Purpose.MAKESPAN,
}
# A person's request in a sentence.
_GOALS = (
    (
        Purpose.LATENCY,
        r"latenc|delays?\b|respon[sd]|p9\d|jitter|stutter|lags?\b|laggy|answers?\b|snapp|interactiv|"
        r"frame|audio|dropout|smooth|sluggish",
    ),
    (
        Purpose.MAKESPAN,
        r"makespan|all (?:\w+ )*(?:done|finished)|(?:done|finish\w*) (?:sooner|earl)",
    ),
    (Purpose.THROUGHPUT, r"throughput|per second|/s\b|more (?:work|requests|jobs)|completions"),
)


def purpose_of(objective: str) -> Purpose | None:
    """A workload's purpose according to the text of an objective; None if the text does not say."""
    text = objective.strip().lower()
    found = _MEASUREMENT.match(text)
    if found is None:
        return _BY_WORD.get(re.split(r"[\s<>]", text, maxsplit=1)[0])
    words = set(re.findall(r"[a-z]+[0-9]*", found["name"]))
    lower = found["way"] == "lower"
    if words & _DELAYS or any(map(_PERCENTILE.fullmatch, words)) or (lower and words & _OF_ONE):
        return Purpose.LATENCY
    if not lower:
        return None if words & _FRAMES else Purpose.THROUGHPUT
    if words & _MAKESPAN:
        return Purpose.MAKESPAN
    unit = found["unit"] or next(iter(words & (_SHORT_UNITS | {"min", "sec", "s"})), "")
    if unit in _SHORT_UNITS:
        return Purpose.LATENCY
    if unit in _LONG_UNITS:
        return Purpose.MAKESPAN
    if unit in ("s", "sec") and found["limit"]:
        return Purpose.LATENCY if _number(found["limit"]) < _SHORT_S else Purpose.MAKESPAN
    return None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("inf")


def purpose_of_goal(goal: str) -> Purpose | None:
    """The purpose in a person's own words: a sentence with a telling word, or an objective."""
    text = goal.strip().lower()
    if text.startswith("measurement "):
        return purpose_of(text)
    found = [(at.start(), purpose) for purpose, words in _GOALS if (at := re.search(words, text))]
    # The first such word counts: a command line or an explanation may follow.
    return min(found)[1] if found else None
