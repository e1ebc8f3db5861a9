# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of the benchmarks: each result beside its goal, and whether the goal is met."""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import cost_curve
from benchmarks.signals_overhead.run import summary

# The goals, which were set before anything was measured.
DAEMON_CPU_PERCENT = 1.0
DAEMON_RESIDENT_MB = 60.0
HELPER_RESIDENT_MB = 6.0
SLOWER_PERCENT = {"hackbench": 2.0, "pipe": 5.0}
# The part of the gap between the kernel's default and the bound that a policy's order closes.
CLOSED = 0.95
# Events a second of one core, for a plain scheduler and for a policy with expressions.
EVENTS_PER_S = {"fifo": 5e6, "policy": 2e6}
VERDICT_S = 2.0
# From an episode to the first window of a scheduler that was proven ahead, natively.
FIRST_WINDOW_S = 2.0
# Rank correlation of the applications' own figures with our signals.
AGREES = 0.9
# schbench's own count under what was kept, as ratios to the kernel's default.
REQUESTS, P99 = 2.0, 0.4
# The text that a model reads before it decides anything.
FIRST_TOKENS = 3000
# From a new line of policy to a loaded scheduler.
LINE_S = 1.0
# What a switch costs on 512 CPUs, to 8.
GROWTH = 1.3
TITLES = {"hackbench": "hackbench", "pipe": "`perf bench sched pipe`"}

MET = "met"
MISSED = "**missed**"
# The estimate is on one side of the goal, and one end of its interval on the other.
BY_MEDIAN = "met by the median; the interval reaches beyond"
MISSED_BY_MEDIAN = "**missed** by the median; the interval reaches the goal"

Results = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Row:
    what: str
    goal: str
    measured: str
    verdict: str = ""

    def cells(self) -> tuple[str, ...]:
        return (self.what, self.goal, self.measured, self.verdict)


def verdict(value: float, most: float, low: float | None = None, high: float | None = None) -> str:
    """Whether `value`, somewhere between `low` and `high`, is at most `most`."""
    low, high = (value if low is None else low), (value if high is None else high)
    if value <= most:
        return MET if high <= most else BY_MEDIAN
    return MISSED if low > most else MISSED_BY_MEDIAN


def rows(results: Results) -> list[Row]:
    """A row for each claim with a measurement."""
    found: list[Row] = []
    if "daemon_cost" in results:
        found += _cost(results["daemon_cost"])
    if "signals_overhead" in results:
        found += _overhead(results["signals_overhead"])
    if "recorder_overhead" in results:
        found += _recorder(results["recorder_overhead"])
    if "cgroups_overhead" in results:
        found += _groups(results["cgroups_overhead"])
    if "simulator_speed" in results:
        found += _simulator(results["simulator_speed"])
    if "cgroups_delay" in results:
        found += _cgroups_delay(results["cgroups_delay"])
    if "cost_curve" in results:
        found += _curve(results["cost_curve"])
    if "load_times" in results:
        found += _times(results["load_times"])
    if "emergency" in results:
        found += _emergency(results["emergency"])
    if "emergency_native" in results:
        found += _candidates(results["emergency_native"])
    if "uneven_jobs" in results:
        found += _jobs(results["uneven_jobs"])
    if "kept_is_wanted" in results:
        found += _kept_is_wanted(results["kept_is_wanted"])
    if "own_numbers" in results:
        found += _own_numbers(results["own_numbers"])
    if "policy_steps" in results:
        found += _steps(results["policy_steps"])
    if "policy_steps_native" in results:
        found += _native_steps(results["policy_steps_native"])
    if "mcp_sizes" in results:
        found += _mcp(results["mcp_sizes"])
    if "agent_cost" in results:
        found += _agent(results["agent_cost"])
    if "learning" in results:
        found += _learning(results["learning"])
    return found


