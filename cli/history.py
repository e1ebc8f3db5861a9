# SPDX-License-Identifier: GPL-2.0-only
"""`schedpilot history`: what was done, and what was learned from it."""

from rich.text import Text

from cli.formats import ago, moment, parameters, span, titled
from cli.output import as_json, document, heading, out, plain, say, table
from daemon.api.client import observe_client
from daemon.api.models import Decision, EpisodeState, EpisodeView, LessonView, OutcomeView


def _episode_outcome(episode: EpisodeView) -> Text:
    if episode.state is EpisodeState.OPEN:
        return Text("open", style="yellow")
    kept = any(trial.state.value == "kept" for trial in episode.trials)
    return plain(episode.outcome or "closed", 120, "green" if kept else "")


def show_history(*, last: int, json: bool) -> None:
    with observe_client() as client:
        episodes = client.episodes(last)
    if json:
        as_json(episodes)
        return
    if not episodes:
        say("there has been no episode yet")
        return
    made = table("episode", "when", "took", "workload", "why", "trials", "outcome")
    for each in sorted(episodes, key=lambda episode: episode.at):
        made.add_row(
            plain(each.id, style="bold"),
            moment(each.at),
            span(each.ended - each.at) if each.ended else "–",
            plain(each.workload, 50),
            plain(each.trigger.reason if each.trigger else "asked for", 80),
            str(len(each.trials)),
            _episode_outcome(each),
        )
    out().print(made)
    say("`schedpilot explain ID` tells the story of one", "dim")


def _outcomes(outcomes: list[OutcomeView]) -> None:
    made = table("scheduler", "with", "on workloads that are", "gain", "", "when", right=("gain",))
    for each in sorted(outcomes, key=lambda outcome: (outcome.scheduler, outcome.at)):
        kept = each.decision is Decision.KEEP
        made.add_row(
            plain(each.scheduler, style="bold"),
            plain(parameters(each.parameters)),
            plain(", ".join(each.tags)),
            f"{each.gain:+.1%}",
            Text("kept", style="green") if kept else Text("rolled back", style="yellow"),
            ago(each.at),
        )
    out().print(made)


def _lessons(lessons: list[LessonView]) -> None:
    for each in lessons:
        origin = f" ({each.episode}, {ago(each.at)})" if each.episode else f" ({ago(each.at)})"
        line = plain(f"- {each.text}", 600)
        line.append_text(plain(origin, style="dim"))
        out().print(line, soft_wrap=True)


def show_learned(*, json: bool) -> None:
    with observe_client() as client:
        outcomes, lessons = client.outcomes(), client.lessons()
    if json:
        as_json(
            {
                "outcomes": [document(each) for each in outcomes],
                "lessons": [document(each) for each in lessons],
            }
        )
        return
    say("what was measured", "bold")
    if outcomes:
        _outcomes(outcomes)
        tried = {titled(each.scheduler, each.parameters) for each in outcomes}
        say(f"outcomes: {len(outcomes)}, of schedulers: {len(tried)}", "dim")
    else:
        say("nothing yet", "dim")
    heading("lessons")
    if lessons:
        _lessons(lessons)
    else:
        say("none yet", "dim")
