# SPDX-License-Identifier: GPL-2.0-or-later
"""How well the simulator agrees with the real kernel: the same schedulers and the same workloads on
both sides, and statistics that were chosen before any of them was computed (docs/agreement.md).

    python -m benchmarks --only agreement

workloads.py, schedulers.py	what is compared
replay.c			performs a scenario with real processes
guest.py			the part on the sched_ext kernel
predict.py			the part in the simulator
statistics.py			rank correlation and the error of predicted gains; pure
report.py			docs/agreement.md and docs/agreement.svg
run.py				one after the other
"""