def _mcp(result: Mapping[str, Any]) -> list[Row]:
    first: int = result["first_three"]
    tools = {name: each for name, each in result["tokens"].items() if not name.startswith("(")}
    largest = max(tools, key=lambda name: tools[name])
    return [
        Row(
            "`get_status`, `profile_workload` and `search_schedulers` together",
            f"at most {FIRST_TOKENS} tokens",
            f"{first} tokens (bytes / 3.5)",
            verdict(first, FIRST_TOKENS),
        ),
        Row("the largest answer of a tool", "", f"`{largest}`, {tools[largest]} tokens"),
        Row(
            "all tools' definitions and the instructions",
            "",
            f"{result['tokens']['(definitions of all tools)']} and "
            f"{result['tokens']['(instructions)']} tokens",
        ),
    ]


# These are there to be compared with.
NOT_OURS = (cost_curve.GLOBAL, cost_curve.DEFAULT)


def _curve(result: Mapping[str, Any]) -> list[Row]:
    found: list[Row] = []
    for name in result["growth"][cost_curve.PARTLY]:
        ours = name not in NOT_OURS
        grown = {called: ratios[name] for called, ratios in result["growth"].items()}
        costs = "; ".join(
            f"x{ratio:.2f} {called} ({' to '.join(_costs(result['curves'][called][name]))} ns)"
            for called, ratio in grown.items()
        )
        found.append(
            Row(
                f"simulated cost of a switch on {cost_curve.LARGE} CPUs, to that on "
                f"{cost_curve.SMALL}, {f'`{name}`' if ours else name}",
                f"at most x{GROWTH:g}" if ours else "",
                costs,
                verdict(max(grown.values()), GROWTH) if ours else "",
            )
        )
    return found


def _costs(points: Sequence[Mapping[str, float]]) -> list[str]:
    """On the large machine, and on the small one."""
    by_size = {each["cpus"]: f"{each['ns']:.0f}" for each in points}
    return [by_size[cost_curve.LARGE], by_size[cost_curve.SMALL]]


# Tokens in, for an episode whose first idea is kept.
AT_ONCE, AT_ONCE_TOKENS = "one line, kept", 15_000


def _agent(result: Mapping[str, Any]) -> list[Row]:
    return [
        Row(
            f"Claude agent, scripted episode: {name}",
            f"at most {AT_ONCE_TOKENS} tokens in" if name == AT_ONCE else "",
            f"{each['calls']} calls, {each['input_tokens']} tokens in, "
            f"{each['output_tokens']} out; "
            f"{each['decided_s']:.2f} s from event to decision beside the model",
            verdict(each["input_tokens"], AT_ONCE_TOKENS) if name == AT_ONCE else "",
        )
        for name, each in result.items()
    ]


def _learning(result: Mapping[str, Any]) -> list[Row]:
    """Whether regret falls, and whether a second meeting takes fewer trials than the first."""

    def said(figure: Mapping[str, float]) -> str:
        return f"{figure['mean']:.3f} ± {figure['half_95']:.3f}"

    def falls(first: Mapping[str, float], last: Mapping[str, float]) -> str:
        return MET if last["mean"] + last["half_95"] < first["mean"] - first["half_95"] else MISSED

    own, none = result["memory"], result["no memory"]
    of = f"{result['runs']} runs of {result['episodes']} replayed episodes"
    return [
        Row(
            f"offline advisor, regret in gain for an episode, {of}",
            "the last third below the first, intervals apart",
            f"{said(own['regret'][0])}, then {said(own['regret'][1])}, then "
            f"{said(own['regret'][2])}; without memory {said(none['regret'][2])} at the end",
            falls(own["regret"][0], own["regret"][2]),
        ),
        Row(
            "offline advisor, trials until an episode is decided",
            "the second meeting with a workload below the first, intervals apart",
            f"{said(own['trials'][0])} at first, {said(own['trials'][1])} the second and "
            f"{said(own['trials'][2])} the third time",
            falls(own["trials"][0], own["trials"][1]),
        ),
    ]


