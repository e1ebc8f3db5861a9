# SPDX-License-Identifier: GPL-2.0-or-later
"""Measurements: each interval, the recent past, recordings."""
