# SPDX-License-Identifier: GPL-2.0-or-later
"""`python -m benchmarks.learning`: the table of docs/learning.md."""

import sys
from collections.abc import Mapping
from typing import Any

from benchmarks.learning.measure import compared


def _said(figure: Mapping[str, float]) -> str:
    return f"{figure['mean']:.3f} ± {figure['half_95']:.3f}"


def table(found: Mapping[str, Any]) -> str:
    """Markdown tables: by third of the episodes, by meeting, and by workload."""
    lines = [
        f"{found['runs']} runs of {found['episodes']} episodes; means with 95 % over the runs.",
        "",
        "| advisor | regret, episodes 1–10 | 11–20 | 21–30 | trials, 1st meeting | 2nd | 3rd |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in ("memory", "no memory"):
        cells = [*map(_said, found[name]["regret"]), *map(_said, found[name]["trials"])]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += [
        "",
        "| workload | best gain | regret, 1st meeting | 2nd | 3rd | trials, 1st | 2nd | 3rd |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, each in found["workloads"].items():
        figures = [f"{each['best']:.0%}", *map(str, each["regret"]), *map(str, each["trials"])]
        lines.append(f"| {name} | {' | '.join(figures)} |")
    lines += ["", f"Beliefs on one workload are made in {found['belief_ms']:g} ms."]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table(compared()) + "\n")
