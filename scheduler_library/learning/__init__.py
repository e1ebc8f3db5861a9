# SPDX-License-Identifier: GPL-2.0-or-later
"""What is learned from outcomes, and how: docs/learning.md. Pure, but for the file of lessons."""
