# SPDX-License-Identifier: GPL-2.0-or-later
"""Episodes, trials, and the one scheduler that is attached to the kernel."""
