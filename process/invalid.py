# SPDX-License-Identifier: GPL-2.0-or-later
"""The first problem that pydantic found, in one line. The rejected value, which may be hostile, is
not repeated."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def first_problem(error: "ValidationError") -> str:
    """`place: problem`; only the problem, if it is about the whole."""
    first = error.errors(include_input=False, include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
