# SPDX-License-Identifier: GPL-2.0-or-later
"""The picture of a report: run-queue delay over time, and each decision.

matplotlib draws it with its SVG or Agg backend, without a display. It is an optional extra
(`schedpilot[report]`) and is imported late, here only.
"""

import io
import warnings
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from cli.timeline import KERNEL, Timeline, TimelineMark, thinned
from daemon.api.display import displayable
from daemon.api.models import Arm, TrialView
from process import Fault, FaultType

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2933"
FAINT = "#9aa5b1"
LINE = "#0b6e99"
BAND = "#7fb3cc"
# For shading, in order of appearance; light enough to read on. (Paul Tol's "light" scheme, which
# colour-blind readers can distinguish, too.)
SHADES = ("#eedd88", "#aaaa00", "#ee8866", "#99ddff", "#44bb99", "#ffaabb", "#bbcc33")
WORD_COLOURS = {
    "degraded": "#b45309",
    "kept": "#15803d",
    "put back": "#15803d",
    "recovered": "#15803d",
    "rolled back": "#b91c1c",
    "ejected": "#b91c1c",
    "quarantined": "#b91c1c",
}
# The height is that of the plot and its axis, without the rows above and below them.
WIDTH_IN, HEIGHT_IN = 11.0, 4.2
# The lower plot, with the windows of trials, and the gap between the two plots.
WINDOWS_IN, GAP_IN = 1.5, 0.2
# Numbered marks closer than this share of the width are stacked; this is a row's height.
CLOSE = 0.022
MOST_ROWS = 4
ROW_POINTS = 15.0
# Lines of text below a picture that is a file of its own.
MOST_CAPTIONS = 14


