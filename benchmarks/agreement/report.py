# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/agreement.md (the measured part of it) and docs/agreement.svg."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.agreement.plan import DEFAULT, KernelRun
from benchmarks.agreement.predict import Predictions
from benchmarks.agreement.statistics import (
    GAIN_GOAL,
    TAU_GOAL,
    Errors,
    Pairs,
    Values,
    compare,
    gain_errors,
    summary,
)
from benchmarks.agreement.workloads import FRONT
from process import Fault, FaultType
from simulator.run import GroupFigures

BEGIN = "<!-- measured: written by `python -m benchmarks --only agreement` -->"
END = "<!-- end of what was measured -->"
MS = 1e6


@dataclass(frozen=True)
class ComparedMetric:
    """A compared figure; less is better. `real` takes a run's group and the length of the run,
    `predicted` a simulated group and the same; None if it does not exist."""

    title: str
    real: Callable[[Mapping[str, Any], int], float | None]
    predicted: Callable[[GroupFigures, int], float | None]


def _spent(makespan: float | None, time: int, count: int | None) -> float | None:
    """ns for each of this many; a run that did not end took all of its time."""
    return (time if makespan is None else makespan) / count if count else None


METRICS: Mapping[str, ComparedMetric] = MappingProxyType(
    {
        "response_p99_ns": ComparedMetric(
            "p99 response",
            lambda group, _: group.get("response_p99_ns"),
            lambda group, _: group.response_ns.p99 if group.response_ns else None,
        ),
        # As the time of a single one, so that less is better here as well.
        "completion_ns": ComparedMetric(
            "time for a completion",
            lambda group, time: _spent(group["makespan_ns"], time, group.get("completions")),
            lambda group, time: _spent(group.makespan_ns, time, group.completions),
        ),
        "delay_p99_ns": ComparedMetric(
            "p99 wakeup delay",
            lambda group, _: group["delay_p99_ns"],
            lambda group, _: group.delay_p99_ns,
        ),
        "makespan_ns": ComparedMetric(
            "makespan",
            lambda group, time: _spent(group["makespan_ns"], time, 1),
            lambda group, time: _spent(group.makespan_ns, time, 1),
        ),
    }
)


@dataclass(frozen=True)
class MetricComparison:
    """One metric of one workload on both sides, ns."""

    metric: str
    workload: str
    real: Values
    predicted: Values

    @property
    def pairs(self) -> Pairs:
        return compare(self.real, self.predicted)

    @property
    def errors(self) -> Sequence[float]:
        return list(gain_errors(self.real, self.predicted, DEFAULT).values())


def comparisons(runs: Sequence[KernelRun], predictions: Predictions) -> list[MetricComparison]:
    """Every measured metric of every workload; a run that did not end counts with all of its
    time."""
    found = []
    workloads = list(dict.fromkeys(run.workload for run in runs))
    for name, metric in METRICS.items():
        for workload in workloads:
            real: dict[str, list[float]] = {}
            predicted: dict[str, list[float]] = {}
            for run in runs:
                if run.workload != workload:
                    continue
                figures = predictions[run.scheduler, workload, run.repetition]
                ours = metric.real(run.group(FRONT), run.time_ns)
                theirs = metric.predicted(figures.group(FRONT), figures.time_ns)
                if ours is None or theirs is None:
                    continue
                real.setdefault(run.scheduler, []).append(ours)
                predicted.setdefault(run.scheduler, []).append(theirs)
            if DEFAULT in real:
                found.append(MetricComparison(name, workload, real, predicted))
    return found


def _tau(pairs: Pairs) -> str:
    return "–" if pairs.tau is None else f"{pairs.tau:.2f}"


def _errors(errors: Errors) -> str:
    return f"{errors.median:.0f} ({errors.within} of {errors.count}; {errors.worst:.0f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def verdicts(found: Sequence[MetricComparison]) -> list[str]:
    """A line for each goal, and whether it is met."""
    lines = []
    for metric, about in METRICS.items():
        mine = [each for each in found if each.metric == metric]
        if not mine:
            continue
        title = about.title
        pairs = sum((each.pairs for each in mine), Pairs())
        errors = summary(error for each in mine for error in each.errors)
        met = pairs.tau is not None and pairs.tau >= TAU_GOAL
        lines.append(
            f"- {title}: Kendall's tau {_tau(pairs)} over {len(mine)} workloads (goal: at least "
            f"{TAU_GOAL:g}: {'met' if met else '**missed**'}); {errors.within} of {errors.count} "
            f"gains predicted within {GAIN_GOAL:g} points (goal: all: "
            f"{'met' if errors.within == errors.count else '**missed**'}), {errors.mean:.0f} in "
            f"the mean, half of them within {errors.median:.0f}, the worst {errors.worst:.0f} off."
        )
    return lines


