# SPDX-License-Identifier: GPL-2.0-only
"""Episodes, trials, and the one scheduler that is attached to the kernel."""
