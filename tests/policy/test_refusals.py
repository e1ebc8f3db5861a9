# SPDX-License-Identifier: GPL-2.0-or-later
"""Every kind of bad input has its own refusal: the column, what is wrong, and what to do."""

import pytest

from process import Fault, FaultType
from scheduler_library.policy.compiler import compile_policy
from scheduler_library.policy.parser import DEEPEST, LARGEST_CHARACTERS, MOST_RULES

from .programs import MACHINE


def refusal(text: str) -> Fault:
    with pytest.raises(Fault) as caught:
        compile_policy(text, machine=MACHINE)
    fault = caught.value
    assert fault.type is FaultType.BAD_POLICY
    assert fault.hint, fault.report()
    return fault


def check(text: str, column: int, words: tuple[str, ...]) -> None:
    """Check that the refusal has its place and all these words."""
    fault = refusal(text)
    assert fault.where == f"column {column}", fault.report()
    said = f"{fault.what}\n{fault.why}\n{fault.hint}"
    assert [each for each in words if each not in said] == [], fault.report()
    for line, caret in [fault.details] if fault.details else []:
        assert caret.index("^") <= len(line)


# Text, column, and the refusal: what is wrong, what was expected, what to do.
Case = tuple[str, int, tuple[str, ...]]

MISSPELLED: list[Case] = [
    ("slyce 3ms", 1, ("no property 'slyce'", "did you mean 'slice'?")),
    ("slice 3ms; latncy", 12, ("no property 'latncy'", "did you mean 'latency'?")),
    ("ordr by wait", 1, ("no property 'ordr'", "did you mean 'order'?")),
    ('comm ~ "x" { prempt }', 14, ("'prempt'", "a property", "did you mean 'preempt'?")),
    ('comm ~ "x" { idle; wieght 300 }', 20, ("'wieght'", "did you mean 'weight'?")),
    ("order by wiat", 10, ("no fact 'wiat'", "avg_run", "did you mean 'wait'?")),
    ("slice waits", 7, ("no fact 'waits'", "did you mean 'wait'?")),
    ("slicewait / 4", 1, ("no property 'slicewait'", "did you mean 'slice'?")),
    ('com ~ "a" { idle }', 1, ("no fact 'com'", "did you mean 'comm'?")),
    ("slice mim(1ms, 2ms)", 7, ("no function 'mim'", "did you mean 'min'?")),
    ("slice foo(3ms)", 7, ("no function 'foo'", "min, max, clamp or if")),
    ("slice wait(3)", 7, ("no function 'wait'", "facts are written without parentheses")),
    ("tier lowest", 6, ("'lowest' is not a tier", "latency, normal or idle")),
    ("order random", 7, ("'random'", "vtime", "order by avg_run")),
    ("c slce { return 1; }", 3, ("'slce'", "did you mean 'slice'?")),
    ("c enqueue { return 1; }", 3, ("'enqueue'", "c slice {")),
    ("fifo", 1, ("no property 'fifo'", "order fifo")),
    ("by wait", 1, ("no property 'by'", "order by avg_run")),
    ("normal", 1, ("no property 'normal'", "tier normal")),
    ("else { idle }", 1, ("`*` matches everybody else",)),
    ("policy = rt { idle }", 10, ("'rt' is not a scheduling policy", "normal, batch", "real-time")),
    ('policy = "bach" { idle }', 10, ("'bach'", "did you mean 'batch'?")),
]

