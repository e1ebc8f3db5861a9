# SPDX-License-Identifier: GPL-2.0-or-later
"""Thousands of generated policies through clang and the verifier of the lab's kernel.

    python -m tests.policy.verify_many --count 3000 [--start 1] [--no-lab]

Each thousand is one boot of the lab. Prints every accepted policy that then did not compile or
that the verifier refused, and why; the status is 1 if there was one.
"""

import argparse
import itertools
import sys
import tempfile
import time
from pathlib import Path

from tests.target import lab_target, missing

from .sample import build, sample, verify

AT_ONCE = 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--count", type=int, default=1000, help="how many policies")
    parser.add_argument("--start", type=int, default=1, help="the seed of the first ones")
    parser.add_argument("--no-lab", action="store_true", help="compile only")
    options = parser.parse_args()
    if reason := missing():
        print(reason, file=sys.stderr)
        return 2
    policies = sample(options.count, start=options.start)
    trouble = 0
    with tempfile.TemporaryDirectory(prefix="schedpilot-policies-") as place:
        work = Path(place)
        # The sandboxed compiler runs as another user.
        work.chmod(0o755)
        target = lab_target(work)
        for first in range(0, options.count, AT_ONCE):
            start = time.monotonic()
            part = work / f"{first}"
            objects = part / "objects"
            objects.mkdir(parents=True)
            count, refused = build(target, itertools.islice(policies, AT_ONCE), objects)
            if not options.no_lab:
                refused += verify(objects, part, print)
            for each in refused:
                print(f"--- {each.text}\n{each.why}")
            trouble += len(refused)
            print(f"{first + count} policies, {trouble} refused, {time.monotonic() - start:.0f} s")
    return min(trouble, 1)


if __name__ == "__main__":
    sys.exit(main())
