# SPDX-License-Identifier: GPL-2.0-or-later
"""Becomes the daemon as systemd starts it: what it tells goes to the journal, where there is one,
and it comes before what it tells schedulers of.

python -m benchmarks.as_service ARGUMENTS-OF-THE-DAEMON
"""

import os
import sys

# As the unit has it.
NICE = -10

if __name__ == "__main__":
    error = os.fstat(sys.stderr.fileno())
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    os.environ["JOURNAL_STREAM"] = f"{error.st_dev}:{error.st_ino}"
    os.execv(sys.executable, [sys.executable, "-P", "-m", "daemon.main", *sys.argv[1:]])  # noqa: S606