UNITS: list[Case] = [
    ("slice 3", 7, ("this is a whole number", "a time", "slice 3ms")),
    ("slice 20%", 7, ("this is a ratio", "a time", "slice 3ms")),
    ("slice 3kb", 7, ("'kb' is not a unit", "ns, us, ms, s or %", "500us")),
    ("slice 3 msec", 7, ("`3 msec`", "write 3ms")),
    ("share <= 20 percent", 10, ("`20 percent`", "write 20%")),
    ("slice wait + 1", 14, ("whole number", "wait is a time", "give the number a unit")),
    ("slice max(wait, nice)", 17, ("whole number", "wait is a time", "divide one time")),
    ("slice clamp(wait, 1ms, 5)", 24, ("whole number", "give the number a unit")),
    ("slice if(nice > 0, 1ms, 2)", 25, ("whole number", "give the number a unit")),
    ("slice wait * wait", 14, ("cannot be multiplied by a time",)),
    ("slice 1 / wait", 11, ("cannot be divided by a time", "`wakeups`")),
    ("wait > 5 { idle }", 8, ("wait is a time", "give the number a unit")),
    ("nice > 5ms { idle }", 1, ("whole number", "a time on both sides")),
    ("slice comm", 7, ("this is a text", "a time")),
    ('slice "3ms"', 7, ("this is a text", "a time")),
    ("slice nice > 5", 7, ("this is a condition", "a time")),
    ("slice -kthread", 8, ("this is a condition", "a number or a time")),
    ("slice 1ms * 0.0001", 13, ("finer than 0.001",)),
    ("slice 0.1ns", 7, ("finer than 1ns",)),
    ("slice 99999999999999s", 7, ("too large",)),
    ("order by nice > 5", 10, ("ordered by a condition", "if(nice < 0, 0, 1)")),
    ("order by comm", 10, ("ordered by a text", "order by avg_run")),
    ("slice if(nice, 1ms, 2ms)", 10, ("a whole number", "a condition", "nice > 5")),
    ("slice min(1ms)", 7, ("'min' is given 1", "2 arguments", "min(a, b)")),
    ("slice clamp(wait, 2ms)", 7, ("'clamp' is given 2", "clamp(value, least, most)")),
]

BOUNDS: list[Case] = [
    ("slice 1us", 7, ("slice of 1us is out of bounds", "50us to 100ms")),
    ("slice 2s", 7, ("slice of 2s is out of bounds", "50us to 100ms")),
    ("share <= 0%", 10, ("'0%' is not a share", "1% to 99%", "share <= 20%")),
    ("share <= 100%", 10, ("'100%' is not a share", "1% to 99%")),
    ("share <= 20", 10, ("'20' is not a share", "share <= 20%")),
    ("share <= 20.5%", 10, ("'20.5%' is not a share", "whole percents")),
    ("share <= 20ms", 10, ("'20ms' is not a share",)),
    ("share < 20%", 7, ("'<='", "share <= 20%")),
    ("weight 0", 8, ("'0' is not a weight", "1 to 10000", "100 is the weight")),
    ("weight 10001", 8, ("'10001' is not a weight", "1 to 10000")),
    ("weight 1.5", 8, ("'1.5' is not a weight",)),
    ("weight 20%", 8, ("'20%' is not a weight",)),
    ("cpus 8", 6, ("there is no CPU 8", "CPUs 0 to 7", "lscpu")),
    ("cpus 0-2,5-63", 6, ("there is no CPU 63", "CPUs 0 to 7")),
    ("cpus 3-1", 6, ("ends before it begins", "write 1-3")),
    ("cpus 99999999999999999999", 6, ("is not a CPU",)),
    ("cpus all", 6, ("'all'", "CPU numbers such as 0-3,6")),
    ("cpus 0..3", 6, ("write `cpus 0-3`",)),
    ('user = "nosuch" { idle }', 8, ("no user 'nosuch'", "getent passwd", "uid = 1000")),
    ('slice if(user = "nosuch", 1ms, 2ms)', 17, ("no user 'nosuch'",)),
]

