# SPDX-License-Identifier: GPL-2.0-or-later
"""From text to syntax tree. Names are not looked up here.

lark does the parsing (grammar.lark). C bodies follow C's rules for strings, comments and braces and
are taken out first; each of their characters is replaced by another, so that positions stay the
same.
"""

import re
from functools import cache
from pathlib import Path

from lark import Lark, ParseTree, Token, Transformer, Tree, v_args
from lark.exceptions import (
    UnexpectedEOF,
    UnexpectedInput,
    UnexpectedToken,
    VisitError,
)
from lark.lexer import PatternRE, PatternStr, TerminalDef

from process import Fault, FaultType
from scheduler_library.cpu_list import Ranges, joined
from scheduler_library.policy import foreign, units
from scheduler_library.policy.c_block import end_of_body
from scheduler_library.policy.syntax import (
    Binary,
    CBlock,
    CgroupsIgnored,
    Cpus,
    CpuSet,
    CpuSetKind,
    Expression,
    FunctionCall,
    Hook,
    Literal,
    Name,
    Order,
    OrderBy,
    PolicyProgram,
    Preempt,
    Property,
    Reach,
    ReachOf,
    Rule,
    Share,
    Slice,
    SmtAvoided,
    Sticky,
    Text,
    Tier,
    TierOf,
    Type,
    Unary,
    UseLine,
    Weight,
)
from scheduler_library.policy.trouble import PolicyRefusal, listing, refuse, suggestion
from scheduler_library.policy.vocabulary import WORDS

# A policy is a line or a page.
LARGEST_CHARACTERS = 64 * 1024
MOST_RULES = 64
# Limit for nested operators and parentheses, or operators in a row; clang allows 256 parentheses.
DEEPEST = 100
# The schedulers that are used with rules (layered.py writes them).
LAYERED = ("scx_layered",)
HIDDEN = "\x01"
_GRAMMAR = Path(__file__).parent / "grammar.lark"

# The names of the grammar's terminals in messages.
_CALLED = {
    "$END": "the end",
    "_SEP": "';'",
    "LBRACE": "'{'",
    "RBRACE": "'}'",
    "LPAR": "'('",
    "RPAR": "')'",
    "COMMA": "','",
    "NUMBER": "a number",
    "QUOTED": "a quoted text",
    "WORD": "a name",
    "LIBRARY_NAME": "the name of a library scheduler",
    "VALUE": "a value",
    "CPU_SET": "numbers such as 0-3,6",
    "ANYTHING": "'*'",
    "BODY": "C code",
}
PROPERTIES = (
    *("slice", "order", "latency", "idle", "tier", "weight", "share", "cpus", "smt"),
    *("preempt", "local", "llc", "sticky", "cgroups", "c"),
)
# Examples for people who began a property and did not finish it, or forgot its first word.
_EXAMPLES = {
    "slice": "slice 3ms, or: slice clamp(wait / 4, 500us, 8ms)",
    "order": "order vtime, order fifo, or: order by avg_run desc",
    "tier": "tier normal",
    "weight": "weight 300",
    "share": "share <= 20%, or: share >= 50%",
    "c": "c slice { return avg_run > ms(1) ? ms(8) : ms(1); }",
    "fifo": "order fifo",
    "by": "order by avg_run",
    "cgroups": "cgroups ignore",
    "smt": "smt avoid",
    "fast": "cpus fast",
    "slow": "cpus slow",
    "node": "cpus node 0",
    "avoid": "smt avoid",
    "normal": "tier normal",
}
_MORE = "see docs/policy-language.md for what can be written"
# What people write by habit, and what to write here.
_INSTEAD = {
    "'": 'texts are in double quotes: comm ~ "name*"',
    "&": "write `and`",
    "|": 'write `or`; or within the quotes of one text: "a|b"',
    "!": "write `not`, or `!=` for unequal",
    "=": "equality is written with one `=`",
    "in": 'alternatives are in one text: comm ~ "a|b"',
    ":": "a property is written without a colon: slice 3ms",
    "[": 'lists are written with `|` in a text, as in "a|b", or with commas: cpus 0,2',
    "\\": "a backslash stands in quotes only",
}
# Quoted texts and comments contain no separators.
_PART = re.compile(
    r"""(?P<quoted>"(?:[^"\\\n]|\\.)*"?)|(?P<nothing>[ \t\r]+|\#[^\n]*)|(?P<between>[;\n{}])
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)|.""",
    re.VERBOSE,
)
_WORD_ENDS = "(?![A-Za-z0-9_])"
_SIGNS = {"AT_MOST": "'<='", "AT_LEAST": "'>='", "EQUAL": "'='"}


