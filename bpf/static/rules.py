# SPDX-License-Identifier: GPL-2.0-or-later
"""What is wrong with a scheduler, seen in its source alone.

A rule speaks where it is certain, or warns. What it cannot follow it leaves to the simulator and
the kernel's verifier.
"""

from collections.abc import Iterator

from bpf.build.diagnostics import Diagnostic
from bpf.static import amounts, callbacks, contents, queueing
from bpf.static.syntax import ParsedSource

_RULES = (*contents.RULES, *queueing.RULES, *callbacks.RULES, *amounts.RULES)


def check(source: ParsedSource) -> Iterator[Diagnostic]:
    """Everything that the rules say, by place."""
    found = [each for rule in _RULES for each in rule(source)]
    yield from sorted(dict.fromkeys(found), key=lambda each: (each.file, each.line))
