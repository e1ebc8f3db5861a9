# SPDX-License-Identifier: GPL-2.0-or-later
"""How the trials of an episode are judged, for people."""

from daemon.api.models import EpisodeView


def judged_by(episode: EpisodeView) -> list[tuple[str, str]]:
    """The objective, each guard, open questions and warnings as (title, text) pairs; empty if
    nothing is known.
    """
    found: list[tuple[str, str]] = []
    if episode.goal:
        found.append(("goal", episode.goal))
    if episode.objective:
        found.append(("judged by", f"{episode.objective}, of {episode.workload}"))
    for guard in episode.guards:
        how = f": {guard.said}" if guard.said else ""
        found.append(("guarded", f"{guard.workload}: {guard.text}{how}"))
    if episode.question:
        found.append(("open", episode.question))
    found += [("mind", each) for each in episode.warnings]
    return found
