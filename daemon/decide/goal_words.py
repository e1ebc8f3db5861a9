# SPDX-License-Identifier: GPL-2.0-or-later
"""The words by which people say what they want from a scheduler. Tables.

A clause is a part of a sentence in which the names of workloads were replaced by `@0`, `@1` …, so
that no name can be mistaken for a word. Pure.
"""

import re
from enum import StrEnum

from daemon.api.models import ProgramKind as Kind


def words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def phrases(text: str) -> str:
    """A pattern for any of these: one per line, or separated by two spaces.

    `{MORE}` and similar ones are groups of words from below; a pattern with `~` may begin inside a
    word.
    """
    found = []
    for each in re.split(r"\s{2,}", text.strip()):
        for name, group in _GROUPS.items():
            each = each.replace(f"{{{name}}}", group)
        found.append(each[1:] if each.startswith("~") else rf"\b{each}")
    return f"(?:{'|'.join(found)})"


_GROUPS = {
    "MORE": r"(?:higher|high|more|longer|increas\w+|rais\w+|worse|bigger|larger|maximi[sz]\w+)\b",
    "LESS": r"(?:lower|low|less|fewer|reduc\w+|shorter|short|small(?:er)?|cut\w*|decreas\w+|"
    r"drop\w*|minimi[sz]\w+|down)\b",
    "WORSE": r"(?:worse|slower|lower|longer|less|higher|fewer|later|more)\b",
    "NOT": r"(?:\bnot|n't|\bnever|\bno|\bwithout|\bnor|\bneither|\bcannot|\bavoid)\b",
    "MAY": r"(?:may|can|could)",
    "MUST": r"(?:must|should|shall|has to|have to|needs? to|still|let)",
    "WORK": r"(?:requests|queries|transactions|operations|messages|work|clients|connections|users)",
}


class Aspect(StrEnum):
    """The aspect of a workload that a clause is about."""

    RESPONSE = "response"
    DELAY = "delay"
    COMPLETIONS = "completions"
    FINISH = "finish"
    CPU = "cpu"
    FRAMES = "frames"
    FAIRNESS = "fairness"
    # "better", "faster": the kind of workload says what.
    ANY = "any"


class Will(StrEnum):
    """What a clause wants."""

    IMPROVE = "improve"
    # It may not become (much) worse.
    KEEP = "keep"
    # It may become much worse, and must not stop.
    GO_ON = "go-on"
    # It does not count.
    IGNORE = "ignore"
    # It should become worse, which nobody wishes: asked back.
    WORSEN = "worsen"


# Words for workloads by what they do. They are searched in this order.
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
# Workloads of many things, each with its own end.
MANY = frozenset({"jobs", "batch jobs", "tasks"})
OTHERS = phrases(r"""
    (?:the )?others  the rest  (?:every|any|no)thing else  (?:every|any)(?:one|body) else
    no ?(?:one|body) else  the neighbou?rs?  nobody  no one  nothing  any(?:one|body|thing)
    every(?:one|body|thing)  the (?:whole )?(?:machine|system)
    (?:the )?other (?:workloads?|programs?|processes|services|tasks|users)
    background (?:work|tasks?|processes|services|jobs?)
""")
PRONOUN = re.compile(r"\b(?:it|its|they|them|their|the latter)\b")

# Several words with one meaning become one.
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
    (
        r"\b(?:trade|sacrifice|give up) (.+?) (?:for|in favou?r of) ([^.;,!?]+)",
        r"more \2; \1 does not matter",
    ),
    # One before another: the other is not judged.
    (r"\bprefer(?:ring)? (.+?) (?:to|over) ([^.;,!?]+)", r"better \1; \2 does not matter"),
    (
        r"\b(latency|throughput|response-time) (?:over|before|rather than|instead of|"
        r"more than|matters more than) (latency|throughput|response-time)\b",
        r"\1; \2 does not matter",
    ),
    # "neither a nor b may", "nobody may": the negation moves to its verb.
    (
        r"\bneither (.+?) nor (.+?) (may|can|must|should|will|could|shall|is|are|does|"
        r"do)\b(?! not)",
        r"\1 and \2 \3 not",
    ),
)

