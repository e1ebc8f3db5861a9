# SPDX-License-Identifier: GPL-2.0-or-later
"""What works on which kernel: a table with a row for each.

    python -m tests.kernels [--kernel 6.18]… [--json FILE] [--no-lab] [--write]

Boots every kernel that is built in the lab, or those that are named, once each; two minutes for
each on an idle machine. `--write` puts the table into docs/kernels.md. `--json` keeps what was
found in a file, to which later runs add.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from bpf.kernel.features import Features
from lab import kernels
from lab.tree import project_root

from .looked import KernelLook, look, look_at_types
from .table import rendered, replaced

PAGE = project_root() / "docs" / "kernels.md"


def _kept(file: Path | None) -> dict[str, KernelLook]:
    if file is None or not file.exists():
        return {}
    return {
        release: KernelLook(
            Features(**{name: tuple(value) for name, value in each["features"].items()}),
            frozenset(each["callbacks"]),
            each["refused"],
            each["seen"],
        )
        for release, each in json.loads(file.read_text()).items()
    }


def _keep(file: Path, looks: dict[str, KernelLook]) -> None:
    content = {
        release: {**asdict(each), "callbacks": sorted(each.callbacks)}
        for release, each in looks.items()
    }
    file.write_text(json.dumps(content, indent=1))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kernel", action="append", help="this version; default: all, and own")
    parser.add_argument("--json", type=Path, help="keep what was found here")
    parser.add_argument("--no-lab", action="store_true", help="by the types alone, without a boot")
    parser.add_argument("--write", action="store_true", help="put the table into docs/kernels.md")
    asked = parser.parse_args()
    versions = asked.kernel
    if versions is None:
        versions = [*kernels.built(), ""]
    looks = _kept(asked.json)
    for version in versions:
        way = look_at_types if asked.no_lab else look
        found = way(version, lambda line: print(line, file=sys.stderr, flush=True))
        looks[found.release] = found
        if asked.json:
            _keep(asked.json, looks)
    table = rendered(looks[each] for each in sorted(looks, key=kernels.numbers))
    print(table)
    if asked.write:
        PAGE.write_text(replaced(PAGE.read_text(), table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
