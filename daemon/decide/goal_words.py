# SPDX-License-Identifier: GPL-2.0-only
"""The words by which people say what they want of a scheduler. Tables, and how one clause is read.

A clause is a part of a sentence in which the names of workloads were replaced by `@0`, `@1` …, so
that no name can be taken for a word. Pure.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from daemon.api.models import ProgramKind as Kind


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


class Aspect(StrEnum):
    """What of a workload somebody speaks of."""

    RESPONSE = "response"
    DELAY = "delay"
    COMPLETIONS = "completions"
    FINISH = "finish"
    CPU = "cpu"
    FRAMES = "frames"
    FAIRNESS = "fairness"
    # "better", "faster": something is wanted, and the kind of workload says what.
    ANY = "any"


class Will(StrEnum):
    """What somebody wants of it."""

    IMPROVE = "improve"
    # It may not become (much) worse.
    KEEP = "keep"
    # It may become much worse, and must not stop.
    GO_ON = "go-on"
    # It does not count.
    IGNORE = "ignore"
    # It is to become worse, which is nobody's wish: asked back.
    WORSEN = "worsen"


@dataclass(frozen=True)
class Said:
    """What one clause says. `quantile` like `p99` or `mean`, `limit` like `< 20ms`, `rate` like
    `> 50/s`, `percent` how much worse something may become; `gain` is a wish like "at least 30%
    more", as written."""

    aspects: tuple[Aspect, ...] = ()
    will: Will | None = None
    # Whether the word that tells the will comes before the first aspect: then it holds for what
    # follows after "and", too.
    leads: bool = False
    quantile: str = ""
    limit: str = ""
    rate: str = ""
    percent: float | None = None
    gain: str = ""
    # `all` is done, or `each` one of the jobs, where that was said.
    of: str = ""
    # "keep it low": a wish of its own where there is no other.
    low: bool = False


# What people call a workload by what it does. The order is that in which they are looked for.
NOUNS: tuple[tuple[frozenset[Kind], str], ...] = (
    (frozenset({Kind.DATABASE}), "databases? db sql"),
    (frozenset({Kind.CACHE}), "caches?"),
    (
        frozenset({Kind.WEB_SERVER, Kind.PROXY}),
        "web~servers? web~sites? sites? web~app web~service http~server",
    ),
    (frozenset({Kind.PROXY}), "proxy proxies load~balancer gateway"),
    (frozenset({Kind.BROKER}), "brokers? message~queue"),
    (frozenset({Kind.BUILD}), "builds? compilers? compilations? compiling compiles?"),
    (frozenset({Kind.TEST_SUITE}), "tests? test~suite"),
    (frozenset({Kind.ENCODER}), "encoders? encodings? encodes? transcod(?:e|es|ing) renders?"),
    (frozenset({Kind.COMPRESSION, Kind.BATCH}), "backups? archiv(?:e|ing|er) compression"),
    (frozenset({Kind.ML_TRAINING}), "training"),
    (frozenset({Kind.ML_INFERENCE}), "inference"),
    (
        frozenset({Kind.INTERACTIVE}),
        "editors? typing keystrokes? terminals? shells? desktop keyboard mouse browsers? ui gui "
        "scrolling cursor",
    ),
    (frozenset({Kind.AUDIO}), "audio music sound video~calls? conference meeting"),
    (frozenset({Kind.GAME}), "games? gaming"),
    (frozenset({Kind.VIRTUAL_MACHINE}), "vms? virtual~machines?"),
    (
        frozenset({Kind.BATCH, Kind.BUILD, Kind.ENCODER, Kind.COMPRESSION, Kind.ML_TRAINING}),
        "batch~jobs? batch batches jobs? nightly",
    ),
)
# Those that are many things, each with an end of its own.
MANY = frozenset({"jobs", "batch jobs", "tasks"})
OTHERS = (
    r"(?:the )?others|the rest|(?:every|any|no)thing else|(?:every|any)(?:one|body) else|"
    r"no ?(?:one|body) else|"
    r"(?:the )?other (?:workloads?|programs?|processes|services|tasks|users)|"
    r"the (?:whole )?(?:machine|system)|"
    r"the neighbou?rs?|nobody|no one|nothing|any(?:one|body|thing)|every(?:one|body|thing)|"
    r"background "
    r"(?:work|tasks?|processes|services|jobs?)"
)
PRONOUN = re.compile(r"\b(?:it|its|they|them|their|the latter)\b")

