# SPDX-License-Identifier: GPL-2.0-or-later
"""What the daemon remembers: history, beliefs, lessons, saved policies."""
