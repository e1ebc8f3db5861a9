# SPDX-License-Identifier: GPL-2.0-or-later
"""Any log file, as numbers: each matching line is a sample.

log = { file = "/var/log/shop/requests.log", pattern = "took ([0-9.]+) ms" }
"""

from agent.measuring.journal import PatternText
from agent.measuring.table import AgentTable, FilePath


class Log(AgentTable):
    """Lines that are added to the file. `pattern` has one group: the number."""

    file: FilePath
    pattern: PatternText