def _cost(result: Mapping[str, Any]) -> list[Row]:
    goal = f"at most {DAEMON_CPU_PERCENT:g} % of one CPU"
    found: list[Row] = []
    for part, title in (("idle", "idle machine"), ("loaded", "under hackbench and busy loops")):
        share = result[part]["cpu_percent"]["schedpilotd"]
        found.append(
            Row(
                f"daemon, CPU at the default interval of {result['interval_s']:g} s, {title}",
                goal,
                f"{share:.2f} % over {result[part]['seconds']:g} s "
                f"({result[part]['workloads']} workloads"
                f"{', an episode was opened' if result[part].get('episode') else ''})",
                verdict(share, DAEMON_CPU_PERCENT),
            )
        )
    for name in ("schedpilotd", "schedpilot-signals", "schedpilot-runner"):
        most = DAEMON_RESIDENT_MB if name == "schedpilotd" else HELPER_RESIDENT_MB
        kb = max(
            (result[part][name] for part in ("memory_kb", "memory_after_load_kb")),
            key=lambda each: each["resident"],
        )
        resident = kb["resident"] / 1000 * 1.024
        found.append(
            Row(
                f"`{name}`, resident memory",
                f"at most {most:g} MB",
                f"{resident:.1f} MB, of it {kb['anonymous'] / 1000 * 1.024:.1f} MB anonymous",
                verdict(resident, most),
            )
        )
    helpers = ", ".join(
        f"`{name}` {result['idle']['cpu_percent'][name]:.2f} / "
        f"{result['loaded']['cpu_percent'][name]:.2f} %"
        for name in ("schedpilot-signals", "schedpilot-runner")
    )
    found.append(Row("C helpers, CPU, idle / loaded", "", helpers))
    return found


def _percent(ratio: float) -> float:
    return 100 * (ratio - 1)


def _overhead(result: Mapping[str, Any]) -> list[Row]:
    found: list[Row] = []
    for name, most in SLOWER_PERCENT.items():
        arms = result[name]
        value = _percent(arms["on"]["ratio"])
        low, high = (_percent(each) for each in arms["on"]["ratio_95"])
        found.append(
            Row(
                f"{TITLES[name]}, signals on against off",
                f"at most {most:g} % slower",
                f"{value:+.1f} % ({low:+.1f} to {high:+.1f} %)",
                verdict(value, most, low, high),
            )
        )
    for name in SLOWER_PERCENT:
        arms = result[name]
        share, (low, high) = _against_half(arms)
        found.append(
            Row(
                f"{TITLES[name]}, the same histogram by BCC",
                "signals cost less than half of it",
                f"BCC {_percent(arms['bcc']['ratio']):+.1f} %, "
                f"signals {_percent(arms['on']['ratio']):+.1f} %",
                verdict(share, 1.0, low, high),
            )
        )
    return found


def _recorder(result: Mapping[str, Any]) -> list[Row]:
    found: list[Row] = []
    for name in SLOWER_PERCENT:
        arm = result[name]["on"]
        low, high = (_percent(each) for each in arm["ratio_95"])
        found.append(
            Row(
                f"{TITLES[name]}, while everything is recorded, against off",
                "",
                f"{_percent(arm['ratio']):+.1f} % ({low:+.1f} to {high:+.1f} %)",
            )
        )
    lost = f"{result['lost']} of {result['records'] + result['lost']}"
    size = f"{result['records_per_s']} a second, {result['bytes_per_record']} bytes each"
    return [*found, Row("records that a recording lost meanwhile", "", f"{lost} ({size})")]


def _groups(result: Mapping[str, Any]) -> list[Row]:
    found = []
    for name in SLOWER_PERCENT:
        arm = result[name]["on"]
        low, high = arm["ratio_95"]
        found.append(
            Row(
                f"{TITLES[name]} under `{result['scheduler']}`, against the same without its "
                f"callbacks for control groups ({result['groups']} groups with the cpu controller)",
                "",
                f"x{arm['ratio']:.3f} ({low:.3f} to {high:.3f})",
            )
        )
    return found


def _simulator(result: Mapping[str, Any]) -> list[Row]:
    found = [
        Row(
            f"simulator, events a second of one core, {name} (slowest of {len(rates)} workloads)",
            f"≥ {EVENTS_PER_S[name] / 1e6:g} M",
            f"{min(rates.values()) / 1e6:.1f} M to {max(rates.values()) / 1e6:.1f} M",
            MET if min(rates.values()) >= EVENTS_PER_S[name] else MISSED,
        )
        for name, rates in result["events_per_s"].items()
    ]
    seconds = statistics.median(result["verdict_s"])
    return [
        *found,
        Row(
            "from source to the verdict of the stress set, with compilation",
            f"≤ {VERDICT_S:g} s",
            f"{seconds:.2f} s (to {max(result['verdict_s']):.2f} s)",
            verdict(seconds, VERDICT_S, min(result["verdict_s"]), max(result["verdict_s"])),
        ),
        Row(
            f"memory of a simulated task, of {result['tasks']}",
            "",
            f"{result['bytes_per_task'] / 1024:.1f} KiB",
        ),
    ]


