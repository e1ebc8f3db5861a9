# SPDX-License-Identifier: GPL-2.0-or-later
"""The table of docs/selftests.md: `python -m tests.selftests [--stress] [NAME…]`."""

import argparse
import sys
import tempfile
from pathlib import Path

from bpf.build import cache
from lab.recipe import recipe_for
from lab.root import ensure
from lab.tree import project_root
from process import Fault, printable
from tests.selftests.exceptions import EXCEPTIONS
from tests.selftests.known import cases
from tests.selftests.through import WORKLOADS, judged, stressed
from tests.simulator.kernel_source import selftests
from tests.target import lab_target


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.selftests", description=__doc__)
    parser.add_argument("--stress", action="store_true", help="the whole stress set, too (minutes)")
    parser.add_argument("name", nargs="*", help="only these schedulers")
    asked = parser.parse_args()
    try:
        root = ensure(recipe_for(project_root()), lambda line: print(line, file=sys.stderr))
        folder, target = selftests(root), lab_target(cache.folder())
    except Fault as fault:
        print(fault.report(), file=sys.stderr)
        return 1
    wrong = agree = 0
    head = "| selftest | expects | found | by | says |"
    print(f"kernel {root.release}\n\n{head}{' stress set |' if asked.stress else ''}")
    print(f"|---|---|---|---|---|{'---|' if asked.stress else ''}")
    with tempfile.TemporaryDirectory(prefix="schedpilot-selftests-") as place:
        Path(place).chmod(0o755)
        chosen = [each for each in cases(folder) if each.scheduler in asked.name or not asked.name]
        for found in judged(folder, chosen, target, Path(place), WORKLOADS):
            case = found.case
            named = EXCEPTIONS.get(str(case), "")
            agree += found.agrees
            wrong += not found.agrees and not named
            mark = found.found if found.agrees else f"**{found.found}**"
            said = printable(named or found.said).replace("|", "/")
            line = f"| `{case}` | {found.expected} | {mark} | {found.gate} | {said[:160]} |"
            if asked.stress:
                against = stressed(folder, case, target, Path(place))
                line += (
                    f" {printable(against[0]).replace('|', '/')[:120] if against else 'passes'} |"
                )
            print(line, flush=True)
    print(f"\n{agree} agree; {wrong} are wrong without a reason", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
