# SPDX-License-Identifier: GPL-2.0-or-later
"""A workload with a figure to its name, for guest_claude.py: `python lab_victim.py NAME LOOPS`.

It does the same piece of work again and again, and prints how many seconds each took.
"""

import ctypes
import sys
import time

PR_SET_NAME = 15


def main() -> None:
    name, loops = sys.argv[1], int(sys.argv[2])
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
    while True:
        began = time.monotonic()
        sum(range(loops))
        print(f"{time.monotonic() - began:.6f}", flush=True)
        time.sleep(0.1)


if __name__ == "__main__":
    main()
