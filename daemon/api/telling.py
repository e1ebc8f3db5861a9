# SPDX-License-Identifier: GPL-2.0-or-later
"""A trial's result in words: the same wording for the agent, the tools, the command and the
journal.

A figure that may be noise is not presented as a finding: if the windows' ranges overlap, or "no
change" is possible, the text gives the ranges and says that it is unclear. Pure.
"""

import re
from collections.abc import Callable, Sequence

from daemon.api.display import displayable
from daemon.api.models import (
    Arm,
    ComparedView,
    Decision,
    Direction,
    GuardView,
    OutcomeView,
    TrialState,
    TrialView,
    VerdictView,
    WindowView,
)

# How third-party text is quoted; a model needs marks, a person a clean line.
Quote = Callable[[str, int], str]
# The maximum length of the text about one trial, bytes: 400 tokens.
MOST_BYTES = 1400
# How many of the other compared figures, of each kind, and of the guards are shown: as many as fit.
# The rest is counted.
_DETAIL = ((4, 6), (3, 4), (2, 3), (1, 2), (0, 1))
# How many windows of each arm a difference needs to count.
LEAST_WINDOWS = 2
# The figures of everybody that trials guard: the window's key, its name and unit, and which
# direction is better.
_EVERYBODY = {
    "others_response_p99_us": ("others' response p99", "us", 1.0, Direction.LOWER),
    "others_delay_p99_us": ("others' run-queue delay p99", "us", 1.0, Direction.LOWER),
    "others_run_share": ("others' CPU time", "%", 100.0, Direction.HIGHER),
    "machine_run_share": ("CPU time of all", "%", 100.0, Direction.HIGHER),
    "own_throughput": ("its own completions", "1/s", 1.0, Direction.HIGHER),
}
_LONGEST = "delay_max_us"
# From this factor on, "times" is clearer than per cent.
TIMES = 2.0
# A word of the daemon's own needs no quoting.
_WORD = re.compile(r"[A-Za-z0-9%][A-Za-z0-9_./%-]{0,47}")
_UNIT = re.compile(r"[A-Za-z%µ][A-Za-z0-9%µ/²^_-]{0,15}")
_SLICE = re.compile(r"\bslice ([^;{}]{1,60})")


# ---------------------------------------------------------------- figures


def figure(value: float, unit: str) -> str:
    """`value` with its unit, microseconds in the scale that suits: `12.3 ms`."""
    scale, name = _scale(value, unit)
    return _with(_short(value / scale, unit), name)


def between(low: float, high: float, unit: str) -> str:
    """Two values in one unit: `1.2–187 ms`; one where they look the same."""
    scale, name = _scale(high, unit)
    one, other = _short(low / scale, unit), _short(high / scale, unit)
    return _with(one if one == other else f"{one}–{other}", name)


def _with(number: str, unit: str) -> str:
    return f"{number}{unit}" if unit == "%" else f"{number} {unit}".strip()


def _scale(value: float, unit: str) -> tuple[float, str]:
    if unit not in ("us", "µs"):
        # A measurement's unit may be any text: one that is not a word is left out.
        return 1.0, "/s" if unit == "1/s" else unit if _UNIT.fullmatch(unit) else ""
    for scale, name in ((1e6, "s"), (1e3, "ms")):
        if abs(value) >= scale:
            return scale, name
    return 1.0, "µs"


def _short(value: float, unit: str) -> str:
    """Three digits for a time, four for anything else, and no exponent for large numbers."""
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.3g}" if unit in ("us", "µs") else f"{value:.4g}"


def change(low: float, high: float, direction: Direction) -> str:
    """The bounds of a ratio after / before, by their meaning:

    `9% to 51% worse`, `2 to 2.2 times as many, better`, `between 4% worse and 11% better`.
    """
    low, high = min(low, high), max(low, high)
    lower_is_better = direction is Direction.LOWER
    if low <= 1 <= high:
        less, more = f"{1 - low:.0%}", f"{high - 1:.0%}"
        worse, better = (more, less) if lower_is_better else (less, more)
        return f"between {worse} worse and {better} better"
    word = "better" if (high < 1) == lower_is_better else "worse"
    if low >= TIMES:
        return f"{_alike(f'{low:.2g}', f'{high:.2g}')} times as much, {word}"
    parts = (low - 1, high - 1) if low > 1 else (1 - high, 1 - low)
    return f"{_alike(*(f'{part:.0%}' for part in parts))} {word}"


