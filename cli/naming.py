# SPDX-License-Identifier: GPL-2.0-or-later
"""Workloads by the names that people use: `nginx` for `cgroup:/system.slice/nginx.service`."""

import re
from collections.abc import Sequence

from daemon.api.client import Client
from daemon.api.display import displayable
from daemon.api.models import GuardRequest
from process import Fault, FaultType

# How many ids are listed if several fit.
MOST_NAMED = 8
_ID = re.compile(r"(?:cgroup:/|comm:|kthread:|cgroup-id:).*|other", re.DOTALL)
_ENDING = re.compile(r"\.(?:service|scope|slice|socket|mount|timer)$")


def is_id(text: str) -> bool:
    """Whether the word is an id, or a glob over ids."""
    return _ID.fullmatch(text) is not None


def names_of(id: str) -> set[str]:
    """The short name that people use for a workload's id."""
    kind, _, rest = id.partition(":")
    if kind != "cgroup":
        return {rest}
    last = rest.rstrip("/").rpartition("/")[2]
    stem = _ENDING.sub("", last)
    return {rest, last, stem, stem.partition("@")[0]}


def workload_named(client: Client, text: str) -> str:
    """The id of the workload that the user means; an id stands for itself.

    Raises:
        Fault: NOT_FOUND or BAD_NAME, if no workload or several have this name.
    """
    if is_id(text):
        return text
    ids = [each.id for each in client.workloads()]
    found = [each for each in ids if text in names_of(each)]
    if len(found) == 1:
        return found[0]
    if found:
        raise Fault(
            FaultType.BAD_NAME,
            f"{len(found)} workloads are called {displayable(text, 60)!r}",
            why=_listed(found),
            hint="name one by its id",
        )
    raise Fault(
        FaultType.NOT_FOUND,
        f"no workload is called {displayable(text, 60)!r}",
        why=f"there are {_listed(ids)}" if ids else "nothing has been seen yet",
        hint="`schedpilot top --once` lists the workloads",
    )


def _listed(ids: Sequence[str]) -> str:
    named = ", ".join(displayable(each, 80) for each in ids[:MOST_NAMED])
    more = len(ids) - MOST_NAMED
    return named + (f" and {more} more" if more > 0 else "")


def guard_of(client: Client, word: str) -> GuardRequest:
    """A guard as written on the command line: `NAME: completions not worse than 20%`.

    Raises:
        Fault: BAD_PARAMETER, and those of `workload_named`.
    """
    name, colon, text = word.rpartition(":")
    if not colon or not name.strip() or not text.strip():
        raise Fault(
            FaultType.BAD_PARAMETER,
            f"the guard {displayable(word, 80)!r} cannot be understood",
            why="it is a workload, a colon, and a limit on how much worse it may become",
            hint="write for example --guard 'backup: cpu not worse than 50%'",
        )
    return GuardRequest(workload=workload_named(client, name.strip()), text=text.strip())