CLASHES: list[Case] = [
    ('* { idle }; comm ~ "a" { latency }', 13, ("rule 2 can never be reached", "before rule 1")),
    ("* { idle }; * { latency }", 13, ("rule 2 can never be reached", "rule for `*`")),
    (
        'comm ~ "a*" { idle }; comm = "ab" { latency }',
        23,
        ("rule 2 contradicts rule 1", "the narrower one first"),
    ),
    (
        'comm ~ "a|b" { idle }; nice > 5 and comm ~ "b" { latency }',
        24,
        ("rule 2 contradicts rule 1",),
    ),
    (
        'comm = "a" or nice > 5 { idle }; nice > 5 or comm = "a" { latency }',
        34,
        ("rule 2 contradicts rule 1",),
    ),
    ("nice > 5 { idle }; nice > 5 { idle }", 20, ("rule 2 can never be reached", "join the two")),
    ("slice 3ms; slice 4ms", 18, ("`slice 4ms` contradicts `slice 3ms`", "keep one")),
    ("slice 3ms; c slice { return ms(1); }", 21, ("contradicts `slice 3ms`", "keep one")),
    ("idle; idle", 7, ("`idle` is given twice", "keep one")),
    ("latency; idle", 10, ("`idle` contradicts `latency`", "one tier")),
    ("latency; tier normal", 15, ("`tier normal` contradicts `latency`", "one tier")),
    (
        'kthread { idle }; if(comm = "a", 1, 0) = 1 and (kthread and nice > 1) { latency }',
        19,
        ("rule 2 contradicts rule 1",),
    ),
    ("preempt; idle", 1, ("`preempt` contradicts `idle`", "a tier above others")),
    ("latency; preempt", 10, ("`preempt` has nobody to take a CPU from", "a lower tier")),
    ('kthread { latency }; comm ~ "a" { preempt }', 35, ("nobody to take a CPU from",)),
    ("pid = pid { idle }", 5, ("both sides of this comparison are the same",)),
    ("cpus 0; local", 9, ("`cpus 0` cannot be combined with `local`",)),
    ("sticky; cpus 0", 14, ("`cpus 0` cannot be combined with `sticky`",)),
    ("sticky; llc", 9, ("`sticky` contradicts `llc`", "sticky keeps a task on its CPU")),
    ("share <= 20%; share >= 30%", 24, ("at least 30% and at most 20%", "swap")),
    (
        "share >= 60%; kthread { share >= 60% }",
        34,
        ("120% of the machine are promised", "at most 95%", "ask for less"),
    ),
    ("use a b=1 b=2", 11, ("'b' is set twice", "keep one")),
]

TEXTS: list[Case] = [
    ('comm ~ "é" { idle }', 9, ("'\\xe9' cannot be in a policy", "printable ASCII", "`?`")),
    ("slice 3ms \u2713", 11, ("'\\u2713'", "printable ASCII")),
    ("slice 3ms\x00", 10, ("'\\x00'", "printable ASCII")),
    ('comm ~ "a\\b" { idle }', 10, ("'\\b' is not an escape", "'\\\\'", "backslash")),
    ('comm ~ "a { idle }', 8, ("close the quotes on the same line",)),
    ('comm ~ "a\\" { idle }', 8, ("close the quotes on the same line",)),
    ('comm ~ "a" { idle } "', 21, ("close the quotes on the same line",)),
    ("comm ~ 'a' { idle }", 8, ('texts are in double quotes: "a"',)),
    ('comm ~ "a[bc]" { idle }', 8, ("globs have no `[`", "`*`, `?` and `|`")),
    ('comm ~ "" { idle }', 8, ("a pattern is empty", "`*` alone")),
    ('comm ~ "a||b" { idle }', 8, ("a pattern is empty", "both sides of `|`")),
    ('comm = "" { idle }', 8, ("a pattern is empty",)),
    (f'cmd ~ "{"|".join("abcdefg" * 5)}" {{ idle }}', 7, ("too many patterns", "two rules")),
    (f'cmd = "{"x" * 201}" {{ idle }}', 7, ("too long", "200 characters")),
    (
        'comm = "averyveryverylongname" { idle }',
        8,
        ("ever called 'averyveryverylongname'", "15", 'comm = "averyveryverylo"'),
    ),
    ('thread_name ~ "a|sixteen-letters-" { idle }', 15, ('thread_name ~ "sixteen-letters"',)),
    ('comm ~ "kworker*very-long-ones*" { idle }', 8, ("15", "cmd ~")),
    ('comm = "\\"\\\\ccccccccccccccc" { idle }', 8, ('comm = "\\"\\\\ccccccccccccc"',)),
    ("comm ~ a { idle }", 8, ("'comm' is compared with a text", 'comm ~ "a"')),
    ('comm < "a" { idle }', 6, ("cannot be compared with `<`", "~, = or !=")),
    ('"a" ~ comm { idle }', 1, ("a selector's field", "comm, thread_name")),
    ('nice ~ "5" { idle }', 8, ("'nice' has no text", "without quotes: nice = 5")),
    ('user ~ "a*" { idle }', 6, ("not matched by globs", 'user = "batch"')),
    ('policy ~ "batch*" { idle }', 8, ("not matched by globs", "policy = batch")),
    ('comm "a" { idle }', 6, ("write what is compared, and how",)),
]

