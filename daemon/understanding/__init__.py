# SPDX-License-Identifier: GPL-2.0-or-later
"""What a workload is, does and waits for.

Read from /proc, its cgroup and the signals, once and within a second, when somebody asks. All that
decides (`kinds`, `threads`, `tree`, `secrets`, `sentences`) is pure; `proc`, `cgroups` and `look`
read.
"""