def _cgroups_delay(result: Mapping[str, Any]) -> list[Row]:
    return [
        Row(
            f"simulated delay of brief tasks, p99 and longest, beside {situation}",
            "",
            ", ".join(
                f"{name} {delays['p99_ms']:.1f} and {delays['longest_ms']:.0f} ms"
                for name, delays in found.items()
            ),
        )
        for situation, found in result["situations"].items()
    ]


def _against_half(arms: Mapping[str, Any]) -> tuple[float, Sequence[float]]:
    """Time with signals divided by the time half-way between off and BCC, and its interval.

    Below 1, signals cost less than half of what BCC costs. This figure is stable even if the costs
    are close to zero and their ratio would be noise.
    """
    half = [
        (off + bcc) / 2
        for off, bcc in zip(arms["off"]["seconds"], arms["bcc"]["seconds"], strict=True)
    ]
    found: Any = summary({"off": half, "on": arms["on"]["seconds"]})["on"]
    return found["ratio"], found["ratio_95"]


def _times(result: Mapping[str, Any]) -> list[Row]:
    seconds = result["seconds"]
    name = f"`{result['scheduler']}`"
    return [
        Row(f"request to `enabled`, {name}, proven before", "", _spread(seconds["enable"])),
        Row("release to `disabled`", "", _spread(seconds["release"])),
        Row("rollback to `disabled`", "", _spread(seconds["rollback"])),
        Row(f"new source of {name} to a proven candidate", "", _spread(seconds["prove"])),
        Row("of that, clang in its sandbox", "", _spread(seconds["build"])),
        Row("of that, the kernel's verifier", "", _spread(seconds["verify"])),
    ]


def _candidates(result: Mapping[str, Any]) -> list[Row]:
    return [
        Row(f"request to a proven candidate, natively: {name}", "", _spread_short(seconds))
        for name, seconds in result["seconds"].items()
    ]