GRAMMAR: list[Case] = [
    ("slice", 6, ("ends too early", "slice 3ms")),
    ("slice (3ms", 11, ("ends too early", "close the parenthesis")),
    ("slice 3ms)", 10, ("no '(' that it closes",)),
    ("slice 3ms }", 11, ("no '{' that it closes",)),
    ("slice 3ms latency", 11, ("'latency' is not expected", "put ';' or a new line")),
    ("slice 3ms +", 12, ("ends too early", "a fact")),
    ("slice: 3ms", 6, ("without a colon",)),
    ("slice = 3ms", 7, ("slice 3ms",)),
    ("order by wait up", 15, ("asc", "desc")),
    ("weight", 7, ("ends too early", "weight 300")),
    ("{ slice 3ms }", 1, ("say which tasks it is for: * { slice 3ms }",)),
    ('comm ~ "a"', 11, ("ends too early", "'{'", "a selector is followed by properties")),
    ('comm ~ "a" { idle', 18, ("ends too early", "close the rule with '}'")),
    ('comm ~ "a" slice 3ms', 12, ("put the properties in braces",)),
    ('comm ~ "a" { comm ~ "b" { idle } }', 14, ("rules cannot be nested", "`and`")),
    ('comm ~ "a" { use lavd }', 14, ("a `use` line stands alone",)),
    ("comm { idle }", 1, ("this is a text", "a condition", 'comm ~ "name*"')),
    ("nice { idle }", 1, ("this is a whole number", "a condition")),
    ('comm == "a" { idle }', 6, ("one `=`",)),
    ('comm ~ "a" && kthread { idle }', 12, ("write `and`",)),
    ('comm ~ "a" || kthread { idle }', 12, ("write `or`",)),
    ("!kthread { idle }", 1, ("write `not`",)),
    ("nice > 5 > 3 { idle }", 10, ("join comparisons with `and`",)),
    ('comm = "a" or "b" { idle }', 15, ("this is a text", "a condition")),
    ('comm in ("a", "b") { idle }', 6, ('comm ~ "a|b"',)),
    ("if nice > 5 { idle }", 1, ("a rule begins with its selector",)),
    ("use", 4, ("ends too early", "use scx_lavd performance=true")),
    ("use 3", 5, ("name of a library scheduler",)),
    ("use lavd performance", 21, ("'='",)),
    ("use a; slice 3ms", 8, ("a `use` line stands alone",)),
    ("slice 3ms; use a", 16, ("a `use` line stands alone",)),
    ("", 1, ("says nothing", "slice 3ms")),
    ("# nothing but a comment", 1, ("says nothing",)),
]

