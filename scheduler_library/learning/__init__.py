# SPDX-License-Identifier: GPL-2.0-or-later
"""Learning from outcomes: docs/learning.md. Pure, except for the file of lessons."""