def gains(low: float, high: float) -> str:
    """The bounds of a gain (0.25: a quarter better) in the same words."""
    return change(1 - high, 1 - low, Direction.LOWER)


def gained(gain: float) -> str:
    """One gain in words: `12% better`."""
    return f"{abs(gain):.0%} {'better' if gain >= 0 else 'worse'}"


def outcome_gain(view: OutcomeView) -> str:
    """The result of an earlier trial, with its bounds; empty if nothing was compared."""
    if view.low is None or view.high is None:
        return gained(view.gain)
    return "not compared" if view.low == view.high else gains(view.low, view.high)


def _alike(one: str, other: str) -> str:
    return one if one == other else f"{one} to {other}"


def _word(text: str, quote: Quote) -> str:
    return text if _WORD.fullmatch(text) else quote(text, 48)


# ---------------------------------------------------------------- what was compared


def moved(view: ComparedView) -> bool:
    """Whether noise cannot explain the difference: it was found better or worse, and the windows of
    the two arms do not overlap.
    """
    if view.state not in ("better", "worse"):
        return False
    before, after = view.baseline, view.candidate
    return not (before and after) or before[1] < after[0] or after[1] < before[0]


def compared(view: ComparedView, quote: Quote = displayable) -> str:
    """One figure under both arms: `others' response p99: 1.2–187 ms before, 8.4–11 ms after:
    unclear`."""
    ours = any(view.name == name for name, *_ in _EVERYBODY.values())
    name = view.name if ours else quote(view.name, 100)
    if view.state == "unseen" or view.baseline is None or view.candidate is None:
        return f"{name}: too little was seen to compare"
    ranges = (
        f"{name}: {between(*view.baseline, view.unit)} before, "
        f"{between(*view.candidate, view.unit)} after"
    )
    if not moved(view) or view.low is None or view.high is None:
        same = between(*view.baseline, view.unit) == between(*view.candidate, view.unit)
        return f"{ranges}: {'the same' if same else 'unclear'}"
    rose = (view.ratio or view.low) > 1
    lower = (view.state == "worse") == rose
    direction = Direction.LOWER if lower else Direction.HIGHER
    return f"{ranges}: {change(view.low, view.high, direction)}"


def guard(view: GuardView, quote: Quote = displayable) -> str:
    """One guard with its state: `⟦comm:backup⟧ completions not worse than 20%: held`."""
    said = f"{quote(view.workload, 60)} {quote(view.text, 80)}: {view.state}"
    if view.baseline is None or view.candidate is None:
        return said
    return (
        f"{said} ({figure(view.baseline, view.unit)} before, "
        f"{figure(view.candidate, view.unit)} after)"
    )


# ---------------------------------------------------------------- one trial


def ended_as(trial: TrialView) -> str:
    """How a trial ended; a trial may be won without the intention to keep it."""
    won = trial.verdict is not None and trial.verdict.decision is Decision.KEEP
    if won and trial.state is TrialState.ROLLED_BACK:
        return "better, and rolled back as requested"
    return trial.state.value.replace("-", " ")


def nothing_compared(verdict: VerdictView) -> bool:
    """Whether a verdict has no interval, because the trial was stopped before there was one."""
    return verdict.confidence <= 0


def outcome(verdict: VerdictView, direction: Direction) -> str:
    """The finding for the objective:

    `63% to 70% better (95%, 4+4 windows)`, or that nothing was compared.
    """
    if nothing_compared(verdict):
        return "stopped early, nothing compared" if verdict.early else "nothing compared"
    said = change(verdict.low, verdict.high, direction)
    windows = f"{verdict.windows_baseline}+{verdict.windows_candidate} windows"
    unclear = ", unclear" if verdict.low <= 1 <= verdict.high else ""
    return f"{said}{unclear} ({sure(verdict.confidence)}, {windows})"


def sure(confidence: float) -> str:
    """A confidence in per cent, and never 100 if it is less: `95%`, `99.5%`."""
    return f"{100 * confidence:.3g}%"


def what(trial: TrialView, quote: Quote = displayable) -> str:
    """What was tried: a scheduler with its settings, a policy with its text."""
    settings = ", ".join(f"{name}={value}" for name, value in sorted(trial.parameters.items()))
    inside = trial.policy or settings
    return _word(trial.scheduler, quote) + (f" ({quote(inside, 200)})" if inside else "")


