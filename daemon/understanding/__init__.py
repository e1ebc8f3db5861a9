# SPDX-License-Identifier: GPL-2.0-or-later
"""What a workload is, does and waits for.

Read from /proc, its cgroup and the signals, once and within a second, on request. All deciding
modules (`kinds`, `threads`, `tree`, `secrets`, `sentences`) are pure; `proc`, `cgroups` and `look`
read.
"""
