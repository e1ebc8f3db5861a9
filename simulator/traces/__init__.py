# SPDX-License-Identifier: GPL-2.0-or-later
"""Recorded and described workloads as input of the simulator.

`read_trace` recognises a file by its content: a recording of our own (docs/traces.md), the output
of `perf sched record` or `perf script`, or a workload for rt-app.
"""

from simulator.traces.replay import ReplayedTrace
from simulator.traces.sources import Trace, machine_for, read_trace, replay_of, scenario_of

__all__ = ["ReplayedTrace", "Trace", "machine_for", "read_trace", "replay_of", "scenario_of"]