def ranges(trial: TrialView) -> str:
    """The windows' values under both arms:

    `192–201 ms before, 62–70 ms after`; empty if there are none.
    """
    parts = []
    for arm, word in ((Arm.BASELINE, "before"), (Arm.CANDIDATE, "after")):
        values = [each.value for each in trial.windows if each.arm is arm and not each.excluded]
        if values:
            parts.append(f"{between(min(values), max(values), trial.unit)} {word}")
    return ", ".join(parts)


def slices(trial: TrialView, tick_us: float = 0.0, quote: Quote = displayable) -> str:
    """The requested slice beside the one that tasks got; empty if neither is known.

    Slices end at timer ticks: a requested length is rounded up to the next one.
    """
    got = {
        arm: [each.stay_us for each in trial.windows if each.arm is arm and each.stay_us > 0]
        for arm in Arm
    }
    asked = _asked(trial)
    said = []
    if asked:
        said.append(f"asked for {quote(', '.join(asked), 120)}")
    if got[Arm.CANDIDATE]:
        stays = [f"{between(min(got[Arm.CANDIDATE]), max(got[Arm.CANDIDATE]), 'us')} after"]
        if got[Arm.BASELINE]:
            before = between(min(got[Arm.BASELINE]), max(got[Arm.BASELINE]), "us")
            stays.insert(0, f"{before} before")
        said.append(f"a stay on a CPU lasted {', '.join(stays)}")
    if said and tick_us and any(_us(each) % tick_us for each in asked):
        said.append(f"slices end at ticks, each {figure(tick_us, 'us')}")
    return "; ".join(said)


def _asked(trial: TrialView) -> list[str]:
    found = [each.strip() for each in _SLICE.findall(trial.policy)]
    found += [
        f"{name}={value}" for name, value in sorted(trial.parameters.items()) if "slice" in name
    ]
    return list(dict.fromkeys(found))[:3]


def _us(text: str) -> float:
    """A slice that is a length, microseconds; 0 for everything else."""
    written = re.fullmatch(r"(\d+(?:\.\d+)?) ?(ns|us|ms|s)", text)
    if written:
        return float(written[1]) * {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}[written[2]]
    setting = re.fullmatch(r"\w*slice\w*_(ns|us|ms)=(\d+(?:\.\d+)?)", text)
    return float(setting[2]) * {"ns": 1e-3, "us": 1.0, "ms": 1e3}[setting[1]] if setting else 0.0


def account(trial: TrialView, tick_us: float = 0.0, quote: Quote = displayable) -> list[str]:
    """A finished trial in lines: what was tried, how it ended, what moved and what did not."""
    lines = [f"Trial {_word(trial.id, quote)} of {what(trial, quote)}: {ended_as(trial)}."]
    verdict = trial.verdict
    if verdict is None:
        return [*lines, *([f"Why: {quote(trial.reason, 300)}"] if trial.reason else [])]
    judged = f"Judged by {quote(trial.objective, 120)}"
    leading, more, _ = trial.objective.partition(";")
    if more:
        judged += f", {quote(leading.strip(), 60)} first"
    seen = ranges(trial)
    lines.append(f"{judged}: {seen + ': ' if seen else ''}{outcome(verdict, trial.direction)}.")
    room = MOST_BYTES - sum(_bytes(line) for line in lines)
    return lines + details(trial, tick_us, quote, room)


def details(
    trial: TrialView,
    tick_us: float = 0.0,
    quote: Quote = displayable,
    room_bytes: int = MOST_BYTES,
) -> list[str]:
    """The details of a verdict: the reason, other figures that moved and those that did not,
    guards, slices; as much as fits.
    """
    found: list[str] = []
    for others, guards in _DETAIL:
        found = _details(trial, tick_us, quote, others, guards)
        if sum(map(_bytes, found)) <= room_bytes:
            break
    return found


def _bytes(line: str) -> int:
    return len(line.encode("utf-8", "replace")) + 1


def _details(trial: TrialView, tick_us: float, quote: Quote, others: int, guards: int) -> list[str]:
    verdict = trial.verdict
    if verdict is None:
        return []
    lines = [f"Why: {quote(verdict.reason, 240)}", *_others(verdict, trial, quote, others)]
    lines += _guards(trial.guards, quote, guards)
    got = slices(trial, tick_us, quote)
    return lines + ([f"Slices: {got}."] if got else [])


