# SPDX-License-Identifier: GPL-2.0-or-later
"""Checks of a scheduler's C without compiling or running it."""