def _emergency(result: Mapping[str, Any]) -> list[Row]:
    factor = max(1.0, result["piece_cpu_s"] / result.get("native_piece_cpu_s", math.inf))
    found = []
    for name, seconds in result["seconds"].items():
        ordered = sorted(seconds)
        p50, p99 = statistics.median(ordered), ordered[-(-99 * len(ordered) // 100) - 1]
        kind, load = name.split(", ")
        goal = FIRST_WINDOW_S * factor if kind == "prepared" else None
        found.append(
            Row(
                f"episode to first window, {kind}, {load}",
                f"at most {FIRST_WINDOW_S:g} s × {factor:.1f} = {goal:.0f} s" if goal else "",
                f"p50 {p50:.2f} s, p99 {p99:.2f} s ({len(ordered)} episodes)",
                verdict(p99, goal) if goal else "",
            )
        )
    return found


def _own_numbers(result: Mapping[str, Any]) -> list[Row]:
    found = []
    for name, each in result["applications"].items():
        ours = ("turnaround", "jobs") if each["jobs"] else ("response", "completions")
        latency, rate = each["latency"], each["rate"]
        worst = min(latency["schedulers"], rate["schedulers"])
        found.append(
            Row(
                f"{name}: its latency against {ours[0]}, its rate against {ours[1]} "
                f"({len(each['runs'])} runs)",
                f"rank correlation ≥ {AGREES:g}",
                f"{latency['schedulers']:.2f} and {rate['schedulers']:.2f} "
                f"({latency['told_apart']} and {rate['told_apart']} pairs of schedulers; "
                f"single runs: {latency['runs']:.2f} and {rate['runs']:.2f}; "
                f"Spearman: {latency['spearman']:.2f} and {rate['spearman']:.2f})",
                MET if worst >= AGREES else MISSED,
            )
        )
    return [*found, *(Row(name, "", "left out") for name in result["left_out"])]


SCENES = {
    "to the end": "told `order fifo; slice 100ms`",
    "first idea": "told the first idea of a real model",
    "asked": "`schedpilot ask`, offline advisor",
}


def _kept_is_wanted(result: Mapping[str, Any]) -> list[Row]:
    found = []
    for name, scene in result["scenes"].items():
        count = scene.get("count")
        goal = "" if name == "first idea" else f"requests ≥ x{REQUESTS:g}, p99 ≤ x{P99:g}"
        measured = "nothing was kept"
        if count:
            measured = (
                f"requests x{count['requests']:.2f}, p99 x{count['p99']:.2f} "
                f"(kept `{scene['policy'] or scene['kept']}`)"
            )
        met = bool(count) and count["requests"] >= REQUESTS and count["p99"] <= P99
        found.append(
            Row(
                f"schbench by its own count, {SCENES[name]}",
                goal,
                measured,
                (MET if met else MISSED) if goal else "",
            )
        )
    return found


# The purpose of each arm of the batch.
BATCH = {
    "desc": "time until all are done",
    "jobs": "time until all are done",
    "asc": "mean time until a job is done",
}


def _jobs(result: Mapping[str, Any]) -> list[Row]:
    found: list[Row] = []
    for arm, title in BATCH.items():
        each = result[arm]
        low, high = each["closed_95"]
        found.append(
            Row(
                f"one long and 39 short compressions, {title}, `{result['schedulers'][arm]}` "
                "against the kernel's default",
                f"at least {CLOSED:.0%} of the gap to the bound closed",
                f"{each['closed']:.0%} ({low:.0%} to {high:.0%}): {each['scheduler_s']:.1f} s "
                f"against {each['default_s']:.1f} s, bound {each['bound_s']:.1f} s, "
                f"{len(result['batches'][arm])} runs of each",
                # More is better here.
                verdict(-each["closed"], -CLOSED, -high, -low),
            )
        )
    return found


# What people call the gates and the loading.
STEPS = {
    "all": "a line of policy to `enabled`",
    "compile": "of that, parsing and compiling to C",
    "static": "of that, the static check",
    "build": "of that, clang in its sandbox",
    "simulate": "of that, the simulator with the stress set",
    "verify": "of that, the kernel's verifier",
    "enable": "of that, loading until `enabled`",
}


def _steps(result: Mapping[str, Any]) -> list[Row]:
    seconds = result["seconds"]
    return [
        Row(title, "", _spread(seconds[step])) for step, title in STEPS.items() if step in seconds
    ]


# The same on the machine itself, as far as it is possible without sched_ext.
NATIVE_STEPS = {
    "compile": "of that, parsing and compiling to C",
    "build": "of that, clang in its sandbox",
    "static": "the static check, meanwhile",
    "simulate": "after that, the simulator with the stress set",
    "proven": "natively, a line of policy to the simulator's verdict",
}


def _native_steps(result: Mapping[str, Any]) -> list[Row]:
    seconds = result["seconds"]
    built = Row(
        "natively, a line of policy to an object that can be loaded",
        f"at most {LINE_S:g} s, verifier and loading included",
        _spread(seconds["built"]),
        verdict(statistics.median(seconds["built"]), LINE_S),
    )
    return [
        built,
        *(Row(title, "", _spread(seconds[step])) for step, title in NATIVE_STEPS.items()),
    ]


def _spread(seconds: Sequence[float]) -> str:
    return (
        f"{statistics.median(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f}, "
        f"{len(seconds)} times)"
    )


def _spread_short(seconds: Sequence[float]) -> str:
    """In seconds, or in milliseconds below one second."""
    middle = statistics.median(seconds)
    if middle >= 1:
        return _spread(seconds)
    low, high = 1e3 * min(seconds), 1e3 * max(seconds)
    return f"{1e3 * middle:.1f} ms ({low:.1f} to {high:.1f}, {len(seconds)} times)"


def markdown(table: Sequence[Row]) -> str:
    """The table for docs/benchmarks.md."""
    head = ("what", "goal", "measured", "")
    lines = [head, ("---",) * len(head), *(row.cells() for row in table)]
    return "\n".join(f"| {' | '.join(cells)} |".replace("|  |", "| |") for cells in lines)
