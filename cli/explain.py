# SPDX-License-Identifier: GPL-2.0-or-later
"""`schedpilot explain ID`: the story of an episode, a trial or a candidate, for people."""

from collections.abc import Callable

from rich.text import Text

from cli.formats import (
    clock,
    microseconds,
    moment,
    quantity,
    span,
    titled,
)
from cli.gates import show_gates
from cli.judged import judged_by
from cli.output import as_json, document, facts, heading, out, plain, say, table
from cli.profile import responses
from cli.transcript import tell_steps
from daemon.api.client import Client, observe_client
from daemon.api.kept import kept_text
from daemon.api.models import (
    Arm,
    CandidateView,
    Decision,
    EpisodeView,
    ProfileView,
    StatusView,
    TrialView,
    WindowView,
)
from daemon.api.telling import details, ended_as, outcome
from process import Fault, FaultType

# The longest bar of a window, characters.
BAR = 32


def _bar(window: WindowView, largest: float) -> Text:
    length = max(1, round(BAR * window.value / largest)) if largest > 0 else 0
    style = "dim" if window.excluded else "cyan" if window.arm is Arm.CANDIDATE else "white"
    return Text("█" * length, style=style)


def _windows(trial: TrialView) -> None:
    largest = max((each.value for each in trial.windows), default=0.0)
    made = table("", "when", "arm", "value", "", "", right=("value",))
    for number, each in enumerate(trial.windows, 1):
        arm = "before" if each.arm is Arm.BASELINE else trial.scheduler
        remark = f"left out: {each.excluded}" if each.excluded else ""
        made.add_row(
            str(number),
            clock(each.started),
            plain(arm, 40, "cyan" if each.arm is Arm.CANDIDATE else ""),
            quantity(each.value, trial.unit),
            _bar(each, largest),
            plain(remark, style="dim"),
        )
    out().print(made)


def _tell_trial(trial: TrialView, tick_us: float) -> None:
    name = titled(trial.scheduler, trial.parameters)
    lasted = span(trial.ended - trial.at) if trial.ended else "still going on"
    on = f" of {trial.workload}" if trial.workload else ""
    say(f"trial {trial.id}: {name}, judged by {trial.objective}{on}", "bold")
    say(
        f"began {moment(trial.at)}, {lasted}; candidate {trial.candidate}; {ended_as(trial)}",
        "dim",
    )
    if trial.windows:
        _windows(trial)
    verdict = trial.verdict
    if verdict is None:
        say(f"no verdict: {trial.reason or ended_as(trial)}")
        return
    kept = verdict.decision is Decision.KEEP
    early = ", before all windows were run" if verdict.early and verdict.confidence else ""
    say(
        f"verdict: {verdict.decision.value}{early}: {outcome(verdict, trial.direction)}",
        "green" if kept else "yellow",
    )
    for line in details(trial, tick_us):
        say(line)
    if trial.reason and trial.reason != verdict.reason:
        say(f"ended: {trial.reason}")


def _tell_profile(profile: ProfileView) -> None:
    rows: list[tuple[str, str | Text]] = [("is", ", ".join(profile.tags) or "nothing special")]
    rows += responses(profile)
    for name, value in sorted(profile.figures.items()):
        shown = microseconds(value) if name.endswith("_us") else f"{value:.4g}"
        rows.append((name.removesuffix("_us").replace("_", " "), shown))
    if profile.sure_of:
        rows.append(("sure of", "; ".join(profile.sure_of)))
    out().print(facts(rows))


