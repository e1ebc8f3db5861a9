# SPDX-License-Identifier: GPL-2.0-or-later
"""The daemon's memory: history, beliefs, lessons, saved policies."""
