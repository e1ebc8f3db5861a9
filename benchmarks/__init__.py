# SPDX-License-Identifier: GPL-2.0-or-later
"""Measured claims and how to repeat them."""