def draw(timeline: Timeline, kind: Literal["svg", "png"], *, captions: bool) -> bytes:
    """The picture as a file's bytes.

    Args:
        captions: write the meaning of the numbers below it, and a title above it.

    Raises:
        Fault: NOT_INSTALLED if matplotlib is absent.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
    except ImportError:
        raise Fault(
            FaultType.NOT_INSTALLED,
            "the picture cannot be drawn",
            why="matplotlib is not installed",
            hint="install the extra: pip install 'schedpilot[report]', or python3-matplotlib;"
            " `schedpilot report --json` needs no picture",
        ) from None
    # The extra's types differ between versions; only plain data is passed to it.
    settings: Any = {
        # Text becomes outlines: it looks the same everywhere, and no name is ever markup in the
        # file.
        "svg.fonttype": "path",
        # Ids in the file derive from this instead of from random numbers.
        "svg.hashsalt": "schedpilot",
        "text.parse_math": False,
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "axes.edgecolor": FAINT,
        "text.color": INK,
        "axes.labelcolor": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    lines = [(str(mark.number), _caption(mark)) for mark in timeline.marks] if captions else []
    if len(lines) > MOST_CAPTIONS:
        left_out = len(lines) - MOST_CAPTIONS + 1
        lines = [*lines[: MOST_CAPTIONS - 1], ("", f"… and {left_out} more")]
    below = 0.19 * len(lines) + (0.25 if lines else 0)
    rows = 1 + max((row for _, row in rows_of(timeline)), default=0)
    above = (0.5 if captions else 0.2) + rows * ROW_POINTS / 72
    tried = compared(timeline)
    height = above + HEIGHT_IN + below + (WINDOWS_IN + GAP_IN if tried else 0)
    with mpl.rc_context(settings), warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; the warning helps nobody.
        warnings.simplefilter("ignore")
        figure = Figure(figsize=(WIDTH_IN, height))
        top = 1 - above / height
        bottom = (0.75 + below) / height
        floor = bottom + ((WINDOWS_IN + GAP_IN) / height if tried else 0)
        axes = figure.add_axes((0.075, floor, 0.905, top - floor))
        _plot(axes, timeline)
        if tried:
            lower = figure.add_axes(
                (0.075, bottom, 0.905, WINDOWS_IN / height),
                sharex=axes if timeline.points else None,
            )
            _windows(lower, timeline, tried)
            axes.tick_params(labelbottom=False)
        _timeline(lower if tried else axes)
        _legend(figure, axes, timeline, below / height)
        if captions:
            title = f"run-queue delay of {displayable(timeline.workload, 90)}"
            figure.text(0.075, 1 - 0.28 / height, title, fontsize=12, weight="bold")
        for number, line in enumerate(lines):
            y = (below - 0.19 * (number + 1) - 0.02) / height
            left, right = line
            figure.text(0.087, y, left, fontsize=8.5, color=INK, ha="right", weight="bold")
            figure.text(0.095, y, right, fontsize=8.5, color=INK)
        file = io.BytesIO()
        metadata = {"Date": None} if kind == "svg" else {}
        figure.savefig(file, format=kind, dpi=144, metadata=metadata, facecolor="white")
    return file.getvalue()


def _caption(mark: TimelineMark) -> str:
    return f"{datetime.fromtimestamp(mark.at):%H:%M:%S}  {displayable(mark.text, 130)}"  # noqa: DTZ006


def _plot(axes: "Axes", timeline: Timeline) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_yscale("log")
    axes.set_ylabel("run-queue delay")
    points = thinned(timeline.points)
    shades = _shades(timeline)
    for stretch in timeline.stretches:
        if stretch.scheduler in shades:
            axes.axvspan(
                _day(stretch.began),
                _day(stretch.ended),
                color=shades[stretch.scheduler],
                alpha=0.45,
                linewidth=0,
                zorder=0,
            )
    if points:
        days = [_day(point.at) for point in points]
        # A histogram's lowest bucket is not zero; half a microsecond keeps it in the plot.
        p99 = [max(0.5, point.delay_p99_us) for point in points]
        p50 = [max(0.5, point.delay_p50_us) for point in points]
        axes.fill_between(days, p50, p99, color=BAND, alpha=0.35, linewidth=0, zorder=2)
        axes.plot(days, p99, color=LINE, linewidth=1.5, label="p99", zorder=3)
        axes.plot(days, p50, color=BAND, linewidth=1.0, label="p50", zorder=3)
        low, high = min(p50), max(max(p99), timeline.usual_us or 0.0)
        axes.set_ylim(low / 1.6, high * 2.2)
        axes.set_xlim(_day(timeline.began), max(_day(timeline.ended), _day(timeline.began + 1)))
    if timeline.usual_us:
        axes.axhline(
            timeline.usual_us,
            color=INK,
            linewidth=1.0,
            linestyle=(0, (5, 3)),
            label="usual p99",
            zorder=2,
        )
    axes.yaxis.set_major_locator(LogLocator(base=10))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _delay(value)))
    axes.yaxis.set_minor_formatter(NullFormatter())
    _plain(axes)
    if points:
        _mark(axes, timeline)


def _plain(axes: "Axes") -> None:
    axes.grid(axis="y", color="#e4e7eb", linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _day(at: float) -> float:
    """Local time as the terminal and the journal show it, in matplotlib's days."""
    from matplotlib import dates

    untyped: Any = dates
    return float(untyped.date2num(datetime.fromtimestamp(at)))  # noqa: DTZ006


def _shades(timeline: Timeline) -> dict[str, str]:
    """A colour for each scheduler that was loaded, in order of appearance."""
    names = [each.scheduler for each in timeline.stretches if each.scheduler != KERNEL]
    return {name: SHADES[i % len(SHADES)] for i, name in enumerate(dict.fromkeys(names))}


