# SPDX-License-Identifier: GPL-2.0-or-later
"""How much of the code the tests of a run reached: `python -m tests.coverage_summary REPORT`.

Reads what `coverage json` wrote. Prints the share of all lines and branches, and the least covered
files. It is for people to read. No share is a goal, so it fails nothing.
"""

import json
import sys
from pathlib import Path
from typing import Any

LEAST_COVERED = 10
# A file of a few statements says little.
LEAST_STATEMENTS = 15


def summary(report: dict[str, Any]) -> str:
    """The lines to print, from coverage's JSON report."""
    files = {name: each["summary"] for name, each in report["files"].items()}
    total = report["totals"]["percent_covered"]
    enough = {
        name: each["percent_covered"]
        for name, each in files.items()
        if each["num_statements"] >= LEAST_STATEMENTS
    }
    least = sorted(enough.items(), key=lambda each: (each[1], each[0]))[:LEAST_COVERED]
    return "\n".join(
        [
            f"covered: {total:.1f} % of the lines and branches of {len(files)} files "
            "(tests that need no kernel; child processes are not counted)",
            "least covered:",
            *(f"  {percent:5.1f} %  {name}" for name, percent in least),
        ]
    )


def main() -> None:
    print(summary(json.loads(Path(sys.argv[1]).read_text())))


if __name__ == "__main__":
    main()