# Several words that mean one thing become one.
COMPOUNDS: tuple[tuple[str, str], ...] = (
    (r"(\d)[\s-]*(?:milli-?seconds?|millis|msecs?)\b", r"\1ms"),
    (r"(\d)[\s-]*(?:micro-?seconds?|usecs?|µs|μs)", r"\1us"),
    (r"(\d)[\s-]*(?:nano-?seconds?|nsecs?)\b", r"\1ns"),
    (r"(\d)[\s-]*(?:seconds?|secs?)\b", r"\1s"),
    (r"(\d)[\s-]*(?:minutes?|mins?)\b", r"\1min"),
    (r"(\d)[\s-]*(?:hours?|hrs?)\b", r"\1h"),
    (r"\b(?:half a|a half) second\b", "500ms"),
    (r"\b(?:a|one) second\b(?=[^/]*$)", "a second"),
    (r"(\d)\s+(ms|us|ns|s|min|h|%)(?![\w/])", r"\1\2"),
    (r"(\d)\s*(?:percent|per cent|pct)\b", r"\1%"),
    (r"\b(\d\d(?:\.\d+)?)(?:th|st|nd|rd)?[\s-]*percentile\b", r"p\1"),
    (r"\bp[\s-](\d\d)", r"p\1"),
    (
        r"\bper[\s-]sec(?:ond)?\b|"
        r"(?<!for )(?<!in )(?<!half )(?<!than )(?<!under )(?<!within )(?<!below )"
        r"(?<!to )(?<!of )\ba sec(?:ond)?\b|\beach second\b|(?<=[a-z])/s(?:ec(?:ond)?)?\b|"
        r"(?<=\d)\s*/s(?:ec)?\b",
        " per-second",
    ),
    (r"\b(?:per|an?|each|every)[\s-](?:minute|min)\b", "per-minute"),
    (r"\b(?:per|an|each|every)[\s-]hour\b", "per-hour"),
    (
        r"\b(\d+(?:ms|us|ns|s|min|h))\s+or\s+(?:less|better|faster|lower|below|quicker|sooner)\b",
        r"under \1",
    ),
    (
        r"\b(?:run[\s-]?queue|scheduling|scheduler|wake-?up|wakeup|cpu)[\s-](?:delays?|"
        r"latenc(?:y|ies)|"
        r"waits?)\b",
        "queue-delay",
    ),
    (r"\b(?:response|reply|answer|reaction|request|service)[\s-]times?\b", "response-time"),
    (r"\bframe[\s-]?times?\b|\bframe[\s-]?pacing\b", "frame-time"),
    (r"\bframe[\s-]?rates?\b|\bframes per-second\b|\bfps\b", "frame-rate"),
    (r"\bcpu[\s-](?:time|share|cycles)\b|\bshare of (?:the )?cpu\b", "cpu-time"),
    (
        r"\bdrop(?:s|ped|ping)?[\s-]+frames?\b|\bframe[\s-]?drops?\b|\bframes? (?:get |"
        r"are )?dropped\b",
        "frame-drops",
    ),
    # "neither a nor b may", "nobody may": the word that says no goes to its verb.
    (
        r"\bneither (.+?) nor (.+?) (may|can|must|should|will|could|shall|is|are|does|"
        r"do)\b(?! not)",
        r"\1 and \2 \3 not",
    ),
)

_LESS = (
    r"(?:low(?:er)?|less|fewer|reduc\w+|short(?:er)?|small(?:er)?|cut\w*|decreas\w+|drop\w*|"
    r"minimi[sz]\w+|down)"
)
_MORE = r"(?:high(?:er)?|more|longer|increas\w+|rais\w+|worse|bigger|larger|maximi[sz]\w+)"
_NOT = r"(?:\bnot|n't|\bnever|\bno|\bwithout|\bnor|\bneither|\bcannot|\bavoid)"

