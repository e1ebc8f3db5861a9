# SPDX-License-Identifier: GPL-2.0-or-later
"""The tools: each answers briefly first, and says how to ask for more."""
