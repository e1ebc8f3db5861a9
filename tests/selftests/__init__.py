# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's selftests for sched_ext, through the gates that need no kernel."""