def parse(text: str) -> PolicyProgram | UseLine:
    """Parse a policy.

    Raises:
        Fault: BAD_POLICY, with the column, what was expected and a suggestion.
    """
    if len(text) > LARGEST_CHARACTERS:
        raise Fault(
            FaultType.BAD_POLICY,
            f"the policy has more than {LARGEST_CHARACTERS} characters",
            where="column 1",
            hint="write it with fewer rules; a policy is a line or a page",
        )
    _check_characters(text)
    hidden, bodies = _hide_bodies(text)
    try:
        tree = _parser().parse(hidden)
        _check_depth(text, tree)
        found: PolicyProgram | UseLine = _Build(text, bodies).transform(tree)
    except UnexpectedInput as trouble:
        raise _explain(text, hidden, trouble) from None
    except VisitError as trouble:
        if isinstance(trouble.orig_exc, PolicyRefusal):
            raise in_other_words(text, trouble.orig_exc) from None
        raise
    program = found if isinstance(found, PolicyProgram) else found.program
    if program and len(program.rules) > MOST_RULES:
        raise refuse(
            text,
            program.rules[MOST_RULES].at,
            f"there are {len(program.rules)} rules",
            expected=f"at most {MOST_RULES}",
            hint='join rules with the same properties: comm ~ "a|b|c"',
        )
    return found


def in_other_words(text: str, fault: PolicyRefusal) -> PolicyRefusal:
    """The refusal of a policy that parsed, in words for somebody with another tool's habits; or the
    same.
    """
    hidden, _ = _hide_bodies(text)
    found = foreign.better(hidden, fault.at, typed=True)
    if found is None:
        return fault
    expected = fault.why.removeprefix("expected ") if found.at == fault.at else ""
    return refuse(text, found.at, found.what, expected=expected, hint=found.hint)


@cache
def _parser() -> Lark:
    return Lark(
        _GRAMMAR.read_text(),
        parser="lalr",
        maybe_placeholders=False,
        edit_terminals=_whole_word,
    )


def _whole_word(terminal: TerminalDef) -> None:
    """Keywords end where words end: `slices` is not `slice` followed by something."""
    if isinstance(terminal.pattern, PatternStr) and terminal.pattern.value.isalpha():
        terminal.pattern = PatternRE(terminal.pattern.value + _WORD_ENDS)
        terminal.priority = 1


@cache
def _keywords() -> dict[str, str]:
    """Keywords by the name of their terminal, which is not always the same word."""
    return {
        terminal.name: terminal.pattern.value.removesuffix(_WORD_ENDS)
        for terminal in _parser().terminals
        if terminal.pattern.value.endswith(_WORD_ENDS)
    }


def _check_characters(text: str) -> None:
    for at, each in enumerate(text):
        if each in "\n\r\t" or (each.isascii() and each.isprintable()):
            continue
        raise refuse(
            text,
            at,
            f"the character {each!a} cannot be in a policy",
            expected="printable ASCII",
            hint=f"write {foreign.TYPED[each]}"
            if each in foreign.TYPED
            else "in a glob, `?` stands for any one byte of a name, `*` for any number",
        )


def _hide_bodies(text: str) -> tuple[str, dict[int, str]]:
    """The text with each C body overwritten, and the bodies by their offset."""
    bodies: dict[int, str] = {}
    pieces: list[str] = []
    at = done = 0
    while at < len(text):
        if text[at] == '"':
            at = _end_of_quoted(text, at)
        elif text[at] == "#":
            end = text.find("\n", at)
            at = end if end >= 0 else len(text)
        elif opening := _c_block_at(text, at):
            end = end_of_body(text, opening)
            bodies[opening] = text[opening:end]
            pieces += [text[done:opening], HIDDEN * (end - opening)]
            at = done = end
        else:
            at += 1
    return "".join([*pieces, text[done:]]), bodies


def _end_of_quoted(text: str, at: int) -> int:
    """The offset behind the quoted text that begins at `at`."""
    end = at + 1
    while end < len(text) and text[end] not in '"\n':
        end += 2 if text[end] == "\\" else 1
    return min(end + 1, len(text))


