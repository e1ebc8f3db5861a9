# SPDX-License-Identifier: GPL-2.0-or-later
"""What is measured: each interval, the recent past, recordings."""
