# SPDX-License-Identifier: GPL-2.0-or-later
"""C bodies in a policy: where they end, and their allowed content.

A body computes one number. It calls nothing that changes the kernel or a queue, so the compiler's
promises (each task queued once, each queue drained, slices bounded) hold whatever a body does; the
verifier does the rest.
"""

import re
from dataclasses import dataclass, field, replace

from process import Fault
from scheduler_library.policy.trouble import listing, refuse, suggestion

LARGEST_BODY = 4096
# Calls without side effects: our arithmetic, and the kernel's clocks and counts.
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
    r"""(?P<comment>/\*(?:.*?\*/|.*)|//[^\n]*)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9][A-Za-z0-9_.]*)
    |(?P<space>\s+)
    |(?P<digraph><%|%>|<:|:>|%:)
    |(?P<sign><<=|>>=|->|\+\+|--|&&|\|\||<<|>>|[-+*/%&|^=!<>]=|.)""",
    re.VERBOSE | re.DOTALL,
)
_TYPES = frozenset(
    {
        *("s64", "u64", "s32", "u32", "s16", "u16", "s8", "u8"),
        *("long", "int", "short", "char", "bool", "signed", "unsigned", "const"),
    }
)
_KEYWORDS = frozenset(
    {
        *("if", "else", "switch", "case", "default", "break", "return", "sizeof"),
        *("true", "false"),
    }
)
_CONSTANT = re.compile(r"[A-Z][A-Z0-9_]*")
_ASSIGNMENTS = frozenset({"=", *(f"{each}=" for each in ("<<", ">>", *"+-*/%&|^"))})


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
    """A checked body and the facts that it names. `at` is the offset at which it was checked."""

    code: str
    facts: frozenset[str]
    at: int = field(default=-1, compare=False)


def check_body(text: str, at: int, body: str, facts: frozenset[str]) -> Body:
    """Check the body at offset `at` of the policy `text`.

    Raises:
        Fault: BAD_POLICY with the column of the first forbidden part.
    """
    if len(body) > LARGEST_BODY:
        raise refuse(
            text, at, f"the C block has more than {LARGEST_BODY} characters", hint="compute less"
        )
    # `body` was stripped of the white space around it.
    return replace(_Check(text, text.index(body, at), body, facts).check(), at=at)