def _tell_episode(client: Client, episode: EpisodeView) -> None:
    lasted = span(episode.ended - episode.at) if episode.ended else "still open"
    say(f"episode {episode.id}: {episode.workload}", "bold")
    say(f"began {moment(episode.at)}, {lasted}", "dim")
    heading("what was seen")
    if episode.trigger:
        seen = episode.trigger
        say(f"{seen.objective or seen.signal}: {seen.reason}")
        now, usual = quantity(seen.value, seen.unit), quantity(seen.baseline, seen.unit)
        say(f"{now} instead of {usual} (x{seen.ratio:.1f}), since {moment(seen.since)}")
    else:
        say(f"nothing: somebody asked for it{f': {episode.goal}' if episode.goal else ''}")
    if episode.profile:
        _tell_profile(episode.profile)
    judged = [each for each in judged_by(episode) if each[0] != "goal"]
    if judged:
        heading("what counts")
        for what, words in judged:
            say(f"{what}: {words}", "yellow" if what == "open" else "")
    if episode.advice:
        heading(f"what was advised{f' (by {episode.advisor})' if episode.advisor else ''}")
        for text in episode.advice:
            for line in text.splitlines():
                say(line)
    steps = client.steps(episode.id)
    if steps:
        heading("what the advisor said and did")
        tell_steps(steps)
    unproven = [each for each in episode.candidates if not _tried(each, episode)]
    for id in unproven:
        heading(f"what never came to a trial: candidate {id}")
        try:
            show_gates(client.candidate(id))
        except Fault as fault:
            say(f"no longer known: {fault}", "dim")
    if episode.trials:
        heading("what was tried")
        for trial in episode.trials:
            _tell_trial(trial, client.status().kernel.tick_us)
            out().print()
    heading("what came of it")
    say(episode.outcome or "it is still open")
    cost = episode.cost
    if cost.calls or cost.seconds:
        tokens = f"{cost.input_tokens} tokens in, {cost.output_tokens} out"
        say(
            f"cost: {cost.calls} calls, {tokens}, {cost.money:.4g} money, {span(cost.seconds)}",
            "dim",
        )
    if episode.events:
        heading("as it happened")
        for event in episode.events:
            entry = Text(clock(event.at) + "  ", style="dim")
            entry.append_text(plain(event.kind.value.ljust(18)))
            entry.append_text(plain(event.message.partition("\n")[0], 1000))
            out().print(entry, soft_wrap=True)


def _tried(candidate: str, episode: EpisodeView) -> bool:
    return any(trial.candidate == candidate for trial in episode.trials)


def _tell_candidate(candidate: CandidateView) -> None:
    say(f"candidate {candidate.id}: {titled(candidate.name, candidate.parameters)}", "bold")
    rows: list[tuple[str, str | Text]] = [
        ("kind", candidate.kind),
        ("policy", candidate.policy),
        ("made", moment(candidate.at)),
        ("proven", "yes" if candidate.proven else "no"),
        ("quarantined", candidate.quarantined),
        ("sha256 of its source", candidate.source_sha256),
    ]
    out().print(facts([(name, value) for name, value in rows if value]))
    show_gates(candidate)


def _tell_kept(status: StatusView, candidate: str) -> None:
    for each in status.kept:
        if each.candidate == candidate:
            say(f"kept: {kept_text(each)}")


Found = EpisodeView | TrialView | CandidateView


def _find(client: Client, record: str) -> Found:
    """The record that the id names; ids begin with `e-`, `t-` or `c-`.

    Raises:
        Fault: NOT_FOUND.
    """
    kinds: dict[str, Callable[[str], Found]] = {
        "e-": client.episode,
        "t-": client.trial,
        "c-": client.candidate,
    }
    look = kinds.get(record[:2])
    if look is None:
        raise Fault(
            FaultType.NOT_FOUND,
            f"{record[:60]!r} is no id",
            why="ids begin with e- (episode), t- (trial) or c- (candidate)",
            hint="`schedpilot history` shows the ids of episodes",
        )
    return look(record)


def explain(record: str, *, json: bool) -> None:
    with observe_client() as client:
        found = _find(client, record)
        if json and isinstance(found, EpisodeView):
            steps = [document(each) for each in client.steps(found.id)]
            as_json({**found.model_dump(mode="json"), "steps": steps})
        elif json:
            as_json(found)
        elif isinstance(found, EpisodeView):
            _tell_episode(client, found)
        elif isinstance(found, TrialView):
            status = client.status()
            _tell_trial(found, status.kernel.tick_us)
            _tell_kept(status, found.candidate)
        else:
            _tell_candidate(found)
            _tell_kept(client.status(), found.id)
