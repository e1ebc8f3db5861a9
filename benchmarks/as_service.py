# SPDX-License-Identifier: GPL-2.0-or-later
"""Becomes the daemon as systemd starts it: its events go to the journal, if there is one, and it
has priority over the tasks that it tells schedulers about.

python -m benchmarks.as_service ARGUMENTS-OF-THE-DAEMON
"""

import os
import sys

# The unit has the same.
NICE = -10

if __name__ == "__main__":
    error = os.fstat(sys.stderr.fileno())
    os.setpriority(os.PRIO_PROCESS, 0, NICE)
    os.environ["JOURNAL_STREAM"] = f"{error.st_dev}:{error.st_ino}"
    os.execv(sys.executable, [sys.executable, "-P", "-m", "daemon.main", *sys.argv[1:]])  # noqa: S606