def _c_block_at(text: str, at: int) -> int:
    """The offset behind the brace of `c HOOK {` that begins at `at`, or 0."""
    if text[at] != "c" or (at and (text[at - 1].isalnum() or text[at - 1] == "_")):
        return 0
    end = at + 1
    while end < len(text) and text[end] in " \t":
        end += 1
    word = end
    while end < len(text) and (text[end].isalnum() or text[end] == "_"):
        end += 1
    if word == at + 1 or end == word:
        return 0
    while end < len(text) and text[end] in " \t":
        end += 1
    return end + 1 if end < len(text) and text[end] == "{" else 0


def _check_depth(text: str, tree: ParseTree) -> None:
    """Every later walk over a tree calls itself for each level of it."""
    level: list[ParseTree] = [tree]
    for _ in range(DEEPEST):
        level = [below for each in level for below in each.children if isinstance(below, Tree)]
    if level:
        leftmost: ParseTree | Token = level[0]
        while isinstance(leftmost, Tree):
            leftmost = leftmost.children[0]
        raise refuse(
            text,
            _at(leftmost),
            f"more than {DEEPEST} operators and parentheses are within each other",
            expected="a formula that people can read",
            hint='join conditions with the same properties: comm ~ "a|b|c", or write two rules',
        )


def _explain(text: str, hidden: str, trouble: UnexpectedInput) -> Fault:
    """lark's error in our words."""
    at = trouble.pos_in_stream if trouble.pos_in_stream is not None else len(text)
    if isinstance(trouble, UnexpectedToken):
        names = set(trouble.accepts or trouble.expected)
        ended = trouble.token.type == "$END"
    else:
        names = set(getattr(trouble, "allowed", None) or ())
        ended = isinstance(trouble, UnexpectedEOF)
    if ended:
        at = len(hidden.rstrip())
    better = foreign.better(hidden, at, typed=False)
    started = _item_before(hidden, at)
    if started is None and "slice" in {_keywords().get(name) for name in names}:
        started = _item_at(hidden, at)
    if not better and started and (fault := _misspelled(text, *started)):
        return fault
    word = "" if ended else _word_at(text, at)
    words = {word for name, word in _keywords().items() if name in names}
    begun = started[1] if started else ""
    layered = re.match(rf"[\s;]*use\s+(?:{'|'.join(LAYERED)})\b", hidden)
    if "use" in (begun, word) or (re.match(r"[\s;]*use\b", hidden) and not layered):
        hint = "a `use` line stands alone, as in: use scx_lavd performance=true"
    else:
        slip = len(word) > 2 and word not in PROPERTIES
        hint = suggestion(word, words, "") if slip else ""
    hint = hint or _hint(text, at, begun, names | words, ended) or _MORE
    what = "the policy ends too early" if ended else f"{word!r} is not expected here"
    expected = listing(_expected(names, words))
    if better:
        kept = expected if better.at == at else ""
        return refuse(text, better.at, better.what, expected=kept, hint=better.hint)
    return refuse(text, at, what, expected=expected, hint=hint)


def _expected(names: set[str], words: set[str]) -> list[str]:
    """What could have been here, in few words."""
    if "slice" in words:
        return ["a property", "a rule" if "ANYTHING" in names else "'}'"]
    expected = sorted(words) if len(words) <= 5 and "LPAR" not in names else []
    if {"NUMBER", "LPAR"} <= names:
        names = names - {"NUMBER", "LPAR", "QUOTED", "WORD", "MINUS"}
        expected.append("a number, a fact or a selector's field")
    elif "PLUS" in names:
        expected = ["an operator"] + [each for each in ("asc", "desc") if each in words]
        names = names - {"LPAR"}
    elif names & _SIGNS.keys():
        expected += [sign for name, sign in _SIGNS.items() if name in names]
    if "CPU_SET" in names and "fast" in words:
        return ["fast", "slow", "node N", "llc N", f"CPU {_CALLED['CPU_SET']}"]
    return expected + [_CALLED[each] for each in sorted(names) if each in _CALLED]


def _item_before(hidden: str, at: int) -> tuple[int, str] | None:
    """The word that begins the property or rule before `at`, and its place."""
    found: tuple[int, str] | None = None
    fresh = True
    for part in _PART.finditer(hidden, 0, at):
        if part["between"]:
            fresh, found = True, None
        elif not part["nothing"]:
            if fresh and part["word"]:
                found = part.start(), part["word"]
            fresh = False
    return found


