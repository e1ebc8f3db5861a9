# SPDX-License-Identifier: GPL-2.0-or-later
"""The simulator: a scheduler's own C, compiled natively, under a deterministic event engine.

`build.py` compiles, `scenario.py` describes the tasks, `run.py` runs and returns figures; `shim/`
stands in for libbpf's headers, `engine/` is the engine in C.
"""