C_BLOCKS: list[Case] = [
    ("c slice { #include <x.h>\nreturn 1; }", 11, ("preprocessor line", "no include")),
    ("c slice { %:include <x.h>\nreturn 1; }", 11, ("preprocessor line",)),
    ('c slice { asm("nop"); return 1; }', 11, ("'asm'", "inline assembly")),
    ('c slice { __asm__("nop"); return 1; }', 11, ("'__asm__'", "two underscores")),
    ("c slice { return bpf_ktime_get_ns(); }", 18, ("helper 'bpf_ktime_get_ns'", "scx_bpf_now")),
    ("c slice { scx_bpf_kick_cpu(0, 0); return 1; }", 11, ("helper 'scx_bpf_kick_cpu'",)),
    ("c slice { return (p->scx.foo)(1) + p->foo(1); }", 39, ("function 'foo' cannot be",)),
    ("c slice { for (;;) ; return 1; }", 11, ("'for'", "a loop")),
    ("c slice { while (1) ; return 1; }", 11, ("'while'", "a loop")),
    ("c slice { a: goto a; return 1; }", 11, ("'a'",)),
    ("c slice { goto a; return 1; }", 11, ("'goto'", "a jump")),
    ("c slice { static u64 n; return 1; }", 11, ("'static'", "outlives the call")),
    ("c slice { return mz(1); }", 18, ("function 'mz'", "did you mean 'ms'?")),
    ("c slice { return wiat; }", 18, ("no 'wiat' in a C block", "did you mean 'wait'?")),
    ("c slice { clock = 0; return 1; }", 11, ("no 'clock' in a C block",)),
    ("c slice { t->queue = 7; return 1; }", 11, ("no 't' in a C block",)),
    ("c slice { p->scx.slice = 7; return 1; }", 24, ("changes nothing but its own variables",)),
    ("c slice { p->scx.slice++; return 1; }", 23, ("changes nothing but its own variables",)),
    ("c slice { --p->prio; return 1; }", 11, ("changes nothing but its own variables",)),
    ("c slice { s64 prio = 1; p->prio = 7; return 1; }", 33, ("changes nothing",)),
    ("c slice { u64 *x = 0; return 1; }", 15, ("a pointer cannot be",)),
    ("c slice { s64 x = p; return 1; }", 19, ("cannot be handed on", "p->prio")),
    ("c slice { return (u64)p; }", 23, ("cannot be handed on",)),
    ("c slice { return sizeof(struct x); }", 25, ("'struct'",)),
    ('c slice { return "x"; }', 18, ("a text cannot be in a C block",)),
    ("c slice { return 'x; }", 18, ("quotes are never closed",)),
    ('c slice { return " ; }', 18, ("quotes are never closed",)),
    ("c slice { return 1; /* }", 10, ("the C block is never closed", "comments")),
    ("c slice { return 1; \\ }", 21, ("a backslash",)),
    ("c slice { return 1; %> int x = <% 1; }", 21, ("'%>'", "as they are")),
    ("c slice { return 1;", 10, ("the C block is never closed", "'}'")),
    ("c slice { if (wait) { return 1; }", 10, ("the C block is never closed",)),
    ("c slice { }", 10, ("returns nothing", "`return VALUE;`")),
    ("c slice {}", 3, ("the C block is empty", "return ms(3)")),
    ("c slice { wait; }", 11, ("returns nothing",)),
    ("c slice return 1;", 9, ("'{'", "c slice {")),
    (f"c slice {{ return {'1 + ' * 1100}1; }}", 10, ("more than 4096 characters",)),
]


@pytest.mark.parametrize(("text", "column", "words"), MISSPELLED)
def test_a_misspelled_word_is_named_with_the_nearest_known_one(
    text: str, column: int, words: tuple[str, ...]
) -> None:
    """The refusal says where the misspelt word is, and which words exist."""
    check(text, column, words)


@pytest.mark.parametrize(("text", "column", "words"), UNITS)
def test_types_and_units_that_do_not_fit_are_named(
    text: str, column: int, words: tuple[str, ...]
) -> None:
    """If times, numbers, texts and conditions are mixed, the refusal says which is which."""
    check(text, column, words)


@pytest.mark.parametrize(("text", "column", "words"), BOUNDS)
def test_values_out_of_bounds_are_told_with_their_bounds(
    text: str, column: int, words: tuple[str, ...]
) -> None:
    """A value that is impossible, or not available on this machine, is refused with its bounds."""
    check(text, column, words)


@pytest.mark.parametrize(("text", "column", "words"), CLASHES)
def test_contradictions_are_named_with_both_sides(
    text: str, column: int, words: tuple[str, ...]
) -> None:
    """Two properties that contradict each other are refused, and both are named."""
    check(text, column, words)


@pytest.mark.parametrize(("text", "column", "words"), TEXTS)
def test_texts_that_match_nothing_or_are_not_ended_are_refused(
    text: str, column: int, words: tuple[str, ...]
) -> None:
    """Quotes, escapes, globs and names that make no sense are refused with the remedy."""
    check(text, column, words)


