# SPDX-License-Identifier: GPL-2.0-only
"""Measured claims and how to repeat them."""
