# SPDX-License-Identifier: GPL-2.0-or-later
"""A workload by name, for guest_halves.py: `python lab_two_halves.py NAME SLEEP_S CPU_S`.

It sleeps and computes for these times, in turn, endlessly. Without a sleep it only computes.
"""

import ctypes
import sys
import time

PR_SET_NAME = 15


def main() -> None:
    name, sleep_s, cpu_s = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
    while True:
        if sleep_s:
            time.sleep(sleep_s)
        until = time.thread_time() + cpu_s
        while time.thread_time() < until:
            pass


if __name__ == "__main__":
    main()