def everybody(windows: Sequence[WindowView]) -> list[ComparedView]:
    """The figures of everybody that all trials guard, by the windows: worse or better only if the
    windows of the two arms do not overlap, and then the minimum and maximum of the change.
    """
    found = []
    good = [each for each in windows if not each.excluded]
    for key, (name, unit, factor, direction) in _EVERYBODY.items():
        arms = {
            arm: [
                factor * each.guarded[key]
                for each in good
                if each.arm is arm and key in each.guarded
            ]
            for arm in Arm
        }
        before, after = arms[Arm.BASELINE], arms[Arm.CANDIDATE]
        if not before or not after or not max(*before, *after):
            continue
        view = ComparedView(
            name=name,
            unit=unit,
            baseline=(min(before), max(before)),
            candidate=(min(after), max(after)),
            state="unclear",
        )
        apart = max(before) < min(after) or max(after) < min(before)
        if apart and min(len(before), len(after)) >= LEAST_WINDOWS and min(*before, *after) > 0:
            low, high = min(after) / max(before), max(after) / min(before)
            word = "worse" if (low > 1) == (direction is Direction.LOWER) else "better"
            update = {"ratio": (low * high) ** 0.5, "low": low, "high": high, "state": word}
            view = view.model_copy(update=update)
        found.append(view)
    return found


def longest(windows: Sequence[WindowView], quote: Quote = displayable) -> str:
    """The longest wait for a CPU under each arm, and whose it was; empty if unknown."""
    said = []
    for arm, word in ((Arm.BASELINE, "before"), (Arm.CANDIDATE, "after")):
        known = [each for each in windows if each.arm is arm and each.guarded.get(_LONGEST)]
        if known:
            worst = max(known, key=lambda each: each.guarded[_LONGEST])
            by = f" by {quote(worst.longest_comm, 32)}" if worst.longest_comm else ""
            said.append(f"{figure(worst.guarded[_LONGEST], 'us')}{by} {word}")
    return ", ".join(said)


def _others(verdict: VerdictView, trial: TrialView, quote: Quote, most: int) -> list[str]:
    """Other figures that moved, and those that did not."""
    # The objective's first term and the guards by name have their own lines.
    told = tuple(f"{each.workload}: " for each in trial.guards)
    rest = [
        each
        for each in verdict.compared
        if not nothing_compared(verdict)
        and not trial.objective.startswith(each.name)
        and not each.name.startswith(told)
    ]
    if not nothing_compared(verdict):
        counted = any(each.name.startswith("completions") for each in verdict.compared)
        rest += [
            each
            for each in everybody(trial.windows)
            if not (counted and each.name == _EVERYBODY["own_throughput"][0])
        ]
    lines = []
    for title, chosen in (
        ("Moved", [each for each in rest if moved(each)]),
        ("Not moved, as far as can be told", [each for each in rest if not moved(each)]),
    ):
        if chosen:
            lines.append(_listed(title, [compared(each, quote) for each in chosen], most))
    if waits := longest(trial.windows, quote):
        lines.append(f"Longest wait of anybody for a CPU: {waits}.")
    return lines


def _guards(guards: Sequence[GuardView], quote: Quote, most: int) -> list[str]:
    order = {"broken": 0, "unclear": 1, "unseen": 2, "held": 3}
    chosen = sorted(guards, key=lambda each: order[each.state])
    return [_listed("Guards", [guard(each, quote) for each in chosen], most)] if chosen else []


def _listed(title: str, said: Sequence[str], most: int) -> str:
    """The first of them, and how many more there are."""
    more = [f"{len(said) - most} more"] if len(said) > most else []
    return f"{title}: {'; '.join([*said[:most], *more])}."


def line(trial: TrialView, quote: Quote = displayable) -> str:
    """A trial in one line: what was tried, how it was judged, and the result."""
    said = f"{ended_as(trial)} {what(trial, quote)}"
    if trial.verdict is None:
        return said + (f" ({quote(trial.reason, 200)})" if trial.reason else "")
    return f"{said}: {quote(trial.objective, 120)} {outcome(trial.verdict, trial.direction)}"