# Aspects, by the words that tell them.
ASPECTS: tuple[tuple[Aspect, str], ...] = (
    (Aspect.DELAY, r"\bqueue-delay\b"),
    (Aspect.FRAMES, r"\bframe-rate\b|\bmore frames\b"),
    (
        Aspect.RESPONSE,
        r"\blatenc(?:y|ies)\b|\blag(?:s|gy|ged|ging|gier)?\b|\bresponse(?:-time)?s?\b|"
        r"\brespon[ds]\w*|"
        r"\brepl(?:y|ies)\b|\banswer\w*|\bsnapp\w+|\bstutter\w*|\bjank\w*|\bjerk\w*|\bjitter\w*|"
        r"\bsmooth\w*|\bsluggish\w*|\btail\b|\bp\d\d(?:\.\d+)?\b|\bchoppy\b|\bhiccup\w*|\bfreez\w+|"
        r"\bfroze\w*|\bunresponsive\w*|\breact\w*|(?<!queue-)\bdelay\w*|\b(?:come|comes|"
        r"coming) back\b|\bpages? (?:\w+ )?(?:load|open|render)\w*|"
        r"\bload(?:s|ing)? (?:faster|quicker|slowly|sooner)|\bframe-time\b|\bdropouts?\b|"
        r"\bframe-drops\b|\bframes? (?:is |are |come )?late\b|"
        r"\bcrackl\w+|\bglitch\w*|\bunderruns?\b|\bxruns?\b|\btime-?outs?\b|\bspikes?\b|"
        r"\bdeadlines?\b|"
        r"\bhang(?:s|ing)?\b|\binteractiv\w*|\bslow (?:requests|queries|pages|clicks)\b|"
        r"\bwait(?:s|ing)?(?: times?)? for\b|\bwaiting times?\b|\binstant\w*",
    ),
    (
        Aspect.COMPLETIONS,
        r"\bthroughput\b|\b(?:rps|qps|tps|iops|ops)\b|\b\w+ per-(?:second|minute)\b|"
        rf"\b{_MORE} (?:\w+ )?(?:requests|queries|transactions|operations|messages|work|clients|"
        r"connections|users)\b|\b(?:many|most) (?:requests|queries|transactions|operations)\b|"
        r"\bserv\w+ more\b|\bcompletions\b|\bcapacity\b|\b(?:requests?|query|"
        r"transaction)[\s-]rate\b|"
        r"\bget\w* more done\b",
    ),
    (
        Aspect.FINISH,
        r"\bfinish\w*|\bdone\b|\bcomplet(?:e|es|ed|ing)\b|\bready\b|\bmakespan\b|\bturnaround\b|"
        r"\bover (?:sooner|earlier|quicker|faster)\b|\bovernight\b|\brun-?times?\b|\bduration\b|"
        r"\b(?:@\d+|each|every|per|run|job|completion|wall|total|elapsed|"
        r"processing) (?:run )?times?\b|"
        r"\btak(?:e|es|ing) (?:\w+ )?(?:too |so |very |less |longer|forever|\d)|\bless time\b|"
        r"\btime (?:of|for|it takes)\b|"
        r"\b(?:@\d+|jobs) per-(?:hour|minute)\b|\bper-hour\b|\bbefore (?:morning|the morning|\d)",
    ),
    (Aspect.CPU, r"\bcpu-time\b|\b(?:more|enough|its|their|much|less|get \w*) cpus?\b"),
    (Aspect.FAIRNESS, r"\bfair\w*|\bunfair\w*|\bequal (?:shares?|parts?)\b|\bevenly\b|\bequally\b"),
    (
        Aspect.ANY,
        r"\bbetter\b|\bimprov\w+|\boptimi[sz]\w+|\btun(?:e|ed|ing)\b|\bperform\w*|\bfast(?:er|"
        r"est)?\b|"
        r"\bquick(?:er|ly)?\b|\bspeed\w*|\bslow(?:er|ly|ness)?\b|\bboost\w*|\bbest\b|\bsooner\b|"
        r"\bearlier\b",
    ),
)
# Of those words of `ANY` these are complaints about waiting where somebody waits.
COMPLAINT = re.compile(r"\b(?:too |so |very |is |are |feels? |getting |runs? )?slow(?:ly|ness)?\b")
GENERIC = re.compile(
    r"\bbetter\b|\bimprov\w+|\boptimi[sz]\w+|\btun(?:e|ed|ing)\b|\bperform\w*|\bbest\b|\bboost\w*"
)