def agreement_table(found: Sequence[MetricComparison]) -> str:
    """A row for each workload: rank correlation, and error of the predicted gain."""
    head = ["workload"]
    for metric in METRICS.values():
        head += [f"{metric.title}: tau", "error of the gain"]
    known = {(each.workload, each.metric): each for each in found}
    rows = []
    for workload in dict.fromkeys(each.workload for each in found):
        row = [f"`{workload}`"]
        for name in METRICS:
            each = known.get((workload, name))
            row += [_tau(each.pairs), _errors(summary(each.errors))] if each else ["", ""]
        rows.append(row)
    return _table(head, rows)


def values_table(found: Sequence[MetricComparison], metric: str) -> str:
    """A row for each scheduler, a column for each workload: real / predicted, ms."""
    mine = [each for each in found if each.metric == metric]
    head = [METRICS[metric].title, *(f"`{each.workload}`" for each in mine)]
    rows = [
        [
            name,
            *(
                f"{_ms(each.real[name])} / {_ms(each.predicted[name])}" if name in each.real else ""
                for each in mine
            ),
        ]
        for name in dict.fromkeys(name for each in mine for name in each.real)
    ]
    return _table(head, rows)


def _ms(values: Sequence[float]) -> str:
    middle = statistics.median(values) / MS
    return f"{middle:.0f}" if middle >= 100 else f"{middle:.3g}"


def publish(folder: Path, found: Sequence[MetricComparison], about: str) -> str:
    """Write both files, and return the verdicts.

    Raises:
        Fault: STATE if the page has lost its marks, MISSING_TOOL without matplotlib.
    """
    page = folder / "agreement.md"
    text = page.read_text("utf-8")
    if BEGIN not in text or END not in text:
        raise Fault(
            FaultType.STATE,
            "the measured part of the page cannot be found",
            where=str(page),
            hint=f"it stands between {BEGIN} and {END}",
        )
    said = "\n".join(verdicts(found))
    measured = [
        about,
        said,
        agreement_table(found),
        "Errors of the gain are in points: the median, in brackets how many are within "
        f"{GAIN_GOAL:g} and the worst.",
        "![Each scheduler and workload, real and predicted](agreement.svg)",
        "All medians, real / predicted, in ms:",
        *(
            values_table(found, metric)
            for metric in METRICS
            if any(each.metric == metric for each in found)
        ),
    ]
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    page.write_text("\n\n".join((before + BEGIN, *measured, END + after)), "utf-8")
    _plotter()(folder / "agreement.svg", found)
    return said


def _plotter() -> Callable[[Path, Sequence[MetricComparison]], None]:
    try:
        import matplotlib
    except ImportError:
        raise Fault(
            FaultType.MISSING_TOOL,
            "matplotlib is needed for the plot",
            hint="pip install 'schedpilot[report]'",
        ) from None
    matplotlib.use("svg")
    # The same figures give the same file.
    matplotlib.rcParams.update({"svg.hashsalt": "schedpilot", "svg.fonttype": "none"})
    return _plot


def _plot(path: Path, found: Sequence[MetricComparison]) -> None:
    """Real against predicted, a panel for each metric."""
    from matplotlib import pyplot  # late: only the extra [report] has it

    figure, grid = pyplot.subplots(2, 2, figsize=(11, 10), constrained_layout=True)
    panels = list(grid.flat)
    colours: Mapping[str, str] = {
        workload: f"C{number}"
        for number, workload in enumerate(dict.fromkeys(each.workload for each in found))
    }
    for panel, (metric, about) in zip(panels, METRICS.items(), strict=True):
        ends: list[float] = [1.0]
        for each in (each for each in found if each.metric == metric):
            across = [statistics.median(values) / MS for values in each.real.values()]
            up = [statistics.median(each.predicted[name]) / MS for name in each.real]
            ends += [*across, *up]
            panel.scatter(across, up, s=18, color=colours[each.workload], label=each.workload)
        line = [min(ends), max(ends)]
        panel.plot(line, line, color="0.6", linewidth=0.8, zorder=0)
        panel.set(xscale="log", yscale="log", title=f"{about.title}, ms")
        panel.set(xlabel="on the real kernel", ylabel="predicted")
    panels[-1].legend(fontsize="small")
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)
