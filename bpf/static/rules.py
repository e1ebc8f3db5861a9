# SPDX-License-Identifier: GPL-2.0-or-later
"""Problems of a scheduler that its source alone shows.

A rule reports an error if it is certain, else it warns. Cases that it cannot follow are left to the
simulator and the kernel's verifier.
"""

from collections.abc import Iterator

from bpf.build.diagnostics import Diagnostic
from bpf.static import amounts, callbacks, contents, queueing
from bpf.static.syntax import ParsedSource

_RULES = (*contents.RULES, *queueing.RULES, *callbacks.RULES, *amounts.RULES)


def check(source: ParsedSource) -> Iterator[Diagnostic]:
    """Everything that the rules report, by place."""
    found = [each for rule in _RULES for each in rule(source)]
    yield from sorted(dict.fromkeys(found), key=lambda each: (each.file, each.line))