_MAY_NOT = (
    r"(?:must|should|may|can|shall|do(?:es)?|will|is|are|would|could)(?: not|n't)|cannot|"
    r"can't|without|never|don't|not"
)
_WORSE = r"(?:worse|slower|lower|longer|less|higher|fewer|later|more)"
_SUFFER = (
    r"suffer\w*|drop\w*|fall\w*|sink\w*|degrad\w+|decreas\w+|declin\w+|worsen\w*|regress\w*|"
    r"slow(?:ing|ed|s)?(?: down)?|los(?:e|es|ing)|hurt\w*|harm\w*|sacrific\w+|break\w*|affect\w*|"
    r"cost\w*|lower\w*|reduc\w+|increas\w+|rais\w+|touch\w*|disturb\w*|impact\w*|punish\w*|ruin\w*|"
    r"giv(?:e|ing) up|chang\w+|penali[sz]\w+|squeez\w+|trad\w+"
)
WILLS: tuple[tuple[Will, re.Pattern[str]], ...] = tuple(
    (will, re.compile(pattern))
    for will, pattern in (
        (
            # "may stop" is no wish to go on; "must not stop" is one.
            Will.IGNORE,
            r"\b(?:may|can|could) (?:even |also |be )*(?:starv\w*|stop\w*|paus\w*|die|killed|"
            r"wait for ever|"
            r"stand still)",
        ),
        (
            Will.GO_ON,
            rf"(?:{_NOT}\b[^.]*)\b(?:starv\w+|stall\w*|stopp?(?:ed|s|ing)?|halt\w*|"
            rf"stand(?:ing)? still|"
            r"dy?ing|die|killed|choke\w*)\b|"
            r"\b(?:must|should|shall|has to|have to|needs? to|still|let) [^.]*?"
            r"\b(?:go(?:es)? on|keep(?:s)? (?:on |going|running|working|moving)|going(?! up|"
            r" down)|continues?|progress\w*|"
            r"advances?|carry on|get(?:s)? (?:through|there|finished|done)|run on|stay alive|"
            r"eventually|get(?:s)? (?:some|its|a) (?:share|turn|cpu(?:-time)?))|"
            r"\b(?:keeps?|keep on) (?:going|running|working|moving)\b|\bgo(?:es)? on\b|"
            r"\bmak\w+ progress\b|"
            r"\bin (?:the )?background\b|\beventually\b",
        ),
        (
            Will.IGNORE,
            r"(?:n't|\bnot|\bnobody|\bno ?one|\bnever) (?:really |much |at all )?(?:car(?:e|es)|"
            r"mind)\b|"
            r"(?:n't|\bnot) (?:really |much )?(?:matter|count|important|a concern|an issue|"
            r"urgent|critical)|"
            r"\bno matter\b|\birrelevant\b|\bunimportant\b|\bignor\w+|"
            r"\bas (?:long|slow|much time|many hours) as (?:it|they|@\d+) (?:likes?|wants?|"
            r"needs?|takes?|pleases?)|"
            r"\btak\w+ (?:its|their|all the|as much) time\b|\b(?:can|may|could|will) wait\b|"
            r"\b(?:may|can|could|might) (?:be|become|get|go|run|finish|take|suffer|rise|grow|"
            r"drop|fall|"
            r"increase|decrease|degrade)\b"
            r"(?! (?:up to|at most|by|\d|faster|better|quicker|snappi|smooth|sooner|more respons|"
            r"improved))|"
            r"\bwhatever (?:the )?|\bregardless\b|\bno (?:rush|hurry)\b|\bnever mind\b|"
            r"\blow(?:er|est)? priority\b|"
            r"\bless important\b|\bsecondary\b|\bcomes? second\b|\bat (?:any|all) (?:cost|costs|"
            r"price)\b|"
            r"\b(?:is|are) (?:fine|ok|okay|acceptable|no problem|not a problem)\b|\bdon't need\b|"
            r"\btolerat\w+|"
            r"\b(?:at )?any time\b|\bfinish\w* whenever\b",
        ),
        (
            Will.KEEP,
            rf"(?:{_NOT}\b[^.]*|^)\bat (?:the )?(?:cost|expense|price) of\b|"
            rf"(?:{_MAY_NOT}) (?:to )?(?:be |get |become |grow |go |run |have |take |make |any |"
            rf"much |a lot |at all |"
            rf"let |cause |allow |the |request |tail |@\d+ |response-time |latency |throughput )*"
            rf"(?:{_SUFFER}|{_WORSE}(?! than \d[\d.]*(?:[mun]?s|min|h)\b))\b|"
            rf"\bno {_WORSE}\b(?! than)|\bno (?:loss|drop|regressions?|harm)\b|"
            r"\b(?:keep\w*|hold\w*|maintain\w*|preserv\w+|protect\w*|guard\w*|retain\w*|"
            r"respect\w*)\b"
            r"(?! (?:going|running|up))|\bstays?\b|\bremains?\b|\bunchanged\b|\bthe same\b|"
            r"\bsame \w+|"
            r"\bas (?:fast|quick|good|high|low|is|now|before)\b|"
            r"\b(?:at most|no more than|not more than|up to|max(?:imum)?) \d+(?:\.\d+)?% "
            rf"(?:{_WORSE}|loss|of)|\b(?:may|can) (?:lose|cost|drop|fall|rise|be|get|"
            rf"become) (?:by )?"
            r"(?:up to |at most )?\d+(?:\.\d+)?%",
        ),
    )
)
# More of what nobody wants more of, and less of what is wanted; complaints are no such wishes.
_BAD_WISHES = re.compile(
    rf"\b{_MORE} (?:the |its |request |tail |average |mean )*(?:latenc\w+|lag\w*|delays?|jitter|"
    rf"stutter\w*|"
    rf"response-times?|queue-delay|hiccups|dropouts|timeouts)\b|"
    rf"\b{_LESS} (?:the |its |request )*(?:throughput|requests|transactions|queries|frame-rate|"
    rf"completions|"
    r"smooth\w*|respons\w+ness|fairness)\b(?! (?:that|which|waiting|late|per-\w+ (?:late|slow)))|"
    r"\bslow(?:er)? (?:answers|responses|replies|builds?)\b|\b(?:slow|make|let) @\d+ (?:down|"
    r"slower|lag)\b"
)
_COMPLAINS = re.compile(
    rf"{_NOT}\b|\b(?:is|are|has|have|was|sees?|shows?|suffers?|suffering|from|got|gets?|too|"
    rf"because|of|than "
    r"(?:it|before|usual))\b"
)

