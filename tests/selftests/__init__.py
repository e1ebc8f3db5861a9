# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's selftests for sched_ext, through the gates that need no kernel."""