def _item_at(hidden: str, at: int) -> tuple[int, str] | None:
    """The word at `at`, and its place."""
    found = re.compile(r"[A-Za-z_][A-Za-z0-9_]*").match(hidden, at)
    return (at, found[0]) if found else None


def _misspelled(text: str, at: int, word: str) -> Fault | None:
    """A property or rule that begins with an unknown word."""
    if word in PROPERTIES or word in WORDS or word in ("use", "not", "if"):
        return None
    close = suggestion(word, [*PROPERTIES, *WORDS], _MORE)
    return refuse(
        text,
        at,
        f"there is no property {word!r}",
        expected=f"a property: {listing(PROPERTIES)}",
        hint=f"write for example: {_EXAMPLES[word]}" if word in _EXAMPLES else close,
    )


def _item_start(text: str, at: int) -> int:
    """Where the property or rule that contains `at` begins."""
    start = max(text.rfind(each, 0, at) for each in ";\n}") + 1
    return start + len(text[start:at]) - len(text[start:at].lstrip())


def _word_at(text: str, at: int) -> str:
    found = re.compile(r"[A-Za-z0-9_]+|.", re.DOTALL).match(text, at)
    return found[0][:40] if found else "the end"


def _hint(text: str, at: int, begun: str, names: set[str], ended: bool) -> str:
    """What to do at `at`, in an item that begins with the word `begun`; "" if unknown.

    `names` are the terminals and keywords that could have been here.
    """
    word = "" if ended else _word_at(text, at)
    before = text[:at].rstrip()[-1:]
    if word in _INSTEAD and not (word == "=" and before != "="):
        return _INSTEAD[word]
    if word == '"':
        if {"QUOTED", "BODY"} & names:
            return 'close the quotes on the same line; inside them, write \\" for a quote'
        return 'write what is compared, and how: comm ~ "name*"'
    if word in units.NS_OF and before.isdigit():
        return f"write the unit next to the number, as in 3{word}"
    if word == "%" and before.isdigit():
        return "write the percent sign next to the number, as in 20%"
    if begun == "c" and "LBRACE" in names:
        return f"write for example: {_EXAMPLES['c']}"
    if begun == "cpus":
        return foreign.CPUS
    if "LPAR" in names and "NUMBER" not in names and begun == "if":
        return "a rule begins with its selector: nice > 5 { idle }"
    if "LBRACE" in names and word and word in "\n \t;":
        return (
            "a selector is followed by properties, in braces that begin on its line: "
            'comm ~ "name*" { slice 3ms }'
        )
    if "LBRACE" in names and word in PROPERTIES:
        return f'put the properties in braces: comm ~ "name*" {{ {word} … }}'
    if word == "{" and "ANYTHING" in names:
        return "say which tasks it is for: * { slice 3ms }"
    if "RBRACE" in names and "slice" in names and (word in WORDS or word == "*"):
        return "rules cannot be nested: join their selectors with `and`"
    if word and word in "<>=!~" and "and" in names:
        return "each comparison has two sides; join comparisons with `and`"
    if word in ("}", ")") and "RPAR" not in names:
        return f"there is no {'{' if word == '}' else '('!r} that it closes"
    if "RPAR" in names and "NUMBER" not in names:
        return "close the parenthesis with ')'"
    if "RBRACE" in names and ended:
        return "close the rule with '}'"
    if begun in _EXAMPLES and not {"_SEP", "RBRACE"} & names:
        return f"write for example: {_EXAMPLES[begun]}"
    if "LBRACE" in names and ended:
        return 'a selector is followed by properties: comm ~ "name*" { slice 3ms }'
    if "asc" in names:
        return "write `asc` or `desc` behind the expression, and ';' before the next property"
    if word == "\n" and "NUMBER" in names:
        return "an expression is written on one line"
    if "_SEP" in names and "ANYTHING" not in names:
        return "put ';' or a new line between two properties or rules"
    return ""


def _escaped(text: str, token: Token) -> str:
    """A quoted text without quotes and escapes: `\\"` and `\\\\` are the only ones."""
    start = token.start_pos or 0
    inner, found, at = str(token)[1:-1], "", 0
    while at < len(inner):
        if inner[at] == "\\":
            at += 1
            if inner[at] not in '"\\':
                raise refuse(
                    text,
                    start + at,
                    f"'\\{inner[at]}' is not an escape",
                    expected="'\\\"' or '\\\\'",
                    hint="write '\\\\' for a backslash; globs have no other escapes",
                )
        found += inner[at]
        at += 1
    return found


