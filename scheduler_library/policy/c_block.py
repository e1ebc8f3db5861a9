# SPDX-License-Identifier: GPL-2.0-only
"""C bodies in a policy: where they end, and what may be in them.

A body computes one number. It calls nothing that changes the kernel or a queue, so what
the compiler promises (each task queued once, each queue drained, slices bounded) holds
whatever a body says; the verifier does the rest.
"""

import re
from dataclasses import dataclass

from process import Fault
from scheduler_library.policy.trouble import listing, refuse, suggestion

LARGEST_BODY = 4096
# Without effect on anything: arithmetic of ours, and the kernel's clocks and counts.
FUNCTIONS = frozenset(
    {
        *("us", "ms", "min", "max", "clamp"),
        *("bpf_get_smp_processor_id", "scx_bpf_now", "scx_bpf_task_cpu"),
    }
)
_KEYWORDS_WITH_PARENTHESES = frozenset({"if", "switch", "sizeof", "return"})
_REFUSED = {
    "asm": "inline assembly",
    "goto": "a jump",
    "while": "a loop",
    "for": "a loop",
    "do": "a loop",
    "static": "a variable that outlives the call",
    "extern": "a symbol from elsewhere",
    "typedef": "a type of its own",
    "struct": "a structure",
    "union": "a structure",
    "volatile": "a volatile access",
    "typeof": "a compiler extension",
}
_TOKEN = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9][A-Za-z0-9_.]*)
    |(?P<space>\s+)
    |(?P<sign>.)""",
    re.VERBOSE | re.DOTALL,
)


def end_of_body(text: str, start: int) -> int:
    """The offset of the brace that closes the body beginning at `start`.

    Raises:
        Fault: BAD_POLICY when it is never closed.
    """
    depth = 1
    for token in _TOKEN.finditer(text, start):
        if token["sign"] == "{":
            depth += 1
        if token["sign"] == "}":
            depth -= 1
            if depth == 0:
                return token.start()
    raise refuse(
        text,
        start,
        "the C block is never closed",
        expected="'}'",
        hint="check the braces, quotes and comments inside it",
    )


@dataclass(frozen=True)
class Body:
    """A checked body and the facts that it names."""

    code: str
    facts: frozenset[str]


def check_body(text: str, at: int, body: str, facts: frozenset[str]) -> Body:
    """Check the body that stands at offset `at` of the policy `text`.

    Raises:
        Fault: BAD_POLICY with the column of the first thing that may not be in it.
    """
    if len(body) > LARGEST_BODY:
        raise refuse(
            text, at, f"the C block has more than {LARGEST_BODY} characters", hint="compute less"
        )
    # `body` was stripped of the white space around it.
    start = text.index(body, at)
    used: set[str] = set()
    tokens = [each for each in _TOKEN.finditer(body) if not (each["space"] or each["comment"])]
    for number, token in enumerate(tokens):
        place = start + token.start()
        following = tokens[number + 1][0] if number + 1 < len(tokens) else ""
        before = tokens[number - 1][0] if number else ""
        if word := token["word"]:
            if fault := _check_word(text, place, word, following, before, facts):
                raise fault
            if word in facts and before not in (".", "->"):
                used.add(word)
        elif token[0] == "#" or (token[0] == "%" and following == ":"):
            raise refuse(
                text,
                place,
                "a preprocessor line cannot be in a C block",
                hint="no include, define or pragma: everything that can be used is there already",
            )
        elif token["text"]:
            raise refuse(
                text, place, "a text cannot be in a C block", hint="a block computes a number"
            )
        elif token[0] == "\\":
            raise refuse(
                text, place, "a backslash cannot be in a C block", hint="write it on one line"
            )
    if not any(token["word"] == "return" for token in tokens):
        raise refuse(
            text,
            start,
            "the C block returns nothing",
            expected="`return VALUE;`",
            hint="a block ends with the number that it computed",
        )
    return Body(body, frozenset(used))


def _check_word(
    text: str, place: int, word: str, following: str, before: str, facts: frozenset[str]
) -> Fault | None:
    if word in _REFUSED:
        return refuse(
            text,
            place,
            f"{word!r} cannot be in a C block: {_REFUSED[word]}",
            hint="a block is straight code that computes one number",
        )
    if word.startswith("__"):
        return refuse(
            text,
            place,
            f"{word!r} cannot be in a C block: names with two underscores are the compiler's",
            hint="use plain C",
        )
    if following == "(" and word not in FUNCTIONS and word not in _KEYWORDS_WITH_PARENTHESES:
        forbidden = word.startswith(("bpf_", "scx_"))
        return refuse(
            text,
            place,
            f"the {'helper' if forbidden else 'function'} {word!r} cannot be called in a C block",
            expected=listing(sorted(FUNCTIONS)),
            hint=suggestion(word, FUNCTIONS, "a block has no effect but the number it returns"),
        )
    if word.startswith(("bpf_", "scx_")) and word not in FUNCTIONS:
        return refuse(
            text, place, f"{word!r} cannot be in a C block", hint="use the facts of the language"
        )
    if before in ("=", "&") and word == "p" and following not in ("-", "."):
        return refuse(
            text, place, "the task itself cannot be handed on", hint="read its fields: p->prio"
        )
    return None