def _timeline(axes: "Axes") -> None:
    from matplotlib import dates

    untyped: Any = dates
    locator = untyped.AutoDateLocator(minticks=5, maxticks=11)
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(
        untyped.ConciseDateFormatter(
            locator, offset_formats=["", "%Y", "%B %Y", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d"]
        )
    )


def _legend(figure: "Figure", axes: "Axes", timeline: Timeline, foot: float) -> None:
    from matplotlib.patches import Patch

    lines, _ = axes.get_legend_handles_labels()
    handles: list[Any] = [each for each in lines if not str(each.get_label()).startswith("_")]
    handles += [
        Patch(color=shade, alpha=0.45, label=displayable(name, 30))
        for name, shade in _shades(timeline).items()
    ]
    if handles:
        figure.legend(
            handles=handles,
            loc="lower center",
            bbox_to_anchor=(0.5, foot),
            ncols=max(1, min(8, len(handles))),
            frameon=False,
            fontsize=9,
            handlelength=1.6,
        )


def compared(timeline: Timeline) -> tuple[TrialView, ...]:
    """The trials whose windows can share an axis: those with the newest trial's objective."""
    measured = [trial for trial in timeline.trials if trial.windows]
    if not measured:
        return ()
    newest = measured[-1]
    return tuple(
        trial
        for trial in measured
        if (trial.objective, trial.unit) == (newest.objective, newest.unit)
    )


def _windows(axes: "Axes", timeline: Timeline, trials: tuple[TrialView, ...]) -> None:
    """Draw each window of the trials as a line over its time, at its value."""
    shades = _shades(timeline)
    values: list[float] = []
    for trial in trials:
        for window in trial.windows:
            if window.excluded or window.value <= 0:
                continue
            candidate = window.arm is Arm.CANDIDATE
            values.append(window.value)
            axes.plot(
                [_day(window.started), _day(max(window.ended, window.started + 0.2))],
                [window.value, window.value],
                color=LINE if candidate else FAINT,
                linewidth=4,
                solid_capstyle="butt",
                zorder=3,
            )
            if candidate and trial.scheduler in shades:
                axes.axvspan(
                    _day(window.started),
                    _day(window.ended),
                    color=shades[trial.scheduler],
                    alpha=0.45,
                    linewidth=0,
                    zorder=0,
                )
    unit = trials[0].unit
    # A range of several hundred per cent needs a logarithmic axis; one of a few per cent does not.
    if values and max(values) > 5 * min(values):
        from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

        axes.set_yscale("log")
        axes.set_ylim(min(values) / 1.5, max(values) * 1.5)
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    elif values:
        axes.set_ylim(0, max(values) * 1.15)
    axes.set_ylabel(
        displayable(f"{trials[0].objective}\n({unit})", 80).replace("\\n", "\n"), fontsize=9
    )
    if not timeline.points:
        ends = [each.ended for trial in trials for each in trial.windows]
        axes.set_xlim(_day(trials[0].windows[0].started), _day(max(ends)))
    _plain(axes)


def rows_of(timeline: Timeline) -> list[tuple[TimelineMark, int]]:
    """Each mark with its row, 0 at the bottom: close marks are stacked."""
    taken = [-1.0] * MOST_ROWS
    placed = []
    for mark in timeline.marks:
        place = (mark.at - timeline.began) / max(timeline.ended - timeline.began, 1.0)
        row = next((i for i in range(MOST_ROWS) if place - taken[i] >= CLOSE), MOST_ROWS - 1)
        taken[row] = place
        placed.append((mark, row))
    return placed


def _mark(axes: "Axes", timeline: Timeline) -> None:
    """Numbered lines at the time of each decision."""
    for mark, row in rows_of(timeline):
        x = _day(mark.at)
        colour = WORD_COLOURS.get(mark.word, INK)
        axes.axvline(x, color=colour, linewidth=1.0, alpha=0.75, zorder=2.5)
        axes.annotate(
            str(mark.number),
            (x, 1.0),
            xycoords=("data", "axes fraction"),
            xytext=(0, 8 + ROW_POINTS * row),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=8,
            color="white",
            weight="bold",
            bbox={"boxstyle": "circle,pad=0.25", "fc": colour, "ec": "white", "lw": 0.8},
            zorder=5,
            annotation_clip=False,
        )


def _delay(value: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if value >= size:
            return f"{value / size:g} {unit}"
    return f"{value:g} µs"