class _Check:
    """One pass over a body, token by token. It names only what it declared itself."""

    def __init__(self, text: str, start: int, body: str, facts: frozenset[str]) -> None:
        self._text = text
        self._start = start
        self._body = body
        self._facts = facts
        self._tokens = [
            each for each in _TOKEN.finditer(body) if not (each["space"] or each["comment"])
        ]
        # The facts are variables of the function that the body becomes.
        self._variables = set(facts)

    def check(self) -> Body:
        used: set[str] = set()
        depth, declaring = 0, False
        for number, token in enumerate(self._tokens):
            before, word = self._near(number, -1), token["word"]
            depth += {"(": 1, ")": -1}.get(token[0], 0)
            if before in ("", ";", "{", "}", ":"):
                declaring = word in _TYPES
            if token["number"]:
                self._number(number, token["number"])
            elif not word:
                self._sign(number)
            elif before not in (".", "->"):
                declared = before in _TYPES or (declaring and before == "," and depth == 0)
                if declared and word not in _TYPES:
                    self._variables.add(word)
                self._word(number, word)
                if word in self._facts:
                    used.add(word)
            elif self._near(number, 1) == "(":
                self._function(number, word)
        if not any(token["word"] == "return" for token in self._tokens):
            raise refuse(
                self._text,
                self._start,
                "the C block returns nothing",
                expected="`return VALUE;`",
                hint="a block ends with the number that it computed",
            )
        return Body(self._body, frozenset(used))

    def _near(self, number: int, distance: int) -> str:
        place = number + distance
        return self._tokens[place][0] if 0 <= place < len(self._tokens) else ""

    def _refuse(self, number: int, what: str, hint: str, expected: str = "") -> Fault:
        place = self._start + self._tokens[number].start()
        return refuse(self._text, place, what, expected=expected, hint=hint)

    def _number(self, number: int, text: str) -> None:
        if found := re.fullmatch(r"([0-9]+)(ns|us|ms|s)", text):
            value = {"ns": found[1], "s": f"ms({int(found[1]) * 1000})"}
            raise self._refuse(
                number,
                f"{text!r} is not a number in C",
                f"write {value.get(found[2], f'{found[2]}({found[1]})')}",
                "ns, or us(N) and ms(N)",
            )

    def _sign(self, number: int) -> None:
        token = self._tokens[number]
        sign = token[0]
        if sign in ("#", "%:"):
            raise self._refuse(
                number,
                "a preprocessor line cannot be in a C block",
                "no include, define or pragma: everything that can be used exists already",
            )
        if token["digraph"]:
            raise self._refuse(
                number, f"{sign!r} cannot be in a C block", "write braces and brackets as they are"
            )
        if token["text"]:
            raise self._refuse(number, "a text cannot be in a C block", "a block computes a number")
        if sign in ('"', "'"):
            raise self._refuse(
                number, "these quotes are never closed", "a block computes a number: leave them out"
            )
        if sign == "\\":
            raise self._refuse(number, "a backslash cannot be in a C block", "write it without one")
        if sign in _ASSIGNMENTS and not self._is_variable(number - 1, -1):
            raise self._unchangeable(number)
        changed = self._is_variable(number - 1, -1) or self._is_variable(number + 1, 1)
        if sign in ("++", "--") and not changed:
            raise self._unchangeable(number)

    def _is_variable(self, number: int, side: int) -> bool:
        """Whether the token is a variable of the block, and not part of something larger."""
        beyond = self._near(number, side)
        part = beyond in (".", "->") or (side > 0 and beyond == "[")
        return 0 <= number < len(self._tokens) and self._near(number, 0) in self._variables - (
            {self._near(number, 0)} if part else set()
        )

    def _unchangeable(self, number: int) -> Fault:
        return self._refuse(
            number,
            "a C block changes nothing but its own variables",
            "declare one, as in: s64 half = avg_run >> 1;",
        )

    def _word(self, number: int, word: str) -> None:
        following = self._near(number, 1)
        if word in _REFUSED:
            raise self._refuse(
                number,
                f"{word!r} cannot be in a C block: {_REFUSED[word]}",
                "a block is straight code that computes one number",
            )
        if word.startswith("__"):
            raise self._refuse(
                number,
                f"{word!r} cannot be in a C block: names with two underscores are the compiler's",
                "use plain C",
            )
        if following == "(" and word not in _KEYWORDS_WITH_PARENTHESES:
            self._function(number, word)
            return
        if word in _TYPES and following == "*":
            raise self._refuse(
                number + 1,
                "a pointer cannot be in a C block",
                "the facts are numbers; of the task, read the fields: p->prio",
            )
        asked = self._near(number, -2) == "scx_bpf_task_cpu" and following == ")"
        if word == "p" and following != "->" and not asked:
            raise self._refuse(
                number, "the task itself cannot be handed on", "read its fields: p->prio"
            )
        if word in self._variables or word in _TYPES or word in _KEYWORDS or word == "p":
            return
        if _CONSTANT.fullmatch(word):
            return
        known = [*self._facts, *FUNCTIONS]
        raise self._refuse(
            number,
            f"there is no {word!r} in a C block",
            suggestion(word, known, "see docs/policy-language.md for the facts"),
            "a fact, the task `p`, or a variable declared in the block",
        )

    def _function(self, number: int, word: str) -> None:
        if word in FUNCTIONS and self._near(number, -1) not in (".", "->"):
            return
        other = "a block has no effect but the number it returns"
        helper = word.startswith(("bpf_", "scx_"))
        raise self._refuse(
            number,
            f"the {'helper' if helper else 'function'} {word!r} cannot be called in a C block",
            other if helper else suggestion(word, FUNCTIONS, other),
            listing(sorted(FUNCTIONS)),
        )