# The aspect, by the words that indicate it.
ASPECTS: tuple[tuple[Aspect, re.Pattern[str]], ...] = tuple(
    (aspect, re.compile(phrases(text)))
    for aspect, text in (
        (Aspect.DELAY, r"queue-delay\b"),
        (Aspect.FRAMES, r"frame-rate\b  more frames\b"),
        (
            Aspect.RESPONSE,
            r"""
            latenc(?:y|ies)\b  lag(?:s|gy|ged|ging|gier)?\b  response(?:-time)?s?\b  respon[ds]\w*
            repl(?:y|ies)\b  answer\w*  snapp\w+  stutter\w*  jank\w*  jerk\w*  jitter\w*  smooth\w*
            sluggish\w*  tail\b  p\d\d(?:\.\d+)?\b  choppy\b  hiccup\w*  freez\w+  froze\w*
            unresponsive\w*  react\w*  ~(?<!queue-)\bdelay\w*  (?:come|comes|coming) back\b
            pages? (?:\w+ )?(?:load|open|render)\w*  load(?:s|ing)? (?:faster|quicker|slowly|sooner)
            frame-time\b  frame-drops\b  frames? (?:is |are |come )?late\b  dropouts?\b  crackl\w+
            glitch\w*  underruns?\b  xruns?\b  time-?outs?\b  spikes?\b  deadlines?\b
            hang(?:s|ing)?\b  interactiv\w*  slow (?:requests|queries|pages|clicks)\b
            wait(?:s|ing)?(?: times?)? for\b  waiting times?\b  instant\w*
            """,
        ),
        (
            Aspect.COMPLETIONS,
            r"""
            throughput\b  (?:rps|qps|tps|iops|ops)\b  \w+ per-(?:second|minute)\b
            {MORE} (?:\w+ )?{WORK}\b  (?:many|most) {WORK}\b  serv\w+ more\b  completions\b
            capacity\b  (?:requests?|query|transaction)[\s-]rate\b  get\w* more done\b
            """,
        ),
        (
            Aspect.FINISH,
            r"""
            finish\w*  done\b  complet(?:e|es|ed|ing)\b  ready\b  makespan\b  turnaround\b
            over (?:sooner|earlier|quicker|faster)\b  overnight\b  run-?times?\b  duration\b
            ~@\d+ (?:run )?times?\b
            (?:each|every|per|run|job|completion|wall|total|elapsed|processing) (?:run )?times?\b
            tak(?:e|es|ing) (?:\w+ )?(?:too |so |very |less |longer|forever|\d)  less time\b
            time (?:of|for|it takes)\b  ~@\d+ per-(?:hour|minute)\b  jobs per-(?:hour|minute)\b
            per-hour\b  before (?:morning|the morning|\d)
            """,
        ),
        (Aspect.CPU, r"cpu-time\b  (?:more|enough|its|their|much|less|get \w*) cpus?\b"),
        (Aspect.FAIRNESS, r"fair\w*  unfair\w*  equal (?:shares?|parts?)\b  evenly\b  equally\b"),
        (
            Aspect.ANY,
            r"""
            better\b  improv\w+  optimi[sz]\w+  tun(?:e|ed|ing)\b  perform\w*  fast(?:er|est)?\b
            quick(?:er|ly)?\b  speed\w*  slow(?:er|ly|ness)?\b  boost\w*  best\b  sooner\b
            earlier\b
            """,
        ),
    )
)
# Among the words of `ANY`, these are complaints about waiting if somebody waits; these only say
# that something should become better.
COMPLAINT = re.compile(r"\bslow(?:ly|ness)?\b")
GENERIC = re.compile(
    phrases(r"better\b  improv\w+  optimi[sz]\w+  tun(?:e|ed|ing)\b  perform\w*  best\b  boost\w*")
)

