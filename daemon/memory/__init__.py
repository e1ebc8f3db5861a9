# SPDX-License-Identifier: GPL-2.0-only
"""What the daemon remembers: history, beliefs, lessons, saved policies."""
