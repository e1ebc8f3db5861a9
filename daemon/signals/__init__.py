# SPDX-License-Identifier: GPL-2.0-only
"""What is measured: each interval, the recent past, recordings."""
