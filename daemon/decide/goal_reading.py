# SPDX-License-Identifier: GPL-2.0-or-later
"""Parses one clause of a goal: the aspect, the wish, and the limit. Pure."""

import re
from dataclasses import dataclass

from daemon.decide.goal_words import (
    ALL,
    ASPECTS,
    BAD_WISHES,
    COMPLAINS,
    EVERY,
    LOW,
    WILLS,
    Aspect,
    Will,
)

_QUANTILE = re.compile(r"\bp(\d\d(?:\.\d+)?)\b")
_PER_CENT_OF = re.compile(
    r"\b(\d\d(?:\.\d+)?)% of (?:the |all )?(?:requests|answers|queries|responses|calls|frames|"
    r"clicks)"
)
_MEAN = re.compile(r"\bmean\b|\baverage\b|\bavg\b")
_MEDIAN = re.compile(r"\bmedian\b|\btypical\w*|\busual\w*")
_WORST = re.compile(r"\bworst\b|\bmax(?:imum)?\b(?! \d)|\blongest\b")
_SPAN = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)(ns|us|ms|s|min|h)\b")
_LONG_BEFORE = re.compile(
    r"(?:tak\w+|need\w*|has|have|is|are|lasts?|waits?)\s+(?:about |over |more than |up to |"
    r"around |often |even )*$"
)
_RELATIVE_BEFORE = re.compile(r"\bby (?:about |at least |up to )?$")
_KEEPS = re.compile(r"\b(?:keeps?|gets?|have|has|left)\b.*% of\b")
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)%")
_RATE = re.compile(
    r"(?:at least|over|above|more than|minimum(?: of)?|no (?:less|fewer) than|not (?:less|"
    r"fewer) than|>=?|reach|to|of)?\s*"
    r"(?<![\w.])(\d+(?:\.\d+)?)(k?)\s*(?:\w+ )?(per-second|per-minute|rps|qps|tps|ops|iops|"
    r"frame-rate)\b"
)
_GAIN = re.compile(
    r"(?:at least |by )?(?:\d+(?:\.\d+)?% (?:more|faster|less|lower|better|higher|sooner|shorter|"
    r"fewer)|"
    r"by (?:at least |about )?\d+(?:\.\d+)?%)|\btwice\b|\bdoubl\w+|\bhal(?:f|ve)\b|"
    r"(?<![@\d.])\d+(?:\.\d+)?(?:x| times)\b"
)
_NONE = re.compile(r"\b(?:no|none|nothing|neither)\b[^.]*$")
_GOES_ON = re.compile(r"starv|stall|go(?:es)? on|going|progress|continue|eventually")
_SECONDS = {"min": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class ClauseMeaning:
    """The content of one clause.

    `quantile` like `p99` or `mean`, `limit` like `< 20ms`, `rate` like `> 50/s`, `percent` how much
    worse something may become; `gain` is a wish like "at least 30% more", as written.
    """

    aspects: tuple[Aspect, ...] = ()
    will: Will | None = None
    # Whether the word of the will comes before the first aspect: then it also applies to what
    # follows "and".
    leads: bool = False
    quantile: str = ""
    limit: str = ""
    rate: str = ""
    percent: float | None = None
    gain: str = ""
    # `all` jobs are done, or `each` of them, if the clause says so.
    of: str = ""
    # "keep it low": a wish of its own if there is no other.
    low: bool = False


def read_clause(text: str) -> ClauseMeaning:
    """The content of a clause, whichever workload it is about."""
    aspects = [
        (found.start(), aspect) for aspect, pattern in ASPECTS if (found := pattern.search(text))
    ]
    aspects.sort()
    named: list[Aspect] = [aspect for _, aspect in aspects if aspect is not Aspect.ANY]
    # "answer faster" is about answers, and "finish sooner" about the end.
    order = tuple(dict.fromkeys(named or [aspect for _, aspect in aspects]))
    if Aspect.FRAMES in order and Aspect.COMPLETIONS in order:
        order = tuple(each for each in order if each is not Aspect.COMPLETIONS)
    if Aspect.FINISH in order and re.search(r"\bper-hour\b|per-minute\b", text):
        order = tuple(each for each in order if each is not Aspect.COMPLETIONS)
    if order == (Aspect.COMPLETIONS,) and _span_of(text, order):
        # "5000 requests per second within 20 ms" is about answers, too.
        order = (*order, Aspect.RESPONSE)
    will, where = _will_of(text, order)
    bad = BAD_WISHES.search(text) if will is Will.IMPROVE else None
    if bad is not None and not COMPLAINS.search(text[: bad.start()]):
        will = Will.WORSEN
    first = aspects[0][0] if aspects else 0
    gain = "" if will is not Will.IMPROVE else _gain_of(text)
    return ClauseMeaning(
        order,
        will,
        where < first,
        _quantile_of(text),
        _span_of(text, order),
        _rate_of(text),
        _percent_of(text) if will in (Will.KEEP, Will.GO_ON) else None,
        gain,
        _extent_of(text),
        will is Will.KEEP and LOW.search(text) is not None,
    )


def _extent_of(text: str) -> str:
    if EVERY.search(text):
        return "each"
    return "all" if ALL.search(text) else ""


def _will_of(text: str, aspects: tuple[Aspect, ...]) -> tuple[Will | None, int]:
    for will, pattern in WILLS:
        found = pattern.search(text)
        if found is None:
            continue
        ends = will is Will.GO_ON and Aspect.FINISH in aspects
        if ends and not _GOES_ON.search(found[0]):
            # "must still be done by eight" wants more than that it goes on.
            continue
        if will is Will.IGNORE and _NONE.search(text[: found.start()]):
            # "no request may take longer" allows nothing.
            continue
        return will, found.start()
    return (Will.IMPROVE, 0) if aspects else (None, 0)


def _quantile_of(text: str) -> str:
    if found := _QUANTILE.search(text) or _PER_CENT_OF.search(text):
        return f"p{found[1]}"
    if _MEDIAN.search(text):
        return "p50"
    if _MEAN.search(text):
        return "mean"
    return "p99.9" if _WORST.search(text) else ""


def _percent_of(text: str) -> float | None:
    """How much worse something may become; if it keeps 30% it may lose 70%."""
    found = _PERCENT.search(text)
    if found is None:
        return None
    value = float(found[1])
    return 100 - value if _KEEPS.search(text) and value < 100 else value


def _gain_of(text: str) -> str:
    found = _GAIN.search(text)
    return found[0].strip() if found else ""


def _rate_of(text: str) -> str:
    """A rate as an objective with its limit, if the clause names one; else empty."""
    if (rate := _RATE.search(text)) is None:
        return ""
    number = float(rate[1]) * (1000 if rate[2] else 1) / (60 if rate[3] == "per-minute" else 1)
    return f"> {number:g}/s"


def _span_of(text: str, aspects: tuple[Aspect, ...]) -> str:
    """The same for a time."""
    for found in _SPAN.finditer(text):
        before = text[: found.start()]
        if _LONG_BEFORE.search(before) or _RELATIVE_BEFORE.search(before):
            # "takes 50 ms" describes the current state, and "by 5 ms" the wanted change.
            continue
        number, unit = float(found[1]), found[2]
        if unit in ("min", "h"):
            if Aspect.FINISH not in aspects:
                continue
            number, unit = number * _SECONDS[unit], "s"
        return f"< {number:g}{unit}"
    return ""