_LOW = re.compile(
    r"\b(?:keep|hold|stay|remain|maintain|guard)\w* [^.]*?\b(?:low|short|small|high|snapp\w+|"
    r"smooth\w*|"
    r"responsive|fast|quick|under|below|down)\b"
)
_EVERY = re.compile(
    r"\beach\b|\bevery\b|\bon average\b|\baverage\b|\bmean\b|\bsingle\b|\bindividual\w*|"
    r"\bper job\b|"
    r"\bshort(?:est)? (?:ones|jobs)\b|\bturnaround\b"
)
_ALL = re.compile(
    r"\ball\b|\bwhole\b|\btotal\b|\bmakespan\b|\beverything\b|\bentire\b|\blast (?:one|job)\b|"
    r"\bovernight\b|"
    r"\bbefore (?:the )?(?:morning|\d)|\bwall\b|\belapsed\b"
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
    r"\b\d+(?:\.\d+)?(?:x| times)\b"
)
_GOES_ON = re.compile(r"starv|stall|go(?:es)? on|going|progress|continue|eventually")
_SECONDS = {"min": 60.0, "h": 3600.0}


def read_clause(text: str) -> Said:
    """What a clause says, whoever it is about."""
    aspects = [
        (found.start(), aspect)
        for aspect, pattern in ASPECTS
        if (found := re.search(pattern, text))
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
        # "5000 requests per second within 20 ms" speaks of answers, too.
        order = (*order, Aspect.RESPONSE)
    will, where = _will_of(text, order)
    bad = _BAD_WISHES.search(text) if will is Will.IMPROVE else None
    if bad is not None and not _COMPLAINS.search(text[: bad.start()]):
        will = Will.WORSEN
    first = aspects[0][0] if aspects else 0
    gain = "" if will is not Will.IMPROVE else _gain_of(text)
    percent = _PERCENT.search(text)
    return Said(
        order,
        will,
        where < first,
        _quantile_of(text),
        _span_of(text, order),
        _rate_of(text),
        float(percent[1]) if percent and will in (Will.KEEP, Will.GO_ON) else None,
        gain,
        _extent_of(text),
        will is Will.KEEP and _LOW.search(text) is not None,
    )


def _extent_of(text: str) -> str:
    if _EVERY.search(text):
        return "each"
    return "all" if _ALL.search(text) else ""


def _will_of(text: str, aspects: tuple[Aspect, ...]) -> tuple[Will | None, int]:
    for will, pattern in WILLS:
        found = pattern.search(text)
        if found is None:
            continue
        ends = will is Will.GO_ON and Aspect.FINISH in aspects
        if ends and not _GOES_ON.search(found[0]):
            # "must still be done by eight" wants more than that it goes on.
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


def _gain_of(text: str) -> str:
    found = _GAIN.search(text)
    return found[0].strip() if found else ""


def _rate_of(text: str) -> str:
    """A rate as an objective has its limit, where the clause names one; else nothing."""
    if (rate := _RATE.search(text)) is None:
        return ""
    number = float(rate[1]) * (1000 if rate[2] else 1) / (60 if rate[3] == "per-minute" else 1)
    return f"> {number:g}/s"


def _span_of(text: str, aspects: tuple[Aspect, ...]) -> str:
    """The same of a time."""
    for found in _SPAN.finditer(text):
        before = text[: found.start()]
        if _LONG_BEFORE.search(before) or _RELATIVE_BEFORE.search(before):
            # "takes 50 ms" tells how it is, and "by 5 ms" by how much it should change.
            continue
        number, unit = float(found[1]), found[2]
        if unit in ("min", "h"):
            if Aspect.FINISH not in aspects:
                continue
            number, unit = number * _SECONDS[unit], "s"
        return f"< {number:g}{unit}"
    return ""


# ---------------------------------------------------------------- typing errors

# Words that are put right where somebody mistyped them.
VOCABULARY = words(
    """latency latencies response responses respond responsive answer answers requests request
    transactions queries throughput stutter stuttering stutters smooth sluggish jitter typing
    editor backup compile compiler finish finished sooner earlier faster quicker overnight
    background starve starved starving fairness percentile average median second seconds
    milliseconds makespan turnaround database website server browser terminal desktop keyboard
    without under below lower higher slower quickly improve better expense matter doesn't
    frames framerate continue progress running important whatever dropouts deadline
    completions delay delays should interactive instantly snappy frozen batch build builds
    tests games audio music"""
)
# Plain words that are no typing error of any of those, however near they are.
PLAIN = words(
    """built letter later latter least faster father rather bitter butter matters please really
    other others while where which there their these those every first again after before
    being still might could would shall never worse whole works working worked little longer
    shorter taking takes taken start started starts server servers service services second
    seconds shows showed answer answered responds responding responded reply replies request
    requested finishes finishing improves improved improving compiled compiling compiles
    deleted delayed runner running rust power tower water state stated states store stored
    since under until upper user users using video world write writes writing money memory
    memories"""
)
