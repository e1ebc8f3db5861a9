# SPDX-License-Identifier: GPL-2.0-or-later
"""The list of endpoints in the README: `python -m daemon.api.reference` writes it."""

import inspect
import sys
from pathlib import Path
from typing import Any

from daemon.api.endpoint import Constrained, Endpoint, Place, Streamed, item_of
from daemon.api.endpoints import ALL

README = Path(__file__).with_name("README.md")
BEGIN = "<!-- endpoints: written by `python -m daemon.api.reference` -->\n"
END = "<!-- endpoints: end -->\n"
# Types that are not models.
_OTHERS: dict[object, str] = {str: "text", bytes: "a file", dict[str, Any]: "JSON"}


def listed() -> str:
    """The table of endpoints as Markdown."""
    lines = [
        "| endpoint | socket | takes | answers | limit | what |",
        "|---|---|---|---|---|---|",
        *(_row(each) for each in ALL),
    ]
    return "\n".join(lines) + "\n"


def with_list(text: str) -> str:
    """The README with the current list.

    Raises:
        ValueError: the marks around the list are missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the marks of the list are missing in {README}")
    return before + BEGIN + listed() + END + after


def _row(endpoint: Endpoint) -> str:
    about = inspect.cleandoc(endpoint.__doc__ or "").replace("\n", " ")
    if endpoint.persons_only:
        about += " Refused to the advisor's user."
    limit = f"{endpoint.limit_s:g} s" if endpoint.limit_s else ""
    if endpoint.limit_plus:
        limit += f" + `{endpoint.limit_plus}`"
    cells = (
        f"`{endpoint.method} {endpoint.template}`",
        endpoint.surface.value,
        _takes(endpoint),
        _answers(endpoint),
        limit,
        about,
    )
    return f"| {' | '.join(cells)} |"


def _takes(endpoint: Endpoint) -> str:
    asked = [f"`?{each.sent_as}=`" for each in endpoint.at(Place.QUERY)]
    return ", ".join([*asked, *(f"`{each.type.__name__}`" for each in endpoint.at(Place.BODY))])


def _answers(endpoint: Endpoint) -> str:
    if isinstance(endpoint, Streamed):
        return f"events, each `{endpoint.answer.__name__}`"
    text = _named(endpoint.answer)
    return text if endpoint.status == 200 else f"{endpoint.status} {text}".strip()


def _named(answer: Constrained) -> str:
    if answer is None:
        return ""
    if item := item_of(answer):
        return f"list of {_named(item)}"
    return _OTHERS.get(answer) or f"`{answer.__name__}`"


def main() -> None:
    README.write_text(with_list(README.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{README}: {len(ALL)} endpoints\n")


if __name__ == "__main__":
    main()
