# SPDX-License-Identifier: GPL-2.0-or-later
"""A message about the C of a policy has its place in the policy."""

from daemon.api.models import Gate, GateMessage, GateResult
from daemon.api.origin import in_policy


def said(**fields: object) -> GateMessage:
    message = GateMessage.model_validate({"severity": "error", "message": "no", **fields})
    result = GateResult(gate=Gate.BUILD, passed=False, seconds=0, messages=[message])
    return in_policy(result, {7: (3, 12)}).messages[0]


def test_a_message_about_a_c_block_is_moved() -> None:
    """Line and column are those of the policy; the C file, which nobody wrote, is not named."""
    found = said(file="/state/policy-1.bpf.c", line=7, column=5)
    assert (found.file, found.line, found.column) == ("", 3, 15)


def test_a_message_without_a_column_is_at_the_beginning() -> None:
    """If only the line is known, the place is the beginning of that line."""
    assert said(file="policy-1.bpf.c", line=7).column == 12


def test_other_messages_stay_where_they_are() -> None:
    """A message about another line, or about a header, keeps its place."""
    for file, line in (("policy-1.bpf.c", 8), ("scx/common.bpf.h", 7)):
        found = said(file=file, line=line, column=5)
        assert (found.file, found.line, found.column) == (file, line, 5)
