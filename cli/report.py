# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot report`: collects data from the daemon and writes a page, a picture or JSON."""

import os
import sys
import tempfile
import time
from pathlib import Path

from cli.following import following
from cli.formats import parse_span
from cli.output import say
from cli.page import page
from cli.picture import draw
from cli.timeline import Timeline, from_json, timeline_of, to_json
from daemon.api.client import Client, observe_client
from daemon.api.models import Event, TrialView
from process import Fault, FaultType, require_writable

# The longest period that the API answers, seconds.
LONGEST_S = 86400.0
EPISODES = 200
# The largest account file that is read: a day of one-second intervals, with a margin.
LARGEST_BYTES = 64 * 1024 * 1024
SUFFIXES = (".html", ".png", ".svg", ".json")


def _workload(client: Client) -> str:
    """The workload worth a report: that of the newest episode, else the one that waits longest."""
    for episode in client.episodes(EPISODES):
        # A trial by hand may be about the whole machine.
        if episode.workload:
            return episode.workload
    measured = [each for each in client.workloads() if each.last]
    if not measured:
        raise Fault(
            FaultType.NOT_FOUND,
            "there is nothing to report on",
            why="the daemon has seen no workload yet",
            hint="try again when a workload has run for some seconds",
        )
    return max(measured, key=lambda each: each.last.delay_p99_us if each.last else 0.0).id


def _trials(client: Client, events: list[Event], known: dict[str, TrialView]) -> list[TrialView]:
    """The trials of all episodes, and those known only from events (tune, by hand)."""
    found = dict(known)
    for record in dict.fromkeys(event.trial for event in events if event.trial):
        if record in found:
            continue
        try:
            found[record] = client.trial(record)
        except Fault as fault:
            if fault.type is not FaultType.NOT_FOUND:
                raise
    return list(found.values())


def gather(workload: str, last_s: float) -> Timeline:
    """Everything that the daemon knows about one workload in the last seconds."""
    with observe_client() as client:
        workload = workload or _workload(client)
        signals = client.signals(workload, last_s)
        episodes = client.episodes(EPISODES)
        usual: float | None = None
        try:
            usual = client.workload(workload).baseline_delay_p99_us
        except Fault as fault:
            # It has ended since; its measurements are still there.
            if fault.type is not FaultType.NOT_FOUND:
                raise
        events = client.recorded_events()
        events += [event for episode in episodes for event in episode.events]
        known = {trial.id: trial for episode in episodes for trial in episode.trials}
        trials = _trials(client, events, known)
    return timeline_of(workload, signals.series, usual, events, trials)


def read(path: Path) -> Timeline:
    """The account that `--json` wrote to a file.

    Raises:
        Fault: NOT_FOUND, TOO_LARGE, or what `from_json` finds wrong.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_BYTES + 1)
    except OSError as error:
        raise Fault(
            FaultType.NOT_FOUND, "the account cannot be read", where=str(path), why=str(error)
        ) from None
    if len(raw) > LARGEST_BYTES:
        raise Fault(FaultType.TOO_LARGE, "this is too large for an account", where=str(path))
    return from_json(raw, str(path))


def _write(path: Path, content: bytes) -> None:
    """Written whole or not at all, so that a reader never sees half a report."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            mask = os.umask(0)
            os.umask(mask)
            Path(name).chmod(0o666 & ~mask)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise Fault(
            FaultType.STATE, "the report cannot be written", where=str(path), why=str(error)
        ) from None


def write(timeline: Timeline, output: Path) -> None:
    """The account as a page, a picture or JSON, by the suffix of `output`.

    Raises:
        Fault: STATE if it cannot be written.
    """
    if output.suffix == ".json":
        content = to_json(timeline) + b"\n"
    elif output.suffix == ".html":
        picture = draw(timeline, "svg", captions=False)
        content = page(timeline, picture, time.time()).encode()
    else:
        content = draw(timeline, "png" if output.suffix == ".png" else "svg", captions=True)
    _write(output, content)


def report(output: Path, workload: str, last: str, source: Path | None, *, json: bool) -> None:
    """Write the report to `output`, or as JSON to standard output.

    With `source` the account comes from a file that `--json` wrote, and the daemon is not asked.
    """
    if not json and output.suffix not in SUFFIXES:
        raise Fault(
            FaultType.BAD_REQUEST,
            f"a report cannot be written as {output.suffix or 'a file without suffix'!r}",
            where=str(output),
            hint=f"name a file that ends in {', '.join(SUFFIXES)}",
        )
    if not json:
        require_writable(output, "the report")
    if source is not None:
        timeline = read(source)
    else:
        last_s = min(parse_span(last), LONGEST_S)
        with following("reading what the daemon recorded"):
            timeline = gather(workload, last_s)
    if json:
        sys.stdout.write(to_json(timeline).decode() + "\n")
        return
    write(timeline, output)
    for sentence in timeline.sentences:
        say(sentence)
    say(f"written to {output}", "bold")