# Becomes worse, or is made worse.
_SUFFER = (
    r"(?:suffer\w*|drop\w*|fall\w*|sink\w*|degrad\w+|decreas\w+|declin\w+|worsen\w*|regress\w*|"
    r"slow(?:ing|ed|s)?(?: down)?|los(?:e|es|ing)|hurt\w*|harm\w*|sacrific\w+|break\w*|affect\w*|"
    r"cost\w*|lower\w*|reduc\w+|increas\w+|rais\w+|touch\w*|disturb\w*|impact\w*|punish\w*|ruin\w*|"
    r"giv(?:e|ing) up|chang\w+|penali[sz]\w+|squeez\w+|trad\w+)\b"
)
_MAY_NOT = (
    r"(?:(?:must|should|may|can|shall|do(?:es)?|will|is|are|would|could)(?: not|n't)|cannot|can't|"
    r"without|never|don't|not)"
)
_GROUPS |= {
    "MAY_NOT": rf"{_MAY_NOT} (?:to )?(?:be |get |become |grow |go |run |have |take |make |any |"
    r"much |a lot |at all |let |cause |allow |the |request |tail |@\d+ |response-time |latency |"
    r"throughput )*",
    "SUFFER": _SUFFER,
    # "not slower than 20 ms" is a limit, "not slower than now" is none.
    "THAN": r"(?! than \d[\d.]*(?:[mun]?s|min|h)\b)",
    # "could be faster" wants something, "may rise by 5%" limits it.
    "WISHES": r"(?! (?:up to|at most|by|\d|faster|better|quicker|snappi|smooth|sooner|more respons|"
    r"improved))",
    "N": r"\d+(?:\.\d+)?%",
}
# The wish, by the words that indicate it; the first match holds.
WILLS: tuple[tuple[Will, re.Pattern[str]], ...] = tuple(
    (will, re.compile(phrases(text)))
    for will, text in (
        # "may stop" is not a wish to go on; "must not stop" is one.
        (
            Will.IGNORE,
            r"""
            {MAY} (?:even |also |be )*(?:starv\w*|stop\w*|paus\w*|die|killed)
            {MAY} (?:even |also )?(?:wait for ever|stand still)
            """,
        ),
        (
            Will.GO_ON,
            r"""
            ~{NOT}[^.]*\b(?:starv\w+|stall\w*|stop(?:ped|s|ping)?|halt\w*|dy?ing|die|killed|choke\w*)\b
            ~{NOT}[^.]*\bstand(?:ing)? still\b
            {MUST} [^.]*?\b(?:go(?:es)? on|going(?! up| down)|continues?|progress\w*|advances?)
            {MUST} [^.]*?\b(?:carry on|run on|stay alive|eventually)
            {MUST} [^.]*?\bgets? (?:through|there|finished|done)
            {MUST} [^.]*?\bgets? (?:some|its|a) (?:share|turn|cpu)
            keeps? (?:on )?(?:going|running|working|moving)\b  go(?:es)? on\b  mak\w+ progress\b
            in (?:the )?background\b  eventually\b
            """,
        ),
        (
            Will.IGNORE,
            r"""
            ~(?:n't|\bnot|\bnobody|\bno ?one|\bnever) (?:really |much |at all )?(?:cares?|mind)\b
            ~(?:n't|\bnot) (?:really |much )?(?:matter|count|important|urgent|critical)
            ~(?:n't|\bnot) (?:really |much )?(?:a concern|an issue)
            no matter\b  irrelevant\b  unimportant\b  ignor\w+  whatever (?:the )?  regardless\b
            as (?:long|slow|much time) as (?:it|they|@\d+) (?:like|want|need|take|please)s?
            tak\w+ (?:its|their|all the|as much) time\b  (?:can|may|could|will) wait\b
            (?:may|can|could|might) (?:be|become|get|go|run|finish|take|suffer)\b{WISHES}
            (?:may|can|could|might) (?:rise|grow|drop|fall|increase|decrease|degrade)\b{WISHES}
            no (?:rush|hurry)\b  never mind\b  low(?:er|est)? priority\b  less important\b
            secondary\b
            comes? second\b  at (?:any|all) (?:cost|costs|price)\b  don't need\b  tolerat\w+
            (?:is|are) (?:fine|ok|okay|acceptable|no problem|not a problem)\b
            ~^at (?:the )?(?:cost|expense|price) of\b  crawls?\b
            ~^not (?:so much |about |the )*(?:latency|throughput|response-times?|fairness)\b
            (?:at )?any time\b  finish\w* whenever\b
            """,
        ),
        (
            Will.KEEP,
            r"""
            ~{NOT}[^.]*\bat (?:the )?(?:cost|expense|price) of\b
            {MAY_NOT}{SUFFER}  {MAY_NOT}{WORSE}{THAN}  no {WORSE}(?! than)
            no (?:loss|drop|regressions?|harm)\b
            (?:keep|hold|maintain|preserv)\w*(?! (?:going|running|up))\b
            (?:protect|guard|retain|respect)\w*
            stays?\b  remains?\b  unchanged\b  the same\b  same \w+
            as (?:fast|quick|good|high|low|is|now|before)\b
            (?:at most|no more than|not more than|up to|max(?:imum)?) {N} (?:{WORSE}|loss|of)
            (?:may|can) (?:lose|cost|drop|fall|rise|be|get|become) (?:by )?(?:up to |at most )?{N}
            """,
        ),
    )
)
# More of something bad, and less of something good; complaints are not such wishes.
BAD_WISHES = re.compile(
    phrases(r"""
    {MORE} (?:the |its |request |tail |average |mean )*(?:latenc\w+|lag\w*|delays?|jitter)\b
    {MORE} (?:the |its |request |average |mean )*(?:response-times?|queue-delay|stutter\w*)\b
    {MORE} (?:the |its )*(?:hiccups|dropouts|timeouts)\b
    {LESS} (?:the |its )*(?:throughput|frame-rate|completions|smooth\w*|respons\w+ness|fairness)\b
    {LESS} (?:the |its )*(?:requests|transactions|queries)\b(?! (?:that|which|waiting|late))
    slow(?:er)? (?:answers|responses|replies|builds?)\b
    (?:slow|make|let) @\d+ (?:down|slower|lag)\b
    """)
)
COMPLAINS = re.compile(
    phrases(r"""
    ~{NOT}  (?:is|are|has|have|was|sees?|shows?|suffers?|suffering|from|got|gets?|too|because|of)\b
    than (?:it|before|usual)\b
    """)
)
LOW = re.compile(
    r"\b(?:keep|hold|stay|remain|maintain|guard)\w* [^.]*?\b(?:low|short|small|high|snapp\w+|"
    r"smooth\w*|responsive|fast|quick|under|below|down)\b"
)
# The end of work: of each piece of it, or of all.
EVERY = re.compile(
    phrases(r"""
    each\b  every\b  on average\b  average\b  mean\b  single\b  individual\w*  per job\b
    short(?:est)? (?:ones|jobs)\b  turnaround\b
    """)
)
ALL = re.compile(
    phrases(r"""
    all\b  whole\b  total\b  makespan\b  everything\b  entire\b  last (?:one|job)\b  overnight\b
    before (?:the )?(?:morning|\d)  wall\b  elapsed\b
    """)
)


# ---------------------------------------------------------------- typing errors

# Words that are corrected if somebody mistyped them.
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
# Plain words that are not a typing error of any of those, however similar they are.
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
