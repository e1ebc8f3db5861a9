# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot history`: what the daemon did, and what it learned."""

from rich.text import Text

from cli.formats import ago, moment, parameters, span, titled
from cli.output import as_json, document, heading, out, plain, say, table
from daemon.api.client import observe_client
from daemon.api.models import (
    Decision,
    EpisodeState,
    EpisodeView,
    LearnedClass,
    LessonView,
    OutcomeView,
    RememberedFailure,
    WeightView,
)
from daemon.api.telling import gained, gains, outcome_gain

# How many of the newest are shown; --json has all.
OUTCOMES_SHOWN = 40
EVIDENCE_SHOWN = 3


def _episode_outcome(episode: EpisodeView) -> Text:
    if episode.state is EpisodeState.OPEN:
        return Text("open", style="yellow")
    kept = any(trial.state.value == "kept" for trial in episode.trials)
    return plain(episode.outcome or "closed", 120, "green" if kept else "")


def _why(episode: EpisodeView) -> str:
    if episode.trigger:
        return episode.trigger.reason
    return f"asked for: {episode.goal}" if episode.goal else "by hand"


def show_history(*, last: int, json: bool) -> None:
    with observe_client() as client:
        episodes = client.episodes(last)
    if json:
        as_json(episodes)
        return
    if not episodes:
        say("no episodes yet")
        return
    made = table("episode", "when", "took", "workload", "why", "trials", "outcome")
    for each in sorted(episodes, key=lambda episode: episode.at):
        made.add_row(
            plain(each.id, style="bold"),
            moment(each.at),
            span(each.ended - each.at) if each.ended else "–",
            plain(each.workload, 50),
            plain(_why(each), 80),
            str(len(each.trials)),
            _episode_outcome(each),
        )
    out().print(made)
    say("`schedpilot explain ID` shows the story of one", "dim")


def _outcomes(outcomes: list[OutcomeView]) -> None:
    made = table(
        "scheduler", "with", "on workloads that are", "gain", "by", "", "when", right=("gain",)
    )
    for each in sorted(outcomes, key=lambda outcome: (outcome.scheduler, outcome.at)):
        kept = each.decision is Decision.KEEP
        made.add_row(
            plain(each.scheduler, style="bold"),
            plain(parameters(each.parameters)),
            plain(", ".join(each.tags)),
            outcome_gain(each),
            plain(each.objective or "–", 60),
            Text("kept", style="green") if kept else Text("rolled back", style="yellow"),
            ago(each.at),
        )
    out().print(made)


def _beliefs(classes: list[LearnedClass]) -> None:
    for each in classes:
        kind = ", ".join(each.tags) or "of no particular kind"
        met = f"met in {each.episodes} episode{'' if each.episodes == 1 else 's'}"
        out().print(plain(f"workloads that are {kind} ({met})", 300, "bold"), soft_wrap=True)
        if not each.beliefs:
            say("  nothing has been tried yet", "dim")
            continue
        made = table(
            "scheduler", "with", "expected", "95 % within", "helps", "seen", "kept", "why",
            right=("expected", "helps", "seen", "kept"),
        )  # fmt: skip
        for belief in each.beliefs:
            made.add_row(
                plain(belief.policy or belief.scheduler, 80, "bold"),
                plain(parameters(belief.parameters)),
                gained(belief.mean),
                gains(belief.low, belief.high),
                f"{belief.chance:.0%}",
                str(belief.observations),
                str(belief.kept),
                plain(
                    "; ".join([*belief.why, *filter(None, (belief.refused, belief.warned))]), 300
                ),
            )
        out().print(made)


def _weights(weights: list[WeightView]) -> None:
    made = table("evidence", "weight", "at first", "moved", "last", right=("weight", "at first"))
    for each in weights:
        made.add_row(
            plain(each.name),
            f"{each.weight:.3f}",
            f"{each.prior:.3f}",
            f"{each.moved} times",
            plain(each.why, 120),
        )
    out().print(made)


def _failures(failures: list[RememberedFailure]) -> None:
    for each in sorted(failures, key=lambda one: -one.at):
        what = "a gate stopped it" if each.kind == "gate" else "thrown out of the kernel"
        counts = f"{ago(each.at)}, counts for {each.weight:.0%} still"
        out().print(plain(f"- {each.scheduler}: {what}: {each.reason} ({counts})", 400))


def _lesson_lines(lessons: list[LessonView]) -> None:
    for each in lessons:
        said = [each.author, ago(each.at)]
        if each.confirmed or each.contradicted:
            said.append(f"{each.confirmed} for, {each.contradicted} against")
        if each.objective:
            said.append(f"by {each.objective}")
        if each.weight < 1:
            said.append(f"judged by run-queue delay: counts for {each.weight:.0%}")
        if each.weakened:
            said.append("weakened")
        line = plain(f"- {each.text}", 600, "yellow" if each.weakened else "")
        line.append_text(plain(f" ({', '.join(said)})", style="dim"))
        out().print(line, soft_wrap=True)
        for one in each.evidence[-EVIDENCE_SHOWN:]:
            source = " ".join(part for part in (one.trial, one.episode) if part)
            out().print(plain(f"    {source} {one.said}", 300, "dim"), soft_wrap=True)


def show_learned(workload: str, *, json: bool) -> None:
    with observe_client() as client:
        learned = client.learned(workload)
        outcomes = [] if workload else client.outcomes()
    if json:
        told = learned.model_dump(mode="json")
        as_json({**told, "outcomes": [document(each) for each in outcomes]})
        return
    if outcomes:
        say("what was measured", "bold")
        _outcomes(outcomes[-OUTCOMES_SHOWN:])
        tried = {titled(each.scheduler, each.parameters) for each in outcomes}
        say(f"outcomes: {len(outcomes)}, of schedulers: {len(tried)}", "dim")
    elif not workload:
        say("nothing has been measured yet", "dim")
    heading("what is believed of it" if workload else "what is believed from that")
    if learned.classes:
        _beliefs(learned.classes)
    else:
        say("nothing yet", "dim")
    heading("what counts in a search")
    _weights(learned.weights)
    heading("what went wrong, and is remembered")
    if learned.failures:
        _failures(learned.failures)
    else:
        say("nothing", "dim")
    heading("lessons")
    if learned.lessons:
        _lesson_lines(learned.lessons)
    else:
        say("none yet", "dim")
    if learned.lessons_file:
        out().print(plain(f"they can be edited: {learned.lessons_file}", 300, "dim"))