def _at(item: "Token | Expression") -> int:
    """The position of a token or of the leftmost part of an expression."""
    match item:
        case Token():
            return item.start_pos or 0
        case Binary(_, left, _):
            return _at(left)
    return item.at


@v_args(inline=True)
class _Build(Transformer[Token, PolicyProgram | UseLine]):
    """From lark's tree to ours, bottom up."""

    def __init__(self, text: str, bodies: dict[int, str]) -> None:
        super().__init__()
        self._text = text
        self._bodies = bodies

    def start(self, found: PolicyProgram | UseLine) -> PolicyProgram | UseLine:
        return found

    def use(self, name: Token, *rest: "tuple[str, str, int] | PolicyProgram") -> UseLine:
        settings = [each for each in rest if isinstance(each, tuple)]
        program = next((each for each in rest if isinstance(each, PolicyProgram)), PolicyProgram())
        first = [each.at for each in (*program.defaults, *program.rules)]
        if first and str(name) not in LAYERED:
            at = _item_start(self._text, min(first))
            raise refuse(
                self._text,
                at,
                f"{_word_at(self._text, at)!r} is not expected here",
                expected="the end",
                hint="a `use` line stands alone, as in: use scx_lavd performance=true; only "
                f"{listing(LAYERED)} takes rules",
            )
        seen: set[str] = set()
        for key, _, at in settings:
            if key in seen:
                raise refuse(self._text, at, f"{key!r} is set twice", hint="keep one of the two")
            seen.add(key)
        return UseLine(
            str(name),
            tuple((key, value) for key, value, _ in settings),
            program if first else None,
            at=_at(name),
        )

    def setting(self, key: Token, value: Token) -> tuple[str, str, int]:
        return str(key), str(value), _at(key)

    def program(self, *items: Property | Rule) -> PolicyProgram:
        return PolicyProgram(
            tuple(each for each in items if not isinstance(each, Rule)),
            tuple(each for each in items if isinstance(each, Rule)),
        )

    def rule(self, selector: Token | Expression, *rest: Property | Token) -> Rule:
        properties = tuple(each for each in rest if not isinstance(each, Token))
        closing = next(each for each in rest if isinstance(each, Token))
        everybody = isinstance(selector, Token)
        return Rule(
            None if everybody else selector,  # type: ignore[arg-type]
            properties,
            at=_at(selector),
            end=_at(closing) + 1,
        )

    def slice(self, value: Expression) -> Slice:
        return Slice(value, at=_at(value))

    def order(self, *parts: Token | Expression) -> OrderBy:
        first = parts[0]
        if isinstance(first, Token):
            return OrderBy(Order(str(first)), at=_at(first))
        return OrderBy(Order.BY, first, str(parts[-1]) == "desc", at=_at(first))

    def tier(self, word: Token) -> TierOf:
        if str(word) not in set(Tier):
            raise refuse(
                self._text,
                _at(word),
                f"{str(word)!r} is not a tier",
                expected=listing(Tier),
                hint=suggestion(str(word), Tier, "`normal` is everybody's default"),
            )
        return TierOf(Tier(str(word)), at=_at(word))

    def weight(self, _: Token, number: Token) -> Weight:
        value = self.number(number)
        if value.type is not Type.COUNT or not 1 <= value.value <= 10_000:
            raise refuse(
                self._text,
                _at(number),
                f"{str(number)!r} is not a weight",
                expected="a whole number from 1 to 10000",
                hint="100 is the weight of a task of nice 0; 400 gets four times as much",
            )
        return Weight(value.value, at=_at(number))

    def share(self, operator: Token, number: Token) -> Share:
        value = self.number(number)
        percent, rest = divmod(value.value, 10)
        if not value.percent or rest or not 1 <= percent <= 99:
            raise refuse(
                self._text,
                _at(number),
                f"{str(number)!r} is not a share",
                expected="whole percents of the machine, 1% to 99%",
                hint="write for example: share <= 20%",
            )
        return Share(percent, str(operator) == ">=", at=_at(number))

    def cpus(self, *sets: "CpuSet | Cpus") -> Cpus:
        named: dict[CpuSetKind, CpuSet] = {}
        numbered: Cpus | None = None
        for each in sets:
            if isinstance(each, Cpus):
                if numbered is not None:
                    raise self._twice(each.at, "CPU numbers")
                numbered = each
            elif each.kind in named:
                raise self._twice(each.at, f"`{each.kind}`")
            else:
                named[each.kind] = each
        if CpuSetKind.FAST in named and CpuSetKind.SLOW in named:
            raise refuse(
                self._text,
                max(named[each].at for each in (CpuSetKind.FAST, CpuSetKind.SLOW)),
                "no CPU is both fast and slow",
                expected="one of the two",
                hint="`and` narrows a set; leave `cpus` out for all CPUs",
            )
        return Cpus(
            numbered.ranges if numbered else (),
            tuple(named[kind] for kind in CpuSetKind if kind in named),
            at=sets[0].at,
        )

    def _twice(self, at: int, what: str) -> PolicyRefusal:
        return refuse(
            self._text,
            at,
            f"{what} stand twice in this set",
            expected="numbers joined by commas",
            hint="write for example: cpus node 0,2, or: cpus 0-3,6; `and` narrows a set",
        )

    def cpu_set(self, *tokens: Token) -> "CpuSet | Cpus":
        first, *rest = tokens
        if first.type == "CPU_SET":
            return Cpus(self._ranges(first, "CPU"), at=_at(first))
        kind = CpuSetKind(str(first))
        what = "NUMA node" if kind is CpuSetKind.NODE else "last-level cache (LLC)"
        return CpuSet(kind, self._ranges(rest[0], what) if rest else (), at=_at(first))

    def _ranges(self, token: Token, what: str) -> Ranges:
        ranges: list[tuple[int, int]] = []
        for part in str(token).split(","):
            first, _, last = part.strip().partition("-")
            if len(part.strip()) > 12:
                raise refuse(
                    self._text,
                    _at(token),
                    f"{part.strip()[:20]!r} is not a {what}",
                    hint="count from 0",
                )
            ranges.append((int(first), int(last or first)))
            if ranges[-1][0] > ranges[-1][1]:
                raise refuse(
                    self._text,
                    _at(token),
                    f"the range {part.strip()} ends before it begins",
                    hint=f"write {last}-{first}",
                )
        return joined(ranges)

    def smt(self, word: Token) -> SmtAvoided:
        return SmtAvoided(at=_at(word))

    def preempt(self, word: Token) -> Preempt:
        return Preempt(at=_at(word))

    def reach(self, word: Token) -> ReachOf:
        return ReachOf(Reach(str(word)), at=_at(word))

    def sticky(self, word: Token) -> Sticky:
        return Sticky(at=_at(word))

    def cgroups(self, word: Token) -> CgroupsIgnored:
        return CgroupsIgnored(at=_at(word))

    def cblock(self, hook: Token, *rest: Token) -> CBlock:
        if len(rest) < 2:
            raise refuse(
                self._text,
                _at(hook),
                "the C block is empty",
                expected="C code that returns a value",
                hint=f"write for example: c {hook} {{ return ms(3); }}",
            )
        return CBlock(Hook(str(hook)), self._bodies[_at(rest[0])].strip(), at=_at(rest[0]))

    def number(self, token: Token) -> Literal:
        try:
            return units.literal(str(token), _at(token))
        except ValueError as trouble:
            number, unit = units.split(str(token))
            raise refuse(
                self._text,
                _at(token),
                f"{str(token)!r} cannot be used: {trouble}",
                expected="a number, or one with ns, us, ms, s or %",
                hint=units.instead(number, unit) or "write for example 500us, 3ms or 20%",
            ) from None

    def text(self, token: Token) -> Text:
        return Text(_escaped(self._text, token), at=_at(token))

    def name(self, token: Token) -> Name:
        return Name(str(token), at=_at(token))

    def call(self, name: Token, *arguments: Expression) -> FunctionCall:
        return FunctionCall(str(name), arguments, at=_at(name))

    def inner(self, expression: Expression) -> Expression:
        return expression

    def binary(self, left: Expression, operator: Token, right: Expression) -> Binary:
        return Binary(str(operator), left, right, at=_at(operator))

    def either(self, left: Expression, right: Expression) -> Binary:
        return Binary("or", left, right, at=_at(right))

    def both(self, left: Expression, right: Expression) -> Binary:
        return Binary("and", left, right, at=_at(right))

    def negation(self, operator: Token, operand: Expression) -> Unary:
        return Unary(str(operator), operand, at=_at(operator))
