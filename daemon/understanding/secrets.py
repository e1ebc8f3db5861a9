# SPDX-License-Identifier: GPL-2.0-or-later
"""Command lines without parts that look like secrets. Pure.

A command line is public on its own machine, and many programs take a password there nevertheless.
Shown text goes to files, terminals and models elsewhere. So values that are named like a secret or
look like one are left out, rather too many than too few; a secret that looks like a word, in a
place without such a name, stays.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

LEFT_OUT = "(left out)"
# How many arguments of one command are shown, and characters of all of them.
MOST_ARGUMENTS = 8
MOST_CHARACTERS = 160
# How much of one argument is checked, characters: less is shown, and its author may have wanted the
# expressions below to take long.
_LOOKED_AT = 200

_NAMES = (
    r"pass(?:w(?:or)?d|phrase|code)?|pwd|pw|secret\w*|token|api[-_.]?key|access[-_.]?key\w*|"
    r"private[-_.]?key|client[-_.]?key|account[-_.]?key|encryption[-_.]?key|auth(?:orization)?|"
    r"credentials?|cookie|session(?:[-_.]?id)?|bearer|signature|sig|dsn|pin|otp|seed[-_.]?phrase"
)
# An option whose value is the next argument; and a word before one.
_OPTION = re.compile(rf"-[\w.-]{{0,32}}(?:{_NAMES}):?", re.IGNORECASE)
_WORD = re.compile(rf"(?:{_NAMES}):?", re.IGNORECASE)
# `name=value` or `name:value`, also within a longer argument (`?a=1&token=x`, `-Ddb.password=x`).
_INSIDE = re.compile(
    rf"((?:^|[^A-Za-z0-9])[\w.-]{{0,32}}(?:{_NAMES})[\"']?\s*[=:]\s*)(\"[^\"]*\"?|'[^']*'?|[^\s&;,]+)",
    re.IGNORECASE,
)
_IN_URL = re.compile(r"(://[^/\s:@]*:)[^@\s]*@")
# Authorization: Basic …, as in arguments of curl and similar programs.
_SCHEME = re.compile(r"\b(Bearer|Basic|Digest|Token)(\s+)\S+", re.IGNORECASE)
# Tokens that can be recognised by their first letters: of GitHub, GitLab, AWS, Slack, Stripe, model
# vendors, Google, npm; JSON Web Tokens; keys in PEM.
_KNOWN = re.compile(
    r"(?:gh[pousr]_|github_pat_|glpat-|AKIA|ASIA|xox[abprs]-|[sprk]k[-_]|AIza|ya29\.|npm_|eyJ)"
    r"[\w.\-]{12,}|-----BEGIN[\s\S]*"
)
# A long run of mixed letters and digits is not a word: a key in hexadecimal or base 64.
_DENSE = re.compile(r"[A-Za-z0-9+_\-]{24,}={0,2}")
# Options with a secret as their next argument or attached, of programs that have such.
_SHORT = {
    "-p": frozenset({"mysql", "mysqldump", "mysqladmin", "mariadb", "sshpass", "mongosh", "mongo"}),
    "-a": frozenset({"redis-cli", "redis-benchmark", "valkey-cli"}),
    "-u": frozenset({"curl"}),
    "-w": frozenset({"ldapsearch", "ldapmodify"}),
    "-k": frozenset({"openssl"}),
}


def shown(arguments: Sequence[str]) -> str:
    """The first arguments as one short line, without parts that look like secrets.

    The end says how many arguments are left out. Control characters stay: escape displayed text.
    """
    kept = without_secrets(_first(arguments))
    line = " ".join(kept)
    if len(line) > MOST_CHARACTERS:
        line = line[:MOST_CHARACTERS] + "…"
    more = len(arguments) - len(kept)
    return f"{line} (+{more})" if more > 0 else line


def _first(arguments: Sequence[str]) -> list[str]:
    """As many as can be shown at most, each cut."""
    first: list[str] = []
    for each in arguments[:MOST_ARGUMENTS]:
        first.append(each[:_LOOKED_AT])
        if sum(map(len, first)) > _LOOKED_AT:
            break
    return first


def without_secrets(arguments: Sequence[str]) -> list[str]:
    """The arguments, each value that looks like a secret replaced."""
    program = arguments[0].rpartition("/")[2] if arguments else ""
    kept: list[str] = []
    named = False
    for number, each in enumerate(arguments):
        if named and (not each.startswith("-") or len(each) > 1):
            kept.append(LEFT_OUT)
            named = False
            continue
        option = each[:2]
        if number and program in _SHORT.get(option, ()):
            kept.append(option + LEFT_OUT if len(each) > 2 else each)
            # mysql's own value is always attached to the option: what follows is another argument.
            named = len(each) == 2 and not (option == "-p" and program.startswith(("my", "mar")))
            continue
        named = bool(number) and bool((_OPTION if each[:1] == "-" else _WORD).fullmatch(each))
        kept.append(each if named else _cleaned(each))
    return kept


def _cleaned(argument: str) -> str:
    text = _IN_URL.sub(rf"\1{LEFT_OUT}@", argument)
    text = _SCHEME.sub(rf"\1\2{LEFT_OUT}", text)
    text = _INSIDE.sub(rf"\1{LEFT_OUT}", text)
    text = _KNOWN.sub(LEFT_OUT, text)
    return _DENSE.sub(lambda found: LEFT_OUT if _random(found[0]) else found[0], text)


def _random(text: str) -> bool:
    """Whether a run of letters and digits is not a word or version: thoroughly mixed."""
    digits = sum(each.isdigit() for each in text)
    changes = sum(a.isdigit() != b.isdigit() for a, b in pairwise(text))
    mixed = any(each.isupper() for each in text) and any(each.islower() for each in text)
    if all(each in "0123456789abcdefABCDEF" for each in text):
        return digits < len(text) and len(text) >= 32
    return digits >= 3 and (changes >= 6 or (mixed and changes >= 4))