@pytest.mark.parametrize(("text", "column", "words"), GRAMMAR)
def test_what_is_written_otherwise_elsewhere_is_told_how_it_is_here(
    text: str, column: int, words: tuple[str, ...]
) -> None:
    """For the syntax of another language, or half a line, the refusal says how to go on."""
    check(text, column, words)


@pytest.mark.parametrize(("text", "column", "words"), C_BLOCKS)
def test_a_c_block_can_do_nothing_but_compute(
    text: str, column: int, words: tuple[str, ...]
) -> None:
    """Code that reaches beyond the block, or never ends, is refused before any compiler sees it."""
    fault = refusal(text)
    # A body may have several lines; all of these are wrong in the first.
    assert fault.where.removeprefix("line 1, ") == f"column {column}", fault.report()
    said = f"{fault.what}\n{fault.why}\n{fault.hint}"
    assert [each for each in words if each not in said] == [], fault.report()


def test_a_place_in_a_longer_policy_has_its_line() -> None:
    """In a policy of several lines the refusal says which line."""
    fault = refusal("slice 1ms\n# why\n  slyce 3ms\nidle")
    assert fault.where == "line 3, column 3"
    assert fault.details == ("  slyce 3ms", "  ^")


def test_a_long_line_is_shown_around_the_trouble() -> None:
    """The caret is below the problem, even if only a part of the line is shown."""
    fault = refusal(f"nice > 5 {{ idle }}; slice {'(' * 50}wiat{')' * 50}")
    line, caret = fault.details
    assert line[caret.index("^") :].startswith("wiat")


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("* { }" * 10_000, "there are 10000 rules"),
        ("\n".join(f"nice > {n} {{ idle }}" for n in range(100)), "there are 100 rules"),
        ("slice 3ms;" * 10_000, "more than 65536 characters"),
        ("slice " + " + ".join(["1ms"] * 9_000), "operators and parentheses"),
        ("slice " + " + ".join(["wait / 2"] * 17), "33 operators and functions"),
        ("order by " + "max(" * 33 + "wait" + ", slept)" * 33, "33 operators and functions"),
        ("slice " + "-" * 30_000 + "wait", "operators and parentheses"),
        ("not " * 10_000 + "kthread { idle }", "operators and parentheses"),
        ("kthread or " * 5_000 + "kthread { idle }", "operators and parentheses"),
        ("slice " + "clamp(" * 90 + "waits" + ", 1ms, 2ms)" * 90, "no fact 'waits'"),
        ("slice " + "(" * 60_000, "ends too early"),
        ("{" * 60_000, "'{' is not expected"),
        ("#" * 60_000, "says nothing"),
        ("slice 3ms " + "# " * 30_000 + "\n}", "'}' is not expected"),
        ("c slice {" + "/*" * 28_000, "never closed"),
        (" or ".join(f'cmd ~ "{n}"' for n in range(65)) + " { idle }", "65 selectors"),
        ("c slice {" + "{" * 60_000, "never closed"),
        ("kthread {" * 5_000, "'kthread' is not expected"),
    ],
    ids=lambda value: value[:30],
)
def test_no_size_is_too_much_for_a_refusal(text: str, what: str) -> None:
    """Ten thousand rules, operators or braces are refused at once, without a traceback."""
    assert what in refusal(text).what


def test_rules_that_say_much_are_compared_soon() -> None:
    """The greatest number of rules, each with many comparisons, is checked without delay."""
    rules = [
        " or ".join(f"nice < {100 * number + each}" for each in range(DEEPEST - 10))
        for number in range(MOST_RULES)
    ]
    text = "; ".join(f"{rule} {{ idle }}" for rule in rules)[:LARGEST_CHARACTERS]
    whole = text[: text.rindex("}") + 1]
    compile_policy(whole, machine=MACHINE)


def test_rules_of_many_globs_are_compared_soon() -> None:
    """The search for tasks that remain for rules of many patterns ends."""
    rules = [
        'comm ~ "'
        + "|".join(f"a*b{rule}c{each}*" for each in range(32))
        + f'" {{ slice {rule}ms }}'
        for rule in range(1, 20)
    ]
    compile_policy("; ".join(rules), machine=MACHINE)
