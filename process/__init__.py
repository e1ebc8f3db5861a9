# SPDX-License-Identifier: GPL-2.0-or-later
"""The lowest layer: how child processes start, and how faults are reported.

Every other package may import this one; it imports nothing else of the project.
"""

from process.effort import Effort, Priority, at_priority
from process.fault import Fault, FaultType, fault_of, printable
from process.invalid import first_problem, nearest_known
from process.output import require_writable, write_output
from process.pace import Fixed, Limit, Pace, measure, within
from process.paths import named_path
from process.run import Completed, LineChild, ResourceLimits, run, start_lines
from process.sandbox import Sandbox, sandboxed

__all__ = [
    "Completed",
    "Effort",
    "Fault",
    "FaultType",
    "Fixed",
    "Limit",
    "LineChild",
    "Pace",
    "Priority",
    "ResourceLimits",
    "Sandbox",
    "at_priority",
    "fault_of",
    "first_problem",
    "measure",
    "named_path",
    "nearest_known",
    "printable",
    "require_writable",
    "run",
    "sandboxed",
    "start_lines",
    "within",
    "write_output",
]
